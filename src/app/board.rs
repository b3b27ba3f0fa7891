//! The state of the board: grouped alerts, incidents, source status, filter and selection. The selection is stored by
//! identity, so that it stays on its row when new data arrives.

use std::collections::{BTreeMap, BTreeSet};

use super::filter::Filter;
use crate::analysis::grouping::{GroupBy, group_alerts};
use crate::analysis::merge::with_stale;
use crate::incident::{IncidentId, SourceReport, SourceStatus, Summary};
use crate::telemetry::series::AlertSeries;
use crate::telemetry::{Alert, AlertState, Failure, Timestamp};

/// The list that has the focus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pane {
    Incidents,
    #[default]
    Alerts,
}

/// A row of the alert list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    Group { title: String, count: usize, firing: usize },
    Alert { index: usize },
}

/// The identity of a row, independent of its position: the title of a group, or the fingerprint of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RowId {
    Group(String),
    Alert(String),
}

/// A source as shown: its most recent report, and when it last answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SourceState {
    pub report: SourceReport,
    pub answered_at: Option<Timestamp>,
}

/// The state of the board.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board {
    pub pane: Pane,
    pub alerts: Vec<Alert>,
    pub sources: Vec<SourceState>,
    /// When alerts last arrived; `None` before the first answer.
    pub arrived_at: Option<Timestamp>,
    pub refreshing: bool,
    pub group_by: GroupBy,
    pub only_new: bool,
    pub filter: String,
    /// The fingerprints of the marked alerts.
    pub marked: BTreeSet<String>,
    pub selected: Option<RowId>,
    /// The row that was selected before a filter hid it, and the one that was selected instead.
    hidden: Option<(RowId, RowId)>,
    /// The filters that the rows were built with.
    built_with: (String, bool),
    pub incidents: Vec<Summary>,
    /// Whether the list of incidents has been read at least once.
    pub incidents_loaded: bool,
    pub selected_incident: Option<IncidentId>,
    /// The series behind the selected alert, with the alert's fingerprint, or why it could not be read.
    pub series: Option<(String, Result<Option<AlertSeries>, Failure>)>,
    /// Many alerts at the same time that probably have one cause.
    pub storm: Option<crate::analysis::relations::Storm>,
    rows: Vec<Row>,
    /// The open incident of each linked alert, by fingerprint.
    owners: BTreeMap<String, IncidentId>,
}

impl Board {
    /// The rows of the alert list.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The open incident that an alert is linked to; the newest one if there are several.
    pub(crate) fn owner(&self, alert: &Alert) -> Option<IncidentId> {
        alert.fingerprints().find_map(|f| self.owners.get(f)).copied().or_else(|| {
            let open = self.incidents.iter().filter(|h| h.status.is_open());
            open.into_iter().find(|head| head.linked.iter().any(|l| l.is(alert))).map(|head| head.id)
        })
    }

    /// The open incidents, most severe first, then oldest first.
    pub(crate) fn open_incidents(&self) -> Vec<&Summary> {
        let mut open: Vec<&Summary> = self.incidents.iter().filter(|i| i.status.is_open()).collect();
        open.sort_by_key(|i| (i.severity, i.declared_at));
        open
    }

    /// The incidents to list: the open ones or, if none is open, the five most recent ones.
    pub(crate) fn listed_incidents(&self) -> Vec<&Summary> {
        let open = self.open_incidents();
        if open.is_empty() { self.incidents.iter().take(5).collect() } else { open }
    }

    /// Replaces the alerts and the source reports. Alerts of a source that failed are kept, although they may be stale.
    pub(crate) fn set_alerts(&mut self, alerts: Vec<Alert>, reports: Vec<SourceReport>, at: Timestamp) {
        let failed: BTreeSet<&str> = reports.iter().filter(|r| r.status != SourceStatus::Ok).map(|r| r.name.as_str()).collect();
        let merged = with_stale(alerts, std::mem::take(&mut self.alerts), &failed, at);
        let firing: Vec<&Alert> = merged.iter().filter(|a| a.state == AlertState::Firing).collect();
        self.storm = crate::analysis::relations::find_storm(&firing);
        self.alerts = merged;
        self.sources = reports
            .into_iter()
            .map(|report| {
                let before = self.sources.iter().find(|s| s.report.name == report.name).and_then(|s| s.answered_at);
                let answered_at = if report.status == SourceStatus::Ok { Some(at) } else { before };
                SourceState { report, answered_at }
            })
            .collect();
        self.arrived_at = Some(at);
        self.refreshing = false;
        self.rebuild_rows();
    }

    /// Replaces the list of incidents.
    pub(crate) fn set_incidents(&mut self, incidents: Vec<Summary>) {
        self.owners.clear();
        for head in incidents.iter().filter(|h| h.status.is_open()) {
            for fingerprint in &head.alerts {
                self.owners.entry(fingerprint.clone()).or_insert(head.id);
            }
        }
        self.incidents = incidents;
        self.incidents_loaded = true;
        let listed: Vec<IncidentId> = self.listed_incidents().iter().map(|h| h.id).collect();
        if !self.selected_incident.is_some_and(|id| listed.contains(&id)) {
            self.selected_incident = listed.first().copied();
        }
        self.rebuild_rows();
    }

