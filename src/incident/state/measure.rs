//! Measurements of an incident: milestones, durations, order faults, due dates and missing roles.

use std::collections::BTreeMap;

use super::super::event::Verdict;
use super::super::milestone::Milestone;
use super::super::role::Role;
use super::super::severity::Severity;
use super::{Durations, Incident, OrderFault, WINDOW_LEAD_SECS};
use crate::telemetry::{Timestamp, Window};

impl Incident {
    /// When the incident was detected: the time set by hand, else the earliest firing time of a linked alert, else the declaration.
    pub fn detected_at(&self) -> Timestamp {
        let set = self.manual_times.get(&Milestone::Detected).copied();
        set.or_else(|| self.alerts.iter().filter_map(|a| a.starts_at).min()).unwrap_or(self.head.declared_at)
    }

    /// When the impact started: the time set by hand, else the earliest pending time of a linked alert (its firing time if the
    /// pending time is unknown), else the declaration.
    pub fn impact_started_at(&self) -> Timestamp {
        let set = self.manual_times.get(&Milestone::ImpactStarted).copied();
        set.or_else(|| self.alerts.iter().filter_map(|a| a.pending_since.or(a.starts_at)).min()).unwrap_or(self.head.declared_at)
    }

    /// The time of a milestone; `None` if it is unknown.
    pub fn milestone(&self, milestone: Milestone) -> Option<Timestamp> {
        match milestone {
            Milestone::ImpactStarted => Some(self.impact_started_at()),
            Milestone::Detected => Some(self.detected_at()),
            Milestone::Declared => Some(self.head.declared_at),
            Milestone::Acknowledged => self.acknowledged_at,
            Milestone::Identified => self.identified_at,
            Milestone::Mitigated => self.mitigated_at,
            Milestone::Resolved => self.resolved_at,
            Milestone::Closed => self.closed_at,
        }
    }

