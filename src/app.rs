//! The state machine of the terminal UI: a model, messages that change it, and effects that it requests. Pure: no clock, no
//! I/O, no terminal.
//!
//! Everything from outside arrives as a [`Msg`] with its time; everything to be done outside leaves as an [`Effect`]. `ui`
//! draws the model, `runtime` runs the effects.

pub(crate) mod action;
pub(crate) mod attention;
pub(crate) mod board;
pub(crate) mod checklist;
pub(crate) mod chord;
pub(crate) mod conversation;
pub(crate) mod edit;
pub(crate) mod fill;
pub(crate) mod filter;
pub(crate) mod find;
pub(crate) mod keymap;
pub(crate) mod logs;
pub(crate) mod metric;
pub(crate) mod model;
pub(crate) mod msg;
pub(crate) mod overlay;
pub(crate) mod overview;
pub(crate) mod palette;
pub(crate) mod pointer;
pub(crate) mod room;
pub(crate) mod session;
pub(crate) mod synonyms;
pub(crate) mod tour;
pub(crate) mod update;

pub(crate) use action::{Action, Context};
pub(crate) use chord::{Chord, Code};
pub(crate) use keymap::Keymap;
pub(crate) use msg::{Effect, Msg};
pub(crate) use overlay::Overlay;
pub(crate) use update::update;
