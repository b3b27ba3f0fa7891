//! Prompt files: TOML front matter between `+++` lines, followed by a tera template in Markdown.

use std::collections::BTreeMap;

use serde::Deserialize;
use tera::{Context, Tera};

use crate::evidence::body::digest;
use crate::telemetry::failure::{Explain, FileProblem, UserFile};

/// A prompt that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    #[error("invalid prompt '{name}': {reason}")]
    Invalid {
        name: String,
        /// Where in the file, counted from 1.
        line: Option<u64>,
        reason: String,
    },
    #[error("cannot fill in prompt '{name}': {reason}")]
    Render { name: String, reason: String },
    #[error(
        "the model's context window of {context_tokens} tokens is too small: prompt '{name}' needs about {needed} without any evidence"
    )]
    TooSmall { name: String, context_tokens: u64, needed: u64 },
}

impl Explain for PromptError {
    fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::Invalid { .. } => "Start with TOML front matter between lines of +++; the built-in prompts are examples.",
            Self::Render { .. } => "Use only the variables that the built-in prompts use.",
            Self::TooSmall { .. } => "Raise context_tokens or lower answer_tokens.",
        };
        Some(remedy.to_owned())
    }
}

/// A prompt file: the fields of its front matter, its template and its version.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptFile {
    pub id: String,
    pub title: String,
    /// The role of the model, completing "You are a …".
    pub persona: String,
    /// One line that describes the prompt in lists.
    pub purpose: String,
    /// The data that the prompt is filled from, in words.
    pub inputs: Vec<String>,
    /// The headings that the answer must have, in order.
    pub headings: Vec<String>,
    /// The kind of model that it asks for; `None` for the default one.
    #[serde(default)]
    pub model: Option<ModelRole>,
    /// The template.
    #[serde(skip)]
    pub body: String,
    /// The first 12 hexadecimal digits of the file's SHA-256.
    #[serde(skip)]
    pub version: String,
    /// The file as it is written.
    #[serde(skip)]
    pub text: String,
    /// Whether it comes with the program.
    #[serde(skip)]
    pub is_built_in: bool,
}

/// A kind of model, which the configuration names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelRole {
    Fast,
    Careful,
}

/// The prompts that are built into the binary: id and file text.
const BUILT_IN: [(&str, &str); 13] = [
    ("troubleshoot", include_str!("../../prompts/troubleshoot.md")),
    ("postmortem", include_str!("../../prompts/postmortem.md")),
    ("question", include_str!("../../prompts/question.md")),
    ("reconcile", include_str!("../../prompts/reconcile.md")),
    ("severity", include_str!("../../prompts/severity.md")),
    ("performance", include_str!("../../prompts/performance.md")),
    ("security", include_str!("../../prompts/security.md")),
    ("monitoring", include_str!("../../prompts/monitoring.md")),
    ("deployment", include_str!("../../prompts/deployment.md")),
    ("infrastructure", include_str!("../../prompts/infrastructure.md")),
    ("deployment-review", include_str!("../../prompts/deployment-review.md")),
    ("maintenance", include_str!("../../prompts/maintenance.md")),
    ("update", include_str!("../../prompts/update.md")),
];

/// The variables that every prompt is filled from.
pub const VARIABLES: [&str; 13] = [
    "draft",
    "incident",
    "alerts",
    "findings",
    "timeline",
    "timeline_skipped",
    "lessons",
    "actions",
    "severity_matrix",
    "question",
    "evidence",
    "left_out",
    "window",
];

