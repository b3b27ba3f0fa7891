//! Renders evidence bodies as text for prompts, screens, the report's appendix and the citation check.

use crate::analysis::Pattern;
use crate::analysis::movement::median;
use crate::telemetry::series::{Sample, human_value};
use crate::telemetry::{Alert, LogLine, Series, Timestamp, clean};
use time::UtcOffset;

use super::body::Body;

/// How much of a body to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// A summary: up to 6 items or 8 log lines, and up to 8 points of each series.
    Short,
    /// The details: up to 40 items or 60 log lines, and up to 12 series with 30 points each.
    Full,
    /// All items and lines, and up to 60 points of each series, for a screen that scrolls. Very long texts are cut.
    Whole,
}

impl Detail {
    fn choose(self, short: usize, full: usize, whole: usize) -> usize {
        match self {
            Self::Short => short,
            Self::Full => full,
            Self::Whole => whole,
        }
    }
    fn lines(self) -> usize {
        self.choose(8, 60, usize::MAX)
    }
    fn points(self) -> usize {
        self.choose(8, 30, 60)
    }
    fn items(self) -> usize {
        self.choose(6, 40, usize::MAX)
    }
    fn width(self) -> usize {
        self.choose(300, 1200, 20_000)
    }
}

/// A body as plain text. States how much is left out; a body without items gives a note in parentheses.
pub fn text(body: &Body, detail: Detail) -> String {
    match body {
        Body::Alerts { alerts } if alerts.is_empty() => "(no alerts)".to_owned(),
        Body::Alerts { alerts } => list(alerts, detail.items(), "alerts", alert),
        Body::Series { series, .. } if series.is_empty() => "(no series: the query matched nothing)".to_owned(),
        Body::Series { title, unit, threshold, series, step_secs } => {
            // Ratios are stored as 0 to 1 and shown as percentages.
            let factor = if unit == "%" { 100.0 } else { 1.0 };
            let head = format!(
                "{title}{}{}, step {} s",
                if unit.is_empty() { String::new() } else { format!(", in {unit}") },
                threshold.map(|t| format!(", alert threshold {}", human_value(t * factor))).unwrap_or_default(),
                human_value(*step_secs)
            );
            format!(
                "{head}\n{}",
                list(series, if detail == Detail::Whole { usize::MAX } else { detail.items().min(12) }, "series", |s| {
                    series_text(s, factor, detail.points())
                })
            )
        }
        Body::Lines { lines } if lines.is_empty() => "(no lines matched)".to_owned(),
        Body::Lines { lines } => list(lines, detail.lines(), "lines", |l| line(l, detail.width())),
        Body::Patterns { patterns, onset, .. } if patterns.is_empty() => {
            format!("(no lines to group, onset {} UTC)", onset.clock(UtcOffset::UTC))
        }
        Body::Patterns { patterns, onset, .. } => {
            let body = list(patterns, detail.items(), "patterns", |p| {
                format!(
                    "{} {}x ({}x before the onset){}{} first {} last {}: {}\n    sample: {}",
                    p.change.word(),
                    p.count,
                    p.baseline_count,
                    p.level.map(|l| format!(" {}", l.word())).unwrap_or_default(),
                    if p.services.is_empty() { String::new() } else { format!(" [{}]", p.services.join(", ")) },
                    opt_clock(p.first_at),
                    opt_clock(p.last_at),
                    clean::truncate(&p.template, 300),
                    clean::truncate(&p.sample.replace('\n', " ⏎ "), detail.width()),
                ) + &match facets(p) {
                    fields if fields.is_empty() => fields,
                    fields => format!("\n    fields: {}", clean::truncate(&fields, 200)),
                }
            });
            format!("onset: {} UTC\n{body}", onset.clock(UtcOffset::UTC))
        }
        Body::Relations { relations } if relations.is_empty() => "(no two alerts share a distinctive label)".to_owned(),
        Body::Relations { relations } => list(relations, detail.items(), "relations", |r| {
            let began = r.together().map(|when| format!(", which began {when}")).unwrap_or_default();
            format!("{}={}: {}{began}", r.label, r.value, r.alerts.join(", "))
        }),
        Body::Text { text } => clean::truncate(text, detail.width() * 10),
    }
}

