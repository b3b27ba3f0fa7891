//! Formats of logs that people describe: a regular expression with named groups, or a definition as lnav reads it
//! (<https://docs.lnav.org/en/latest/formats.html>). A line that none of them matches is read as any other.

use std::sync::Arc;

use regex::{Captures, Regex};
use serde_json::{Map, Value};

use super::super::clean;
use super::super::failure::Failure;
use super::super::log::{Level, LogLine};
use super::super::time::Timestamp;
use super::time_format::TimeFormat;
use super::{Context, fields, roles, service_from, stamp};

/// The most fields that are kept of a line.
const MAX_FIELDS: usize = 64;

/// How a line is recognised.
#[derive(Clone, Debug)]
enum Shape {
    /// One of these expressions matches it.
    Patterns(Vec<Regex>),
    /// It is a JSON object that has the field of the time.
    Json,
}

/// The names of groups or fields for each part of a line; the first that a line has counts.
#[derive(Clone, Debug)]
struct Parts {
    time: Vec<String>,
    level: Vec<String>,
    message: Vec<String>,
    service: Vec<String>,
}

impl Default for Parts {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        Self {
            time: names(&["time", "timestamp"]),
            level: names(&["level", "severity"]),
            message: names(&["message", "msg", "body"]),
            service: names(&["service"]),
        }
    }
}

/// A format of lines.
#[derive(Clone, Debug)]
pub struct Format {
    pub name: String,
    shape: Shape,
    parts: Parts,
    /// What the text of a level is, tried in order, before the words of levels that everyone uses.
    levels: Vec<(Level, Regex)>,
    times: Vec<TimeFormat>,
    /// What a number under the field of the time is divided by to get seconds.
    divisor: Option<f64>,
}

/// The formats that people described, in the order in which they are tried.
#[derive(Clone, Debug, Default)]
pub struct Formats(Arc<Vec<Format>>);

impl From<Vec<Format>> for Formats {
    fn from(formats: Vec<Format>) -> Self {
        Self(Arc::new(formats))
    }
}

impl Formats {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads a line in the first format that matches it, and returns the name of that format as well.
    pub fn read(&self, raw: &str, context: Context) -> Option<(LogLine, &str)> {
        self.0.iter().find_map(|format| Some((format.read(raw, context)?, format.name.as_str())))
    }
}

fn expression(pattern: &str, of: &str) -> Result<Regex, Failure> {
    Regex::new(pattern).map_err(|e| {
        let reason = e.to_string();
        let reason = reason.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("it is no regular expression").trim().to_owned();
        Failure::new(format!("the pattern of {of} cannot be used: {}", reason.trim_start_matches("error: "))).advise(
            "Write it without look-around and back-references, which the engine leaves out so that no line can take long: https://docs.rs/regex",
        )
    })
}

fn level_rules(levels: impl IntoIterator<Item = (String, String)>) -> Result<Vec<(Level, Regex)>, Failure> {
    let rule = |(name, pattern): (String, String)| {
        // The names of lnav.
        let level = match name.as_str() {
            "stats" | "notice" => Some(Level::Info),
            "critical" => Some(Level::Fatal),
            other => Level::from_word(other.trim_end_matches(|c: char| c.is_ascii_digit())).filter(|_| other.len() > 2),
        };
        let level = level.ok_or_else(|| {
            Failure::new(format!("'{name}' is no level")).advise("Use trace, debug, info, warn, error or fatal.")
        })?;
        Ok((level, expression(&pattern, &format!("the level '{name}'"))?))
    };
    let mut rules = levels.into_iter().map(rule).collect::<Result<Vec<_>, Failure>>()?;
    // The most severe first, so that the order of a table does not matter.
    rules.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
    Ok(rules)
}

fn time_formats(formats: &[String]) -> Result<Vec<TimeFormat>, Failure> {
    let format = |text: &String| {
        TimeFormat::new(text).map_err(|letter| {
            Failure::new(format!("'%{letter}' in the time format '{text}' is not known"))
                .advise("Use the letters of strptime, such as %Y-%m-%d %H:%M:%S, and %L for milliseconds.")
        })
    };
    formats.iter().map(format).collect()
}