    /// Rebuilds the rows. Call this after any change to alerts, incidents, grouping or filter. Keeps the selection if its
    /// row still exists. A row that was hidden is selected again as soon as it is shown, unless the selection was moved since.
    pub(crate) fn rebuild_rows(&mut self) {
        let place = self.position();
        let filter = Filter::new(&self.filter);
        let shown: Vec<usize> =
            self.alerts.iter().enumerate().filter(|(_, a)| self.is_shown(a, &filter)).map(|(i, _)| i).collect();
        let kept: Vec<Alert> = shown.iter().filter_map(|i| self.alerts.get(*i)).cloned().collect();
        self.rows.clear();
        for g in group_alerts(&kept, self.group_by) {
            let members: Vec<usize> = g.members.iter().filter_map(|m| shown.get(*m).copied()).collect();
            let firing = members.iter().filter(|i| self.alerts.get(**i).is_some_and(Alert::is_firing)).count();
            if self.group_by != GroupBy::None {
                self.rows.push(Row::Group { title: g.title(), count: members.len(), firing });
            }
            self.rows.extend(members.into_iter().map(|index| Row::Alert { index }));
        }
        let alive: BTreeSet<&str> = self.alerts.iter().map(|a| a.fingerprint.as_str()).collect();
        self.marked.retain(|f| alive.contains(f.as_str()));
        let filters = (self.filter.clone(), self.only_new);
        // New data alone move no selection.
        let is_filtered_anew = std::mem::replace(&mut self.built_with, filters.clone()) != filters;
        if let Some((row, instead)) = self.hidden.take() {
            let is_unmoved = self.selected.as_ref() == Some(&instead);
            if is_unmoved && is_filtered_anew && self.place_of(&row).is_some() {
                self.selected = Some(row);
            } else if is_unmoved {
                self.hidden = Some((row, instead));
            }
        }
        if self.position().is_none() {
            // The selected row is gone: select the row in its place. Without a previous selection, select the first alert.
            let first = self.rows.iter().position(|r| matches!(r, Row::Alert { .. })).unwrap_or(0);
            let was = self.selected.take();
            self.select(place.unwrap_or(first));
            if is_filtered_anew {
                let row = self.hidden.take().map(|(row, _)| row).or(was);
                self.hidden = row.zip(self.selected.clone());
            }
        }
    }

    fn is_shown(&self, alert: &Alert, filter: &Filter) -> bool {
        (!self.only_new || self.owner(alert).is_none()) && filter.matches(&searchable_text(alert))
    }

    /// The identity of a row.
    pub(crate) fn id_of(&self, row: &Row) -> RowId {
        match row {
            Row::Group { title, .. } => RowId::Group(title.clone()),
            Row::Alert { index } => RowId::Alert(self.alerts.get(*index).map(|a| a.fingerprint.clone()).unwrap_or_default()),
        }
    }

    /// The position of the selected row; `None` if it is not in the list.
    pub(crate) fn position(&self) -> Option<usize> {
        self.place_of(self.selected.as_ref()?)
    }

    fn place_of(&self, row: &RowId) -> Option<usize> {
        match row {
            RowId::Group(group) => self.rows.iter().position(|r| matches!(r, Row::Group { title, .. } if title == group)),
            RowId::Alert(fingerprint) => self.rows.iter().position(
                |r| matches!(r, Row::Alert { index } if self.alerts.get(*index).is_some_and(|a| a.fingerprint == *fingerprint)),
            ),
        }
    }

    /// Selects the row at a position, or the last row if there are fewer.
    pub(crate) fn select(&mut self, position: usize) {
        let last = self.rows.len().saturating_sub(1);
        self.selected = self.rows.get(position.min(last)).map(|r| self.id_of(r));
    }

    /// Selects an alert by its fingerprint. If the filter hides it, the filter is cleared.
    pub(crate) fn select_alert(&mut self, fingerprint: &str) {
        let id = RowId::Alert(fingerprint.to_owned());
        if !self.rows.iter().any(|r| self.id_of(r) == id) {
            (self.filter, self.only_new) = (String::new(), false);
        }
        self.selected = Some(id);
        self.rebuild_rows();
    }

    /// The selected alert; `None` if a group is selected.
    pub(crate) fn current(&self) -> Option<&Alert> {
        match self.rows.get(self.position()?)? {
            Row::Alert { index } => self.alerts.get(*index),
            Row::Group { .. } => None,
        }
    }

    /// The fingerprints that a row represents: its alert, or all alerts of its group.
    pub(crate) fn fingerprints_at(&self, position: usize) -> Vec<String> {
        let fingerprint = |r: &Row| match r {
            Row::Alert { index } => self.alerts.get(*index).map(|a| a.fingerprint.clone()),
            Row::Group { .. } => None,
        };
        match self.rows.get(position) {
            Some(Row::Group { .. }) => self
                .rows
                .iter()
                .skip(position + 1)
                .take_while(|r| matches!(r, Row::Alert { .. }))
                .filter_map(fingerprint)
                .collect(),
            Some(row) => fingerprint(row).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// The alerts that an action applies to: the marked ones or, if none is marked, those of the selected row.
    pub(crate) fn target_alerts(&self) -> Vec<&Alert> {
        let fingerprints: BTreeSet<String> = if self.marked.is_empty() {
            self.fingerprints_at(self.position().unwrap_or(0)).into_iter().collect()
        } else {
            self.marked.clone()
        };
        self.alerts.iter().filter(|a| fingerprints.contains(&a.fingerprint)).collect()
    }

    /// The numbers of firing, pending and suppressed alerts.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let count = |state| self.alerts.iter().filter(|a| a.state == state).count();
        (count(AlertState::Firing), count(AlertState::Pending), count(AlertState::Suppressed))
    }
}

/// The text that the filter matches, in lower case.
fn searchable_text(alert: &Alert) -> String {
    let labels: Vec<String> = alert.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    format!("{} {} {} {} {}", alert.name, alert.severity.short(), alert.state.word(), alert.summary(), labels.join(" "))
        .to_lowercase()
}
