//! Reading JSON of servers that do not keep to their own description: `null` where a list or a map belongs is empty, and one item
//! that cannot be read costs itself only.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::telemetry::words::count;
use crate::telemetry::{Labels, clean};

/// The default value for `null`.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Labels: a `null` value counts as missing, numbers and booleans as their text.
pub(super) fn labels<'de, D: Deserializer<'de>>(from: D) -> Result<Labels, D::Error> {
    let raw: Option<std::collections::BTreeMap<String, Value>> = Option::deserialize(from)?;
    let text = |value: Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    Ok(raw.unwrap_or_default().into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect())
}

/// A list whose items are read one by one.
#[derive(Clone, Debug)]
pub(super) struct Items<T> {
    pub items: Vec<T>,
    /// Why items could not be read, one text for each.
    pub unreadable: Vec<String>,
}

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self { items: Vec::new(), unreadable: Vec::new() }
    }
}

impl<T> Items<T> {
    /// What to tell the user about the items that could not be read; `None` if all could. `noun` is the singular.
    pub(super) fn gap(&self, noun: &str) -> Option<String> {
        let first = self.unreadable.first()?;
        let total = self.items.len() + self.unreadable.len();
        Some(format!("{} of {} could not be read: {}", self.unreadable.len(), count(total, noun), clean::truncate(first, 160)))
    }
}

impl<'de, T: serde::de::DeserializeOwned> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut out = Self::default();
        for value in Option::<Vec<Value>>::deserialize(from)?.unwrap_or_default() {
            match serde_path_to_error::deserialize::<_, T>(value) {
                Ok(item) => out.items.push(item),
                Err(e) => out.unreadable.push(clean::line(&format!("at {}: {}", e.path(), e.inner()))),
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Item {
        #[serde(default, deserialize_with = "labels")]
        labels: Labels,
        #[serde(default, deserialize_with = "or_default")]
        list: Vec<u8>,
    }

    #[test]
    fn an_odd_item_costs_itself_only() {
        let text = r#"[{"labels": {"a": "b", "n": 1, "none": null}, "list": null}, {"labels": null}, {"list": "x"}, null]"#;
        let read: Items<Item> = serde_json::from_str(text).unwrap();
        let labels: Vec<String> = read.items.iter().map(|i| format!("{:?} {:?}", i.labels, i.list)).collect();
        assert_eq!(labels, [r#"{"a": "b", "n": "1"} []"#, "{} []"]);
        let gap = read.gap("alert").unwrap();
        assert!(gap.starts_with("2 of 4 alerts could not be read: at list: invalid type: string \"x\""), "{gap}");
        let none: Items<Item> = serde_json::from_str("null").unwrap();
        assert!(none.items.is_empty() && none.gap("alert").is_none());
    }
}
