//! Parses playbooks, and reports every problem with its line.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use serde::Deserialize;

use super::variables::{BUILT_IN, is_of_environment, used_in};
use super::{Block, BlockKind, Check, METHODS, Playbook, Problem, Severity, Step, Variable};
use crate::incident::Risk;
use crate::telemetry::matcher::{Matcher, MatcherError};
use crate::telemetry::time::parse_duration;
use crate::telemetry::words::{list, nearest};

/// The largest size of a playbook, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;
/// How long a script may run unless it says so, and at most.
const SCRIPT_TIMEOUT: Duration = Duration::from_mins(1);
const MAX_TIMEOUT: Duration = Duration::from_hours(1);
/// How long a query or a request may take unless it says so.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);
/// Attributes of a block.
const ATTRIBUTES: [&str; 7] = ["undo", "verify", "timeout", "danger", "risk", "if", "goto"];
/// Languages of blocks that look as if they could be run, and the kind that can.
const ALIKE: [(&str, BlockKind); 7] = [
    ("bash", BlockKind::Sh),
    ("shell", BlockKind::Sh),
    ("zsh", BlockKind::Sh),
    ("console", BlockKind::Sh),
    ("prometheus", BlockKind::Promql),
    ("loki", BlockKind::Logql),
    ("https", BlockKind::Http),
];

/// The front matter as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Front {
    id: String,
    title: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    alerts: Vec<String>,
    #[serde(default)]
    prerequisites: Vec<String>,
    estimate: Option<String>,
    owner: Option<String>,
    #[serde(default)]
    variables: BTreeMap<String, RawVariable>,
}

/// A variable as written: its description, or its fields.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawVariable {
    Description(String),
    Fields(VariableFields),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VariableFields {
    description: String,
    default: Option<String>,
}

/// Collects problems.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, line: impl Into<Option<u64>>, severity: Severity, text: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Problem { line: line.into(), severity, text: text.into(), remedy: remedy.into() });
    }

    fn error(&mut self, line: impl Into<Option<u64>>, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(line, Severity::Error, text, remedy);
    }

    fn warn(&mut self, line: impl Into<Option<u64>>, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(line, Severity::Warning, text, remedy);
    }
}

/// Parses the text of a playbook. `name` is the name of its file without the extension, which must equal the id. The problems are in the
/// order of their lines; with an error among them there is no playbook.
pub fn parse(name: &str, text: &str) -> (Option<Playbook>, Vec<Problem>) {
    let mut problems = Problems::default();
    let found = read(name, text, &mut problems);
    problems.0.sort_by_key(|p| (p.line, p.severity));
    let is_usable = problems.0.iter().all(|p| p.severity != Severity::Error);
    (found.filter(|_| is_usable), problems.0)
}

fn read(name: &str, text: &str, problems: &mut Problems) -> Option<Playbook> {
    if text.len() > MAX_BYTES {
        let size = format!("the file has {} KiB, more than {}", text.len() / 1024, MAX_BYTES / 1024);
        problems.error(None, size, "Split it into several playbooks.");
        return None;
    }
    let normal = text.replace("\r\n", "\n");
    let normal = normal.trim_start_matches('\u{feff}');
    let example =
        "Begin with a line ---, the fields id and title, and another line ---; `warroom playbook show rollback` is an example.";
    let Some((front, body)) = normal.strip_prefix("---\n").and_then(split_front) else {
        let text = if normal.starts_with("---\n") { "the front matter does not end" } else { "there is no front matter" };
        problems.error(1, text, example);
        return None;
    };
    let first_line = lines_in(normal.get(..normal.len() - body.len()).unwrap_or_default()) + 1;
    let front = read_front(name, front, problems, example)?;
    let (intro, steps, links) = read_steps(body, first_line, problems);
    let playbook = finish(front, intro, steps, text, problems);
    check_variables(&playbook, problems);
    check_targets(&playbook, links, problems);
    Some(playbook)
}

