//! Why a source did not answer, in kinds that a person acts on differently.

use serde::{Deserialize, Serialize};

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Nobody listens, the name does not resolve, the connection broke.
    Unreachable,
    /// The certificate was not accepted.
    Tls,
    Timeout,
    /// 401: who are you.
    Unauthenticated,
    /// 403: you may not.
    Denied,
    NotFound,
    RateLimited,
    /// The backend refused the question.
    BadQuery,
    /// The backend failed.
    Server,
    /// The answer was not what this backend answers.
    Malformed,
    TooLarge,
    /// A recording does not hold the answer to this question.
    NotRecorded,
    /// The configuration or a secret is not usable.
    Config,
    /// A file could not be read.
    Io,
    /// The person at the keyboard did not want to wait for it.
    Stopped,
}

impl FaultKind {
    /// The word for a header of a few columns.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "refused",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Unauthenticated => "no auth",
            Self::Denied => "denied",
            Self::NotFound => "not found",
            Self::RateLimited => "limited",
            Self::BadQuery => "bad query",
            Self::Server => "failing",
            Self::Malformed => "malformed",
            Self::TooLarge => "too large",
            Self::NotRecorded => "not recorded",
            Self::Config => "config",
            Self::Io => "unreadable",
            Self::Stopped => "stopped",
        }
    }

    /// What a person does about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Unreachable => "check that it runs and that the url is right",
            Self::Tls => "give the authority's certificate as tls.ca_file",
            Self::Timeout => "it is slow or filtered: raise timeout_secs or ask for less",
            Self::Unauthenticated => "give auth, or a tenant in headers",
            Self::Denied => "the credentials may not read this: ask for the right",
            Self::NotFound => "check the url's path prefix and the type of the source",
            Self::RateLimited => "wait, or lower refresh_secs",
            Self::BadQuery => "correct the query",
            Self::Server => "look at its own log",
            Self::Malformed => "check that the url is of this type of source and not a login page",
            Self::TooLarge => "ask for a shorter window or fewer series",
            Self::NotRecorded => "record again with this question asked",
            Self::Config => "correct the configuration",
            Self::Io => "check the path and its permissions",
            Self::Stopped => "ask again, and give it longer",
        }
    }
}

/// A failure of a source. `message` is cleaned and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    pub kind: FaultKind,
    pub message: String,
}

impl SourceError {
    /// With a message that comes from outside or holds something from outside.
    pub fn new(kind: FaultKind, message: impl AsRef<str>) -> Self {
        let cleaned = crate::telemetry::clean::line(message.as_ref());
        let redacted = crate::evidence::Redactor::new().text(&cleaned).into_owned();
        Self { kind, message: crate::telemetry::clean::truncate(&redacted, 500) }
    }
}
