//! How the logs of each service changed: mines the lines of the baseline and of the incident together, and follows their
//! requests.

use std::collections::{BTreeMap, HashMap};

use super::patterns::log_analysis::{Side, g_score};
use super::patterns::miner::Miner;
use super::requests::{RequestComparison, RequestIds, Requests};
use crate::telemetry::{LogLine, Timestamp, clean};

/// A pattern in the logs of a service, with its line counts in both parts.
#[derive(Clone, Debug, PartialEq)]
pub struct LogShift {
    pub service: String,
    pub template: String,
    /// Number of lines in the incident part and in the baseline.
    pub count: u64,
    pub baseline_count: u64,
    /// How certain it is that its share of the lines changed: a G statistic, 0 or more.
    pub score: f64,
}

/// Collects log lines as they arrive.
#[derive(Debug, Default)]
pub struct LogComparison {
    miner: Miner,
    /// The names of the services, by their numbers.
    services: Vec<String>,
    numbers: HashMap<String, u32>,
    /// The number of the service of the previous line: services often write several lines in a row.
    last: u32,
    /// Lines in the baseline and in the incident part, by service and miner id.
    counts: HashMap<(u32, u32), [u64; 2]>,
    requests: Requests,
}

/// The result of comparing the logs.
#[derive(Debug, Default)]
pub struct LogShifts {
    /// Highest score first.
    pub shifts: Vec<LogShift>,
    pub requests: RequestComparison,
}

impl LogShifts {
    /// The highest score among the patterns of each service.
    pub fn by_service(&self) -> BTreeMap<String, f64> {
        let mut out: BTreeMap<String, f64> = BTreeMap::new();
        for shift in &self.shifts {
            let most = out.entry(shift.service.clone()).or_default();
            *most = most.max(shift.score);
        }
        out
    }
}

/// Fields of a structured line that hold the id of its request.
const REQUEST_FIELDS: [&str; 10] = [
    "trace_id",
    "traceId",
    "traceID",
    "traceid",
    "trace.id",
    "request_id",
    "requestId",
    "x_request_id",
    "correlation_id",
    "correlationId",
];
/// Fields of a structured line that hold the id of its span.
const SPAN_FIELDS: [&str; 5] = ["span_id", "spanId", "spanID", "spanid", "span.id"];

/// Finds the request that a line belongs to, from its fields or else from its message. `None` when neither names one.
pub fn request_ids(line: &LogLine) -> Option<RequestIds> {
    let field = |names: &[&str]| names.iter().find_map(|n| line.fields.get(*n)).filter(|v| v.chars().any(|c| !"0-".contains(c)));
    match field(&REQUEST_FIELDS) {
        Some(request) => Some(RequestIds::new(request.as_bytes(), field(&SPAN_FIELDS).map_or(&[], |s| s.as_bytes()))),
        None => RequestIds::find(line.message.as_bytes()),
    }
}

impl LogComparison {
    /// Adds a line. A line without a time is counted, but not followed as part of a request.
    pub fn add(&mut self, side: Side, at: Option<Timestamp>, service: &str, message: &[u8], ids: Option<RequestIds>) {
        let id = self.miner.add(message);
        let number = self.number_of(service);
        if let Some(n) = self.counts.entry((number, id)).or_default().get_mut(usize::from(side == Side::Incident)) {
            *n += 1;
        }
        if let (Some(at), Some(ids)) = (at, ids) {
            self.requests.add(side, at, service, id, ids);
        }
    }

    fn number_of(&mut self, service: &str) -> u32 {
        if self.services.get(self.last as usize).is_some_and(|last| last == service) {
            return self.last;
        }
        self.last = if let Some(number) = self.numbers.get(service) {
            *number
        } else {
            let number = u32::try_from(self.services.len()).unwrap_or(u32::MAX);
            self.services.push(service.to_owned());
            self.numbers.insert(service.to_owned(), number);
            number
        };
        self.last
    }

    /// Compares the two parts. The score of a pattern is the lower of two: for its share of the lines of its service, and
    /// for its share of all lines. That way neither a silent service nor a noisy neighbour makes a pattern look changed.
    pub fn finish(self) -> LogShifts {
        let mined = self.miner.finish();
        let (mut by_pattern, mut by_service, mut all) =
            (BTreeMap::<(u32, u32), [u64; 2]>::new(), BTreeMap::<u32, [u64; 2]>::new(), [0, 0]);
        let add = |to: &mut [u64; 2], from: [u64; 2]| to.iter_mut().zip(from).for_each(|(a, b)| *a += b);
        for ((service, id), n) in self.counts {
            let pattern = mined.pattern_of.get(id as usize).copied().unwrap_or(0);
            add(by_service.entry(service).or_default(), n);
            add(&mut all, n);
            add(by_pattern.entry((service, pattern)).or_default(), n);
        }
        let mut shifts: Vec<LogShift> = by_pattern
            .into_iter()
            .map(|((service, pattern), [baseline, count])| {
                let [service_before, service_now] = by_service.get(&service).copied().unwrap_or_default();
                let all_score = g_score(count, all[1], baseline, all[0]);
                let service_score = if service_now > 0 && service_before > 0 {
                    g_score(count, service_now, baseline, service_before)
                } else {
                    all_score
                };
                let template = mined.templates.get(pattern as usize).map(|t| clean::line(t)).unwrap_or_default();
                LogShift {
                    service: self.services.get(service as usize).map(|s| clean::line(s)).unwrap_or_default(),
                    template,
                    count,
                    baseline_count: baseline,
                    score: service_score.min(all_score),
                }
            })
            .collect();
        shifts
            .sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| (&a.service, &a.template).cmp(&(&b.service, &b.template))));
        LogShifts { shifts, requests: self.requests.finish(&mined) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefers_ids_in_fields_over_ids_in_the_message() {
        let mut line = LogLine::plain("done trace_id=4bf92f3577b34da6a3ce929d0e0e4736");
        let from_message = request_ids(&line).unwrap();
        assert_eq!(from_message, RequestIds::new(b"4bf92f3577b34da6a3ce929d0e0e4736", b""));
        line.fields.insert("request_id".into(), "r-1".into());
        assert_eq!(request_ids(&line), Some(RequestIds::new(b"r-1", b"")));
        assert_eq!(request_ids(&LogLine::plain("nothing")), None);
        // Placeholders that tracing libraries write outside of a request are not ids.
        for placeholder in ["", "0", "-", "00000000000000000000000000000000"] {
            let mut idle = LogLine::plain("tick");
            idle.fields.insert("trace_id".into(), placeholder.into());
            assert_eq!(request_ids(&idle), None, "{placeholder}");
        }
    }

    #[test]
    fn a_noisy_service_does_not_change_the_score_of_others() {
        let mut study = LogComparison::default();
        for side in [Side::Baseline, Side::Incident] {
            for n in 0..50 {
                study.add(side, None, "calm", format!("served {n}").as_bytes(), None);
            }
        }
        for n in 0..5000 {
            study.add(Side::Incident, None, "loud", format!("failed {n}").as_bytes(), None);
        }
        let by_service = study.finish().by_service();
        assert!(by_service["calm"] < 1.0 && by_service["loud"] > 100.0, "{by_service:?}");
    }
}
