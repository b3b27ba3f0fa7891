//! Benchmarks of the analysis, without sources and screens: ranking series, mining log patterns, following requests, and
//! making findings. Prints the times together with the size of the data and a baseline; asserts nothing. Run it with
//! `cargo bench --bench analysis`.

use std::time::{Duration, Instant};

use warroom::analysis::departure::{MeasuredSeries, SeriesId, measure};
use warroom::analysis::findings::{Signals, SuspectInput, findings};
use warroom::analysis::log_shift::{LogComparison, request_ids};
use warroom::analysis::patterns::{group_lines, log_analysis::Side};
use warroom::analysis::suspects::{SuspectContext, suspects};
use warroom::telemetry::{Labels, Level, LogLine, Timestamp, Window};

const START: i64 = 1_795_253_400;

/// A random number generator (SplitMix64) that produces the same numbers in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number from 0 to below 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Generates noise around a level; every fiftieth series rises at the start of the incident.
fn generate_series(count: usize, samples: usize) -> Vec<MeasuredSeries> {
    let mut random = Random(1);
    let half = samples / 2;
    (0..count)
        .map(|n| {
            let level = 10.0 + random.fraction() * 1000.0;
            let mut part = |from: usize, to: usize, rise: f64| {
                (from..to)
                    .map(|i| {
                        let at = Timestamp::from_secs(START + 5 * i64::try_from(i).unwrap_or(0));
                        (at, level * (1.0 + rise + 0.1 * (random.fraction() - 0.5)))
                    })
                    .collect::<Vec<_>>()
            };
            let step = if n % 50 == 7 { 2.0 } else { 0.0 };
            let baseline = part(0, half, 0.0);
            MeasuredSeries {
                id: SeriesId::from_column(&format!("s{}|m{n}", n % 40)),
                unit: String::new(),
                baseline,
                incident: part(half, samples, step),
                ..MeasuredSeries::default()
            }
        })
        .collect()
}

/// The baseline: sorts each part and ranks series by their largest departure in units of the interquartile range.
fn rank_naively(all: &[MeasuredSeries]) -> Vec<(usize, f64)> {
    let mut out: Vec<(usize, f64)> = all
        .iter()
        .enumerate()
        .map(|(n, s)| {
            let mut base: Vec<f64> = s.baseline.iter().map(|(_, v)| *v).collect();
            base.sort_by(f64::total_cmp);
            let quantile = |q: f64| base[(q * (base.len() - 1) as f64) as usize];
            let departure = s.incident.iter().map(|(_, v)| (v - quantile(0.5)).abs()).fold(0.0, f64::max);
            (n, departure / (quantile(0.75) - quantile(0.25)).max(1e-12))
        })
        .collect();
    out.sort_by(|a, b| b.1.total_cmp(&a.1));
    out
}

/// The median time of several runs, after one warm-up run.
fn median(runs: usize, mut job: impl FnMut()) -> Duration {
    job();
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let started = Instant::now();
            job();
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[runs / 2]
}

/// Generates the log lines of a shop, with orders, ids and times that do not repeat. In the second half, a fifth of the
/// lines are new errors.
fn generate_lines(count: usize) -> Vec<LogLine> {
    let mut random = Random(2);
    (0..count)
        .map(|n| {
            let order = random.next() % 1_000_000;
            let is_late = n >= count / 2;
            let (level, message) = match n % 10 {
                0 | 1 if is_late => (
                    Level::Error,
                    format!("pool exhausted after {} ms (in_use={}, waiting={})", 900 + order % 300, order % 40, order % 90),
                ),
                2 => (Level::Info, format!("GET /orders/{order}/items?page={} 200 in {}ms", order % 7, order % 450)),
                3 => (
                    Level::Info,
                    format!(
                        "payment {:08x} of customer{}@shop captured, {} cents",
                        random.next() as u32,
                        order % 5000,
                        order % 9000
                    ),
                ),
                4 => (Level::Debug, format!("cache miss for key session:{:016x}", random.next())),
                5 => (Level::Info, format!("connected to 10.{}.{}.{}:5432", order % 256, order % 199, order % 77)),
                _ => (Level::Info, format!("order {order} placed by user {} in region eu-{}", order % 100_000, order % 4)),
            };
            LogLine {
                at: Some(Timestamp::from_micros((START * 1000 + i64::try_from(n).unwrap_or(0)) * 1000)),
                level: Some(level),
                service: Some(format!("s{}", n % 12)),
                message,
                fields: Labels::new(),
            }
        })
        .collect()
}

fn main() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!("Median times on {threads} processors:");

    let small = generate_series(1000, 600);
    let context = SuspectContext::default();
    let ours = median(21, || {
        std::hint::black_box(suspects(&small, &context));
    });
    let measured = median(21, || {
        for s in &small {
            std::hint::black_box(measure(s));
        }
    });
    println!("  measuring 1,000 series on one thread: {:.2} ms", measured.as_secs_f64() * 1e3);
    let naive = median(21, || {
        std::hint::black_box(rank_naively(&small));
    });
    println!(
        "ranking 1,000 series of 600 samples: {:.2} ms (sorting and quartiles on one thread, without change points: {:.2} ms, {:.1}×)",
        ours.as_secs_f64() * 1e3,
        naive.as_secs_f64() * 1e3,
        naive.as_secs_f64() / ours.as_secs_f64()
    );

    let all = generate_lines(1_000_000);
    let large = generate_series(5000, 600);
    let window = Window::new(Timestamp::from_secs(START), Timestamp::from_secs(START + 1000));
    let onset = Timestamp::from_secs(START + 500);
    let bytes: usize = all.iter().map(|l| l.message.len()).sum();
    let mut parts = [Duration::ZERO; 4];
    let whole = median(3, || {
        let mut started = Instant::now();
        let mut lap = |n: usize| {
            parts[n] = started.elapsed();
            started = Instant::now();
        };
        let patterns = group_lines(&all, onset, window, &[]);
        lap(0);
        let mut study = LogComparison::default();
        for l in &all {
            let side = if l.at.is_some_and(|at| at <= onset) { Side::Baseline } else { Side::Incident };
            study.add(side, l.at, l.service.as_deref().unwrap_or(""), l.message.as_bytes(), request_ids(l));
        }
        let shifted = study.finish();
        lap(1);
        let context =
            SuspectContext { logs: shifted.by_service(), requests: shifted.requests.by_service, ..SuspectContext::default() };
        let ranked = suspects(&large, &context);
        lap(2);
        let signals = Signals {
            window: Some(window),
            alerts_known: true,
            patterns: patterns.into_iter().map(|p| ("patterns".to_owned(), p)).collect(),
            suspects: ranked.into_iter().map(|suspect| SuspectInput { suspect, keys: vec!["metric".to_owned()] }).collect(),
            ..Signals::default()
        };
        std::hint::black_box(findings(&signals));
        lap(3);
    });
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    println!(
        "from 1,000,000 lines ({:.0} MB) and 5,000 series of 600 samples to findings: {:.0} ms (patterns {:.0} ms, log shifts and requests {:.0} ms, suspects {:.0} ms, findings {:.1} ms)",
        bytes as f64 / 1e6,
        ms(whole),
        ms(parts[0]),
        ms(parts[1]),
        ms(parts[2]),
        ms(parts[3])
    );
}
