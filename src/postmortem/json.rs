//! The JSON twin: the report's facts as they are.

use super::Report;

pub(super) fn render(report: &Report) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(report).map(|text| text + "\n")
}
