//! Runs the user's editor or pager on a text.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::telemetry::Failure;

/// The editor if neither `$VISUAL` nor `$EDITOR` names one.
const DEFAULT: &str = "vi";

/// The user's editor, with its arguments.
fn command() -> OsString {
    let named = ["VISUAL", "EDITOR"].iter().filter_map(std::env::var_os).find(|v| !v.is_empty());
    named.unwrap_or_else(|| DEFAULT.into())
}

/// A file that only this user can read, which goes away with this value.
struct Draft(PathBuf);

impl Draft {
    fn create(text: &str, ending: &str) -> std::io::Result<Self> {
        let folder = std::env::temp_dir();
        let mut last = None;
        for attempt in 0..100 {
            let path = folder.join(format!("warroom-{}-{attempt}.{ending}", std::process::id()));
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            match options.open(&path) {
                Ok(mut file) => {
                    let draft = Self(path);
                    file.write_all(text.as_bytes())?;
                    return Ok(draft);
                }
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => last = Some(e),
                Err(e) => return Err(e),
            }
        }
        Err(last.unwrap_or_else(|| std::io::Error::other("no name is free")))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.0);
    }
}

/// Opens a text in the user's editor and returns what the file holds when the editor ends. The terminal must be restored first.
///
/// # Errors
/// If the file cannot be written or read, or the editor cannot be run or fails. The text is then unchanged.
pub(super) async fn edit(text: &str) -> Result<String, Failure> {
    let failed =
        |what: String| Failure::new(what).advise("Set $VISUAL or $EDITOR to an editor that waits until the file is closed.");
    let draft = Draft::create(text, "md").map_err(|e| failed(format!("the text could not be written to a file: {e}")))?;
    let command = command();
    let shown = command.to_string_lossy().into_owned();
    // The shell splits the variable, which may have arguments, as other programs do.
    let mut line = command;
    line.push(" \"$1\"");
    let status = tokio::process::Command::new("sh").arg("-c").arg(line).arg("warroom").arg(draft.path()).status().await;
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(failed(format!("the editor '{shown}' failed: {status}"))),
        Err(e) => return Err(failed(format!("the editor '{shown}' could not be run: {e}"))),
    }
    let bytes = std::fs::read(draft.path()).map_err(|e| failed(format!("the edited file could not be read: {e}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Shows a text in lnav if it is installed, or else in the user's pager. The terminal must be restored first.
///
/// # Errors
/// If the file cannot be written, or no pager can be run.
pub(super) async fn page(text: &str) -> Result<(), Failure> {
    let failed = |what: String| Failure::new(what).advise("Install lnav, or set $PAGER.");
    let draft = Draft::create(text, "log").map_err(|e| failed(format!("the lines could not be written to a file: {e}")))?;
    // The shell looks for the programs and splits the variable, which may have arguments.
    let line = r#"if command -v lnav >/dev/null 2>&1; then exec lnav "$1"; else eval "${PAGER:-less}" '"$1"'; fi"#;
    let status = tokio::process::Command::new("sh").arg("-c").arg(line).arg("warroom").arg(draft.path()).status().await;
    match status {
        // A pager that was left with an interrupt reports that.
        Ok(status) if status.code() != Some(127) => Ok(()),
        Ok(_) => Err(failed("no pager was found".to_owned())),
        Err(e) => Err(failed(format!("the pager could not be run: {e}"))),
    }
}
