//! `warroom logs show`: the events of log files in one form, merged by time.

use std::collections::VecDeque;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use serde_json::json;

use super::patterns::service_of;
use super::selection::Selection;
use super::stream::{Spare, Stream};
use crate::analysis::patterns::filter::LineFilter;
use crate::cli::reading::STOPPED;
use crate::cli::{CliError, Done, out};
use crate::evidence::Redactor;
use crate::investigate::clock::now;
use crate::telemetry::log::Level;
use crate::telemetry::parse::{Context, Formats, Joiner};
use crate::telemetry::{LogLine, Timestamp};

/// Arguments of `warroom logs show`.
#[derive(Args)]
#[command(
    after_help = "Each file is read in its own order. Times are UTC. Exit status: 0; 1 if events are selected and there are none, or for a failure; 2 for wrong arguments; 3 if a file was left out or not read to its end."
)]
pub struct ShowArgs {
    /// Log files, plain or compressed (gzip, zstd, bzip2, xz); - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
    /// Print the fields of each event as well
    #[arg(long)]
    fields: bool,
}

/// A file that is being read.
struct Source {
    stream: Stream,
    joiner: Joiner,
    filter: LineFilter,
    /// Events that are read and not printed yet.
    events: VecDeque<LogLine>,
    /// The time of the last event that has one.
    at: Option<Timestamp>,
    service: Option<String>,
    has_ended: bool,
}

impl Source {
    /// Reads until an event is there, or the file ends.
    fn fill(&mut self) {
        while self.events.is_empty() && !self.has_ended {
            let Some(batch) = self.stream.next() else {
                self.has_ended = true;
                let last = self.joiner.finish();
                self.add(last);
                return;
            };
            if let Some(layout) = &batch.layout {
                self.joiner.set_layout(layout.clone());
            }
            for piece in &batch.pieces {
                let ended = self.joiner.push_record(batch.text.get(piece.range.clone()).unwrap_or(""));
                self.add(ended);
            }
        }
    }

    /// Adds the events that are wanted.
    fn add(&mut self, events: Vec<LogLine>) {
        for mut event in events {
            event.service = event.service.or_else(|| self.service.clone());
            if self.filter.passes(event.at, event.level, event.service.as_deref(), &event.message) {
                self.events.push_back(event);
            }
        }
    }

    /// What its next event is sorted by: the time, or that of the last one that has a time. `None` if there is no event.
    fn next_key(&self) -> Option<i64> {
        self.events.front().map(|event| event.at.or(self.at).map_or(i64::MIN, Timestamp::micros))
    }
}

pub(super) fn show(args: &ShowArgs, formats: &Formats, stop: &AtomicBool, as_json: bool) -> Result<Done, CliError> {
    let context = Context::utc(now());
    let mut is_partial = false;
    let mut sources = Vec::new();
    for path in &args.files {
        match Stream::open(path, context, formats.clone(), false, Spare::default()) {
            Ok(stream) => {
                let (joiner, filter) = (Joiner::new(stream.context()), args.selection.filter(stream.context()));
                let service = service_of(path).filter(|_| args.files.len() > 1).map(str::to_owned);
                let events = VecDeque::new();
                sources.push(Source { stream, joiner, filter, events, at: None, service, has_ended: false });
            }
            Err(error) if args.files.len() > 1 => {
                out::note(format!("warroom: {error}; the file is left out"));
                is_partial = true;
            }
            Err(error) => return Err(error),
        }
    }
    let mut redactor = Redactor::new();
    let mut stdout = BufWriter::new(std::io::stdout().lock());
    let mut shown = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        sources.iter_mut().for_each(Source::fill);
        let next = (0..sources.len()).filter_map(|n| Some((sources.get(n)?.next_key()?, n))).min();
        let Some((_, n)) = next else { break };
        let Some(source) = sources.get_mut(n) else { break };
        let Some(mut event) = source.events.pop_front() else { break };
        source.at = event.at.or(source.at);
        event.message = redactor.redact_text(&event.message).into_owned();
        event.fields.values_mut().for_each(|value| *value = redactor.redact_text(value).into_owned());
        shown += 1;
        if as_json {
            let LogLine { at, level, service, message, fields } = &event;
            let line = json!({"at": at, "level": level, "service": service, "message": message, "fields": fields});
            writeln!(stdout, "{line}")?;
        } else {
            writeln!(stdout, "{}", in_one_form(&event, args.fields))?;
        }
    }
    stdout.flush()?;
    for source in sources {
        if let Err(error) = source.stream.ended() {
            out::note(format!("warroom: {error}; what is before that is included"));
            is_partial = true;
        }
    }
    if stop.load(Ordering::Relaxed) {
        out::note(STOPPED);
        return Ok(Done::Partial);
    }
    Ok(match is_partial {
        true => Done::Partial,
        false if shown == 0 && !args.selection.is_empty() => Done::Problems,
        false => Done::Complete,
    })
}

/// `2026-11-21 09:31:07.123 ERROR shop  pool full`, with further lines below, indented.
fn in_one_form(event: &LogLine, with_fields: bool) -> String {
    let at = event.at.map_or_else(|| "-".to_owned(), |at| format!("{} {}", at.date(), at.clock_millis()));
    let level = event.level.map_or("-", Level::word).to_uppercase();
    let mut lines = event.message.lines();
    let mut text = format!("{at:23} {level:5} ");
    if let Some(service) = &event.service {
        text.push_str(&format!("{service}  "));
    }
    text.push_str(lines.next().unwrap_or(""));
    if with_fields {
        event.fields.iter().for_each(|(key, value)| text.push_str(&format!("  {key}={value}")));
    }
    let mut text = out::coloured(&text, event.level);
    for line in lines {
        text.push_str("\n    ");
        text.push_str(line);
    }
    text
}
