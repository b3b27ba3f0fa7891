//! Evidence bodies and their digests, the one redaction engine, packing into a token budget, and the check of citations.
//!
//! Pure. A body is redacted before its digest is taken, so that what is stored, shown, sent and exported is one text.

pub mod body;
pub mod check;
pub mod cited;
pub mod pack;
pub mod redact;
pub mod render;
pub mod tokens;

pub use body::{Body, Draft};
pub use pack::{Inclusion, Packed, PackedItem};
pub use redact::{Redacted, RedactionCount, Redactor};
