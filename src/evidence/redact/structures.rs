//! Secrets whose name is at a distance from them: in the head of a table, in the columns of an INSERT, in a statement whose
//! parameters are logged behind it, in the question that a message answers.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::{checks, is_secret_value, names_secret};

/// The places of secrets in a text that a structure names; in order, without overlaps. Empty if there are none.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = tables(text);
    found.extend(inserted_values(text));
    found.extend(bound_parameters(text));
    found.extend(aligned_columns(text));
    found.extend(answers(text));
    found.sort_by_key(|range| (range.start, range.end));
    let mut end = 0;
    found.retain(|range| {
        let separate = range.start >= end;
        if separate {
            end = range.end;
        }
        separate
    });
    found
}

/// Part of a text with its place.
type Cell<'a> = (usize, &'a str);

/// A cell without the space and the quotes around it.
fn trimmed((at, cell): Cell<'_>) -> Cell<'_> {
    let left = cell.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
    (at + cell.len() - left.len(), left.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\')))
}

fn range_of((at, cell): Cell<'_>) -> Range<usize> {
    at..at + cell.len()
}

/// Splits a line at a delimiter outside quotes.
fn split(at: usize, line: &str, delimiter: char) -> Vec<Cell<'_>> {
    let mut cells = Vec::new();
    let (mut start, mut quote) = (0, None);
    for (i, c) in line.char_indices() {
        match quote {
            Some(q) if c == q => quote = None,
            None if matches!(c, '"' | '\'') && line.get(start..i).is_some_and(|cell| cell.trim().is_empty()) => quote = Some(c),
            None if c == delimiter => {
                cells.push((at + start, line.get(start..i).unwrap_or("")));
                start = i + c.len_utf8();
            }
            _ => {}
        }
    }
    cells.push((at + start, line.get(start..).unwrap_or("")));
    cells
}

/// The cells below a heading that names a secret, in CSV, TSV, Markdown and the tables of SQL shells.
fn tables(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for delimiter in [',', ';', '\t', '|'] {
        if !text.contains(delimiter) || !text.contains('\n') {
            continue;
        }
        // The columns that the last heading named, and how many it has.
        let mut heading: Option<(usize, Vec<usize>)> = None;
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let cells = split(at, line.trim_end_matches(['\n', '\r']), delimiter);
            at += line.len();
            if line.chars().all(|c| matches!(c, '-' | '+' | '|' | ':' | '=') || c.is_whitespace()) && line.contains('-') {
                continue;
            }
            match &heading {
                Some((count, columns)) if cells.len() == *count => {
                    let values = columns.iter().filter_map(|column| cells.get(*column)).map(|cell| trimmed(*cell));
                    found.extend(values.filter(|(_, v)| v.len() > 2 && is_secret_value(v)).map(range_of));
                }
                _ => {
                    let is_name = |cell: &str| cell.len() < 32 && !cell.contains(['=', ':', '(', '<', '{', '$', '@', '/']);
                    let names: Vec<&str> = cells.iter().map(|cell| trimmed(*cell).1).collect();
                    let columns: Vec<usize> = (0..names.len()).filter(|i| names.get(*i).is_some_and(|n| is_column(n))).collect();
                    heading = (names.len() > 1 && !columns.is_empty() && names.iter().all(|n| is_name(n)))
                        .then_some((names.len(), columns));
                }
            }
        }
    }
    found
}

/// Whether the name of a column names a secret: `password`, `Secret access key`.
fn is_column(name: &str) -> bool {
    let name = name.trim_matches(['[', ']', '`']).replace(' ', "_");
    names_secret(&name)
        || ["kennwort", "passwort", "pass", "pin", "cvv", "cvc", "psk"].iter().any(|w| name.eq_ignore_ascii_case(w))
}

