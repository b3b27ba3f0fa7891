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
    Chart2,
    Chart3,
    Chart4,
    Chart5,
    Chart6,
    Severity1,
    Severity2,
    Severity3,
    Severity4,
    Severity5,
}

impl Meaning {
    /// Every meaning.
    pub const ALL: [Self; 24] = [
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
        Self::Chart2,
        Self::Chart3,
        Self::Chart4,
        Self::Chart5,
        Self::Chart6,
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
            Self::Chart2 => "chart.2",
            Self::Chart3 => "chart.3",
            Self::Chart4 => "chart.4",
            Self::Chart5 => "chart.5",
            Self::Chart6 => "chart.6",
            Self::Severity1 => "severity.1",
            Self::Severity2 => "severity.2",
            Self::Severity3 => "severity.3",
            Self::Severity4 => "severity.4",
            Self::Severity5 => "severity.5",
        }
    }

    /// The meaning of the series with this number in a chart, counted from 0; it repeats after six.
    pub fn of_series(number: usize) -> Self {
        const SERIES: [Meaning; 6] =
            [Meaning::Chart, Meaning::Chart2, Meaning::Chart3, Meaning::Chart4, Meaning::Chart5, Meaning::Chart6];
        SERIES.get(number % SERIES.len()).copied().unwrap_or(Self::Chart)
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

const BUILT_IN: [(&str, &str); 5] = [
    ("dark", include_str!("../../themes/dark.toml")),
    ("light", include_str!("../../themes/light.toml")),
    ("colour-blind-dark", include_str!("../../themes/colour-blind-dark.toml")),
    ("colour-blind-light", include_str!("../../themes/colour-blind-light.toml")),
    ("ansi", include_str!("../../themes/ansi.toml")),
];

/// The theme that follows the background of the terminal.
pub(crate) const AUTOMATIC: &str = "auto";

/// The background of a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Background {
    #[default]
    Dark,
    Light,
}

impl Background {
    /// The background of this colour, with parts from 0 to 255.
    pub fn of(red: u8, green: u8, blue: u8) -> Self {
        // As bright as the middle between black and white for the eye.
        if luminance(red, green, blue) > 0.18 { Self::Light } else { Self::Dark }
    }

    /// The name of the built-in theme for it.
    pub fn theme(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Light => "light",
        }
    }
}

/// The relative luminance of a colour, from 0 for black to 1 for white (WCAG 2.1).
fn luminance(red: u8, green: u8, blue: u8) -> f64 {
    let linear = |part: u8| {
        let part = f64::from(part) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

/// How many colours a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    None,
    Sixteen,
    /// The palette of xterm.
    Indexed,
    /// Any colour.
    All,
}

impl Colours {
    /// The colours of the terminal that these environment variables describe.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Self {
        let has = |name: &str| get(name).is_some_and(|v| !v.is_empty());
        let term = get("TERM").unwrap_or_default();
        if has("NO_COLOR") {
            Self::None
        } else if get("COLORTERM").is_some_and(|v| v.contains("truecolor") || v.contains("24bit")) || term.contains("direct") {
            Self::All
        } else if matches!(term.as_str(), "linux" | "ansi" | "cygwin" | "xterm" | "screen")
            || term.starts_with("vt")
            || term.ends_with("-16color")
        {
            Self::Sixteen
        } else {
            Self::Indexed
        }
    }

    /// The nearest colour that the terminal can show.
    fn nearest(self, colour: Color) -> Color {
        let Color::Rgb(r, g, b) = colour else { return colour };
        match self {
            Self::All | Self::None => colour,
            Self::Indexed => Color::Indexed(nearest_index(r, g, b)),
            Self::Sixteen => nearest_named(r, g, b),
        }
    }
}

/// The levels of each part of a colour in the cube of xterm's palette.
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

fn distance(a: (u8, u8, u8), b: (u8, u8, u8)) -> u32 {
    [(a.0, b.0), (a.1, b.1), (a.2, b.2)].iter().map(|(x, y)| u32::from(x.abs_diff(*y)).pow(2)).sum()
}