/// The field values of a pattern's lines, such as `code 502 · region eu-1 12, us-1 2`. A field with several values shows the
/// count of each. Empty without facets.
pub fn facets(p: &Pattern) -> String {
    let fields = p.facets.iter().map(|(field, values)| {
        let values: Vec<String> = match values.as_slice() {
            [(value, _)] => vec![value.clone()],
            several => several.iter().map(|(value, n)| format!("{value} {n}")).collect(),
        };
        format!("{field} {}", values.join(", "))
    });
    fields.collect::<Vec<_>>().join(" · ")
}

fn list<T>(items: &[T], limit: usize, what: &str, show: impl Fn(&T) -> String) -> String {
    let mut out: Vec<String> = items.iter().take(limit).map(&show).collect();
    if items.len() > limit {
        out.push(format!("… {} of {} {what} not shown", items.len() - limit, items.len()));
    }
    out.join("\n")
}

fn opt_clock(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "?".to_owned(), |t| t.clock(UtcOffset::UTC))
}

fn alert(a: &Alert) -> String {
    let labels: Vec<String> =
        a.labels.iter().filter(|(k, _)| *k != "alertname").map(|(k, v)| format!("{k}={}", clean::truncate(v, 120))).collect();
    let mut out = format!("{} [{}] {}", a.name, a.severity.short(), a.state.word());
    if let Some(at) = a.starts_at {
        out.push_str(&format!(" since {}", at.clock(UtcOffset::UTC)));
    }
    if let Some(at) = a.pending_since.filter(|p| Some(*p) != a.starts_at) {
        out.push_str(&format!(", condition true since {}", at.clock(UtcOffset::UTC)));
    }
    if let Some(v) = a.value {
        out.push_str(&format!(", value {}", human_value(v)));
    }
    out.push_str(&format!(" {{{}}}", labels.join(", ")));
    for (key, value) in a.annotations.iter().filter(|(k, _)| !k.ends_with("url")) {
        out.push_str(&format!("\n    {key}: {}", clean::truncate(value, 300)));
    }
    for silence in &a.silenced_by {
        out.push_str(&format!("\n    silenced by {} ({}): {}", silence.created_by, silence.id, silence.comment));
    }
    out
}

fn line(l: &LogLine, width: usize) -> String {
    let mut out = l.at.map_or_else(String::new, |t| format!("{} ", t.clock(UtcOffset::UTC)));
    if let Some(level) = l.level {
        out.push_str(&format!("{} ", level.word()));
    }
    if let Some(service) = &l.service {
        out.push_str(&format!("{service}: "));
    }
    out.push_str(&clean::truncate(&l.message.replace('\n', " ⏎ "), width));
    out
}

/// A series as text: minimum, median and maximum, followed by its course in at most `points` parts. Values are multiplied by
/// `factor`.
///
/// Samples that follow each other and hardly differ are one part, `01:46:03–01:55:33=0.0966..0.0967`, so that a text of the same
/// length shows more of the course.
fn series_text(s: &Series, factor: f64, points: usize) -> String {
    let values: Vec<f64> = s.samples.iter().map(|p| p.value * factor).filter(|v| v.is_finite()).collect();
    let title = s.title();
    let title = if title.is_empty() { "value".to_owned() } else { title };
    let Some(middle) = median(&values) else { return format!("{title}: no samples in the window") };
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let samples = downsample(&s.samples, points.saturating_mul(4));
    let count = if samples.len() < s.samples.len() {
        format!(" ({} of {} samples)", samples.len(), s.samples.len())
    } else {
        String::new()
    };
    format!(
        "{title}: min {} median {} max {}{count}\n    {}",
        human_value(low),
        human_value(middle),
        human_value(high),
        course(&samples, factor, high - low, points).join(" ")
    )
}

/// The course of a series in at most `limit` parts. `range` is the difference between its highest and its lowest value.
fn course(samples: &[Sample], factor: f64, range: f64, limit: usize) -> Vec<String> {
    let mut runs: Vec<Vec<Sample>> = Vec::new();
    // A part may span this share of the series' range, or of its own level.
    for tolerance in [0.02, 0.05, 0.1, 0.2, 0.4, f64::INFINITY] {
        runs.clear();
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for sample in samples {
            let value = sample.value * factor;
            let (next_low, next_high) = (low.min(value), high.max(value));
            let level = next_low.abs().max(next_high.abs());
            let belongs = next_high - next_low <= (range * tolerance).max(level * 0.02);
            if let Some(run) = runs.last_mut().filter(|_| belongs) {
                run.push(*sample);
                (low, high) = (next_low, next_high);
            } else {
                runs.push(vec![*sample]);
                (low, high) = (value, value);
            }
        }
        if runs.len() <= limit.max(2) {
            break;
        }
    }
    let clock = |s: &Sample| s.at.clock(UtcOffset::UTC);
    let parts = runs.iter().filter_map(|run| {
        let (first, last) = (run.first()?, run.last()?);
        let low = run.iter().map(|s| s.value * factor).fold(f64::INFINITY, f64::min);
        let high = run.iter().map(|s| s.value * factor).fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = (human_value(low), human_value(high));
        let value = if low == high { low } else { format!("{low}..{high}") };
        Some(if run.len() == 1 {
            format!("{}={value}", clock(first))
        } else {
            format!("{}–{}={value}", clock(first), clock(last))
        })
    });
    parts.collect()
}

