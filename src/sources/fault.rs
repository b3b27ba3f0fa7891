//! The kinds of source failure, by the action that each one requires.

use serde::{Deserialize, Serialize};

use crate::evidence::Redactor;
use crate::telemetry::clean;
use crate::telemetry::failure::Explain;

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Connection refused, name not resolved, or connection lost.
    Unreachable,
    /// The proxy refused the connection or is unreachable.
    Proxy,
    /// The TLS handshake failed, usually because of a certificate.
    Tls,
    Timeout,
    /// 401: no or wrong credentials.
    Unauthenticated,
    /// 403: the credentials are not enough.
    Denied,
    NotFound,
    RateLimited,
    /// The backend rejected the query.
    BadQuery,
    /// The backend failed.
    Server,
    /// The answer does not have the shape of this backend's API.
    Malformed,
    TooLarge,
    /// A recording does not contain the answer to this query.
    NotRecorded,
    /// The configuration or a secret cannot be used.
    Config,
    /// A file could not be read.
    Io,
    /// The user stopped waiting.
    Stopped,
}

impl FaultKind {
    /// A word for a narrow column.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Proxy => "proxy",
            Self::Tls => "TLS",
            Self::Timeout => "timeout",
            Self::Unauthenticated => "no auth",
            Self::Denied => "denied",
            Self::NotFound => "not found",
            Self::RateLimited => "rate limited",
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

    /// The remedy, unless the failure has a more specific one.
    fn remedy(self) -> &'static str {
        match self {
            Self::Unreachable => "Check the URL and that the server is running.",
            Self::Proxy => "Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY, and what the proxy allows.",
            Self::Tls => "Set tls.ca_file to the certificate of the authority that signed the server's.",
            Self::Timeout => "Raise timeout_secs, or ask for a shorter window.",
            Self::Unauthenticated => "Set auth, or the tenant in headers.",
            Self::Denied => "Grant these credentials read access.",
            Self::NotFound => "Check the path of the URL and the type of the source.",
            Self::RateLimited => "Wait, or raise refresh_secs.",
            Self::BadQuery => "Correct the query.",
            Self::Server => "Check the server's own log.",
            Self::Malformed => "Check that the URL leads to a source of this type, not to a login page.",
            Self::TooLarge => "Ask for a shorter window or fewer series.",
            Self::NotRecorded => "Make a new recording that includes this query.",
            Self::Config => "Correct the configuration.",
            Self::Io => "Check the path and its permissions.",
            Self::Stopped => "Try again and wait longer.",
        }
    }
}

/// A failure of a source. The texts are cleaned and redacted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    pub kind: FaultKind,
    pub message: String,
    /// More specific advice than that of the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl SourceError {
    /// A failure whose message may contain text from outside.
    pub fn new(kind: FaultKind, message: impl AsRef<str>) -> Self {
        let cleaned = clean::line(message.as_ref());
        let redacted = Redactor::new().redact_text(&cleaned).into_owned();
        Self { kind, message: clean::truncate(&redacted, 500), advice: None }
    }

    /// Sets a more specific remedy.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// The kind and the message: `unreachable: 127.0.0.1:9090: connection refused`.
    pub fn summary(&self) -> String {
        format!("{}: {}", self.kind.word(), self.message)
    }
}

impl Explain for SourceError {
    fn remedy(&self) -> Option<String> {
        Some(self.advice.clone().unwrap_or_else(|| self.kind.remedy().to_owned()))
    }
}
