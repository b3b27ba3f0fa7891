//! The error of a command, with its exit status and its kind in JSON.

use crate::config::ConfigError;
use crate::evidence::Redactor;
use crate::incident::Refusal;
use crate::investigate::DeskError;
use crate::journal::JournalError;
use crate::sources::SourceError;
use crate::telemetry::Failure;
use crate::telemetry::failure::Explain;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// Wrong usage: exit status 2.
    #[error("{0}")]
    Usage(Failure),
    /// The configuration cannot be used: exit status 2.
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// Exit status 1.
    #[error("{0}")]
    Failed(Failure),
    /// Exit status 4.
    #[error("{0}")]
    NotFound(Failure),
    /// The reader of stdout has closed it, as `head` does. Exit status 0.
    #[error("stdout was closed")]
    Closed,
}

impl CliError {
    pub(super) fn usage(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Usage(Failure::new(message).advise(remedy))
    }

    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(Failure::new(message))
    }

    /// A file that cannot be read or written, with the cause. `verb` completes "cannot … FILE".
    pub(super) fn file(verb: &str, path: &std::path::Path, cause: &(dyn std::error::Error + 'static)) -> Self {
        let failure = Failure::new(format!("cannot {verb} {}", path.display())).because(cause);
        Self::Failed(failure.advise("Check the path and its permissions."))
    }

    /// The exit status.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Config(_) => 2,
            Self::NotFound(_) => 4,
            Self::Desk(e) => match e {
                DeskError::Refused(Refusal::NotFound(_))
                | DeskError::Journal(JournalError::NoSuchIncident(_) | JournalError::Purged { .. }) => 4,
                DeskError::Journal(JournalError::BadUrl { .. }) => 2,
                DeskError::Journal(_)
                | DeskError::Prompt(_)
                | DeskError::Refused(_)
                | DeskError::Redaction(_)
                | DeskError::NotRecorded { .. } => 1,
            },
            Self::Failed(_) => 1,
            Self::Closed => 0,
        }
    }

    /// The kind in the JSON error object: `usage`, `not_found` or `failed`.
    pub(super) fn kind(&self) -> &'static str {
        match self.code() {
            2 => "usage",
            4 => "not_found",
            _ => "failed",
        }
    }
}

impl Explain for CliError {
    fn remedy(&self) -> Option<String> {
        self.failure().remedy
    }

    fn failure(&self) -> Failure {
        match self {
            Self::Usage(failure) | Self::Failed(failure) | Self::NotFound(failure) => failure.clone(),
            Self::Config(e) => e.failure(),
            Self::Desk(e) => e.failure(),
            Self::Closed => Failure::new(self.to_string()),
        }
    }
}

/// A failure with secrets and personal data redacted.
pub(super) fn redacted(failure: &Failure) -> Failure {
    Redactor::new().redact_value(failure).map_or_else(
        |_| Failure::new("cannot show the error: it could not be redacted"),
        crate::evidence::redact::Redacted::into_inner,
    )
}

impl From<JournalError> for CliError {
    fn from(e: JournalError) -> Self {
        Self::Desk(e.into())
    }
}

impl From<Refusal> for CliError {
    fn from(e: Refusal) -> Self {
        Self::Desk(e.into())
    }
}

impl From<SourceError> for CliError {
    fn from(e: SourceError) -> Self {
        Self::Failed(e.failure())
    }
}

impl From<std::io::Error> for CliError {
    fn from(e: std::io::Error) -> Self {
        if e.kind() == std::io::ErrorKind::BrokenPipe {
            Self::Closed
        } else {
            Self::Failed(Failure::new("cannot write the output").because(&e))
        }
    }
}

impl From<serde_json::Error> for CliError {
    fn from(e: serde_json::Error) -> Self {
        Self::Failed(Failure::new("cannot write the result as JSON").because(&e))
    }
}
