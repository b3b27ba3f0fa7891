//! The user's own commands, and presets: folders that a team shares, such as a git checkout, with playbooks and commands.
//!
//! What comes from a preset runs only after the user has trusted its digest, which covers every file in the folder. After a change it has
//! to be trusted again.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Config, UserFile, data_folder, expand_home, read_user_file, unreadable};
use crate::telemetry::Failure;
use crate::telemetry::failure::FileProblem;

/// The largest number of files in a preset, and their largest size together, in bytes.
const MAX_FILES: usize = 2_000;
const MAX_BYTES: u64 = 32 * 1024 * 1024;
/// The default and the maximum run time of a command.
const TIMEOUT: Duration = Duration::from_mins(1);
const MAX_TIMEOUT: Duration = Duration::from_hours(1);
/// The file of a preset that lists its commands.
const COMMANDS: &str = "commands.toml";

/// A command of the user, run with the variables of what is selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandConfig {
    pub name: String,
    pub help: String,
    /// The shell script, with variables such as `$service`.
    pub run: String,
    /// Whether it is shown and confirmed before it runs.
    pub confirm: bool,
    /// Whether it changes nothing. Only such a command runs in read-only mode.
    pub reads_only: bool,
    /// Whether each output is kept as evidence.
    pub evidence: bool,
    pub timeout: Duration,
    /// The name of the preset that it is from; `None` if it is the user's own.
    pub preset: Option<String>,
}

/// A command as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCommand {
    name: String,
    #[serde(default)]
    help: String,
    run: String,
    confirm: Option<bool>,
    #[serde(default)]
    reads_only: bool,
    #[serde(default)]
    evidence: bool,
    timeout_secs: Option<f64>,
}

/// `commands.toml` of a preset.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandsFile {
    #[serde(default)]
    commands: Vec<RawCommand>,
}

/// The path of a preset as written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresetConfig {
    pub path: String,
}

/// Checks a command.
pub(super) fn command(raw: RawCommand, preset: Option<&str>) -> Result<CommandConfig, Failure> {
    let name = raw.name.trim().to_owned();
    let fail = |text: String, remedy: &str| Err(Failure::new(format!("command '{name}': {text}")).advise(remedy));
    if name.is_empty() || name.contains(char::is_whitespace) || name.starts_with('-') {
        return fail("its name is not a single word".to_owned(), "Choose a name such as pods.");
    }
    if raw.run.trim().is_empty() {
        return fail("run is empty".to_owned(), "Set run to a shell script.");
    }
    let secs = raw.timeout_secs.unwrap_or(TIMEOUT.as_secs_f64());
    if !(secs > 0.0 && secs <= MAX_TIMEOUT.as_secs_f64()) {
        return fail(format!("timeout_secs = {secs} is out of range"), "Set it to a number above 0, up to 3600.");
    }
    Ok(CommandConfig {
        help: raw.help,
        run: raw.run,
        // A team's command is always shown first.
        confirm: raw.confirm.unwrap_or(true) || preset.is_some(),
        reads_only: raw.reads_only,
        evidence: raw.evidence,
        timeout: Duration::from_secs_f64(secs),
        preset: preset.map(str::to_owned),
        name,
    })
}

/// A preset as it is now.
#[derive(Clone, Debug)]
pub struct Preset {
    /// The name of its folder.
    pub name: String,
    pub path: PathBuf,
    /// The digest of all its files; `None` if they cannot be read.
    pub digest: Option<String>,
    pub playbooks: Vec<UserFile>,
    pub commands: Vec<CommandConfig>,
    pub problems: Vec<FileProblem>,
}

/// Whether the user has trusted a preset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    Trusted,
    /// It was trusted, and has changed since.
    Changed,
    New,
}

impl Preset {
    fn empty(name: String, path: PathBuf) -> Self {
        Self { name, path, digest: None, playbooks: Vec::new(), commands: Vec::new(), problems: Vec::new() }
    }

    /// Reads a preset; its path may be relative to `folder`. What cannot be read is reported in its problems.
    fn load(config: &PresetConfig, folder: &Path) -> Self {
        let path = folder.join(expand_home(Path::new(&config.path)));
        let name = path.file_name().map_or_else(|| config.path.clone(), |n| n.to_string_lossy().into_owned());
        let mut preset = Self::empty(name, path);
        // The digest first: if a file changes while the others are read, it no longer fits them.
        match digest(&preset.path) {
            Ok(digest) => preset.digest = Some(digest),
            Err(problem) => {
                preset.problems.push(problem);
                return preset;
            }
        }
        preset.read_playbooks();
        preset.read_commands();
        preset
    }

