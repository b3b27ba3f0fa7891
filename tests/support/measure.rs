//! Durations and their percentiles, for the benchmarks.

use std::time::Duration;

/// Measured durations, in milliseconds.
#[derive(Default)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64() * 1e3);
    }

    /// The nearest measured value for `p` from 0 to 1; NaN when nothing was measured.
    pub(crate) fn percentile(&self, p: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let index = ((sorted.len() as f64 - 1.0) * p).round() as usize;
        sorted.get(index).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn median(&self) -> f64 {
        self.percentile(0.5)
    }

    pub(crate) fn summary(&self) -> String {
        format!("median {:.2} ms, p99 {:.2} ms, n {}", self.median(), self.percentile(0.99), self.0.len())
    }
}
