//! Themes, which map meanings to styles. No other module names colours.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use crate::incident::Severity;
use crate::telemetry::failure::{FileProblem, UserFile};
use crate::telemetry::words::nearest;
use crate::telemetry::{AlertSeverity, Level};

/// The meaning of a style. Themes map each meaning to a style.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meaning {
    Text,
    Title,
    Muted,
    Border,
    Accent,
    Selection,
    /// A search match within a line.
    Hit,
    Ok,
    Warn,
    Bad,
    Stale,
    Ai,
    Evidence,
    Chart,
    Severity1,
    Severity2,
    Severity3,
    Severity4,
    Severity5,
}

impl Meaning {
    /// Every meaning.
    pub const ALL: [Self; 19] = [
        Self::Text,
        Self::Title,
        Self::Muted,
        Self::Border,
        Self::Accent,
        Self::Selection,
        Self::Hit,
        Self::Ok,
        Self::Warn,
        Self::Bad,
        Self::Stale,
        Self::Ai,
        Self::Evidence,
        Self::Chart,
        Self::Severity1,
        Self::Severity2,
        Self::Severity3,
        Self::Severity4,
        Self::Severity5,
    ];

    /// The key in theme files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Title => "title",
            Self::Muted => "muted",
            Self::Border => "border",
            Self::Accent => "accent",
            Self::Selection => "selection",
            Self::Hit => "hit",
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Stale => "stale",
            Self::Ai => "ai",
            Self::Evidence => "evidence",
            Self::Chart => "chart",
            Self::Severity1 => "severity.1",
            Self::Severity2 => "severity.2",
            Self::Severity3 => "severity.3",
            Self::Severity4 => "severity.4",
            Self::Severity5 => "severity.5",
        }
    }

    /// The meaning of an incident severity.
    pub fn for_severity(severity: Severity) -> Self {
        match severity {
            Severity::Sev1 => Self::Severity1,
            Severity::Sev2 => Self::Severity2,
            Severity::Sev3 => Self::Severity3,
            Severity::Sev4 => Self::Severity4,
            Severity::Sev5 => Self::Severity5,
        }
    }

    /// The meaning of an alert severity.
    pub fn of_alert(severity: AlertSeverity) -> Self {
        match severity {
            AlertSeverity::Critical => Self::Severity2,
            AlertSeverity::High | AlertSeverity::Warning => Self::Severity3,
            AlertSeverity::Info | AlertSeverity::Low => Self::Severity4,
            AlertSeverity::Unknown => Self::Muted,
        }
    }

    /// The meaning of a log level.
    pub fn of_level(level: Option<Level>) -> Self {
        match level {
            Some(Level::Error | Level::Fatal) => Self::Bad,
            Some(Level::Warn) => Self::Warn,
            Some(Level::Info) | None => Self::Text,
            Some(Level::Debug | Level::Trace) => Self::Muted,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "the keys of a style in a theme file")]
struct RawStyle {
    fg: Option<String>,
    bg: Option<String>,
    #[serde(default)]
    bold: bool,
    #[serde(default)]
    dim: bool,
    #[serde(default)]
    italic: bool,
    #[serde(default)]
    underline: bool,
    #[serde(default)]
    reverse: bool,
}

const BUILT_IN: [(&str, &str); 2] =
    [("dark", include_str!("../../themes/dark.toml")), ("light", include_str!("../../themes/light.toml"))];

/// A style for every meaning.
#[derive(Clone, Debug)]
pub struct Theme {
    styles: BTreeMap<&'static str, Style>,
    has_colour: bool,
}

impl Theme {
    /// Loads a theme by name: a user's file or, if there is none with that name, a built-in theme. Also returns the problems
    /// in it. The built-in `dark` theme replaces anything that is invalid or missing. If `has_colour` is false, no style has
    /// a colour.
    pub fn load(name: &str, user: &[UserFile], has_colour: bool) -> (Self, Vec<FileProblem>) {
        let mut problems = Vec::new();
        let mut styles = BTreeMap::new();
        collect("dark", &[], &mut styles, 0, &mut problems);
        if name != "dark" || user.iter().any(|f| f.name == name) {
            collect(name, user, &mut styles, 0, &mut problems);
        }
        if !has_colour {
            for style in styles.values_mut() {
                style.fg = None;
                style.bg = None;
            }
        }
        (Self { styles, has_colour }, problems)
    }

    /// The style of a meaning.
    pub fn style(&self, meaning: Meaning) -> Style {
        self.styles.get(meaning.name()).copied().unwrap_or_default()
    }

    /// Whether the theme uses colours.
    pub fn has_colour(&self) -> bool {
        self.has_colour
    }
}

