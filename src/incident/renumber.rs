//! Local ids give way to real ones: when what was written without the shared store is merged into it, every `INC-L1`, `EL2`,
//! `AL3` and every local entry number in a fact becomes the number that the store gave, also within texts.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fact::Fact;
use super::ids::LOCAL_SEQ;

/// Which local id became which number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renumbering {
    /// `EL2` → `E7`, as printed.
    pub ids: BTreeMap<String, String>,
    /// Local entry numbers → real ones.
    pub seqs: BTreeMap<u64, u64>,
}

impl Renumbering {
    /// The fact with every known local id replaced; unknown ones stay. Errors only if the fact cannot be written as JSON.
    pub fn fact(&self, fact: &Fact) -> Result<Fact, serde_json::Error> {
        if self.ids.is_empty() && self.seqs.is_empty() {
            return Ok(fact.clone());
        }
        let mut value = serde_json::to_value(fact)?;
        self.value(&mut value, "");
        serde_json::from_value(value)
    }

    fn value(&self, value: &mut Value, key: &str) {
        match value {
            Value::String(text) => {
                if let std::borrow::Cow::Owned(new) = local().replace_all(text, |c: &Captures<'_>| self.word(c)) {
                    *text = new;
                }
            }
            Value::Number(n) if key == "seq" => {
                if let Some(new) = n.as_u64().filter(|n| *n >= LOCAL_SEQ).and_then(|n| self.seqs.get(&n)) {
                    *value = Value::from(*new);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|v| self.value(v, key)),
            Value::Object(fields) => fields.iter_mut().for_each(|(k, v)| self.value(v, k)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn word(&self, found: &Captures<'_>) -> String {
        let word = found.get(0).map_or("", |m| m.as_str());
        if let Some(label) = word.strip_prefix("entry ") {
            let given = super::ids::parse_seq(label).and_then(|seq| self.seqs.get(&seq));
            return given.map_or_else(|| word.to_owned(), |n| format!("entry {n}"));
        }
        self.ids.get(word).cloned().unwrap_or_else(|| word.to_owned())
    }
}

fn local() -> &'static Regex {
    static REGEX: OnceLock<Regex> = OnceLock::new();
    REGEX.get_or_init(|| Regex::new(r"\b(?:INC-L|EL|AL|entry L)[0-9]{1,9}\b").unwrap_or_else(|e| unreachable!("{e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::{ActionId, EvidenceId, NoteKind};

    #[test]
    fn ids_in_fields_and_in_texts_become_real() {
        let map = Renumbering {
            ids: [("EL2", "E7"), ("AL1", "A4"), ("INC-L1", "INC-9")].map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
            seqs: [(LOCAL_SEQ + 3, 12)].into(),
        };
        let note =
            Fact::Note { text: "pool is full [EL2], AL1 waits; EL20 stays; see INC-L1".into(), note_kind: NoteKind::Observation };
        let Fact::Note { text, .. } = map.fact(&note).unwrap() else { panic!() };
        assert_eq!(text, "pool is full [E7], A4 waits; EL20 stays; see INC-9");
        let undone = Fact::Undone { seq: LOCAL_SEQ + 3, text: "entry L3 corrected".into() };
        assert_eq!(map.fact(&undone).unwrap(), Fact::Undone { seq: 12, text: "entry 12 corrected".into() });
        let done = Fact::ActionDone { id: ActionId::local(1), result: None };
        assert_eq!(map.fact(&done).unwrap(), Fact::ActionDone { id: ActionId(4), result: None });
        let corrected = Fact::Corrected { seq: LOCAL_SEQ + 3, text: "x".into(), reason: "y".into() };
        assert!(matches!(map.fact(&corrected).unwrap(), Fact::Corrected { seq: 12, .. }));
        assert_eq!("EL2".parse(), Ok(EvidenceId::local(2)));
    }
}