/// At most `limit` samples, evenly spread and including the first and the last. A limit below 2 keeps all samples.
fn downsample(samples: &[Sample], limit: usize) -> Vec<Sample> {
    if samples.len() <= limit || limit < 2 {
        return samples.to_vec();
    }
    let last = samples.len() - 1;
    (0..limit).filter_map(|i| samples.get(i * last / (limit - 1)).copied()).collect()
}

/// Bars from one eighth of a row's height to the full height.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Draws columns scaled between the lowest and the highest value. A column without a value is a space. Empty without values.
fn blocks(columns: &[Option<f64>]) -> String {
    let low = columns.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    let high = columns.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return String::new();
    }
    columns
        .iter()
        .map(|c| match c {
            None => ' ',
            Some(v) if high > low => BLOCKS.get(((v - low) / (high - low) * 7.0).round() as usize).copied().unwrap_or('█'),
            // A constant value is as high as its scale, which begins at 0.
            Some(v) if *v != 0.0 => '█',
            Some(_) => '▁',
        })
        .collect()
}

/// A bar chart of counts in equal parts of a window, as `width` columns of the blocks `▁▂▃▄▅▆▇█`.
///
/// Each column shows the largest count in its part. A full-height bar represents `top` or the largest count, whichever
/// is higher. A count of 0 is a space. Empty without counts.
pub fn bar_chart(counts: &[u32], top: u32, width: usize) -> String {
    if counts.is_empty() || width == 0 {
        return String::new();
    }
    let columns: Vec<u64> = (0..width)
        .map(|c| {
            let (from, to) = (c * counts.len() / width, ((c + 1) * counts.len() / width).max(c * counts.len() / width + 1));
            counts.get(from..to.min(counts.len())).unwrap_or_default().iter().map(|n| u64::from(*n)).max().unwrap_or(0)
        })
        .collect();
    let top = columns.iter().copied().max().unwrap_or(0).max(u64::from(top)).max(1);
    columns
        .iter()
        .map(|n| match n {
            0 => ' ',
            n => BLOCKS.get(((n * 8).div_ceil(top) as usize).clamp(1, 8) - 1).copied().unwrap_or('█'),
        })
        .collect()
}

/// A sparkline of exactly `width` columns across the window, so that several sparklines share one time axis.
///
/// A column without a sample repeats the previous value, unless the gap is longer than twice the median sample spacing; then
/// it is a space. Empty without samples in the window.
pub fn aligned_sparkline(samples: &[Sample], window: crate::telemetry::Window, width: usize) -> String {
    let length = window.length().as_secs_f64();
    let within: Vec<&Sample> = samples.iter().filter(|s| s.value.is_finite() && window.contains(s.at)).collect();
    if width == 0 || length <= 0.0 || within.is_empty() {
        return String::new();
    }
    let mut spacings: Vec<f64> = within.windows(2).filter_map(|w| Some(w.last()?.at.secs_since(w.first()?.at))).collect();
    spacings.sort_by(f64::total_cmp);
    let spacing = spacings.get(spacings.len() / 2).copied().unwrap_or(0.0);
    let column_of = |at: Timestamp| ((at.secs_since(window.start) / length * width as f64) as usize).min(width - 1);
    let mut columns: Vec<Option<f64>> = vec![None; width];
    for s in &within {
        if let Some(column) = columns.get_mut(column_of(s.at)) {
            *column = Some(column.map_or(s.value, |v| v.max(s.value)));
        }
    }
    for pair in within.windows(2) {
        let [a, b] = pair else { continue };
        if b.at.secs_since(a.at) > 2.0 * spacing {
            continue;
        }
        let (from, to) = (column_of(a.at), column_of(b.at));
        for column in columns.get_mut(from + 1..to).unwrap_or_default() {
            *column = Some(a.value);
        }
    }
    blocks(&columns)
}

