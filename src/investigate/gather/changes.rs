//! Changes: deploys, flags and configuration, as the change sources and the incident's own record list them.

use std::collections::BTreeSet;

use super::super::set::report_ok;
use super::{Gathered, Request, lines_evidence};
use crate::analysis::findings::ChangeInput;
use crate::evidence::Redactor;
use crate::incident::EvidenceKind;
use crate::sources::{Answer, Source};
use crate::telemetry::{Alert, ChangeEvent, LogLine, Window, clean, words};

/// Named as the source of changes that people recorded.
const JOURNAL: &str = "journal";
/// Bytes of a change that findings quote.
const MAX_CHANGE: usize = 200;

/// The changes of one source: nothing if it lists no changes.
pub(super) async fn collect(source: &dyn Source, span: Window) -> Gathered {
    let mut out = Gathered::default();
    let Some(backend) = source.changes() else { return out };
    match backend.within(span).await {
        Ok(answer) => {
            out.report(report_ok(source.name(), source.kind()));
            out.signals.change_gaps = answer.gaps.iter().map(|gap| format!("changes of {}: {gap}", source.name())).collect();
            out.absorb(as_evidence(source.name(), backend.query(span), span, answer));
        }
        Err(e) => out.fail(source, "changes", &e),
    }
    out
}

/// Changes that people recorded in the incident, each with the known service that its text names first; nothing if there are none.
pub(super) fn recorded(request: &Request, span: Window, known: &Gathered) -> Gathered {
    let services: BTreeSet<&str> = (known.signals.metrics.iter().filter_map(|m| m.service.as_deref()))
        .chain(known.signals.alerts.iter().filter_map(Alert::service))
        .chain(known.signals.calls.services())
        .collect();
    let named = |text: &str| {
        let mut words = text.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'));
        words.find_map(|word| services.get(word)).map(|s| (*s).to_owned())
    };
    let inside = request.recorded.iter().filter(|c| span.contains(c.at));
    let changes: Vec<ChangeEvent> = inside.map(|c| ChangeEvent { service: named(&c.what), ..c.clone() }).collect();
    if changes.is_empty() {
        return Gathered::default();
    }
    let query = "entries of the incident that record a change".to_owned();
    as_evidence(JOURNAL, query, span, Answer::complete(changes))
}

/// Changes as signals and as evidence.
fn as_evidence(name: &str, query: String, span: Window, answer: Answer<Vec<ChangeEvent>>) -> Gathered {
    let mut out = Gathered::default();
    let key = format!("changes/{name}");
    // Redacted before it is cut, because half a token no longer looks like one.
    let redacted = |text: &str| clean::truncate(&Redactor::new().redact_text(text), MAX_CHANGE);
    out.signals.changes.extend(answer.value.iter().map(|c| ChangeInput {
        at: c.at,
        service: c.service.clone(),
        description: redacted(&c.describe()),
        is_release: c.is_release,
        key: key.clone(),
    }));
    let summary = match answer.value.last() {
        None => "no change in the window".to_owned(),
        Some(last) => {
            let service = last.service.as_deref().map(|s| format!("{s} ")).unwrap_or_default();
            let count = words::count(answer.value.len(), "change");
            format!("{count}, most recent: {service}{}", redacted(&last.describe()))
        }
    };
    let lines = answer.map(|changes| changes.iter().map(change_line).collect());
    out.drafts.push((key, lines_evidence(EvidenceKind::Changes, name, query, span, summary, lines)));
    out
}

/// A change as a line, so that it is shown, redacted and compressed like one. Its author is a field, so that drafts for customers can be
/// checked for the name.
fn change_line(change: &ChangeEvent) -> LogLine {
    let fields = [("link", &change.link), ("author", &change.by)];
    LogLine {
        at: Some(change.at),
        service: change.service.clone(),
        fields: fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect(),
        ..LogLine::plain(clean::truncate(&Redactor::new().redact_text(&change.describe()), 2 * MAX_CHANGE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Timestamp;

    fn change(secs: i64, what: &str) -> ChangeEvent {
        let at = Timestamp::from_secs(1_795_253_400 + secs);
        ChangeEvent { at, service: None, what: what.into(), by: None, link: None, is_release: true }
    }

    #[test]
    fn a_recorded_change_belongs_to_the_known_service_that_it_names() {
        let span = Window::new(change(0, "").at, change(600, "").at);
        let recorded_changes =
            vec![change(60, "rolled back shop to 1.41"), change(90, "flag without a service"), change(900, "later")];
        let request = Request {
            window: span,
            linked: vec![],
            matrix: Default::default(),
            first_alert: None,
            bad_baseline: false,
            notes: vec![],
            slo: Default::default(),
            recorded: recorded_changes,
        };
        let mut known = Gathered::default();
        known.signals.calls.add("web", "shop");
        let found = recorded(&request, span, &known);
        let services: Vec<Option<&str>> = found.signals.changes.iter().map(|c| c.service.as_deref()).collect();
        assert_eq!(services, [Some("shop"), None], "the change outside the span is left out");
        let none = Request { recorded: vec![], ..request };
        assert!(recorded(&none, span, &known).drafts.is_empty());
    }

    #[test]
    fn secrets_are_redacted_before_a_change_is_cut() {
        let long = format!("{} password=hunter2", "x".repeat(MAX_CHANGE - 14));
        let span = Window::new(change(0, "").at, change(600, "").at);
        let found = as_evidence("ci", "q".into(), span, Answer::complete(vec![change(1, &long)]));
        assert!(!format!("{found:?}").contains("hunter"), "{found:?}");
    }
}
