//! How far a series left what was normal for it, which way, and when.
//!
//! Normal is the median of the baseline. How far: the lasting and the farthest departure together, in spreads of the baseline, so
//! that units and sizes do not matter, and neither a blip nor a slow drift counts alone. The incident may have been noticed late:
//! the last minutes of the baseline are then its first, so they take no part in what is usual, and a change is looked for there
//! too. A counter is measured by its rate, resets put right.

use std::borrow::Cow;
use std::time::Duration;

use super::movement::Direction;
use crate::telemetry::Timestamp;

/// Departures up to here count in full; beyond, only their order matters: a quiet baseline makes any change look endless.
const LARGE: f64 = 100.0;
/// How much a departure beyond [`LARGE`] still adds.
const BEYOND: f64 = 0.25;
/// A spread below this share of the level is none.
const NO_SPREAD: f64 = 1e-6;
/// The departure of a series that was not there before and tells something now.
const NEW: f64 = 5.0;
/// Within one spread nothing has changed.
const STIRS: f64 = 1.0;
/// Baseline samples below which nothing can be said of a spread.
const FEW: usize = 3;
/// So late an incident may be noticed.
pub const LATE: Duration = Duration::from_mins(10);
/// The share of the baseline that may be the incident's, at most.
const TAIL: f64 = 0.2;
/// What a part of the plain deviation adds to the spread: bursts are not unheard of where there were some.
const BURSTS: f64 = 0.25;
/// The share of its way that a series must have gone to have changed.
const PART: f64 = 0.2;
/// So many samples in a row say whether a change lasts.
const LASTS: usize = 5;
/// Samples from which on a series that only ever grows is a counter, whatever its name.
const COUNTS: usize = 12;

/// A value and its time; NaN is a gap.
pub type Point = (Timestamp, f64);

/// A series: its name as given (`service|metric` where the service is known), its normal values, and its values since the
/// incident began, each part in the order of time.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    pub name: String,
    /// As it stands behind a figure: `s`, `B`, `%`, or nothing.
    pub unit: String,
    pub baseline: Vec<Point>,
    pub incident: Vec<Point>,
    /// When it ended while others of its source went on: whoever wrote it no longer answers.
    pub ended: Option<Timestamp>,
    /// Since when it is not as usual, where that is known already.
    pub since: Option<Timestamp>,
}

/// What was measured of one series.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Departure {
    /// In spreads of the baseline; 0 and above, finite.
    pub size: f64,
    pub way: Direction,
    /// When it left what is usual, to stay; `None`: it did not.
    pub changed_at: Option<Timestamp>,
    /// Medians of the baseline and since; of a counter, per second.
    pub before: Option<f64>,
    pub after: Option<f64>,
    /// Whether the figures are a counter's rate.
    pub is_rate: bool,
}

