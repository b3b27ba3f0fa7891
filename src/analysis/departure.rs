//! Measures how far a series left its normal range, in which direction, and when.
//!
//! Normal is the median of the baseline. The size combines the farthest and the lasting departure, in spreads of the
//! baseline, so that units and magnitudes do not matter: a short spike is invisible to a median, and a small lasting shift to
//! a maximum. The spread has floors, because in units of a spread near zero anything is enormous. A departure that was
//! there already in the minutes before counts less. The incident may have been noticed late, so the last minutes of the
//! baseline may already belong to it: samples that are off without a break until the incident are its run-up, which does
//! not widen the spread. A counter is measured by its rate, corrected for resets.

mod ranks;

use std::borrow::Cow;
use std::time::Duration;

use super::movement::Direction;
use super::parts::{LeftOut, Part};
use crate::telemetry::{Labels, Timestamp};
pub use ranks::quantile;
use ranks::{Ranked, Values, bounds, sums};

/// The spread is at least this share of the level: a change of less than a hundredth seldom hurts, however steady the series.
const MIN_LEVEL_SHARE: f64 = 0.01;
/// The spread is at least this share of the farthest excursion of the baseline: what happened before may happen again.
const MIN_EXCURSION_SHARE: f64 = 0.2;
/// The spread is at least this share of the usual spread of the same metric in other services.
const MIN_SHARED_SPREAD: f64 = 0.5;
/// The spread is at least this share of the largest later value, for a series that was constantly zero.
const MIN_SHARE_OF_LATER: f64 = 0.01;
/// The lasting distance counts as at least this share of the farthest, so that a short spike counts as well.
const MIN_LASTING_SHARE: f64 = 0.2;
/// A sample is off when it is this many spreads from normal; here the standard deviation counts by this share only, so that
/// a change to a level that the baseline reached in bursts is dated as well.
const OFF: f64 = 3.0;
const DEVIATION_SHARE_WHEN_DATING: f64 = 0.25;
/// Share of the distance in the minutes before the incident that is not part of it.
const EARLIER_SHARE: f64 = 0.5;
/// Size of the departure of a series that ended.
const ENDED_SIZE: f64 = 100.0;
/// Size of the departure of a new series with a nonzero value; also the largest size for one with too short a baseline.
const NEW_SERIES_SIZE: f64 = 5.0;
/// A series that departs by less than this size has not changed.
const MIN_SIZE: f64 = 1.0;
/// Minimum number of samples for estimating a spread or a level.
const MIN_SAMPLES: usize = 3;
/// How late an incident may be noticed: this much of the end of the baseline may belong to it.
pub const MAX_NOTICE_DELAY: Duration = Duration::from_mins(10);
/// Largest share of the baseline that may belong to the incident.
const MAX_TAIL_SHARE: f64 = 0.2;
/// Share of the typical later distance that a sample must reach to mark the change.
const MIN_DISTANCE_SHARE: f64 = 0.2;
/// Number of samples in a row that decide whether a change lasts.
const PERSISTENCE: usize = 5;
/// Minimum number of samples from which a series that only grows counts as a counter whatever its name; also the minimum
/// number of gaps at the start of the baseline of a series that counts as new.
const MIN_RUN: usize = 12;

/// A time and its value; a NaN value is a gap.
pub type Point = (Timestamp, f64);

/// Identifies a series: the service, what is measured, and where it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesId {
    /// Empty if no service is known.
    pub service: String,
    /// The metric as it is shown: `db_pool_in_use`, `latency p95`, or the column of a file, which may contain labels.
    pub metric: String,
    /// Labels that distinguish it from other series of the same metric; empty for a column of a file.
    pub labels: Labels,
    /// Key of the evidence that contains it; empty for a column of a file.
    pub source: String,
}

impl SeriesId {
    /// The series in a column of a file. The column is named `service|metric`, or `metric` if no service is known.
    pub fn from_column(column: &str) -> Self {
        let (service, metric) = column.split_once('|').unwrap_or(("", column));
        Self { service: service.to_owned(), metric: metric.to_owned(), ..Self::default() }
    }

    /// The name of the column that [`Self::from_column`] reads.
    pub fn column(&self) -> String {
        if self.service.is_empty() { self.metric.clone() } else { format!("{}|{}", self.service, self.metric) }
    }
}