/// Adds the styles of a theme to `styles`, replacing existing ones. Styles of the theme that it inherits from are added
/// first. `depth` is the number of themes that inherit from this one, to stop at a cycle.
fn collect(
    name: &str,
    user: &[UserFile],
    styles: &mut BTreeMap<&'static str, Style>,
    depth: usize,
    problems: &mut Vec<FileProblem>,
) {
    let user_file = user.iter().find(|f| f.name == name);
    let built_in = BUILT_IN.iter().find(|(n, _)| *n == name).map(|(_, text)| *text);
    let file = user_file.map_or_else(|| format!("theme '{name}'"), |f| f.path.clone());
    let mut report = |line: Option<u64>, text: String, remedy: String| {
        problems.push(FileProblem { file: file.clone(), line, text, remedy });
    };
    let Some(text) = user_file.map(|f| f.text.as_str()).or(built_in) else {
        let mut known: Vec<&str> = BUILT_IN.iter().map(|(n, _)| *n).collect();
        known.extend(user.iter().map(|f| f.name.as_str()));
        let hint = nearest(name, known.iter().copied()).map_or_else(String::new, |n| format!("Did you mean '{n}'? "));
        let remedy = format!("{hint}Available themes: {}. The built-in dark theme is used instead.", known.join(", "));
        return report(None, "unknown theme".to_owned(), remedy);
    };
    let line_at = |at: usize| text.get(..at).and_then(|t| u64::try_from(t.matches('\n').count() + 1).ok());
    let table: BTreeMap<String, toml::Spanned<toml::Value>> = match toml::from_str(text) {
        Ok(table) => table,
        Err(e) => {
            let remedy = "Write lines such as muted = { fg = \"gray\" }. The built-in dark theme is used instead.";
            return report(e.span().and_then(|s| line_at(s.start)), e.message().to_owned(), remedy.to_owned());
        }
    };
    if let Some(parent) = table.get("inherits") {
        match parent.get_ref().as_str() {
            Some(_) if depth > 4 => {
                let remedy = "Remove one of the `inherits` lines.".to_owned();
                let problem = "the theme inherits from itself, or through a chain of more than 5 themes".to_owned();
                return report(line_at(parent.span().start), problem, remedy);
            }
            Some(parent) => collect(parent, user, styles, depth + 1, problems),
            None => {
                let problem = "`inherits` is not the name of a theme".to_owned();
                report(line_at(parent.span().start), problem, "Write a name, such as inherits = \"dark\".".to_owned());
            }
        }
    }
    let mut report = |line: Option<u64>, text: String, remedy: String| {
        problems.push(FileProblem { file: file.clone(), line, text, remedy });
    };
    for (key, value) in table {
        if key == "inherits" {
            continue;
        }
        let line = line_at(value.span().start);
        let Some(meaning) = Meaning::ALL.into_iter().find(|m| m.name() == key) else {
            let known = Meaning::ALL.map(Meaning::name);
            let hint = nearest(&key, known).map_or_else(String::new, |n| format!("Did you mean '{n}'? "));
            report(line, format!("unknown style '{key}'"), format!("{hint}Known styles: {}.", known.join(", ")));
            continue;
        };
        let raw: Result<RawStyle, toml::de::Error> = value.into_inner().try_into();
        match raw.map_err(|e| e.message().to_owned()).and_then(|raw| style(&raw).map_err(|c| format!("'{c}' is not a colour"))) {
            Ok(style) => {
                styles.insert(meaning.name(), style);
            }
            Err(why) => {
                let remedy = "Set fg and bg to a colour name such as red or to #rrggbb. \
                              Set bold, dim, italic, underline and reverse to true or false.";
                report(line, format!("{key}: {why}"), remedy.to_owned());
            }
        }
    }
}

fn style(raw: &RawStyle) -> Result<Style, String> {
    let mut style = Style::default();
    if let Some(fg) = &raw.fg {
        style = style.fg(colour(fg)?);
    }
    if let Some(bg) = &raw.bg {
        style = style.bg(colour(bg)?);
    }
    for (on, modifier) in [
        (raw.bold, Modifier::BOLD),
        (raw.dim, Modifier::DIM),
        (raw.italic, Modifier::ITALIC),
        (raw.underline, Modifier::UNDERLINED),
        (raw.reverse, Modifier::REVERSED),
    ] {
        if on {
            style = style.add_modifier(modifier);
        }
    }
    Ok(style)
}

fn colour(name: &str) -> Result<Color, String> {
    name.parse().map_err(|_e| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_theme_has_a_style_for_every_meaning() {
        for (name, _) in BUILT_IN {
            let theme = Theme::load(name, &[], true).0;
            assert_eq!(theme.styles.len(), Meaning::ALL.len(), "{name}");
            let plain = Theme::load(name, &[], false).0;
            assert!(plain.styles.values().all(|s| s.fg.is_none() && s.bg.is_none()));
            assert!(plain.style(Meaning::Selection).add_modifier.contains(Modifier::REVERSED));
        }
    }

    #[test]
    fn reports_problems_with_their_line_and_falls_back_to_the_default() {
        let with = |text: &str| {
            let file = UserFile { path: "themes/mine.toml".into(), name: "mine".into(), text: text.into() };
            let (theme, problems) = Theme::load("mine", &[file], true);
            assert_eq!(theme.styles.len(), Meaning::ALL.len(), "every meaning has a style");
            problems
        };
        for (text, line, part) in [
            ("ok = { fg = \"green\" }\nmutd = {}", Some(2), "unknown style 'mutd'"),
            ("muted = { fg = \"blurple\" }", Some(1), "'blurple' is not a colour"),
            ("inherits = \"mine\"", Some(1), "inherits from itself"),
            ("x = [", Some(1), ""),
            ("muted = { size = 3 }", Some(1), "unknown field"),
        ] {
            let problems = with(text);
            let [problem] = problems.as_slice() else { panic!("{text}: {problems:?}") };
            assert!(problem.text.contains(part) && problem.line == line && !problem.remedy.is_empty(), "{problem:?}");
            assert_eq!(problem.file, "themes/mine.toml");
        }
        let (_, problems) = Theme::load("drak", &[], true);
        assert!(problems.len() == 1 && problems[0].remedy.contains("Did you mean 'dark'"), "{problems:?}");
    }
}
