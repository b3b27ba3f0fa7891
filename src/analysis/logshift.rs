//! How the log of each service has changed: lines of normal times and of the incident in one study, and their requests followed.

use std::collections::BTreeMap;

use super::patterns::miner::Miner;
use super::patterns::study::{Side, g_score};
use super::requests::{Followed, Ids, Requests};
use crate::telemetry::{LogLine, Timestamp, clean};

/// A pattern of a service's log, with its lines in both parts.
#[derive(Clone, Debug, PartialEq)]
pub struct LogShift {
    pub service: String,
    pub template: String,
    pub count: u64,
    pub baseline: u64,
    /// How surely its share changed: a G statistic, 0 and above.
    pub score: f64,
}

/// Takes lines as they come.
#[derive(Debug, Default)]
pub struct LogStudy {
    miner: Miner,
    counts: BTreeMap<(String, u32), [u64; 2]>,
    requests: Requests,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Shifted {
    /// The surest first.
    pub shifts: Vec<LogShift>,
    pub followed: Followed,
}

impl Shifted {
    /// By service, how much its log has changed: its surest pattern.
    pub fn by_service(&self) -> BTreeMap<String, f64> {
        let mut out: BTreeMap<String, f64> = BTreeMap::new();
        for shift in &self.shifts {
            let most = out.entry(shift.service.clone()).or_default();
            *most = most.max(shift.score);
        }
        out
    }
}

/// Fields that name the request, and the span, of a structured line.
const REQUEST: [&str; 10] = [
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
const SPAN: [&str; 5] = ["span_id", "spanId", "spanID", "spanid", "span.id"];

/// The request a line belongs to: by its fields, else by its message.
pub fn ids_of(line: &LogLine) -> Option<Ids> {
    let field = |names: &[&str]| names.iter().find_map(|n| line.fields.get(*n)).filter(|v| v.chars().any(|c| !"0-".contains(c)));
    match field(&REQUEST) {
        Some(request) => Some(Ids::of(request.as_bytes(), field(&SPAN).map_or(&[], |s| s.as_bytes()))),
        None => Ids::find(line.message.as_bytes()),
    }
}

impl LogStudy {
    /// Takes a line. One without a time counts, but no request is followed through it.
    pub fn add(&mut self, side: Side, at: Option<Timestamp>, service: &str, message: &[u8], ids: Option<Ids>) {
        let number = self.miner.add(message);
        if let Some(counts) = self.counts.get_mut(&(service.to_owned(), number)) {
            if let Some(n) = counts.get_mut(usize::from(side == Side::Incident)) {
                *n += 1;
            }
        } else {
            let first = if side == Side::Incident { [0, 1] } else { [1, 0] };
            self.counts.insert((service.to_owned(), number), first);
        }
        if let (Some(at), Some(ids)) = (at, ids) {
            self.requests.add(side, at, service, number, ids);
        }
    }

    /// Compares. A pattern counts by its share of its service's lines and by its share of all, whichever changed less, so that
    /// neither a silent service nor a loud neighbour makes it look changed.
    pub fn finish(self) -> Shifted {
        let mined = self.miner.finish();
        let (mut by_pattern, mut of_service, mut all) =
            (BTreeMap::<(String, u32), [u64; 2]>::new(), BTreeMap::<String, [u64; 2]>::new(), [0, 0]);
        let add = |to: &mut [u64; 2], from: [u64; 2]| to.iter_mut().zip(from).for_each(|(a, b)| *a += b);
        for ((service, number), n) in self.counts {
            let pattern = mined.pattern_of.get(number as usize).copied().unwrap_or(0);
            add(of_service.entry(service.clone()).or_default(), n);
            add(&mut all, n);
            add(by_pattern.entry((service, pattern)).or_default(), n);
        }
        let mut shifts: Vec<LogShift> = by_pattern
            .into_iter()
            .map(|((service, pattern), [baseline, count])| {
                let [theirs_before, theirs] = of_service.get(&service).copied().unwrap_or_default();
                let among_all = g_score(count, all[1], baseline, all[0]);
                let own =
                    if theirs > 0 && theirs_before > 0 { g_score(count, theirs, baseline, theirs_before) } else { among_all };
                let template = mined.templates.get(pattern as usize).map(|t| clean::line(t)).unwrap_or_default();
                LogShift { service: clean::line(&service), template, count, baseline, score: own.min(among_all) }
            })
            .collect();
        shifts
            .sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| (&a.service, &a.template).cmp(&(&b.service, &b.template))));
        Shifted { shifts, followed: self.requests.finish(&mined) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_from_fields_before_words() {
        let mut line = LogLine::plain("done trace_id=4bf92f3577b34da6a3ce929d0e0e4736");
        let by_words = ids_of(&line).unwrap();
        assert_eq!(by_words, Ids::of(b"4bf92f3577b34da6a3ce929d0e0e4736", b""));
        line.fields.insert("request_id".into(), "r-1".into());
        assert_eq!(ids_of(&line), Some(Ids::of(b"r-1", b"")));
        assert_eq!(ids_of(&LogLine::plain("nothing")), None);
        // What tracing libraries write outside of a request is none.
        for none in ["", "0", "-", "00000000000000000000000000000000"] {
            let mut idle = LogLine::plain("tick");
            idle.fields.insert("trace_id".into(), none.into());
            assert_eq!(ids_of(&idle), None, "{none}");
        }
    }

    #[test]
    fn a_loud_neighbour_changes_nobody_else() {
        let mut study = LogStudy::default();
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