/// The cells below a heading that names a secret where columns are aligned by spaces, as command-line tools print them.
fn aligned_columns(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    // Where the columns begin that the last heading named.
    let mut columns: Vec<usize> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let (start, row) = (at, line.trim_end());
        at += line.len();
        let begins_cell = |column: usize| row.get(..column).is_some_and(|b| b.is_empty() || b.ends_with("  "));
        let cell = |column: usize| row.get(column..).filter(|_| begins_cell(column)).and_then(|r| r.split_whitespace().next());
        let names: Vec<&str> = row.split("  ").map(str::trim).filter(|n| !n.is_empty()).collect();
        let is_heading = names.len() > 1
            && names.iter().all(|n| n.len() < 32 && !n.contains(|c: char| c.is_lowercase() || c.is_ascii_digit()));
        if is_heading {
            let starts = names.iter().filter(|n| is_column(n)).filter_map(|n| row.find(*n));
            columns = starts.collect();
        } else if row.is_empty() {
            columns.clear();
        }
        if !is_heading {
            let cells = columns.iter().filter_map(|column| Some((start + column, cell(*column)?)));
            found.extend(cells.filter(|(_, v)| v.len() > 5 && checks::is_distinctive(v)).map(range_of));
        }
    }
    found
}

/// The time and the name in front of a chat message.
static SPEAKER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^[ \t]*(?:\[[\d:. APM/-]{4,24}\][ \t]*|\d{1,2}:\d{2}(?::\d{2})?[ \t]+)?(?:<[\w. -]{1,24}>[ \t]+|[\w.-]{1,24}:[ \t]+|>[ \t]+)?").ok()
});
/// A message that asks for a password.
static ASKS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:password|passwd|passphrase|passcode|pass|pw|pwd|psk|pin|token|secret|api key|creds|credentials|kennwort|passwort|mot de passe|contraseña|senha|wachtwoord|hasło)\b").ok()
});
static IS_QUESTION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\?|\b(?:what'?s|what is|can you|could you|send|give|need|share|again|remind|was ist|wie ist|wie lautet|brauche|quel est|cuál es)\b").ok()
});
/// An answer that is a value alone, or with few words around it.
static ANSWER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)^(?:(?:it'?s|it is|it should be|should be|that'?s|try|use|here(?:'s| it is| you go)?|sure|yes|yep|ok|ja|oui|sí|claro)[ ,:.]*(?:it'?s |it is )?)?[`"'*]*(?P<v>[^\s`"'*]{4,64})[`"'*]*(?:[ ,.]+(?:now|again|please|thx|but|tell|for)\b.*)?$"#).ok()
});

/// The answers to messages that ask for a password, at most three messages later.
fn answers(text: &str) -> Vec<Range<usize>> {
    let (Some(speaker), Some(asks), Some(question), Some(answer)) =
        (SPEAKER.as_ref(), ASKS.as_ref(), IS_QUESTION.as_ref(), ANSWER.as_ref())
    else {
        return Vec::new();
    };
    let is_code = |v: &str| (4..=8).contains(&v.len()) && v.bytes().all(|b| b.is_ascii_digit());
    let (mut found, mut at, mut open, mut wants_code) = (Vec::new(), 0, 0, false);
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let line = line.trim_end();
        let lead = speaker.find(line).map_or(0, |m| m.end());
        let body = line.get(lead..).unwrap_or("");
        if asks.is_match(body) && question.is_match(body) {
            (open, wants_code) = (3, body.split(|c: char| !c.is_alphanumeric()).any(|word| word.eq_ignore_ascii_case("pin")));
        } else if open > 0 && !body.is_empty() {
            open -= 1;
            let value = answer
                .captures(body)
                .and_then(|c| c.name("v"))
                .filter(|v| checks::is_password(v.as_str()) || wants_code && is_code(v.as_str()));
            if let Some(value) = value {
                let end = value.as_str().trim_end_matches(['.', ',', '!', '?']).len();
                found.push(start + lead + value.start()..start + lead + value.start() + end);
                open = 0;
            }
        }
    }
    found
}

