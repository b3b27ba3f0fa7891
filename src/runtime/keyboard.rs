//! The events of the terminal, without its late replies.
//!
//! A terminal answers queries (of this program, of one that ran before, of tmux) through the keyboard's channel. crossterm recognises some of the
//! answers; for the others, it passes on the introducer as a key with Alt and the rest letter by letter, which would then act as keys.
//! References: ECMA-48 5.6 (control strings), xterm "Control Sequences" (OSC 4, 10, 11, 52; DCS XTVERSION; DA2).

use std::collections::VecDeque;
use std::task::Poll;
use std::time::{Duration, Instant};

use crossterm::event::{Event, EventStream, KeyCode, KeyModifiers};
use futures_util::{Stream, StreamExt};

use crate::ui::theme::Background;

/// A control string ends, whether terminated or not, when nothing follows for this long. Terminals write a reply at once; it may be
/// split on the way.
const REPLY_GAP: Duration = Duration::from_millis(150);
/// The largest number of events that are taken from the terminal before they are handled.
const MAX_BATCH: usize = 4096;

/// What comes from the terminal.
#[derive(Debug, PartialEq)]
pub(super) enum Input {
    Event(Event),
    /// The answer to the question for the background.
    Background(Background),
}

/// The terminal's events, in order.
pub(super) struct Keyboard {
    events: EventStream,
    ready: VecDeque<Event>,
    replies: ReplyFilter,
}

impl Keyboard {
    /// Begins to read the terminal.
    ///
    /// # Errors
    /// If it is gone. crossterm would panic then.
    pub(super) fn open() -> std::io::Result<Self> {
        #[cfg(unix)]
        if !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
            std::fs::File::open("/dev/tty")?;
        }
        Ok(Self { events: EventStream::new(), ready: VecDeque::new(), replies: ReplyFilter::default() })
    }

    /// Whether events wait that were already read.
    pub(super) fn has_input(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next event that is not part of a reply, or what the terminal answered; `None` if the terminal is gone. Nothing is lost if
    /// the future is dropped.
    pub(super) async fn next(&mut self) -> Option<Input> {
        loop {
            if let Some(background) = self.replies.background.take() {
                return Some(Input::Background(background));
            }
            if let Some(event) = self.ready.pop_front() {
                return Some(Input::Event(event));
            }
            let batch = next_batch(&mut self.events).await?;
            self.ready.extend(self.replies.filter(batch, Instant::now()));
        }
    }
}

/// Waits for an event, and takes those that are ready with it, at most [`MAX_BATCH`]. `None` if the terminal is gone.
///
/// All polls use the waker of this task: the stream keeps the first waker that it is polled with, so that a poll without one would
/// delay the next key until something else wakes the event loop.
async fn next_batch<S>(events: &mut S) -> Option<Vec<Event>>
where
    S: Stream<Item = std::io::Result<Event>> + Unpin,
{
    std::future::poll_fn(|cx| {
        let mut batch = Vec::new();
        while batch.len() < MAX_BATCH {
            match events.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(event))) => batch.push(event),
                Poll::Pending if batch.is_empty() => return Poll::Pending,
                // After the events of this batch, the next poll reports the end or the error again.
                Poll::Pending | Poll::Ready(_) => break,
            }
        }
        Poll::Ready(if batch.is_empty() { None } else { Some(batch) })
    })
    .await
}

/// Where in a control string the last event was.
#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Outside,
    /// After Alt with an introducer, which may also be a key that someone pressed.
    Introduced(char, Instant),
    Inside(Instant),
}

#[derive(Debug, Default)]
struct ReplyFilter {
    state: State,
    /// The text of the control string so far.
    text: String,
    /// The background that a reply named and that was not taken yet.
    background: Option<Background>,
}

/// The longest reply that is read, in bytes.
const MAX_REPLY: usize = 64;

/// The background in the reply `]11;rgb:1e1e/1e1e/1e1e` (xterm, OSC 11), whose parts have one to four hexadecimal digits.
fn background(text: &str) -> Option<Background> {
    let (_, colour) = text.strip_prefix("]11;")?.split_once(':')?;
    let part = |digits: &str| {
        if digits.len() > 4 {
            return None;
        }
        let largest = (1_u32 << (4 * digits.len().clamp(1, 4))) - 1;
        u8::try_from(u32::from_str_radix(digits, 16).ok()? * 255 / largest).ok()
    };
    let mut parts = colour.split('/').map(part);
    Some(Background::of(parts.next()??, parts.next()??, parts.next()??))
}