/// Splits the text after the first fence at the second one.
fn split_front(rest: &str) -> Option<(&str, &str)> {
    if let Some(body) = rest.strip_prefix("---\n") {
        return Some(("", body));
    }
    rest.split_once("\n---\n").or_else(|| rest.strip_suffix("\n---").map(|front| (front, "")))
}

fn lines_in(text: &str) -> u64 {
    u64::try_from(text.matches('\n').count()).unwrap_or(0)
}

fn read_front(name: &str, front: &str, problems: &mut Problems, example: &str) -> Option<Front> {
    let parsed: Front = match serde_saphyr::from_str(front) {
        Ok(parsed) => parsed,
        Err(e) => {
            // The front matter begins on the second line of the file.
            let line = e.location().map_or(1, |at| at.line() + 1);
            problems.error(line, format!("front matter: {}", message(&e)), example);
            return None;
        }
    };
    let line_of = |key: &str| front.lines().position(|l| l.starts_with(&format!("{key}:"))).map_or(1, |n| n as u64 + 2);
    if parsed.id != name {
        let text = format!("the id '{}' does not match the file name, '{name}'", parsed.id);
        problems.error(line_of("id"), text, "Rename the file or change the id.");
    }
    if parsed.title.trim().is_empty() {
        problems.error(line_of("title"), "the title is empty", "Write what the playbook does, such as `Roll back a deployment`.");
    }
    if parsed.summary.trim().is_empty() {
        problems.warn(line_of("summary"), "there is no summary", "Say in one sentence when to use the playbook.");
    }
    for variable in parsed.variables.keys() {
        let is_name = variable.starts_with(|c: char| c.is_ascii_lowercase())
            && variable.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let is_of_environment = is_of_environment(variable);
        if !is_name || is_of_environment || BUILT_IN.iter().any(|(name, _)| name == variable) {
            let remedy = "Use lower-case letters, digits and underscores, and a name that is not built in.";
            problems.error(line_of("variables"), format!("'{variable}' cannot be the name of a variable"), remedy);
        }
    }
    Some(parsed)
}

/// The message of a YAML error on one line, without the excerpt that it may contain.
fn message(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let first: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).take(1).collect();
    first.join(" ").trim_start_matches("error: ").to_owned()
}

fn finish(front: Front, intro: String, steps: Vec<Step>, text: &str, problems: &mut Problems) -> Playbook {
    let mut alerts = Vec::new();
    let line_of = |part: &str| text.lines().position(|l| l.contains(part)).map(|n| n as u64 + 1);
    for entry in &front.alerts {
        match Matcher::parse_all(entry) {
            Ok(all) if all.is_empty() => {
                problems.warn(line_of("alerts:"), "an entry of alerts has no matcher", MatcherError::REMEDY);
            }
            Ok(all) => alerts.push(all),
            Err(e) => problems.error(line_of(entry.trim()).or_else(|| line_of("alerts:")), e.to_string(), MatcherError::REMEDY),
        }
    }
    let estimate = front.estimate.as_deref().and_then(|text| {
        let parsed = parse_duration(text);
        if let Err(e) = &parsed {
            problems.error(line_of("estimate:"), e.to_string(), "Write a duration such as 15m.");
        }
        parsed.ok()
    });
    if steps.is_empty() {
        problems.error(None, "there are no steps", "Begin each step with a heading of the second level: `## Check the pool`.");
    }
    let variable = |raw: RawVariable| match raw {
        RawVariable::Description(description) => Variable { description, default: None },
        RawVariable::Fields(VariableFields { description, default }) => Variable { description, default },
    };
    Playbook {
        id: front.id,
        title: front.title.trim().to_owned(),
        summary: front.summary.trim().to_owned(),
        alerts,
        prerequisites: front.prerequisites,
        estimate,
        owner: front.owner,
        variables: front.variables.into_iter().map(|(name, raw)| (name, variable(raw))).collect(),
        intro,
        steps,
        text: text.to_owned(),
        path: None,
        preset: None,
    }
}

