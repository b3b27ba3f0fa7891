//! Whether, when and how far a series left its normal range.
//!
//! Normal is the median of the baseline. The spread is at least a small share of the level, so that a tiny change on a flat
//! baseline does not count. A change counts only when it lasts: the next sample must be off as well, and so must at least
//! two, or half, of the samples from the change on.

use serde::{Deserialize, Serialize};

use crate::telemetry::{Sample, Series, Timestamp, Window};

/// The direction in which a series changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Up,
    Down,
    #[default]
    Flat,
}

impl Direction {
    /// Returns the word as printed: `up`, `down` or `flat`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Flat => "flat",
        }
    }
}

/// How a series changed after its baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Movement {
    pub direction: Direction,
    /// Distance from normal, in spreads; 0 for a flat series, at most 1000.
    pub score: f64,
    /// Time of the first sample of the lasting change.
    pub changed_at: Option<Timestamp>,
    /// Median of the baseline; `None` if the series had no values then.
    pub before: Option<f64>,
    /// Level after the change: a tenth of the samples since then are at least this far from normal. The median for a flat
    /// series; `None` if the series ended.
    pub after: Option<f64>,
    /// When it returned to its normal range and stayed there to the end of the window; `None` if it did not, or never left
    /// it.
    #[serde(default)]
    pub back_at: Option<Timestamp>,
}

impl Movement {
    /// Returns the result for a series without samples after its baseline, or without any samples.
    fn absent() -> Self {
        Self { direction: Direction::Flat, score: 0.0, changed_at: None, before: None, after: None, back_at: None }
    }
}

/// Distance from normal, in spreads, at which a series counts as changed.
const MIN_CHANGE: f64 = 6.0;
const MAX_SCORE: f64 = 1000.0;

/// Compares a series from `baseline.end` to `window.end` with its baseline. `window` is the time of which the backend has data: a
/// series that begins or ends with it has neither appeared nor ended. If it left its normal range shortly before the
/// end of the baseline and stayed out, the change is dated to that earlier time, because an alert fires after the condition
/// it reports.
pub fn movement(series: &Series, baseline: Window, window: Window) -> Movement {
    let baseline = trim_run_up(series, baseline).unwrap_or(baseline);
    let after_window = Window::new(baseline.end, window.end);
    let after: Vec<Sample> =
        series.within(after_window).iter().filter(|s| s.value.is_finite() && s.at > baseline.end).copied().collect();
    let before = series.values(baseline);
    if let Some(ended) = detect_end(series, &before, window) {
        return ended;
    }
    let Some(last) = after.last() else { return Movement { before: median(&before), ..Movement::absent() } };
    let Some(normal) = median(&before) else {
        // No baseline: the series is new, unless it stays at zero, or begins where all data begin.
        if begins_with_all(series, window) {
            let values: Vec<f64> = after.iter().map(|s| s.value).collect();
            return Movement { after: median(&values), ..Movement::absent() };
        }
        let after_level = far_level(&after, 0.0);
        let appeared = after.iter().find(|s| s.value != 0.0).map(|s| s.at);
        let is_new = appeared.is_some();
        return Movement {
            direction: if is_new { Direction::Up } else { Direction::Flat },
            score: if is_new { MAX_SCORE / 10.0 } else { 0.0 },
            changed_at: appeared,
            before: None,
            after: Some(after_level),
            back_at: appeared.and_then(|from| {
                let since: Vec<Sample> = after.iter().copied().filter(|s| s.at >= from).collect();
                back_at(&since, |s| s.value == 0.0)
            }),
        };
    };
    let spread = spread(&before, normal, &after);
    let distance = |s: &Sample| (s.value - normal) / spread;
    let changed = after.iter().enumerate().find(|(i, s)| {
        let side = distance(s).signum();
        distance(s).abs() >= MIN_CHANGE && after.get(i + 1).is_none_or(|next| distance(next) * side >= MIN_CHANGE / 2.0)
    });
    let lasting = changed.filter(|(i, s)| {
        let rest = after.get(*i..).unwrap_or(&[]);
        let side = distance(s).signum();
        let beyond = rest.iter().filter(|r| distance(r) * side >= MIN_CHANGE / 2.0).count();
        beyond >= 2 || beyond * 2 >= rest.len()
    });
    let Some((index, first)) = lasting else {
        return Movement {
            direction: Direction::Flat,
            score: 0.0,
            changed_at: None,
            before: Some(normal),
            after: Some(median(&after.iter().map(|s| s.value).collect::<Vec<_>>()).unwrap_or(last.value)),
            back_at: None,
        };
    };
    let rest = after.get(index..).unwrap_or(&[]);
    let level = far_level(rest, normal);
    Movement {
        direction: if level >= normal { Direction::Up } else { Direction::Down },
        score: ((level - normal).abs() / spread).min(MAX_SCORE),
        changed_at: Some(first.at),
        before: Some(normal),
        after: Some(level),
        back_at: back_at(rest, |s| distance(s).abs() < MIN_CHANGE / 2.0),
    }
}