impl PromptFile {
    /// Parses the text of a prompt file. `name` is its file name without the extension, which must equal the id.
    ///
    /// # Errors
    /// [`PromptError::Invalid`] with the line: front matter that is missing or wrong, a template that cannot be parsed, or one that uses a
    /// variable that does not exist.
    pub fn parse(name: &str, text: &str) -> Result<Self, PromptError> {
        let fail = |line: Option<u64>, reason: String| PromptError::Invalid { name: name.to_owned(), line, reason };
        let normal = text.replace("\r\n", "\n");
        let rest = normal
            .strip_prefix("+++\n")
            .ok_or_else(|| fail(Some(1), "the file must begin with a line +++ and TOML front matter".to_owned()))?;
        let (front, body) = rest
            .split_once("\n+++\n")
            .ok_or_else(|| fail(None, "the front matter does not end: add a line +++ after it".to_owned()))?;
        let line_at = |text: &str, at: usize| text.get(..at).map(|before| lines_in(before) + 1);
        let mut file: Self = toml::from_str(front).map_err(|e| {
            let line = e.span().and_then(|s| line_at(front, s.start)).map(|n| n + 1);
            fail(line, format!("front matter: {}", e.message()))
        })?;
        // The template begins after two fences and the front matter; blank lines in front of it are cut off.
        let trimmed = body.trim_start();
        let first_line = lines_in(front) + 3 + lines_in(body.get(..body.len() - trimmed.len()).unwrap_or(""));
        if file.id != name {
            return Err(fail(Some(2), format!("the id '{}' does not match the file name, '{name}'", file.id)));
        }
        body.trim().clone_into(&mut file.body);
        text.clone_into(&mut file.text);
        file.version = digest(text.as_bytes()).chars().take(12).collect();
        let mut tera = Tera::default();
        tera.add_raw_template(name, &file.body).map_err(|e| match e.kind() {
            tera::ErrorKind::SyntaxError(report) => {
                let line = u64::try_from(report.span().start_line).ok().map(|n| n + first_line);
                fail(line, report.message().to_owned())
            }
            _ => fail(None, crate::telemetry::failure::error_chain(&e)),
        })?;
        let used = tera.get_template_variables(name).map_err(|e| fail(None, crate::telemetry::failure::error_chain(&e)))?;
        if let Some(unknown) = used.into_iter().filter(|v| !VARIABLES.contains(v)).min() {
            let line = file.body.find(unknown).and_then(|at| line_at(&file.body, at)).map(|n| n + first_line);
            return Err(fail(line, format!("there is no variable '{unknown}'; the variables are {}", VARIABLES.join(", "))));
        }
        Ok(file)
    }

    /// Fills in the template. Fails if the template is invalid or uses a variable that `context` does not have.
    pub fn render(&self, context: &Context) -> Result<String, PromptError> {
        let mut tera = Tera::default();
        // Tera escapes by file extension; it escapes nothing in `.md` files.
        let name = format!("{}.md", self.id);
        let fail =
            |e: tera::Error| PromptError::Render { name: self.id.clone(), reason: crate::telemetry::failure::error_chain(&e) };
        tera.add_raw_template(&name, &self.body).map_err(fail)?;
        tera.render(&name, context).map_err(fail)
    }
}

fn lines_in(text: &str) -> u64 {
    u64::try_from(text.matches('\n').count()).unwrap_or(0)
}

/// All available prompts by id.
#[derive(Clone, Debug, Default)]
pub struct Library {
    prompts: BTreeMap<String, PromptFile>,
    problems: Vec<FileProblem>,
}

impl Library {
    /// The built-in prompts and the user's. A user's prompt replaces a built-in one of the same name. One that cannot be used is reported
    /// (see [`Self::problems`]), and the built-in one of that name, or none, is used.
    pub fn load(user: &[UserFile]) -> Self {
        let mut library = Self::default();
        for (name, text) in BUILT_IN {
            match PromptFile::parse(name, text) {
                Ok(prompt) => {
                    library.prompts.insert(name.to_owned(), PromptFile { is_built_in: true, ..prompt });
                }
                // A test rules that out.
                Err(e) => {
                    let file = UserFile { path: format!("built-in prompt {name}"), name: name.to_owned(), text: text.to_owned() };
                    library.problems.push(problem_of(&file, &e, false));
                }
            }
        }
        for file in user {
            match PromptFile::parse(&file.name, &file.text) {
                Ok(prompt) => {
                    library.prompts.insert(file.name.clone(), prompt);
                }
                Err(e) => library.problems.push(problem_of(file, &e, library.prompts.contains_key(&file.name))),
            }
        }
        library
    }