    fn read_playbooks(&mut self) {
        let Ok(entries) = fs::read_dir(self.path.join("playbooks")) else { return };
        let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|e| e.path()).collect();
        paths.retain(|p| p.extension().is_some_and(|e| e == "md"));
        paths.sort();
        for path in paths {
            let Some(name) = path.file_stem().and_then(|s| s.to_str()).map(str::to_owned) else { continue };
            match read_user_file(&path, &name) {
                Ok(file) => self.playbooks.push(file),
                Err(problem) => self.problems.push(problem),
            }
        }
    }

    fn read_commands(&mut self) {
        let path = self.path.join(COMMANDS);
        let file = match read_user_file(&path, COMMANDS) {
            Ok(file) => file,
            Err(_) if !path.exists() => return,
            Err(problem) => {
                self.problems.push(problem);
                return;
            }
        };
        let problem = |line: Option<u64>, failure: Failure| FileProblem {
            file: path.display().to_string(),
            line,
            text: failure.message,
            remedy: failure.remedy.unwrap_or_else(|| "Correct the file. Until then, it is ignored.".to_owned()),
        };
        match toml::from_str::<CommandsFile>(&file.text) {
            Ok(parsed) => {
                for raw in parsed.commands {
                    match command(raw, Some(&self.name)) {
                        Ok(command) => self.commands.push(command),
                        Err(failure) => self.problems.push(problem(None, failure)),
                    }
                }
            }
            Err(e) => {
                let before = e.span().and_then(|s| file.text.get(..s.start)).unwrap_or_default();
                let line = 1 + before.matches('\n').count() as u64;
                self.problems.push(problem(Some(line), Failure::new(e.message().trim_end().to_owned())));
            }
        }
    }

    /// Whether the user has trusted the files as they were read.
    pub fn trust(&self) -> Trust {
        match (trusted_digest(&self.path), &self.digest) {
            (Some(trusted), Some(digest)) if trusted == *digest => Trust::Trusted,
            (Some(_), _) => Trust::Changed,
            (None, _) => Trust::New,
        }
    }

    /// Whether the files on disk are still those that were read and trusted.
    pub fn is_safe_to_run(&self) -> bool {
        self.trust() == Trust::Trusted && digest(&self.path).ok() == self.digest
    }
}

/// Reads the presets of a configuration.
pub fn load_presets(config: &Config) -> Vec<Preset> {
    let folder = config.path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let mut presets: Vec<Preset> = Vec::new();
    for config in &config.presets {
        let mut preset = Preset::load(config, folder);
        // Trust is about a name: two folders with one name cannot both have it.
        if presets.iter().any(|p| p.name == preset.name) {
            let text = format!("a second preset is named '{}'", preset.name);
            let problem = rejected(&preset.path, &text, "The preset is ignored. Rename its folder.");
            preset = Preset { problems: vec![problem], ..Preset::empty(format!("{} (ignored)", preset.name), preset.path) };
        }
        presets.push(preset);
    }
    presets
}