/// A series split at the start of the incident; both parts are in time order.
#[derive(Clone, Debug, Default)]
pub struct MeasuredSeries {
    pub id: SeriesId,
    /// Unit shown after a value: `s`, `B`, `%`, or empty.
    pub unit: String,
    pub baseline: Vec<Point>,
    pub incident: Vec<Point>,
    /// When it ended while other series of its source continued: its writer no longer responds.
    pub ended: Option<Timestamp>,
    /// When it left its normal range, if that is known already.
    pub changed_at: Option<Timestamp>,
}

/// How far one series departed from its baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Departure {
    /// In spreads of the baseline; finite, 0 or more.
    pub size: f64,
    pub direction: Direction,
    /// When it left its normal range for good; `None` if it did not.
    pub changed_at: Option<Timestamp>,
    /// Medians of the baseline and of the values since; per second for a counter. `None` without values.
    pub before: Option<f64>,
    pub after: Option<f64>,
    /// Whether `before` and `after` are rates of a counter.
    pub is_rate: bool,
    /// How far the mean since is from the median of the baseline; 0 if either is missing.
    pub mean_change: f64,
    /// How far it rose and fell, in the unit of the series, and its spread: [`Self::size`] is the larger of both in spreads.
    /// All are 0 if no spread could be measured.
    rise: f64,
    fall: f64,
    spread: f64,
}

impl Departure {
    /// How far it rose and how far it fell, in spreads. Where no spread could be measured, the whole size is in the direction
    /// of the change.
    pub fn sides(&self) -> (f64, f64) {
        if self.spread > 0.0 {
            return (self.rise / self.spread, self.fall / self.spread);
        }
        if self.direction == Direction::Down { (0.0, self.size) } else { (self.size, 0.0) }
    }

    /// The spread of the baseline in the unit of the series; `None` if it could not be measured.
    pub fn spread(&self) -> Option<f64> {
        (self.spread > 0.0).then_some(self.spread)
    }

    /// Raises the spread to a share of what is usual for the same metric in other services: a service that happened to be
    /// calm is not more certain to have changed.
    pub fn compare_with_others(&mut self, usual_spread: f64) {
        let least = MIN_SHARED_SPREAD * usual_spread;
        if self.spread > 0.0 && self.spread < least {
            self.spread = least;
            self.settle();
        }
    }

    /// Derives the size from both sides and the spread. A series below [`MIN_SIZE`] has not changed.
    fn settle(&mut self) {
        let size = self.rise.max(self.fall) / self.spread;
        self.size = if size.is_finite() { size } else { 0.0 };
        if self.size < MIN_SIZE {
            (self.direction, self.changed_at) = (Direction::Flat, None);
        }
    }
}

/// Measures how far a series departed from its baseline.
pub fn measure(series: &MeasuredSeries) -> Departure {
    measure_without(series, LeftOut::default())
}

