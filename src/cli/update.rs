//! `warroom update` drafts and sends stakeholder updates; `warroom lint` checks the wording of any text.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{CliError, Done, id_arg, out};
use crate::comms::{CustomerRules, Hit, Stage, blameless, customer};
use crate::config::{ChannelConfig, Config, user_files};
use crate::incident::{Audience, IncidentId, Letter, SendOutcome, Sending, lint};
use crate::investigate::Desk;
use crate::investigate::clock::now;
use crate::investigate::send::{Obstacle, SendRequest, describe_hit};
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
        /// Have the configured model reword the draft; what it wrote is checked, and marked as its own
        #[arg(long)]
        improve: bool,
    },
    /// Send an update or a brief through a channel; without --yes, only show what would be sent
    Send(Box<SendArgs>),
    /// List what was sent, and what may have been
    List {
        /// Incident, such as INC-1
        #[arg(value_parser = id_arg)]
        id: IncidentId,
    },
    /// List the configured channels
    Channels,
}

/// What `warroom update send` is given.
#[derive(Args)]
pub struct SendArgs {
    /// Incident, such as INC-1
    #[arg(value_parser = id_arg)]
    id: IncidentId,
    /// Channel, as named in [[channels]] of the configuration; or clipboard
    #[arg(long)]
    channel: String,
    /// Readers of the update
    #[arg(long)]
    audience: Readers,
    /// Stage; without it, the one that follows from the status: investigating, identified, monitoring or resolved
    #[arg(long)]
    stage: Option<Stage>,
    /// Send the brief for responders who are joining (briefing) or for the next commander (handover) instead of an update
    #[arg(long, value_name = "READER", conflicts_with_all = ["stage", "text_file"])]
    brief: Option<Brief>,
    /// File with the text to send instead of the draft; - for standard input. A first line before an empty line is the subject
    #[arg(long, value_name = "FILE")]
    text_file: Option<PathBuf>,
    /// Incident of PagerDuty or issue of GitHub; later messages through the channel use the same
    #[arg(long, value_name = "ID")]
    target: Option<String>,
    /// Replace the last message through the channel instead of sending another one
    #[arg(long)]
    edit: bool,
    /// Reason to send a text for customers although its wording has open points
    #[arg(long = "override", value_name = "REASON")]
    override_reason: Option<String>,
    /// Send again what was sent, or what may have been sent
    #[arg(long)]
    again: bool,
    /// Send it
    #[arg(long)]
    yes: bool,
}

/// The reader of a brief.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Brief {
    /// For responders who are joining
    Briefing,
    /// For the next commander
    Handover,
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
    match command {
        UpdateCommand::Draft { id, audience, stage, improve } => {
            Box::pin(draft(desk, config, id, (audience, stage, improve), as_json)).await
        }
        UpdateCommand::Send(args) => send(desk, *args, as_json).await,
        UpdateCommand::List { id } => list(desk, id, as_json).await,
        UpdateCommand::Channels => channels(config, as_json),
    }
}

async fn draft(
    desk: &Desk,
    config: &Config,
    id: IncidentId,
    (audience, stage, is_improved): (Readers, Option<Stage>, bool),
    as_json: bool,
) -> Result<Done, CliError> {
    let incident = desk.journal.incident(id).await?;
    for problem in user_files(config, "updates", "md").1 {
        out::note(format!("warroom: {problem}"));
    }
    let mut made = desk.draft(&incident, audience.audience(), stage).map_err(CliError::Failed)?;
    if is_improved {
        made = desk.improve_draft(incident.id(), made, tokio_util::sync::CancellationToken::new()).await?;
    }
    if as_json {
        let hits: Vec<Value> = made.hits.iter().map(shape).collect();
        out::json(&json!({"text": made.text, "subject": made.subject, "stage": made.stage, "audience": audience.word(),
                          "next_update_at": made.next_update_at, "hits": hits, "model": made.model}))?;
        return Ok(Done::Complete);
    }
    out::line(clean::line(&made.subject))?;
    out::line("")?;
    out::line(clean::block(&made.text))?;
    if let Some(model) = &made.model {
        out::note(format!("warroom: reworded by {model}; read it before you send it"));
    }
    for hit in &made.hits {
        out::note(format!("warroom: {}", describe_hit(hit)));
    }
    Ok(Done::Complete)
}

