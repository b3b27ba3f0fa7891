//! Whether the evidence that a claim cites is about the same subject.
//!
//! A claim and an item share words, names and figures. Words that most items have say little, so each counts by how few items
//! have it. If an item that is not cited shares much more with a claim than those that are, the citation is wrong.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Fault;
use super::words::{Words, words};
use crate::incident::{ClaimKind, EvidenceId};

/// The terms of all items that were shown.
pub(super) struct Subjects {
    ids: Vec<EvidenceId>,
    terms: HashMap<String, Term>,
}

/// A term of the items.
struct Term {
    /// More for fewer items.
    weight: f64,
    /// The items that have it, as places in the list of ids.
    items: Vec<usize>,
}

/// Words that say nothing about the subject.
static COMMON: Words = words!(
    "about above according after again against all almost already also although among and another any are around because been before began behind being below between both but came can cause caused could did does down due during each either even ever every few first following for from further gone had has have having her his how however into its itself just last later least less like likely many may mean meant might more most much near nearly never next none nor not now off once one only onto other others our out over own per point pointed points possible previously rather same saw say see seen several shortly show showed shown shows since single some soon still such than that the their them then there therefore these they this those through thus time times together too took toward under until upon used very via was well went were what when where whether which while who whole whose why will with within without would yet you your incident evidence utc"
);

/// Whether a word says nothing about the subject.
pub(super) fn is_common(word: &str) -> bool {
    COMMON.has(&word.to_lowercase())
}

/// The terms of a text: words by their stem, parts of names, and figures of at least two digits.
pub(super) fn terms(text: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for word in text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '.' | ',' | ':' | '%')) {
        let word = word.trim_matches(['.', ',', ':', '%']);
        if word.chars().any(|c| c.is_ascii_digit()) {
            let plain = word.replace(',', "");
            // A time counts to the minute.
            let plain = plain.get(..5).filter(|p| p.as_bytes().get(2) == Some(&b':')).unwrap_or(&plain);
            if plain.chars().filter(char::is_ascii_digit).count() >= 2 {
                out.insert(plain.to_lowercase());
            }
            if !word.chars().any(char::is_alphabetic) {
                continue;
            }
        }
        for part in word.split(['.', ',', ':']) {
            for piece in camel(part) {
                let lower = piece.to_lowercase();
                if (lower.chars().count() >= 3 || lower == "db") && !COMMON.has(&lower) {
                    out.insert(if lower == "database" { "db".to_owned() } else { stem(&lower) });
                }
            }
        }
    }
    out
}

/// The parts of a name in camel case, and the name itself.
fn camel(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut from, mut before) = (0, '\0');
    for (at, c) in word.char_indices() {
        if c.is_uppercase() && before.is_lowercase() {
            parts.extend(word.get(from..at));
            from = at;
        }
        before = c;
    }
    parts.extend(word.get(from..));
    parts
}

/// The stem of an English word: without the endings of number and tense.
pub(super) fn stem(word: &str) -> String {
    let endings = ["ations", "ation", "ings", "ing", "ies", "ied", "ers", "ed", "es", "er", "s", "y"];
    let cut = endings.iter().find_map(|e| word.strip_suffix(e).filter(|rest| rest.chars().count() >= 3));
    let stem = cut.unwrap_or(word).trim_end_matches('e');
    stem.to_owned()
}

impl Subjects {
    pub(super) fn new(shown: &BTreeMap<EvidenceId, String>) -> Self {
        let mut items: HashMap<String, Vec<usize>> = HashMap::new();
        for (n, text) in shown.values().enumerate() {
            for term in terms(text) {
                items.entry(term).or_default().push(n);
            }
        }
        let weight = |with: usize| ((shown.len() + 1) as f64 / (with as f64 + 0.5)).ln().max(0.0);
        let terms = items.into_iter().map(|(term, items)| (term, Term { weight: weight(items.len()), items }));
        Self { ids: shown.keys().copied().collect(), terms: terms.collect() }
    }

    /// A fault if another item fits a statement much better than all that it cites.
    /// `has_figures`: the statement has figures or times, and what it cites has them, too.
    pub(super) fn mismatch(&self, statement: &str, cited: &[EvidenceId], has_figures: bool) -> Option<Fault> {
        let is_cited: Vec<bool> = self.ids.iter().map(|id| cited.contains(id)).collect();
        let shared: Vec<&Term> = terms(statement).iter().filter_map(|t| self.terms.get(t)).collect();
        let has_cited = |t: &Term| t.items.iter().any(|n| is_cited.get(*n) == Some(&true));
        let mut scores = vec![0.0; self.ids.len()];
        let mut mine = 0.0;
        for term in &shared {
            for n in &term.items {
                if let Some(score) = scores.get_mut(*n) {
                    *score += term.weight;
                }
            }
            mine += if has_cited(term) { term.weight } else { 0.0 };
        }
        let others = scores.iter().enumerate().filter(|(n, _)| is_cited.get(*n) == Some(&false));
        let (best, score) = others.max_by(|a, b| a.1.total_cmp(b.1))?;
        // Two words for one thing must not decide it, so what is cited may share much less.
        let clear = *score >= 1.2 && mine < score * if has_figures { 0.2 } else { 0.3 };
        let only_there = shared.iter().filter(|t| t.weight >= 0.7 && t.items.contains(&best) && !has_cited(t)).count();
        let best = self.ids.get(best).filter(|_| clear && only_there >= 2)?;
        let names: Vec<String> = cited.iter().map(ToString::to_string).collect();
        Some(Fault::new(ClaimKind::Subject, format!("{} is about something else; {best} fits much better.", names.join(", "))))
    }
}
