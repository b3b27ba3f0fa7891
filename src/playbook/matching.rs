//! Which playbooks are for the alerts of an incident, and why.

use super::{Library, Playbook};
use crate::incident::LinkedAlert;
use crate::telemetry::Labels;
use crate::telemetry::subject::service_of;

/// A playbook that is for an alert of the incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Match<'a> {
    pub playbook: &'a Playbook,
    /// The labels that its matchers found: `alertname=HighErrorRate`.
    pub why: Vec<String>,
    /// 0 to 1, larger is better: how many labels had to match, and for how many of the alerts they did.
    pub score: f64,
}

/// Number of matchers from which an entry is as specific as can be.
const MANY_MATCHERS: usize = 3;

/// Returns the playbooks for these alerts, the best first; equal ones by id. Empty without alerts.
pub fn matches<'a>(library: &'a Library, alerts: &[LinkedAlert]) -> Vec<Match<'a>> {
    let alerts: Vec<Labels> = alerts.iter().map(labels).collect();
    let mut found: Vec<Match<'a>> = library.all().filter_map(|playbook| best(playbook, &alerts)).collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.playbook.id.cmp(&b.playbook.id)));
    found
}

/// The labels that matchers see: those of the alert, its name, and its service under the label `service`.
fn labels(alert: &LinkedAlert) -> Labels {
    let mut labels = alert.labels.clone();
    labels.entry("alertname".to_owned()).or_insert_with(|| alert.name.clone());
    if let Some(service) = service_of(&alert.labels) {
        labels.entry("service".to_owned()).or_insert_with(|| service.to_owned());
    }
    labels
}

fn best<'a>(playbook: &'a Playbook, alerts: &[Labels]) -> Option<Match<'a>> {
    let of_entry = |matchers: &Vec<crate::telemetry::matcher::Matcher>| {
        let matching: Vec<&Labels> = alerts.iter().filter(|labels| matchers.iter().all(|m| m.matches(labels))).collect();
        let first = matching.first()?;
        let mut why: Vec<String> = Vec::new();
        for matcher in matchers {
            let value = first.get(&matcher.label).map_or("", String::as_str);
            why.push(if matcher.comparison.is_equal() { format!("{}={value}", matcher.label) } else { matcher.to_string() });
        }
        let specific = matchers.len().min(MANY_MATCHERS) as f64 / MANY_MATCHERS as f64;
        let share = matching.len() as f64 / alerts.len().max(1) as f64;
        Some(Match { playbook, why, score: f64::midpoint(specific, share) })
    };
    playbook.alerts.iter().filter_map(of_entry).max_by(|a, b| a.score.total_cmp(&b.score))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::failure::UserFile;

    fn alert(name: &str, pairs: &[(&str, &str)]) -> LinkedAlert {
        let labels = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        LinkedAlert { name: name.into(), labels, ..LinkedAlert::unverified(name) }
    }

    #[test]
    fn says_why_a_playbook_is_for_an_incident() {
        let file = |name: &str, alerts: &str| UserFile {
            path: format!("{name}.md"),
            name: name.into(),
            text: format!("---\nid: {name}\ntitle: T\nsummary: S\nalerts:\n{alerts}---\n## Do it\nNow.\n"),
        };
        let library = Library::from_files(&[
            file("wide", "  - alertname=~\"zz.*\"\n"),
            file("narrow", "  - nothing=\"x\"\n  - alertname=~\"zz.*\", service=\"shop\", severity!=\"info\"\n"),
            file("other", "  - alertname=\"Else\"\n"),
        ]);
        let alerts = [
            alert("zzSlow", &[("k8s.deployment.name", "x"), ("service.name", "shop"), ("severity", "critical")]),
            alert("zzDown", &[]),
        ];
        let found = matches(&library, &alerts);
        let shown: Vec<(&str, String)> = found.iter().map(|m| (m.playbook.id.as_str(), m.why.join(" "))).collect();
        let narrow = "alertname=zzSlow service=shop severity!=\"info\"";
        assert_eq!(shown, [("narrow", narrow.to_owned()), ("wide", "alertname=zzSlow".to_owned())]);
        assert!(found.iter().all(|m| (0.0..=1.0).contains(&m.score)));
        assert!(matches(&library, &[]).is_empty());
    }
}
