//! Bounds, quantiles and the median distance from a level, without sorting all values: most of the time of measuring many
//! series is spent here.

use std::ops::Range;

use super::Point;

/// Minimum number of values that are sorted into bins first, and the number of bins.
const MIN_BINNED: usize = 64;
const BINS: usize = 256;
/// Number of results kept in parallel: with a single one, each operation would wait for the one before.
const LANES: usize = 8;

/// Finite values in time order, and their bounds.
#[derive(Default)]
pub(super) struct Values {
    pub all: Vec<f64>,
    pub low: f64,
    pub high: f64,
}

impl Values {
    /// The values of points; `None` if one of them is not finite.
    pub(super) fn of(points: &[Point]) -> Option<Self> {
        let all: Vec<f64> = points.iter().map(|(_, v)| *v).collect();
        // Counting without an early exit lets the compiler check many values at a time.
        let is_finite = all.iter().filter(|v| !v.is_finite()).count() == 0;
        let (low, high) = bounds(&all);
        is_finite.then_some(Self { all, low, high })
    }
}

/// Returns the smallest and the largest value; positive and negative infinity without values.
pub(super) fn bounds(values: &[f64]) -> (f64, f64) {
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

/// Returns the sum of the distances from a level and the sum of their squares.
pub(super) fn sums(values: &[f64], level: f64) -> (f64, f64) {
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

/// Values in the order of bins of equal width. Samples of a series are spread quite evenly between their bounds, so that
/// few values of a bin are left to sort when one of a certain rank is wanted.
pub(super) struct Ranked {
    low: f64,
    high: f64,
    /// Bins per unit; 0 if all values are in the first bin.
    scale: f64,
    /// The index in `values` at which each bin begins, and the number of values.
    begins: [u32; BINS + 1],
    values: Vec<f64>,
}

impl Ranked {
    /// Returns values in the order of their bins; `None` without values.
    pub(super) fn new(Values { all, low, high }: &Values) -> Option<Self> {
        if all.is_empty() {
            return None;
        }
        let scale = (BINS - 1) as f64 / (high - low);
        let helps = all.len() >= MIN_BINNED && scale.is_finite() && scale > 0.0;
        let scale = if helps { scale } else { 0.0 };
        let mut ranked = Self { low: *low, high: *high, scale, begins: [0; BINS + 1], values: all.clone() };
        if !helps {
            ranked.begins[1..].fill(u32::try_from(all.len()).ok()?);
            return Some(ranked);
        }
        let mut counts = [0_u32; BINS];
        for v in all {
            if let Some(n) = counts.get_mut(ranked.bin_of(*v)) {
                *n += 1;
            }
        }
        let mut next = [0_u32; BINS];
        let mut sum = 0;
        for ((begin, next), n) in ranked.begins.iter_mut().zip(&mut next).zip(counts) {
            (*begin, *next) = (sum, sum);
            sum += n;
        }
        ranked.begins[BINS] = sum;
        for v in all {
            let bin = ranked.bin_of(*v);
            if let Some(next) = next.get_mut(bin)
                && let Some(place) = ranked.values.get_mut(*next as usize)
            {
                *place = *v;
                *next += 1;
            }
        }
        Some(ranked)
    }

    /// Returns the bin of a value between the bounds, from 0 to 255: the lowest byte after adding 2^52, where floats are
    /// spaced by 1. A conversion would take many times as long.
    fn bin_of(&self, v: f64) -> usize {
        const SPACED_BY_ONE: f64 = 4_503_599_627_370_496.0;
        usize::from(((v - self.low) * self.scale + SPACED_BY_ONE).to_bits().to_le_bytes()[0])
    }

    /// Returns the value of a rank, from 0; the last value for a higher rank.
    fn at(&mut self, rank: usize) -> f64 {
        let rank = rank.min(self.values.len() - 1);
        let after = self.begins.partition_point(|begin| *begin as usize <= rank);
        let (from, to) = (self.begin(after), self.begin(after + 1));
        let Some(bin) = self.values.get_mut(from..to) else { return f64::NAN };
        bin.sort_unstable_by(order);
        bin.get(rank - from).copied().unwrap_or(f64::NAN)
    }

    /// Returns the index of the first value of a bin, where 1 is the first bin and 0 is below the lowest value.
    fn begin(&self, bin: usize) -> usize {
        self.begins.get(bin.saturating_sub(1)).map_or(self.values.len(), |begin| *begin as usize)
    }

    /// Returns the bins, as in [`Self::begin`], of both values at a distance in bins from a level.
    fn bins_at(&self, level: f64, bins: usize) -> (usize, usize) {
        let distance = bins as f64 / self.scale;
        let (low, high) = (level - distance, level + distance);
        let low = if low < self.low { 0 } else { self.bin_of(low) + 1 };
        (low, if high > self.high { BINS + 1 } else { self.bin_of(high) + 1 })
    }

    /// Returns where the values are that are surely nearer to a level than a distance in bins.
    fn between(&self, level: f64, bins: usize) -> Range<usize> {
        let (low, high) = self.bins_at(level, bins);
        self.begin(low + 1)..self.begin(high)
    }

    /// Returns where the values are that may be as near to a level as a distance in bins.
    fn through(&self, level: f64, bins: usize) -> Range<usize> {
        let (low, high) = self.bins_at(level, bins);
        self.begin(low)..self.begin(high + 1)
    }

    /// Returns the interpolated quantile.
    pub(super) fn quantile(&mut self, q: f64) -> f64 {
        let (below, share) = place(self.values.len() - 1, q);
        interpolate(share, self.at(below), || self.at(below + 1))
    }

    /// Returns where the values are among which those of a rank by distance from a level and of the next rank are, and
    /// within it a part that is nearer than both.
    fn around(&self, level: f64, rank: usize) -> (Range<usize>, Range<usize>) {
        let wanted = (rank + 2).min(self.values.len());
        // The values of both ranks are at most `far` bins from the level, and more than `near` bins.
        let far = first(|bins| self.between(level, bins).len() >= wanted);
        let near = first(|bins| self.through(level, bins).len() > rank).checked_sub(1);
        let outer = self.through(level, far);
        let inner = near.map(|bins| self.between(level, bins)).filter(|inner| !inner.is_empty());
        let inner = inner.unwrap_or(outer.start..outer.start);
        (outer, inner)
    }

    /// Returns the larger of the spread by quartiles and the median absolute deviation, both scaled to the standard deviation of
    /// normally distributed values.
    pub(super) fn robust_spread(&mut self, median: f64) -> f64 {
        let between = (self.quantile(0.75) - self.quantile(0.25)) / 1.349;
        between.max(1.4826 * self.median_distance(median))
    }

    /// Returns the median of the distances from a level between the bounds.
    fn median_distance(&self, level: f64) -> f64 {
        let last = self.values.len() - 1;
        let (below, share) = place(last, 0.5);
        let (outer, inner) = if self.scale > 0.0 { self.around(level, below) } else { (0..last + 1, 0..0) };
        let parts = [outer.start..inner.start, inner.end..outer.end];
        let compared = parts.into_iter().filter_map(|part| self.values.get(part)).flatten();
        let mut distances: Vec<f64> = compared.map(|v| (v - level).abs()).collect();
        distances.sort_unstable_by(order);
        let at = |rank: usize| distances.get(rank.min(last) - inner.len()).copied().unwrap_or(f64::NAN);
        interpolate(share, at(below), || at(below + 1))
    }
}

/// Returns the interpolated quantile of values in any order, which it may change; `None` without values. Values must not be
/// NaN.
pub fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let (below, share) = place(last, q);
    let (_, a, above) = values.select_nth_unstable_by(below, order);
    let a = *a;
    Some(interpolate(share, a, || above.iter().copied().reduce(f64::min).unwrap_or(a)))
}

/// Returns the rank below a quantile and the fraction of the way to the next rank.
fn place(last: usize, q: f64) -> (usize, f64) {
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = (place.floor() as usize).min(last);
    (below, place - place.floor())
}

/// Returns the smallest number of bins, at most one more than there are, for which `reaches` holds.
fn first(reaches: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, BINS + 1);
    while low < high {
        let middle = low.midpoint(high);
        if reaches(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

fn interpolate(share: f64, below: f64, above: impl FnOnce() -> f64) -> f64 {
    if share == 0.0 { below } else { below + (above() - below) * share }
}

/// Compares numbers that are not NaN; faster than their total order.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "given to sort functions as it is")]
fn order(a: &f64, b: &f64) -> std::cmp::Ordering {
    a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Timestamp;

    fn values(of: &[f64]) -> Option<Values> {
        Values::of(&of.iter().map(|v| (Timestamp::from_secs(0), *v)).collect::<Vec<_>>())
    }

    #[test]
    fn values_are_finite_or_none() {
        assert!(values(&[]).is_some_and(|v| v.all.is_empty() && Ranked::new(&v).is_none()));
        for broken in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for at in 0..9 {
                let mut all = [1.0; 9];
                all[at] = broken;
                assert!(values(&all).is_none(), "{all:?}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn quantiles_and_the_median_distance_match_the_sorted_values(mut all in proptest::collection::vec(-1e6_f64..1e6, 1..300), q in 0.0_f64..1.0, skew in 0_usize..4) {
            // Also skewed to one end, with ties, and with one value far from the others.
            match skew {
                1 => all.iter_mut().for_each(|v| *v = (*v / 1e5).exp()),
                2 => all.iter_mut().for_each(|v| *v = (*v / 1e5).round()),
                3 => all[0] = 1e12,
                _ => {}
            }
            let sorted = |mut values: Vec<f64>| {
                values.sort_unstable_by(f64::total_cmp);
                values
            };
            let at = |q: f64, sorted: &[f64]| {
                let place = q * (sorted.len() - 1) as f64;
                let (a, b) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
                a + (b - a) * (place - place.floor())
            };
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
            let in_order = sorted(all.clone());
            let median = at(0.5, &in_order);
            let distance = at(0.5, &sorted(all.iter().map(|v| (v - median).abs()).collect()));
            proptest::prop_assert!(near(quantile(&mut all.clone(), q).unwrap(), at(q, &in_order)));
            let known = values(&all).unwrap();
            let mut ranked = Ranked::new(&known).unwrap();
            proptest::prop_assert!(near(ranked.quantile(q), at(q, &in_order)) && near(ranked.quantile(0.5), median));
            proptest::prop_assert!(near(ranked.median_distance(median), distance), "{} {distance}", ranked.median_distance(median));
            let ends = (in_order[0], in_order[in_order.len() - 1]);
            proptest::prop_assert_eq!((bounds(&all), (known.low, known.high)), (ends, ends));
        }
    }
}
