//! Which events of a log are wanted.

use clap::Args;
use regex::Regex;

use crate::analysis::patterns::filter::LineFilter;
use crate::telemetry::Moment;
use crate::telemetry::log::Level;
use crate::telemetry::parse::Context;

/// The arguments that select events.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Selection {
    /// Only events from this time on, such as 09:31, 15m, "yesterday 18:20" or 2026-11-21T09:31Z; as of when the file was last written
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only events before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// Only events of this level or a more severe one: trace, debug, info, warn, error or fatal
    #[arg(long, value_name = "LEVEL", value_parser = parse_level)]
    level: Option<Level>,
    /// Only events of these services, as the lines or the names of the files say
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    service: Vec<String>,
    /// Only events whose text matches this regular expression; (?i) ignores case
    #[arg(long, value_name = "REGEX")]
    grep: Option<Regex>,
}

impl Selection {
    /// Whether everything is wanted.
    pub(super) fn is_empty(&self) -> bool {
        self.filter(Context::utc(crate::telemetry::Timestamp::from_secs(0))).is_empty()
    }

    /// Whether it asks for services.
    pub(super) fn asks_for_services(&self) -> bool {
        !self.service.is_empty()
    }

    /// The filter for a stream with this context.
    pub(super) fn filter(&self, context: Context) -> LineFilter {
        let at = |moment: &Moment| moment.in_log(context.now);
        LineFilter {
            since: self.since.as_ref().map(at),
            until: self.until.as_ref().map(at),
            level: self.level,
            services: self.service.clone(),
            text: self.grep.clone(),
        }
    }
}

fn parse_level(text: &str) -> Result<Level, String> {
    Level::from_word(text)
        .filter(|_| text.len() > 2)
        .ok_or_else(|| "it is no level: use trace, debug, info, warn, error or fatal".to_owned())
}
