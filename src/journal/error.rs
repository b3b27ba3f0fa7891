//! Why the store could not do what it was asked: what failed, the cause beneath, and the remedy.

use crate::incident::IncidentId;
use crate::telemetry::Failure;
use crate::telemetry::failure::{Cause, Explain};

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{0} is not in this store")]
    NoSuchIncident(IncidentId),
    #[error("{incident} was deleted, and its number is not reused: {note}")]
    Purged { incident: IncidentId, note: String },
    /// Someone else appended first: read again and retry.
    #[error("{incident} changed in the meantime: entry {found} exists, {expected} was the last one read")]
    Conflict { incident: IncidentId, expected: u64, found: u64 },
    #[error("cannot open the store {path}")]
    Open {
        path: String,
        #[source]
        source: Cause,
    },
    #[error("the store {path} was written by a newer warroom: its schema is {found}, this version knows {known}")]
    Newer { path: String, found: i64, known: i64 },
    /// `doing` completes "cannot … the store": `read`, `write to`, `open`.
    #[error("cannot {doing} the store")]
    Io {
        doing: &'static str,
        #[source]
        source: Cause,
    },
    #[error("cannot read entry {seq} of {incident}")]
    Damaged {
        incident: IncidentId,
        seq: u64,
        #[source]
        source: Cause,
    },
    #[error("'{url}' is not a store: {reason}")]
    BadUrl { url: String, reason: String },
    #[error("the store {path} is read-only here: {reason}. Nothing was written")]
    ReadOnly { path: String, reason: String },
    /// The shared store cannot be reached or cannot write now; callers that can do so keep the entries elsewhere.
    #[error("the shared store {url} is unreachable: {reason}")]
    Away { url: String, reason: String },
    #[error("the shared store {url} refused the connection: {reason}")]
    Rejected { url: String, reason: String, remedy: String },
    /// A bundle that cannot be read, written or imported.
    #[error("{0}")]
    Bundle(Failure),
    #[error("the thread that owns the store has ended")]
    Gone,
}

impl JournalError {
    /// A failed read, write or opening, with its cause; see [`Self::Io`].
    pub(super) fn io(doing: &'static str, source: impl Into<Cause>) -> Self {
        Self::Io { doing, source: source.into() }
    }

    /// A bundle that cannot be used.
    pub(super) fn bundle(message: impl Into<String>) -> Self {
        Self::Bundle(Failure::new(message))
    }

    /// What SQLite reported, where it was SQLite that failed.
    pub(super) fn sqlite_code(&self) -> Option<rusqlite::ErrorCode> {
        match self {
            Self::Open { source, .. } | Self::Io { source, .. } => {
                source.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code)
            }
            _ => None,
        }
    }

    /// Whether the file itself is broken, so that no retry can help.
    pub(super) fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode as C;
        matches!(self.sqlite_code(), Some(C::DatabaseCorrupt | C::NotADatabase))
    }

    /// Whether another process holds the file.
    pub(super) fn is_busy(&self) -> bool {
        use rusqlite::ErrorCode as C;
        matches!(self.sqlite_code(), Some(C::DatabaseBusy | C::DatabaseLocked))
    }

    /// Whether the store could not take the entry although the entry is fine: what was typed is worth keeping and retrying.
    pub fn is_refusal_of_the_store(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::ReadOnly { .. } | Self::Newer { .. })
    }
}

impl Explain for JournalError {
    fn remedy(&self) -> Option<String> {
        use rusqlite::ErrorCode as C;
        let remedy = match self {
            Self::NoSuchIncident(_) => "Run `warroom incident list` to see which incidents there are.",
            Self::Conflict { .. } => "Try again.",
            Self::Newer { .. } => "Update warroom. Nothing was changed.",
            Self::Damaged { .. } => "Run `warroom verify` to see where the chain is broken.",
            Self::BadUrl { .. } => "Give sqlite:PATH, a path, postgres://NAME@HOST/DATABASE or bundle:FILE.",
            Self::ReadOnly { .. } => "Give another store with --store to write.",
            Self::Gone => "Start warroom again.",
            Self::Rejected { remedy, .. } => return Some(remedy.clone()),
            Self::Bundle(failure) => return failure.remedy.clone(),
            Self::Open { .. } | Self::Io { .. } => match self.sqlite_code() {
                Some(C::DiskFull) => "Free some space. Nothing that was acknowledged is lost.",
                Some(C::ReadOnly | C::PermissionDenied) => "Check the file's permissions, or give another store with --store.",
                Some(C::DatabaseBusy | C::DatabaseLocked) => "Another process is using it. Try again.",
                Some(C::SystemIoFailure) => "Check whether the disk is full or failing. Nothing that was acknowledged is lost.",
                Some(C::DatabaseCorrupt | C::NotADatabase) => {
                    "Restore the file from a backup, or give another store with --store."
                }
                _ if matches!(self, Self::Open { .. }) => {
                    "Check the path and its permissions, or give another store with --store."
                }
                _ => return None,
            },
            Self::Purged { .. } | Self::Away { .. } => return None,
        };
        Some(remedy.to_owned())
    }
}
