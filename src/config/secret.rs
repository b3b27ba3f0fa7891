//! Secrets: where they come from, and a value that does not print.

use std::path::Path;
use std::process::Command;

use secrecy::SecretString;

/// Where a secret comes from. A configuration holds this, never the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    Env(String),
    /// Run by `sh -c` (`cmd /C` on Windows); its first line of output is the secret.
    Command(String),
    File(String),
}

/// A secret that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(String);

impl SecretRef {
    /// Fetches it. Blocks while a command runs: call it off the async threads.
    pub fn resolve(&self) -> Result<SecretString, SecretError> {
        let text = match self {
            Self::Env(name) => std::env::var(name).map_err(|_unset| {
                SecretError(format!("the environment variable {name} is not set; set it, or use a command or a file"))
            })?,
            Self::Command(command) => run(command)?,
            Self::File(path) => read(Path::new(path))?,
        };
        let text = text.lines().next().unwrap_or("").trim();
        if text.is_empty() {
            return Err(SecretError(format!("{self} is empty")));
        }
        Ok(SecretString::from(text.to_owned()))
    }
}

impl std::fmt::Display for SecretRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the environment variable {name}"),
            Self::Command(_) => f.write_str("the output of the secret's command"),
            Self::File(path) => write!(f, "the file {path}"),
        }
    }
}

fn run(command: &str) -> Result<String, SecretError> {
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let output = Command::new(shell)
        .args([flag, command])
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|e| SecretError(format!("the secret's command could not be started: {e}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = crate::telemetry::clean::line(said.lines().next().unwrap_or("nothing"));
        return Err(SecretError(format!("the secret's command ended with {}: {said}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn read(path: &Path) -> Result<String, SecretError> {
    let shown = path.display();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_err(|e| SecretError(format!("{shown} cannot be read: {e}")))?.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(SecretError(format!("{shown} can be read by everybody: run `chmod 600 {shown}`")));
        }
    }
    std::fs::read_to_string(path).map_err(|e| SecretError(format!("{shown} cannot be read: {e}")))
}
