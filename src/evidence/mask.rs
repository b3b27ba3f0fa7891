//! Reversible masking: names of hosts, pods and accounts, and network addresses, are replaced before a prompt is sent and put back
//! in the answer, so that the provider of a model does not learn them.
//!
//! A name becomes `HOST_1`, `POD_2` and so on, the same one everywhere in a prompt. The names of the services concerned stay,
//! because the model reasons about them. What has to be removed for good is the matter of `redact`, which runs first.

use core::net::{IpAddr, Ipv6Addr};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use regex::Regex;

use crate::telemetry::names::NameKind;

/// Shorter names are too likely to be words.
const SHORTEST: usize = 4;

static LABELLED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)\b(?:(?P<host>instance|host|hostname|host_name|node|nodename|server|machine|exported_instance)|(?P<pod>pod|pod_name|container_id|containerid)|(?P<account>account|account_id|accountid|user|username|user_id|userid|tenant|tenant_id|customer|customer_id|org_id|subscription_id|project_id))["']?\s*[:=]\s*["']?(?P<name>[A-Za-z0-9][A-Za-z0-9._@-]{2,})"#,
    )
    .ok()
});
static FORM: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?P<pod>\b[a-z0-9]+(?:-[a-z0-9]+)*-[a-f0-9]{6,10}-[a-z0-9]{5}\b)|(?P<host>\bip(?:-\d{1,3}){4}\b|\b[a-z0-9][a-z0-9-]*(?:\.[a-z0-9][a-z0-9-]*)+\.(?:internal|local|lan|corp|intra|home|com|net|org|io|dev|cloud|app|de|eu|fr|uk|us)\b)|\barn:aws[\w-]*:[\w-]*:[\w-]*:(?P<account>\d{12}):|(?P<address>\b\d{1,3}(?:\.\d{1,3}){3}\b|\b[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{0,4}){2,7}\b)",
    )
    .ok()
});
static TOKEN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)\b(?P<kind>HOST|POD|ACCOUNT|ADDRESS)\\?_(?P<number>\d+)\b").ok());

/// The names that a prompt has, each with its replacement. The default replaces nothing.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    /// Names and their tokens, in order of first occurrence.
    names: Vec<(String, String)>,
    finder: Option<AhoCorasick>,
}

fn token_word(kind: NameKind) -> &'static str {
    match kind {
        NameKind::Hosts => "HOST",
        NameKind::Pods => "POD",
        NameKind::Accounts => "ACCOUNT",
        NameKind::Addresses => "ADDRESS",
    }
}

/// Whether a name is no one's: a word, a well-known account or this machine.
fn is_common(name: &str) -> bool {
    name.len() < SHORTEST
        || ["localhost", "system", "user", "assistant", "root", "admin", "anonymous", "none", "null", "true", "false", "unknown"]
            .iter()
            .any(|word| name.eq_ignore_ascii_case(word))
}

/// Whether a text is an address of a network rather than a version or a time.
fn is_address(text: &str) -> bool {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => !address.is_loopback() && !address.is_unspecified(),
        Ok(IpAddr::V6(address)) => address != Ipv6Addr::LOCALHOST && text.matches(':').count() > 2,
        Err(_) => false,
    }
}

impl Mask {
    /// The names of these kinds in texts, without those in `keep`.
    pub fn of<'a>(kinds: &[NameKind], texts: impl Iterator<Item = &'a str>, keep: &BTreeSet<String>) -> Self {
        let (Some(labelled), Some(form)) = (LABELLED.as_ref(), FORM.as_ref()) else { return Self::default() };
        let mut found: Vec<(NameKind, &str)> = Vec::new();
        let mut taken: BTreeSet<String> = BTreeSet::new();
        for text in texts.filter(|_| !kinds.is_empty()) {
            taken.extend(TOKEN.iter().flat_map(|t| t.find_iter(text)).map(|m| m.as_str().to_uppercase()));
            let kind_of = |c: &regex::Captures<'_>| {
                [
                    ("pod", NameKind::Pods),
                    ("host", NameKind::Hosts),
                    ("account", NameKind::Accounts),
                    ("address", NameKind::Addresses),
                ]
                .into_iter()
                .find(|(group, _)| c.name(group).is_some())
            };
            let mut here: Vec<(usize, NameKind, &str)> = Vec::new();
            for c in labelled.captures_iter(text) {
                if let (Some((_, kind)), Some(name)) = (kind_of(&c), c.name("name")) {
                    here.push((name.start(), kind, name.as_str().trim_end_matches(['.', '-', '_'])));
                }
            }
            for c in form.captures_iter(text) {
                if let Some((group, kind)) = kind_of(&c)
                    && let Some(name) = c.name(group)
                {
                    here.push((name.start(), kind, name.as_str()));
                }
            }
            here.sort_by_key(|(at, _, _)| *at);
            for (_, kind, name) in here {
                let kind = if is_address(name) { NameKind::Addresses } else { kind };
                let is_address_form = kind == NameKind::Addresses && !is_address(name);
                let is_package = ["com.", "org.", "net.", "io.", "java."].iter().any(|p| name.starts_with(p));
                if kinds.contains(&kind) && !is_address_form && !is_package && !is_common(name) && !keep.contains(name) {
                    found.push((kind, name));
                }
            }
        }
        let mut names: Vec<(String, String)> = Vec::new();
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for (kind, name) in found {
            if names.iter().any(|(known, _)| known == name) {
                continue;
            }
            let word = token_word(kind);
            let count = counts.entry(word).or_default();
            // A text may already have such words.
            let token = loop {
                *count += 1;
                let token = format!("{word}_{count}");
                if !taken.contains(&token) {
                    break token;
                }
            };
            names.push((name.to_owned(), token));
        }
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(names.iter().map(|(name, _)| name)).ok();
        Self { finder: finder.filter(|_| !names.is_empty()), names }
    }

    /// Whether it replaces nothing.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// How many names it replaces.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The text with the names replaced, where they are not part of a longer one.
    pub fn hide(&self, text: &str) -> String {
        let Some(finder) = &self.finder else { return text.to_owned() };
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let mut out = String::with_capacity(text.len());
        let mut copied = 0;
        for found in finder.find_iter(text) {
            let before = text.get(..found.start()).and_then(|t| t.chars().next_back());
            let after = text.get(found.end()..).and_then(|t| t.chars().next());
            let Some((_, token)) = self.names.get(found.pattern().as_usize()) else { continue };
            if is_part(before) || is_part(after) {
                continue;
            }
            out.push_str(text.get(copied..found.start()).unwrap_or(""));
            out.push_str(token);
            copied = found.end();
        }
        out.push_str(text.get(copied..).unwrap_or(""));
        out
    }

    /// The text with the names put back.
    pub fn restore(&self, text: &str) -> String {
        let Some(token) = TOKEN.as_ref().filter(|_| !self.is_empty()) else { return text.to_owned() };
        token
            .replace_all(text, |c: &regex::Captures<'_>| {
                let written = c.get(0).map_or("", |m| m.as_str());
                let plain = written.replace('\\', "").to_uppercase();
                self.names.iter().find(|(_, t)| *t == plain).map_or_else(|| written.to_owned(), |(name, _)| name.clone())
            })
            .into_owned()
    }

    /// Restores a text that arrives in pieces.
    pub fn restorer(&self) -> Restorer<'_> {
        Restorer { mask: self, held: String::new() }
    }
}

