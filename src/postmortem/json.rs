//! The report as JSON.

use super::Report;

/// Pretty-printed JSON with a final line feed. Fails only if serialization fails.
pub(super) fn render(report: &Report) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(report).map(|text| text + "\n")
}
