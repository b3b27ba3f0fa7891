//! Whether, when and how far a series left its normal range.
//!
//! Normal is the median of the baseline; its spread is the median absolute deviation, never taken below a small share of
//! the level, so that a flat baseline does not make the least stir a discovery. A move counts when it lasts: two samples
//! in a row, or half of what follows.

use serde::{Deserialize, Serialize};

use crate::telemetry::{Sample, Series, Timestamp, Window};

/// Which way it went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Up,
    Down,
    #[default]
    Flat,
}

impl Direction {
    /// The word as printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Flat => "flat",
        }
    }
}

/// What became of a series after its baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Movement {
    pub direction: Direction,
    /// Distance from normal in spreads; 0 for a flat series, capped at 1000.
    pub score: f64,
    /// The first sample of the lasting move.
    pub changed_at: Option<Timestamp>,
    /// The baseline's median; `None` when the series did not exist then.
    pub before: Option<f64>,
    /// The most distant tenth of what came after the change (its level when flat).
    pub after: Option<f64>,
    /// Since when it is back in its normal range, to the end of the window; `None`: it is not, or never left it.
    #[serde(default)]
    pub back_at: Option<Timestamp>,
}

impl Movement {
    /// A series without any sample after its baseline, or with none at all.
    fn absent() -> Self {
        Self { direction: Direction::Flat, score: 0.0, changed_at: None, before: None, after: None, back_at: None }
    }
}

/// Spreads from normal at which a series counts as moved.
const MOVED: f64 = 6.0;
const MAX_SCORE: f64 = 1000.0;

