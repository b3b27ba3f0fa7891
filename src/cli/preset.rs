//! `warroom preset`: the playbooks and commands that a team shares, and whether they are trusted.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{CliError, Done, out};
use crate::config::{Config, Preset, Trust, load_presets, trust};
use crate::playbook::{BlockKind, parse};
use crate::telemetry::words::{count, list as words};
use crate::telemetry::{Failure, clean};

/// The subcommands of `warroom preset`.
#[derive(Subcommand)]
pub enum PresetCommand {
    /// List the presets, and whether they are trusted
    List,
    /// Show everything that a preset could run
    Show {
        /// Name of the preset (its folder name)
        name: String,
    },
    /// Trust a preset's current contents, so that its playbooks and commands can run; trust it again after any change
    Trust {
        /// Name of the preset (its folder name)
        name: String,
        /// Digest that `show` printed; refuses if the files have changed since
        #[arg(long, value_name = "DIGEST")]
        digest: Option<String>,
    },
}

pub(super) fn run(config: &Config, command: &PresetCommand, as_json: bool) -> Result<Done, CliError> {
    let presets = load_presets(config);
    match command {
        PresetCommand::List => list(&presets, as_json),
        PresetCommand::Show { name } => show(find(&presets, name)?, as_json),
        PresetCommand::Trust { name, digest } => {
            let preset = find(&presets, name)?;
            if digest.as_ref().is_some_and(|shown| preset.digest.as_ref() != Some(shown)) {
                let failure = Failure::new(format!("the preset '{name}' has changed since it was shown"));
                return Err(CliError::Failed(failure.advise(format!("Review it again with `warroom preset show {name}`."))));
            }
            trust(preset).map_err(CliError::Failed)?;
            if as_json {
                out::json(&json!({"presets": [shape(preset)]}))?;
            } else {
                out::line(format!("Trusted preset {}.", clean::line(name)))?;
            }
            Ok(Done::Complete)
        }
    }
}

fn find<'a>(presets: &'a [Preset], name: &str) -> Result<&'a Preset, CliError> {
    presets.iter().find(|p| p.name == name).ok_or_else(|| {
        let names: Vec<&str> = presets.iter().map(|p| p.name.as_str()).collect();
        let remedy = match names.as_slice() {
            [] => "Add one to [[presets]] in the configuration.".to_owned(),
            names => format!("The presets are {}.", words(names)),
        };
        CliError::NotFound(Failure::new(format!("there is no preset '{name}'")).advise(remedy))
    })
}

fn trust_label(trust: Trust) -> &'static str {
    match trust {
        Trust::Trusted => "trusted",
        Trust::Changed => "changed",
        Trust::New => "not trusted",
    }
}

fn shape(p: &Preset) -> Value {
    let names: Vec<&str> = p.commands.iter().map(|c| c.name.as_str()).collect();
    let playbooks: Vec<&str> = p.playbooks.iter().map(|f| f.name.as_str()).collect();
    json!({"name": p.name, "path": p.path, "digest": p.digest, "state": trust_label(p.trust()).replace(' ', "_"), "playbooks": playbooks,
           "commands": names, "problems": p.problems})
}

fn list(presets: &[Preset], as_json: bool) -> Result<Done, CliError> {
    if as_json {
        out::json(&json!({"presets": presets.iter().map(shape).collect::<Vec<Value>>()}))?;
    } else {
        let row = |p: &Preset| {
            let what = format!("{}, {}", count(p.playbooks.len(), "playbook"), count(p.commands.len(), "command"));
            vec![clean::line(&p.name), trust_label(p.trust()).to_owned(), what, p.path.display().to_string()]
        };
        for line in out::table(&presets.iter().map(row).collect::<Vec<_>>()) {
            out::line(line)?;
        }
        if presets.is_empty() {
            out::line("No presets yet. Add one to [[presets]] in the configuration.")?;
        }
    }
    Ok(problems(presets))
}

fn problems(presets: &[Preset]) -> Done {
    let mut all = presets.iter().flat_map(|p| &p.problems).peekable();
    let is_complete = all.peek().is_none();
    for problem in all {
        out::note(format!("warroom: {problem}"));
    }
    if is_complete { Done::Complete } else { Done::Problems }
}

/// Everything that a preset could run: the scripts and requests of its playbooks, and its commands.
fn show(preset: &Preset, as_json: bool) -> Result<Done, CliError> {
    if as_json {
        out::json(&shape(preset))?;
        return Ok(problems(std::slice::from_ref(preset)));
    }
    out::line(format!("{}  {}", clean::line(&preset.name), trust_label(preset.trust())))?;
    out::line(format!("path    {}", preset.path.display()))?;
    out::line(format!("digest  {}", preset.digest.as_deref().unwrap_or("unknown")))?;
    for file in &preset.playbooks {
        let blocks = parse(&file.name, &file.text).0.into_iter().flat_map(|p| p.steps).flat_map(|s| s.blocks);
        for block in blocks.filter(|b| matches!(b.kind, BlockKind::Sh | BlockKind::Http)) {
            out::line(format!("\nplaybook {}, line {}, {}:", clean::line(&file.name), block.line, block.kind.word()))?;
            out::line(clean::block(&block.text).lines().map(|l| format!("  {l}\n")).collect::<String>().trim_end())?;
        }
    }
    for command in &preset.commands {
        out::line(format!("\ncommand {}:", clean::line(&command.name)))?;
        out::line(clean::block(&command.run).lines().map(|l| format!("  {l}\n")).collect::<String>().trim_end())?;
    }
    Ok(problems(std::slice::from_ref(preset)))
}