/// Measures a series.
pub fn measure(series: &Measured) -> Departure {
    let is_rate = is_counter(series);
    let ((base, plain), (now, since)) = if is_rate {
        // The step from the baseline into the incident counts where the one goes on with the other.
        let with_values = |points: Vec<Point>| {
            let values = values_of(&points);
            (Cow::Owned(points), values)
        };
        (with_values(rates(None, &series.baseline)), with_values(rates(joins(series), &series.incident)))
    } else {
        (finite(&series.baseline), finite(&series.incident))
    };
    if let Some(at) = began(series, &base) {
        let since: Vec<f64> = base.iter().chain(now.iter()).map(|(_, v)| *v).collect();
        let after = quantiles(&since, [0.5]).map(|[median]| median);
        return Departure { size: NEW, way: Direction::Up, changed_at: Some(at), before: None, after, is_rate };
    }
    let usual = quantiles(&plain, [0.5, 0.25, 0.75]);
    let (before, after) = (usual.map(|[median, ..]| median), quantiles(&since, [0.5]).map(|[median]| median));
    let mut found = Departure { before, after, is_rate, ..Departure::default() };
    if let Some(ended) = series.ended.filter(|_| base.len() >= FEW) {
        return Departure { size: LARGE, way: Direction::Down, changed_at: Some(ended), after: None, ..found };
    }
    let Some(after) = after else { return found };
    let Some([median, low, high]) = usual else {
        if let Some((at, _)) = now.iter().find(|(_, v)| *v != 0.0) {
            (found.size, found.way, found.changed_at) = (NEW, Direction::Up, Some(*at));
        }
        return found;
    };
    found.way = way(after - median);
    if base.len() < FEW {
        // Too few to know a spread; a change by half is one all the same.
        let share = (after - median).abs() / after.abs().max(median.abs()).max(f64::MIN_POSITIVE);
        if share >= 0.5 {
            (found.size, found.changed_at) = (NEW * share.min(1.0), now.first().map(|(at, _)| *at));
        }
        return found;
    }
    let tail = tail_of(&base, now.first().map(|(at, _)| *at));
    let calm = base.len() - tail;
    let spread = spread(&plain, calm, median, (high - low) / 1.349);
    let least = NO_SPREAD * median.abs().max(1e-12);
    let bound = (3.0 * spread).max(least);
    let outside = |v: f64| (v - median).abs() > bound;
    let path = Path { tail: base.get(calm..).unwrap_or_default(), now: &now };
    let far = farthest(&since, median);
    let first = if far.max(farthest(plain.get(calm..).unwrap_or_default(), median)) <= bound {
        None
    } else {
        // What is nothing beside where it went is not yet the change, however quiet it was before.
        let mut gone: Vec<f64> = path.points().map(|(_, v)| (v - median).abs()).filter(|d| *d > bound).collect();
        let part = PART * quantile(&mut gone, 0.75).unwrap_or(0.0);
        change_point(&path, median, |v| {
            let off = (v - median).abs();
            off > bound && off >= part
        })
    };
    // An incident that was dated early is mostly normal: what lasts is then what lasts since the change.
    let late =
        first.and_then(|at| at.checked_sub(tail)).filter(|at| (1..now.len()).contains(at) && (now.len() - at) * 5 >= now.len());
    let mut rest: Vec<f64> = now.iter().skip(late.unwrap_or(now.len())).map(|(_, v)| *v).collect();
    let since_then = if rest.len() >= FEW { quantile(&mut rest, 0.5) } else { None };
    let lasting = since_then.map_or(0.0, |v| 0.5 * (v - median).abs()).max((after - median).abs());
    let moved = (far * lasting).sqrt();
    let mut size = moved / spread.max(least);
    if size > LARGE {
        size = if spread <= least { LARGE } else { (LARGE.ln_1p() + BEYOND * (size / LARGE).ln()).exp_m1() };
    }
    found.size = if size.is_finite() { size } else { 0.0 };
    if let Some(v) = since_then.filter(|v| outside(*v) && (*v - median).abs() > 2.0 * (after - median).abs()) {
        (found.after, found.way) = (Some(v), way(v - median));
    }
    found.changed_at = series.since.or_else(|| first.and_then(|at| path.get(at)).map(|(at, _)| at));
    if found.size < STIRS && series.since.is_none() {
        (found.way, found.changed_at) = (Direction::Flat, None);
    }
    found
}

/// When a series began that has values only in the last of the baseline, which may be the incident's, and gaps before.
fn began(series: &Measured, base: &[Point]) -> Option<Timestamp> {
    let (at, _) = *base.iter().find(|(_, v)| *v != 0.0)?;
    let gaps = series.baseline.iter().take_while(|(_, v)| !v.is_finite()).count();
    let is_late = series.incident.first().is_some_and(|(from, _)| at < *from && from.since(at) <= LATE);
    (gaps >= COUNTS && base.len() * 4 <= gaps && is_late && base.len() + gaps == series.baseline.len()).then_some(at)
}

fn way(by: f64) -> Direction {
    match by {
        d if d > 0.0 => Direction::Up,
        d if d < 0.0 => Direction::Down,
        _ => Direction::Flat,
    }
}

/// How many of the last samples of the baseline may be the incident's.
fn tail_of(base: &[Point], from: Option<Timestamp>) -> usize {
    let Some(from) = from else { return 0 };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
    let most = (base.len() as f64 * TAIL) as usize;
    base.iter().rev().take(most).take_while(|(at, _)| *at < from && from.since(*at) <= LATE).count()
}