impl ReplyFilter {
    fn collect(&mut self, code: KeyCode) {
        if let KeyCode::Char(c) = code
            && self.text.len() < MAX_REPLY
        {
            self.text.push(c);
        }
    }

    /// The events without replies. `batch` holds the events that were ready at `now`.
    fn filter(&mut self, batch: Vec<Event>, now: Instant) -> Vec<Event> {
        let mut out = Vec::new();
        // Keep an introducer until its meaning is clear.
        let mut held: Option<Event> = None;
        let mut skip = 0;
        for (index, event) in batch.iter().enumerate() {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let Some((code, modifiers)) = key(event) else {
                out.extend(held.take());
                out.push(event.clone());
                continue;
            };
            self.state = match self.state {
                State::Introduced(intro, at) if now.duration_since(at) < REPLY_GAP && begins_reply(intro, code) => {
                    held = None;
                    self.text = String::from(intro);
                    self.collect(code);
                    State::Inside(now)
                }
                State::Inside(at) if now.duration_since(at) < REPLY_GAP => {
                    if is_terminator(code, modifiers) {
                        self.background = background(&self.text).or(self.background);
                        State::Outside
                    } else {
                        self.collect(code);
                        State::Inside(now)
                    }
                }
                State::Introduced(..) | State::Inside(_) | State::Outside => {
                    out.extend(held.take());
                    match (code, modifiers) {
                        (KeyCode::Char(intro @ (']' | 'P' | '_' | '^' | 'X')), m) if m.contains(KeyModifiers::ALT) => {
                            held = Some(event.clone());
                            State::Introduced(intro, now)
                        }
                        _ => {
                            skip = device_attributes(batch.get(index..).unwrap_or_default());
                            match skip.checked_sub(1) {
                                Some(rest) => skip = rest,
                                None => out.push(event.clone()),
                            }
                            State::Outside
                        }
                    }
                }
            };
        }
        out.extend(held);
        out
    }
}

fn key(event: &Event) -> Option<(KeyCode, KeyModifiers)> {
    match event {
        Event::Key(key) => Some((key.code, key.modifiers)),
        _ => None,
    }
}

/// Whether a control string of this kind begins this way: an OSC with its number, a DCS with its parameters, an APC of the graphics protocol.
fn begins_reply(intro: char, code: KeyCode) -> bool {
    let KeyCode::Char(c) = code else { return false };
    match intro {
        ']' => c.is_ascii_digit() || c == 'l' || c == 'L',
        'P' => c.is_ascii_digit() || matches!(c, '>' | '!' | '?' | '='),
        '_' => c == 'G',
        _ => true,
    }
}

/// String terminator (`ESC \`) or BEL.
fn is_terminator(code: KeyCode, modifiers: KeyModifiers) -> bool {
    matches!((code, modifiers), (KeyCode::Char('\\'), m) if m.contains(KeyModifiers::ALT))
        || matches!((code, modifiers), (KeyCode::Char('g'), m) if m.contains(KeyModifiers::CONTROL))
}

