//! Variables in blocks: `$name` or `${name}`.
//!
//! A value from outside, such as a label of an alert, never becomes syntax. In a query it is escaped within a string, and
//! elsewhere it must be a plain word. In a URL it is percent-encoded. In a shell script it is never inserted at all: the script gets
//! it as an environment variable, whose value the shell does not parse, and uses outside of quotes are quoted.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use super::BlockKind;
use crate::telemetry::Labels;

/// Variables that every playbook has, and what they are.
pub const BUILT_IN: [(&str, &str); 5] = [
    ("incident", "the ID of the incident"),
    ("title", "the title of the incident"),
    ("severity", "the severity of the incident"),
    ("service", "the service that the incident is about"),
    ("since", "when the impact began, in RFC 3339"),
];

/// The values of variables by name.
pub type Values = BTreeMap<String, String>;

/// `$name` or `${name}`: lower-case letters, digits and underscores, so that the environment of the user keeps its names.
static VARIABLE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\$(?:\{([a-z][a-z0-9_]*)\}|([a-z][a-z0-9_]*))").ok());
/// What a shell computes from a variable: `${#name}`, `${name:-default}`, `${name%suffix}`.
static EXPANSION: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\$\{(?:(#)([a-z][a-z0-9_]*)|([a-z][a-z0-9_]*)[^a-z0-9_}][^}]*)\}").ok());
/// Characters that mean nothing to a query language or a shell.
static PLAIN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[A-Za-z0-9_./:@%+,=-]*$").ok());
/// A program that parses its arguments as commands, where a command begins; or anywhere an interpreter with the option that does so.
static PARSES_ARGUMENTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?x)
        (^ | [;&|(`\n] | \b(then|do|else|exec|env|nohup|time) \s | \bsudo (\s+-\S+(\s+[^-\s]\S*)?)* \s | \b\w+=\S*\s)
        \s* ([^\s;&|(]*/)?
        (eval|ssh|awk|gawk|mawk|sed|xargs|parallel|watch|sqlite3|env\s+-S) (\s|$)
        | (^|[\s;&|(`"']) ([^\s;&|(]*/)?
        ([^\s;&|(]*sh|su|doas|psql|mysql|mariadb|mongo|perl|python[0-9.]*|ruby|node|php|lua) \s ([^;&|]*\s)?
        (-\w*[cer] | --(command|execute|eval))"#,
    )
    .ok()
});
/// A program behind a pipe that parses its input as commands.
static PARSES_INPUT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?x) \| .* [\s/|]
        (sh|ash|bash|dash|zsh|ksh|fish|ssh|psql|mysql|mariadb|sqlite3|mongo|mongosh|redis-cli|perl|python[0-9.]*|ruby|node|php|lua
        |xargs|parallel|at|batch)
        ($|[\s;&|)<>`"'])"#,
    )
    .ok()
});

/// A block with its variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    pub text: String,
    /// For a shell script: its variables with their values.
    pub env: Values,
}

/// The names of the variables in a text, each once.
pub fn used_in(text: &str) -> BTreeSet<&str> {
    let (Some(variable), Some(expansion)) = (VARIABLE.as_ref(), EXPANSION.as_ref()) else { return BTreeSet::new() };
    let plain = variable.captures_iter(text).filter_map(|c| c.get(1).or_else(|| c.get(2)));
    let computed = expansion.captures_iter(text).filter_map(|c| c.get(2).or_else(|| c.get(3)));
    plain.chain(computed).map(|m| m.as_str()).collect()
}

fn is_plain(value: &str) -> bool {
    PLAIN.as_ref().is_some_and(|plain| plain.is_match(value))
}

/// Puts the values of variables into a block. Names without a value stay as they are: in a script they are the shell's own.
///
/// # Errors
/// When a value has characters that would be syntax where it is used, with the name of its variable.
pub fn substitute(kind: BlockKind, text: &str, values: &Values) -> Result<Prepared, String> {
    Ok(match kind {
        BlockKind::Promql | BlockKind::Logql => Prepared { text: in_query(text, values)?, env: Values::new() },
        BlockKind::Http => Prepared { text: in_request(text, values)?, env: Values::new() },
        BlockKind::Sh => in_script(text, values)?,
    })
}

/// A use of a variable in a text: where it is, its name and its value.
struct Use<'a> {
    start: usize,
    end: usize,
    name: &'a str,
    value: &'a str,
}

fn uses<'a>(text: &'a str, values: &'a Values) -> Vec<Use<'a>> {
    let Some(variable) = VARIABLE.as_ref() else { return Vec::new() };
    let found = variable.captures_iter(text).filter_map(|c| {
        let (whole, name) = (c.get(0)?, c.get(1).or_else(|| c.get(2))?.as_str());
        Some(Use { start: whole.start(), end: whole.end(), name, value: values.get(name)? })
    });
    found.collect()
}

/// Replaces each use by what `by` makes of it, given the text in front.
fn replace(text: &str, values: &Values, by: impl Fn(&str, &Use<'_>) -> Result<String, String>) -> Result<String, String> {
    let (mut out, mut last) = (String::with_capacity(text.len()), 0);
    for one in uses(text, values) {
        out.push_str(text.get(last..one.start).unwrap_or_default());
        out.push_str(&by(text.get(..one.start).unwrap_or_default(), &one)?);
        last = one.end;
    }
    out.push_str(text.get(last..).unwrap_or_default());
    Ok(out)
}

fn not_plain(one: &Use<'_>, place: &str) -> String {
    format!("the value of ${} has characters that would be syntax {place}", one.name)
}

fn in_query(text: &str, values: &Values) -> Result<String, String> {
    replace(text, values, |before, one| {
        let Some((quote, start)) = open_quote(before) else {
            return if is_plain(one.value) {
                Ok(one.value.to_owned())
            } else {
                Err(not_plain(one, "outside of a string in a query"))
            };
        };
        let operator = before.get(..start).unwrap_or_default().trim_end();
        let is_regex = ["=~", "!~", "|~"].iter().any(|o| operator.ends_with(o));
        let value = if is_regex { Cow::Owned(regex::escape(one.value)) } else { Cow::Borrowed(one.value) };
        if quote == '`' {
            return if value.contains('`') { Err(not_plain(one, "in a string in backquotes")) } else { Ok(value.into_owned()) };
        }
        Ok(value.chars().fold(String::new(), |mut out, c| {
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\\' | '"' | '\'' => out.extend(['\\', c]),
                c => out.push(c),
            }
            out
        }))
    })
}