/// A digest of all files of a folder, except those of git: their paths, whether they can be executed, and their content.
fn digest(folder: &Path) -> Result<String, FileProblem> {
    let mut files = Vec::new();
    list(folder, true, &mut files)?;
    files.sort();
    let (mut hash, mut read) = (Sha256::new(), 0_u64);
    for path in &files {
        let fail = |e: &std::io::Error| unreadable(path, e);
        let name = path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned();
        let file = fs::File::open(path).map_err(|e| fail(&e))?;
        let mut content = Vec::new();
        file.take(MAX_BYTES - read + 1).read_to_end(&mut content).map_err(|e| fail(&e))?;
        read += content.len() as u64;
        if read > MAX_BYTES {
            return Err(too_large(folder, &format!("more than {} MiB of files", MAX_BYTES / 1024 / 1024)));
        }
        // The lengths keep the end of one field apart from the beginning of the next.
        for field in [name.as_bytes(), &[u8::from(is_executable(path))], &content] {
            hash.update((field.len() as u64).to_le_bytes());
            hash.update(field);
        }
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

fn too_large(folder: &Path, text: &str) -> FileProblem {
    let remedy = "The preset is ignored. Use a folder that contains only playbooks, commands and the files they need.";
    rejected(folder, text, remedy)
}

fn rejected(path: &Path, text: &str, remedy: &str) -> FileProblem {
    FileProblem { file: path.display().to_string(), line: None, text: text.to_owned(), remedy: remedy.to_owned() }
}

fn list(folder: &Path, is_root: bool, files: &mut Vec<PathBuf>) -> Result<(), FileProblem> {
    for entry in fs::read_dir(folder).map_err(|e| unreadable(folder, &e))? {
        let entry = entry.map_err(|e| unreadable(folder, &e))?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(|e| unreadable(folder, &e))?);
        if kind.is_symlink() {
            // Its target could change without the digest.
            return Err(rejected(&path, "symbolic links are not allowed in a preset", "Replace it with a regular file."));
        }
        if is_root && kind.is_dir() && entry.file_name() == ".git" {
            continue;
        }
        if kind.is_dir() {
            list(&path, false, files)?;
        } else if kind.is_file() {
            files.push(path);
        } else {
            return Err(rejected(&path, "this kind of file is not allowed in a preset", "Replace it with a regular file."));
        }
        if files.len() > MAX_FILES {
            return Err(too_large(folder, &format!("more than {MAX_FILES} files")));
        }
    }
    Ok(())
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(_path: &Path) -> bool {
    false
}

/// The presets that the user has trusted.
#[derive(Default, Serialize, Deserialize)]
struct TrustedFile {
    #[serde(default)]
    trusted: Vec<Trusted>,
}

#[derive(Serialize, Deserialize)]
struct Trusted {
    path: String,
    digest: String,
}

fn trusted_path() -> PathBuf {
    data_folder().join("trusted.toml")
}

/// The file of trusted presets. One that cannot be read trusts nothing.
fn trusted() -> TrustedFile {
    fs::read_to_string(trusted_path()).ok().and_then(|text| toml::from_str(&text).ok()).unwrap_or_default()
}

/// The path of a preset as it is stored: the same folder has the same one.
fn stored_path(path: &Path) -> String {
    path.canonicalize().unwrap_or_else(|_| path.to_owned()).display().to_string()
}

fn trusted_digest(path: &Path) -> Option<String> {
    let path = stored_path(path);
    trusted().trusted.into_iter().find(|t| t.path == path).map(|t| t.digest)
}

/// Trusts a preset as it was read.
///
/// # Errors
/// If its files cannot be read, or the decision cannot be stored.
pub fn trust(preset: &Preset) -> Result<(), Failure> {
    let file = trusted_path();
    let Some(digest) = preset.digest.clone() else {
        let why = preset.problems.first().map(ToString::to_string).unwrap_or_default();
        return Err(Failure::new(format!("preset '{}' cannot be read: {why}", preset.name)));
    };
    let path = stored_path(&preset.path);
    let mut all = trusted();
    all.trusted.retain(|t| t.path != path);
    all.trusted.push(Trusted { path, digest });
    let fail = |e: &(dyn std::error::Error + 'static)| {
        Failure::new(format!("cannot write {}", file.display())).because(e).advise("Check the permissions of the folder.")
    };
    let text = toml::to_string(&all).map_err(|e| fail(&e))?;
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(|e| fail(&e))?;
    }
    // Written as a whole or not at all: half a file would trust nothing.
    let new = file.with_extension("toml.new");
    fs::write(&new, text).and_then(|()| fs::rename(&new, &file)).map_err(|e| fail(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_covers_paths_content_and_mode_but_not_git() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("playbooks/a.md", "one");
        write("bin/helper.sh", "echo");
        let first = digest(folder.path()).unwrap();
        write(".git/HEAD", "ref");
        assert_eq!(digest(folder.path()).unwrap(), first);
        write("playbooks/a.md", "two");
        let second = digest(folder.path()).unwrap();
        assert_ne!(second, first);
        fs::rename(folder.path().join("playbooks/a.md"), folder.path().join("playbooks/b.md")).unwrap();
        let third = digest(folder.path()).unwrap();
        assert_ne!(third, second);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let helper = folder.path().join("bin/helper.sh");
            fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
            assert_ne!(digest(folder.path()).unwrap(), third);
            std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
            assert!(digest(folder.path()).unwrap_err().text.contains("symbolic links"));
        }
        assert!(digest(&folder.path().join("missing")).is_err());
    }

    #[test]
    fn checks_commands() {
        let parse = |text: &str| command(toml::from_str(text).unwrap(), None).map_err(|f| f.message);
        let pods = parse("name = \"pods\"\nrun = \"kubectl get pods\"").unwrap();
        assert_eq!((pods.confirm, pods.reads_only, pods.timeout), (true, false, TIMEOUT));
        for (text, why) in [
            ("name = \"a b\"\nrun = \"ls\"", "not a single word"),
            ("name = \"a\"\nrun = \" \"", "run is empty"),
            ("name = \"a\"\nrun = \"ls\"\ntimeout_secs = 0", "out of range"),
        ] {
            assert!(parse(text).unwrap_err().contains(why), "{text}");
        }
        let quick = toml::from_str("name = \"a\"\nrun = \"ls\"\nconfirm = false").unwrap();
        assert!(command(quick, Some("team")).unwrap().confirm, "what comes from others is always shown");
    }
}