/// Two robust spreads, and a part of the plain one over what is surely normal: the first `calm` of the baseline's values, which
/// are in the order of time. `between`: the spread by its quartiles.
fn spread(values: &[f64], calm: usize, median: f64, between: f64) -> f64 {
    let distances: Vec<f64> = values.iter().map(|v| (v - median).abs()).collect();
    let off = 1.4826 * quantiles(&distances, [0.5]).map_or(0.0, |[median]| median);
    // Around the median, so that one pass is enough and no digits are lost.
    let deviation = |(n, sum, squares): (usize, f64, f64)| (squares / n as f64 - (sum / n as f64).powi(2)).max(0.0).sqrt();
    let (normal, rest) = values.split_at(calm.min(values.len()));
    let (a, b) = (sums(normal, median), sums(rest, median));
    let mut whole = deviation((values.len().max(1), a.0 + b.0, a.1 + b.1));
    if calm >= FEW && calm < values.len() {
        whole = whole.min(deviation((calm, a.0, a.1)));
    }
    between.max(off).max(BURSTS * whole)
}

/// Sums that are kept side by side: one must wait for each addition before the next.
const LANES: usize = 8;

/// The sums of the distances from a level and of their squares.
fn sums(values: &[f64], level: f64) -> (f64, f64) {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let (mut sum, mut squares) = ([0.0; LANES], [0.0; LANES]);
    for chunk in chunks {
        for ((v, sum), squares) in chunk.iter().zip(&mut sum).zip(&mut squares) {
            let off = v - level;
            *sum += off;
            *squares += off * off;
        }
    }
    let last = rest.iter().fold((0.0, 0.0), |(a, b), v| (a + (v - level), b + (v - level) * (v - level)));
    (sum.iter().sum::<f64>() + last.0, squares.iter().sum::<f64>() + last.1)
}

/// The farthest distance from a level; 0 of no values.
fn farthest(values: &[f64], level: f64) -> f64 {
    let (low, high) = bounds(values);
    if values.is_empty() { 0.0 } else { (high - level).max(level - low) }
}

/// The least and the largest value; of none, infinities that no value lies between.
fn bounds(values: &[f64]) -> (f64, f64) {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let (mut low, mut high) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
    for chunk in chunks {
        for ((v, low), high) in chunk.iter().zip(&mut low).zip(&mut high) {
            *low = if v < low { *v } else { *low };
            *high = if v > high { *v } else { *high };
        }
    }
    let least = low.iter().chain(rest).copied().fold(f64::INFINITY, f64::min);
    (least, high.iter().chain(rest).copied().fold(f64::NEG_INFINITY, f64::max))
}

/// The end of the baseline, which may be the incident's, and the incident.
struct Path<'a> {
    tail: &'a [Point],
    now: &'a [Point],
}

impl Path<'_> {
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

/// The points that are numbers, and their values; most series have no others.
fn finite(points: &[Point]) -> (Cow<'_, [Point]>, Vec<f64>) {
    let values = values_of(points);
    // Without a way out in between it goes many at a time.
    if values.iter().filter(|v| !v.is_finite()).count() == 0 {
        return (Cow::Borrowed(points), values);
    }
    let points: Vec<Point> = points.iter().copied().filter(|(_, v)| v.is_finite()).collect();
    let values = values_of(&points);
    (Cow::Owned(points), values)
}

fn values_of(points: &[Point]) -> Vec<f64> {
    points.iter().map(|(_, v)| *v).collect()
}

/// The first sample that lies outside to one side while most of those after it do too; else the first that does.
fn change_point(path: &Path<'_>, median: f64, outside: impl Fn(f64) -> bool) -> Option<usize> {
    let side = |v: f64| if outside(v) { way(v - median) } else { Direction::Flat };
    let stays = |at: usize, to: Direction| {
        let next = || (at..path.len().min(at + LASTS)).filter_map(|n| path.get(n)).map(|(_, v)| side(v) == to);
        next().nth(1).is_none_or(|goes_on| goes_on) && next().filter(|it| *it).count() * 5 >= next().count() * 3
    };
    let mut any = None;
    for (at, (_, v)) in path.points().enumerate() {
        let to = side(v);
        if to == Direction::Flat {
            continue;
        }
        if stays(at, to) && (at + 1 < path.len() || any.is_none()) {
            return Some(at);
        }
        any = any.or(Some(at));
    }
    any
}