/// The targets of links, with their lines.
type Links = Vec<(String, u64)>;

/// The Markdown before the first step, the steps, and the targets of links to other steps. `first_line` is that of the body in the file.
fn read_steps(body: &str, first_line: u64, problems: &mut Problems) -> (String, Vec<Step>, Links) {
    let line_at = |at: usize| first_line + lines_in(body.get(..at).unwrap_or_default());
    let (mut steps, mut links): (Vec<Step>, Links) = (Vec::new(), Vec::new());
    let mut intro_end = body.len();
    // Where the body of the current step begins.
    let mut begins: Vec<(usize, usize)> = Vec::new();
    let mut heading: Option<String> = None;
    let mut code: Option<(String, String, Range<usize>)> = None;
    for (event, range) in Parser::new_ext(body, Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level: HeadingLevel::H2, .. }) => {
                if begins.is_empty() {
                    intro_end = range.start;
                }
                begins.push((range.start, range.end));
                heading = Some(String::new());
            }
            Event::End(TagEnd::Heading(HeadingLevel::H2)) => {
                let title = heading.take().unwrap_or_default().trim().to_owned();
                if title.is_empty() {
                    problems.error(line_at(range.start), "a step has no title", "Write what to do after the ##.");
                }
                let anchor = unique_anchor(&title, &steps);
                steps.push(Step { number: steps.len() + 1, title, anchor, body: String::new(), blocks: Vec::new() });
            }
            Event::Text(text) | Event::Code(text) if heading.is_some() => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => code = Some((info.to_string(), String::new(), range)),
            Event::Text(text) if code.is_some() => {
                if let Some((_, code, _)) = &mut code {
                    code.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => {
                let Some((info, text, range)) = code.take() else { continue };
                let line = line_at(range.start);
                if !is_closed(body.get(range).unwrap_or_default()) {
                    problems.error(line, "the fence of this block is not closed", "Add a line with the same fence after it.");
                }
                let block = read_block(&info, &text, line, problems);
                match (block, steps.last_mut()) {
                    (Some(block), Some(step)) => step.blocks.push(block),
                    (Some(_), None) => {
                        problems.error(
                            line,
                            "a block that can be run is outside of a step",
                            "Move it below a heading of the second level.",
                        );
                    }
                    (None, _) => {}
                }
            }
            Event::Start(Tag::Link { dest_url, .. }) => {
                if let Some(anchor) = dest_url.strip_prefix('#') {
                    links.push((anchor.to_owned(), line_at(range.start)));
                }
            }
            _ => {}
        }
    }
    for (n, step) in steps.iter_mut().enumerate() {
        let start = begins.get(n).map_or(0, |(_, end)| *end);
        let end = begins.get(n + 1).map_or(body.len(), |(start, _)| *start);
        body.get(start..end).unwrap_or_default().trim().clone_into(&mut step.body);
        if step.body.is_empty() {
            let line = begins.get(n).map(|(start, _)| line_at(*start));
            problems.warn(
                line,
                format!("the step '{}' has no text", step.title),
                "Say what to do and how to know that it is done.",
            );
        }
    }
    let intro = body.get(..intro_end).unwrap_or_default().trim().to_owned();
    (intro, steps, links)
}

/// Whether the source of a fenced block ends with its fence.
fn is_closed(source: &str) -> bool {
    let fence = |line: &str| line.trim().trim_start_matches(['>', ' ']).to_owned();
    let Some(first) = source.lines().next().map(fence) else { return false };
    let Some(mark) = first.chars().next() else { return false };
    let length = first.chars().take_while(|c| *c == mark).count();
    let last = source.lines().skip(1).last().map(fence).unwrap_or_default();
    last.chars().count() >= length && last.chars().all(|c| c == mark)
}

