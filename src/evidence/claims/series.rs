//! The course of the series in the text of an evidence item, to hold words such as "rose" against.

use std::sync::LazyLock;

use regex::Regex;

use super::quantities::clocks;

/// A direction in which a value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
    Flat,
}

/// A series as an item shows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Course {
    /// Its labels, in lower case, with the values without quotes.
    pub labels: String,
    /// Values over time: seconds since midnight, lowest and highest value from there to the next.
    points: Vec<(f64, f64, f64)>,
    min: f64,
    max: f64,
}

static HEAD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(?P<labels>.*?): min (?P<min>[\d.,e+-]+) median (?P<median>[\d.,e+-]+) max (?P<max>[\d.,e+-]+)").ok()
});
static POINT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?P<from>\d{2}:\d{2}:\d{2})(?:–(?P<to>\d{2}:\d{2}:\d{2}))?=(?P<low>-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)(?:\.\.(?P<high>-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?))?").ok()
});

/// A sample as people and other tools write it: `09:27:40 0.6` or `09:30: 4.9`.
static LISTED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\b(?P<at>\d{2}:\d{2}(?::\d{2})?)Z?(?: |: ?|=)(?P<value>-?\d[\d,]*(?:\.\d+)?)(?:[,;\s]|$)").ok()
});

/// The least samples on one line that make it a series.
const FEWEST_LISTED: usize = 3;

/// The series that a line lists with its labels in front; `None` if it lists none.
fn listed(line: &str) -> Option<Course> {
    let found: Vec<regex::Captures<'_>> = LISTED.as_ref()?.captures_iter(line).collect();
    let first = found.first().filter(|_| found.len() >= FEWEST_LISTED)?.get(0)?.start();
    let (mut base, mut last) = (0.0, f64::NEG_INFINITY);
    let mut points = Vec::new();
    for c in &found {
        let secs = clocks(c.name("at")?.as_str()).first()?.secs;
        let value = number(c.name("value")?.as_str())?;
        base += if secs + base < last { 86_400.0 } else { 0.0 };
        last = secs + base;
        points.push((last, value, value));
    }
    let (min, max) = points.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), p| (a.min(p.1), b.max(p.1)));
    let labels = line.get(..first)?.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '}').trim_end_matches("points");
    Some(Course { labels: labels.trim().to_lowercase().replace('"', ""), points, min, max })
}

/// The seconds since midnight of `hh:mm:ss`.
fn time_of_day(text: &str) -> Option<f64> {
    let parts: Vec<f64> = text.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [hour, minute, second] = parts.try_into().ok()?;
    (hour <= 24.0 && minute < 60.0).then(|| (hour * 3600.0 + minute * 60.0 + second) % 86_400.0)
}

fn number(text: &str) -> Option<f64> {
    text.trim_end_matches(['.', ',']).replace(',', "").parse().ok()
}

/// The series in the text of an item.
pub(super) fn courses(text: &str) -> Vec<Course> {
    let (Some(head), Some(point)) = (HEAD.as_ref(), POINT.as_ref()) else { return Vec::new() };
    let mut out = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(c) = head.captures(line) else {
            out.extend(listed(line));
            continue;
        };
        let get = |name: &str| c.name(name).and_then(|m| number(m.as_str()));
        let (Some(min), Some(max)) = (get("min"), get("max")) else { continue };
        let mut points = Vec::new();
        let mut base = 0.0;
        let mut last = f64::NEG_INFINITY;
        while let Some(next) = lines.next_if(|l| l.starts_with("    ")) {
            for p in point.captures_iter(next) {
                let low = p.name("low").and_then(|m| number(m.as_str()));
                let high = p.name("high").and_then(|m| number(m.as_str())).or(low);
                for name in ["from", "to"] {
                    let secs = p.name(name).and_then(|m| time_of_day(m.as_str()));
                    if let (Some(secs), Some(low), Some(high)) = (secs, low, high) {
                        // Past midnight, time goes on.
                        base += if secs + base < last { 86_400.0 } else { 0.0 };
                        last = secs + base;
                        points.push((last, low.min(high), low.max(high)));
                    }
                }
            }
        }
        let labels = c.name("labels").map_or("", |m| m.as_str()).to_lowercase().replace('"', "");
        out.push(Course { labels, points, min, max });
    }
    out
}

/// The share of a level by which values around it differ at most.
const MOST_OF_A_LEVEL: f64 = 0.35;