impl Format {
    /// A format by a regular expression. Its groups `time`, `level`, `service` and `message` are what they say; all other named groups become
    /// fields. `times`: how times are written, if not in a form that is known anyway. `levels`: expressions for the texts of levels.
    ///
    /// # Errors
    /// When an expression cannot be used, or the pattern has none of the groups `time` and `message`.
    pub fn of_pattern(
        name: &str,
        pattern: &str,
        times: &[String],
        levels: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Failure> {
        let parts = Parts::default();
        let pattern = expression(pattern, &format!("'{name}'"))?;
        let has = |wanted: &[String]| pattern.capture_names().flatten().any(|group| wanted.iter().any(|w| w == group));
        if !has(&parts.time) && !has(&parts.message) {
            return Err(Failure::new(format!("the pattern of '{name}' has neither a group 'time' nor a group 'message'"))
                .advise("Name its groups, as in (?<time>\\S+) (?<level>\\w+) (?<message>.*)."));
        }
        Ok(Self {
            name: name.to_owned(),
            shape: Shape::Patterns(vec![pattern]),
            parts,
            levels: level_rules(levels)?,
            times: time_formats(times)?,
            divisor: None,
        })
    }

    /// The formats of a definition as lnav reads it.
    ///
    /// # Errors
    /// When it is no such definition, with the format and the key.
    pub fn of_lnav(text: &str) -> Result<Vec<Self>, Failure> {
        let value: Value = serde_json::from_str(text).map_err(|e| Failure::new(format!("it is not JSON: {e}")))?;
        let Value::Object(object) = value else { return Err(Failure::new("it is not a JSON object of formats")) };
        let formats = object.iter().filter(|(name, _)| !name.starts_with('$'));
        let formats: Vec<Self> = formats.map(|(name, format)| Self::of_lnav_format(name, format)).collect::<Result<_, _>>()?;
        if formats.is_empty() { Err(Failure::new("it has no format")) } else { Ok(formats) }
    }

    fn of_lnav_format(name: &str, value: &Value) -> Result<Self, Failure> {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let texts = |key: &str| -> Vec<String> {
            value.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
        };
        let pairs = |key: &str| -> Map<String, Value> { value.get(key).and_then(Value::as_object).cloned().unwrap_or_default() };
        let is_json = text("file-type").as_deref() == Some("json") || value.get("json").and_then(Value::as_bool) == Some(true);
        let patterns = pairs("regex")
            .iter()
            .filter_map(|(key, regex)| Some((key, regex.get("pattern")?.as_str()?)))
            .map(|(key, pattern)| expression(pattern, &format!("'{name}' ({key})")))
            .collect::<Result<Vec<_>, _>>()?;
        if patterns.is_empty() && !is_json {
            return Err(Failure::new(format!("the format '{name}' has no 'regex' with a 'pattern'")));
        }
        let mut parts = Parts::default();
        for (key, names) in [
            ("timestamp-field", &mut parts.time),
            ("level-field", &mut parts.level),
            ("body-field", &mut parts.message),
            (if value.get("service-field").is_some() { "service-field" } else { "module-field" }, &mut parts.service),
        ] {
            names.splice(0..0, text(key));
        }
        let levels = pairs("level").into_iter().filter_map(|(level, pattern)| Some((level, pattern.as_str()?.to_owned())));
        Ok(Self {
            name: name.to_owned(),
            shape: if is_json { Shape::Json } else { Shape::Patterns(patterns) },
            parts,
            levels: level_rules(levels)?,
            times: time_formats(&texts("timestamp-format"))?,
            divisor: value.get("timestamp-divisor").and_then(Value::as_f64).filter(|d| *d > 0.0),
        })
    }

    /// Reads a line. `None` if it has another format.
    pub fn read(&self, raw: &str, context: Context) -> Option<LogLine> {
        let pairs = match &self.shape {
            Shape::Patterns(patterns) => {
                let (pattern, captures) = patterns.iter().find_map(|p| Some((p, p.captures(raw)?)))?;
                groups(pattern, &captures)
            }
            Shape::Json => fields::flat(raw).filter(|pairs| pairs.iter().any(|(key, _)| Some(key) == self.parts.time.first()))?,
        };
        Some(self.line(pairs, context))
    }

    /// The line of named values.
    fn line(&self, pairs: Vec<(String, String)>, context: Context) -> LogLine {
        let first = |names: &[String]| names.iter().find_map(|name| pairs.iter().find(|(key, _)| key == name)).cloned();
        let (time, level) = (first(&self.parts.time), first(&self.parts.level));
        let (message, service) = (first(&self.parts.message), first(&self.parts.service));
        let used = [&time, &level, &message];
        let is_used = |key: &str| used.iter().any(|pair| pair.as_ref().is_some_and(|(k, _)| k == key));
        let mut line = LogLine::plain("");
        line.at = time.as_ref().and_then(|(_, value)| self.time(value.trim(), context));
        line.level = level.as_ref().and_then(|(key, value)| self.level(key, value.trim(), context));
        for (key, value) in pairs.iter().filter(|(key, _)| !is_used(key)).take(MAX_FIELDS) {
            line.fields.insert(clean::line(key), clean::truncate(&clean::block(value), 4096));
        }
        line.service = service.map(|(_, name)| clean::line(&name)).or_else(|| service_from(&line.fields));
        line.message = match message {
            Some((_, text)) => clean::block(text.trim_end()),
            None => line.fields.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" "),
        };
        line
    }

    fn time(&self, text: &str, context: Context) -> Option<Timestamp> {
        if let Some((divisor, number)) = self.divisor.zip(text.parse::<f64>().ok()) {
            return Timestamp::from_secs_f64(number / divisor);
        }
        let described = self.times.iter().find_map(|format| format.read(text, context));
        let known = || stamp::leading(text, context).or_else(|| stamp::time_of_day(text, context)).map(|(at, _)| at);
        described.or_else(known).or_else(|| text.parse().ok().and_then(stamp::from_number))
    }

