//! What arrives while a model answers.

/// A step of an answer. Control steps are never dropped; texts may be joined on the way.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// The request is on its way, or is tried again: what is happening, for the status line.
    Waiting(String),
    /// More of the answer.
    Text(String),
}
