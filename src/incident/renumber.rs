//! Replacement of local ids by final ones. When entries written without the shared store are merged into it, every `INC-L1`,
//! `EL2`, `AL3` and local entry number in a fact is replaced by the number that the store assigned, including inside texts.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fact::Fact;
use super::ids::LOCAL_SEQ;

/// The mapping from local ids and entry numbers to final ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renumbering {
    /// Local ids to final ids, as printed: `EL2` → `E7`.
    pub ids: BTreeMap<String, String>,
    /// Local entry numbers to final ones.
    pub seqs: BTreeMap<u64, u64>,
}

impl Renumbering {
    /// Returns `fact` with every local id in the mapping replaced. Other ids stay. Fails only if the fact cannot be converted to
    /// JSON and back.
    pub fn apply(&self, fact: &Fact) -> Result<Fact, serde_json::Error> {
        if self.ids.is_empty() && self.seqs.is_empty() {
            return Ok(fact.clone());
        }
        let mut value = serde_json::to_value(fact)?;
        self.renumber_value(&mut value, "");
        let mut renumbered = serde_json::from_value(value)?;
        if let (Fact::AiRun { answer: old }, Fact::AiRun { answer: new }) = (fact, &mut renumbered) {
            for claim in &mut new.claims {
                claim.start = self.moved(&old.answer, claim.start);
                claim.end = self.moved(&old.answer, claim.end);
            }
        }
        Ok(renumbered)
    }

    /// Where a place in a text is after its ids were replaced, which may be longer or shorter.
    fn moved(&self, text: &str, place: usize) -> usize {
        let before = local_ids().captures_iter(text).filter(|c| c.get(0).is_some_and(|m| m.end() <= place));
        before.fold(place, |at, c| (at + self.final_id(&c).len()).saturating_sub(c.get(0).map_or(0, |m| m.len())))
    }

    fn renumber_value(&self, value: &mut Value, key: &str) {
        match value {
            Value::String(text) => {
                if let std::borrow::Cow::Owned(new) = local_ids().replace_all(text, |c: &Captures<'_>| self.final_id(c)) {
                    *text = new;
                }
            }
            Value::Number(n) if key == "seq" => {
                if let Some(new) = n.as_u64().filter(|n| *n >= LOCAL_SEQ).and_then(|n| self.seqs.get(&n)) {
                    *value = Value::from(*new);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|v| self.renumber_value(v, key)),
            Value::Object(fields) => fields.iter_mut().for_each(|(k, v)| self.renumber_value(v, k)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn final_id(&self, found: &Captures<'_>) -> String {
        let word = found.get(0).map_or("", |m| m.as_str());
        if let Some(label) = word.strip_prefix("entry ") {
            let number = super::ids::parse_seq(label).and_then(|seq| self.seqs.get(&seq));
            return number.map_or_else(|| word.to_owned(), |n| format!("entry {n}"));
        }
        self.ids.get(word).cloned().unwrap_or_else(|| word.to_owned())
    }
}

fn local_ids() -> &'static Regex {
    static REGEX: OnceLock<Regex> = OnceLock::new();
    REGEX.get_or_init(|| Regex::new(r"\b(?:INC-L|EL|AL|entry L)[0-9]{1,9}\b").unwrap_or_else(|e| unreachable!("{e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::{ActionId, Claim, ClaimState, EvidenceId, NoteKind};

    #[test]
    fn replaces_local_ids_in_fields_and_texts() {
        let map = Renumbering {
            ids: [("EL2", "E7"), ("AL1", "A4"), ("INC-L1", "INC-9")].map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
            seqs: [(LOCAL_SEQ + 3, 12)].into(),
        };
        let note =
            Fact::Note { text: "pool is full [EL2], AL1 waits; EL20 stays; see INC-L1".into(), note_kind: NoteKind::Observation };
        let Fact::Note { text, .. } = map.apply(&note).unwrap() else { panic!() };
        assert_eq!(text, "pool is full [E7], A4 waits; EL20 stays; see INC-9");
        let undone = Fact::Undone { seq: LOCAL_SEQ + 3, text: "entry L3 corrected".into(), is_redo: false };
        assert_eq!(map.apply(&undone).unwrap(), Fact::Undone { seq: 12, text: "entry 12 corrected".into(), is_redo: false });
        let done = Fact::ActionDone { id: ActionId::local(1), result: None };
        assert_eq!(map.apply(&done).unwrap(), Fact::ActionDone { id: ActionId(4), result: None });
        let corrected = Fact::Corrected { seq: LOCAL_SEQ + 3, text: "x".into(), reason: "y".into() };
        assert!(matches!(map.apply(&corrected).unwrap(), Fact::Corrected { seq: 12, .. }));
        let edited = Fact::MitigationProposed {
            text: "x".into(),
            risk: crate::incident::Risk::Low,
            undo: None,
            verify: None,
            exception: None,
            origin: None,
            seq: Some(LOCAL_SEQ + 3),
        };
        assert!(matches!(map.apply(&edited).unwrap(), Fact::MitigationProposed { seq: Some(12), .. }));
        let decided = Fact::ProposalDecided {
            seq: LOCAL_SEQ + 3,
            what: "hypothesis".into(),
            text: "the pool is full [EL2]".into(),
            model: "m".into(),
            is_accepted: true,
            reason: None,
        };
        let Fact::ProposalDecided { seq: 12, text, .. } = map.apply(&decided).unwrap() else { panic!() };
        assert_eq!(text, "the pool is full [E7]");
        let turn = crate::incident::answer::Turn {
            thread: "main".into(),
            follows: Some(crate::incident::answer::EntryRef { seq: LOCAL_SEQ + 3 }),
            carried: None,
            panel: None,
        };
        let answer = crate::incident::conversation::tests::answer("main", None);
        let ran = Fact::AiRun { answer: crate::incident::Answer { turn: Some(Box::new(turn)), ..answer } };
        let Fact::AiRun { answer } = map.apply(&ran).unwrap() else { panic!() };
        assert_eq!(answer.turn.and_then(|t| t.follows).map(|f| f.seq), Some(12));
        // The places of claims follow the text.
        let text = "First [EL2]. The pool is full [EL2]. Last.";
        let claim = |of: &str| {
            let start = text.find(of).unwrap();
            Claim { start, end: start + of.len(), ..Claim::new(of, ClaimState::Supported) }
        };
        let claims = vec![claim("The pool is full [EL2]."), claim("Last.")];
        let answer = crate::incident::conversation::tests::answer("main", None);
        let ran = Fact::AiRun { answer: crate::incident::Answer { answer: text.into(), claims, ..answer } };
        let Fact::AiRun { answer } = map.apply(&ran).unwrap() else { panic!() };
        let marked: Vec<&str> = answer.claims.iter().map(|c| &answer.answer[c.start..c.end]).collect();
        assert_eq!(marked, ["The pool is full [E7].", "Last."]);
        assert_eq!("EL2".parse(), Ok(EvidenceId::local(2)));
    }
}