/// Compares what a series did from `baseline.end` to `window.end` with its baseline. What left its normal range shortly before
/// the end of the baseline, and stayed so to its end, moved then: an alert comes after what it tells of.
pub fn movement(series: &Series, baseline: Window, window: Window) -> Movement {
    let baseline = before_run_up(series, baseline).unwrap_or(baseline);
    let after_window = Window::new(baseline.end, window.end);
    let after: Vec<Sample> =
        series.within(after_window).iter().filter(|s| s.value.is_finite() && s.at > baseline.end).copied().collect();
    let before = series.values(baseline);
    if let Some(gone) = gone(series, &before, window) {
        return gone;
    }
    let Some(last) = after.last() else { return Movement { before: median(&before), ..Movement::absent() } };
    let Some(normal) = median(&before) else {
        // It did not exist before: new, unless it stays at zero.
        let after_level = far_level(&after, 0.0);
        let appeared = after.iter().find(|s| s.value != 0.0).map(|s| s.at);
        let moved = appeared.is_some();
        return Movement {
            direction: if moved { Direction::Up } else { Direction::Flat },
            score: if moved { MAX_SCORE / 10.0 } else { 0.0 },
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
        distance(s).abs() >= MOVED && after.get(i + 1).is_none_or(|next| distance(next) * side >= MOVED / 2.0)
    });
    let lasting = changed.filter(|(i, s)| {
        let rest = after.get(*i..).unwrap_or(&[]);
        let side = distance(s).signum();
        let beyond = rest.iter().filter(|r| distance(r) * side >= MOVED / 2.0).count();
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
        back_at: back_at(rest, |s| distance(s).abs() < MOVED / 2.0),
    }
}

/// The baseline without its end, where the series had left its normal range already: since no longer than half of it, and all
/// the time up to its end.
fn before_run_up(series: &Series, baseline: Window) -> Option<Window> {
    let samples: Vec<Sample> = series.within(baseline).iter().filter(|s| s.value.is_finite()).copied().collect();
    let middle = baseline.start + baseline.length() / 2;
    let (calm, run_up) = samples.split_at(samples.partition_point(|s| s.at <= middle));
    let values: Vec<f64> = calm.iter().map(|s| s.value).collect();
    let normal = median(&values).filter(|_| calm.len() >= KNOWN)?;
    let spread = spread(&values, normal, run_up);
    let distance = |s: &Sample| (s.value - normal) / spread;
    let side = distance(run_up.last()?).signum();
    let off = run_up.iter().rev().take_while(|s| distance(s) * side >= MOVED / 2.0).count();
    let rest = run_up.get(run_up.len() - off..)?;
    // All of the run-up: then it may have been so for longer, and nothing tells since when.
    if off < 2 || off == run_up.len() || !rest.iter().any(|s| distance(s).abs() >= MOVED) {
        return None;
    }
    let last = run_up.get(run_up.len() - off - 1)?;
    Some(Window::new(baseline.start, last.at))
}

/// Steps without a sample after which a series has ended.
const ENDED: f64 = 3.0;
/// Samples of normal times that an ended series must have had.
const KNOWN: usize = 3;

/// The fall to nothing of a series that was there in normal times and has ended before the window does: whoever wrote it no
/// longer answers.
fn gone(series: &Series, before: &[f64], window: Window) -> Option<Movement> {
    let samples = series.within(window);
    let last = samples.iter().rev().find(|s| s.value.is_finite())?;
    let mut steps: Vec<f64> = samples.windows(2).filter_map(|w| Some(w.get(1)?.at.secs_since(w.first()?.at))).collect();
    steps.sort_by(f64::total_cmp);
    let step = steps.get(steps.len() / 2).copied()?;
    if before.len() < KNOWN || window.end.secs_since(last.at) <= ENDED * step {
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

/// Samples in a row that say that it is over.
const CALM: usize = 3;

/// The first of the last samples that are all normal again, when they are enough.
fn back_at(rest: &[Sample], is_normal: impl Fn(&Sample) -> bool) -> Option<Timestamp> {
    let calm = rest.iter().rev().take_while(|s| is_normal(s)).count();
    (calm >= CALM && calm < rest.len()).then(|| rest.get(rest.len() - calm).map(|s| s.at)).flatten()
}

/// The value that a tenth of the samples are at least as far from normal as; the single farthest of a short series.
fn far_level(samples: &[Sample], normal: f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(|s| s.value).collect();
    values.sort_by(|a, b| (b - normal).abs().total_cmp(&(a - normal).abs()));
    values.get(values.len() / 10).or_else(|| values.first()).copied().unwrap_or(normal)
}

fn spread(before: &[f64], normal: f64, after: &[Sample]) -> f64 {
    let deviations: Vec<f64> = before.iter().map(|v| (v - normal).abs()).collect();
    let mad = median(&deviations).unwrap_or(0.0) * 1.4826;
    let widest = deviations.iter().copied().fold(0.0_f64, f64::max) / 3.0;
    // A flat baseline: a twentieth of its level; a flat zero: a twentieth of the largest value seen since.
    let floor =
        if normal.abs() > 0.0 { normal.abs() / 20.0 } else { after.iter().map(|s| s.value.abs()).fold(0.0_f64, f64::max) / 20.0 };
    mad.max(widest).max(floor).max(f64::MIN_POSITIVE)
}

/// The median; `None` of nothing.
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

    fn look(values: &[f64]) -> Movement {
        let end = Timestamp::from_secs(15 * i64::try_from(values.len()).unwrap());
        movement(
            &series(values),
            Window::new(Timestamp::from_secs(0), Timestamp::from_secs(15 * 9)),
            Window::new(Timestamp::from_secs(0), end),
        )
    }

    #[test]
    fn a_step_is_seen_with_its_time_and_levels() {
        let m = look(&[4.0, 5.0, 4.0, 3.0, 4.0, 5.0, 4.0, 4.0, 3.0, 4.0, 4.0, 12.0, 20.0, 20.0, 20.0]);
        assert_eq!(m.direction, Direction::Up);
        assert_eq!(m.changed_at, Some(Timestamp::from_secs(15 * 11)));
        assert_eq!((m.before, m.after), (Some(4.0), Some(20.0)));
    }

    #[test]
    fn what_moved_before_the_alert_moved_then() {
        // The baseline ends with the tenth; it has moved since the seventh.
        let m = look(&[4.0, 5.0, 4.0, 3.0, 4.0, 4.0, 20.0, 40.0, 41.0, 40.0, 42.0, 40.0]);
        assert_eq!((m.direction, m.changed_at), (Direction::Up, Some(Timestamp::from_secs(15 * 6))));
        assert_eq!((m.before, m.after), (Some(4.0), Some(42.0)));
        // One that is back before the end of the baseline, and one sample, are what is usual.
        for values in [
            [4.0, 5.0, 4.0, 3.0, 4.0, 4.0, 20.0, 40.0, 4.0, 4.0, 4.0, 4.0, 5.0],
            [4.0, 5.0, 4.0, 3.0, 4.0, 4.0, 5.0, 4.0, 4.0, 40.0, 4.0, 4.0, 5.0],
        ] {
            assert_eq!(look(&values).direction, Direction::Flat, "{values:?}");
        }
    }

    #[test]
    fn noise_one_spike_and_nothing_are_flat() {
        for values in [
            vec![4.0, 5.0, 4.0, 3.0, 4.0, 5.0, 4.0, 4.0, 3.0, 4.0, 5.0, 4.0, 3.0, 4.0, 5.0],
            vec![1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 9.0, 1.0, 1.0, 1.0],
            vec![0.0; 15],
            vec![],
            vec![f64::NAN; 15],
        ] {
            assert_eq!(look(&values).direction, Direction::Flat, "{values:?}");
        }
    }

    #[test]
    fn what_ends_has_fallen_and_what_appeared_and_went_is_back() {
        let series = series(&[4.0, 5.0, 4.0, 3.0, 4.0, 5.0, 4.0, 4.0, 3.0, 4.0, 4.0, 4.0]);
        let baseline = Window::new(Timestamp::from_secs(0), Timestamp::from_secs(15 * 8));
        let of = |end: i64| movement(&series, baseline, Window::new(Timestamp::from_secs(0), Timestamp::from_secs(15 * end)));
        assert_eq!(of(13).direction, Direction::Flat);
        let ended = of(30);
        assert_eq!((ended.direction, ended.after, ended.changed_at), (Direction::Down, None, Some(Timestamp::from_secs(165))));
        let mut only_late = vec![f64::NAN; 10];
        only_late.extend([3.0, 4.0, 0.0, 0.0, 0.0]);
        let over = look(&only_late);
        assert_eq!((over.direction, over.back_at), (Direction::Up, Some(Timestamp::from_secs(180))));
    }

    #[test]
    fn a_new_error_counter_and_a_fall_are_seen() {
        let mut errors = vec![0.0; 10];
        errors.extend([0.0, 3.0, 8.0, 8.0]);
        assert_eq!(look(&errors).direction, Direction::Up);
        let mut fall = vec![100.0, 101.0, 99.0, 100.0, 100.0, 100.0, 101.0, 99.0, 100.0, 100.0];
        fall.extend([40.0, 38.0, 41.0]);
        assert_eq!(look(&fall).direction, Direction::Down);
    }

    proptest::proptest! {
        #[test]
        fn any_values_and_scales_are_fine(values in proptest::collection::vec(-1e3f64..1e3, 0..40), scale in 1e-3f64..1e3) {
            let scaled: Vec<f64> = values.iter().map(|v| v * scale).collect();
            proptest::prop_assert_eq!(look(&values).direction, look(&scaled).direction);
        }
    }
}
