//! What is measured of an incident: its moments, how long each part took, what is missing.

use std::collections::BTreeMap;

use super::super::event::Verdict;
use super::super::milestone::Milestone;
use super::super::role::Role;
use super::super::severity::Severity;
use super::{Durations, Incident, OrderFault, WINDOW_LEAD_SECS};
use crate::telemetry::{Timestamp, Window};

impl Incident {
    /// What was set by hand, else the earliest firing start of a linked alert, else when it was declared.
    pub fn detected_at(&self) -> Timestamp {
        let set = self.set_times.get(&Milestone::Detected).copied();
        set.or_else(|| self.alerts.iter().filter_map(|a| a.starts_at).min()).unwrap_or(self.head.declared_at)
    }

    /// What was set by hand, else the earliest pending start of a linked alert (its firing start where the backend tells no
    /// more), else when it was declared.
    pub fn impact_started_at(&self) -> Timestamp {
        let set = self.set_times.get(&Milestone::ImpactStarted).copied();
        set.or_else(|| self.alerts.iter().filter_map(|a| a.pending_since.or(a.starts_at)).min()).unwrap_or(self.head.declared_at)
    }

    /// A moment of its life; `None` while it is unknown.
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

    /// Milestones that rest on no evidence: the first two are taken to be the declaration, the mitigation to be the resolution.
    pub fn assumed(&self) -> Vec<&'static str> {
        let told = self.alerts.iter().any(|a| a.starts_at.is_some());
        let mut assumed: Vec<&'static str> =
            [(Milestone::ImpactStarted, "impact_started_at"), (Milestone::Detected, "detected_at")]
                .into_iter()
                .filter(|(m, _)| !told && !self.set_times.contains_key(m))
                .map(|(_, name)| name)
                .collect();
        if self.mitigated_assumed {
            assumed.push("mitigated_at");
        }
        assumed
    }

    /// The moments that are known.
    pub fn moments(&self) -> BTreeMap<Milestone, Timestamp> {
        Milestone::ALL.into_iter().filter_map(|m| self.milestone(m).map(|at| (m, at))).collect()
    }

    /// Neighbours of the chain of milestones (those that are known) that lie in the wrong order, each with its written
    /// exception where there is one.
    pub fn order_faults(&self) -> Vec<OrderFault> {
        faults(&self.moments())
            .into_iter()
            .map(|(earlier, later, words)| OrderFault {
                exception: self.exceptions.get(&later).or_else(|| self.exceptions.get(&earlier)).cloned(),
                earlier,
                later,
                words,
            })
            .collect()
    }

    /// By when the post-mortem is due: counted from the resolution (else the declaration), as the matrix says for the worst
    /// severity that it had. `None`: none is required.
    pub fn postmortem_due(&self) -> Option<Timestamp> {
        let due = self.matrix().row(self.peak_severity())?.postmortem?;
        Some(due.after(self.resolved_at.unwrap_or(self.head.declared_at)))
    }

    /// Roles that the severity asks for and that nobody holds.
    pub fn roles_missing(&self) -> Vec<Role> {
        self.matrix().roles(self.head.severity).iter().copied().filter(|r| !self.roles.contains_key(r)).collect()
    }

    /// Seconds from the detection until the first hypothesis was written that was later found to be right.
    pub fn first_useful_hypothesis_secs(&self) -> Option<f64> {
        let first = self.hypotheses.iter().filter(|h| h.verdict == Some(Verdict::Supported)).map(|h| h.at).min()?;
        Some(first.secs_since(self.detected_at()).max(0.0))
    }

    /// The durations between the milestones.
    pub fn durations(&self) -> Durations {
        let span = |to: Option<Timestamp>, from: Timestamp| to.map(|to| to.secs_since(from).max(0.0));
        // Whoever sees it before an alert fires is simply quick; an end before the start is no duration at all.
        let whole = |to: Option<Timestamp>, from: Timestamp| span(to.filter(|to| *to >= from), from);
        let (detected, impact) = (self.detected_at(), self.impact_started_at());
        Durations {
            detect_secs: span(Some(detected), impact),
            acknowledge_secs: span(self.acknowledged_at, detected),
            mitigate_secs: whole(self.mitigated_at, impact),
            resolve_secs: whole(self.resolved_at, impact),
        }
    }

    /// The durations that rest on evidence: those from or to a moment that is only assumed, or that lies out of order without a
    /// written exception, are left out. For figures over many incidents, which a guess would bend.
    pub fn measured(&self) -> Durations {
        let all = self.durations();
        let faulty = |m: Milestone| self.order_faults().iter().any(|f| f.exception.is_none() && (f.earlier == m || f.later == m));
        let assumed = self.assumed();
        let set = |m: Milestone| self.set_times.contains_key(&m);
        // Without a pending start the firing start stands for both ends of the time to detect: that is no measurement.
        let told = set(Milestone::ImpactStarted) || self.alerts.iter().any(|a| a.pending_since.is_some());
        let impact = !assumed.contains(&"impact_started_at") && !faulty(Milestone::ImpactStarted);
        let detected = !assumed.contains(&"detected_at") && !faulty(Milestone::Detected);
        Durations {
            detect_secs: all.detect_secs.filter(|_| impact && detected && told),
            acknowledge_secs: all.acknowledge_secs.filter(|_| detected && !faulty(Milestone::Acknowledged)),
            mitigate_secs: all.mitigate_secs.filter(|_| impact && !self.mitigated_assumed && !faulty(Milestone::Mitigated)),
            resolve_secs: all.resolve_secs.filter(|_| impact && !faulty(Milestone::Resolved)),
        }
    }

    /// The window of everything that is asked about this incident: from ten minutes before the earliest linked alert (else the declaration) to `now` or the mitigation.
    pub fn window(&self, now: Timestamp) -> Window {
        let lead = std::time::Duration::from_secs(WINDOW_LEAD_SECS);
        let from = self.alerts.iter().filter_map(|a| a.pending_since.or(a.starts_at)).min().unwrap_or(self.head.declared_at);
        Window::new(from - lead, self.mitigated_at.unwrap_or(now).max(from))
    }

    /// The worst severity it ever had.
    pub fn peak_severity(&self) -> Severity {
        self.severities.iter().map(|s| s.severity).min().unwrap_or(self.head.severity)
    }

    /// Seconds at each severity, up to its end (resolved, cancelled, merged) or `now`, the worst first; severities it never had
    /// are left out.
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

/// Neighbours of [`Milestone::CHAIN`] (those that are known) of which the later lies before the earlier, with the words for it.
pub fn faults(moments: &BTreeMap<Milestone, Timestamp>) -> Vec<(Milestone, Milestone, String)> {
    let known: Vec<(Milestone, Timestamp)> = Milestone::CHAIN.iter().filter_map(|m| moments.get(m).map(|at| (*m, *at))).collect();
    let neighbours = known.windows(2).filter_map(|pair| match pair {
        [(a, _), (b, _)] => Some((*a, *b)),
        _ => None,
    });
    // Outside of the chain, and still within the incident's life.
    use Milestone as M;
    let others = [(M::ImpactStarted, M::Identified), (M::Identified, M::Closed), (M::Declared, M::Closed)];
    neighbours
        .chain(others)
        .filter_map(|(a, b)| Some((a, b, *moments.get(&a)?, *moments.get(&b)?)))
        .filter(|(_, _, at, bt)| bt < at)
        .map(|(a, b, at, bt)| (a, b, format!("{b} ({} UTC) lies before {a} ({} UTC)", bt.date_clock(), at.date_clock())))
        .collect()
}
