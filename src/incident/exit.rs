//! Exit criteria: a metric expression that must stay on one side of a threshold for some time before an incident counts as over
//! ("error rate below 1% for 30 minutes"), and readings that say whether it did.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::EvidenceId;
use crate::telemetry::series::human_value;
use crate::telemetry::time::human_duration;
use crate::telemetry::{Series, Timestamp, Window};

/// The side of the threshold on which values are healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Comparison {
    /// Parses a PromQL operator. Returns `None` for `==` and `!=`, which make no sense for measured values.
    pub fn from_operator(operator: &str) -> Option<Self> {
        match operator {
            "<" => Some(Self::Below),
            "<=" => Some(Self::AtMost),
            ">" => Some(Self::Above),
            ">=" => Some(Self::AtLeast),
            _ => None,
        }
    }

    /// The words to use in a sentence: `at most`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Below => "below",
            Self::AtMost => "at most",
            Self::Above => "above",
            Self::AtLeast => "at least",
        }
    }

    /// Whether `value` is on the healthy side of `threshold`. NaN never is.
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Below => value < threshold,
            Self::AtMost => value <= threshold,
            Self::Above => value > threshold,
            Self::AtLeast => value >= threshold,
        }
    }
}

/// The condition that must hold before an incident counts as over, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExitCriteria {
    /// The query for the metrics source, without the comparison.
    pub expression: String,
    pub comparison: Comparison,
    pub threshold: f64,
    pub for_secs: u64,
    /// The configured source to query; `None` for the first one that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl ExitCriteria {
    /// Describes the criteria: `rate(errors) below 0.01 for 30m00s`.
    pub fn describe(&self) -> String {
        format!(
            "{} {} {} for {}",
            self.expression,
            self.comparison.word(),
            human_value(self.threshold),
            human_duration(self.duration())
        )
    }

    /// The criteria as people type them: `rate(errors) < 0.01 for 30m`.
    pub fn typed(&self) -> String {
        let operator = match self.comparison {
            Comparison::Below => "<",
            Comparison::AtMost => "<=",
            Comparison::Above => ">",
            Comparison::AtLeast => ">=",
        };
        let length = match (self.for_secs / 60, self.for_secs % 60) {
            (minutes, 0) => format!("{minutes}m"),
            _ => format!("{}s", self.for_secs),
        };
        format!("{} {operator} {} for {length}", self.expression, self.threshold)
    }

    /// How long the condition must hold.
    pub fn duration(&self) -> Duration {
        Duration::from_secs(self.for_secs)
    }

    /// Evaluates the result of a range query over `window` with `step`.
    ///
    /// Every sample of every series must be on the healthy side of the threshold. Missing data does not count as healthy: the
    /// criteria are not met if there is a gap of more than two steps (at least a minute). NaN counts as missing.
    pub fn evaluate(&self, series: &[Series], window: Window, step: Duration, source: &str) -> ExitReading {
        let mut samples: Vec<(Timestamp, f64)> = series
            .iter()
            .flat_map(|s| s.samples.iter().map(|x| (x.at, x.value)))
            .filter(|(at, value)| window.contains(*at) && value.is_finite())
            .collect();
        samples.sort_by_key(|(at, _)| *at);
        let max_gap = (step * 2).max(Duration::from_mins(1)).min(self.duration().max(step * 2));
        let is_worse = |a: f64, b: f64| match self.comparison {
            Comparison::Below | Comparison::AtMost => a > b,
            Comparison::Above | Comparison::AtLeast => a < b,
        };
        let worst = samples.iter().copied().reduce(|w, s| if is_worse(s.1, w.1) { s } else { w });
        let reading = |met: bool, held_secs: f64, why: String| ExitReading {
            met,
            window,
            worst: worst.map(|(_, v)| v),
            last: samples.last().map(|(_, v)| *v),
            samples: u32::try_from(samples.len()).unwrap_or(u32::MAX),
            held_secs,
            why,
            source: source.to_owned(),
            evidence: None,
        };
        if samples.is_empty() {
            return reading(false, 0.0, format!("no data in {}", window.label()));
        }
        // The series that has held for the shortest time decides. A series that disappeared has not held.
        let shortest =
            series.iter().filter_map(|s| self.check_series(s, window, max_gap).err()).min_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((held_secs, why)) = shortest {
            return reading(false, held_secs, why);
        }
        let why = format!(
            "stayed {} {} for {} ({} at worst)",
            self.comparison.word(),
            human_value(self.threshold),
            human_duration(self.duration()),
            worst.map_or_else(String::new, |(_, v)| human_value(v))
        );
        reading(true, window.length().as_secs_f64(), why)
    }

    /// Checks that one series held over the whole window, from the end backwards. The error says for how many seconds it has
    /// held, and why it did not hold longer.
    fn check_series(&self, series: &Series, window: Window, max_gap: Duration) -> Result<(), (f64, String)> {
        let name = series.title();
        let for_name = if name.is_empty() { String::new() } else { format!(" for {name}") };
        let samples: Vec<_> = series.samples.iter().filter(|s| window.contains(s.at) && s.value.is_finite()).collect();
        let mut since = window.end;
        for s in samples.iter().rev() {
            if since.since(s.at) > max_gap {
                let why = format!("no data{for_name} from {} to {} UTC", s.at.date_clock(), since.date_clock());
                return Err((window.end.secs_since(since).max(0.0), why));
            }
            if !self.comparison.holds(s.value, self.threshold) {
                let why = format!(
                    "value {}{for_name} at {} UTC is not {} {}; held for {} of {}",
                    human_value(s.value),
                    s.at.date_clock(),
                    self.comparison.word(),
                    human_value(self.threshold),
                    human_duration(window.end.since(s.at)),
                    human_duration(self.duration())
                );
                return Err((window.end.secs_since(s.at).max(0.0), why));
            }
            since = s.at;
        }
        if since.since(window.start) > max_gap {
            let why = format!("no data{for_name} from {} to {} UTC", window.start.date_clock(), since.date_clock());
            return Err((window.end.secs_since(since).max(0.0), why));
        }
        Ok(())
    }
}