impl Course {
    fn middle(point: &(f64, f64, f64)) -> f64 {
        f64::midpoint(point.1, point.2)
    }

    /// A time of day in the window, which may go past midnight.
    fn in_window(&self, secs: f64) -> f64 {
        let first = self.points.first().map_or(0.0, |p| p.0);
        if secs < first - 60.0 && secs.is_finite() { secs + 86_400.0 } else { secs }
    }

    /// The value at a time; `None` before the first sample.
    fn at(&self, secs: f64) -> Option<f64> {
        self.points.iter().rev().find(|p| p.0 <= secs).map(Self::middle)
    }

    /// Whether it has samples before and after a time.
    pub(super) fn covers(&self, secs: f64) -> bool {
        let secs = self.in_window(secs);
        self.points.first().is_some_and(|p| p.0 <= secs) && self.points.last().is_some_and(|p| secs <= p.0)
    }

    /// Its values at some times, and its first and last one.
    pub(super) fn values_at(&self, times: &[f64]) -> Vec<f64> {
        let ends = [self.points.first(), self.points.last()].into_iter().flatten().map(Self::middle);
        times.iter().filter_map(|secs| self.at(self.in_window(*secs))).chain(ends).collect()
    }

    /// Whether the value goes this way until a time, from some time before. `None` if the samples do not decide it.
    pub(super) fn goes_until(&self, direction: Direction, secs: f64) -> Option<bool> {
        let until = self.in_window(secs);
        let behind = self.points.partition_point(|p| p.0 <= until);
        // Samples may be far apart, so the one after the time counts as well.
        let ends = self.points.get(behind.checked_sub(1)?..(behind + 1).min(self.points.len()))?.iter().map(Self::middle);
        let before = self.points.get(..behind)?.iter().map(Self::middle);
        let least = (self.max - self.min) * 0.12;
        match direction {
            Direction::Up => before.reduce(f64::min).zip(ends.reduce(f64::max)).map(|(low, end)| end - low > least),
            Direction::Down => before.reduce(f64::max).zip(ends.reduce(f64::min)).map(|(high, end)| high - end > least),
            Direction::Flat => None,
        }
    }

    /// Whether the course has a value at any time, and whether it has it about a time: between the samples around it, or,
    /// `until` then, between any samples before. `None` if it has no samples around that time.
    pub(super) fn has_value(&self, value: f64, secs: f64, until: bool) -> Option<(bool, bool)> {
        let slack = value.abs() * 0.06;
        let holds = |(low, high): (f64, f64)| low - slack <= value && value <= high + slack;
        let around = |n: usize| {
            let from = if until { 0 } else { n.saturating_sub(1) };
            let near = self.points.get(from..(n + 2).min(self.points.len()))?;
            Some((
                near.iter().map(|p| p.1).fold(f64::INFINITY, f64::min),
                near.iter().map(|p| p.2).fold(f64::NEG_INFINITY, f64::max),
            ))
        };
        let first = self.points.first()?.0;
        let secs = self.in_window(secs);
        let last = self.points.last().filter(|last| last.0 + 60.0 >= secs && secs + 60.0 >= first)?;
        let n = self.points.iter().rposition(|p| p.0 <= secs.min(last.0)).unwrap_or(0);
        Some((self.points.iter().any(|p| holds((p.1, p.2))), around(n).is_some_and(holds)))
    }

    /// Whether the course has a value like the first of these, and later one like the second.
    pub(super) fn goes_from_to(&self, from: f64, to: f64) -> bool {
        let is_like = |point: &(f64, f64, f64), value: f64| {
            let slack = value.abs().max(1e-9) * 0.06;
            point.1 - slack <= value && value <= point.2 + slack
        };
        let first = self.points.iter().position(|p| is_like(p, from));
        first.is_some_and(|first| self.points.iter().skip(first + 1).any(|p| is_like(p, to)))
    }

    /// Whether the whole course varies too little to be called a change, or is one stretch with the same bounds.
    fn is_steady(&self) -> bool {
        let level = self.max.abs().max(self.min.abs());
        let is_one_stretch =
            self.points.len() > 1 && self.points.windows(2).all(|w| matches!(w, [a, b] if (a.1, a.2) == (b.1, b.2)));
        self.max - self.min <= level * 0.12 || is_one_stretch
    }

    /// Its highest or its lowest value.
    pub(super) fn extreme(&self, highest: bool) -> f64 {
        if highest { self.max } else { self.min }
    }

