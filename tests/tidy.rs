//! Checks of the source tree that the compiler does not make: imports between rooms, I/O in pure rooms, colours outside the
//! theme, file headers, and lists that are kept in two places.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The rooms that each room may import, from ARCHITECTURE.md, section 1. A room may always import itself.
fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    let pure = ["telemetry", "incident", "analysis", "evidence", "prompt", "postmortem", "playbook", "comms"];
    let mut rooms: BTreeMap<&str, Vec<&str>> = BTreeMap::from([
        ("telemetry", vec![]),
        ("incident", vec!["telemetry"]),
        ("analysis", vec!["incident", "telemetry"]),
        ("evidence", vec!["incident", "telemetry", "analysis"]),
        ("prompt", vec!["evidence", "incident", "telemetry", "analysis"]),
        ("postmortem", vec!["evidence", "incident", "telemetry", "analysis", "comms"]),
        ("playbook", vec!["incident", "telemetry"]),
        ("comms", vec!["incident", "telemetry"]),
        ("config", vec!["incident", "analysis", "telemetry"]),
        ("sources", vec!["telemetry", "config", "evidence", "analysis"]),
        ("journal", vec!["incident", "evidence", "telemetry"]),
        ("llm", vec!["prompt", "config", "incident", "telemetry", "evidence", "sources"]),
    ]);
    rooms.insert("notify", vec!["incident", "comms", "config", "evidence", "telemetry", "sources"]);
    let mut investigate = pure.to_vec();
    investigate.extend(["sources", "llm", "journal", "config", "notify"]);
    rooms.insert("investigate", investigate.clone());
    rooms.insert("app", pure.to_vec());
    let mut ui = pure.to_vec();
    ui.push("app");
    rooms.insert("ui", ui);
    let mut runtime = investigate.clone();
    runtime.extend(["investigate", "app", "ui"]);
    rooms.insert("runtime", runtime);
    let mut cli = investigate;
    cli.extend(["investigate", "runtime", "app"]);
    rooms.insert("cli", cli);
    rooms
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file without its test module, because tests may import more.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let end = text
        .find("#[cfg(test)]\nmod tests {")
        .or_else(|| text.find("#[cfg(test)]\npub(crate) mod tests {"))
        .unwrap_or(text.len());
    text[..end].to_owned()
}

/// The room that a file belongs to; `None` for `lib.rs` and `main.rs`.
fn room_of(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
    (!matches!(first.as_str(), "lib" | "main")).then_some(first)
}