/// One evaluation of the exit criteria.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExitReading {
    pub met: bool,
    pub window: Window,
    /// The worst sample; `None` if there are no samples.
    pub worst: Option<f64>,
    pub last: Option<f64>,
    pub samples: u32,
    /// How long the condition had held at the end of the window, in seconds.
    pub held_secs: f64,
    /// Why the criteria were met or not.
    pub why: String,
    pub source: String,
    /// The evidence item with the values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceId>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Labels, series::Sample};

    const STEP: Duration = Duration::from_secs(30);

    fn criteria() -> ExitCriteria {
        ExitCriteria {
            expression: "error_rate".into(),
            comparison: Comparison::Below,
            threshold: 0.01,
            for_secs: 1800,
            source: None,
        }
    }

    fn window() -> Window {
        Window::before(Timestamp::from_secs(1_795_255_200), Duration::from_mins(30))
    }

    /// A series with a sample every thirty seconds, with values from `value`; `None` is a gap.
    fn series(value: impl Fn(i64) -> Option<f64>) -> Series {
        let start = window().start.secs();
        let samples =
            (0..=60).filter_map(|i| Some(Sample { at: Timestamp::from_secs(start + 30 * i), value: value(i)? })).collect();
        Series { labels: Labels::new(), samples }
    }

    fn read(value: impl Fn(i64) -> Option<f64>) -> ExitReading {
        criteria().evaluate(&[series(value)], window(), STEP, "prom")
    }

    #[test]
    fn is_met_just_below_the_threshold_and_not_at_it() {
        let under = read(|_| Some(0.009_999));
        assert!(under.met, "{}", under.why);
        assert_eq!((under.worst, under.samples), (Some(0.009_999), 61));
        assert!(!read(|_| Some(0.01)).met, "below means below");
        let once = read(|i| Some(if i == 40 { 0.010_001 } else { 0.002 }));
        assert!(!once.met);
        assert_eq!(once.held_secs, 600.0);
        assert!(once.why.contains("10m00s of 30m00s"), "{}", once.why);
    }

    #[test]
    fn missing_data_is_not_healthy() {
        assert!(!criteria().evaluate(&[], window(), STEP, "prom").met);
        assert!(!read(|_| Some(f64::NAN)).met);
        assert!(!read(|i| (i < 50).then_some(0.0)).met, "ended early");
        assert!(!read(|i| (i > 10).then_some(0.0)).met, "began late");
        assert!(!read(|i| (!(20..26).contains(&i)).then_some(0.0)).met, "a gap in the middle");
        assert!(read(|i| (i != 20).then_some(0.0)).met, "one missed scrape is not a gap");
    }

    #[test]
    fn requires_every_series_to_hold() {
        let good = series(|_| Some(0.0));
        let bad = series(|i| Some(if i == 60 { 1.0 } else { 0.0 }));
        assert!(!criteria().evaluate(&[good, bad], window(), STEP, "prom").met);
        let gone = series(|i| (i < 6).then_some(0.0));
        let reading = criteria().evaluate(&[series(|_| Some(0.0)), gone], window(), STEP, "prom");
        assert!(!reading.met && reading.why.contains("no data"), "a series that disappeared has not held: {}", reading.why);
        let at_least = ExitCriteria { comparison: Comparison::AtLeast, threshold: 5.0, ..criteria() };
        assert!(at_least.evaluate(&[series(|_| Some(5.0))], window(), STEP, "prom").met);
        assert!(!at_least.evaluate(&[series(|_| Some(4.9))], window(), STEP, "prom").met);
    }
}
