//! A file that texts are appended to, each with its key, so that none is there twice.

use std::fs::OpenOptions;
use std::io::{Read, Write};

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
    // Others may append at the same time: whoever holds the lock reads and writes.
    let opened = OpenOptions::new().read(true).append(true).create(true).open(path);
    let mut file = match opened.and_then(|file| file.lock().map(|()| file)) {
        Ok(file) => file,
        Err(e) => return failed(&e),
    };
    let mut before = String::new();
    if let Err(e) = file.read_to_string(&mut before) {
        return failed(&e);
    }
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
    match file.write_all(format!("{gap}{section}").as_bytes()).and_then(|()| file.sync_all()) {
        Ok(()) => Delivery::sent(None),
        Err(e) => failed(&e),
    }
}