/// Measures it without some parts of the measurement.
pub fn measure_without(series: &MeasuredSeries, left_out: LeftOut) -> Departure {
    let is_rate = is_counter(series);
    let grown: (Vec<Point>, Vec<Point>);
    let ((base, plain), (now, since)) = if is_rate {
        // The step from the baseline into the incident counts if there is no gap between them.
        grown = (rates(None, &series.baseline), rates(boundary_point(series), &series.incident));
        (finite(&grown.0), finite(&grown.1))
    } else {
        (finite(&series.baseline), finite(&series.incident))
    };
    if let Some(at) = late_start(series, &base) {
        let mut since = [plain.all, since.all].concat();
        let after = quantile(&mut since, 0.5);
        let (size, direction, changed_at) = (NEW_SERIES_SIZE, Direction::Up, Some(at));
        return Departure { size, direction, changed_at, after, is_rate, ..Departure::default() };
    }
    let mut usual = Ranked::new(&plain);
    let before = usual.as_mut().map(|usual| usual.quantile(0.5));
    let after = Ranked::new(&since).map(|mut since| since.quantile(0.5));
    let mut found = Departure { before, after, is_rate, ..Departure::default() };
    if let Some(ended) = series.ended.filter(|_| base.len() >= MIN_SAMPLES) {
        return Departure { size: ENDED_SIZE, direction: Direction::Down, changed_at: Some(ended), after: None, ..found };
    }
    let Some(after) = after else { return found };
    let Some((usual, median)) = usual.as_mut().zip(before) else {
        if let Some((at, _)) = now.iter().find(|(_, v)| *v != 0.0) {
            (found.size, found.direction, found.changed_at) = (NEW_SERIES_SIZE, Direction::Up, Some(*at));
        }
        return found;
    };
    found.direction = direction_of(after - median);
    found.mean_change = sums(&since.all, median).0 / since.all.len().max(1) as f64;
    if base.len() < MIN_SAMPLES {
        // Too few samples for a spread, but a change by half or more still counts.
        let share = (after - median).abs() / after.abs().max(median.abs()).max(f64::MIN_POSITIVE);
        if share >= 0.5 {
            (found.size, found.changed_at) = (NEW_SERIES_SIZE * share.min(1.0), now.first().map(|(at, _)| *at));
        }
        return found;
    }
    let tail = tail_len(&base, now.first().map(|(at, _)| *at));
    let calm = base.len() - tail;
    let normal = learn_normal(&plain, calm, (median, usual.robust_spread(median)), left_out);
    let run_up = bounds(plain.all.get(normal.run_up..).unwrap_or_default());
    let (lowest, highest) = (run_up.0.min(since.low), run_up.1.max(since.high));
    let mean = found.mean_change;
    let earlier_share = if left_out.uses(Part::Earlier) { EARLIER_SHARE } else { 0.0 };
    // The geometric mean of the farthest distance, counted twice, and the lasting one.
    let side = |farthest: f64, lasting: f64| {
        let farthest = (farthest - earlier_share * normal.earlier).max(0.0);
        if !left_out.uses(Part::Farthest) {
            return lasting.max(0.0);
        }
        if !left_out.uses(Part::Lasting) {
            return farthest;
        }
        farthest.cbrt().powi(2) * lasting.max(MIN_LASTING_SHARE * farthest).cbrt()
    };
    found.rise = side(highest - median, mean.max(after - median));
    found.fall = side(median - lowest, (-mean).max(median - after));
    found.spread = normal.spread.max(MIN_SHARE_OF_LATER * if median == 0.0 { highest.abs().max(lowest.abs()) } else { 0.0 });
    let bound = normal.bound;
    let outside = |v: f64| (v - median).abs() > bound;
    let range = SearchRange { tail: base.get(calm..).unwrap_or_default(), now: &now };
    let is_off = (highest - median).max(median - lowest) > bound;
    let first = if is_off { first_change(&range, median, bound) } else { None };
    // If the incident was dated too early, most of its samples are normal: take the level since the change instead.
    let late =
        first.and_then(|at| at.checked_sub(tail)).filter(|at| (1..now.len()).contains(at) && (now.len() - at) * 5 >= now.len());
    let mut rest: Vec<f64> = now.iter().skip(late.unwrap_or(now.len())).map(|(_, v)| *v).collect();
    let since_then = if rest.len() >= MIN_SAMPLES { quantile(&mut rest, 0.5) } else { None };
    if let Some(v) = since_then.filter(|v| outside(*v) && (*v - median).abs() > 2.0 * (after - median).abs()) {
        (found.after, found.direction) = (Some(v), direction_of(v - median));
    }
    if found.direction == Direction::Flat {
        found.direction = direction_of(found.rise - found.fall);
    }
    found.changed_at = first.and_then(|at| range.get(at)).map(|(at, _)| at);
    let direction = found.direction;
    found.settle();
    if series.changed_at.is_some() {
        (found.direction, found.changed_at) = (direction, series.changed_at);
    }
    found
}

/// Returns the index of the sample where the change beyond `bound` began.
fn first_change(range: &SearchRange<'_>, median: f64, bound: f64) -> Option<usize> {
    // An excursion that is small compared with the later distance is not the change, however quiet the baseline.
    let mut distances: Vec<f64> = range.points().map(|(_, v)| (v - median).abs()).filter(|d| *d > bound).collect();
    let least_distance = MIN_DISTANCE_SHARE * quantile(&mut distances, 0.75).unwrap_or(0.0);
    change_point(range, median, |v| {
        let off = (v - median).abs();
        off > bound && off >= least_distance
    })
}

