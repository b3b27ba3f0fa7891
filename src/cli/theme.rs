//! `warroom theme`: lists the themes, and shows what each style of one looks like.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{CliError, Done, out};
use crate::config::Config;
use crate::runtime::user_files;

/// Actions of `warroom theme`.
#[derive(Subcommand)]
pub enum ThemeCommand {
    /// List the themes, your own and the built-in ones
    List,
    /// Show what each style of a theme looks like in this terminal
    Preview(PreviewArgs),
}

/// Arguments of `warroom theme preview`.
#[derive(Args)]
pub struct PreviewArgs {
    /// Name of the theme; without it, the one in use
    name: Option<String>,
}

pub(super) fn run(config: &Config, command: &ThemeCommand, as_json: bool) -> Result<Done, CliError> {
    match command {
        ThemeCommand::List => list(config, as_json),
        ThemeCommand::Preview(args) => preview(config, args.name.as_deref(), as_json),
    }
}

fn list(config: &Config, as_json: bool) -> Result<Done, CliError> {
    let (themes, problems) = user_files::themes(config);
    if as_json {
        let rows: Vec<Value> = themes.iter().map(|t| json!({"name": t.name, "source": t.source, "is_used": t.is_used})).collect();
        out::json(&json!({"themes": rows}))?;
    } else {
        let row = |t: &user_files::ListedTheme| {
            vec![t.name.clone(), if t.is_used { "in use".to_owned() } else { String::new() }, t.source.clone()]
        };
        for line in out::table(&themes.iter().map(row).collect::<Vec<_>>()) {
            out::line(line)?;
        }
        out::note(
            "auto is dark or light, like the background of the terminal. Next: `warroom theme preview NAME` shows a theme; theme = \"NAME\" in [ui] of the configuration uses it.",
        );
    }
    for problem in &problems {
        out::note(format!("warroom: {problem}"));
    }
    Ok(if problems.is_empty() { Done::Complete } else { Done::Problems })
}

fn preview(config: &Config, name: Option<&str>, as_json: bool) -> Result<Done, CliError> {
    let (name, samples) = user_files::preview(config, name).map_err(|p| CliError::failed(p.to_string()))?;
    if as_json {
        let rows: Vec<Value> = samples.iter().map(|s| json!({"style": s.style, "example": s.example})).collect();
        out::json(&json!({"theme": name, "styles": rows}))?;
    } else {
        for sample in samples {
            out::line(format!("{:<12} {}", sample.style, sample.styled))?;
        }
    }
    Ok(Done::Complete)
}