/// The colour of xterm's palette, from 16, that is nearest.
fn nearest_index(r: u8, g: u8, b: u8) -> u8 {
    let cube = (0..216u8).map(|n| {
        let level = |n: u8| LEVELS.get(usize::from(n % 6)).copied().unwrap_or_default();
        (16 + n, (level(n / 36), level(n / 6), level(n)))
    });
    let greys = (0..24u8).map(|n| (232 + n, (8 + 10 * n, 8 + 10 * n, 8 + 10 * n)));
    cube.chain(greys).min_by_key(|(_, colour)| distance(*colour, (r, g, b))).map_or(16, |(index, _)| index)
}

/// The nearest of the sixteen colours, by their values in xterm.
fn nearest_named(r: u8, g: u8, b: u8) -> Color {
    [
        (Color::Black, (0, 0, 0)),
        (Color::Red, (205, 0, 0)),
        (Color::Green, (0, 205, 0)),
        (Color::Yellow, (205, 205, 0)),
        (Color::Blue, (0, 0, 238)),
        (Color::Magenta, (205, 0, 205)),
        (Color::Cyan, (0, 205, 205)),
        (Color::Gray, (229, 229, 229)),
        (Color::DarkGray, (127, 127, 127)),
        (Color::LightRed, (255, 92, 92)),
        (Color::LightGreen, (92, 255, 92)),
        (Color::LightYellow, (255, 255, 92)),
        (Color::LightBlue, (92, 92, 255)),
        (Color::LightMagenta, (255, 92, 255)),
        (Color::LightCyan, (92, 255, 255)),
        (Color::White, (255, 255, 255)),
    ]
    .into_iter()
    .min_by_key(|(_, colour)| distance(*colour, (r, g, b)))
    .map_or(Color::Reset, |(name, _)| name)
}

/// A style for every meaning.
#[derive(Clone, Debug)]
pub struct Theme {
    styles: BTreeMap<&'static str, Style>,
    has_colour: bool,
}

impl Theme {
    /// Loads a theme by name: a user's file or, if there is none with that name, a built-in theme. Also returns the problems
    /// in it. The built-in `dark` theme replaces anything that is invalid or missing. Colours that the terminal cannot show are
    /// replaced by the nearest ones. A style with a background is shown reversed without colours, and so is the selection with sixteen.
    pub fn load(name: &str, user: &[UserFile], colours: Colours) -> (Self, Vec<FileProblem>) {
        let mut problems = Vec::new();
        let mut styles = BTreeMap::new();
        collect("dark", &[], &mut styles, 0, &mut problems);
        if name != "dark" || user.iter().any(|f| f.name == name) {
            collect(name, user, &mut styles, 0, &mut problems);
        }
        for (name, style) in &mut styles {
            let is_faint = colours == Colours::Sixteen && *name == Meaning::Selection.name();
            if style.bg.is_some() && (colours == Colours::None || is_faint) {
                *style = Style { fg: None, bg: None, ..*style }.add_modifier(Modifier::REVERSED);
            }
            let shown = |colour: Option<Color>| colour.filter(|_| colours != Colours::None).map(|c| colours.nearest(c));
            (style.fg, style.bg) = (shown(style.fg), shown(style.bg));
        }
        (Self { styles, has_colour: colours != Colours::None }, problems)
    }

    /// The names of the built-in themes.
    pub fn built_in() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
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

/// Gives a cell the background of a style. A cell with a background of its own keeps it. Text without a colour of its own has that of
/// the terminal, which may not show on the background, so it gets that of the style.
pub(crate) fn tint(cell: &mut ratatui::buffer::Cell, style: Style) {
    if cell.bg != Color::Reset {
        return;
    }
    cell.bg = style.bg.unwrap_or(cell.bg);
    if cell.fg == Color::Reset {
        cell.fg = style.fg.unwrap_or(cell.fg);
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
            let theme = Theme::load(name, &[], Colours::All).0;
            assert_eq!(theme.styles.len(), Meaning::ALL.len(), "{name}");
            let plain = Theme::load(name, &[], Colours::None).0;
            assert!(plain.styles.values().all(|s| s.fg.is_none() && s.bg.is_none()));
            assert!(plain.style(Meaning::Selection).add_modifier.contains(Modifier::REVERSED));
        }
    }

    fn contrast(a: Color, b: Color) -> f64 {
        let of = |c: Color| match c {
            Color::Rgb(r, g, b) => luminance(r, g, b),
            other => panic!("{other:?} has no fixed value"),
        };
        let (x, y) = (of(a) + 0.05, of(b) + 0.05);
        x.max(y) / x.min(y)
    }