/// Returns the baseline cut off before the run-up: the samples at its end that have already left the normal range. `None` if
/// there is no run-up, or if it may have begun in the first half of the baseline.
fn trim_run_up(series: &Series, baseline: Window) -> Option<Window> {
    let samples: Vec<Sample> = series.within(baseline).iter().filter(|s| s.value.is_finite()).copied().collect();
    let middle = baseline.start + baseline.length() / 2;
    let (calm, run_up) = samples.split_at(samples.partition_point(|s| s.at <= middle));
    let values: Vec<f64> = calm.iter().map(|s| s.value).collect();
    let normal = median(&values).filter(|_| calm.len() >= MIN_BASELINE)?;
    let spread = spread(&values, normal, run_up);
    let distance = |s: &Sample| (s.value - normal) / spread;
    let side = distance(run_up.last()?).signum();
    let off = run_up.iter().rev().take_while(|s| distance(s) * side >= MIN_CHANGE / 2.0).count();
    let rest = run_up.get(run_up.len() - off..)?;
    // If the whole second half is off, the change may be older and its start is unknown.
    if off < 2 || off == run_up.len() || !rest.iter().any(|s| distance(s).abs() >= MIN_CHANGE) {
        return None;
    }
    let last = run_up.get(run_up.len() - off - 1)?;
    Some(Window::new(baseline.start, last.at))
}

/// Whether a series begins where the window does, so that it is unknown whether it existed before.
fn begins_with_all(series: &Series, window: Window) -> bool {
    let samples = series.within(window);
    let first = samples.iter().find(|s| s.value.is_finite());
    let Some((first, step)) = first.zip(median_step(samples)) else { return true };
    first.at.secs_since(window.start) <= ENDED_STEPS * step
}

/// The usual time between samples, in seconds; `None` for fewer than two samples.
fn median_step(samples: &[Sample]) -> Option<f64> {
    let mut steps: Vec<f64> = samples.windows(2).filter_map(|w| Some(w.get(1)?.at.secs_since(w.first()?.at))).collect();
    steps.sort_by(f64::total_cmp);
    steps.get(steps.len() / 2).copied()
}

/// Number of steps without a sample after which a series has ended, or before which it has not begun.
const ENDED_STEPS: f64 = 3.0;
/// Minimum number of baseline samples for an ended series, and of calm samples before a run-up.
const MIN_BASELINE: usize = 3;