/// The anchor that GitHub gives a heading: lower case, without punctuation, hyphens for spaces, numbered if it is there already.
fn unique_anchor(title: &str, steps: &[Step]) -> String {
    let kept = title.to_lowercase().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect::<String>();
    let plain = kept.trim().replace(' ', "-");
    let is_taken = |anchor: &str| steps.iter().any(|s| s.anchor == anchor);
    let numbered = (1..=steps.len()).map(|n| format!("{plain}-{n}"));
    std::iter::once(plain.clone()).chain(numbered).find(|a| !is_taken(a)).unwrap_or(plain)
}

/// A timeout as written. The error says why it cannot be used.
fn read_timeout(text: &str) -> Result<Duration, String> {
    let timeout = parse_duration(text).map_err(|e| e.to_string())?;
    let is_allowed = timeout <= MAX_TIMEOUT && !timeout.is_zero();
    is_allowed.then_some(timeout).ok_or_else(|| format!("the timeout '{text}' is not between 1s and 1h"))
}

/// Reports a fence whose language is not a kind of block, if it looks as if it should be one.
fn report_kind(word: &str, rest: &str, line: u64, problems: &mut Problems) {
    let has_attributes = ATTRIBUTES.iter().any(|a| rest.contains(&format!("{a}=")));
    let alike = ALIKE.iter().find(|(name, _)| *name == word.to_lowercase()).map(|(_, kind)| kind.word());
    let misspelt = || nearest(word, BlockKind::ALL.map(BlockKind::word)).filter(|_| word.len() > 3 || has_attributes);
    if let Some(meant) = alike.or_else(misspelt) {
        let text = format!("a block of the kind '{word}' is text and cannot be run");
        problems.warn(line, text, format!("Write {meant} if it should be run, or text if not."));
    } else if has_attributes {
        let kinds = list(&BlockKind::ALL.map(BlockKind::word));
        problems.error(line, format!("'{word}' is not a kind of block that can be run"), format!("The kinds are {kinds}."));
    }
}

/// The block of a fence; `None` if it is text, or if it cannot be used, which is reported.
fn read_block(info: &str, text: &str, line: u64, problems: &mut Problems) -> Option<Block> {
    let (word, rest) = info.trim().split_once(char::is_whitespace).unwrap_or((info.trim(), ""));
    let Some(kind) = BlockKind::ALL.into_iter().find(|k| k.word() == word) else {
        report_kind(word, rest, line, problems);
        return None;
    };
    let mut block = Block {
        kind,
        text: text.trim_end().to_owned(),
        line,
        undo: None,
        verify: None,
        danger: None,
        risk: Risk::Medium,
        timeout: if kind == BlockKind::Sh { SCRIPT_TIMEOUT } else { QUERY_TIMEOUT },
        goto: None,
    };
    if block.text.trim().is_empty() {
        problems.error(line, "the block is empty", "Write what it should run, or remove it.");
    }
    if let Some(unknown) = block.method().filter(|m| !METHODS.contains(m)) {
        let text = format!("'{unknown}' is not a supported HTTP method");
        problems.error(line, text, format!("The methods are {}.", list(&METHODS)));
    }
    let attributes = match attributes(rest) {
        Ok(attributes) => attributes,
        Err(why) => {
            problems.error(line, why, "Write attributes as name=\"value\".");
            return None;
        }
    };
    let (mut condition, mut target) = (None, None);
    for (name, value) in attributes {
        match name.as_str() {
            "undo" => block.undo = Some(value),
            "danger" => block.danger = Some(value),
            "risk" => match value.parse() {
                Ok(risk) => block.risk = risk,
                Err(why) => problems.error(line, why, "Write risk=low, risk=medium or risk=high."),
            },
            "verify" => match Check::parse(&value, kind == BlockKind::Http) {
                Ok(Check::Value(_)) if matches!(kind, BlockKind::Sh | BlockKind::Http) => {
                    problems.error(line, format!("'{value}' compares nothing"), "Put the query in front of the comparison.");
                }
                Ok(check) => block.verify = Some(check),
                Err(why) => problems.error(line, why, "Write a query, an operator and a number, such as up < 1."),
            },
            "timeout" => match read_timeout(&value) {
                Ok(timeout) => block.timeout = timeout,
                Err(why) => problems.error(line, why, "Write a duration such as 30s."),
            },
            "if" => match value.parse() {
                Ok(parsed) if matches!(kind, BlockKind::Promql | BlockKind::Logql) => condition = Some(parsed),
                Ok(_) => problems.error(line, "only the value of a query can be compared", "Use if= with promql or logql."),
                Err(why) => problems.error(line, why, "Write if=\"> 0.9\" goto=\"#heading\"."),
            },
            "goto" => target = Some(value.trim_start_matches('#').to_owned()),
            other => {
                let meant = nearest(other, ATTRIBUTES).map_or_else(String::new, |n| format!("Did you mean {n}? "));
                problems.error(
                    line,
                    format!("there is no attribute '{other}'"),
                    format!("{meant}The attributes are {}.", list(&ATTRIBUTES)),
                );
            }
        }
    }
    match (condition, target) {
        (Some(condition), Some(target)) => block.goto = Some((condition, target)),
        (None, None) => {}
        _ => problems.error(line, "if= and goto= belong together", "Write if=\"> 0.9\" goto=\"#heading\"."),
    }
    if block.danger.is_some() && block.undo.is_none() {
        problems.warn(line, "a dangerous block does not say how to undo it", "Add undo=\"…\", or undo=\"not possible\".");
    }
    Some(block)
}