    /// Whether it leaves the level that it begins at, also if it comes back. A share near the whole leaves it sooner.
    pub(super) fn leaves_its_level(&self, may_be_share: bool) -> bool {
        let Some(first) = self.points.first().map(Self::middle).filter(|_| !self.is_steady()) else { return false };
        may_be_share && (90.0..=100.0).contains(&self.max)
            || (self.max - first).max(first - self.min) > first.abs() * MOST_OF_A_LEVEL
    }

    /// Where the value goes right after an event and from there to the end of the window, or from its start to the event.
    /// Empty if the samples do not decide it.
    pub(super) fn directions_about(&self, secs: f64, is_before: bool) -> Vec<Direction> {
        let last = self.points.last().map_or(secs, |p| p.0);
        let readings = if is_before {
            [self.direction(&[f64::NEG_INFINITY, secs]), None]
        } else {
            [self.direction(&[secs]), self.direction(&[secs, last])]
        };
        readings.into_iter().flatten().collect()
    }

    /// Where the value goes between two times, or after one, or over the whole window. `None` if the samples do not decide it.
    pub(super) fn direction(&self, times: &[f64]) -> Option<Direction> {
        if self.is_steady() {
            return Some(Direction::Flat);
        }
        let times: Vec<f64> = times.iter().map(|t| self.in_window(*t)).collect();
        let range = self.max - self.min;
        let between = |a: f64, b: f64| {
            if (b - a).abs() <= range * 0.12 {
                Direction::Flat
            } else if b > a {
                Direction::Up
            } else {
                Direction::Down
            }
        };
        match times.as_slice() {
            [] => {
                let first = self.points.first().map(Self::middle)?;
                let last = self.points.last().map(Self::middle)?;
                let (up, down) = (self.max - first, first - self.min);
                let level = first.abs().max(1e-12);
                if up <= level * MOST_OF_A_LEVEL && down <= level * MOST_OF_A_LEVEL {
                    return Some(Direction::Flat);
                }
                // What left its level and came back went both ways.
                if (last - first).abs() <= range * 0.2 {
                    return None;
                }
                if up > down * 3.0 {
                    Some(Direction::Up)
                } else if down > up * 3.0 {
                    Some(Direction::Down)
                } else {
                    None
                }
            }
            [one] => {
                let before = self.points.iter().rev().find(|p| p.0 < *one - 1.0).map(Self::middle)?;
                let after = self.points.iter().filter(|p| p.0 >= *one - 1.0).take(2).map(Self::middle);
                after.map(|v| between(before, v)).find(|d| *d != Direction::Flat)
            }
            several => {
                let (from, to) = (
                    several.iter().copied().fold(f64::INFINITY, f64::min),
                    several.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                );
                let inside: Vec<f64> = self.points.iter().filter(|p| p.0 > from && p.0 <= to).map(Self::middle).collect();
                let to = if to.is_finite() { to } else { return None };
                let start = self.at(from).or_else(|| self.points.first().map(Self::middle))?;
                let end = self.at(to)?;
                let direct = between(start, end);
                // A value that leaves and comes back goes both ways.
                let swings = inside.iter().any(|v| between(start, *v) != Direction::Flat);
                (direct != Direction::Flat || !swings).then_some(direct)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_course_and_its_directions() {
        let text = "E6 metric\nlatency, in s, step 5 s\n{service=\"checkout\"}: min 0.09 median 0.1 max 4.6 (9 of 161 samples)\n    10:00:00–10:05:00=0.09..0.11 10:05:30=3.4 10:06:00–10:20:00=4.5..4.6\n{service=\"payment\"}: min 0.043 median 0.045 max 0.046\n    10:00:00–10:20:00=0.043..0.046\n";
        let found = courses(text);
        let [checkout, payment] = found.as_slice() else { panic!("{found:?}") };
        let at = |h: f64, m: f64| h * 3600.0 + m * 60.0;
        assert_eq!(checkout.labels, "{service=checkout}");
        assert_eq!(checkout.direction(&[]), Some(Direction::Up));
        assert_eq!(checkout.direction(&[at(10.0, 5.5)]), Some(Direction::Up));
        assert_eq!(checkout.direction(&[at(10.0, 0.0), at(10.0, 4.0)]), Some(Direction::Flat));
        assert_eq!(checkout.direction(&[at(10.0, 7.0), at(10.0, 19.0)]), Some(Direction::Flat));
        assert_eq!(payment.direction(&[]), Some(Direction::Flat));
    }
}