#[test]
fn rooms_import_only_what_the_architecture_allows() {
    let allowed = allowed();
    let mut violations = Vec::new();
    let mut imports = 0;
    for path in files(&root().join("src")) {
        let Some(room) = room_of(&path) else { continue };
        if path.file_name().is_some_and(|n| n == "tests.rs") {
            continue;
        }
        let permitted =
            allowed.get(room.as_str()).unwrap_or_else(|| panic!("the room {room} is not in the table of ARCHITECTURE.md"));
        for (number, line) in code(&path).lines().enumerate() {
            for part in line.split("crate::").skip(1) {
                let target: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                imports += 1;
                if target != room && allowed.contains_key(target.as_str()) && !permitted.contains(&target.as_str()) {
                    violations.push(format!("{}:{}: {room} imports {target}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(imports > 200, "only {imports} imports were found");
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

/// Paths that leave a room go through `crate::`, so that the test above sees them.
#[test]
fn paths_to_other_rooms_begin_at_the_crate() {
    for path in files(&root().join("src")) {
        let depth = path.strip_prefix(root().join("src")).unwrap().components().count();
        for (number, line) in code(&path).lines().enumerate() {
            assert!(!line.contains(&"super::".repeat(depth)), "{}:{}: {line}", path.display(), number + 1);
        }
    }
}

/// The one builder selects the cryptography; a client of another builder would panic without it.
#[test]
fn every_http_client_comes_from_one_builder() {
    for path in files(&root().join("src")) {
        let count = code(&path).matches("reqwest::Client::").count();
        let expected = usize::from(path.ends_with("sources/http.rs"));
        assert_eq!(count, expected, "{}", path.display());
    }
}

#[test]
fn pure_rooms_read_no_clock_and_do_no_io() {
    let pure = ["telemetry", "incident", "analysis", "evidence", "prompt", "postmortem", "playbook", "comms", "app", "ui"];
    let forbidden = [
        "std::fs",
        "std::net",
        "std::env::var",
        "SystemTime::now",
        "Instant::now",
        "now_utc",
        "tokio::",
        "reqwest::",
        "rusqlite::",
    ];
    for path in files(&root().join("src")) {
        if room_of(&path).is_some_and(|r| pure.contains(&r.as_str())) && path.file_name().is_some_and(|n| n != "tests.rs") {
            let text = code(&path);
            for word in forbidden {
                assert!(!text.contains(word), "{} uses {word}", path.display());
            }
        }
    }
}

#[test]
fn only_the_theme_names_colours() {
    for path in files(&root().join("src")) {
        if !path.ends_with("ui/theme.rs") && !path.to_string_lossy().contains("ui/tests") {
            assert!(!code(&path).contains("Color::"), "{}", path.display());
        }
    }
}

#[test]
fn every_file_has_a_header() {
    for path in files(&root().join("src")) {
        if path.file_name().is_some_and(|n| n != "tests.rs") {
            assert!(std::fs::read_to_string(&path).unwrap().starts_with("//! "), "{} has no header", path.display());
        }
    }
}

#[test]
fn every_theme_file_is_registered() {
    let text = std::fs::read_to_string(root().join("src/ui/theme.rs")).unwrap();
    for entry in std::fs::read_dir(root().join("themes")).unwrap().map(Result::unwrap) {
        let name = entry.path().file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(text.contains(&format!("(\"{name}\", include_str!")), "{name}");
    }
}

#[test]
fn readme_names_every_command() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for command in warroom::cli::command().get_subcommands().filter(|c| c.get_name() != "help") {
        assert!(readme.contains(&format!("`warroom {}", command.get_name())), "README lacks `warroom {}`", command.get_name());
    }
}

/// The `warroom …` invocations of a Markdown text: inline code, and lines of code blocks.
fn invocations(text: &str) -> Vec<String> {
    let inline = text.split('`').skip(1).step_by(2).filter(|code| !code.contains('\n'));
    let blocks = text.split("```").skip(1).step_by(2).flat_map(str::lines);
    inline.chain(blocks).filter_map(|code| code.trim().strip_prefix("warroom ")).map(str::to_owned).collect()
}

#[test]
fn documented_commands_and_flags_exist() {
    let mut checked = 0;
    for file in ["README.md", "docs/json.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        for invocation in invocations(&text) {
            let mut command = warroom::cli::command();
            // Global arguments are accepted everywhere.
            let mut flags: Vec<String> = command.get_arguments().filter_map(|a| a.get_long()).map(str::to_owned).collect();
            flags.extend(["help".to_owned(), "version".to_owned()]);
            let mut words =
                invocation.split(|c: char| c.is_whitespace() || "[]|()".contains(c)).filter(|w| !w.is_empty()).peekable();
            while let Some(next) = words.peek().and_then(|w| command.find_subcommand(w)).cloned() {
                command = next;
                words.next();
            }
            let first = words.peek().copied().unwrap_or_default();
            let is_placeholder = first.chars().all(|c| c.is_ascii_uppercase());
            let is_open = is_placeholder || first == "…" || first.starts_with("--");
            assert!(is_open || !command.has_subcommands(), "{file}: `warroom {invocation}`: there is no command '{first}'");
            flags.extend(command.get_arguments().filter_map(|a| a.get_long()).map(str::to_owned));
            for flag in words.take_while(|w| !w.starts_with('#')).filter_map(|w| w.strip_prefix("--")) {
                let name = flag.split('=').next().unwrap().trim_end_matches([',', '.', ';', ':']);
                assert!(flags.iter().any(|f| f == name), "{file}: `warroom {invocation}`: there is no --{name}");
            }
            checked += 1;
        }
    }
    assert!(checked > 30, "only {checked} invocations were found");
}
