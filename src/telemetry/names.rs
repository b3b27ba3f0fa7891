//! The internal names that data mention: machines, services and people. What is written for customers must not contain them.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::log::LogLine;
use super::series::Labels;
use super::subject::{MACHINE_LABELS, SERVICE_LABELS, WORKLOAD_LABELS, owner_of_pod};

/// A kind of names that a mask can hide from the provider of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameKind {
    Hosts,
    Pods,
    /// Of clouds, databases and people.
    Accounts,
    /// Of networks.
    Addresses,
}

/// A shorter name says nothing and would be found in ordinary words.
const MIN_NAME: usize = 3;
/// The longest name, in characters: what is longer is a message, not a name.
const MAX_NAME: usize = 100;
/// The most names of one kind that one set holds, so that thousands of pods do not fill the journal.
const MAX_NAMES: usize = 200;

/// Labels and fields whose values name a person who works on the system. Fields such as `user` name customers as well.
const PERSON_LABELS: [&str; 12] = [
    "author",
    "committer",
    "deployer",
    "deployed_by",
    "triggered_by",
    "changed_by",
    "merged_by",
    "approved_by",
    "created_by",
    "assignee",
    "reviewer",
    "oncall",
];

/// A field within a message: `host=db-1`, `"pod": "web-0"`, `node: n3`.
static FIELD: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"\b([A-Za-z][A-Za-z0-9_.]{2,30})"?\s?[=:]\s?"?([A-Za-z0-9][A-Za-z0-9_.:/-]{2,99})"#).ok());

/// The local parts of addresses that belong to an office and not to a person: those of RFC 2142, and the usual ones for customers.
const OFFICES: [&str; 65] = [
    "info",
    "privacy",
    "marketing",
    "sales",
    "support",
    "abuse",
    "noc",
    "security",
    "postmaster",
    "hostmaster",
    "webmaster",
    "news",
    "www",
    "help",
    "helpdesk",
    "contact",
    "service",
    "services",
    "status",
    "care",
    "hello",
    "team",
    "billing",
    "privacy",
    "press",
    "feedback",
    "customer",
    "customers",
    "customerservice",
    "customer-service",
    "customercare",
    "noreply",
    "no-reply",
    "office",
    "incidents",
    "orders",
    "bookings",
    "booking",
    "returns",
    "refunds",
    "exams",
    "admissions",
    "accounts",
    "payments",
    "tickets",
    "reservations",
    "library",
    "registry",
    "registrar",
    "shop",
    "store",
    "jobs",
    "legal",
    "complaints",
    "claims",
    "members",
    "membership",
    "frontdesk",
    "reception",
    "servicedesk",
    "service-desk",
    "customer.service",
    "payroll",
    "hr",
    "it",
];

/// Whether an e-mail address belongs to an office and not to a person: `support@example.com`.
pub fn is_office_address(address: &str) -> bool {
    address.split_once('@').is_some_and(|(local, _)| OFFICES.contains(&local.to_lowercase().as_str()))
}

/// Internal names, each once. Sets of more than 200 names are cut.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub machines: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub services: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub people: BTreeSet<String>,
    /// Names that customers know, so that they may read them. From the configuration, never from data.
    #[serde(skip)]
    pub public: BTreeSet<String>,
}

fn add(set: &mut BTreeSet<String>, name: &str) {
    let length = name.chars().count();
    if set.len() < MAX_NAMES && (MIN_NAME..=MAX_NAME).contains(&length) && name.chars().any(char::is_alphabetic) {
        set.insert(name.to_owned());
    }
}