/// Returns a drop to no data for a series that has a baseline and ended before the window does: its writer no longer
/// responds.
fn detect_end(series: &Series, before: &[f64], window: Window) -> Option<Movement> {
    let samples = series.within(window);
    let last = samples.iter().rev().find(|s| s.value.is_finite())?;
    let step = median_step(samples)?;
    if before.len() < MIN_BASELINE || window.end.secs_since(last.at) <= ENDED_STEPS * step {
        return None;
    }
    Some(Movement {
        direction: Direction::Down,
        score: MAX_SCORE / 10.0,
        changed_at: Some(last.at),
        before: median(before),
        after: None,
        back_at: None,
    })
}

/// Minimum number of normal samples in a row that count as a recovery.
const MIN_RECOVERED: usize = 3;

/// Returns the time of the first sample of the final normal run, if that run is long enough and does not cover all samples.
fn back_at(rest: &[Sample], is_normal: impl Fn(&Sample) -> bool) -> Option<Timestamp> {
    let calm = rest.iter().rev().take_while(|s| is_normal(s)).count();
    (calm >= MIN_RECOVERED && calm < rest.len()).then(|| rest.get(rest.len() - calm).map(|s| s.at)).flatten()
}

/// Returns a value that a tenth of the samples are at least as far from normal as; the farthest value of a short series.
fn far_level(samples: &[Sample], normal: f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(|s| s.value).collect();
    values.sort_by(|a, b| (b - normal).abs().total_cmp(&(a - normal).abs()));
    values.get(values.len() / 10).or_else(|| values.first()).copied().unwrap_or(normal)
}

/// Returns the largest of the scaled median absolute deviation, a third of the largest deviation, and a floor.
fn spread(before: &[f64], normal: f64, after: &[Sample]) -> f64 {
    let deviations: Vec<f64> = before.iter().map(|v| (v - normal).abs()).collect();
    let mad = median(&deviations).unwrap_or(0.0) * 1.4826;
    let widest = deviations.iter().copied().fold(0.0_f64, f64::max) / 3.0;
    // The floor: a twentieth of the level, or of the largest later value if the level is zero.
    let floor =
        if normal.abs() > 0.0 { normal.abs() / 20.0 } else { after.iter().map(|s| s.value.abs()).fold(0.0_f64, f64::max) / 20.0 };
    mad.max(widest).max(floor).max(f64::MIN_POSITIVE)
}