async fn send(desk: &Desk, args: SendArgs, as_json: bool) -> Result<Done, CliError> {
    let incident = desk.journal.incident(args.id).await?;
    let request = SendRequest {
        letter: match args.brief {
            None => Letter::Update,
            Some(Brief::Briefing) => Letter::Briefing,
            Some(Brief::Handover) => Letter::Handover,
        },
        stage: args.stage,
        text: args.text_file.as_deref().map(read).transpose()?,
        target: args.target,
        edit: args.edit,
        override_reason: args.override_reason,
        again: args.again,
        ..SendRequest::new(args.channel, args.audience.audience())
    };
    let plan = desk.plan_send(&incident, &request)?;
    let report = |outcome: &str, detail: &str, seq: Option<u64>| {
        let hits: Vec<Value> = plan.hits.iter().map(shape).collect();
        json!({"done": outcome == "sent", "channel": plan.channel(), "preview": plan.preview(), "idempotency_key": plan.key(),
               "outcome": outcome, "detail": detail, "seq": seq, "hits": hits})
    };
    let earlier = incident.sending(plan.key());
    match (args.yes, plan.refusal()) {
        (false, refusal) => {
            let why = refusal.map(|r| r.line());
            if as_json {
                out::json(&report("not_sent", why.as_deref().unwrap_or("Nothing was sent. Add --yes to send it."), None))?;
                return Ok(Done::Complete);
            }
            out::line(clean::block(&plan.preview()))?;
            for words in plan.hit_words() {
                out::note(format!("warroom: {words}"));
            }
            out::note(format!("warroom: {}", why.as_deref().unwrap_or("nothing was sent; add --yes to send it")));
            Ok(Done::Complete)
        }
        // A script may run the same command again: what was sent is not sent twice, and that is no failure.
        (true, Some(_)) if plan.obstacle == Some(Obstacle::AlreadySent) => {
            let detail = "It was sent before, and not again.";
            if as_json {
                out::json(&report("sent", detail, earlier.map(|s| s.seq)))?;
            } else {
                out::line(format!("{detail} Use --again to send it again."))?;
            }
            Ok(Done::Complete)
        }
        (true, Some(refusal)) => {
            if as_json {
                let outcome = match plan.obstacle {
                    Some(Obstacle::MayBeSent) => "unknown",
                    Some(Obstacle::UnderWay) => "not_sent",
                    _ => "refused",
                };
                out::json(&report(outcome, &refusal.line(), None))?;
                return Ok(Done::Problems);
            }
            Err(CliError::Failed(refusal))
        }
        (true, None) => {
            let sent = desk.send(incident.id(), &plan).await?;
            if as_json {
                out::json(&report(sent.outcome.word(), &sent.detail, Some(sent.seq)))?;
            } else {
                out::line(sent.describe(plan.channel()))?;
            }
            if sent.outcome == SendOutcome::Sent {
                return Ok(Done::Complete);
            }
            if !as_json {
                out::note(format!("warroom: {}", remedy(sent.outcome)));
            }
            Ok(Done::Problems)
        }
    }
}

fn remedy(outcome: SendOutcome) -> &'static str {
    match outcome {
        SendOutcome::Sent => "",
        SendOutcome::Failed => "it was not sent; try again later, or use another channel",
        SendOutcome::Refused => "it was not sent; check the channel's configuration",
        SendOutcome::Unknown => "look whether it arrived before you send it again with --again",
    }
}

async fn list(desk: &Desk, id: IncidentId, as_json: bool) -> Result<Done, CliError> {
    let incident = desk.journal.incident(id).await?;
    let at = now();
    let word = |s: &Sending| s.outcome_at(at).map_or("sending", SendOutcome::word);
    if as_json {
        let shape = |s: &Sending| {
            json!({"seq": s.seq, "at": s.at, "by": s.by, "channel": s.outgoing.channel,
                   "letter": s.outgoing.letter, "audience": s.outgoing.audience.title(), "subject": s.outgoing.subject,
                   "text": s.outgoing.text, "target": s.outgoing.target, "idempotency_key": s.outgoing.key,
                   "outcome": word(s), "detail": s.detail, "reference": s.reference,
                   "override": s.outgoing.override_reason, "hits": s.outgoing.hits})
        };
        out::json(&json!({"sendings": incident.sendings.iter().map(shape).collect::<Vec<_>>()}))?;
        return Ok(Done::Complete);
    }
    if incident.sendings.is_empty() {
        out::line("Nothing was sent. Run `warroom update send` to send an update.")?;
    }
    for sending in &incident.sendings {
        let detail = if sending.detail.is_empty() { String::new() } else { format!(" ({})", sending.detail) };
        let readers = sending.outgoing.audience.title();
        let line = format!(
            "{} UTC  {:8} {readers:9} {}  {}{detail}",
            sending.at.date_clock(),
            word(sending),
            sending.outgoing.channel,
            sending.outgoing.subject
        );
        out::line(clean::line(&line))?;
    }
    Ok(Done::Complete)
}

fn channels(config: &Config, as_json: bool) -> Result<Done, CliError> {
    let all: Vec<ChannelConfig> = config.channels.iter().cloned().chain([ChannelConfig::clipboard()]).collect();
    let readers = |c: &ChannelConfig| c.audiences.iter().map(|a| a.title()).collect::<Vec<_>>();
    if as_json {
        let shape = |c: &ChannelConfig| json!({"name": c.name, "type": c.kind.word(), "audiences": readers(c)});
        out::json(&json!({"channels": all.iter().map(shape).collect::<Vec<_>>()}))?;
        return Ok(Done::Complete);
    }
    for channel in &all {
        out::line(format!("{:16} {:14} {}", clean::line(&channel.name), channel.kind.word(), readers(channel).join(", ")))?;
    }
    Ok(Done::Complete)
}

/// Reads a file, or standard input for `-`.
pub(super) fn read(file: &Path) -> Result<String, CliError> {
    let text = if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    text.map_err(|e| CliError::file("read", file, &e))
}

fn shape(hit: &Hit) -> Value {
    json!({"kind": hit.kind, "text": hit.text, "start": hit.start, "end": hit.end, "reason": hit.reason})
}

/// Checks a text. Exits with 1 if something should be worded differently.
pub(super) async fn check(desk: &Desk, args: &LintArgs, as_json: bool) -> Result<Done, CliError> {
    let text = read(&args.file)?;
    let names = match args.incident {
        Some(id) => desk.names(&desk.journal.incident(id).await?),
        None => desk.updates.names.clone(),
    };
    // The line of each hit, counted from 1, and the hit within the text.
    let found: Vec<(usize, Value, String)> = match args.rules {
        Rules::Customer | Rules::Blameless => {
            let hits = match args.rules {
                Rules::Customer => customer(&text, &names, CustomerRules::default()),
                Rules::Blameless | Rules::Actions => blameless(&text, &names),
            };
            let line_of = |hit: &Hit| 1 + text.get(..hit.start).unwrap_or_default().matches('\n').count();
            hits.iter().map(|h| (line_of(h), shape(h), describe_hit(h))).collect()
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
