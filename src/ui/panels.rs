//! The parts of the screen, one file each: header, footer, board, incident room, its tabs, and overlays.

pub mod actions;
pub mod assistant;
pub mod board;
pub mod footer;
pub mod header;
pub mod logs;
pub mod overlay;
pub mod overview;
pub mod report;
pub mod room;
pub mod signals;
pub mod small;
pub mod timeline;
