//! The internal names of an incident, which customers must not read: machines, services and people.

use std::collections::BTreeSet;

use crate::incident::{ActorKind, Incident};
use crate::telemetry::Labels;

/// Labels whose values name a machine, a container or a place where something runs.
const MACHINE_LABELS: [&str; 14] = [
    "instance",
    "host",
    "hostname",
    "node",
    "pod",
    "container",
    "nodename",
    "server",
    "machine",
    "namespace",
    "cluster",
    "deployment",
    "statefulset",
    "daemonset",
];
/// Labels whose values name a service.
const SERVICE_LABELS: [&str; 6] = ["service", "service_name", "service.name", "app", "job", "component"];
/// A name that is shorter says nothing and would be found in ordinary words.
const MIN_NAME: usize = 3;

/// Internal names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub machines: BTreeSet<String>,
    pub services: BTreeSet<String>,
    pub people: BTreeSet<String>,
}

impl Names {
    /// The names that an incident knows: from its alerts, suspects, impact, roles and entries.
    pub fn of(incident: &Incident) -> Self {
        let mut names = Self::default();
        let suspects = incident.investigation.iter().flat_map(|i| &i.suspects);
        for labels in incident.alerts.iter().map(|a| &a.labels).chain(suspects.clone().map(|s| &s.labels)) {
            names.add_labels(labels);
        }
        names.services.extend(suspects.filter_map(|s| s.service.clone()));
        names.services.extend(incident.impact.services.iter().cloned());
        names.people.extend(incident.role_spans.iter().map(|s| s.holder.clone()));
        names.people.extend(incident.actions.iter().filter_map(|a| a.owner.clone()));
        names.people.extend(incident.entries.iter().filter(|e| e.actor.kind == ActorKind::Human).map(|e| e.actor.name.clone()));
        names.without_short()
    }

    /// These names and further ones.
    #[must_use]
    pub fn with(mut self, others: &Self) -> Self {
        self.machines.extend(others.machines.iter().cloned());
        self.services.extend(others.services.iter().cloned());
        self.people.extend(others.people.iter().cloned());
        self.without_short()
    }

    fn without_short(mut self) -> Self {
        for set in [&mut self.machines, &mut self.services, &mut self.people] {
            set.retain(|name| name.chars().count() >= MIN_NAME);
        }
        self
    }

    /// Adds the machine of a URL: `prom-1.internal` of `http://prom-1.internal:9090/x`.
    pub fn add_host_of(&mut self, url: &str) {
        let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let host = if host.starts_with('[') { host } else { host.split(':').next().unwrap_or_default() };
        if !host.is_empty() && host != "localhost" {
            self.machines.insert(host.to_owned());
        }
    }

    fn add_labels(&mut self, labels: &Labels) {
        for (label, value) in labels {
            let name = label.to_lowercase();
            if MACHINE_LABELS.contains(&name.as_str()) {
                // `db-1:9100` is also known as `db-1`.
                self.machines.extend(value.split_once(':').map(|(host, _)| host.to_owned()));
                self.machines.insert(value.clone());
            } else if SERVICE_LABELS.contains(&name.as_str()) {
                self.services.insert(value.clone());
            }
        }
    }
}
