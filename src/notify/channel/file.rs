//! A file that texts are appended to, each with its key, so that none is there twice.

use std::fs::OpenOptions;
use std::io::Write;

use super::{Delivery, Message, Parcel};
use crate::incident::SendOutcome;

pub(super) fn pack(path: &str, message: &Message) -> Parcel {
    let marker = format!("<!-- warroom {} -->", message.outgoing.key);
    let label = message.label().map_or_else(String::new, |label| format!("_{label}_\n\n"));
    let section = format!("## {}\n\n{label}{}\n\n{marker}\n", message.outgoing.subject, message.outgoing.text);
    Parcel::File { path: path.to_owned(), section, marker }
}

/// Appends a section, unless the file has it already. Blocks.
pub(super) fn append(path: &str, section: &str, marker: &str) -> Delivery {
    let failed = |e: &std::io::Error| Delivery::new(SendOutcome::Failed, format!("cannot write {path}: {e}"));
    let before = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return failed(&e),
    };
    if before.contains(marker) {
        return Delivery { detail: "it was there already".to_owned(), ..Delivery::sent(None) };
    }
    // A section that was cut off by a crash is not continued.
    let gap = match before.as_str() {
        "" => "",
        text if text.ends_with("\n\n") => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    let written = OpenOptions::new().append(true).create(true).open(path).and_then(|mut file| {
        file.write_all(format!("{gap}{section}").as_bytes())?;
        file.sync_all()
    });
    match written {
        Ok(()) => Delivery::sent(None),
        Err(e) => failed(&e),
    }
}
