//! The internal names of an incident, which customers must not read: machines, services and people.

use crate::incident::{ActorKind, Incident};
use crate::telemetry::Names;

/// The names that an incident knows: from its evidence, alerts, suspects, impact, roles and entries.
pub fn names_of(incident: &Incident) -> Names {
    let mut names = Names::default();
    incident.evidence.iter().for_each(|e| names.extend(&e.names));
    incident.alerts.iter().for_each(|a| names.add_labels(&a.labels));
    for suspect in incident.investigation.iter().flat_map(|i| &i.suspects) {
        names.add_labels(&suspect.labels);
        suspect.service.iter().for_each(|s| names.add_service(s));
    }
    incident.impact.services.iter().for_each(|s| names.add_service(s));
    let people = incident.entries.iter().filter(|e| e.actor.kind == ActorKind::Human).map(|e| &e.actor.name);
    let people = people.chain(incident.role_spans.iter().map(|s| &s.holder));
    people.chain(incident.actions.iter().filter_map(|a| a.owner.as_ref())).for_each(|p| names.add_person(p));
    names
}