    /// Text must have a contrast of 4.5 to 1 with its background (WCAG 2.1, 1.4.3), a frame needs less.
    #[test]
    fn every_text_can_be_read_on_the_usual_backgrounds() {
        // Black, Solarized dark, Visual Studio Code, One Dark, Nord; white, Solarized light, a grey.
        let dark = [0x00_00_00, 0x00_2b_36, 0x1e_1e_1e, 0x28_2c_34, 0x2e_34_40];
        let light = [0xff_ff_ff, 0xfd_f6_e3, 0xf5_f5_f5];
        for (name, backgrounds) in
            [("dark", &dark[..]), ("colour-blind-dark", &dark[..]), ("light", &light[..]), ("colour-blind-light", &light[..])]
        {
            let theme = Theme::load(name, &[], Colours::All).0;
            let selected = theme.style(Meaning::Selection).bg.unwrap();
            for meaning in Meaning::ALL.into_iter().filter(|m| *m != Meaning::Selection) {
                let style = theme.style(meaning);
                let Some(fg) = style.fg else { continue };
                let needed = if meaning == Meaning::Border { 2.0 } else { 4.5 };
                let on = backgrounds.iter().map(|c| Color::from_u32(*c)).chain([selected]);
                for background in style.bg.map_or_else(|| on.collect::<Vec<_>>(), |own| vec![own]) {
                    let found = contrast(fg, background);
                    assert!(found >= needed, "{name} {} on {background}: {found:.2}", meaning.name());
                }
            }
        }
    }

    #[test]
    fn themes_keep_their_colours_in_the_palette_of_256_and_fit_sixteen() {
        for name in Theme::built_in() {
            let (all, indexed) = (Theme::load(name, &[], Colours::All).0, Theme::load(name, &[], Colours::Indexed).0);
            let sixteen = Theme::load(name, &[], Colours::Sixteen).0;
            for meaning in Meaning::ALL {
                if let (Some(Color::Rgb(r, g, b)), Some(Color::Indexed(n))) = (all.style(meaning).fg, indexed.style(meaning).fg) {
                    assert_eq!(nearest_index(r, g, b), n);
                    assert!(n >= 16, "the first sixteen are the user's");
                }
                let style = sixteen.style(meaning);
                assert!(!matches!(style.fg, Some(Color::Rgb(..) | Color::Indexed(_))), "{name} {meaning:?}");
            }
            assert!(sixteen.style(Meaning::Selection).add_modifier.contains(Modifier::REVERSED), "{name}");
        }
        assert_eq!((nearest_index(0x5f, 0xd7, 0xd7), nearest_index(0x9e, 0x9e, 0x9e)), (80, 247));
    }

    #[test]
    fn the_environment_says_how_many_colours_there_are() {
        for (variables, colours) in [
            (&[("TERM", "xterm-256color")][..], Colours::Indexed),
            (&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")], Colours::All),
            (&[("TERM", "tmux-256color"), ("NO_COLOR", "")], Colours::Indexed),
            (&[("TERM", "xterm-kitty"), ("NO_COLOR", "1"), ("COLORTERM", "truecolor")], Colours::None),
            (&[("TERM", "linux")], Colours::Sixteen),
            (&[("TERM", "vt220")], Colours::Sixteen),
            (&[("TERM", "alacritty")], Colours::Indexed),
        ] {
            let get = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
            assert_eq!(Colours::from_env(get), colours, "{variables:?}");
        }
        assert_eq!(Background::of(0xfd, 0xf6, 0xe3), Background::Light);
        assert_eq!(Background::of(0x2e, 0x34, 0x40), Background::Dark);
    }

    #[test]
    fn reports_problems_with_their_line_and_falls_back_to_the_default() {
        let with = |text: &str| {
            let file = UserFile { path: "themes/mine.toml".into(), name: "mine".into(), text: text.into() };
            let (theme, problems) = Theme::load("mine", &[file], Colours::All);
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
        let (_, problems) = Theme::load("drak", &[], Colours::All);
        assert!(problems.len() == 1 && problems[0].remedy.contains("Did you mean 'dark'"), "{problems:?}");
    }
}