/// The quote that is open at the end of a text of a query, and where it begins; `None` outside of strings.
fn open_quote(text: &str) -> Option<(char, usize)> {
    let (mut open, mut escaped) = (None, false);
    for (at, c) in text.char_indices() {
        match (open, c) {
            _ if escaped => escaped = false,
            (Some(('"' | '\'', _)), '\\') => escaped = true,
            (Some((q, _)), c) if q == c => open = None,
            (None, '"' | '\'' | '`') => open = Some((c, at)),
            _ => {}
        }
    }
    open
}

fn in_request(text: &str, values: &Values) -> Result<String, String> {
    replace(text, values, |before, one| {
        let line = before.rsplit('\n').next().unwrap_or_default();
        let is_first_line = !before.contains('\n');
        if is_first_line && line.split_whitespace().count() <= 1 && line.ends_with(' ') {
            // The beginning of the URL: all of it, or its scheme and host.
            let is_url = one.value.starts_with("http://") || one.value.starts_with("https://");
            return if is_url && is_plain(one.value) {
                Ok(one.value.to_owned())
            } else {
                Err(not_plain(one, "at the beginning of a URL"))
            };
        }
        if is_first_line {
            return Ok(percent_encoded(one.value));
        }
        // A header is one line; a body is JSON.
        if before.contains("\n\n") {
            let quoted = serde_json::to_string(one.value).unwrap_or_default();
            // Exactly the quotes around it: one at its end may be escaped.
            let inner = quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"'));
            return Ok(inner.unwrap_or_default().to_owned());
        }
        if one.value.contains(char::is_control) { Err(not_plain(one, "in a header")) } else { Ok(one.value.to_owned()) }
    })
}

fn percent_encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
        out
    })
}

/// Where a place in a script is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Plain,
    Double,
    Single,
    Comment,
    Arithmetic,
    Here,
}