/// What is normal for a series.
struct Normal {
    /// More than 0, except for a series that was constantly zero.
    spread: f64,
    /// Distance from the median beyond which a sample is off.
    bound: f64,
    /// Index of the first baseline sample that already belongs to the incident; the length of the baseline without one.
    run_up: usize,
    /// The largest distance from the median in the minutes before, without the run-up.
    earlier: f64,
}

/// Learns what is normal from the values of the baseline in time order. Only the first `calm` are certainly normal; `robust`
/// is the spread by [`Ranked::robust_spread`].
///
/// The spread is the largest of the spread by quartiles, the scaled median absolute deviation and the standard deviation: each
/// of the first two is 0 for a series that rests at one value and has bursts.
fn learn_normal(baseline: &Values, calm: usize, (median, robust): (f64, f64), left_out: LeftOut) -> Normal {
    let values = baseline.all.as_slice();
    // Relative to the median, so that one pass is enough and no precision is lost.
    let deviation = |count: usize, (sum, squares): (f64, f64)| {
        let n = count.max(1) as f64;
        (squares / n - (sum / n).powi(2)).max(0.0).sqrt()
    };
    let floor = MIN_LEVEL_SHARE * median.abs();
    let of_calm = sums(values.get(..calm).unwrap_or_default(), median);
    let by_calm = DEVIATION_SHARE_WHEN_DATING * deviation(calm, of_calm);
    let bound = OFF * robust.max(by_calm).max(floor);
    let side = |v: f64| if (v - median).abs() > bound { direction_of(v - median) } else { Direction::Flat };
    let last = values.last().map_or(Direction::Flat, |v| side(*v));
    let in_run_up = |v: &&f64| last != Direction::Flat && side(**v) == last;
    let off = if left_out.uses(Part::RunUp) { values.iter().skip(calm).rev().take_while(in_run_up).count() } else { 0 };
    let run_up = values.len() - off;
    let usual = values.get(..run_up).unwrap_or_default();
    let tail = usual.get(calm..).unwrap_or_default();
    let of_tail = sums(tail, median);
    let of_usual = (of_calm.0 + of_tail.0, of_calm.1 + of_tail.1);
    let by_deviation = if left_out.uses(Part::Deviation) { deviation(usual.len(), of_usual) } else { 0.0 };
    let excursion = if off == 0 { (baseline.high - median).max(median - baseline.low) } else { farthest(usual, median) };
    let floors = if left_out.uses(Part::Floors) { floor.max(MIN_EXCURSION_SHARE * excursion) } else { 0.0 };
    let spread = robust.max(by_deviation).max(floors);
    Normal { spread, bound, run_up, earlier: farthest(tail, median) }
}

/// Returns the start of a series that has only gaps in its baseline but for the last minutes, which may belong to the
/// incident.
fn late_start(series: &MeasuredSeries, base: &[Point]) -> Option<Timestamp> {
    let (at, _) = *base.iter().find(|(_, v)| *v != 0.0)?;
    let gaps = series.baseline.iter().take_while(|(_, v)| !v.is_finite()).count();
    let is_late = series.incident.first().is_some_and(|(from, _)| at < *from && from.since(at) <= MAX_NOTICE_DELAY);
    (gaps >= MIN_RUN && base.len() * 4 <= gaps && is_late && base.len() + gaps == series.baseline.len()).then_some(at)
}

fn direction_of(by: f64) -> Direction {
    match by {
        d if d > 0.0 => Direction::Up,
        d if d < 0.0 => Direction::Down,
        _ => Direction::Flat,
    }
}

/// Returns how many of the last baseline samples may belong to the incident.
fn tail_len(base: &[Point], from: Option<Timestamp>) -> usize {
    let Some(from) = from else { return 0 };
    let most = (base.len() as f64 * MAX_TAIL_SHARE) as usize;
    base.iter().rev().take(most).take_while(|(at, _)| *at < from && from.since(*at) <= MAX_NOTICE_DELAY).count()
}

