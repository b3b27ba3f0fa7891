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
    /// The values of the labels that were asked for.
    pub values: std::collections::BTreeMap<String, Vec<String>>,
}

/// What completes the end of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Completion {
    /// The query with as much as all candidates have in common, and the candidates.
    Found(String, Vec<String>),
    /// The values of this label have to be read first.
    NeedsValues(String),
    /// Nothing fits.
    Nothing,
}

/// The end of a query that is being typed, and what it is.
struct Open<'a> {
    before: &'a str,
    word: &'a str,
    place: Place<'a>,
}

enum Place<'a> {
    /// A metric, a function or an operator.
    Expression,
    /// Between braces, or after `by (`.
    Label,
    /// The value of this label, behind this quote.
    Value(&'a str, char),
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

impl<'a> Open<'a> {
    fn of(query: &'a str) -> Self {
        let mut quote: Option<(usize, char)> = None;
        let (mut braces, mut escaped) = (0_usize, false);
        for (at, c) in query.char_indices() {
            match (quote, c) {
                _ if escaped => escaped = false,
                (Some(_), '\\') => escaped = true,
                (Some((_, open)), c) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'' | '`') => quote = Some((at, c)),
                (None, '{') => braces += 1,
                (None, '}') => braces = braces.saturating_sub(1),
                _ => {}
            }
        }
        if let Some((at, quote)) = quote {
            let (head, value) = query.split_at(at + 1);
            let matcher = head.trim_end_matches([quote]).trim_end();
            let label = matcher.trim_end_matches(['=', '~', '!']).trim_end();
            let start = label.char_indices().rev().find(|(_, c)| !is_name(*c)).map_or(0, |(at, c)| at + c.len_utf8());
            // Alternatives of a regular expression are completed one by one.
            let skip = if matcher.ends_with('~') { value.rfind('|').map_or(0, |at| at + 1) } else { 0 };
            let (before, word) = query.split_at(head.len() + skip);
            return Self { before, word, place: Place::Value(label.get(start..).unwrap_or_default(), quote) };
        }
        let start = query.char_indices().rev().find(|(_, c)| !is_name(*c)).map_or(0, |(at, c)| at + c.len_utf8());
        let (before, word) = query.split_at(start);
        let lists_labels = before.rfind('(').is_some_and(|open| {
            let head = before.get(..open).unwrap_or_default().trim_end();
            !before.get(open..).unwrap_or_default().contains(')') && (head.ends_with("by") || head.ends_with("without"))
        });
        Self { before, word, place: if braces > 0 || lists_labels { Place::Label } else { Place::Expression } }
    }
}

/// What completes the end of a query: the value of a label between quotes, a label between braces and after `by (`, else a metric or a
/// function.
pub(crate) fn complete(query: &str, names: &MetricNames) -> Completion {
    let Open { before, word, place } = Open::of(query);
    let mut end = String::new();
    let all: Vec<String> = match place {
        Place::Value("", _) => return Completion::Nothing,
        Place::Value(label, quote) => {
            let Some(values) = names.values.get(label) else { return Completion::NeedsValues(label.to_owned()) };
            end.push(quote);
            let escaped =
                |v: &String| if quote == '`' { v.clone() } else { v.replace('\\', "\\\\").replace(quote, &format!("\\{quote}")) };
            values.iter().map(escaped).collect()
        }
        Place::Label => names.labels.clone(),
        Place::Expression => names.metrics.iter().cloned().chain(WORDS.map(str::to_owned)).collect(),
    };
    let mut found: Vec<String> = all.into_iter().filter(|name| name.starts_with(word)).collect();
    found.sort();
    found.dedup();
    let Some(first) = found.first() else { return Completion::Nothing };
    let shared = |other: &String| {
        first.char_indices().zip(other.chars()).find(|((_, a), b)| a != b).map_or(first.len().min(other.len()), |((at, _), _)| at)
    };
    let common = found.iter().map(shared).min().unwrap_or(0);
    let end = if found.len() == 1 { end.as_str() } else { "" };
    Completion::Found(format!("{before}{}{end}", first.get(..common).unwrap_or(first)), found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completes_metrics_and_labels_where_they_belong() {
        let names = MetricNames {
            metrics: ["http_requests_total", "http_request_seconds_bucket", "up"].map(str::to_owned).to_vec(),
            labels: ["instance", "job", "service"].map(str::to_owned).to_vec(),
            values: [("job".to_owned(), ["café", "cart", "cart-db", "say \"hi\""].map(str::to_owned).to_vec())].into(),
        };
        let completed = |query: &str| match complete(query, &names) {
            Completion::Found(text, found) => Some((text, found.len())),
            Completion::NeedsValues(label) => Some((label, 0)),
            Completion::Nothing => None,
        };
        assert_eq!(completed("sum(rate(http"), Some(("sum(rate(http_request".to_owned(), 2)));
        assert_eq!(completed("http_requests"), Some(("http_requests_total".to_owned(), 1)));
        assert_eq!(completed("up{j"), Some(("up{job".to_owned(), 1)));
        assert_eq!(completed("sum by (job, se"), Some(("sum by (job, service".to_owned(), 1)));
        assert_eq!(completed("sum by (job) (histogram_q"), Some(("sum by (job) (histogram_quantile".to_owned(), 1)));
        assert_eq!(completed("nothing_such"), None);
        // Values of labels.
        assert_eq!(completed("up{job=\"caf"), Some(("up{job=\"café\"".to_owned(), 1)));
        assert_eq!(completed("up{job=\""), Some(("up{job=\"".to_owned(), 4)));
        assert_eq!(completed("sum(up{job = 'car"), Some(("sum(up{job = 'cart".to_owned(), 2)));
        assert_eq!(completed("up{job=~\"café|cart-"), Some(("up{job=~\"café|cart-db\"".to_owned(), 1)));
        assert_eq!(completed("up{job!=\"say"), Some(("up{job!=\"say \\\"hi\\\"\"".to_owned(), 1)));
        assert_eq!(completed("up{job=\"x"), None);
        assert_eq!(completed("up{job=\"x\\\"{\", inst"), Some(("up{job=\"x\\\"{\", instance".to_owned(), 1)));
        assert_eq!(completed("up{zone=\"eu"), Some(("zone".to_owned(), 0)), "to be read");
        assert_eq!(completed("\"eu"), None);
        assert_eq!(completed("“u"), Some(("“up".to_owned(), 1)));
        assert_eq!(completed("up{job=\"a\"} + u"), Some(("up{job=\"a\"} + up".to_owned(), 1)));
    }
}