fn in_script(text: &str, values: &Values) -> Result<Prepared, String> {
    let places = places(text);
    let mut env = Values::new();
    for found in EXPANSION.iter().flat_map(|expansion| expansion.captures_iter(text)) {
        let (Some(whole), Some(name)) = (found.get(0), found.get(2).or_else(|| found.get(3))) else { continue };
        let Some(value) = values.get(name.as_str()) else { continue };
        if is_parsed_again(text, &places, whole.start()) && !is_plain(value) {
            let why = "has special characters, and a second shell or interpreter would parse them";
            return Err(format!("the value of ${} {why}", name.as_str()));
        }
        // Outside of quotes its result would be split into several arguments.
        let place = places.get(whole.start()).copied().unwrap_or(Place::Plain);
        if place == Place::Plain && found.get(1).is_none() && !is_plain(value) {
            let why = "is not in double quotes, and its value has spaces or other special characters";
            return Err(format!("{} {why}", whole.as_str()));
        }
    }
    let text = replace(text, values, |before, one| {
        let place = places.get(one.start).copied().unwrap_or(Place::Plain);
        if is_parsed_again(text, &places, one.start) && !is_plain(one.value) {
            return Err(not_plain(one, "where another shell or interpreter parses it once more"));
        }
        if one.value.contains('\0') {
            return Err(not_plain(one, "in the environment"));
        }
        let begins_argument = before.strip_suffix('"').unwrap_or(before).ends_with(|c: char| c.is_whitespace());
        if one.value.starts_with('-') && begins_argument && matches!(place, Place::Plain | Place::Double) {
            return Err(format!("the value of ${} begins with a hyphen and would be read as an option", one.name));
        }
        let name = one.name;
        Ok(match place {
            Place::Plain => format!("\"${{{name}}}\""),
            Place::Double | Place::Arithmetic | Place::Here => format!("${{{name}}}"),
            Place::Single | Place::Comment => format!("${name}"),
        })
    })?;
    for name in used_in(&text) {
        if let Some(value) = values.get(name) {
            env.insert(name.to_owned(), value.clone());
        }
    }
    Ok(Prepared { text, env })
}

/// Whether something parses the text at a place of a script once more: arithmetic, a here-document, whose reader may be an interpreter, or
/// a program of the same line, in front of it or behind a pipe.
fn is_parsed_again(text: &str, places: &[Place], at: usize) -> bool {
    if matches!(places.get(at), Some(Place::Arithmetic | Place::Here)) {
        return true;
    }
    let before = command_before(text.get(..at).unwrap_or_default(), places);
    let after = text.get(at..).unwrap_or_default();
    let is_end = |(n, byte): (usize, u8)| byte == b'\n' && matches!(places.get(at + n), Some(Place::Plain | Place::Comment));
    let end = after.bytes().enumerate().position(is_end).unwrap_or(after.len());
    let after = format!(" {}", after.get(..end).unwrap_or(after));
    PARSES_ARGUMENTS.as_ref().is_none_or(|words| words.is_match(before))
        || PARSES_INPUT.as_ref().is_none_or(|words| words.is_match(&after))
}

/// A text for people with the values of its variables, each quoted for a shell if it is not a plain word.
pub fn filled_in(text: &str, values: &Values) -> String {
    let quoted = |value: &str| {
        if is_plain(value) && !value.is_empty() { value.to_owned() } else { format!("'{}'", value.replace('\'', r"'\''")) }
    };
    replace(text, values, |_, one| Ok(quoted(one.value))).unwrap_or_else(|_| text.to_owned())
}

/// The name of a variable for a label: `k8s.pod.name` is `k8s_pod_name`.
fn variable_name(label: &str) -> String {
    label.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

/// The values that sets of labels have for a variable, sorted, each once. Empty for names that change how programs reach the network, such
/// as `http_proxy`.
pub fn label_values<'a>(name: &str, all: impl IntoIterator<Item = &'a Labels>) -> Vec<String> {
    if is_of_environment(name) {
        return Vec::new();
    }
    let of = |labels: &'a Labels| labels.iter().find(|(k, v)| variable_name(k) == name && !v.is_empty()).map(|(_, v)| v.clone());
    let found: BTreeSet<String> = all.into_iter().filter_map(of).collect();
    found.into_iter().collect()
}

