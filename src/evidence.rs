//! Evidence: bodies and digests, redaction, packing into a token budget, and the check of claims.
//!
//! Pure: no I/O and no clock. A body is redacted before its digest is computed, so the same text is stored, shown, sent and
//! exported.

pub mod body;
pub mod citations;
pub mod claims;
pub mod mask;
pub mod outside;
pub mod pack;
mod pattern;
pub mod redact;
pub mod render;
pub mod tokens;

pub use body::{Body, Draft};
pub use pack::{Inclusion, Packed, PackedItem};
pub use redact::{Redacted, RedactionCount, Redactor};
