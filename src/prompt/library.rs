//! Prompt files: TOML front matter between `+++` lines, followed by a tera template in Markdown.

use std::collections::BTreeMap;

use serde::Deserialize;
use tera::{Context, Tera};

use crate::evidence::body::digest;

/// A prompt that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    #[error("invalid prompt '{name}': {reason}")]
    Invalid { name: String, reason: String },
    #[error("cannot fill in prompt '{name}': {reason}")]
    Render { name: String, reason: String },
    #[error(
        "the model's context window of {context_tokens} tokens is too small: prompt '{name}' needs about {needed} without any evidence; raise context_tokens or lower answer_tokens"
    )]
    TooSmall { name: String, context_tokens: u64, needed: u64 },
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
    /// The template.
    #[serde(skip)]
    pub body: String,
    /// The first 12 hexadecimal digits of the file's SHA-256.
    #[serde(skip)]
    pub version: String,
}

/// The prompts that are built into the binary: id and file text.
const BUILT_IN: [(&str, &str); 3] = [
    ("troubleshoot", include_str!("../../prompts/troubleshoot.md")),
    ("postmortem", include_str!("../../prompts/postmortem.md")),
    ("question", include_str!("../../prompts/question.md")),
];

impl PromptFile {
    /// Parses the text of a prompt file. `name` is its file name without the extension, which must equal the id.
    pub fn parse(name: &str, text: &str) -> Result<Self, PromptError> {
        let fail = |reason: String| PromptError::Invalid { name: name.to_owned(), reason };
        let normal = text.replace("\r\n", "\n");
        let rest = normal
            .strip_prefix("+++\n")
            .ok_or_else(|| fail("the file must begin with a line +++ and TOML front matter".to_owned()))?;
        let (front, body) = rest
            .split_once("\n+++\n")
            .ok_or_else(|| fail("the front matter does not end: add a line +++ after it".to_owned()))?;
        let mut file: Self = toml::from_str(front).map_err(|e| fail(format!("front matter: {}", e.message())))?;
        if file.id != name {
            return Err(fail(format!("the id is '{}': it must be the file's name, '{name}'", file.id)));
        }
        file.body = body.trim().to_owned();
        file.version = digest(text.as_bytes()).chars().take(12).collect();
        Ok(file)
    }

    /// Fills in the template. Fails if the template is invalid or uses a variable that `context` does not have.
    pub fn render(&self, context: &Context) -> Result<String, PromptError> {
        let mut tera = Tera::default();
        // Tera escapes by file extension; it escapes nothing in `.md` files.
        let name = format!("{}.md", self.id);
        let fail = |e: tera::Error| PromptError::Render { name: self.id.clone(), reason: error_chain(&e) };
        tera.add_raw_template(&name, &self.body).map_err(fail)?;
        tera.render(&name, context).map_err(fail)
    }
}

/// An error and its causes on one line, separated by colons.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// All available prompts by id.
#[derive(Clone, Debug)]
pub struct Library {
    prompts: BTreeMap<String, PromptFile>,
}

impl Library {
    /// The built-in prompts and the user's prompt files (name without extension, text). A user file replaces a built-in prompt of
    /// the same name. Fails on the first invalid file.
    pub fn with_user_prompts(user: &[(String, String)]) -> Result<Self, PromptError> {
        let mut prompts = BTreeMap::new();
        let built_in = BUILT_IN.iter().map(|(n, t)| (*n, *t));
        for (name, text) in built_in.chain(user.iter().map(|(n, t)| (n.as_str(), t.as_str()))) {
            prompts.insert(name.to_owned(), PromptFile::parse(name, text)?);
        }
        Ok(Self { prompts })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_prompts_are_well_formed_and_embedded() {
        let library = Library::with_user_prompts(&[]).unwrap();
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
                "must be the file's name",
            ),
        ] {
            let message = PromptFile::parse("x", text).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_user_file_replaces_a_built_in_one() {
        let text = "+++\nid = \"question\"\ntitle = \"mine\"\npersona = \"p\"\npurpose = \"\"\ninputs = []\nheadings = []\n+++\nbody {{ nope }}";
        let library = Library::with_user_prompts(&[("question".into(), text.into())]).unwrap();
        let prompt = library.get("question").unwrap();
        assert_eq!(prompt.title, "mine");
        assert!(prompt.render(&Context::new()).unwrap_err().to_string().contains("nope"));
    }
}
