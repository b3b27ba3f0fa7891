//! A chart of metrics that were queried for the screen: any PromQL, the series of an alert, and the same time on an earlier day.

use std::time::Duration;

use crate::incident::IncidentId;
use crate::telemetry::{Series, Timestamp, Window};

/// A query of metrics over a window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MetricRequest {
    pub query: String,
    /// The source to ask; `None` for the first that has series.
    pub source: Option<String>,
    pub window: Window,
    /// How many days earlier the window is read, to compare; 0 for the window itself.
    pub days: u32,
}

/// Series that were read for a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MetricsRead {
    /// The source that answered.
    pub source: String,
    pub step_secs: f64,
    /// With the times of the request's window, also if an earlier day was read.
    pub series: Vec<Series>,
    /// What is missing, and why.
    pub gaps: Vec<String>,
}

/// The same query on an earlier day.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Comparison {
    /// What was asked.
    pub request: MetricRequest,
    /// The series, moved to the time of the chart; `None` while they are read.
    pub series: Option<Vec<Series>>,
}

/// A chart of a query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MetricView {
    pub title: String,
    pub request: MetricRequest,
    /// `None` while it is read.
    pub found: Option<MetricsRead>,
    pub threshold: Option<f64>,
    pub unit: String,
    /// The cursor.
    pub at: Option<Timestamp>,
    /// The part of the window that is shown; `None` for all of it.
    pub view: Option<Window>,
}

impl MetricView {
    /// The chart of a query that is being read.
    pub(crate) fn reading(request: MetricRequest) -> Self {
        let unit = crate::analysis::expression::infer_unit(&request.query, None).to_owned();
        Self { title: request.query.clone(), request, found: None, threshold: None, unit, at: None, view: None }
    }

    /// The series that were read; none while they are read.
    pub(crate) fn series(&self) -> &[Series] {
        self.found.as_ref().map_or(&[], |f| &f.series)
    }
}

/// Series to keep as evidence of an incident.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeptMetric {
    pub incident: IncidentId,
    pub request: MetricRequest,
    pub unit: String,
    pub threshold: Option<f64>,
    pub found: MetricsRead,
}

/// The days that a chart is compared with, one after the other: yesterday, then the same day of last week, then none.
pub(crate) fn next_days(days: u32) -> u32 {
    match days {
        0 => 1,
        1 => 7,
        _ => 0,
    }
}

/// What a comparison is with.
pub(crate) fn days_word(days: u32) -> String {
    match days {
        1 => "yesterday".to_owned(),
        7 => "a week before".to_owned(),
        n => format!("{n} days before"),
    }
}

/// The length of so many days.
pub(crate) fn length_of(days: u32) -> Duration {
    Duration::from_hours(24) * days
}

/// PromQL's words that a query is likely to need.
const WORDS: [&str; 24] = [
    "abs",
    "avg",
    "avg_over_time",
    "bottomk",
    "by",
    "clamp_max",
    "count",
    "delta",
    "deriv",
    "histogram_quantile",
    "increase",
    "irate",
    "label_replace",
    "max",
    "max_over_time",
    "min",
    "min_over_time",
    "offset",
    "quantile",
    "rate",
    "sum",
    "sum_over_time",
    "topk",
    "without",
];

/// The names that can be completed in a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MetricNames {
    pub metrics: Vec<String>,
    pub labels: Vec<String>,
}

/// What completes the last word of a query: the query with as much as all candidates have in common, and the candidates. Between braces
/// and after `by (` these are labels, else metrics and functions. `None` if nothing fits.
pub(crate) fn complete(query: &str, names: &MetricNames) -> Option<(String, Vec<String>)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let start = query.char_indices().rev().find(|(_, c)| !is_name(*c)).map_or(0, |(at, c)| at + c.len_utf8());
    let (before, word) = query.split_at(start);
    let is_in_braces = before.matches('{').count() > before.matches('}').count();
    let lists_labels = before.rfind('(').is_some_and(|open| {
        let head = before.get(..open).unwrap_or_default().trim_end();
        !before.get(open..).unwrap_or_default().contains(')') && (head.ends_with("by") || head.ends_with("without"))
    });
    let is_value = before.matches('"').count() % 2 == 1 || before.matches('\'').count() % 2 == 1;
    let mut found: Vec<String> = if is_value {
        Vec::new()
    } else if is_in_braces || lists_labels {
        names.labels.iter().filter(|l| l.starts_with(word)).cloned().collect()
    } else {
        let words = WORDS.iter().map(|w| (*w).to_owned());
        names.metrics.iter().cloned().chain(words).filter(|m| m.starts_with(word)).collect()
    };
    found.sort();
    found.dedup();
    let first = found.first()?;
    let shared = |other: &String| first.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let common = found.iter().map(shared).min().unwrap_or(0);
    Some((format!("{before}{}", first.get(..common).unwrap_or(first)), found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completes_metrics_and_labels_where_they_belong() {
        let names = MetricNames {
            metrics: ["http_requests_total", "http_request_seconds_bucket", "up"].map(str::to_owned).to_vec(),
            labels: ["instance", "job", "service"].map(str::to_owned).to_vec(),
        };
        let completed = |query: &str| complete(query, &names).map(|(text, found)| (text, found.len()));
        assert_eq!(completed("sum(rate(http"), Some(("sum(rate(http_request".to_owned(), 2)));
        assert_eq!(completed("http_requests"), Some(("http_requests_total".to_owned(), 1)));
        assert_eq!(completed("up{j"), Some(("up{job".to_owned(), 1)));
        assert_eq!(completed("sum by (job, se"), Some(("sum by (job, service".to_owned(), 1)));
        assert_eq!(completed("sum by (job) (histogram_q"), Some(("sum by (job) (histogram_quantile".to_owned(), 1)));
        assert_eq!(completed("up{job=\"jo"), None, "values are not known");
        assert_eq!(completed("nothing_such"), None);
        assert_eq!(completed("up{job=\"café"), None);
        assert_eq!(completed("“u"), Some(("“up".to_owned(), 1)));
        assert_eq!(completed("up{job=\"a\"} + u"), Some(("up{job=\"a\"} + up".to_owned(), 1)));
    }
}
