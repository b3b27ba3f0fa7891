//! Log lines that are read from the sources, and written to a file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::app::Msg;
use crate::app::filter::Filter;
use crate::app::logs::{MAX_LINES, line_matches};
use crate::app::msg::{LineRequest, Lines, LinesRead};
use crate::config::expand_home;
use crate::incident::Refusal;
use crate::investigate::look::FoundLines;
use crate::investigate::{Desk, DeskError};
use crate::telemetry::{Failure, Window};

/// The shortest window that is read around a time.
const SHORTEST: Duration = Duration::from_secs(1);

/// The windows to try: the whole one, then shorter ones that keep the time of interest, or the end that joins what is shown.
fn windows(request: &LineRequest) -> Vec<Window> {
    let mut tried = vec![request.window];
    let mut length = request.window.length();
    while length / 4 >= SHORTEST {
        length /= 4;
        tried.push(match request.what {
            Lines::Around(at) => Window::new(at - length / 2, at + length / 2),
            Lines::Earlier => Window::new(request.window.end - length, request.window.end),
            _ => Window::new(request.window.start, request.window.start + length),
        });
    }
    tried
}

/// Reads log lines from the sources. Where there are more than can be shown, a shorter window is read, so that none is missing in it.
pub(super) async fn read(desk: Arc<Desk>, request: LineRequest) -> Result<Msg, DeskError> {
    let is_search = request.search.is_some();
    let mut window = request.window;
    let found = match (&request.search, &request.what) {
        (Some(search), _) => {
            let filter = Filter::new(search);
            desk.read_lines(window, true, |line| line_matches(&filter, line)).await
        }
        (None, Lines::Pattern(template)) => match Desk::matches_pattern(template) {
            Some(matches) => desk.read_lines(window, true, matches).await,
            None => desk.read_lines(window, false, |_| true).await,
        },
        (None, _) => {
            let mut found = FoundLines::default();
            for tried in windows(&request) {
                (window, found) = (tried, desk.read_lines(tried, is_search, |_| true).await);
                if !found.is_cut && found.lines.len() <= MAX_LINES {
                    break;
                }
            }
            found
        }
    };
    let FoundLines { lines, searched, gaps, .. } = found;
    Ok(Msg::LinesRead(request, LinesRead { window, lines, searched, gaps }))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Timestamp;

    #[test]
    fn shorter_windows_keep_the_time_and_the_end_that_joins() {
        let at = Timestamp::from_secs;
        let request = |what| LineRequest { id: 1, what, window: Window::new(at(0), at(120)), search: None };
        let around = windows(&request(Lines::Around(at(60))));
        assert!(
            around.iter().all(|w| w.contains(at(60))) && around.last().unwrap().length() < Duration::from_secs(4),
            "{around:?}"
        );
        assert!(windows(&request(Lines::Earlier)).iter().all(|w| w.end == at(120)));
        assert!(windows(&request(Lines::Later)).iter().all(|w| w.start == at(0)));
    }
}
