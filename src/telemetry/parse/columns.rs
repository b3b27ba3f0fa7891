//! Rows of columns: logs whose columns a head names (`#Fields:` of the W3C, a first line of CSV or TSV), and CSV without a head, whose columns
//! show what they are.

use super::super::log::{Level, LogLine};
use super::{Context, access, fields, stamp};

/// The number of rows that a head, or what columns are, is judged by.
const MAX_ROWS: usize = 100;
/// The fewest columns of CSV without a head.
const MIN_COLUMNS: usize = 6;
/// The fewest columns that spaces divide, with a head that is no comment.
const MIN_SPACED: usize = 8;
/// The fewest columns of CSV with a head.
const MIN_NAMED: usize = 3;

/// The columns of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// In lower case.
    names: Vec<String>,
    delimiter: char,
    /// Whether comments begin with `#`.
    has_comments: bool,
    /// The head itself, to be left out; empty if it is a comment.
    head: String,
    /// The day of rows with a time of day only.
    day: Option<String>,
}

impl Columns {
    /// The names of the columns, in lower case; of columns without names, what they were found to be.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The columns of a stream by its first lines. `None` if it is no such log.
    pub(super) fn learn(lines: &[&str], context: Context) -> Option<Self> {
        Self::of_comments(lines).or_else(|| Self::of_head(lines, context)).or_else(|| Self::of_values(lines, context))
    }

    /// `#Fields: date time cs-method …` (W3C extended log) or `#fields<TAB>ts<TAB>uid …`.
    fn of_comments(lines: &[&str]) -> Option<Self> {
        let at = lines.iter().position(|l| l.get(..7).is_some_and(|head| head.eq_ignore_ascii_case("#fields")))?;
        let head = lines.get(at)?.get(7..)?.trim_start_matches(':');
        let row = lines.iter().skip(at).find(|l| !l.starts_with('#') && !l.trim().is_empty());
        let delimiter = if head.starts_with('\t') || row.is_some_and(|r| r.contains('\t')) { '\t' } else { ' ' };
        let names: Vec<String> = head.split_whitespace().map(str::to_lowercase).collect();
        let comment = |name: &str| {
            lines.iter().find_map(|l| l.strip_prefix('#')?.strip_prefix(name)?.strip_prefix(':').map(|day| day.trim().to_owned()))
        };
        let day = comment("Date").or_else(|| comment("Start-Date")).and_then(|day| day.get(..10).map(str::to_owned));
        (names.len() >= MIN_NAMED).then_some(Self { names, delimiter, has_comments: true, head: String::new(), day })
    }

    /// A first line that names the columns of the lines after it.
    fn of_head(lines: &[&str], context: Context) -> Option<Self> {
        let mut full = lines.iter().filter(|l| !l.trim().is_empty());
        let head = *full.next()?;
        let rows: Vec<&str> = full.take(MAX_ROWS).copied().collect();
        let is_name = |name: &str| {
            let name = name.trim().trim_matches('"');
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.len() <= 40
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-. ()/#".contains(&b))
        };
        let delimiter = [',', '\t', ';', '|', ' '].into_iter().find(|d| {
            let count = head.split(*d).count();
            // Words of a sentence are names as well, so that columns of spaces have to be many.
            if *d == ' ' && count < MIN_SPACED {
                return false;
            }
            let has_all = rows.iter().filter(|r| split(r, *d).len() == count).count() * 10 >= rows.len() * 8;
            count >= MIN_NAMED && head.split(*d).all(is_name) && !rows.is_empty() && has_all
        })?;
        let names: Vec<String> = head.split(delimiter).map(|n| n.trim().trim_matches('"').to_lowercase()).collect();
        let columns = Self { names, delimiter, has_comments: false, head: head.to_owned(), day: None };
        // A head over something else than a log has no time below it.
        rows.first().and_then(|row| columns.row(row, context)).filter(|line| line.at.is_some()).map(|_| columns)
    }

