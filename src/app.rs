//! The TUI's machine: a model, messages that change it, effects that it asks for. Pure: no clock, no I/O, no terminal.
//!
//! Every outside fact enters as a [`Msg`] with its time; every outside act leaves as an [`Effect`]. `ui` reads the model,
//! `runtime` runs the effects.

pub mod action;
pub mod board;
pub mod chord;
pub mod edit;
pub mod logs;
pub mod model;
pub mod msg;
pub mod overlay;
pub mod room;
pub mod update;

pub use action::{Action, Context};
pub use chord::{Chord, Code};
pub use model::{Model, Screen};
pub use msg::{Effect, Msg};
pub use overlay::Overlay;
pub use update::update;
