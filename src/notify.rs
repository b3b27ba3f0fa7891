//! Sends data to other people's systems. A person must confirm each request before it is sent.

pub(crate) mod channel;
mod markdown;
pub(crate) mod pagerduty;
pub(crate) mod tracker;
