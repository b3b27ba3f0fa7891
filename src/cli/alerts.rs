//! `warroom alerts`: lists the alerts of all sources, grouped.

use clap::Args;
use serde_json::json;

use super::{CliError, Done, out};
use crate::analysis::grouping::{GroupBy, group_alerts};
use crate::incident::SourceStatus;
use crate::investigate::clock::now;
use crate::investigate::{AlertBoard, Desk};
use crate::telemetry::time::human_duration;
use crate::telemetry::{Alert, AlertState};

/// Arguments of `warroom alerts`.
#[derive(Args)]
pub struct AlertsArgs {
    /// Grouping of the alerts
    #[arg(long, value_enum, default_value = "service")]
    group: GroupArg,
    /// Only alerts that are firing and not silenced, inhibited or acknowledged
    #[arg(long)]
    firing: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum GroupArg {
    Service,
    Alert,
    Team,
    None,
}

pub(super) async fn run(desk: &Desk, args: &AlertsArgs, as_json: bool) -> Result<Done, CliError> {
    if desk.sources.is_empty() {
        let remedy =
            "Run `warroom doctor` to see where the configuration file belongs, or `warroom demo` to try a recorded incident.";
        return Err(CliError::usage("no sources are configured, so no alerts can be read", remedy));
    }
    let mut board = desk.board().await;
    if args.firing {
        board.alerts.retain(Alert::is_firing);
    }
    let by = match args.group {
        GroupArg::Service => GroupBy::Service,
        GroupArg::Alert => GroupBy::Alert,
        GroupArg::Team => GroupBy::Team,
        GroupArg::None => GroupBy::None,
    };
    if as_json {
        out::json(&shape(&board, by))?;
    } else {
        print(&board, by)?;
    }
    let failed = board.sources.iter().any(|s| s.status != SourceStatus::Ok);
    Ok(if failed { Done::Partial } else { Done::Complete })
}

/// The JSON of `warroom alerts`, as documented in docs/json.md.
pub(super) fn shape(board: &AlertBoard, by: GroupBy) -> serde_json::Value {
    let alerts: Vec<_> = board
        .alerts
        .iter()
        .map(|a| {
            json!({
                "fingerprint": a.fingerprint, "name": a.name, "severity": a.severity, "state": a.state, "starts_at": a.starts_at,
                "labels": a.labels, "annotations": a.annotations, "source": a.source, "occurrences": a.occurrences,
                "pending_since": a.pending_since, "value": a.value.filter(|v| v.is_finite()), "silenced_by": a.silenced_by,
                "inhibited_by": a.inhibited_by, "muted_by": a.muted_by, "generator_url": a.generator_url, "aliases": a.aliases,
                "also_in": a.also_in, "subject": a.subject().map(|s| json!({"kind": s.kind, "name": s.name, "namespace": s.namespace})),
            })
        })
        .collect();
    let groups: Vec<_> = group_alerts(&board.alerts, by)
        .into_iter()
        .map(|g| {
            let prints: Vec<&str> =
                g.members.iter().filter_map(|i| board.alerts.get(*i)).map(|a| a.fingerprint.as_str()).collect();
            json!({"key": g.key, "alerts": prints})
        })
        .collect();
    json!({"alerts": alerts, "groups": groups, "sources": board.sources, "gaps": board.gaps.iter().map(ToString::to_string).collect::<Vec<_>>()})
}

fn print(board: &AlertBoard, by: GroupBy) -> Result<(), CliError> {
    let now = now();
    for g in group_alerts(&board.alerts, by) {
        let title = match (g.key.is_empty(), by) {
            (false, _) => g.title(),
            (true, GroupBy::None) => "All alerts".to_owned(),
            (true, _) => "Other alerts".to_owned(),
        };
        out::line(format!("{title} ({})", g.members.len()))?;
        let rows: Vec<Vec<String>> = g
            .members
            .iter()
            .filter_map(|i| board.alerts.get(*i))
            .map(|a| {
                let age = a.starts_at.map_or_else(|| "?".to_owned(), |t| human_duration(now.since(t)));
                vec![
                    format!("  {}", a.severity.short()),
                    state(a),
                    a.name.clone(),
                    age,
                    a.fingerprint.clone(),
                    a.summary().to_owned(),
                ]
            })
            .collect();
        for line in out::table(&rows) {
            out::line(line)?;
        }
    }
    if !board.has_alert_source() {
        out::note("No alert source is configured.");
    }
    if board.alerts.is_empty() && board.any_alert_source_answered() {
        out::line("No alerts are firing.")?;
    }
    for s in &board.sources {
        if let Some(error) = &s.error {
            out::note(format!("{} ({}): {error}", s.name, s.kind));
        }
    }
    board.gaps.iter().map(ToString::to_string).for_each(out::note);
    Ok(())
}

fn state(a: &Alert) -> String {
    match (a.state, a.silenced_by.first()) {
        (AlertState::Suppressed, Some(s)) => {
            format!("silenced by {}", if s.created_by.is_empty() { &s.id } else { &s.created_by })
        }
        (AlertState::Suppressed, None) if !a.muted_by.is_empty() => format!("muted by {}", a.muted_by.join(", ")),
        (AlertState::Suppressed, None) => "inhibited".to_owned(),
        (state, _) => state.word().to_owned(),
    }
}