    /// CSV without a head: the first column is a time, one column has only levels, and the longest text after it is the message.
    fn of_values(lines: &[&str], context: Context) -> Option<Self> {
        let rows: Vec<Vec<String>> = lines.iter().take(MAX_ROWS).map(|l| split(l, ',')).collect();
        let count = rows.first()?.len();
        let whole: Vec<&Vec<String>> = rows.iter().filter(|r| r.len() == count).collect();
        let is_timed = |row: &&&Vec<String>| {
            row.first().is_some_and(|c| stamp::at_start(c, context).is_some_and(|(_, used)| used + 1 >= c.trim_end().len()))
        };
        if count < MIN_COLUMNS || whole.iter().filter(is_timed).count() * 10 < whole.len() * 9 || whole.len() * 2 < rows.len() {
            return None;
        }
        let is_level = |column: usize| {
            whole.iter().all(|r| {
                r.get(column)
                    .is_some_and(|c| c.len() > 2 && c.bytes().all(|b| b.is_ascii_uppercase()) && Level::from_word(c).is_some())
            })
        };
        let level = (1..count).find(|n| is_level(*n))?;
        let length = |column: usize| whole.iter().filter_map(|r| r.get(column)).map(String::len).sum::<usize>();
        let message = (level + 1..count).max_by_key(|n| (length(*n), count - n))?;
        let name = |n: usize| match n {
            0 => "time".to_owned(),
            n if n == level => "level".to_owned(),
            n if n == message => "message".to_owned(),
            n => format!("column_{}", n + 1),
        };
        Some(Self { names: (0..count).map(name).collect(), delimiter: ',', has_comments: false, head: String::new(), day: None })
    }

    /// Whether a line is the head or a comment, and so no row.
    pub fn is_head(&self, line: &str) -> bool {
        self.has_comments && line.starts_with('#') || !self.head.is_empty() && line == self.head
    }

    /// Whether quotes are open at the end of a text, so that its row goes on in the next line.
    pub(super) fn is_open(&self, text: &str) -> bool {
        self.delimiter == ',' && text.bytes().filter(|b| *b == b'"').count() % 2 == 1
    }

    /// A row as a line. `None` if it does not have the columns.
    pub fn row(&self, raw: &str, context: Context) -> Option<LogLine> {
        let values = split(raw, self.delimiter);
        let most = self.names.len();
        if values.len() + 1 < most || values.len() > most + 1 {
            return None;
        }
        let mut pairs: Vec<(String, String)> =
            self.names.iter().cloned().zip(values).filter(|(_, v)| !v.is_empty() && v != "-").collect();
        let value = |pairs: &[(String, String)], name: &str| pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let clock = value(&pairs, "time").filter(|t| t.len() <= 16 && t.contains(':') && !t.contains('-'));
        if let (Some(day), Some(clock)) = (value(&pairs, "date").or_else(|| self.day.clone()), clock) {
            pairs.retain(|(n, _)| n != "time" && n != "date");
            // W3C logs are in UTC; other columns are in the zone of the stream.
            let zone = if self.has_comments { "Z" } else { "" };
            pairs.insert(0, ("time".to_owned(), format!("{day} {clock}{zone}")));
        }
        let any = |names: &[&str]| names.iter().find_map(|name| value(&pairs, name));
        let request = any(&["cs-method", "method"]).zip(any(&["cs-uri-stem", "cs-uri", "uri", "path"]));
        let status = any(&["sc-status", "status", "status_code"]).and_then(|s| s.parse::<u16>().ok());
        if let Some((method, uri)) = &request
            && value(&pairs, "message").is_none()
        {
            pairs.push(("message".to_owned(), format!("{method} {uri}")));
        }
        let mut line = fields::assemble(pairs, context);
        if let (Some(_), Some(status)) = (request, status) {
            line.level = line.level.or_else(|| access::level_of_status(status));
        }
        Some(line)
    }
}

/// The values of a row. A value in double quotes may have the delimiter in it, and two quotes for one.
fn split(row: &str, delimiter: char) -> Vec<String> {
    let mut out = Vec::new();
    let mut value = String::new();
    let mut quoted = false;
    let mut letters = row.trim_end_matches(['\r', '\n']).chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            '"' if quoted && letters.peek() == Some(&'"') => {
                value.push('"');
                letters.next();
            }
            '"' if quoted || value.is_empty() => quoted = !quoted,
            c if c == delimiter && !quoted => out.push(std::mem::take(&mut value)),
            c => value.push(c),
        }
    }
    out.push(value);
    // Columns of spaces may be aligned with several.
    if delimiter == ' ' {
        out.retain(|value| !value.is_empty());
    }
    out
}
