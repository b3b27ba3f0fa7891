//! The post-mortem: an incident and its evidence as Markdown, HTML and JSON.
//!
//! Pure: "now" is the time of the last journal entry, so the same journal gives the same bytes. [`Report`] computes every
//! fact once and the formats only render it, so they cannot disagree. Every section of a full post-mortem is present. What is
//! not known is a list of open questions, and what is missing is listed at the top.

mod appendix;
mod external;
mod html;
mod json;
pub(crate) mod markdown;
mod prose;
pub(crate) mod report;
mod story;
mod text;

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::evidence::Body;
use crate::incident::Incident;
pub(crate) use external::External;
pub(crate) use report::Report;
pub(crate) use report::{MissingPart, Remedy};

/// An output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Markdown,
    /// Markdown for a terminal: without links between evidence tags and the appendix.
    Text,
    Html,
    Json,
}

impl FromStr for Format {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "md" | "markdown" => Ok(Self::Markdown),
            "html" => Ok(Self::Html),
            "json" => Ok(Self::Json),
            _ => Err(format!("unknown format '{text}': use md, html or json")),
        }
    }
}

/// The post-mortem of one incident, ready to render.
#[derive(Clone, Debug)]
pub(crate) struct Postmortem {
    report: Report,
}

impl Postmortem {
    /// Computes the report. `bodies` are keyed by digest; evidence whose body is missing is reported as such.
    pub(crate) fn new(incident: &Incident, bodies: &BTreeMap<String, Body>) -> Self {
        Self { report: Report::new(incident, bodies) }
    }

    /// Marks the post-mortem as resting on damaged records.
    pub(crate) fn with_damage(mut self, damage: Vec<String>) -> Self {
        self.report.damage = damage;
        self
    }

    /// Adds the times of a time zone next to UTC. UTC itself adds nothing.
    pub(crate) fn with_offset(mut self, offset: Option<time::UtcOffset>) -> Self {
        self.report.offset = offset.filter(|o| !o.is_utc());
        self
    }

    /// What is still missing.
    pub(crate) fn missing(&self) -> Vec<String> {
        self.report.missing.iter().map(|m| format!("{}: {}", m.section, m.what)).collect()
    }

    /// What is still missing, each part with what adds it, and taken out of the document.
    pub(crate) fn take_missing(&mut self) -> Vec<MissingPart> {
        let part = |m: report::Missing| {
            // The remedy in parentheses is for the command line.
            let bare = m.what.rsplit_once(" (").filter(|(_, rest)| rest.ends_with(')')).map(|(what, _)| what.to_owned());
            MissingPart { what: format!("{}: {}", m.section, bare.unwrap_or(m.what)), remedy: m.remedy }
        };
        std::mem::take(&mut self.report.missing).into_iter().map(part).collect()
    }

    /// The version for customers, which names nothing internal.
    pub(crate) fn external(&self, names: &crate::telemetry::Names) -> External {
        external::render(&self.report, names)
    }

    /// The version for customers as a page.
    pub(crate) fn external_page(&self, external: &External) -> String {
        html::document(&self.report.id, &html::page(&self.report, &external.text))
    }

    /// Renders the post-mortem, ending with a line feed. Fails only if JSON serialization fails.
    pub(crate) fn render(&self, format: Format) -> Result<String, serde_json::Error> {
        match format {
            Format::Text => Ok(markdown::render(&self.report)),
            Format::Markdown => Ok(markdown::linked(&self.report, &markdown::render(&self.report))),
            Format::Html => Ok(html::render(&self.report)),
            Format::Json => json::render(&self.report),
        }
    }
}

#[cfg(test)]
mod tests;
