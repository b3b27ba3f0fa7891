//! Log lines that are read from the sources, and written to a file.

use std::path::Path;
use std::sync::Arc;

use crate::app::Msg;
use crate::app::board::Filter;
use crate::app::logs::searchable_text;
use crate::app::msg::{LineRequest, Lines, LinesRead};
use crate::config::expand_home;
use crate::incident::Refusal;
use crate::investigate::look::FoundLines;
use crate::investigate::{Desk, DeskError};
use crate::telemetry::{Failure, LogLine};

/// Reads log lines from the sources.
pub(super) async fn read(desk: Arc<Desk>, request: LineRequest) -> Result<Msg, DeskError> {
    let found = match (&request.search, &request.what) {
        (Some(search), _) => {
            let filter = Filter::new(search);
            // The fields too, because an id is often there alone.
            let matches = |line: &LogLine| {
                filter.matches(&searchable_text(line)) || line.fields.values().any(|v| filter.matches(&v.to_lowercase()))
            };
            desk.read_lines(request.window, true, matches).await
        }
        (None, Lines::Pattern(template)) => match Desk::matches_pattern(template) {
            Some(matches) => desk.read_lines(request.window, true, matches).await,
            None => desk.read_lines(request.window, false, |_| true).await,
        },
        (None, _) => desk.read_lines(request.window, false, |_| true).await,
    };
    let FoundLines { lines, searched, gaps } = found;
    Ok(Msg::LinesRead(request, LinesRead { lines, searched, gaps }))
}

/// Writes log lines to a file. An existing file is replaced only if `replace` is set.
pub(super) async fn save(path: String, text: String, replace: bool) -> Result<Msg, DeskError> {
    let file = expand_home(Path::new(&path));
    let file = std::path::absolute(&file).unwrap_or(file);
    let path = file.display().to_string();
    if !replace && tokio::fs::try_exists(&file).await.unwrap_or(false) {
        return Ok(Msg::LinesExist { path, text });
    }
    let fail = |e: std::io::Error| {
        Refusal::Invalid(Failure::new(format!("cannot write {path}")).because(&e).advise("Choose another path."))
    };
    tokio::fs::write(&file, text).await.map_err(fail)?;
    Ok(Msg::LinesSaved(path))
}