/// Parses `name=value` pairs; a value with spaces is in quotes of either kind.
fn attributes(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut out: Vec<(String, String)> = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or_else(|| format!("'{rest}' is not an attribute"))?;
        let name = name.trim();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            return Err(format!("'{name}' is not the name of an attribute"));
        }
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, left) = match quote {
            Some(quote) => after
                .get(1..)
                .and_then(|r| r.split_once(quote))
                .ok_or_else(|| format!("the value of {name} has no closing {quote}"))?,
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        if out.iter().any(|(known, _)| known == name) {
            return Err(format!("{name} is given twice"));
        }
        out.push((name.to_owned(), value.to_owned()));
        rest = left.trim_start();
    }
    Ok(out)
}

/// Reports variables that nothing gives a value, and those that nothing uses.
fn check_variables(playbook: &Playbook, problems: &mut Problems) {
    let known = |name: &str| playbook.variables.contains_key(name) || BUILT_IN.iter().any(|(b, _)| *b == name);
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for block in playbook.steps.iter().flat_map(|s| &s.blocks) {
        let query = match &block.verify {
            Some(Check::Query { expression, .. }) => expression.as_str(),
            _ => "",
        };
        let own = used_in(&block.text);
        used.extend(own.iter().chain(&used_in(query)).chain(&used_in(block.undo.as_deref().unwrap_or_default())));
        // In a script, other names are the shell's.
        let outside = if block.kind == BlockKind::Sh { used_in(query) } else { own.into_iter().chain(used_in(query)).collect() };
        for name in outside.into_iter().filter(|name| !known(name)) {
            let names: Vec<&str> = playbook.variables.keys().map(String::as_str).chain(BUILT_IN.map(|(n, _)| n)).collect();
            let remedy = nearest(name, names).map_or_else(
                || "Declare it under variables in the front matter.".to_owned(),
                |n| format!("Did you mean ${n}? Otherwise declare it under variables in the front matter."),
            );
            problems.error(block.line, format!("nothing declares the variable ${name}"), remedy);
        }
    }
    used.extend(playbook.steps.iter().flat_map(|s| used_in(&s.body)));
    used.extend(used_in(&playbook.intro));
    let line = playbook.text.lines().position(|l| l.starts_with("variables:")).map(|n| n as u64 + 1);
    for name in playbook.variables.keys().filter(|name| !used.contains(name.as_str())) {
        problems.warn(line, format!("nothing uses the variable ${name}"), "Use it or remove it.");
    }
}

