//! Fits evidence into a token budget. Each item is included in full, shortened or left out, in order of priority.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::body::Body;
use super::render::{self, Detail};
use super::tokens::Meter;
use crate::incident::{EvidenceId, EvidenceKind, EvidenceRecord, Incident};
use crate::telemetry::{Window, clean};

/// How an item was included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inclusion {
    Full,
    Shortened,
    LeftOut,
}

/// One packed item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedItem {
    pub id: EvidenceId,
    pub state: Inclusion,
    /// Estimated tokens of the packed text; 0 when left out.
    pub tokens: u64,
    #[serde(skip)]
    pub text: String,
}

/// All items in order of their ids, and the total of their tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    pub items: Vec<PackedItem>,
    pub tokens: u64,
}

impl Packed {
    /// The ids of the items that are included, in full or shortened.
    pub fn included(&self) -> Vec<EvidenceId> {
        self.items.iter().filter(|i| i.state != Inclusion::LeftOut).map(|i| i.id).collect()
    }
}

/// The records in order of priority: alerts, then what is preferred, then evidence cited by the findings in citation order, then by kind (notes,
/// changes, patterns, logs, analysis, metrics), newest first.
fn priorities<'a>(incident: &'a Incident, preferred: &BTreeSet<EvidenceId>) -> Vec<&'a EvidenceRecord> {
    let cited: Vec<EvidenceId> =
        incident.investigation.iter().flat_map(|i| i.findings.iter().flat_map(|f| f.evidence.iter().copied())).collect();
    let kind_order = |k: EvidenceKind| match k {
        EvidenceKind::Alerts => 0,
        EvidenceKind::Note => 1,
        EvidenceKind::Changes => 2,
        EvidenceKind::Patterns => 3,
        EvidenceKind::Logs => 4,
        EvidenceKind::Analysis => 5,
        EvidenceKind::Metric => 6,
    };
    let mut records: Vec<&EvidenceRecord> = incident.current_evidence().collect();
    records.sort_by_key(|r| {
        let citation_order = cited.iter().position(|c| *c == r.id).unwrap_or(usize::MAX);
        (r.kind != EvidenceKind::Alerts, !preferred.contains(&r.id), citation_order, kind_order(r.kind), std::cmp::Reverse(r.id))
    });
    records
}

/// Packs the incident's evidence into `budget` tokens.
///
/// `body` returns an item's body, or `None` when the store does not have it. In order of priority, each item that fits is
/// first added in short form; the remaining budget then expands items to full form in the same order. Items whose window is
/// `common` do not repeat it. `preferred` items come before others.
pub fn pack(
    incident: &Incident,
    budget: u64,
    meter: Meter,
    common: Option<Window>,
    preferred: &BTreeSet<EvidenceId>,
    body: impl Fn(&EvidenceRecord) -> Option<Body>,
) -> Packed {
    let mut left = budget;
    let mut chosen: Vec<(PackedItem, Option<Body>, &EvidenceRecord)> = Vec::new();
    for record in priorities(incident, preferred) {
        let body = body(record);
        let text = item_text(record, common, body.as_ref(), Detail::Short);
        let tokens = meter.count(&text);
        let fits = tokens <= left;
        left -= if fits { tokens } else { 0 };
        let item = PackedItem {
            id: record.id,
            state: if fits { Inclusion::Shortened } else { Inclusion::LeftOut },
            tokens: if fits { tokens } else { 0 },
            text: if fits { text } else { String::new() },
        };
        chosen.push((item, body, record));
    }
    for (item, body, record) in &mut chosen {
        if item.state == Inclusion::LeftOut {
            continue;
        }
        let text = item_text(record, common, body.as_ref(), Detail::Full);
        let tokens = meter.count(&text);
        if tokens.saturating_sub(item.tokens) <= left {
            left -= tokens.saturating_sub(item.tokens);
            *item = PackedItem { id: item.id, state: Inclusion::Full, tokens, text };
        }
    }
    let mut items: Vec<PackedItem> = chosen.into_iter().map(|(item, _, _)| item).collect();
    items.sort_by_key(|i| i.id);
    Packed { tokens: items.iter().map(|i| i.tokens).sum(), items }
}

/// The window that most of the evidence has; `None` without evidence.
pub fn common_window(incident: &Incident) -> Option<Window> {
    let windows: Vec<Window> = incident.current_evidence().map(|r| r.window).collect();
    let count = |w: &Window| windows.iter().filter(|other| *other == w).count();
    windows.iter().max_by_key(|w| count(w)).copied().filter(|w| count(w) > 1)
}

/// The text of an item in a prompt: id, kind, source, summary, query, window and what is missing, followed by the body. The
/// window is left out if it is `common`.
pub fn item_text(record: &EvidenceRecord, common: Option<Window>, body: Option<&Body>, detail: Detail) -> String {
    let mut out = format!(
        "{} {} from {} · {}\nquery: {}\n",
        record.id,
        record.kind.word(),
        record.source,
        clean::truncate(&record.summary, if detail >= Detail::Full { 2000 } else { 600 }),
        clean::truncate(&record.query, if detail >= Detail::Full { 800 } else { 240 }),
    );
    if common != Some(record.window) {
        out.push_str(&format!("window: {}\n", record.window.label()));
    }
    if record.shown < record.total {
        out.push_str(&format!("shown: {} of {}\n", record.shown, record.total));
    }
    for gap in &record.gaps {
        out.push_str(&format!("incomplete: {gap}\n"));
    }
    out.push_str(&body.map_or_else(|| "(the data is not in this store)".to_owned(), |b| render::text(b, detail)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::Fact;
    use crate::incident::state::tests::{declared, entries};
    use crate::telemetry::{LogLine, Timestamp, Window};

    fn incident(count: u32) -> Incident {
        let at = Timestamp::from_secs(0);
        let mut facts = vec![declared()];
        facts.extend((1..=count).map(|n| Fact::EvidenceAttached {
            evidence: EvidenceRecord {
                id: EvidenceId(n),
                kind: if n == 3 { EvidenceKind::Alerts } else { EvidenceKind::Logs },
                source: "app".into(),
                query: "*.log".into(),
                window: Window::new(at, at),
                taken_at: at,
                summary: "lines".into(),
                digest: String::new(),
                complete: true,
                gaps: vec![],
                shown: 50,
                total: 50,
                redactions: 0,
                names: crate::telemetry::Names::default(),
            },
        }));
        Incident::fold(entries(facts)).unwrap()
    }

    #[expect(clippy::unnecessary_wraps, reason = "`pack` takes a function that may have no body")]
    fn body(_: &EvidenceRecord) -> Option<Body> {
        Some(Body::Lines { lines: (0..50).map(|i| LogLine::plain(format!("line number {i} of the log"))).collect() })
    }

    #[test]
    fn packs_alerts_first_and_stays_within_the_budget() {
        let incident = incident(12);
        for budget in [0, 50, 120, 500, 1500, 100_000] {
            let packed = pack(&incident, budget, Meter::default(), None, &BTreeSet::new(), body);
            assert_eq!(packed.items.len(), 12);
            assert!(packed.tokens <= budget, "{budget}");
            assert_eq!(packed.tokens, packed.items.iter().map(|i| Meter::default().count(&i.text)).sum::<u64>());
        }
        let tight = pack(&incident, 150, Meter::default(), None, &BTreeSet::new(), body);
        assert_eq!(tight.included(), [EvidenceId(3)]);
        assert!(
            pack(&incident, 100_000, Meter::default(), None, &BTreeSet::new(), body)
                .items
                .iter()
                .all(|i| i.state == Inclusion::Full)
        );
    }
}
