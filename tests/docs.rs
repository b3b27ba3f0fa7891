//! Compares docs/json.md with the program: each documented field is in the output, and each value is one of those listed.

#[path = "support/program.rs"]
mod program;

use std::path::Path;

use program::json;
use serde_json::Value;

/// A shape in the notation of docs/json.md.
#[derive(Debug)]
enum Shape {
    Any,
    OneOf(Vec<String>),
    List(Box<Shape>),
    Map(Box<Shape>),
    /// Name, whether it may be absent, shape.
    Fields(Vec<(String, bool, Shape)>),
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn take(&mut self, expected: char) -> bool {
        self.rest = self.rest.trim_start();
        let found = self.rest.strip_prefix(expected);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn string(&mut self) -> Option<String> {
        let quoted = self.rest.trim_start().strip_prefix('"')?;
        let (text, rest) = quoted.split_once('"').unwrap();
        self.rest = rest;
        Some(text.to_owned())
    }

    fn value(&mut self) -> Shape {
        if self.take('{') {
            return self.fields();
        }
        if self.take('[') {
            let mut items = Vec::new();
            while !self.take(']') {
                items.push(self.value());
                self.take(',');
            }
            // Lists of several different items are rows of a table.
            let is_list = items.len() == 1;
            return items.pop().filter(|_| is_list).map_or(Shape::Any, |item| Shape::List(Box::new(item)));
        }
        if let Some(text) = self.string() {
            return if text.contains('|') { Shape::OneOf(text.split('|').map(str::to_owned).collect()) } else { Shape::Any };
        }
        // A number, a placeholder or an ellipsis.
        let end = self.rest.find([',', '}', ']']).unwrap();
        self.rest = &self.rest[end..];
        Shape::Any
    }

    fn fields(&mut self) -> Shape {
        let (mut fields, mut examples) = (Vec::new(), 0);
        while !self.take('}') {
            let Some(name) = self.string() else {
                // `…`: fields that are described elsewhere.
                self.value();
                self.take(',');
                continue;
            };
            let is_optional = self.take('?');
            let mut shape = Shape::Any;
            if self.take(':') {
                shape = self.value();
                examples += usize::from(matches!(shape, Shape::Any));
            }
            fields.push((name, is_optional, shape));
            self.take(',');
        }
        if fields.len() == 1 && fields.first().is_some_and(|(name, _, _)| name.starts_with('<')) {
            return fields.pop().map_or(Shape::Any, |(_, _, shape)| Shape::Map(Box::new(shape)));
        }
        // `{"SEV2":120.0}` is an example of a map.
        if fields.len() == 1 && examples == 1 || fields.is_empty() { Shape::Any } else { Shape::Fields(fields) }
    }
}

fn mismatches(shape: &Shape, value: &Value, path: &str, out: &mut Vec<String>) {
    match (shape, value) {
        (Shape::Any, _) | (_, Value::Null) => {}
        (Shape::OneOf(words), value) => {
            if !value.as_str().is_some_and(|v| words.iter().any(|w| w == v)) && !value.is_boolean() {
                out.push(format!("{path} is {value}, which is not listed"));
            }
        }
        (Shape::List(item), Value::Array(items)) => {
            items.iter().enumerate().for_each(|(n, v)| mismatches(item, v, &format!("{path}[{n}]"), out));
        }
        (Shape::Map(item), Value::Object(object)) => {
            object.iter().for_each(|(key, v)| mismatches(item, v, &format!("{path}.{key}"), out));
        }
        (Shape::Fields(fields), Value::Object(object)) => {
            for (name, is_optional, shape) in fields {
                match object.get(name) {
                    Some(value) => mismatches(shape, value, &format!("{path}.{name}"), out),
                    None if *is_optional => {}
                    None => out.push(format!("{path} has no {name}")),
                }
            }
        }
        (shape, value) => out.push(format!("{path} is {value}, not {shape:?}")),
    }
}

/// The first shape after a marker within a section.
fn documented(section: &str, marker: &str) -> Shape {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md")).unwrap();
    let (_, section_text) = text.split_once(&format!("\n## {section}")).unwrap_or_else(|| panic!("no section {section}"));
    let section_text = section_text.split("\n## ").next().unwrap();
    let (_, after) = section_text.split_once(marker).unwrap_or_else(|| panic!("{section}: no {marker}"));
    let start = after.find('{').unwrap();
    Parser { rest: &after[start..] }.value()
}

#[test]
fn documented_json_is_the_output() {
    let f = tempfile::tempdir().unwrap();
    let d = f.path();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::copy(root.join("tests/fixtures/v0.1/journal.db"), d.join("journal.db")).unwrap();
    let config = format!(
        "[[sources]]\nname = \"rec\"\ntype = \"recording\"\npath = \"{}\"\n[store]\nurl = \"sqlite:{}\"\n[retention]\ndays = 1\n",
        root.join("demo/pool-exhaustion.wrec").display(),
        d.join("journal.db").display()
    );
    std::fs::write(d.join("config.toml"), config).unwrap();
    std::fs::write(
        d.join("app.log"),
        "{\"time\":\"2026-11-21T09:30:00Z\",\"level\":\"error\",\"msg\":\"pool full\",\"region\":\"eu-1\"}\n".repeat(20),
    )
    .unwrap();
    let (config, log, bundle) = (
        d.join("config.toml").display().to_string(),
        d.join("app.log").display().to_string(),
        d.join("b.bundle").display().to_string(),
    );
    let change = "Commands that change an incident";
    let other = "Other commands";
    let cases: Vec<(&str, &str, Vec<&str>)> = vec![
        ("Errors", "", vec!["incident", "show", "INC-99"]),
        ("Errors", "", vec!["incident", "note", "INC-1", " "]),
        ("warroom alerts", "", vec!["alerts"]),
        ("warroom declare", "", vec!["declare", "--title", "again"]),
        ("warroom incident list", "", vec!["incident", "list"]),
        ("warroom incident show", "", vec!["incident", "show", "INC-1"]),
        ("warroom incident show", "", vec!["incident", "show", "INC-4"]),
        (change, "", vec!["incident", "note", "INC-4", "seen"]),
        (change, "warroom incident check INC-1", vec!["incident", "check", "INC-4"]),
        (change, "warroom incident gate INC-1", vec!["incident", "gate", "INC-4"]),
        ("warroom incident brief", "warroom incident brief", vec!["incident", "brief", "INC-4"]),
        ("warroom incident brief", "warroom incident handover", vec!["incident", "handover", "INC-4"]),
        ("warroom incident brief", "warroom incident similar", vec!["incident", "similar", "INC-4"]),
        ("warroom action", "warroom action list", vec!["action", "list"]),
        ("warroom action", "warroom action lint", vec!["action", "lint", "INC-1"]),
        ("warroom investigate", "", vec!["investigate", "INC-4", "--window", "20m"]),
        ("warroom logs patterns", "", vec!["logs", "patterns", &log]),
        ("warroom ask", "", vec!["ask", "INC-4", "troubleshoot"]),
        ("warroom ask", "With `--dry-run`", vec!["ask", "INC-4", "troubleshoot", "--dry-run"]),
        ("warroom export", "", vec!["export", "INC-4", "--format", "json"]),
        ("warroom keys", "", vec!["keys"]),
        ("warroom theme", "warroom theme list", vec!["theme", "list"]),
        ("warroom theme", "warroom theme preview", vec!["theme", "preview", "light"]),
        ("warroom mitigation", "", vec!["mitigation", "add", "INC-4", "restart it", "--risk", "low"]),
        ("warroom playbook", "warroom playbook list", vec!["playbook", "list"]),
        ("warroom playbook", "warroom playbook match", vec!["playbook", "match", "INC-4"]),
        ("warroom playbook", "warroom playbook run", vec!["playbook", "run", "INC-4", "incident-response"]),
        ("warroom playbook", "warroom playbook lint", vec!["playbook", "lint", &log]),
        (other, "warroom doctor", vec!["doctor"]),
        (other, "warroom verify", vec!["verify"]),
        (other, "warroom stats", vec!["stats"]),
        (other, "warroom bundle export", vec!["bundle", "export", "INC-4", "-o", &bundle]),
        (other, "warroom bundle import", vec!["bundle", "import", &bundle]),
        (other, "warroom purge", vec!["purge", "--older-than", "1d"]),
    ];
    let mut wrong = Vec::new();
    for (section, marker, args) in cases {
        let (_, value) = json(d, &[&["--config", &config], args.as_slice()].concat());
        let shape = documented(section, marker);
        assert!(matches!(shape, Shape::Fields(_)), "{section} {marker}: {shape:?}");
        mismatches(&shape, &value, &args.join(" "), &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