/// Whether programs read a lower-case environment variable of this name.
pub(super) fn is_of_environment(name: &str) -> bool {
    name.ends_with("_proxy")
}

/// The command at the end of a text of a script, which may have begun on an earlier line. The command of a here-document is the one that
/// reads it.
fn command_before<'a>(before: &'a str, places: &[Place]) -> &'a str {
    let end = before.len();
    let is = |at: usize, place: Place| places.get(at) == Some(&place);
    let opener = (0..end).rev().find(|at| !is(*at, Place::Here)).filter(|at| *at + 1 < end || is(end, Place::Here));
    let end = opener.unwrap_or(end);
    let bytes = before.as_bytes();
    let is_end = |at: &usize| {
        bytes.get(*at) == Some(&b'\n')
            && (is(*at, Place::Plain) || is(*at, Place::Comment))
            && (*at == 0 || bytes.get(at - 1) != Some(&b'\\'))
    };
    let start = (0..end).rev().find(is_end).map_or(0, |at| at + 1);
    before.get(start..end).unwrap_or(before)
}

/// The place of each byte of a script. Only the quoting depends on it: whatever it says, the shell never parses a value.
fn places(text: &str) -> Vec<Place> {
    let mut out = Vec::with_capacity(text.len());
    let mut stack = vec![Place::Plain];
    let mut here: Option<String> = None;
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut at_line_start = true;
    let mut waiting: Option<String> = None;
    while at < bytes.len() {
        if at_line_start && let Some(end) = &here {
            let line = text.get(at..).and_then(|rest| rest.split('\n').next()).unwrap_or_default();
            if line.trim_start_matches('\t') == end {
                here = None;
            }
            out.extend(std::iter::repeat_n(Place::Here, (line.len() + 1).min(bytes.len() - at)));
            at += line.len() + 1;
            continue;
        }
        let place = stack.last().copied().unwrap_or(Place::Plain);
        let rest = bytes.get(at..).unwrap_or_default();
        out.push(place);
        at_line_start = false;
        let mut skip = 0;
        match (place, rest) {
            (Place::Single, [b'\'', ..]) | (Place::Double, [b'"', ..]) => {
                stack.pop();
            }
            (Place::Single, _) => {}
            (Place::Comment, [b'\n', ..]) => {
                stack.pop();
            }
            (Place::Comment, _) => {}
            (_, [b'\\', _, ..]) => skip = 1,
            (_, [b'$', b'(', b'(', ..]) => {
                stack.push(Place::Arithmetic);
                skip = 2;
            }
            (Place::Arithmetic, [b')', b')', ..]) => {
                stack.pop();
                skip = 1;
            }
            (Place::Arithmetic, _) => {}
            (_, [b'$', b'(', ..]) => {
                stack.push(Place::Plain);
                skip = 1;
            }
            (Place::Double, _) => {}
            (Place::Plain, [b'\'', ..]) => stack.push(Place::Single),
            (Place::Plain, [b'"', ..]) => stack.push(Place::Double),
            (Place::Plain, [b'#', ..]) if at == 0 || bytes.get(at - 1).is_some_and(|b| b.is_ascii_whitespace() || *b == b';') => {
                stack.push(Place::Comment);
            }
            (Place::Plain, [b'(', ..]) => stack.push(Place::Plain),
            (Place::Plain, [b')', ..]) if stack.len() > 1 => {
                stack.pop();
            }
            (Place::Plain, [b'<', b'<', ..]) => {
                let word = text.get(at + 2..).unwrap_or_default().trim_start_matches('-').trim_start();
                let end = word.split(|c: char| c.is_whitespace() || c == ';').next().unwrap_or_default();
                waiting = Some(end.trim_matches(['\'', '"', '\\']).to_owned()).filter(|end| !end.is_empty());
            }
            _ => {}
        }
        if rest.first() == Some(&b'\n') {
            at_line_start = true;
            here = waiting.take();
        }
        out.extend(std::iter::repeat_n(place, skip));
        at += 1 + skip;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_computes_from_a_variable_gets_its_value_too() {
        let values = Values::from([("pod".to_owned(), "web 1; $(id)".to_owned())]);
        let script = r#"echo ${#pod} "${pod:-none}" "${pod%1*}" ${other:-x} '${pod:-y}'"#;
        let prepared = substitute(BlockKind::Sh, script, &values).unwrap();
        assert_eq!((prepared.text.as_str(), &prepared.env), (script, &values));
        assert!(used_in(script).contains("pod") && used_in(script).contains("other"));
        let refused = substitute(BlockKind::Sh, "echo ${pod:-none}", &values).unwrap_err();
        assert!(refused.contains("is not in double quotes"), "{refused}");
        assert!(substitute(BlockKind::Sh, "ssh db \"ls ${pod:-x}\"", &values).is_err());
        assert!(substitute(BlockKind::Sh, "echo $(( ${pod:-0} + 1 ))", &values).is_err());
    }

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn text(kind: BlockKind, text: &str, pairs: &[(&str, &str)]) -> Result<String, String> {
        substitute(kind, text, &values(pairs)).map(|p| p.text)
    }

    #[test]
    fn a_value_in_a_query_stays_in_its_string() {
        let hostile = [("service", "a\"} or up{x=\"\\\nb.c")];
        assert_eq!(
            text(BlockKind::Promql, "up{service=\"$service\"}", &hostile).unwrap(),
            "up{service=\"a\\\"} or up{x=\\\"\\\\\\nb.c\"}"
        );
        assert_eq!(
            text(BlockKind::Promql, "up{service=~\"${service}.*\"}", &[("service", "a.b")]).unwrap(),
            "up{service=~\"a\\\\.b.*\"}"
        );
        assert_eq!(
            text(BlockKind::Logql, "{app=\"x\"} |~ `$service$`", &[("service", "a.b")]).unwrap(),
            "{app=\"x\"} |~ `a\\.b$`"
        );
        assert_eq!(text(BlockKind::Promql, "rate(errors[$range])", &[("range", "5m")]).unwrap(), "rate(errors[5m])");
        let e = text(BlockKind::Promql, "rate(errors[$range])", &[("range", "5m]) or vector(1")]).unwrap_err();
        assert!(e.contains("$range") && e.contains("outside of a string"), "{e}");
    }

    #[test]
    fn a_value_in_a_request_stays_in_its_part() {
        let shown = |block: &str, value: &str| text(BlockKind::Http, block, &[("x", value)]);
        assert_eq!(shown("GET https://a/b?q=$x", "1&admin=1 #\n").unwrap(), "GET https://a/b?q=1%26admin%3D1%20%23%0A");
        assert_eq!(shown("GET $x/health", "https://shop:8080").unwrap(), "GET https://shop:8080/health");
        assert!(shown("GET $x/health", "file:///etc/passwd").is_err() && shown("GET $x/h", "https://a b").is_err());
        assert!(shown("GET https://a\nX-A: $x", "1\nHost: b").is_err());
        assert_eq!(
            shown("POST https://a\nX-A: b\n\n{\"a\":\"$x\"}", "1\",\"b\":\"2").unwrap(),
            "POST https://a\nX-A: b\n\n{\"a\":\"1\\\",\\\"b\\\":\\\"2\"}"
        );
    }

    #[test]
    fn a_script_gets_values_as_quoted_environment_variables() {
        let script = "kubectl -n $ns logs \"pod/$pod\" '$pod' # $pod\necho $(ls $pod) $HOME ${pod} $other\nprintf %s $pod";
        let prepared =
            substitute(BlockKind::Sh, script, &values(&[("pod", "$(id); x"), ("ns", "a b"), ("unused", "1")])).unwrap();
        assert_eq!(
            prepared.text,
            "kubectl -n \"${ns}\" logs \"pod/${pod}\" '$pod' # $pod\necho $(ls \"${pod}\") $HOME \"${pod}\" $other\nprintf %s \"${pod}\""
        );
        assert_eq!(prepared.env, values(&[("pod", "$(id); x"), ("ns", "a b")]));
    }

    #[test]
    fn a_value_that_would_be_parsed_again_must_be_plain() {
        for script in [
            "echo $((n + $x))",
            "ssh db1 restart $x",
            "sh -c \"ls $x\"",
            "eval ls $x",
            "psql -c \"select '$x'\"",
            "su app -c \"ls $x\"",
            "ssh db1 \\\n restart $x",
            "bash -c \"\nls $x\n\"",
            "true\nssh db1 <<EOF\nls\nls $x\nEOF",
            "bash <<EOF\nls $x\nEOF",
            "psql \"$db\" <<EOF\nselect '$x'\nEOF",
            "kubectl exec -i p -- sh <<EOF\nls $x\nEOF",
            "echo \"restart $x\" | sh",
            "echo $x | sudo /bin/bash",
            "printf %s $x | kubectl exec -i p -- sh",
            "psql --command=\"select '$x'\"",
            "/usr/bin/ssh h \"ls $x\"",
            "sqlite3 db \"select '$x'\"",
            "if true; then ssh h \"ls $x\"; fi",
            "sudo -u app ssh h ls $x",
        ] {
            assert!(text(BlockKind::Sh, script, &[("x", "pool-1.eu")]).is_ok(), "{script}");
            // The connection of psql is an argument like any other.
            assert!(text(BlockKind::Sh, "psql \"$x\" -c 'select 1'", &[("x", "postgresql://h/db?a=b&c=d")]).is_ok());
            let e = text(BlockKind::Sh, script, &[("x", "a[$(id)]")]).unwrap_err();
            assert!(e.contains("parses it once more"), "{script}: {e}");
        }
    }

    #[test]
    fn words_of_a_sentence_are_no_programs() {
        for script in ["echo \"looked at $x, find it\"", "echo ran sed; echo $x", "logger -t app \"watch $x\" | cat"] {
            assert!(text(BlockKind::Sh, script, &[("x", "a[$(id)]")]).is_ok(), "{script}");
        }
    }

    #[test]
    fn a_value_is_no_option() {
        for script in ["kubectl delete pod $x", "kubectl delete pod \"$x\"", "ls $x"] {
            let e = text(BlockKind::Sh, script, &[("x", "--all")]).unwrap_err();
            assert!(e.contains("begins with a hyphen"), "{script}: {e}");
        }
        assert!(text(BlockKind::Sh, "kubectl delete --pod=$x \"a-$x\"", &[("x", "--all")]).is_ok());
    }

    #[test]
    fn the_end_of_a_json_string_stays_escaped() {
        let body =
            text(BlockKind::Http, "POST http://h/\n\n{\"a\": \"$x\", \"b\": \"$y\"}", &[("x", "abc\""), ("y", "z")]).unwrap();
        let json: serde_json::Value = serde_json::from_str(body.split_once("\n\n").unwrap().1).unwrap();
        assert_eq!((json["a"].as_str(), json["b"].as_str()), (Some("abc\""), Some("z")));
    }

    #[test]
    fn a_text_for_people_has_quoted_values() {
        let values = values(&[("ns", "shop"), ("pod", "it's; $(id)")]);
        assert_eq!(filled_in("kubectl -n $ns undo $pod $other", &values), r"kubectl -n shop undo 'it'\''s; $(id)' $other");
    }

    proptest::proptest! {
        /// Runs scripts with hostile values: each arrives as one argument, unchanged.
        #[test]
        fn a_value_is_one_argument_whatever_it_holds(value in "([ -,.-~\n][ -~\n]{0,40})?") {
            let prepared = substitute(BlockKind::Sh, "printf '[%s]' $x; printf '[%s]' \"<$x>\" $(printf %s $x)x", &values(&[("x", &value)])).unwrap();
            let output = std::process::Command::new("sh").arg("-c").arg(&prepared.text).envs(&prepared.env).output().unwrap();
            let shown = String::from_utf8(output.stdout).unwrap();
            let expected = format!("[{value}][<{value}>]");
            proptest::prop_assert!(shown.starts_with(&expected), "{:?} from {}", shown, prepared.text);
        }

        #[test]
        fn never_panics(script in "[ -~\n€]{0,60}", value in "\\PC{0,10}") {
            for kind in BlockKind::ALL {
                let _any = substitute(kind, &script.replace('€', "$x"), &values(&[("x", &value)]));
                let _multibyte = substitute(kind, &script, &values(&[("x", &value)]));
            }
        }
    }
}
