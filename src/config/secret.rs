//! Secrets: where they come from.

use std::path::Path;
use std::process::Command;

use secrecy::SecretString;
use serde::Deserialize;

/// A command in a configuration: a string is run by the shell, a list is a program with its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum CommandLine {
    Shell(String),
    Program(Vec<String>),
}

impl CommandLine {
    /// Program and arguments. A string becomes `sh -c …` (`cmd /C …` on Windows).
    pub fn argv(&self) -> Vec<String> {
        let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
        match self {
            Self::Shell(command) => vec![shell.to_owned(), flag.to_owned(), command.clone()],
            Self::Program(argv) => argv.clone(),
        }
    }
}

/// Where a secret comes from. A configuration holds this, never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    Env(String),
    /// The first line that the command prints is the secret.
    Command(CommandLine),
    File(String),
}

/// Why a secret is not available.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(String);

impl SecretRef {
    /// Fetches the secret. Blocks while a command runs, so do not call it on an async thread.
    pub fn resolve(&self) -> Result<SecretString, SecretError> {
        let text = match self {
            Self::Env(name) => {
                std::env::var(name).map_err(|_unset| SecretError(format!("the environment variable {name} is not set")))?
            }
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

fn run(command: &CommandLine) -> Result<String, SecretError> {
    let argv = command.argv();
    let Some((program, args)) = argv.split_first() else { return Err(SecretError("the secret's command is empty".to_owned())) };
    let output = Command::new(program)
        .args(args)
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|e| SecretError(format!("cannot run the secret's command: {e}")))?;
    if !output.status.success() {
        let printed = String::from_utf8_lossy(&output.stderr);
        let printed = crate::telemetry::clean::line(printed.lines().next().unwrap_or("nothing"));
        return Err(SecretError(format!("the secret's command failed with {}: {printed}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn read(path: &Path) -> Result<String, SecretError> {
    let shown = path.display();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_err(|e| SecretError(format!("cannot read {shown}: {e}")))?.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(SecretError(format!("{shown} can be read by every user; run `chmod 600 {shown}`")));
        }
    }
    std::fs::read_to_string(path).map_err(|e| SecretError(format!("cannot read {shown}: {e}")))
}