/// A sparkline of at most `width` columns of the blocks `▁▂▃▄▅▆▇█`. A column without samples is a space. Empty without samples
/// in the window.
pub fn sparkline(samples: &[Sample], window: crate::telemetry::Window, width: usize) -> String {
    let length = window.length().as_secs_f64();
    if width == 0 || length <= 0.0 {
        return String::new();
    }
    // Use fewer columns when samples are sparse, so that an empty column always means a gap.
    let mut spacings: Vec<f64> = samples.windows(2).filter_map(|w| Some(w.last()?.at.secs_since(w.first()?.at))).collect();
    spacings.sort_by(f64::total_cmp);
    let spacing = spacings.get(spacings.len().saturating_sub(1) / 2).copied().unwrap_or(length).max(length / 1e6);
    let width = width.min((length / spacing) as usize + 1);
    let mut columns: Vec<Option<f64>> = vec![None; width];
    for s in samples.iter().filter(|s| s.value.is_finite() && window.contains(s.at)) {
        let column = (s.at.secs_since(window.start) / length * width as f64) as usize;
        if let Some(column) = columns.get_mut(column.min(width - 1)) {
            *column = Some(column.map_or(s.value, |v| v.max(s.value)));
        }
    }
    blocks(&columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Labels, Window};

    #[test]
    fn long_bodies_state_what_is_left_out() {
        let body = Body::Lines { lines: (0..100).map(|i| LogLine::plain(format!("line {i}"))).collect() };
        assert!(text(&body, Detail::Short).ends_with("… 92 of 100 lines not shown"));
        assert!(text(&body, Detail::Full).len() > text(&body, Detail::Short).len());
        assert!(text(&body, Detail::Whole).ends_with("line 99"));
    }

    #[test]
    fn aligned_sparklines_fill_the_window() {
        let samples: Vec<Sample> = [(0, 0.0), (2, 7.0), (4, 7.0), (12, 0.0)]
            .iter()
            .map(|(t, v)| Sample { at: Timestamp::from_secs(*t), value: *v })
            .collect();
        let window = Window::new(Timestamp::from_secs(0), Timestamp::from_secs(16));
        assert_eq!(aligned_sparkline(&samples, window, 16), "▁▁███       ▁   ");
        assert_eq!(aligned_sparkline(&samples, window, 4), "██ ▁");
        assert_eq!(aligned_sparkline(&[], window, 4), "");
    }

    #[test]
    fn bars_show_the_largest_count_of_each_column() {
        assert_eq!(bar_chart(&[0, 1, 0, 8], 0, 4), " ▁ █");
        assert_eq!(bar_chart(&[0, 1, 0, 8], 0, 2), "▁█");
        assert_eq!(bar_chart(&[1, 8], 0, 4), "▁▁██");
        assert_eq!(bar_chart(&[4], 8, 1), "▄");
        assert_eq!(bar_chart(&[], 1, 4), "");
    }

    #[test]
    fn sparklines_show_values_and_gaps() {
        let samples: Vec<Sample> =
            [(0, 0.0), (1, 0.0), (3, 7.0)].iter().map(|(t, v)| Sample { at: Timestamp::from_secs(*t), value: *v }).collect();
        let window = Window::new(Timestamp::from_secs(0), Timestamp::from_secs(4));
        assert_eq!(sparkline(&samples, window, 4), "▁▁ █");
        assert_eq!(sparkline(&[], window, 4), "");
    }

    #[test]
    fn shows_the_range_and_points_of_a_series() {
        let samples = (0..100).map(|i| Sample { at: Timestamp::from_secs(i), value: i as f64 }).collect();
        let out = series_text(&Series { labels: Labels::new(), samples }, 100.0, 5);
        assert!(out.starts_with("value: min 0 median 4950 max 9900 (20 of 100 samples)"), "{out}");
        assert!(out.contains("00:00:00–") && out.ends_with("9900"), "{out}");
        let samples = (0..100).map(|i| Sample { at: Timestamp::from_secs(i), value: if i < 60 { 0.1 } else { 20.0 } }).collect();
        let out = series_text(&Series { labels: Labels::new(), samples }, 1.0, 100);
        assert!(out.ends_with("    00:00:00–00:00:59=0.1 00:01:00–00:01:39=20"), "{out}");
    }
}