/// The length of the rest of a secondary device attributes reply at the start of `events`: `1;5000;1c`, whose `ESC [ >` crossterm
/// drops; 0 if there is none. No one types that within one read.
fn device_attributes(events: &[Event]) -> usize {
    let plain = |e: &Event| match key(e) {
        Some((KeyCode::Char(c), KeyModifiers::NONE)) => Some(c),
        _ => None,
    };
    let mut semicolons = 0;
    for (n, c) in events.iter().map_while(plain).enumerate() {
        match c {
            '0'..='9' => {}
            ';' if n > 0 => semicolons += 1,
            'c' if semicolons > 0 => return n + 1,
            _ => return 0,
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Like crossterm's stream, keeps the first waker until it is woken.
    #[derive(Default)]
    struct OneWaker {
        events: VecDeque<Event>,
        waker: Option<std::task::Waker>,
    }

    impl Stream for OneWaker {
        type Item = std::io::Result<Event>;
        fn poll_next(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Option<Self::Item>> {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            self.waker.get_or_insert_with(|| cx.waker().clone());
            Poll::Pending
        }
    }

    #[derive(Default)]
    struct CountWakes(std::sync::atomic::AtomicU32);

    impl std::task::Wake for CountWakes {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    #[test]
    fn a_key_after_a_batch_wakes_the_event_loop() {
        let wakes = std::sync::Arc::new(CountWakes::default());
        let waker = std::task::Waker::from(std::sync::Arc::clone(&wakes));
        let mut cx = std::task::Context::from_waker(&waker);
        let key = || Event::Key(KeyCode::Char('j').into());
        let mut events = OneWaker { events: VecDeque::from([key(), key()]), waker: None };
        let first = std::pin::pin!(next_batch(&mut events)).as_mut().poll(&mut cx);
        assert!(matches!(first, Poll::Ready(Some(batch)) if batch.len() == 2));
        assert!(std::pin::pin!(next_batch(&mut events)).as_mut().poll(&mut cx).is_pending());
        events.events.push_back(key());
        events.waker.take().unwrap().wake();
        assert_eq!(wakes.0.load(std::sync::atomic::Ordering::Relaxed), 1, "the waker of the task, not that of an earlier poll");
    }
    use crossterm::event::KeyEvent;

    /// Events as crossterm makes them from bytes: `ESC x` is Alt with x.
    fn events(bytes: &str) -> Vec<Event> {
        let mut out = Vec::new();
        let mut chars = bytes.chars();
        while let Some(c) = chars.next() {
            let (c, modifiers) = match c {
                '\x1b' => (chars.next().unwrap(), KeyModifiers::ALT),
                '\x07' => ('g', KeyModifiers::CONTROL),
                c => (c, KeyModifiers::NONE),
            };
            out.push(Event::Key(KeyEvent::new(KeyCode::Char(c), modifiers)));
        }
        out
    }

    #[test]
    fn swallows_replies_and_keeps_the_keys_around_them() {
        let now = Instant::now();
        for (reply, name) in [
            ("\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\", "background colour"),
            ("\x1b]4;1;rgb:cdcd/0000/0000\x07", "palette"),
            ("\x1b]52;c;aGVsbG8=\x1b\\", "clipboard"),
            ("\x1bP>|tmux 3.4\x1b\\", "version"),
            ("\x1bP1$r0m\x1b\\", "status string"),
            ("\x1b_Gi=31;OK\x1b\\", "graphics"),
            ("1;5000;1c", "device attributes without their introducer"),
        ] {
            let mut filter = ReplyFilter::default();
            let kept = filter.filter(events(&format!("j{reply}k")), now);
            assert_eq!(kept, events("jk"), "{name}");
        }
    }

    #[test]
    fn the_background_is_read_from_the_reply() {
        for (reply, expected) in [
            ("\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\", Some(Background::Dark)),
            ("\x1b]11;rgb:fdfd/f6f6/e3e3\x07", Some(Background::Light)),
            ("\x1b]11;rgb:ff/ff/ff\x1b\\", Some(Background::Light)),
            ("\x1b]11;rgba:0000/2b2b/3636/ffff\x1b\\", Some(Background::Dark)),
            ("\x1b]10;rgb:ffff/ffff/ffff\x1b\\", None),
            ("\x1b]11;rgb:zz/ff/ff\x1b\\", None),
            ("\x1b]11;rgb:ffffffff/0/0\x1b\\", None),
            ("\x1b]11;rgb:ffff/ffff\x1b\\", None),
        ] {
            let mut filter = ReplyFilter::default();
            assert!(filter.filter(events(reply), Instant::now()).is_empty());
            assert_eq!(filter.background, expected, "{reply:?}");
        }
    }

    #[test]
    fn a_reply_may_come_in_parts_and_without_an_end() {
        let mut filter = ReplyFilter::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let introducer = events("\x1b]");
        assert_eq!(filter.filter(introducer.clone(), at(0)), introducer, "it may be a key");
        assert!(filter.filter(events("11;rgb:1e"), at(40)).is_empty());
        assert!(filter.filter(events("1e/1e1e"), at(90)).is_empty());
        assert_eq!(filter.filter(events("n"), at(600)), events("n"), "the reply was cut off");
    }

    #[test]
    fn keys_that_look_similar_are_keys() {
        let now = Instant::now();
        for keys in ["\x1b]n", "\x1bPj", "1;2", "12c", "3", ";c", "c", "\x1b\\"] {
            let all = events(keys);
            assert_eq!(ReplyFilter::default().filter(all.clone(), now), all, "{keys:?}");
        }
    }
}
