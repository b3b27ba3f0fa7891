//! `warroom update` drafts stakeholder updates; `warroom lint` checks the wording of any text.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{CliError, Done, id_arg, out};
use crate::comms::{CustomerRules, Hit, Names, Stage, blameless, customer};
use crate::config::{Config, user_files};
use crate::incident::{Audience, IncidentId, lint};
use crate::investigate::Desk;
use crate::telemetry::clean;

/// The subcommands of `warroom update`.
#[derive(Subcommand)]
pub enum UpdateCommand {
    /// Draft a stakeholder update from the state of an incident; sends nothing
    Draft {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
        /// Readers of the update
        #[arg(long)]
        audience: Readers,
        /// Stage; without it, the one that follows from the status: investigating, identified, monitoring or resolved
        #[arg(long)]
        stage: Option<Stage>,
    },
}

/// The readers of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Readers {
    Technical,
    Executive,
    Customer,
}

impl Readers {
    fn audience(self) -> Audience {
        match self {
            Self::Technical => Audience::Internal,
            Self::Executive => Audience::Executive,
            Self::Customer => Audience::External,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Technical => "technical",
            Self::Executive => "executive",
            Self::Customer => "customer",
        }
    }
}

/// What `warroom lint` is given.
#[derive(Args)]
pub struct LintArgs {
    /// File to check; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Rules to check against
    #[arg(long)]
    rules: Rules,
    /// Incident whose machines, services and people must not be named, such as INC-1
    #[arg(long, value_name = "INCIDENT", value_parser = id_arg)]
    incident: Option<IncidentId>,
}

/// Sets of rules for wording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Rules {
    /// For reviews: no blame, no hindsight, no vague measures
    Blameless,
    /// For customers: no internal names, guesses, blame or jargon, and the time of the next update
    Customer,
    /// For action items, one a line: a verb, specific, and done when
    Actions,
}

pub(super) async fn run(desk: &Desk, config: &Config, command: UpdateCommand, as_json: bool) -> Result<Done, CliError> {
    let UpdateCommand::Draft { id, audience, stage } = command;
    let incident = desk.journal.incident(id).await?;
    for problem in user_files(config, "updates", "md").1 {
        out::note(format!("warroom: {problem}"));
    }
    let made = desk.draft(&incident, audience.audience(), stage).map_err(CliError::Failed)?;
    if as_json {
        let hits: Vec<Value> = made.hits.iter().map(shape).collect();
        out::json(&json!({"text": made.text, "subject": made.subject, "stage": made.stage, "audience": audience.word(),
                          "next_update_at": made.next_update_at, "hits": hits}))?;
        return Ok(Done::Complete);
    }
    out::line(clean::line(&made.subject))?;
    out::line("")?;
    out::line(clean::block(&made.text))?;
    for hit in &made.hits {
        out::note(format!("warroom: {}", describe(hit)));
    }
    Ok(Done::Complete)
}

fn shape(hit: &Hit) -> Value {
    json!({"kind": hit.kind, "text": hit.text, "start": hit.start, "end": hit.end, "reason": hit.reason})
}

fn describe(hit: &Hit) -> String {
    if hit.text.is_empty() { hit.reason.clone() } else { format!("\"{}\": {}", clean::line(&hit.text), hit.reason) }
}

/// Checks a text. Exits with 1 if something should be worded differently.
pub(super) async fn check(desk: &Desk, args: &LintArgs, as_json: bool) -> Result<Done, CliError> {
    let text = if args.file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|e| CliError::file("read", &args.file, &e))?;
        text
    } else {
        std::fs::read_to_string(&args.file).map_err(|e| CliError::file("read", &args.file, &e))?
    };
    let names = match args.incident {
        Some(id) => Names::of(&desk.journal.incident(id).await?),
        None => Names::default(),
    };
    // The line of each hit, counted from 1, and the hit within the text.
    let found: Vec<(usize, Value, String)> = match args.rules {
        Rules::Customer | Rules::Blameless => {
            let hits = match args.rules {
                Rules::Customer => customer(&text, &names, CustomerRules::default()),
                Rules::Blameless | Rules::Actions => blameless(&text, &names),
            };
            let line_of = |hit: &Hit| 1 + text.get(..hit.start).unwrap_or_default().matches('\n').count();
            hits.iter().map(|h| (line_of(h), shape(h), describe(h))).collect()
        }
        Rules::Actions => action_hits(&text),
    };
    if as_json {
        let with_line = |(line, mut hit, _): (usize, Value, String)| {
            if let Some(fields) = hit.as_object_mut() {
                fields.insert("line".to_owned(), json!(line));
            }
            hit
        };
        let is_clean = found.is_empty();
        out::json(&json!({"hits": found.into_iter().map(with_line).collect::<Vec<_>>()}))?;
        return Ok(if is_clean { Done::Complete } else { Done::Problems });
    }
    for (line, _, words) in &found {
        out::line(format!("{line}: {words}"))?;
    }
    Ok(if found.is_empty() { Done::Complete } else { Done::Problems })
}

/// Advice on action items, one a line.
fn action_hits(text: &str) -> Vec<(usize, Value, String)> {
    let mut at = 0;
    let mut hits = Vec::new();
    for (n, raw) in text.split('\n').enumerate() {
        let item = raw.trim().trim_start_matches(['-', '*']).trim();
        for reason in lint::action(item).into_iter().filter(|_| !item.is_empty()) {
            let hit = json!({"kind": "action", "text": item, "start": at, "end": at + raw.len(), "reason": reason});
            hits.push((n + 1, hit, format!("{}: {reason}", clean::line(item))));
        }
        at += raw.len() + 1;
    }
    hits
}