/// A counter, by its name as Prometheus' conventions end it, or because it only ever grows.
fn is_counter(series: &Measured) -> bool {
    let metric = series.name.rsplit('|').next().unwrap_or("").split('{').next().unwrap_or("");
    if ["_total", "_count", "_sum", "_bucket"].iter().any(|end| metric.ends_with(end)) {
        // What stood still all the time may as well be a gauge that counts something: its steps are then its departure.
        let stirs = |points: &[Point]| points.iter().zip(points.iter().skip(1)).any(|(a, b)| b.1 > a.1);
        return stirs(&series.baseline) && grows(&series.baseline, true) && grows(&series.incident, true);
    }
    series.baseline.len() >= COUNTS && grows(&series.baseline, false) && grows(&series.incident, false)
}

/// Whether it grows at nearly each step (by its name: never falls but to start anew).
fn grows(points: &[Point], by_name: bool) -> bool {
    let (mut steps, mut up) = (0_usize, 0_usize);
    let mut last: Option<f64> = None;
    for (_, v) in points.iter().filter(|(_, v)| v.is_finite()) {
        if *v < 0.0 {
            return false;
        }
        if let Some(before) = last {
            // What starts anew starts near nothing.
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

/// The last sample of the baseline, where the incident goes on from it.
fn joins(series: &Measured) -> Option<Point> {
    let mut steps: Vec<f64> = series.incident.windows(2).filter_map(|w| Some(w.get(1)?.0.secs_since(w.first()?.0))).collect();
    let step = quantile(&mut steps, 0.5)?;
    let (last, first) = (series.baseline.iter().rev().find(|(_, v)| v.is_finite())?, series.incident.first()?);
    let gap = first.0.secs_since(last.0);
    (gap > 0.0 && gap <= 3.0 * step).then_some(*last)
}

/// Growth per second from each sample to the next; a fall is a start from zero.
fn rates(before: Option<Point>, points: &[Point]) -> Vec<Point> {
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

/// The quantile of values in any order (which it may change), interpolated; `None` when there are none. Values are not NaN.
pub fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let (below, share) = place(last, q);
    let (_, a, above) = values.select_nth_unstable_by(below, order);
    let a = *a;
    if share == 0.0 || above.is_empty() {
        return Some(a);
    }
    let b = above.iter().copied().fold(f64::INFINITY, f64::min);
    Some(a + (b - a) * share)
}

/// Between which values a quantile lies, and how far on from the first.
fn place(last: usize, q: f64) -> (usize, f64) {
    let place = q.clamp(0.0, 1.0) * last as f64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place within the values")]
    let below = (place.floor() as usize).min(last);
    (below, place - place.floor())
}

/// Values from which on they are thrown into bins first; and the bins.
const BINNED: usize = 64;
const BINS: usize = 256;
/// Values in one bin from which on that is no help.
const CROWDED: u16 = 24;

/// Values in bins: samples of a series lie close to evenly between their least and their most, so that bins leave little to
/// compare.
struct Bins {
    low: f64,
    scale: f64,
    counts: [u16; BINS],
}

impl Bins {
    /// `None` where they are no help: few values, a great many, or most of them in a few bins.
    fn of(values: &[f64]) -> Option<Self> {
        if values.len() < BINNED || values.len() > usize::from(u16::MAX) {
            return None;
        }
        let (low, high) = bounds(values);
        let scale = (BINS - 1) as f64 / (high - low);
        let mut bins = Self { low, scale, counts: [0; BINS] };
        if !scale.is_finite() || scale <= 0.0 {
            return None;
        }
        for v in values {
            let at = bins.place(*v);
            if let Some(n) = bins.counts.get_mut(at) {
                *n += 1;
            }
        }
        bins.counts.iter().all(|n| *n <= CROWDED).then_some(bins)
    }

    /// The bin of a value between the least and the most: a whole number from 0 to 255, as the last bits of the number that is so
    /// large that its steps are whole (2^52). A conversion would take many times as long.
    fn place(&self, v: f64) -> usize {
        const WHOLE: f64 = 4_503_599_627_370_496.0;
        usize::from(((v - self.low) * self.scale + WHOLE).to_bits().to_le_bytes()[0])
    }
}

/// Quantiles of finite values in any order, interpolated; `None` when there are none.
fn quantiles<const N: usize>(values: &[f64], wanted: [f64; N]) -> Option<[f64; N]> {
    let last = values.len().checked_sub(1)?;
    let Some(bins) = Bins::of(values) else {
        let mut values = values.to_vec();
        return Some(wanted.map(|q| quantile(&mut values, q).unwrap_or(0.0)));
    };
    let places = wanted.map(|q| place(last, q));
    let next_from = |rank: usize| places.iter().flat_map(|(below, _)| [*below, below + 1]).filter(|r| *r >= rank).min();
    // The values in the bins that are wanted, and where each bin's begin: by rank among all, and among those kept.
    let mut kept: Vec<f64> = Vec::with_capacity(N * 8);
    let mut begins: Vec<(usize, usize)> = Vec::with_capacity(N * 2);
    let (mut keep, mut rank, mut index) = ([false; BINS], 0, 0);
    let mut next = next_from(0).unwrap_or(last);
    for (n, keep) in bins.counts.iter().zip(&mut keep) {
        let n = usize::from(*n);
        if next < rank + n {
            *keep = true;
            begins.push((rank, index));
            index += n;
            next = next_from(rank + n).unwrap_or(usize::MAX);
        }
        rank += n;
    }
    kept.extend(values.iter().filter(|v| keep.get(bins.place(**v)) == Some(&true)));
    kept.sort_unstable_by(order);
    let at = |rank: usize| {
        let (first, index) = begins.iter().rev().find(|(first, _)| *first <= rank)?;
        kept.get(index + rank - first).copied()
    };
    let mut out = [0.0; N];
    for (out, (below, share)) in out.iter_mut().zip(places) {
        let a = at(below)?;
        *out = if share == 0.0 { a } else { at(below + 1).map_or(a, |b| a + (b - a) * share) };
    }
    Some(out)
}

/// Numbers that are no NaN compare faster so than by their total order.
fn order(a: &f64, b: &f64) -> std::cmp::Ordering {
    a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(from: i64, values: &[f64]) -> Vec<Point> {
        (0..).map(|n| Timestamp::from_secs(1_795_253_400 + from + 60 * n)).zip(values.iter().copied()).collect()
    }

    /// A sample a minute; the incident begins at 0.
    fn series(name: &str, baseline: &[f64], incident: &[f64]) -> Measured {
        #[allow(clippy::cast_possible_wrap, reason = "a few")]
        let before = -60 * baseline.len() as i64;
        Measured { name: name.into(), baseline: points(before, baseline), incident: points(0, incident), ..Measured::default() }
    }

    const CALM: [f64; 20] =
        [10.0, 11.0, 9.0, 10.5, 9.5, 10.0, 10.2, 9.8, 10.0, 11.0, 9.0, 10.5, 9.5, 10.0, 10.2, 9.8, 10.0, 10.4, 9.6, 10.0];

    fn minute(n: i64) -> Option<Timestamp> {
        Some(Timestamp::from_secs(1_795_253_400 + 60 * n))
    }

    #[test]
    fn the_change_point_is_where_it_stays_also_when_it_was_noticed_late() {
        let on_time = measure(&series("a|cpu", &CALM, &[10.0, 30.0, 9.9, 10.1, 30.0, 31.0, 30.0, 32.0, 31.0]));
        assert_eq!((on_time.way, on_time.changed_at), (Direction::Up, minute(4)), "one blip is no change");
        // Three minutes late: what has moved already stands at the end of the baseline.
        let mut contaminated = CALM;
        contaminated[17..].copy_from_slice(&[30.0, 31.0, 30.0]);
        let late = measure(&series("a|cpu", &contaminated, &[30.0, 31.0, 32.0, 30.0]));
        assert_eq!(late.changed_at, minute(-3));
        assert!(late.size > 0.5 * measure(&series("a|cpu", &CALM, &[30.0, 31.0, 32.0, 30.0])).size, "{late:?}");
        // A day before there is no tail.
        let mut other_day = series("a|cpu", &contaminated, &[30.0, 31.0, 32.0, 30.0]);
        other_day.baseline.iter_mut().for_each(|(at, _)| *at = *at + Duration::from_hours(30));
        assert_eq!(measure(&other_day).changed_at, minute(0));
    }

    #[test]
    fn an_incident_that_was_dated_early_is_still_one() {
        let mut now = vec![10.0; 12];
        now.extend([30.0, 31.0, 30.0, 32.0, 31.0]);
        let early = measure(&series("a|cpu", &CALM, &now));
        assert_eq!((early.way, early.changed_at, early.after), (Direction::Up, minute(12), Some(31.0)));
        assert!(early.size > 10.0, "{early:?}");
    }

    #[test]
    fn counters_are_measured_by_their_rate_and_resets_are_no_fall() {
        let count = |rates: &[f64], from: f64| {
            let mut at = from;
            rates
                .iter()
                .map(|r| {
                    at += r * 60.0;
                    at
                })
                .collect::<Vec<f64>>()
        };
        let before = count(&CALM, 5000.0);
        let steady = count(&CALM[..6], before[19]);
        assert!(measure(&series("a|http_requests_total", &before, &steady)).size < 2.0);
        let mut restarted = steady.clone();
        restarted[3..].iter_mut().for_each(|v| *v -= steady[2]);
        let reset = measure(&series("a|http_requests_total", &before, &restarted));
        assert!(reset.is_rate && reset.size < 2.0, "{reset:?}");
        let faster = measure(&series("a|errors", &before, &count(&[40.0; 6], before[19])));
        assert!(faster.is_rate && faster.size > 20.0 && faster.after == Some(40.0), "only ever grows: {faster:?}");
        // A gauge by the name of a counter that steps up has moved.
        let stepped = measure(&series("a|active_connections_count", &[10.0; 20], &[100.0; 6]));
        assert!(!stepped.is_rate && stepped.size > 20.0 && stepped.after == Some(100.0), "{stepped:?}");
        // A gauge that grew and falls has fallen.
        let gauge = measure(&series("a|memory_bytes", &before, &restarted));
        assert!(!gauge.is_rate, "{gauge:?}");
    }

    #[test]
    fn a_series_that_ended_has_left_for_good() {
        let ended = Measured { ended: minute(2), ..series("a|latency", &CALM, &[10.0, 10.1]) };
        let found = measure(&ended);
        assert_eq!((found.size, found.way, found.after, found.changed_at), (LARGE, Direction::Down, None, minute(2)));
        assert_eq!(measure(&Measured { ended: minute(2), ..series("a|latency", &[], &[]) }).size, 0.0);
    }

    #[test]
    fn few_samples_constants_and_new_series() {
        assert_eq!(measure(&series("a|x", &[7.0; 9], &[7.0; 4])).size, 0.0);
        assert_eq!(measure(&series("a|x", &[7.0; 9], &[7.1; 4])).size, LARGE);
        assert_eq!(measure(&series("a|x", &[], &[0.0, 3.0])).changed_at, minute(1));
        assert_eq!(measure(&series("a|x", &[], &[0.0, 0.0])).size, 0.0);
        assert!(measure(&series("a|x", &[10.0, 10.0], &[100.0])).size > 4.0);
        assert_eq!(measure(&series("a|x", &[10.0, 10.0], &[11.0])).size, 0.0);
        assert_eq!(measure(&series("a|x", &CALM, &[f64::NAN])), Departure { before: Some(10.0), ..Departure::default() });
    }

    proptest::proptest! {
        #[test]
        fn quantiles_are_those_of_the_sorted_values(mut values in proptest::collection::vec(-1e6_f64..1e6, 1..300), q in 0.0_f64..1.0, skew in 0_usize..3) {
            // Also crowded at one end, and with ties.
            match skew {
                1 => values.iter_mut().for_each(|v| *v = (*v / 1e5).exp()),
                2 => values.iter_mut().for_each(|v| *v = (*v / 1e5).round()),
                _ => {}
            }
            let mut sorted = values.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            let at = |q: f64, sorted: &[f64]| {
                let place = q * (sorted.len() - 1) as f64;
                let (a, b) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
                a + (b - a) * (place - place.floor())
            };
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
            proptest::prop_assert!(near(quantile(&mut values.clone(), q).unwrap(), at(q, &sorted)));
            let [some, low, high] = quantiles(&values, [q, 0.25, 0.75]).unwrap();
            proptest::prop_assert!(near(some, at(q, &sorted)) && near(low, at(0.25, &sorted)) && near(high, at(0.75, &sorted)));
            proptest::prop_assert_eq!(bounds(&values), (sorted[0], sorted[sorted.len() - 1]));
        }

        #[test]
        fn no_numbers_make_it_panic(b in proptest::collection::vec(proptest::num::f64::ANY, 0..9), i in proptest::collection::vec(proptest::num::f64::ANY, 0..6), name in "[a-z]{0,3}(_total)?") {
            let found = measure(&series(&name, &b, &i));
            proptest::prop_assert!(found.size.is_finite() && found.size >= 0.0, "{:?}", found);
        }
    }
}