/// Reports links and jumps to steps that do not exist.
fn check_targets(playbook: &Playbook, links: Links, problems: &mut Problems) {
    let jumps = playbook.steps.iter().flat_map(|s| &s.blocks).filter_map(|b| Some((b.goto.as_ref()?.1.clone(), b.line)));
    for (anchor, line) in links.into_iter().chain(jumps) {
        if playbook.steps.iter().any(|s| s.anchor == anchor) {
            continue;
        }
        let known = playbook.steps.iter().map(|s| s.anchor.as_str());
        let remedy = nearest(&anchor, known).map_or_else(
            || "Use the heading of a step in lower case with hyphens.".to_owned(),
            |n| format!("Did you mean #{n}?"),
        );
        problems.error(line, format!("there is no step '#{anchor}'"), remedy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(front: &str, body: &str) -> String {
        format!("---\nid: x\ntitle: X\nsummary: S\n{front}---\n{body}")
    }

    /// The problems as `line severity text`.
    fn problems(text: &str) -> Vec<String> {
        let shown = |p: Problem| format!("{} {:?} {}", p.line.map_or("-".to_owned(), |n| n.to_string()), p.severity, p.text);
        parse("x", text).1.into_iter().map(shown).collect()
    }

    #[test]
    fn reads_steps_blocks_and_attributes() {
        let body = "Intro.\n\n## Check: the *pool*\n\n1. Look\n   ```promql verify=\"< 0.9\" if='> 1' goto=\"#check-the-pool-1\"\n   up{a=\"$service\"}\n   ```\n\n## Check the pool\n\n~~~sh timeout=2m undo=\"kubectl undo\" danger=\"restarts\"\nkubectl get pod\n~~~\n\n```json\n{}\n```\n";
        let (playbook, found) = parse("x", &file("estimate: 15m\n", body));
        assert_eq!(found, []);
        let playbook = playbook.unwrap();
        assert_eq!((playbook.intro.as_str(), playbook.estimate), ("Intro.", Some(Duration::from_mins(15))));
        let titles: Vec<(&str, &str)> = playbook.steps.iter().map(|s| (s.title.as_str(), s.anchor.as_str())).collect();
        assert_eq!(titles, [("Check: the pool", "check-the-pool"), ("Check the pool", "check-the-pool-1")]);
        let query = &playbook.steps[0].blocks[0];
        assert_eq!((query.text.as_str(), query.line), ("up{a=\"$service\"}", 12), "a fence inside a list");
        assert!(query.verify.is_some() && query.goto.as_ref().is_some_and(|(_, to)| to == "check-the-pool-1"));
        let script = &playbook.steps[1].blocks[0];
        assert_eq!(
            (script.kind, script.timeout, script.undo.as_deref()),
            (BlockKind::Sh, Duration::from_mins(2), Some("kubectl undo"))
        );
        assert_eq!(playbook.steps[1].blocks.len(), 1, "json is text");
    }

    #[test]
    fn reports_each_problem_with_its_line() {
        assert_eq!(problems("## a"), ["1 Error there is no front matter"]);
        assert_eq!(problems("---\nid: x\n"), ["1 Error the front matter does not end"]);
        for (front, line) in [("- a\n", 2), ("title: [\n", 3), ("colour: red\n", 2)] {
            let found = problems(&format!("---\n{front}---\n## a\nb\n"));
            assert!(found.len() == 1 && found[0].contains("front matter: "), "{front}: {found:?}");
            assert!(found[0].starts_with(&format!("{line} ")) || found[0].starts_with("2 "), "{front}: {found:?}");
        }
        assert_eq!(problems(&file("", "text")), ["- Error there are no steps"]);
        assert_eq!(
            problems(&file("", "## a\nb\n").replace("id: x", "id: y")),
            ["2 Error the id 'y' does not match the file name, 'x'"]
        );
        assert_eq!(
            problems(&file("alerts:\n  - service\n", "## a\nb\n")),
            ["6 Error 'service' is not a matcher: it has no operator"]
        );
        assert_eq!(
            problems(&file("variables:\n  PATH: p\n", "## a\n$PATH\n"))[0],
            "5 Error 'PATH' cannot be the name of a variable"
        );
        assert_eq!(problems(&file("variables:\n  pod: p\n", "## a\nb\n")), ["5 Warning nothing uses the variable $pod"]);
        assert_eq!(problems(&file("estimate: soon\n", "## a\nb\n")).len(), 1);
        let block = |fence: &str, text: &str| problems(&file("", &format!("## a\n```{fence}\n{text}\n```\n")));
        for (fence, text, expected) in [
            ("promql verify=\"< x\"", "up", "7 Error '< x' is not a condition"),
            ("promql verfy=\"< 1\"", "up", "7 Error there is no attribute 'verfy'"),
            ("promql verify=\"< 1", "up", "7 Error the value of verify has no closing \""),
            ("promql loud", "up", "7 Error 'loud' is not an attribute"),
            ("promql if=\"> 1\"", "up", "7 Error if= and goto= belong together"),
            ("promql if=\"> 1\" goto=\"#b\"", "up", "7 Error there is no step '#b'"),
            ("promql", "", "7 Error the block is empty"),
            ("promql", "up{a=\"$servise\"}", "7 Error nothing declares the variable $servise"),
            ("sh timeout=2h", "ls", "7 Error the timeout '2h' is not between"),
            ("sh verify=\"< 1\"", "ls", "7 Error '< 1' compares nothing"),
            ("sh danger=\"all\"", "ls", "7 Warning a dangerous block does not say how to undo it"),
            ("bash", "ls", "7 Warning a block of the kind 'bash' is text"),
            ("promq", "up", "7 Warning a block of the kind 'promq' is text"),
            ("fish undo=\"x\"", "ls", "7 Error 'fish' is not a kind of block"),
        ] {
            let found = block(fence, text);
            assert!(found.len() == 1 && found[0].starts_with(expected), "{fence}: {found:?}");
        }
        assert_eq!(problems(&file("", "## a\n```sh\nls\n")), ["7 Error the fence of this block is not closed"]);
        assert_eq!(problems(&file("", "```sh\nls\n```\n## a\nb\n")), ["6 Error a block that can be run is outside of a step"]);
        assert_eq!(problems(&file("", "## a\n[b](#c)\n")), ["7 Error there is no step '#c'"]);
        assert_eq!(problems(&file("", "## a\n\n## b\nc\n")), ["6 Warning the step 'a' has no text"]);
        assert!(problems(&"x".repeat(10 * 1024 * 1024))[0].contains("KiB, more than 256"));
    }

    #[test]
    fn aliases_that_multiply_are_refused() {
        let bomb: String = (b'b'..=b'j')
            .map(|c| format!("{}: &{} [*{1},*{1},*{1},*{1},*{1},*{1},*{1},*{1},*{1}]\n", char::from(c), char::from(c)))
            .collect();
        let found = problems(&format!("---\na: &a [x]\n{bomb}---\n## a\nb\n"));
        assert!(found[0].contains("front matter: "), "{found:?}");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(front in "[a-z:\\[\\]{}&* \n\"|>-]{0,80}", body in "[a-z#`~ \n\\[\\]()=\"$>{}-]{0,160}", raw in "\\PC{0,60}") {
            let _any = parse("x", &file(&front, &body));
            let _raw = parse("x", &raw);
        }
    }
}
