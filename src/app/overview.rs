//! The rows of the overview that can be selected: what most likely happened with the evidence for it, and the findings.

use std::collections::BTreeMap;

use super::room::Room;
use crate::incident::state::Investigation;
use crate::incident::{CitedFinding, CitedSuspect, FindingKind};

/// What is selected and unfolded in the overview.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OverviewView {
    /// The selected row, by its identity, so that it stays selected when data arrive; `None` selects the first one.
    pub selected: Option<String>,
    /// Whether the selected row must be scrolled into view.
    pub reveals: bool,
    /// The findings that the user unfolded (true) or folded (false), by their identity.
    pub folds: BTreeMap<String, bool>,
}

/// A row of the overview.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OverviewRow<'a> {
    /// What most likely happened.
    Cause(&'a CitedFinding),
    /// The change that most likely caused it; `None` if it is not among the findings.
    Trigger(Option<&'a CitedFinding>),
    /// A series of the origin that changed.
    Signal(&'a CitedSuspect),
    /// A log pattern of the origin.
    Log(&'a CitedFinding),
    /// A finding, with the number of findings behind it that are not shown.
    Finding { finding: &'a CitedFinding, hidden: usize, is_open: bool },
    /// A finding behind the one above.
    Detail(&'a CitedFinding),
}

/// How many series of the origin are listed below the cause.
const MAX_SIGNALS: usize = 2;
/// How many of the findings behind one are listed at first, if there is room.
const LISTED_AT_FIRST: usize = 4;
/// From this width on, findings are listed at first with some of those behind them.
pub(crate) const ROOMY_WIDTH: u16 = 100;

impl OverviewRow<'_> {
    /// The identity of the row, which does not depend on values that the next investigation changes.
    fn id(&self) -> String {
        let of = |f: &CitedFinding| {
            format!("{} {} {}", f.kind.word(), f.service.as_deref().unwrap_or(""), f.subject.as_deref().unwrap_or(&f.title))
        };
        match self {
            Self::Cause(_) => "cause".to_owned(),
            Self::Trigger(_) => "trigger".to_owned(),
            Self::Signal(s) => format!("signal {} {}", s.service.as_deref().unwrap_or(""), s.title),
            Self::Log(f) => format!("log {}", of(f)),
            Self::Finding { finding, .. } => format!("finding {}", of(finding)),
            Self::Detail(f) => format!("detail {}", of(f)),
        }
    }
}

/// The identities of rows. Those that would be equal are numbered.
pub(crate) fn row_ids(rows: &[OverviewRow<'_>]) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    rows.iter()
        .map(|row| {
            let id = row.id();
            let nth = seen.entry(id.clone()).or_default();
            *nth += 1;
            if *nth == 1 { id } else { format!("{id} {nth}") }
        })
        .collect()
}

impl Room {
    fn investigation(&self) -> Option<&Investigation> {
        self.incident.as_ref()?.investigation.as_ref()
    }

    /// The rows of the overview, in their order. `width` is that of the terminal.
    pub(crate) fn overview_rows(&self, width: u16) -> Vec<OverviewRow<'_>> {
        let Some(investigation) = self.investigation() else { return Vec::new() };
        let mut rows = cause_rows(investigation);
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for finding in investigation.findings.iter().filter(|f| f.kind != FindingKind::Conclusion) {
            // The first finding behind one is its title.
            let behind = finding.details.get(1..).unwrap_or_default();
            let id = OverviewRow::Finding { finding, hidden: 0, is_open: false }.id();
            let nth = seen.entry(id.clone()).or_default();
            *nth += 1;
            let id = if *nth == 1 { id } else { format!("{id} {nth}") };
            let listed = match self.overview.folds.get(&id) {
                Some(true) => behind.len(),
                None if width >= ROOMY_WIDTH => LISTED_AT_FIRST,
                Some(false) | None => 0,
            };
            let shown = behind.get(..listed.min(behind.len())).unwrap_or_default();
            rows.push(OverviewRow::Finding { finding, hidden: behind.len() - shown.len(), is_open: !shown.is_empty() });
            rows.extend(shown.iter().map(OverviewRow::Detail));
        }
        rows
    }

    /// The position of the selected row; 0 if none is selected or it is gone.
    pub(crate) fn overview_position(&self, rows: &[OverviewRow<'_>]) -> usize {
        let selected = self.overview.selected.as_ref();
        selected.and_then(|id| row_ids(rows).iter().position(|r| r == id)).unwrap_or(0)
    }
}

/// What most likely happened, the change that caused it, and how it shows at the origin.
fn cause_rows(investigation: &Investigation) -> Vec<OverviewRow<'_>> {
    let Some(conclusion) = investigation.conclusion() else { return Vec::new() };
    let mut rows = vec![OverviewRow::Cause(conclusion)];
    let Some(parts) = &conclusion.conclusion else { return rows };
    let is_origin = |service: &Option<String>| service.as_ref().is_some_and(|s| parts.origins.contains(s));
    if let Some(trigger) = &parts.trigger {
        let is_it =
            |f: &&CitedFinding| f.kind == FindingKind::Change && f.at == parts.trigger_at && f.title.contains(trigger.as_str());
        rows.push(OverviewRow::Trigger(investigation.details().find(is_it)));
    }
    let is_signal = |s: &&CitedSuspect| is_origin(&s.service) && s.changed_at.is_some() && !s.title.is_empty();
    let mut signals: Vec<&CitedSuspect> = investigation.suspects.iter().filter(is_signal).collect();
    // What changed first is nearest to the cause; among equals, the most suspect one.
    signals.sort_by_key(|s| s.changed_at);
    rows.extend(signals.into_iter().take(MAX_SIGNALS).map(OverviewRow::Signal));
    let log = investigation.details().find(|f| f.kind == FindingKind::Pattern && is_origin(&f.service));
    rows.extend(log.map(OverviewRow::Log));
    rows
}
