//! Whose figures they are: each series, alert and log pattern of an item is about something that its labels name, and a claim
//! must not give its figures to another one.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::Fault;
use super::facts::{Facts, rounds_to};
use super::quantities::Quantity;
use super::said::Said;
use super::words::pattern;
use crate::incident::ClaimKind;

/// A series, an alert, a pattern or a line of a log, with what its labels name.
pub(super) struct Row {
    /// The values of its labels, in lower case.
    names: BTreeSet<String>,
    /// Where it is in the text of the item.
    at: Range<usize>,
}

/// The values of labels in the text of an item.
static LABEL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"(?:service|job|pod|app|container|deployment|group|topic|instance|host|node|namespace|cluster)="?(?P<v>[\w.-]+)"#)
});
/// The service of a line of a log or a pattern: `error [checkout] first …`.
static SERVICE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:\S+ ){1,6}?\[(?P<v>[\w.-]+)\] "));

/// The values of the labels in a text, in lower case.
pub(super) fn labels(text: &str) -> BTreeSet<String> {
    LABEL.captures_iter(text).filter_map(|c| Some(c.name("v")?.as_str().to_lowercase())).collect()
}

/// The rows of an item. Indented lines belong to the row before them.
pub(super) fn rows(text: &str) -> Vec<Row> {
    let mut out: Vec<Row> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let range = at..at + line.len();
        at = range.end;
        if line.starts_with(' ') {
            if let Some(last) = out.last_mut().filter(|last| last.at.end == range.start) {
                last.at.end = range.end;
            }
            continue;
        }
        let mut names = if line.starts_with("query:") { BTreeSet::new() } else { labels(line) };
        names.extend(SERVICE.captures(line).and_then(|c| c.name("v")).map(|m| m.as_str().to_lowercase()));
        if !names.is_empty() {
            out.push(Row { names, at: range });
        }
    }
    out
}

/// Where another thing may begin.
static BREATH: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"[,;:(]|\b(?:and|but|while|whereas|with|than|after|before|when|as)\b"));

/// A fault if all rows that have a figure of the statement are about something else than all that it names.
pub(super) fn wrong_row(said: &Said<'_>, items: &[&Facts]) -> Option<Fault> {
    let lower = said.text.to_lowercase();
    let names: BTreeSet<&str> =
        items.iter().flat_map(|i| i.rows.iter()).flat_map(|r| r.names.iter().map(String::as_str)).collect();
    let named: BTreeSet<&str> = names.into_iter().filter(|name| is_in(&lower, name)).collect();
    if named.is_empty() {
        return None;
    }
    // Small round figures occur anywhere.
    let is_distinct = |q: &&Quantity| q.decimals > 0 || q.value >= 10.0 && q.zeros < 2;
    said.quantities.iter().filter(is_distinct).find_map(|figure| {
        // What a figure belongs to is named before it, or behind it in the same breath.
        let mut before = said.before(figure.at.start).to_lowercase();
        if figure.decimals == 0 && figure.value < 100.0 {
            let begins = BREATH.find_iter(&before).last().map_or(0, |m| m.end());
            before.drain(..begins);
        }
        let behind = said.behind(figure.at.end).to_lowercase();
        let breath = BREATH.find(&behind).map_or(behind.as_str(), |m| behind.get(..m.start()).unwrap_or(""));
        if !named.iter().any(|name| is_in(&before, name) || is_in(breath, name)) {
            return None;
        }
        let mut found: Vec<&Row> = Vec::new();
        for item in items {
            for known in item.quantities.iter().filter(|k| rounds_to(k.value, figure)) {
                // A figure outside of the rows may be about anything.
                found.push(item.rows.iter().find(|row| row.at.contains(&known.at.start))?);
            }
        }
        let is_other = |row: &&Row| !row.names.iter().any(|name| named.contains(name.as_str()) || is_in(&lower, name));
        if found.is_empty() || !found.iter().all(is_other) {
            return None;
        }
        let of: Vec<&str> = found.first()?.names.iter().map(String::as_str).collect();
        let reason = format!("The cited evidence has {} for {}.", said.written(&figure.at), of.join(", "));
        Some(Fault::new(ClaimKind::Subject, reason))
    })
}

/// Whether a text has a name as a whole word.
fn is_in(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let behind = text.get(at + name.len()..).and_then(|t| t.chars().next());
        !before.is_some_and(is_part) && !behind.is_some_and(is_part)
    })
}