    /// Adds problems that were found before the files could be parsed.
    #[must_use]
    pub fn with_problems(mut self, problems: Vec<FileProblem>) -> Self {
        self.problems.extend(problems);
        self
    }

    /// The problems in the user's prompts.
    pub fn problems(&self) -> &[FileProblem] {
        &self.problems
    }

    /// The prompt with this id, with or without a leading slash; `None` if there is none.
    pub fn get(&self, id: &str) -> Option<&PromptFile> {
        self.prompts.get(id.trim_start_matches('/'))
    }

    /// All prompts, sorted by id.
    pub fn all(&self) -> impl Iterator<Item = &PromptFile> {
        self.prompts.values()
    }
}

/// A problem in a user's prompt file. `has_built_in`: a built-in prompt of that name is used instead.
pub fn problem_of(file: &UserFile, error: &PromptError, has_built_in: bool) -> FileProblem {
    let line = match error {
        PromptError::Invalid { line, .. } => *line,
        PromptError::Render { .. } | PromptError::TooSmall { .. } => None,
    };
    let reason = match error {
        PromptError::Invalid { reason, .. } => reason.clone(),
        other => other.to_string(),
    };
    let instead = if has_built_in { " The built-in prompt is used instead." } else { "" };
    FileProblem {
        file: file.path.clone(),
        line,
        text: format!("not a prompt: {reason}"),
        remedy: format!("{}{instead}", error.remedy().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_prompts_are_well_formed_and_embedded() {
        let library = Library::load(&[]);
        assert_eq!(library.problems(), []);
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts");
        let on_disk = std::fs::read_dir(folder).unwrap().count();
        assert_eq!(library.all().count(), on_disk, "every file in prompts/ has a line in BUILT_IN");
        assert!(library.get("/troubleshoot").unwrap().headings.len() >= 5);
    }

    #[test]
    fn describes_mistakes_in_a_prompt_file() {
        for (text, part) in [
            ("no front", "must begin"),
            ("+++\nid = \"x\"", "does not end"),
            ("+++\nid = \"x\"\n+++\nbody", "title"),
            (
                "+++\nid = \"y\"\ntitle=\"\"\npersona=\"\"\npurpose=\"\"\ninputs=[]\nheadings=[]\n+++\nb",
                "does not match the file name",
            ),
        ] {
            let message = PromptFile::parse("x", text).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    fn user(name: &str, text: &str) -> UserFile {
        UserFile { path: format!("prompts/{name}.md"), name: name.to_owned(), text: text.to_owned() }
    }

    fn with_body(id: &str, body: &str) -> String {
        format!(
            "+++\nid = \"{id}\"\ntitle = \"mine\"\npersona = \"p\"\npurpose = \"\"\ninputs = []\nheadings = []\n+++\n\n{body}\n"
        )
    }

    #[test]
    fn a_user_file_replaces_a_built_in_one() {
        let library = Library::load(&[user("question", &with_body("question", "{{ incident.id }}"))]);
        assert_eq!(library.get("question").unwrap().title, "mine");
        assert_eq!(library.problems(), []);
    }

    #[test]
    fn broken_user_files_are_reported_with_their_line_and_the_built_in_one_stays() {
        let built_in = Library::load(&[]).get("question").unwrap().title.clone();
        for (name, text, line, part) in [
            ("README", "# My prompts".to_owned(), Some(1), "must begin"),
            ("question", "+++\nid = 3\n+++\nx".to_owned(), Some(2), "invalid type"),
            ("question", with_body("question", "one\n{{ nope }}"), Some(11), "no variable 'nope'"),
            ("question", with_body("question", "one\n{% for x in alerts %}\n"), None, ""),
            ("question", with_body("other", "x"), Some(2), "does not match the file name"),
        ] {
            let library = Library::load(&[user(name, &text)]);
            let [problem] = library.problems() else { panic!("{name}: {:?}", library.problems()) };
            assert!(problem.text.contains(part) && !problem.remedy.is_empty(), "{problem}");
            assert!(line.is_none() || problem.line == line, "{problem}");
            assert_eq!(problem.file, format!("prompts/{name}.md"));
            assert_eq!(library.get("question").unwrap().title, built_in);
        }
    }
}
