//! Prompt files: Markdown with TOML front matter between `+++` lines, the body a tera template.

use std::collections::BTreeMap;

use serde::Deserialize;
use tera::{Context, Tera};

use crate::evidence::body::digest;

/// A prompt that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    #[error("prompt {name}: {reason}")]
    Invalid { name: String, reason: String },
    #[error("prompt {name} cannot be filled: {reason}")]
    Render { name: String, reason: String },
    #[error(
        "the model's window of {context_tokens} tokens is too small: the prompt {name} alone takes about {needed}; raise context_tokens or lower answer_tokens"
    )]
    TooSmall { name: String, context_tokens: u64, needed: u64 },
}

/// What the front matter says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptFile {
    pub id: String,
    pub title: String,
    /// The role line: "You are …".
    pub persona: String,
    /// One line for lists.
    pub purpose: String,
    /// What it is filled from, in words.
    pub inputs: Vec<String>,
    /// Headings that the answer must have.
    pub headings: Vec<String>,
    #[serde(skip)]
    pub body: String,
    /// The first twelve digits of the file's SHA-256.
    #[serde(skip)]
    pub version: String,
}

/// The prompts in the binary; one line each.
const BUILT_IN: [(&str, &str); 3] = [
    ("troubleshoot", include_str!("../../prompts/troubleshoot.md")),
    ("postmortem", include_str!("../../prompts/postmortem.md")),
    ("question", include_str!("../../prompts/question.md")),
];

impl PromptFile {
    /// Reads a file's text. `name` is its file name without the ending.
    pub fn parse(name: &str, text: &str) -> Result<Self, PromptError> {
        let fail = |reason: String| PromptError::Invalid { name: name.to_owned(), reason };
        let normal = text.replace("\r\n", "\n");
        let rest =
            normal.strip_prefix("+++\n").ok_or_else(|| fail("it must begin with a line +++ and TOML front matter".to_owned()))?;
        let (front, body) =
            rest.split_once("\n+++\n").ok_or_else(|| fail("the front matter does not end: a line +++ is missing".to_owned()))?;
        let mut file: Self = toml::from_str(front).map_err(|e| fail(format!("front matter: {}", e.message())))?;
        if file.id != name {
            return Err(fail(format!("its id is '{}': it must be the file's name", file.id)));
        }
        file.body = body.trim().to_owned();
        file.version = digest(text.as_bytes()).chars().take(12).collect();
        Ok(file)
    }

    /// The template filled in.
    pub fn render(&self, context: &Context) -> Result<String, PromptError> {
        let mut tera = Tera::default();
        // The ending decides about escaping: `.md` is not HTML, nothing is escaped.
        let name = format!("{}.md", self.id);
        let fail = |e: tera::Error| PromptError::Render { name: self.id.clone(), reason: flat(&e) };
        tera.add_raw_template(&name, &self.body).map_err(fail)?;
        tera.render(&name, context).map_err(fail)
    }
}

fn flat(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// All prompts by id.
#[derive(Clone, Debug)]
pub struct Library {
    prompts: BTreeMap<String, PromptFile>,
}

impl Library {
    /// The built-in prompts, with a user's files (name without ending, text) put over those of the same name.
    pub fn with(user: &[(String, String)]) -> Result<Self, PromptError> {
        let mut prompts = BTreeMap::new();
        let built_in = BUILT_IN.iter().map(|(n, t)| (*n, *t));
        for (name, text) in built_in.chain(user.iter().map(|(n, t)| (n.as_str(), t.as_str()))) {
            prompts.insert(name.to_owned(), PromptFile::parse(name, text)?);
        }
        Ok(Self { prompts })
    }

    /// A prompt by its id, with or without a leading slash.
    pub fn get(&self, id: &str) -> Option<&PromptFile> {
        self.prompts.get(id.trim_start_matches('/'))
    }

    /// All, by id.
    pub fn all(&self) -> impl Iterator<Item = &PromptFile> {
        self.prompts.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_prompts_are_well_formed_and_embedded() {
        let library = Library::with(&[]).unwrap();
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts");
        let on_disk = std::fs::read_dir(folder).unwrap().count();
        assert_eq!(library.all().count(), on_disk, "every file in prompts/ has a line in BUILT_IN");
        assert!(library.get("/troubleshoot").unwrap().headings.len() >= 5);
    }

    #[test]
    fn mistakes_in_a_prompt_are_told() {
        for (text, part) in [
            ("no front", "must begin"),
            ("+++\nid = \"x\"", "does not end"),
            ("+++\nid = \"x\"\n+++\nbody", "title"),
            (
                "+++\nid = \"y\"\ntitle=\"\"\npersona=\"\"\npurpose=\"\"\ninputs=[]\nheadings=[]\n+++\nb",
                "must be the file's name",
            ),
        ] {
            let said = PromptFile::parse("x", text).unwrap_err().to_string();
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn a_user_file_replaces_a_built_in_one() {
        let text = "+++\nid = \"question\"\ntitle = \"mine\"\npersona = \"p\"\npurpose = \"\"\ninputs = []\nheadings = []\n+++\nbody {{ nope }}";
        let library = Library::with(&[("question".into(), text.into())]).unwrap();
        let prompt = library.get("question").unwrap();
        assert_eq!(prompt.title, "mine");
        assert!(prompt.render(&Context::new()).unwrap_err().to_string().contains("nope"));
    }
}