    fn level(&self, key: &str, text: &str, context: Context) -> Option<Level> {
        let stated = self.levels.iter().find(|(_, pattern)| pattern.is_match(text)).map(|(level, _)| *level);
        stated.or_else(|| roles::level(&key.to_ascii_lowercase(), text, context))
    }
}

/// The named groups that took part in a match.
fn groups(pattern: &Regex, captures: &Captures<'_>) -> Vec<(String, String)> {
    let names = pattern.capture_names().flatten();
    names.filter_map(|name| Some((name.to_owned(), captures.name(name)?.as_str().to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context::utc(Timestamp::parse("2026-11-21T12:00:00Z").unwrap())
    }

    #[test]
    fn a_pattern_says_what_the_parts_of_a_line_are() {
        let levels = [("error".to_owned(), "^[KF]$".to_owned()), ("info".to_owned(), "^N$".to_owned())];
        let pattern = r"^(?<time>\S+ \S+) <(?<level>.)> \{(?<service>[^}]*)\} (?:(?<order>\d+): )?(?<message>.*)";
        let format = Format::of_pattern("house", pattern, &["%d-%m %H.%M.%S".to_owned()], levels).unwrap();
        let line = format.read("21-11 09.31.07 <K> {cart} 17: full", context()).unwrap();
        assert_eq!(line.at.map(Timestamp::rfc3339).as_deref(), Some("2026-11-21T09:31:07Z"));
        assert_eq!((line.level, line.service.as_deref(), line.message.as_str()), (Some(Level::Error), Some("cart"), "full"));
        assert_eq!(line.fields.get("order").map(String::as_str), Some("17"));
        assert_eq!(format.read("21-11 09.31.07 <N> {cart} fine", context()).unwrap().level, Some(Level::Info));
        assert_eq!(format.read("another line", context()), None);
        // Without a format of its own, a time is read as in any log.
        let plain = Format::of_pattern("plain", r"^#(?<timestamp>[^#]+)#(?<severity>\w+)#(?<body>.*)", &[], []).unwrap();
        let line = plain.read("#2026-11-21T09:31:07Z#WARN#slow", context()).unwrap();
        assert_eq!(
            (line.at.map(Timestamp::secs), line.level, line.message.as_str()),
            (Some(1_795_253_467), Some(Level::Warn), "slow")
        );
    }

    #[test]
    fn a_definition_of_lnav_is_a_format() {
        let definition = r#"{"$schema": "https://lnav.org/schemas/format-v1.schema.json", "house_log": {"title": "House",
            "regex": {"std": {"pattern": "^(?<ts>\\d+)\\|(?<lvl>\\w+)\\|(?<mod>\\w+)\\|(?<body>.*)$"}},
            "timestamp-field": "ts", "timestamp-divisor": 1000, "level-field": "lvl", "module-field": "mod",
            "level": {"critical": "^X$", "error": "^E"}, "value": {"mod": {"kind": "string"}}},
          "house_json": {"file-type": "json", "timestamp-field": "when", "body-field": "what", "level-field": "how", "level": {"error": "bad"}}}"#;
        let formats = Formats::from(Format::of_lnav(definition).unwrap());
        let (line, name) = formats.read("1795253467000|E12|cart|full", context()).unwrap();
        assert_eq!((name, line.at.map(Timestamp::secs), line.level), ("house_log", Some(1_795_253_467), Some(Level::Error)));
        assert_eq!((line.service.as_deref(), line.message.as_str()), (Some("cart"), "full"));
        assert_eq!(formats.read("1|X|cart|full", context()).unwrap().0.level, Some(Level::Fatal));
        let (line, name) =
            formats.read(r#"{"when":"2026-11-21T09:31:07Z","how":"very bad","what":"full","n":1}"#, context()).unwrap();
        assert_eq!((name, line.level, line.message.as_str()), ("house_json", Some(Level::Error), "full"));
        assert!(formats.read(r#"{"time":"2026-11-21T09:31:07Z"}"#, context()).is_none());
    }

    #[test]
    fn mistakes_are_explained() {
        let of = |pattern: &str, times: &[String], level: &str| {
            Format::of_pattern("x", pattern, times, [(level.to_owned(), "E".to_owned())]).unwrap_err().summary()
        };
        assert!(of("(?<time>", &[], "error").contains("the pattern of 'x' cannot be used"));
        assert!(of("(?<time>a)(?=b)", &[], "error").contains("look-around"));
        assert!(of("(?<when>a)", &[], "error").contains("neither a group 'time' nor a group 'message'"));
        assert!(of("(?<time>a)", &["%Q".to_owned()], "error").contains("'%Q'"));
        assert!(of("(?<time>a)", &[], "loud").contains("'loud' is no level"));
        for (text, problem) in
            [("{", "not JSON"), ("[]", "not a JSON object"), ("{}", "no format"), (r#"{"a":{}}"#, "has no 'regex'")]
        {
            assert!(Format::of_lnav(text).unwrap_err().summary().contains(problem), "{text}");
        }
    }
}
