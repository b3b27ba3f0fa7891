//! What each style of a theme looks like, for `warroom theme preview`.

use ratatui::backend::IntoCrossterm;
use ratatui::style::Style;

use super::theme::{Meaning, Theme};

/// A style of a theme with an example of its use.
pub struct Sample {
    pub style: &'static str,
    pub example: &'static str,
    /// The example with the control sequences of its colours; as it is without colours.
    pub styled: String,
}

/// The styles of a theme, in the order of their list.
pub(crate) fn samples(theme: &Theme) -> Vec<Sample> {
    let sample = |meaning: Meaning| {
        let example = example(meaning);
        let styled = if theme.has_colour() { styled(example, theme.style(meaning)) } else { example.to_owned() };
        Sample { style: meaning.name(), example, styled }
    };
    Meaning::ALL.map(sample).into()
}

/// What a style is for, as an example.
fn example(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::Text => "checkout is failing",
        Meaning::Title => "Likely cause",
        Meaning::Muted => "updated 4s ago",
        Meaning::Border => "┌──────────┐",
        Meaning::Accent => "⏎ open",
        Meaning::Selection => "▌ the selected row",
        Meaning::Hit => "pool exhausted",
        Meaning::Ok => "✓ resolved",
        Meaning::Warn => "! 2 sources failed",
        Meaning::Bad => "● firing",
        Meaning::Stale => "○ stale 42s",
        Meaning::Ai => "AI Roll back 1.42.0.",
        Meaning::Evidence => "[E6]",
        Meaning::Chart2 => "b second series",
        Meaning::Chart3 => "c third series",
        Meaning::Chart4 => "d fourth series",
        Meaning::Chart5 => "e fifth series",
        Meaning::Chart6 => "f sixth series",
        Meaning::Chart => "▁▁▁▁▂▅▇█",
        Meaning::Severity1 => "SEV1",
        Meaning::Severity2 => "SEV2",
        Meaning::Severity3 => "SEV3",
        Meaning::Severity4 => "SEV4",
        Meaning::Severity5 => "SEV5",
    }
}

/// A text in a style, as the terminal shows it.
fn styled(text: &str, style: Style) -> String {
    let style: crossterm::style::ContentStyle = style.into_crossterm();
    style.apply(text).to_string()
}
