//! Which events of a log count.

use regex::Regex;

use crate::telemetry::Timestamp;
use crate::telemetry::log::Level;

/// What an event must have. Empty: every event counts.
#[derive(Clone, Debug, Default)]
pub struct LineFilter {
    /// The first moment, and the one after the last. An event without a time is in no window.
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// The mildest level. An event without a level has none of the levels.
    pub level: Option<Level>,
    /// One of these services; any if empty.
    pub services: Vec<String>,
    /// Must match the text of the event, with all its lines and its header.
    pub text: Option<Regex>,
}

impl LineFilter {
    /// Whether every event counts.
    pub fn is_empty(&self) -> bool {
        let has_window = self.since.is_some() || self.until.is_some();
        !has_window && self.level.is_none() && self.services.is_empty() && self.text.is_none()
    }

    /// The same without the window.
    #[must_use]
    pub fn at_any_time(self) -> Self {
        Self { since: None, until: None, ..self }
    }

    /// Whether an event counts.
    pub fn passes(&self, at: Option<Timestamp>, level: Option<Level>, service: Option<&str>, text: &str) -> bool {
        self.since.is_none_or(|since| at.is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| at.is_some_and(|at| at < until))
            && self.level.is_none_or(|mildest| level.is_some_and(|level| level >= mildest))
            && (self.services.is_empty() || service.is_some_and(|s| self.services.iter().any(|wanted| wanted == s)))
            && self.text.as_ref().is_none_or(|pattern| pattern.is_match(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_counts_if_it_has_all_that_is_asked() {
        let at = |secs: i64| Some(Timestamp::from_secs(secs));
        let filter = LineFilter {
            since: at(10),
            until: at(20),
            level: Some(Level::Warn),
            services: vec!["shop".into(), "cart".into()],
            text: Some(Regex::new("pool.*full").unwrap()),
        };
        let passes = |secs, level, service, text| filter.passes(at(secs), level, service, text);
        assert!(passes(19, Some(Level::Warn), Some("shop"), "pool is full"));
        assert!(!passes(20, Some(Level::Warn), Some("shop"), "pool is full"), "the end is not in the window");
        assert!(!passes(9, Some(Level::Warn), Some("shop"), "pool is full"));
        assert!(!passes(15, Some(Level::Info), Some("shop"), "pool is full"));
        assert!(!passes(15, None, Some("shop"), "pool is full"));
        assert!(!passes(15, Some(Level::Warn), None, "pool is full"));
        assert!(!passes(15, Some(Level::Warn), Some("shop"), "pool is fine"));
        assert!(!filter.passes(None, Some(Level::Warn), Some("shop"), "pool is full"));
        assert!(LineFilter::default().passes(None, None, None, "") && LineFilter::default().is_empty());
    }
}
