//! Loopback ports for servers that are not started by the test itself, and for addresses where nothing may listen.
//!
//! A port that was free a moment ago can be taken before the server binds it, or while the server is down: by an outgoing
//! connection, or by another test. So ports come from outside the range that the kernel assigns by itself, and each is locked
//! until this process ends.

#![allow(dead_code, reason = "each test binary uses only a part of this module")]

use std::fs::File;
use std::net::TcpListener;
use std::sync::Mutex;

/// The ports that are tried, outside the default range of Linux (32768 to 60999) and of other systems (from 49152).
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// The locks of this process.
static RESERVED: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A loopback port on which nothing listens, and that no other test reserves while this process runs.
pub(crate) fn reserve() -> u16 {
    let mut reserved = RESERVED.lock().unwrap();
    let folder = std::env::temp_dir().join(format!("warroom-ports-{}", std::env::var("USER").unwrap_or_default()));
    std::fs::create_dir_all(&folder).unwrap();
    // Start at different places, so that processes seldom try the same ports.
    let start = u16::try_from(std::process::id() * 97 % u32::from(COUNT)).unwrap();
    for n in 0..COUNT {
        let port = FIRST + (start + n) % COUNT;
        let lock = File::create(folder.join(port.to_string())).unwrap();
        if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            reserved.push(lock);
            return port;
        }
    }
    panic!("no port from {FIRST} to {} is free", FIRST + COUNT - 1);
}
