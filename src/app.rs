//! The state machine of the terminal UI: a model, messages that change it, and effects that it requests. Pure: no clock, no
//! I/O, no terminal.
//!
//! Everything from outside arrives as a [`Msg`] with its time; everything to be done outside leaves as an [`Effect`]. `ui`
//! draws the model, `runtime` runs the effects.

pub mod action;
pub mod board;
pub mod chord;
pub mod edit;
pub mod fill;
pub mod keymap;
pub mod logs;
pub mod model;
pub mod msg;
pub mod overlay;
pub mod room;
pub mod update;

pub use action::{Action, Context};
pub use chord::{Chord, Code};
pub use keymap::Keymap;
pub use model::{Model, Screen};
pub use msg::{Effect, Msg};
pub use overlay::Overlay;
pub use update::update;
