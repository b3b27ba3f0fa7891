//! Sets the version of the program: the release and, when built from a git checkout, the commit and its date.

use std::path::Path;
use std::process::Command;

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok().filter(|o| o.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn main() {
    let release = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    // A package unpacked inside another repository must not use the commit of that repository.
    let is_ours = Path::new(".git").exists();
    let commit = is_ours.then(|| git(&["log", "-1", "--format=%h %cs", "--abbrev=10"])).flatten();
    let version = commit.map_or_else(|| release.clone(), |commit| format!("{release} ({commit})"));
    println!("cargo:rustc-env=WARROOM_VERSION={version}");
    println!("cargo:rerun-if-changed=build.rs");
    // HEAD changes only with the branch; its reflog changes with every commit and checkout.
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]).filter(|p| is_ours && Path::new(p).exists()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
}
