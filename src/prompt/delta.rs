//! The events of a streamed answer.

/// One event while a model answers. `Waiting` is never dropped; consecutive texts may be joined.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// The request is pending or being retried, with a message for the status line.
    Waiting(String),
    /// A model is asked now. Its answers usually take so long; `None` if that is not known.
    Asked(Option<std::time::Duration>),
    /// The next part of the answer.
    Text(String),
    /// The whole answer so far, instead of what was sent before: that was the model's reasoning.
    Instead(String),
    /// Another answer begins, below this title.
    Next(String),
}
