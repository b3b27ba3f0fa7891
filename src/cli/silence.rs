//! `warroom silence`: creates, lists, extends and ends silences. What is changed is shown first, and changed only with `--yes`.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{CliError, Done, duration_arg, id_arg, out};
use crate::incident::IncidentId;
use crate::investigate::Desk;
use crate::investigate::clock::now;
use crate::investigate::silence::SilencePlan;
use crate::telemetry::matcher::{Matcher, MatcherError, matchers_text};
use crate::telemetry::silence::SilenceState;
use crate::telemetry::words::count;
use crate::telemetry::{Failure, clean, time};

/// A silence that ends sooner than this is marked in the list.
const ENDS_SOON: Duration = Duration::from_mins(30);

/// The subcommands of `warroom silence`.
#[derive(Subcommand)]
pub enum SilenceCommand {
    /// Create a silence. Shows which alerts it would hide, and creates it only with --yes
    Create(Box<CreateArgs>),
    /// List the silences and the alerts that they hide
    List {
        /// Only silences that hide alerts of this incident
        #[arg(long, value_name = "ID", value_parser = id_arg)]
        incident: Option<IncidentId>,
        /// Also those that have expired
        #[arg(long)]
        all: bool,
    },
    /// Make a silence end later. Shows the change, and makes it only with --yes
    Extend {
        /// ID of the silence
        id: String,
        /// How long from now
        #[arg(long = "for", value_name = "DURATION", value_parser = duration_arg)]
        length: Duration,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// End a silence now. Shows the silence, and ends it only with --yes
    Expire {
        /// ID of the silence
        id: String,
        /// Reason for ending it
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

/// What every change of a silence accepts.
#[derive(Args)]
pub struct ChangeArgs {
    /// Incident that it belongs to; the change is recorded in its timeline
    #[arg(long, value_name = "ID", value_parser = id_arg)]
    incident: Option<IncidentId>,
    /// Make the change
    #[arg(long)]
    yes: bool,
}

/// What `warroom silence create` is given.
#[derive(Args)]
pub struct CreateArgs {
    /// Matcher, such as 'service="checkout"'; several must all match
    #[arg(long = "matcher", value_name = "MATCHER", value_parser = matchers_arg, required_unless_present = "alerts")]
    matchers: Vec<Vec<Matcher>>,
    /// Fingerprint of an alert to silence, instead of matchers; of several, the labels that they have in common
    #[arg(long = "alert", value_name = "FINGERPRINT", conflicts_with = "matchers")]
    alerts: Vec<String>,
    /// How long
    #[arg(long = "for", value_name = "DURATION", value_parser = duration_arg)]
    length: Duration,
    /// Reason, which others see
    #[arg(long)]
    reason: String,
    /// Source to create it in, if several have silences
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Create it only if it hides exactly the alerts of this preview
    #[arg(long, value_name = "TOKEN", requires = "yes")]
    preview: Option<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

fn matchers_arg(text: &str) -> Result<Vec<Matcher>, String> {
    match Matcher::parse_all(text) {
        Ok(found) if found.is_empty() => Err(format!("there is no matcher in '{text}'. {}", MatcherError::REMEDY)),
        Ok(found) => Ok(found),
        Err(e) => Err(format!("{e}. {}", MatcherError::REMEDY)),
    }
}

pub(super) async fn run(desk: &Desk, command: SilenceCommand, as_json: bool) -> Result<Done, CliError> {
    match command {
        SilenceCommand::Create(args) => create(desk, *args, as_json).await,
        SilenceCommand::List { incident, all } => list(desk, incident, all, as_json).await,
        SilenceCommand::Extend { id, length, change } => {
            let found = desk.find_silence(&id).await?;
            let what = matchers_text(&found.matchers);
            let ends_at = now() + length;
            let new_id = if change.yes { Some(desk.extend_silence(&id, length, change.incident).await?) } else { None };
            if as_json {
                out::json(&json!({"done": change.yes, "id": new_id, "ends_at": ends_at}))?;
            } else {
                let verb = if change.yes { "Ends" } else { "Would end" };
                out::line(format!("{verb} at {} UTC: {}", ends_at.date_clock(), clean::line(&what)))?;
            }
            Ok(finish(change.yes))
        }
        SilenceCommand::Expire { id, reason, change } => {
            let found = if change.yes {
                desk.expire_silence(&id, &reason, change.incident).await?
            } else {
                desk.find_silence(&id).await?
            };
            if as_json {
                out::json(&json!({"done": change.yes, "id": id}))?;
            } else {
                let verb = if change.yes { "Ended" } else { "Would end" };
                out::line(format!("{verb}: {} ({})", clean::line(&matchers_text(&found.matchers)), clean::line(&found.comment)))?;
            }
            Ok(finish(change.yes))
        }
    }
}

fn finish(was_done: bool) -> Done {
    if !was_done {
        out::note("Nothing was changed. Add --yes to do it.");
    }
    Done::Complete
}

async fn create(desk: &Desk, args: CreateArgs, as_json: bool) -> Result<Done, CliError> {
    let matchers = if args.alerts.is_empty() {
        args.matchers.into_iter().flatten().collect()
    } else {
        desk.matchers_of(&args.alerts).await?
    };
    let change = args.change;
    let plan = desk.plan_silence(args.source.as_deref(), matchers, args.length, &args.reason, change.incident).await?;
    if args.preview.as_ref().is_some_and(|token| *token != plan.token) {
        let failure = Failure::new(format!("the matchers now hit {}, not those of the preview", count(plan.hits.len(), "alert")));
        return Err(CliError::Failed(failure.advise("Run it without --yes to see the preview again.")));
    }
    let id = if change.yes { Some(desk.create_silence(&plan, change.incident).await?.0) } else { None };
    if as_json {
        out::json(&json!({
            "done": change.yes, "id": id, "source": plan.source, "preview": plan.token,
            "matchers": plan.new.matchers.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "matches": plan.fingerprints(), "ends_at": plan.new.ends_at,
        }))?;
    } else {
        print_plan(&plan, id.as_deref())?;
    }
    Ok(finish(change.yes))
}

fn print_plan(plan: &SilencePlan, id: Option<&str>) -> Result<(), CliError> {
    match id {
        Some(id) => out::line(format!("Created silence {id}, by {}: {}", plan.new.created_by, clean::line(&plan.new.comment)))?,
        None => out::line(format!("Would create a silence, by {}: {}", plan.new.created_by, clean::line(&plan.new.comment)))?,
    }
    for line in plan.describe() {
        out::line(format!("  {line}"))?;
    }
    if id.is_none() {
        out::line(format!("  to create exactly this: --yes --preview {}", plan.token))?;
    }
    Ok(())
}

async fn list(desk: &Desk, incident: Option<IncidentId>, all: bool, as_json: bool) -> Result<Done, CliError> {
    let incident = match incident {
        Some(id) => Some(desk.journal.incident(id).await?),
        None => None,
    };
    let (listed, failures) = desk.list_silences(incident.as_ref()).await;
    let shown: Vec<_> = listed.iter().filter(|l| all || l.silence.state != SilenceState::Expired).collect();
    for why in &failures {
        out::note(format!("warroom: {why}"));
    }
    if as_json {
        let rows: Vec<Value> = shown
            .iter()
            .map(|l| {
                let s = &l.silence;
                json!({"id": s.id, "source": s.source, "matchers": s.matchers.iter().map(ToString::to_string).collect::<Vec<_>>(),
                       "state": s.state.word(), "starts_at": s.starts_at, "ends_at": s.ends_at, "created_by": s.created_by,
                       "comment": s.comment, "hides": l.hides.iter().map(|(_, f)| f).collect::<Vec<_>>()})
            })
            .collect();
        out::json(&json!({"silences": rows}))?;
    } else {
        for l in &shown {
            let s = &l.silence;
            let left = s.ends_at.map(|at| at.since(now()));
            let ends = match (s.state, left) {
                (SilenceState::Expired, _) => "expired".to_owned(),
                (_, Some(left)) if left < ENDS_SOON => format!("ends in {}, soon", time::human_duration(left)),
                (_, Some(left)) => format!("ends in {}", time::human_duration(left)),
                (_, None) => "no end known".to_owned(),
            };
            out::line(format!("{}  {}  {ends}", s.id, clean::line(&matchers_text(&s.matchers))))?;
            let names: Vec<&str> = l.hides.iter().map(|(name, _)| name.as_str()).take(5).collect();
            let names = if names.is_empty() { String::new() } else { format!(": {}", clean::line(&names.join(", "))) };
            out::line(format!("    by {}: {}; hides {}{names}", s.created_by, s.comment, count(l.hides.len(), "alert")))?;
        }
        if shown.is_empty() && failures.is_empty() {
            out::line(if incident.is_some() { "No silence hides alerts of this incident." } else { "No silences." })?;
        }
    }
    Ok(if failures.is_empty() { Done::Complete } else { Done::Partial })
}
