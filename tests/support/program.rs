//! Runs the warroom program the way a user does.

#![allow(dead_code, reason = "each test binary uses only a part of this module")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// A command for the program, with its store in `folder` and independent of the configuration of this machine.
pub(crate) fn warroom(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warroom"));
    command.args(args).current_dir(folder).env("WARROOM_STORE", format!("sqlite:{}", folder.join("journal.db").display()));
    command.env("XDG_CONFIG_HOME", folder).env("XDG_STATE_HOME", folder).env("XDG_DATA_HOME", folder).env("HOME", folder);
    command.env_remove("WARROOM_CONFIG").env("WARROOM_USER", "ana").stdin(std::process::Stdio::null());
    command
}

pub(crate) fn run(folder: &Path, args: &[&str]) -> Output {
    warroom(folder, args).output().unwrap()
}

/// Runs the program with `--json`; returns the exit status and the JSON from stdout.
pub(crate) fn json(folder: &Path, args: &[&str]) -> (i32, Value) {
    let output = warroom(folder, args).arg("--json").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let value = serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{args:?}: {e}: {text}\n{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap_or(-1), value)
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The single findings of `warroom investigate --json`, also those that a summary holds.
pub(crate) fn single_findings(found: &Value) -> Vec<Value> {
    let parts = |f: &Value| match f["details"].as_array() {
        Some(details) => details.clone(),
        None => vec![f.clone()],
    };
    found["findings"].as_array().unwrap().iter().filter(|f| f["kind"] != "conclusion").flat_map(parts).collect()
}
