//! `warroom stats`: statistics over all incidents.

use clap::Args;

use super::{CliError, Done, out};
use crate::incident::milestone::DEFINITIONS;
use crate::incident::stats::{Row, Spread, Stats, Times, stats};
use crate::investigate::Desk;
use crate::telemetry::Moment;
use crate::telemetry::time::human_duration;
use crate::telemetry::words::count;

/// Arguments of `warroom stats`.
#[derive(Args)]
pub struct StatsArgs {
    /// Only incidents declared since this time
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
}

pub(super) async fn run(desk: &Desk, args: &StatsArgs, as_json: bool) -> Result<Done, CliError> {
    let heads = desk.journal.list().await?;
    let since = args.since.as_ref().map(super::resolve).transpose()?;
    let mut rows = Vec::new();
    for head in heads.iter().filter(|h| since.is_none_or(|s| h.declared_at >= s)) {
        rows.push(Row::from_incident(&desk.journal.incident(head.id).await?));
    }
    let stats = stats(&rows);
    if as_json {
        let mut value = serde_json::to_value(&stats)?;
        if let Some(fields) = value.as_object_mut() {
            let meanings: serde_json::Map<String, serde_json::Value> =
                DEFINITIONS.iter().map(|(name, meaning)| (name.replace(' ', "_"), (*meaning).into())).collect();
            fields.insert("definitions".to_owned(), meanings.into());
        }
        out::json(&value)?;
    } else {
        print(&stats)?;
    }
    Ok(Done::Complete)
}

fn spread(s: &Spread) -> String {
    match (s.median_secs, s.p90_secs) {
        (Some(median), Some(p90)) => {
            let words = |secs: f64| human_duration(std::time::Duration::from_secs_f64(secs.max(0.0)));
            format!("{} / {} (n = {})", words(median), words(p90), s.n)
        }
        _ => "-".to_owned(),
    }
}

fn rows<'a>(title: &str, groups: impl Iterator<Item = (&'a String, &'a Times)>) -> Vec<Vec<String>> {
    let mut table = vec![[title, "Incidents", "Detect", "Acknowledge", "Mitigate", "Resolve"].map(str::to_owned).to_vec()];
    table.extend(groups.map(|(name, t)| line(name, t)));
    table
}

fn line(name: &str, t: &Times) -> Vec<String> {
    vec![
        name.to_owned(),
        t.incidents.to_string(),
        spread(&t.detect),
        spread(&t.acknowledge),
        spread(&t.mitigate),
        spread(&t.resolve),
    ]
}

fn print(s: &Stats) -> Result<(), CliError> {
    out::line(format!(
        "{}. The times do not include {} and {}.",
        count(s.incidents_all, "incident"),
        count(s.cancelled, "false alarm"),
        count(s.merged, "merged incident")
    ))?;
    out::line("\nMedian / 90th percentile")?;
    let mut all = rows("", std::iter::empty());
    all.push(line("All", &s.overall));
    let tables = [
        all,
        rows("Peak severity", s.by_severity.iter()),
        rows("Service", s.by_service.iter()),
        rows("Month", s.by_month.iter()),
    ];
    for table in tables.iter().filter(|t| t.len() > 1) {
        for row in out::table(table) {
            out::line(format!("  {row}"))?;
        }
        out::line("")?;
    }
    for (name, meaning) in DEFINITIONS {
        out::line(format!("  {name}: {meaning}"))?;
    }
    out::line(format!("\nTime to the first useful hypothesis, from detection: {}", spread(&s.first_useful_hypothesis)))?;
    if !s.grades.is_empty() || s.ungraded > 0 {
        let words = |counts: &std::collections::BTreeMap<&str, usize>| {
            counts.iter().map(|(w, n)| format!("{} {n}", w.replace('_', " "))).collect::<Vec<_>>().join(", ")
        };
        if !s.grades.is_empty() {
            out::line(format!("Diagnosis grades: {}; found by: {}", words(&s.grades), words(&s.found_by)))?;
        }
        out::line(format!("Ended incidents without a grade: {}", s.ungraded))?;
        if s.grades_by_month.len() > 1 {
            let rows: Vec<Vec<String>> = s
                .grades_by_month
                .iter()
                .map(|(month, g)| vec![format!("  {month}"), g.graded.to_string(), words(&g.grades), words(&g.found_by)])
                .collect();
            for row in out::table(&rows) {
                out::line(row)?;
            }
        }
    }
    if !s.noisy_alerts.is_empty() {
        out::line("\nNoisy alerts")?;
        let table: Vec<Vec<String>> = s
            .noisy_alerts
            .iter()
            .take(20)
            .map(|a| {
                vec![
                    format!("  {}", a.name),
                    a.service.clone().unwrap_or_default(),
                    count(a.incidents, "incident"),
                    count(a.cancelled, "false alarm"),
                    format!("unlinked {}", count(a.unlinked, "time")),
                ]
            })
            .collect();
        for row in out::table(&table) {
            out::line(row)?;
        }
    }
    if !s.recurring.is_empty() {
        out::line("\nRecurring incidents")?;
        for r in s.recurring.iter().take(20) {
            let ids: Vec<String> = r.incidents.iter().map(ToString::to_string).collect();
            let on = if r.services.is_empty() { String::new() } else { format!(" on {}", r.services.join(", ")) };
            out::line(format!("  {}{on}: {} times ({})", r.alerts.join(", "), r.incidents.len(), ids.join(", ")))?;
        }
    }
    Ok(())
}
