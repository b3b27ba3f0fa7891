//! The fields of log lines: which of them have a column, and filtering by the value of one.

use std::collections::BTreeMap;

use super::super::action::Action;
use super::super::filter::Filter;
use super::super::model::Model;
use super::super::msg::Effect;
use super::super::overlay::{Next, Row};
use super::common::{choose, say, say_key};
use super::logs::selected_pattern;
use crate::app::logs::{DEFAULT_COLUMNS, column_value, line_matches};
use crate::app::room::pattern_text;
use crate::telemetry::words::count;
use crate::telemetry::{LogLine, clean};

/// The longest value that is shown in a row of a list.
const MAX_VALUE: usize = 60;

/// The fields of the lines that are loaded, without those of [`DEFAULT_COLUMNS`]: in how many lines each is, and one value of it.
fn known_fields(model: &Model) -> BTreeMap<&str, (usize, &str)> {
    let mut known: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for (name, value) in model.logs.lines().flat_map(|l| &l.fields) {
        let (lines, example) = known.entry(name).or_default();
        (*lines, *example) = (*lines + 1, value);
    }
    known.retain(|name, _| !DEFAULT_COLUMNS.contains(name));
    known
}

/// Lists what can be a column of the log lines: the usual columns, then the fields of the lines, the most frequent first.
pub(super) fn choose_columns(model: &mut Model) -> Vec<Effect> {
    list_columns(model, "")
}

/// Lists the columns, with this one selected. A row stays where it is when it is chosen, so that its digit stays too.
fn list_columns(model: &mut Model, selected: &str) -> Vec<Effect> {
    if selected_pattern(model).is_some() {
        return say_key(model, "Columns are for log lines. Press {} to show them.", Action::LogView);
    }
    let known = known_fields(model);
    let mut fields: Vec<&str> = known.keys().copied().collect();
    fields.sort_by_key(|name| std::cmp::Reverse(known.get(name).map_or(0, |k| k.0)));
    let mut names: Vec<&str> = DEFAULT_COLUMNS.into_iter().chain(fields).collect();
    let others: Vec<&str> = model.logs.columns.iter().map(String::as_str).filter(|c| !names.contains(c)).collect();
    names.extend(others);
    let row = |name: &&str| {
        let mark = if model.logs.columns.iter().any(|c| c == name) { "[x]" } else { "[ ]" };
        let detail = match known.get(name) {
            Some((lines, example)) => format!("in {}: {}", count(*lines, "line"), clean::truncate(example, MAX_VALUE)),
            None if DEFAULT_COLUMNS.contains(name) => String::new(),
            None => "in none of these lines".to_owned(),
        };
        Row::new(format!("{mark} {name}"), detail, Next::Column((*name).to_owned()))
    };
    let place = names.iter().position(|name| *name == selected).unwrap_or(0);
    let rows = names.iter().map(row).collect();
    choose(model, "Columns of the log lines", rows, place)
}

/// Adds a column at the end, or removes it. The list stays open.
pub(super) fn toggle_column(model: &mut Model, name: &str) -> Vec<Effect> {
    let columns = &mut model.logs.columns;
    let before = columns.len();
    columns.retain(|c| c != name);
    if columns.len() == before {
        columns.push(name.to_owned());
    }
    list_columns(model, name)
}

/// Lists the fields of the selected line or pattern with their values. Choosing one adds it to the filter.
pub(super) fn filter_by_field(model: &mut Model) -> Vec<Effect> {
    let fields: Vec<(String, String)> = match (selected_pattern(model), model.logs.current()) {
        (Some((_, p)), _) => {
            let level = p.level.map(|l| ("level".to_owned(), l.word().to_owned()));
            let services = p.services.iter().map(|s| ("service".to_owned(), s.clone()));
            let facets = p.facets.iter().flat_map(|(name, values)| values.iter().map(|(v, _)| (name.clone(), v.clone())));
            level.into_iter().chain(services).chain(facets).collect()
        }
        (None, Some(line)) => {
            let named = ["level", "service"].map(|name| Some((name.to_owned(), column_value(line, name)?)));
            let named: Vec<(String, String)> = named.into_iter().flatten().collect();
            let others = line.fields.iter().map(|(name, value)| (name.clone(), value.clone()));
            let others: Vec<(String, String)> = others.filter(|field| !named.contains(field)).collect();
            named.into_iter().chain(others).collect()
        }
        (None, None) => return say(model, "No log lines yet."),
    };
    // A value that cannot be written as a term is not offered.
    let finds = |(name, value): &(String, String)| {
        let filter = Filter::new(&Filter::field_term(name, value));
        match (selected_pattern(model), model.logs.current()) {
            (Some((_, p)), _) => filter.matches_with(&pattern_text(p), p),
            (None, Some(line)) => line_matches(&filter, line),
            (None, None) => false,
        }
    };
    let fields: Vec<(String, String)> = fields.into_iter().filter(finds).collect();
    if fields.is_empty() {
        return say(model, "This line has no fields.");
    }
    let has = |name: &str, value: &str| {
        let has_it = |l: &&LogLine| column_value(l, name).is_some_and(|v| v == value);
        model.logs.lines().filter(has_it).count()
    };
    let is_line = selected_pattern(model).is_none();
    let row = |(name, value): &(String, String), not: &str| {
        let term = format!("{not}{}", Filter::field_term(name, value));
        let detail =
            if is_line && not.is_empty() { format!("in {}", count(has(name, value), "loaded line")) } else { String::new() };
        Row::new(clean::truncate(&term, MAX_VALUE), detail, Next::FilterTerm(term))
    };
    let rows = fields.iter().map(|f| row(f, "")).chain(fields.iter().map(|f| row(f, "!"))).collect();
    choose(model, "Show only lines with", rows, 0)
}

/// Adds a term to the filter of the Logs tab, and keeps the whole for recalling.
pub(super) fn add_filter_term(model: &mut Model, term: &str) -> Vec<Effect> {
    let filter = format!("{} {term}", model.logs.filter).trim().to_owned();
    model.logs.filters.push(&filter);
    model.logs.filter = filter;
    model.logs.reselect();
    say_key(model, "The filter is set. {} clears it.", Action::Back)
}
