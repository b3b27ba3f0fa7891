//! Themes: meanings to styles. The only place that names colours.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use crate::incident::Severity;
use crate::telemetry::{AlertSeverity, Level};

/// What a style stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meaning {
    Text,
    Title,
    Muted,
    Border,
    Accent,
    Selection,
    /// What was searched for, within a line.
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

    /// Its name in a theme file.
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

    /// Of an incident's severity.
    pub fn of(severity: Severity) -> Self {
        match severity {
            Severity::Sev1 => Self::Severity1,
            Severity::Sev2 => Self::Severity2,
            Severity::Sev3 => Self::Severity3,
            Severity::Sev4 => Self::Severity4,
            Severity::Sev5 => Self::Severity5,
        }
    }

    /// Of an alert's severity.
    pub fn of_alert(severity: AlertSeverity) -> Self {
        match severity {
            AlertSeverity::Critical => Self::Severity2,
            AlertSeverity::High | AlertSeverity::Warning => Self::Severity3,
            AlertSeverity::Info | AlertSeverity::Low => Self::Severity4,
            AlertSeverity::Unknown => Self::Muted,
        }
    }

    /// Of a log level.
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

/// A theme that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("theme {name}: {reason}")]
pub struct ThemeError {
    name: String,
    reason: String,
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
    /// A built-in theme, or a user's file (its text given by `read` for a name). Without colours when `has_colour` is false.
    pub fn load(name: &str, read: impl Fn(&str) -> Option<String>, has_colour: bool) -> Result<Self, ThemeError> {
        let mut styles = BTreeMap::new();
        collect(name, &read, &mut styles, 0)?;
        if !has_colour {
            for style in styles.values_mut() {
                style.fg = None;
                style.bg = None;
            }
        }
        Ok(Self { styles, has_colour })
    }

    /// The style of a meaning; plain text when the theme lacks it.
    pub fn style(&self, meaning: Meaning) -> Style {
        self.styles.get(meaning.name()).copied().unwrap_or_default()
    }

    /// Whether it may use colours.
    pub fn has_colour(&self) -> bool {
        self.has_colour
    }
}

fn collect(
    name: &str,
    read: &impl Fn(&str) -> Option<String>,
    styles: &mut BTreeMap<&'static str, Style>,
    depth: usize,
) -> Result<(), ThemeError> {
    let fail = |reason: String| ThemeError { name: name.to_owned(), reason };
    if depth > 4 {
        return Err(fail("it inherits from itself".to_owned()));
    }
    let built_in = || BUILT_IN.iter().find(|(n, _)| *n == name).map(|(_, t)| (*t).to_owned());
    let text =
        read(name).or_else(built_in).ok_or_else(|| fail("there is no such theme; built in are dark and light".to_owned()))?;
    let table: toml::Table = toml::from_str(&text).map_err(|e| fail(e.message().to_owned()))?;
    if let Some(parent) = table.get("inherits") {
        let parent = parent.as_str().ok_or_else(|| fail("inherits must be a name".to_owned()))?;
        collect(parent, read, styles, depth + 1)?;
    }
    for (key, value) in table {
        if key == "inherits" {
            continue;
        }
        let Some(meaning) = Meaning::ALL.into_iter().find(|m| m.name() == key) else {
            let near = crate::config::nearest(&key, Meaning::ALL.iter().map(|m| m.name()));
            return Err(fail(format!(
                "'{key}' is no meaning{}",
                near.map_or_else(String::new, |n| format!("; did you mean '{n}'?"))
            )));
        };
        let raw: RawStyle = value.try_into().map_err(|e: toml::de::Error| fail(format!("{key}: {}", e.message())))?;
        styles.insert(meaning.name(), style(&raw).map_err(|c| fail(format!("{key}: '{c}' is no colour")))?);
    }
    Ok(())
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
            let theme = Theme::load(name, |_| None, true).unwrap();
            assert_eq!(theme.styles.len(), Meaning::ALL.len(), "{name}");
            let plain = Theme::load(name, |_| None, false).unwrap();
            assert!(plain.styles.values().all(|s| s.fg.is_none() && s.bg.is_none()));
            assert!(plain.style(Meaning::Selection).add_modifier.contains(Modifier::REVERSED));
        }
    }

    #[test]
    fn mistakes_are_told() {
        let with = |text: &'static str| {
            Theme::load("mine", move |n| (n == "mine").then(|| text.to_owned()), true).unwrap_err().to_string()
        };
        assert!(with("mutd = {}").contains("did you mean 'muted'"));
        assert!(with("muted = { fg = \"blurple\" }").contains("no colour"));
        assert!(with("inherits = \"mine\"").contains("inherits from itself"));
        assert!(Theme::load("nope", |_| None, true).is_err());
    }
}
