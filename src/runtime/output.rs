//! What is written to the terminal, by a thread of its own: a terminal that reads slowly, or not at all, holds up neither keys nor signals
//! nor the journal.
//!
//! A frame is drawn only after the one before was written, so that a slow terminal gets fewer frames rather than old ones.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The bytes that are written at once. Between parts, a program that ends can leave out the rest.
const PART: usize = 1024;
/// How long a terminal may accept nothing before what is left is given up at the end.
const STALL: Duration = Duration::from_millis(500);
/// The longest wait for the terminal at the end.
const LONGEST: Duration = Duration::from_secs(3);
/// Ends a control sequence that was cut off (ECMA-48, CAN).
const CANCEL: u8 = 0x18;

#[derive(Default)]
struct State {
    /// What is to be written.
    waiting: Vec<u8>,
    is_writing: bool,
    /// The bytes written so far.
    written: u64,
    /// Whether the terminal is gone.
    has_failed: bool,
}

#[derive(Default)]
struct Output {
    state: Mutex<State>,
    /// There is something to write.
    work: Condvar,
    /// A part was written.
    progress: Condvar,
    /// Everything was written, or the terminal is gone.
    idle: Notify,
}

/// Writes a part as a whole. A terminal that another program left in non-blocking mode is asked again.
fn write_part(out: &mut impl Write, mut part: &[u8]) -> io::Result<()> {
    use io::ErrorKind::{Interrupted, WouldBlock, WriteZero};
    loop {
        let result = if part.is_empty() { out.flush().map(|()| 0) } else { out.write(part) };
        match result {
            Ok(0) if part.is_empty() => return Ok(()),
            Ok(0) => return Err(WriteZero.into()),
            Ok(n) => part = part.get(n..).unwrap_or_default(),
            Err(error) if error.kind() == WouldBlock => std::thread::sleep(Duration::from_millis(10)),
            Err(error) if error.kind() == Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl Output {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is waiting, until the process ends.
    fn write_on(&self, out: &mut impl Write) {
        let mut state = self.lock();
        loop {
            while state.waiting.is_empty() {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let length = state.waiting.len().min(PART);
            let part: Vec<u8> = state.waiting.drain(..length).collect();
            state.is_writing = true;
            drop(state);
            let result = write_part(out, &part);
            state = self.lock();
            state.is_writing = false;
            state.written += part.len() as u64;
            if result.is_err() {
                (state.has_failed, state.waiting) = (true, Vec::new());
            }
            self.progress.notify_all();
            if state.waiting.is_empty() {
                self.idle.notify_one();
            }
        }
    }

    fn is_idle(state: &State) -> bool {
        state.waiting.is_empty() && !state.is_writing
    }

    /// Writes `last` behind what is waiting. What the terminal does not read in time is left out.
    fn end_with(&self, last: &[u8]) {
        let mut state = self.wait_until_idle(self.lock(), LONGEST / 2);
        if !Self::is_idle(&state) {
            state.waiting.clear();
            state.waiting.push(CANCEL);
            forget_unread();
        }
        if !state.has_failed {
            state.waiting.extend_from_slice(last);
        }
        self.work.notify_one();
        drop(self.wait_until_idle(state, LONGEST / 2));
    }

    /// Waits until everything is written, for as long as the terminal reads, and at most this long.
    fn wait_until_idle<'a>(&'a self, mut state: MutexGuard<'a, State>, longest: Duration) -> MutexGuard<'a, State> {
        let (began, mut written, mut moved) = (Instant::now(), state.written, Instant::now());
        while !Self::is_idle(&state) && moved.elapsed() < STALL && began.elapsed() < longest {
            state = self.progress.wait_timeout(state, STALL / 10).unwrap_or_else(PoisonError::into_inner).0;
            if state.written != written {
                (written, moved) = (state.written, Instant::now());
            }
        }
        state
    }
}

/// Drops what the terminal was given and has not read, so that there is room for the end.
fn forget_unread() {
    #[cfg(all(unix, not(test)))]
    let _not_a_terminal = rustix::termios::tcflush(io::stdout(), rustix::termios::QueueSelector::OFlush);
}

fn output() -> &'static Output {
    static OUTPUT: OnceLock<Output> = OnceLock::new();
    static THREAD: OnceLock<bool> = OnceLock::new();
    let output = OUTPUT.get_or_init(Output::default);
    THREAD.get_or_init(|| {
        let thread = std::thread::Builder::new().name("terminal".to_owned());
        let began = thread.spawn(|| output.write_on(&mut io::stdout())).is_ok();
        // Without a thread, nothing can be shown.
        output.lock().has_failed = !began;
        began
    });
    output
}

/// The terminal: what is written to it is written by the thread after a flush.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tty;

impl Write for Tty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = output().lock();
        if !state.has_failed {
            state.waiting.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        output().work.notify_one();
        Ok(())
    }
}

/// Whether everything was written.
pub(super) fn is_idle() -> bool {
    Output::is_idle(&output().lock())
}

/// Whether the terminal is gone.
pub(super) fn has_failed() -> bool {
    output().lock().has_failed
}

/// Waits until everything was written, or the terminal is gone.
pub(super) async fn idle() {
    while !is_idle() {
        output().idle.notified().await;
    }
}

/// Writes this behind what is waiting, and waits until it is written, unless the terminal does not read.
pub(super) fn end_with(last: &[u8]) {
    output().end_with(last);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, mpsc};

    /// A terminal that reads a part only when it is allowed to.
    struct Slow {
        permits: mpsc::Receiver<()>,
        read: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.permits.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            self.read.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (&'static Output, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (permit, permits) = mpsc::channel();
        let read = Arc::<Mutex<Vec<u8>>>::default();
        let output: &'static Output = Box::leak(Box::default());
        let mut terminal = Slow { permits, read: Arc::clone(&read) };
        std::thread::spawn(move || output.write_on(&mut terminal));
        (output, permit, read)
    }

    #[test]
    fn the_end_is_written_and_what_was_not_read_in_time_is_left_out() {
        let (output, permit, read) = slow();
        output.lock().waiting = vec![b'x'; 50 * PART];
        output.work.notify_one();
        while !output.lock().is_writing {
            std::thread::yield_now();
        }
        let end = std::thread::spawn(move || output.end_with(b"bye"));
        // Nothing is read until the rest was left out.
        while output.lock().waiting.len() > PART {
            std::thread::sleep(Duration::from_millis(5));
        }
        (0..100).for_each(|_| permit.send(()).unwrap());
        end.join().unwrap();
        while !Output::is_idle(&output.lock()) {
            std::thread::yield_now();
        }
        let read = read.lock().unwrap().clone();
        assert!(read.ends_with(b"\x18bye") && read.len() < 2 * PART, "{} bytes", read.len());
    }

    #[test]
    fn a_terminal_that_reads_gets_everything() {
        let (output, permit, read) = slow();
        (0..100).for_each(|_| permit.send(()).unwrap());
        output.lock().waiting = vec![b'x'; 20 * PART];
        output.end_with(b"bye");
        while !Output::is_idle(&output.lock()) {
            std::thread::yield_now();
        }
        assert_eq!(read.lock().unwrap().len(), 20 * PART + 3);
    }

    #[test]
    fn a_terminal_that_does_not_read_or_is_gone_holds_nothing_up() {
        let (output, permit, _) = slow();
        output.lock().waiting = b"frame".to_vec();
        output.work.notify_one();
        // Returns although nothing is read.
        output.end_with(b"bye");
        assert!(!Output::is_idle(&output.lock()));
        drop(permit);
        while !output.lock().has_failed {
            std::thread::yield_now();
        }
        assert!(Output::is_idle(&output.lock()), "what cannot be written is dropped");
    }
}