    /// The fields of milestones that are assumed: impact start and detection are taken from the declaration, mitigation from the
    /// resolution.
    pub fn assumed_milestones(&self) -> Vec<&'static str> {
        let alerts_have_start = self.alerts.iter().any(|a| a.starts_at.is_some());
        let mut assumed: Vec<&'static str> =
            [(Milestone::ImpactStarted, "impact_started_at"), (Milestone::Detected, "detected_at")]
                .into_iter()
                .filter(|(m, _)| !alerts_have_start && !self.manual_times.contains_key(m))
                .map(|(_, name)| name)
                .collect();
        if self.mitigated_assumed {
            assumed.push("mitigated_at");
        }
        assumed
    }

    /// The times of all known milestones.
    pub fn milestones(&self) -> BTreeMap<Milestone, Timestamp> {
        Milestone::ALL.into_iter().filter_map(|m| self.milestone(m).map(|at| (m, at))).collect()
    }

    /// The pairs of known milestones that are out of order, each with the recorded exception if there is one.
    pub fn order_faults(&self) -> Vec<OrderFault> {
        find_order_faults(&self.milestones())
            .into_iter()
            .map(|(earlier, later, words)| OrderFault {
                exception: self.exceptions.get(&later).or_else(|| self.exceptions.get(&earlier)).cloned(),
                earlier,
                later,
                message: words,
            })
            .collect()
    }

    /// When the post-mortem is due. The matrix row of the peak severity gives the number of days, counted from the resolution or,
    /// if that is unknown, from the declaration. `None` if no post-mortem is required.
    pub fn postmortem_due(&self) -> Option<Timestamp> {
        let due = self.matrix().row(self.peak_severity())?.postmortem?;
        Some(due.after(self.resolved_at.unwrap_or(self.head.declared_at)))
    }

    /// The roles that the current severity requires but no one holds.
    pub fn missing_roles(&self) -> Vec<Role> {
        self.matrix().roles(self.head.severity).iter().copied().filter(|r| !self.roles.contains_key(r)).collect()
    }

    /// Seconds from detection to the first hypothesis that was later supported; `None` if no hypothesis was supported.
    pub fn first_useful_hypothesis_secs(&self) -> Option<f64> {
        let first = self.hypotheses.iter().filter(|h| h.verdict == Some(Verdict::Supported)).map(|h| h.at).min()?;
        Some(first.secs_since(self.detected_at()).max(0.0))
    }

    /// The durations between the milestones, including assumed ones.
    pub fn durations(&self) -> Durations {
        let span = |to: Option<Timestamp>, from: Timestamp| to.map(|to| to.secs_since(from).max(0.0));
        // An acknowledgement before detection counts as zero, but an end before the start is not a duration.
        let ordered_span = |to: Option<Timestamp>, from: Timestamp| span(to.filter(|to| *to >= from), from);
        let (detected, impact) = (self.detected_at(), self.impact_started_at());
        Durations {
            detect_secs: span(Some(detected), impact),
            acknowledge_secs: span(self.acknowledged_at, detected),
            mitigate_secs: ordered_span(self.mitigated_at, impact),
            resolve_secs: ordered_span(self.resolved_at, impact),
        }
    }

    /// The durations to use in statistics over many incidents. Durations are left out if one of their milestones is assumed, or is
    /// out of order without a recorded exception.
    pub fn measured_durations(&self) -> Durations {
        let all = self.durations();
        let out_of_order =
            |m: Milestone| self.order_faults().iter().any(|f| f.exception.is_none() && (f.earlier == m || f.later == m));
        let assumed = self.assumed_milestones();
        let is_set = |m: Milestone| self.manual_times.contains_key(&m);
        // Without a pending time, impact start and detection are both the firing time, so the time to detect is not measured.
        let start_is_known = is_set(Milestone::ImpactStarted) || self.alerts.iter().any(|a| a.pending_since.is_some());
        let impact = !assumed.contains(&"impact_started_at") && !out_of_order(Milestone::ImpactStarted);
        let detected = !assumed.contains(&"detected_at") && !out_of_order(Milestone::Detected);
        Durations {
            detect_secs: all.detect_secs.filter(|_| impact && detected && start_is_known),
            acknowledge_secs: all.acknowledge_secs.filter(|_| detected && !out_of_order(Milestone::Acknowledged)),
            mitigate_secs: all.mitigate_secs.filter(|_| impact && !self.mitigated_assumed && !out_of_order(Milestone::Mitigated)),
            resolve_secs: all.resolve_secs.filter(|_| impact && !out_of_order(Milestone::Resolved)),
        }
    }

    /// The time window for queries about this incident: from ten minutes before the earliest linked alert (or the declaration, if
    /// no alert has a start time) to the mitigation or `now`.
    pub fn window(&self, now: Timestamp) -> Window {
        let lead = std::time::Duration::from_secs(WINDOW_LEAD_SECS);
        let from = self.alerts.iter().filter_map(|a| a.pending_since.or(a.starts_at)).min().unwrap_or(self.head.declared_at);
        Window::new(from - lead, self.mitigated_at.unwrap_or(now).max(from))
    }

    /// The most severe level that the incident had.
    pub fn peak_severity(&self) -> Severity {
        self.severities.iter().map(|s| s.severity).min().unwrap_or(self.head.severity)
    }

    /// Seconds spent at each severity until the incident ended (resolved, cancelled or merged) or `now`, most severe first.
    /// Severities that it never had are left out.
    pub fn time_in_severity(&self, now: Timestamp) -> Vec<(Severity, f64)> {
        let ended = (!self.head.status.is_open()).then_some(self.head.status_since);
        let end = self.resolved_at.or(ended).unwrap_or(now);
        let mut spent: BTreeMap<Severity, f64> = BTreeMap::new();
        for (index, span) in self.severities.iter().enumerate() {
            let until = self.severities.get(index + 1).map_or(end, |next| next.from);
            *spent.entry(span.severity).or_default() += until.secs_since(span.from).max(0.0);
        }
        spent.into_iter().collect()
    }
}

/// The pairs of known milestones that are out of order, each with a description. Checks neighbours in [`Milestone::CHAIN`], and
/// that the identification and the declaration are within the incident.
pub fn find_order_faults(times: &BTreeMap<Milestone, Timestamp>) -> Vec<(Milestone, Milestone, String)> {
    use Milestone as M;
    let chain: Vec<(Milestone, Timestamp)> = Milestone::CHAIN.iter().filter_map(|m| times.get(m).map(|at| (*m, *at))).collect();
    let neighbours = chain.windows(2).filter_map(|pair| match pair {
        [(a, _), (b, _)] => Some((*a, *b)),
        _ => None,
    });
    // Not in the chain, but still bounded by other milestones.
    let others = [(M::ImpactStarted, M::Identified), (M::Identified, M::Closed), (M::Declared, M::Closed)];
    neighbours
        .chain(others)
        .filter_map(|(a, b)| Some((a, b, *times.get(&a)?, *times.get(&b)?)))
        .filter(|(_, _, at, bt)| bt < at)
        .map(|(a, b, at, bt)| (a, b, format!("{b} ({} UTC) is before {a} ({} UTC)", bt.date_clock(), at.date_clock())))
        .collect()
}
