//! Playbooks: Markdown files that describe what to do in an incident, step by step.
//!
//! A file has YAML front matter, which code hosts show as a table, and Markdown. Each `##` heading begins a step. Fenced blocks of the
//! kinds `promql`, `logql`, `http` and `sh` can be run; other blocks are text. Attributes follow the kind of a block:
//! `verify="< 0.01"` checks the result, `undo="…"` says how to go back, `danger="…"` warns, `timeout=30s` limits, and
//! `if="> 0.9" goto="#heading"` proposes the next step. `$name` is a variable.

mod check;
mod library;
mod matching;
mod parse;
mod proposals;
mod suggestions;
mod variables;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use check::{Check, Condition};
pub use library::Library;
pub use matching::{Match, matches};
pub use parse::{MAX_BYTES, parse};
pub use proposals::proposals;
pub use suggestions::{HOLDS_FOR_SECS, Suggestion, mitigations_in, suggestions};
pub use variables::{BUILT_IN, Values, filled_in, label_values, substitute, used_in};

use crate::incident::Risk;
use crate::telemetry::matcher::Matcher;

/// A playbook.
#[derive(Clone, Debug, PartialEq)]
pub struct Playbook {
    /// Equals the name of its file without the extension.
    pub id: String,
    pub title: String,
    /// When to use it, in one sentence.
    pub summary: String,
    /// The alerts that it is for: each entry is a list of matchers that must all match.
    pub alerts: Vec<Vec<Matcher>>,
    pub prerequisites: Vec<String>,
    /// About how long it takes.
    pub estimate: Option<Duration>,
    pub owner: Option<String>,
    pub variables: BTreeMap<String, Variable>,
    /// The Markdown before the first step.
    pub intro: String,
    pub steps: Vec<Step>,
    /// The file as written.
    pub text: String,
    /// The path of a user's file; `None` for a built-in playbook.
    pub path: Option<String>,
    /// The name of the preset that it is from; `None` if it is built in, or the user's own.
    pub preset: Option<String>,
}

impl Playbook {
    /// Whether a variable has a meaning in it: it declares the variable, or every playbook has it.
    pub fn has_variable(&self, name: &str) -> bool {
        self.variables.contains_key(name) || BUILT_IN.iter().any(|(built_in, _)| *built_in == name)
    }
}

/// A variable that a playbook declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variable {
    /// What it is, for the question to the user.
    pub description: String,
    pub default: Option<String>,
}

/// A step of a playbook.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Counted from 1.
    pub number: usize,
    pub title: String,
    /// The anchor that code hosts give its heading: `check-the-pool`.
    pub anchor: String,
    /// Its Markdown without the heading.
    pub body: String,
    pub blocks: Vec<Block>,
}

/// What a block runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlockKind {
    /// A query to the metrics source.
    Promql,
    /// A query to the log source.
    Logql,
    /// An HTTP request.
    Http,
    /// A shell script.
    Sh,
}

impl BlockKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Promql, Self::Logql, Self::Http, Self::Sh];

    /// The word after the fence.
    pub fn word(self) -> &'static str {
        match self {
            Self::Promql => "promql",
            Self::Logql => "logql",
            Self::Http => "http",
            Self::Sh => "sh",
        }
    }
}

/// A block that can be run.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    pub kind: BlockKind,
    pub text: String,
    /// The line of its fence in the file, counted from 1.
    pub line: u64,
    /// How to go back: a command or a sentence.
    pub undo: Option<String>,
    /// What must hold afterwards.
    pub verify: Option<Check>,
    /// What can go wrong.
    pub danger: Option<String>,
    /// How much can go wrong, for the mitigation card that it becomes.
    pub risk: Risk,
    pub timeout: Duration,
    /// The step to go to if the result meets a condition.
    pub goto: Option<(Condition, String)>,
}

/// The methods of a request; the first two only read.
pub const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

impl Block {
    /// The method of a request: its first word, or GET if it begins with the URL. `None` for other kinds.
    pub fn method(&self) -> Option<&str> {
        let mut words = self.text.lines().next().filter(|_| self.kind == BlockKind::Http)?.split_whitespace();
        let (first, has_url) = (words.next()?, words.next().is_some());
        // A method is never a variable: it decides whether the request has to be confirmed.
        Some(if first.contains('/') || first.contains('$') && !has_url { "GET" } else { first })
    }

    /// Whether it may change something: a script, or a request other than GET and HEAD. It runs only after a person has confirmed it.
    pub fn changes(&self) -> bool {
        self.kind == BlockKind::Sh || self.method().is_some_and(|m| !matches!(m, "GET" | "HEAD"))
    }
}

/// How serious a problem in a playbook is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The playbook cannot be used.
    Error,
    /// The playbook can be used, but probably not as meant.
    Warning,
}

/// A problem in a playbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Counted from 1; `None` if it concerns the whole file.
    pub line: Option<u64>,
    pub severity: Severity,
    pub text: String,
    /// As a sentence.
    pub remedy: String,
}
