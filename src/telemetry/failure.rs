//! The description of a failure for people and scripts: what went wrong, why, and what to do about it, in separate fields.
//!
//! Every error type of the program implements [`Explain`]. The command line (with and without `--json`) and the terminal UI
//! show the same three parts of the resulting [`Failure`].

use serde::{Deserialize, Serialize};

/// The underlying cause of an error, of any error type.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A failure, described for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The failed operation and its object, without a trailing full stop.
    pub message: String,
    /// Why it failed, from the outermost cause to the innermost; empty if the message is complete by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// The remedy, as a sentence; `None` if there is nothing to suggest.
    #[serde(default)]
    pub remedy: Option<String>,
}

impl Failure {
    /// A failure with a message and no causes or remedy.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// Sets the remedy.
    #[must_use]
    pub fn advise(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Adds a cause, followed by its own causes.
    #[must_use]
    pub fn because(mut self, cause: &(dyn std::error::Error + 'static)) -> Self {
        self.causes.push(cause.to_string());
        self.causes.extend(causes(cause));
        self
    }

    /// The message and its causes on one line, without the remedy.
    pub fn summary(&self) -> String {
        let mut text = self.message.clone();
        let mut last = self.message.as_str();
        for cause in &self.causes {
            // Many libraries repeat the inner error in the outer one.
            if !last.contains(cause.as_str()) {
                text.push_str(": ");
                text.push_str(cause);
            }
            last = cause;
        }
        text
    }

    /// The whole failure on one line: the summary, then the remedy as a sentence.
    pub fn line(&self) -> String {
        match &self.remedy {
            Some(remedy) => format!("{}. {remedy}", self.summary().trim_end_matches('.')),
            None => self.summary(),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.summary())
    }
}

impl std::error::Error for Failure {}

/// A file that a user wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserFile {
    /// Its path, for messages.
    pub path: String,
    /// Its name without the extension.
    pub name: String,
    pub text: String,
}

/// A problem in a user's file. The program uses a built-in replacement and continues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileProblem {
    pub file: String,
    /// Counted from 1; `None` if the problem concerns the whole file.
    pub line: Option<u64>,
    /// The problem.
    pub text: String,
    /// The remedy, as a sentence.
    pub remedy: String,
}

impl std::fmt::Display for FileProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}. {}", self.file, self.text, self.remedy),
            None => write!(f, "{}: {}. {}", self.file, self.text, self.remedy),
        }
    }
}

/// An error that can suggest a remedy.
pub trait Explain: std::error::Error + 'static {
    /// The remedy, as a sentence; `None` if there is nothing to suggest.
    fn remedy(&self) -> Option<String>;

    /// The error with its causes and its remedy.
    fn failure(&self) -> Failure
    where
        Self: Sized,
    {
        Failure { message: self.to_string(), causes: causes(self), remedy: self.remedy() }
    }
}

impl Explain for Failure {
    fn remedy(&self) -> Option<String> {
        self.remedy.clone()
    }

    fn failure(&self) -> Failure {
        self.clone()
    }
}

/// The first cause of type `T`, or the error itself if it is one. Looks into the errors that [`std::io::Error`] wraps.
pub fn find_cause<'a, T: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        // The source of an I/O error that wraps another error is the source of that one: it would be skipped.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = wrapped.map(|w| w as &(dyn std::error::Error + 'static)).or_else(|| error.source());
    }
    None
}

/// The causes of an error, outermost first; empty if it has no source.
pub fn causes(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    causes
}

/// An error and its causes on one line, separated by colons.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the store")]
    struct Outer(#[source] std::io::Error);

    impl Explain for Outer {
        fn remedy(&self) -> Option<String> {
            Some("Check the path.".to_owned())
        }
    }

    #[test]
    fn finds_what_io_errors_wrap() {
        let inner = std::io::Error::new(std::io::ErrorKind::InvalidData, std::fmt::Error);
        let error = Outer(std::io::Error::other(std::io::Error::other(inner)));
        assert!(find_cause::<std::fmt::Error>(&error).is_some());
        assert!(find_cause::<std::num::ParseIntError>(&error).is_none());
    }

    #[test]
    fn keeps_message_causes_and_remedy_apart() {
        let failure = Outer(std::io::Error::other("no such file")).failure();
        assert_eq!(failure.message, "cannot open the store");
        assert_eq!(failure.causes, ["no such file"]);
        assert_eq!(failure.remedy.as_deref(), Some("Check the path."));
        assert_eq!(failure.line(), "cannot open the store: no such file. Check the path.");
    }

    #[test]
    fn does_not_repeat_a_cause_that_the_message_already_names() {
        let failure = Failure { message: "a: b".into(), causes: vec!["b".into(), "c".into()], remedy: None };
        assert_eq!(failure.line(), "a: b: c");
    }
}