/// Returns the largest distance of a value from a level; 0 without values.
fn farthest(values: &[f64], level: f64) -> f64 {
    let (low, high) = bounds(values);
    if values.is_empty() { 0.0 } else { (high - level).max(level - low) }
}

/// Where a change is searched for: the end of the baseline, which may belong to the incident, and the incident.
struct SearchRange<'a> {
    tail: &'a [Point],
    now: &'a [Point],
}

impl SearchRange<'_> {
    fn len(&self) -> usize {
        self.tail.len() + self.now.len()
    }

    fn get(&self, at: usize) -> Option<Point> {
        match at.checked_sub(self.tail.len()) {
            None => self.tail.get(at).copied(),
            Some(at) => self.now.get(at).copied(),
        }
    }

    fn points(&self) -> impl Iterator<Item = Point> {
        self.tail.iter().chain(self.now).copied()
    }
}

/// Returns the finite points and their values; borrowed if all points are finite, as in most series.
fn finite(points: &[Point]) -> (Cow<'_, [Point]>, Values) {
    if let Some(values) = Values::of(points) {
        return (Cow::Borrowed(points), values);
    }
    let finite: Vec<Point> = points.iter().copied().filter(|(_, v)| v.is_finite()).collect();
    let values = Values::of(&finite).unwrap_or_default();
    (Cow::Owned(finite), values)
}

/// Returns the index of the first sample that is outside on one side while most samples after it are too; else of the first
/// outside.
fn change_point(range: &SearchRange<'_>, median: f64, outside: impl Fn(f64) -> bool) -> Option<usize> {
    let side = |v: f64| if outside(v) { direction_of(v - median) } else { Direction::Flat };
    let stays = |at: usize, to: Direction| {
        let next = || (at..range.len().min(at + PERSISTENCE)).filter_map(|n| range.get(n)).map(|(_, v)| side(v) == to);
        next().nth(1).is_none_or(|goes_on| goes_on) && next().filter(|it| *it).count() * 5 >= next().count() * 3
    };
    let mut any = None;
    for (at, (_, v)) in range.points().enumerate() {
        let to = side(v);
        if to == Direction::Flat {
            continue;
        }
        if stays(at, to) && (at + 1 < range.len() || any.is_none()) {
            return Some(at);
        }
        any = any.or(Some(at));
    }
    any
}

/// Whether a series is a counter: by a suffix from the Prometheus naming conventions, or because it only grows.
fn is_counter(series: &MeasuredSeries) -> bool {
    let metric = series.id.metric.split('{').next().unwrap_or("");
    if ["_total", "_count", "_sum", "_bucket"].iter().any(|end| metric.ends_with(end)) {
        // A series that never grows in its baseline may be a gauge of a count: it is measured by its level.
        let increases = |points: &[Point]| points.iter().zip(points.iter().skip(1)).any(|(a, b)| b.1 > a.1);
        return increases(&series.baseline) && grows(&series.baseline, true) && grows(&series.incident, true);
    }
    series.baseline.len() >= MIN_RUN && grows(&series.baseline, false) && grows(&series.incident, false)
}

/// Whether a series grows at nearly every step; `by_name`: whether it never falls except to restart.
fn grows(points: &[Point], by_name: bool) -> bool {
    let (mut steps, mut up) = (0_usize, 0_usize);
    let mut last: Option<f64> = None;
    for (_, v) in points.iter().filter(|(_, v)| v.is_finite()) {
        if *v < 0.0 {
            return false;
        }
        if let Some(before) = last {
            // A counter restarts near zero.
            if *v < before && !(by_name && *v <= 0.5 * before) {
                return false;
            }
            steps += 1;
            up += usize::from(*v > before);
        }
        last = Some(*v);
    }
    by_name || (steps > 0 && up * 10 >= steps * 9)
}

/// Returns the last sample of the baseline if the incident follows it without a gap.
fn boundary_point(series: &MeasuredSeries) -> Option<Point> {
    let mut steps: Vec<f64> = series.incident.windows(2).filter_map(|w| Some(w.get(1)?.0.secs_since(w.first()?.0))).collect();
    let step = quantile(&mut steps, 0.5)?;
    let (last, first) = (series.baseline.iter().rev().find(|(_, v)| v.is_finite())?, series.incident.first()?);
    let gap = first.0.secs_since(last.0);
    (gap > 0.0 && gap <= 3.0 * step).then_some(*last)
}

