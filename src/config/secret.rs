//! References to secrets, and how to fetch them.

use std::path::Path;
use std::process::Command;

use secrecy::SecretString;
use serde::Deserialize;

/// A command in a configuration: a string for the shell, or a list with a program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum CommandLine {
    Shell(String),
    Program(Vec<String>),
}

impl CommandLine {
    /// The program and its arguments. A string becomes `sh -c …` (`cmd /C …` on Windows).
    pub fn argv(&self) -> Vec<String> {
        let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
        match self {
            Self::Shell(command) => vec![shell.to_owned(), flag.to_owned(), command.clone()],
            Self::Program(argv) => argv.clone(),
        }
    }
}

/// The place of a secret. A configuration contains this, never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    Env(String),
    /// The secret is the first line that the command prints.
    Command(CommandLine),
    File(String),
}

/// A secret that could not be fetched, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(String);

impl SecretRef {
    /// Fetches the secret: the first line, trimmed. Blocks while a command runs, so do not call this on an async thread.
    ///
    /// # Errors
    /// If it cannot be read or is empty, or if its file is accessible to every user.
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
        let printed = crate::telemetry::clean::line(printed.lines().next().unwrap_or("no error output"));
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
            return Err(SecretError(format!("{shown} is accessible to every user (`chmod 600 {shown}` restricts it)")));
        }
    }
    std::fs::read_to_string(path).map_err(|e| SecretError(format!("cannot read {shown}: {e}")))
}