/// Returns the median of the finite values; `None` if there are none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => sorted.get(middle).copied(),
        _ => Some((sorted.get(middle - 1)? + sorted.get(middle)?) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Labels;

    fn series(values: &[f64]) -> Series {
        let samples = values
            .iter()
            .enumerate()
            .map(|(i, v)| Sample { at: Timestamp::from_secs(15 * i64::try_from(i).unwrap()), value: *v })
            .collect();
        Series { labels: Labels::new(), samples }
    }

    fn measure(values: &[f64]) -> Movement {
        let end = Timestamp::from_secs(15 * i64::try_from(values.len()).unwrap());
        movement(
            &series(values),
            Window::new(Timestamp::from_secs(0), Timestamp::from_secs(15 * 9)),
            Window::new(Timestamp::from_secs(0), end),
        )
    }

    #[test]
    fn reports_time_and_levels_of_a_step() {
        let m = measure(&[4.0, 5.0, 4.0, 3.0, 4.0, 5.0, 4.0, 4.0, 3.0, 4.0, 4.0, 12.0, 20.0, 20.0, 20.0]);
        assert_eq!(m.direction, Direction::Up);
        assert_eq!(m.changed_at, Some(Timestamp::from_secs(15 * 11)));
        assert_eq!((m.before, m.after), (Some(4.0), Some(20.0)));
    }

    #[test]
    fn dates_a_change_to_the_run_up_before_the_alert() {
        // The baseline ends at the tenth sample; the series is off from the seventh on.
        let m = measure(&[4.0, 5.0, 4.0, 3.0, 4.0, 4.0, 20.0, 40.0, 41.0, 40.0, 42.0, 40.0]);
        assert_eq!((m.direction, m.changed_at), (Direction::Up, Some(Timestamp::from_secs(15 * 6))));
        assert_eq!((m.before, m.after), (Some(4.0), Some(42.0)));
        // A rise that is over before the end of the baseline, and a single high sample, do not count.
        for values in [
            [4.0, 5.0, 4.0, 3.0, 4.0, 4.0, 20.0, 40.0, 4.0, 4.0, 4.0, 4.0, 5.0],
            [4.0, 5.0, 4.0, 3.0, 4.0, 4.0, 5.0, 4.0, 4.0, 40.0, 4.0, 4.0, 5.0],
        ] {
            assert_eq!(measure(&values).direction, Direction::Flat, "{values:?}");
        }
    }

    #[test]
    fn noise_single_spikes_and_empty_series_are_flat() {
        for values in [
            vec![4.0, 5.0, 4.0, 3.0, 4.0, 5.0, 4.0, 4.0, 3.0, 4.0, 5.0, 4.0, 3.0, 4.0, 5.0],
            vec![1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 9.0, 1.0, 1.0, 1.0],
            vec![0.0; 15],
            vec![],
            vec![f64::NAN; 15],
        ] {
            assert_eq!(measure(&values).direction, Direction::Flat, "{values:?}");
        }
    }

    #[test]
    fn ended_series_dropped_and_vanished_series_recovered() {
        let series = series(&[4.0, 5.0, 4.0, 3.0, 4.0, 5.0, 4.0, 4.0, 3.0, 4.0, 4.0, 4.0]);
        let baseline = Window::new(Timestamp::from_secs(0), Timestamp::from_secs(15 * 8));
        let until = |end: i64| movement(&series, baseline, Window::new(Timestamp::from_secs(0), Timestamp::from_secs(15 * end)));
        assert_eq!(until(13).direction, Direction::Flat);
        let ended = until(30);
        assert_eq!((ended.direction, ended.after, ended.changed_at), (Direction::Down, None, Some(Timestamp::from_secs(165))));
        let mut only_late = vec![f64::NAN; 10];
        only_late.extend([3.0, 4.0, 0.0, 0.0, 0.0]);
        let over = measure(&only_late);
        assert_eq!((over.direction, over.back_at), (Direction::Up, Some(Timestamp::from_secs(180))));
    }

    #[test]
    fn a_series_that_begins_where_all_data_begin_has_not_appeared() {
        let baseline = Window::new(Timestamp::from_secs(0), Timestamp::from_secs(300));
        let samples = (25..60).map(|n| Sample { at: Timestamp::from_secs(15 * n), value: 20.0 }).collect();
        let series = Series { labels: Labels::new(), samples };
        let from = |start| movement(&series, baseline, Window::new(Timestamp::from_secs(start), Timestamp::from_secs(900)));
        assert_eq!((from(360).direction, from(360).before, from(360).after), (Direction::Flat, None, Some(20.0)));
        assert_eq!((from(0).direction, from(0).changed_at), (Direction::Up, Some(Timestamp::from_secs(375))));
    }

    #[test]
    fn detects_new_errors_and_a_drop() {
        let mut errors = vec![0.0; 10];
        errors.extend([0.0, 3.0, 8.0, 8.0]);
        assert_eq!(measure(&errors).direction, Direction::Up);
        let mut fall = vec![100.0, 101.0, 99.0, 100.0, 100.0, 100.0, 101.0, 99.0, 100.0, 100.0];
        fall.extend([40.0, 38.0, 41.0]);
        assert_eq!(measure(&fall).direction, Direction::Down);
    }

    proptest::proptest! {
        #[test]
        fn direction_does_not_depend_on_the_scale(values in proptest::collection::vec(-1e3f64..1e3, 0..40), scale in 1e-3f64..1e3) {
            let scaled: Vec<f64> = values.iter().map(|v| v * scale).collect();
            proptest::prop_assert_eq!(measure(&values).direction, measure(&scaled).direction);
        }
    }
}
