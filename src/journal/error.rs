//! The errors of the store, with their causes and remedies.

use crate::incident::IncidentId;
use crate::telemetry::Failure;
use crate::telemetry::failure::{Cause, Explain};

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{0} is not in this store")]
    NoSuchIncident(IncidentId),
    #[error("{incident} was deleted, and its number is not reused: {note}")]
    Purged { incident: IncidentId, note: String },
    /// Someone else appended first. Read again and retry.
    #[error("{incident} changed in the meantime: its last entry is {found}, but {expected} was the last one read")]
    Conflict { incident: IncidentId, expected: u64, found: u64 },
    #[error("cannot open the store {path}")]
    Open {
        path: String,
        #[source]
        source: Cause,
    },
    #[error("the store {path} was written by a newer warroom: its schema version is {found}, this warroom supports {known}")]
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
    #[error("the store {path} is read-only: {reason}. Nothing was written")]
    ReadOnly { path: String, reason: String },
    /// The shared store cannot be reached, or cannot write at the moment. [`super::team`] then keeps entries in the outbox.
    #[error("the shared store {url} is unreachable: {reason}")]
    Unreachable { url: String, reason: String },
    /// The server rejects this user, or the store is not the one that this machine's copy belongs to. Retrying does not help.
    #[error("cannot use the shared store {url}: {reason}")]
    Rejected { url: String, reason: String, remedy: String },
    /// A bundle that cannot be read, written or imported.
    #[error("{0}")]
    Bundle(Failure),
    #[error("the thread that owns the store has ended")]
    Gone,
}

impl JournalError {
    /// An [`Self::Io`] error: a read, write or open that failed, with its cause.
    pub(super) fn io(doing: &'static str, source: impl Into<Cause>) -> Self {
        Self::Io { doing, source: source.into() }
    }

    /// A [`Self::Bundle`] error without a remedy.
    pub(super) fn bundle(message: impl Into<String>) -> Self {
        Self::Bundle(Failure::new(message))
    }

    /// The error code of SQLite; `None` if SQLite did not cause the error.
    pub(super) fn sqlite_code(&self) -> Option<rusqlite::ErrorCode> {
        match self {
            Self::Open { source, .. } | Self::Io { source, .. } => {
                source.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code)
            }
            _ => None,
        }
    }

    /// Whether the SQLite file is damaged, so that a retry cannot help.
    pub(super) fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode as C;
        matches!(self.sqlite_code(), Some(C::DatabaseCorrupt | C::NotADatabase))
    }

    /// Whether another process has locked the file.
    pub(super) fn is_busy(&self) -> bool {
        use rusqlite::ErrorCode as C;
        matches!(self.sqlite_code(), Some(C::DatabaseBusy | C::DatabaseLocked))
    }

    /// Whether the store could not write although the entry is valid, so that it is worth keeping and retrying.
    pub fn is_write_failure(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::ReadOnly { .. } | Self::Newer { .. })
    }
}

impl Explain for JournalError {
    fn remedy(&self) -> Option<String> {
        use rusqlite::ErrorCode as C;
        let remedy = match self {
            Self::NoSuchIncident(_) => "Run `warroom incident list` to list the incidents.",
            Self::Conflict { .. } => "Try again.",
            Self::Newer { .. } => "Update warroom. Nothing was changed.",
            Self::Damaged { .. } => "Run `warroom verify` to see where the chain is broken.",
            Self::BadUrl { .. } => "Use sqlite:PATH, a path, postgres://NAME@HOST/DATABASE or bundle:FILE.",
            Self::ReadOnly { .. } => "To write, choose another store with --store.",
            Self::Gone => "Start warroom again.",
            Self::Rejected { remedy, .. } => return Some(remedy.clone()),
            Self::Bundle(failure) => return failure.remedy.clone(),
            Self::Open { .. } | Self::Io { .. } => match self.sqlite_code() {
                Some(C::DiskFull) => "Free some space on the disk. No acknowledged entry is lost.",
                Some(C::ReadOnly | C::PermissionDenied) => "Check the file's permissions, or choose another store with --store.",
                Some(C::DatabaseBusy | C::DatabaseLocked) => "Another process has locked the file. Try again.",
                Some(C::SystemIoFailure) => "Check whether the disk is full or failing. No acknowledged entry is lost.",
                Some(C::DatabaseCorrupt | C::NotADatabase) => {
                    "Restore the file from a backup, or choose another store with --store."
                }
                _ if matches!(self, Self::Open { .. }) => {
                    "Check the path and its permissions, or choose another store with --store."
                }
                _ => return None,
            },
            Self::Purged { .. } | Self::Unreachable { .. } => return None,
        };
        Some(remedy.to_owned())
    }
}