/// Puts names back in a stream. What may be the start of a token is held until it is complete.
pub struct Restorer<'a> {
    mask: &'a Mask,
    held: String,
}

impl Restorer<'_> {
    /// The text that is complete with this piece; may be empty.
    pub fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        if self.mask.is_empty() {
            return std::mem::take(&mut self.held);
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '\\');
        let complete = self.held.trim_end_matches(is_part).len();
        let rest = self.held.split_off(complete);
        self.mask.restore(&std::mem::replace(&mut self.held, rest))
    }

    /// What is left at the end.
    pub fn finish(&mut self) -> String {
        self.mask.restore(&std::mem::take(&mut self.held))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [NameKind; 4] = [NameKind::Hosts, NameKind::Pods, NameKind::Accounts, NameKind::Addresses];
    const TEXT: &str = "E4 latency {service=\"checkout\", instance=\"db-eu-3:9100\"} 10.4.7.21:5432 refused\n\
        pod checkout-7d9f8b6c5-x2x4z on ip-10-4-7-21, pg.prod.corp, arn:aws:iam::481902337745:role/x user=billing_ro\n\
        version 1.42.0 at 10:07:31, java.net.ConnectException, com.acme.Pool.get, host=checkout, db-eu-30 is fine";

    fn mask() -> Mask {
        Mask::of(&ALL, [TEXT].into_iter(), &BTreeSet::from(["checkout".to_owned()]))
    }

    #[test]
    fn hides_names_and_keeps_services_versions_and_times() {
        let hidden = mask().hide(TEXT);
        for name in ["db-eu-3:", "10.4.7.21", "ip-10-4", "x2x4z", "pg.prod", "481902337745", "billing_ro"] {
            assert!(!hidden.contains(name), "{name} is in {hidden}");
        }
        for kept in
            ["service=\"checkout\"", "host=checkout", "1.42.0", "10:07:31", "java.net", "com.acme.Pool", ":5432", "db-eu-30"]
        {
            assert!(hidden.contains(kept), "{kept} is not in {hidden}");
        }
        assert_eq!(mask().restore(&hidden), TEXT);
    }

    #[test]
    fn only_the_kinds_that_are_asked_for_are_hidden() {
        let mask = Mask::of(&[NameKind::Addresses], [TEXT].into_iter(), &BTreeSet::new());
        let hidden = mask.hide(TEXT);
        assert!(hidden.contains("ADDRESS_1:5432") && hidden.contains("db-eu-3:9100"), "{hidden}");
        assert!(Mask::of(&[], [TEXT].into_iter(), &BTreeSet::new()).is_empty());
    }

    #[test]
    fn a_text_that_has_such_words_gets_other_ones() {
        let text = "HOST_1 is a variable; host=db-eu-3";
        let mask = Mask::of(&ALL, [text].into_iter(), &BTreeSet::new());
        assert_eq!(mask.hide(text), "HOST_1 is a variable; host=HOST_2");
        assert_eq!(mask.restore("`HOST\\_2` and host_2, not HOST_1 or HOST_22"), "`db-eu-3` and db-eu-3, not HOST_1 or HOST_22");
    }

    proptest! {
        #[test]
        fn a_stream_is_restored_however_it_is_cut(cuts in proptest::collection::vec(0_usize..400, 0..12)) {
            let mask = mask();
            let hidden = mask.hide(TEXT);
            let mut places: Vec<usize> = cuts.into_iter().filter(|c| hidden.is_char_boundary(*c) && *c <= hidden.len()).collect();
            places.sort_unstable();
            let mut restorer = mask.restorer();
            let (mut out, mut at) = (String::new(), 0);
            for place in places.into_iter().chain([hidden.len()]) {
                out.push_str(&restorer.push(&hidden[at..place]));
                at = place;
            }
            out.push_str(&restorer.finish());
            prop_assert_eq!(out, TEXT);
        }
    }
}