static INSERT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?is)\binsert\s+into\s+\S+\s*\((?P<columns>[^()]{1,600})\)\s*values\s*\((?P<values>.*)").ok());

/// The values of an INSERT whose columns name secrets.
fn inserted_values(text: &str) -> Vec<Range<usize>> {
    let Some(insert) = INSERT.as_ref() else { return Vec::new() };
    let mut found = Vec::new();
    for captures in insert.captures_iter(text) {
        let (Some(columns), Some(values)) = (captures.name("columns"), captures.name("values")) else { continue };
        let secret = secret_columns(columns.as_str());
        let width = columns.as_str().split(',').count();
        let cells = split(values.start(), values.as_str(), ',');
        for (row, first) in cells.iter().enumerate().step_by(width) {
            if row > 0 && !first.1.trim_start().starts_with('(') {
                break;
            }
            found.extend(secret.iter().filter_map(|i| cells.get(row + i)).filter_map(|cell| literal(*cell)).map(range_of));
        }
    }
    found
}

/// The literal in a cell of a list of values, if it can be a secret. The last cell of a row ends at the parenthesis.
fn literal((at, cell): Cell<'_>) -> Option<Cell<'_>> {
    let inner = cell.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
    let at = at + cell.len() - inner.len();
    let value = match inner.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        Some(quote) => (at + 1, inner.get(1..)?.split(quote).next()?),
        None => (at, inner.split([')', ';']).next()?.trim_end()),
    };
    (value.1.len() > 2 && is_secret_value(value.1)).then_some(value)
}

/// The positions of the columns that name secrets.
fn secret_columns(columns: &str) -> Vec<usize> {
    columns.split(',').enumerate().filter(|(_, c)| is_column(c.trim().trim_matches(['"', '`']))).map(|(i, _)| i).collect()
}

static PLACEHOLDER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)(?:(?P<column>[\w."`]+)\s*(?:=>|:=|=|<>|!=)\s*|[(,]\s*)(?:\$(?P<number>\d{1,3})|\?)"#).ok()
});
static PARAMETER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"\$(?P<a>\d{1,3}) = '(?P<v>[^']*)'|parameter [\[(](?P<b>\d{1,3})(?:\] as \[\w+\] -|:\w+\) <-) \[(?P<w>[^\]\r\n]*)\]",
    )
    .ok()
});
static LIST: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\[(?P<items>[^\[\]\r\n]{3,600})\]").ok());

/// The logged parameters of a statement that belong to columns which name secrets: `password = $2` with `$2 = '…'`,
/// `password = ?` with a list of values.
fn bound_parameters(text: &str) -> Vec<Range<usize>> {
    let (Some(placeholder), Some(parameter), Some(list)) = (PLACEHOLDER.as_ref(), PARAMETER.as_ref(), LIST.as_ref()) else {
        return Vec::new();
    };
    let inserted = INSERT.as_ref().and_then(|i| i.captures(text)).and_then(|c| c.name("columns"));
    let (mut numbers, mut count) = (Vec::new(), 0);
    for captures in placeholder.captures_iter(text) {
        count += 1;
        let number = captures.name("number").and_then(|n| n.as_str().parse().ok()).unwrap_or(count);
        if captures.name("column").is_some_and(|c| is_column(c.as_str().trim_matches(['"', '`']))) {
            numbers.push(number);
        }
    }
    if let Some(columns) = inserted {
        numbers.extend(secret_columns(columns.as_str()).into_iter().map(|i| i + 1));
    }
    if numbers.is_empty() || count == 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    for captures in parameter.captures_iter(text) {
        let number = captures.name("a").or(captures.name("b")).and_then(|n| n.as_str().parse::<usize>().ok());
        let value = captures.name("v").or(captures.name("w"));
        if let (Some(number), Some(value)) = (number, value)
            && numbers.contains(&number)
            && is_secret_value(value.as_str())
        {
            found.push(value.range());
        }
    }
    for captures in list.captures_iter(text) {
        let Some(items) = captures.name("items") else { continue };
        let cells = split(items.start(), items.as_str(), ',');
        if cells.len() == count {
            let values = numbers.iter().filter_map(|n| cells.get(n.saturating_sub(1))).map(|cell| trimmed(*cell));
            found.extend(values.filter(|(_, v)| v.len() > 2 && is_secret_value(v)).map(range_of));
        }
    }
    found
}
