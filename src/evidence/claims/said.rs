//! A sentence of an answer, read once for all checks.

use std::borrow::Cow;
use std::ops::Range;

use super::facts::Facts;
use super::quantities::{Clock, Day, Precision, Quantity, clocks, day_ranges, days, from_to, quantities_besides};

/// A sentence with its times, days and figures, in the order of the text.
pub(super) struct Said<'a> {
    pub text: &'a str,
    pub clocks: Vec<Clock>,
    pub days: Vec<Day>,
    pub quantities: Vec<Quantity>,
}

impl<'a> Said<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let clocks = clocks(text);
        let taken: Vec<Range<usize>> = clocks.iter().map(|c| c.at.clone()).chain(day_ranges(text)).collect();
        let quantities = quantities_besides(text, &taken);
        let days = if taken.len() > clocks.len() { days(text) } else { Vec::new() };
        Self { text, clocks, days, quantities }
    }

    /// Moves times that fit both halves of the day to the one that the items are about.
    pub(super) fn settle(&mut self, items: &[&Facts]) {
        const HALF: f64 = 43_200.0;
        let nearest = |secs: f64| {
            let apart = |known: &Clock| (known.secs - secs).abs();
            items.iter().flat_map(|i| i.clocks.iter()).map(apart).fold(f64::INFINITY, f64::min)
        };
        for clock in self.clocks.iter_mut().filter(|c| c.precision == Precision::EitherHalf) {
            let other = (clock.secs + HALF).rem_euclid(2.0 * HALF);
            if nearest(other) < nearest(clock.secs) {
                clock.secs = other;
            }
            clock.precision = Precision::Words;
        }
    }

    pub(super) fn has_figure(&self) -> bool {
        !self.quantities.is_empty() || !self.clocks.is_empty()
    }

    /// Its times, in seconds since midnight.
    pub(super) fn times(&self) -> Vec<f64> {
        self.clocks.iter().map(|c| c.secs).collect()
    }

    /// The values that it says something went from and to.
    pub(super) fn course(&self) -> Option<(f64, f64)> {
        from_to(self.text, &self.quantities).first().copied()
    }

    /// A part of the sentence, as written.
    pub(super) fn written(&self, at: &Range<usize>) -> &str {
        self.text.get(at.clone()).unwrap_or("").trim()
    }

    /// The sentence without its times in words, of which evidence has the digits.
    pub(super) fn about(&self) -> Cow<'a, str> {
        let mut about = Cow::Borrowed(self.text);
        let in_words = |c: &&Clock| !self.written(&c.at).contains(|c: char| c.is_ascii_digit());
        for clock in self.clocks.iter().rev().filter(in_words) {
            about.to_mut().replace_range(clock.at.clone(), " ");
        }
        about
    }

    /// What is before a place.
    pub(super) fn before(&self, at: usize) -> &str {
        self.text.get(..at).unwrap_or("")
    }

    /// What is behind a place.
    pub(super) fn behind(&self, at: usize) -> &str {
        self.text.get(at..).unwrap_or("")
    }
}
