//! The post-mortem: an incident and its evidence as Markdown, HTML and JSON.
//!
//! Pure, and blind to the clock: "now" is the last entry, so the same journal gives the same bytes. [`Report`] holds every
//! computed fact once; the formats only write it down, so that they cannot disagree. The sections are those of a full
//! post-mortem; what is not known says so, with who finds out by when, and is listed at the top.

mod html;
mod json;
pub mod markdown;
pub mod report;
mod text;

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::evidence::Body;
use crate::incident::Incident;
pub use report::Report;

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Markdown,
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
            _ => Err(format!("'{text}' is not a format: give md, html or json")),
        }
    }
}

/// A post-mortem, computed.
#[derive(Clone, Debug)]
pub struct Postmortem {
    report: Report,
}

impl Postmortem {
    /// Computes everything that the formats write down. `bodies` by digest; missing ones are told as missing.
    pub fn new(incident: &Incident, bodies: &BTreeMap<String, Body>) -> Self {
        Self { report: Report::new(incident, bodies) }
    }

    /// The computed facts.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Written in a format, with a final line feed.
    pub fn render(&self, format: Format) -> Result<String, serde_json::Error> {
        match format {
            Format::Markdown => Ok(markdown::render(&self.report)),
            Format::Html => Ok(html::render(&self.report)),
            Format::Json => json::render(&self.report),
        }
    }
}

#[cfg(test)]
mod tests;
