//! `[[log_formats]]`: formats of log lines that the user describes.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::telemetry::Failure;
use crate::telemetry::parse::Format;

/// A format: a pattern with a name, or a file that lnav reads.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLogFormat {
    name: Option<String>,
    pattern: Option<String>,
    /// How times are written, in the letters of `strptime`.
    #[serde(default)]
    time: Times,
    /// Expressions for the texts of levels.
    #[serde(default)]
    levels: BTreeMap<String, String>,
    lnav: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Times {
    One(String),
    Several(Vec<String>),
}

impl Default for Times {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

/// The formats of a table. `config` is the file that it is in: the path of a definition is relative to its folder.
pub(super) fn log_formats(raw: RawLogFormat, config: &Path) -> Result<Vec<Format>, Failure> {
    let about =
        |what: &str, failure: Failure| Failure { message: format!("[[log_formats]] {what}: {}", failure.message), ..failure };
    match raw {
        RawLogFormat { lnav: Some(file), name: None, pattern: None, .. } => {
            let path = match file.strip_prefix("~/").zip(std::env::home_dir()) {
                Some((rest, home)) => home.join(rest),
                None => config.parent().unwrap_or(Path::new("")).join(&file),
            };
            let text = std::fs::read_to_string(&path)
                .map_err(|e| Failure::new(format!("[[log_formats]] cannot read {}: {e}", path.display())))?;
            Format::of_lnav(&text).map_err(|e| about(&file, e))
        }
        RawLogFormat { lnav: None, name: Some(name), pattern: Some(pattern), time, levels } => {
            let times = match time {
                Times::One(format) => vec![format],
                Times::Several(formats) => formats,
            };
            Format::of_pattern(&name, &pattern, &times, levels).map(|format| vec![format]).map_err(|e| about(&name, e))
        }
        _ => Err(Failure::new("a table of [[log_formats]] needs either name and pattern, or lnav")
            .advise("Write name = \"…\" and pattern = '…', or lnav = \"file.json\".")),
    }
}