/// Returns the growth per second from each sample to the next; a fall counts as a restart from zero.
pub(super) fn rates(before: Option<Point>, points: &[Point]) -> Vec<Point> {
    let mut last = before;
    let mut out = Vec::with_capacity(points.len());
    for point in points.iter().copied().filter(|(_, v)| v.is_finite()) {
        if let Some((at, v)) = last {
            let secs = point.0.secs_since(at);
            if secs > 0.0 {
                out.push((point.0, (if point.1 >= v { point.1 - v } else { point.1 }) / secs));
            }
        }
        last = Some(point);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(from: i64, values: &[f64]) -> Vec<Point> {
        (0..).map(|n| Timestamp::from_secs(1_795_253_400 + from + 60 * n)).zip(values.iter().copied()).collect()
    }

    /// A sample a minute; the incident begins at 0.
    fn series(name: &str, baseline: &[f64], incident: &[f64]) -> MeasuredSeries {
        let before = -60 * baseline.len() as i64;
        MeasuredSeries {
            id: SeriesId::from_column(name),
            baseline: points(before, baseline),
            incident: points(0, incident),
            ..MeasuredSeries::default()
        }
    }

    const CALM: [f64; 20] =
        [10.0, 11.0, 9.0, 10.5, 9.5, 10.0, 10.2, 9.8, 10.0, 11.0, 9.0, 10.5, 9.5, 10.0, 10.2, 9.8, 10.0, 10.4, 9.6, 10.0];

    #[expect(clippy::unnecessary_wraps, reason = "compared with what may be missing")]
    fn minute(n: i64) -> Option<Timestamp> {
        Some(Timestamp::from_secs(1_795_253_400 + 60 * n))
    }

    #[test]
    fn dates_a_lasting_change_even_when_noticed_late() {
        let on_time = measure(&series("a|cpu", &CALM, &[10.0, 30.0, 9.9, 10.1, 30.0, 31.0, 30.0, 32.0, 31.0]));
        assert_eq!((on_time.direction, on_time.changed_at), (Direction::Up, minute(4)), "a single blip is not a change");
        // Noticed three minutes late: the baseline ends with values of the incident.
        let mut contaminated = CALM;
        contaminated[17..].copy_from_slice(&[30.0, 31.0, 30.0]);
        let late = measure(&series("a|cpu", &contaminated, &[30.0, 31.0, 32.0, 30.0]));
        assert_eq!(late.changed_at, minute(-3));
        assert!(late.size > 0.5 * measure(&series("a|cpu", &CALM, &[30.0, 31.0, 32.0, 30.0])).size, "{late:?}");
        // The baseline of another day has no such end.
        let mut other_day = series("a|cpu", &contaminated, &[30.0, 31.0, 32.0, 30.0]);
        other_day.baseline.iter_mut().for_each(|(at, _)| *at = *at + Duration::from_hours(30));
        assert_eq!(measure(&other_day).changed_at, minute(0));
    }

    #[test]
    fn measures_an_incident_that_was_dated_too_early() {
        let mut now = vec![10.0; 12];
        now.extend([30.0, 31.0, 30.0, 32.0, 31.0]);
        let early = measure(&series("a|cpu", &CALM, &now));
        assert_eq!((early.direction, early.changed_at, early.after), (Direction::Up, minute(12), Some(31.0)));
        assert!(early.size > 10.0, "{early:?}");
    }

    #[test]
    fn what_was_off_before_counts_less() {
        let now = [20.0, 21.0, 20.0, 22.0];
        let mut before = CALM;
        before[14..17].copy_from_slice(&[24.0, 25.0, 24.0]);
        let (first, again) = (measure(&series("a|cpu", &CALM, &now)), measure(&series("a|cpu", &before, &now)));
        assert!(again.size < 0.25 * first.size, "{first:?} {again:?}");
        // The same samples just before the incident are its beginning.
        let mut late = CALM;
        late[17..].copy_from_slice(&[24.0, 25.0, 24.0]);
        let late = measure(&series("a|cpu", &late, &now));
        assert!(late.size > 0.5 * first.size && late.changed_at == minute(-3), "{first:?} {late:?}");
    }

    #[test]
    fn a_short_spike_and_a_small_lasting_shift_both_count() {
        let mut spike = [10.0; 12];
        spike[5] = 60.0;
        let spike = measure(&series("a|cpu", &CALM, &spike));
        assert!(spike.size > 20.0 && spike.direction == Direction::Up, "{spike:?}");
        let shift = measure(&series("a|cpu", &CALM, &[12.0, 12.5, 12.0, 12.4, 12.2, 12.0]));
        assert!((2.0..10.0).contains(&shift.size) && shift.direction == Direction::Up, "{shift:?}");
    }

    #[test]
    fn measures_counters_by_their_rate_and_ignores_resets() {
        let accumulate = |rates: &[f64], from: f64| {
            let mut at = from;
            rates
                .iter()
                .map(|r| {
                    at += r * 60.0;
                    at
                })
                .collect::<Vec<f64>>()
        };
        let before = accumulate(&CALM, 5000.0);
        let steady = accumulate(&CALM[..6], before[19]);
        assert!(measure(&series("a|http_requests_total", &before, &steady)).size < 2.0);
        let mut restarted = steady.clone();
        restarted[3..].iter_mut().for_each(|v| *v -= steady[2]);
        let reset = measure(&series("a|http_requests_total", &before, &restarted));
        assert!(reset.is_rate && reset.size < 2.0, "{reset:?}");
        let faster = measure(&series("a|errors", &before, &accumulate(&[40.0; 6], before[19])));
        assert!(faster.is_rate && faster.size > 20.0 && faster.after == Some(40.0), "only ever grows: {faster:?}");
        // A gauge with a counter's name that steps up has changed.
        let stepped = measure(&series("a|active_connections_count", &[10.0; 20], &[100.0; 6]));
        assert!(!stepped.is_rate && stepped.size > 20.0 && stepped.after == Some(100.0), "{stepped:?}");
        // A series that falls halfway is a gauge.
        let gauge = measure(&series("a|memory_bytes", &before, &restarted));
        assert!(!gauge.is_rate, "{gauge:?}");
    }

    #[test]
    fn an_ended_series_is_a_large_drop() {
        let ended = MeasuredSeries { ended: minute(2), ..series("a|latency", &CALM, &[10.0, 10.1]) };
        let found = measure(&ended);
        assert_eq!((found.size, found.direction, found.after, found.changed_at), (ENDED_SIZE, Direction::Down, None, minute(2)));
        assert_eq!(measure(&MeasuredSeries { ended: minute(2), ..series("a|latency", &[], &[]) }).size, 0.0);
    }

    #[test]
    fn measures_short_constant_and_new_series() {
        assert_eq!(measure(&series("a|x", &[7.0; 9], &[7.0; 4])).size, 0.0);
        let small = measure(&series("a|x", &[7.0; 9], &[7.1; 4]));
        assert!((1.0..2.0).contains(&small.size), "a steady baseline does not make a small change large: {small:?}");
        assert!(measure(&series("a|x", &[7.0; 9], &[14.0; 4])).size > 50.0);
        assert!(measure(&series("a|x", &[0.0; 9], &[14.0; 4])).size > 50.0);
        assert_eq!(measure(&series("a|x", &[], &[0.0, 3.0])).changed_at, minute(1));
        assert_eq!(measure(&series("a|x", &[], &[0.0, 0.0])).size, 0.0);
        assert!(measure(&series("a|x", &[10.0, 10.0], &[100.0])).size > 4.0);
        assert_eq!(measure(&series("a|x", &[10.0, 10.0], &[11.0])).size, 0.0);
        assert_eq!(measure(&series("a|x", &CALM, &[f64::NAN])), Departure { before: Some(10.0), ..Departure::default() });
    }

    proptest::proptest! {
        #[test]
        fn never_panics(b in proptest::collection::vec(proptest::num::f64::ANY, 0..9), i in proptest::collection::vec(proptest::num::f64::ANY, 0..6), name in "[a-z]{0,3}(_total)?") {
            let found = measure(&series(&name, &b, &i));
            proptest::prop_assert!(found.size.is_finite() && found.size >= 0.0, "{:?}", found);
        }
    }
}