impl Names {
    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.machines.is_empty() && self.services.is_empty() && self.people.is_empty()
    }

    /// Adds a machine: `db-1:9100` is also known as `db-1`.
    pub fn add_machine(&mut self, name: &str) {
        if let Some((host, port)) = name.rsplit_once(':')
            && port.bytes().all(|b| b.is_ascii_digit())
        {
            add(&mut self.machines, host);
        }
        add(&mut self.machines, name);
        // `checkout-7d9f8c6b5-x2x9k` is a pod of checkout.
        let owner = owner_of_pod(name);
        if owner != name && !owner.contains('.') {
            add(&mut self.services, owner);
        }
    }

    pub fn add_service(&mut self, name: &str) {
        add(&mut self.services, name);
    }

    pub fn add_person(&mut self, name: &str) {
        add(&mut self.people, name);
    }

    /// Adds the machine of a URL: `prom-1.internal` of `http://prom-1.internal:9090/x`.
    pub fn add_host_of(&mut self, url: &str) {
        let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let host = if host.starts_with('[') { host } else { host.split(':').next().unwrap_or_default() };
        if host != "localhost" {
            add(&mut self.machines, host);
        }
    }

    /// Adds what labels or fields name.
    pub fn add_labels(&mut self, labels: &Labels) {
        for (label, value) in labels {
            self.add_field(label, value);
        }
    }

    /// Adds what a line names: its service, its fields, and fields within its message.
    pub fn add_line(&mut self, line: &LogLine) {
        line.service.iter().for_each(|s| self.add_service(s));
        self.add_labels(&line.fields);
        self.add_text(&line.message);
    }

    /// Adds what a text names in the form of fields.
    pub fn add_text(&mut self, text: &str) {
        for captures in FIELD.iter().flat_map(|p| p.captures_iter(text)) {
            if let (Some(label), Some(value)) = (captures.get(1), captures.get(2)) {
                self.add_field(label.as_str(), value.as_str().trim_end_matches(['.', ':', '/', '-']));
            }
        }
    }

    /// Adds what a label or field with this value names.
    pub fn add_field(&mut self, label: &str, value: &str) {
        let label = label.to_lowercase();
        let label = label.strip_prefix("exported_").unwrap_or(&label);
        let is_one_of = |names: &[&str]| names.contains(&label);
        if MACHINE_LABELS.iter().any(|names| names.contains(&label)) || is_one_of(&["instance", "server", "machine"]) {
            if value.contains("://") { self.add_host_of(value) } else { self.add_machine(value) }
        } else if is_one_of(&SERVICE_LABELS) || is_one_of(&WORKLOAD_LABELS) || label == "component" {
            self.add_service(value);
        } else if is_one_of(&PERSON_LABELS) {
            self.add_person(value);
        }
    }

    /// Adds the names of another set.
    pub fn extend(&mut self, others: &Self) {
        let sets = [
            (&mut self.machines, &others.machines),
            (&mut self.services, &others.services),
            (&mut self.people, &others.people),
            (&mut self.public, &others.public),
        ];
        for (own, other) in sets {
            own.extend(other.iter().cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn labels_fields_and_messages_name_machines_services_and_people() {
        let mut names = Names::default();
        names.add_labels(&labels(&[("instance", "db-1:9100"), ("k8s.pod.name", "cart-7d9f8c6b5-x2x9k"), ("author", "Ada Park")]));
        names.add_labels(&labels(&[("instance", "http://edge-2.corp:80/health"), ("user", "Customer One"), ("status", "500")]));
        let message = r#"dial failed host=orders-db.internal:5432 {"node": "n17", "service":"ledger"} at 10:15:00 job: 3"#;
        names.add_line(&LogLine { service: Some("checkout".into()), ..LogLine::plain(message) });
        let words = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(
            words(&names.machines),
            "cart-7d9f8c6b5-x2x9k db-1 db-1:9100 edge-2.corp n17 orders-db.internal orders-db.internal:5432"
        );
        assert_eq!(words(&names.services), "cart checkout ledger");
        assert_eq!(words(&names.people), "Ada Park");
    }

    #[test]
    fn a_set_is_bounded() {
        let mut names = Names::default();
        for n in 0..1000 {
            names.add_machine(&format!("node-{n}x"));
        }
        names.add_service("ab");
        names.add_service("100");
        assert_eq!((names.machines.len(), names.services.len()), (MAX_NAMES, 0));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,80}", label in "(host|pod|instance|service)", value in "\\PC{0,20}") {
            let mut names = Names::default();
            names.add_text(&text);
            names.add_labels(&labels(&[(&label, &value)]));
        }
    }
}
