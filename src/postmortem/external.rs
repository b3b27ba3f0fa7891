//! The version of the post-mortem for customers, in three parts: summary, what happened, what we are doing. A sentence that customers must not
//! read is left out and reported, so that what is left passes the same checks as an update for customers.

use super::prose::{self, past, sentence};
use super::report::{Report, is_none};
use super::text::inline;
use crate::comms::{CustomerRules, customer};
use crate::incident::{ActionScope, ActionState, Verdict};
use crate::telemetry::Names;
use crate::telemetry::tense::can_be_past;

/// How much of the symptoms is in the heading, in bytes.
const MAX_HEADING: usize = 100;

/// The version for customers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct External {
    /// Markdown, ending with a line feed.
    pub text: String,
    /// The sentences that were left out, each with the reason.
    pub left_out: Vec<(String, String)>,
}

/// Sentences that were checked.
struct Checked<'a> {
    names: &'a Names,
    rules: CustomerRules,
    left_out: Vec<(String, String)>,
}

impl Checked<'_> {
    /// What people wrote about the present, as a sentence in the past tense, if customers may read it.
    fn allow_in_past(&mut self, text: &str) -> Option<String> {
        if can_be_past(text) {
            return self.allow(sentence(&past(text)));
        }
        self.left_out.push((text.to_owned(), "It is not in the past tense, and could not be put into it. Reword it.".to_owned()));
        None
    }

    /// The text without evidence tags, if customers may read it.
    fn allow(&mut self, text: String) -> Option<String> {
        let text = crate::comms::without_tags(&text);
        match customer(&text, self.names, self.rules).into_iter().next() {
            None => Some(text),
            Some(hit) => {
                self.left_out.push((text, hit.reason));
                None
            }
        }
    }
}

pub(super) fn render(r: &Report, names: &Names) -> External {
    let confirmed = r.hypotheses.iter().rev().find(|h| h.verdict == Some(Verdict::Supported));
    // A report about what is over promises no further update.
    let rules = CustomerRules { is_cause_known: confirmed.is_some(), is_last: true };
    let mut checked = Checked { names, rules, left_out: Vec::new() };
    if let Some((at, _)) = &r.cancelled {
        let text = format!("# {}: No incident\n\nThis was a false alarm. Our service worked as usual.\n", prose::day(*at));
        return External { text, left_out: Vec::new() };
    }
    if let Some(into) = r.merged_into {
        let at = r.milestones.first().and_then(|m| m.at).unwrap_or(r.as_of);
        let text = format!(
            "# {}: Part of another disruption\n\nThis was part of a larger disruption, which has a report of its own.\n",
            prose::day(at)
        );
        let why = format!("It was merged into {into}. Export that incident for customers.");
        return External { text, left_out: vec![(r.incident_title.clone(), why)] };
    }
    let started = r.milestones.first().and_then(|m| m.at).unwrap_or(r.as_of);
    let assumed = |name: &str| r.milestones.iter().any(|m| m.name == name && m.assumed);
    let length = std::time::Duration::from_secs_f64(r.impact_secs.round());
    let symptom = r.impact.text.as_ref().and_then(|t| checked.allow_in_past(t));
    let share = r.failed_requests.first().filter(|f| f.failed >= 1.0);
    let share = share.map(|f| format!("About {:.0}% of requests failed.", f.share() * 100.0));
    let symptom = symptom.or(share).unwrap_or_else(|| "Some customers could not use our service as usual.".to_owned());
    // A full stop within a number does not end the sentence.
    let heading = ["; ", ". ", "! ", "? "].iter().filter_map(|end| symptom.find(end)).min();
    let heading = heading.and_then(|end| symptom.get(..end)).unwrap_or(&symptom).trim_end_matches('.');
    let mut out = format!(
        "# {}: {}\n\n## Summary\n\n",
        prose::day(started),
        inline(&crate::telemetry::clean::truncate(heading, MAX_HEADING))
    );
    let affected = r.impact.users.clone().and_then(|u| checked.allow(u));
    let affected = affected.map_or_else(String::new, |u| format!(" Affected: {}.", u.trim_end_matches('.')));
    let data = r.impact.data.as_ref().filter(|d| !is_none(d)).map(|d| prose::lost_data(d)).and_then(|d| checked.allow(d));
    let data = data.map_or_else(String::new, |d| format!(" {d}"));
    let about = if assumed("impact started") { "about " } else { "" };
    let when = if r.impact_over {
        let when = prose::from_to(started, started + length);
        format!("It lasted {about}{}, {when}. We are sorry for the disruption.", prose::length(r.impact_secs))
    } else {
        let when = format!("{} UTC on {}", prose::minute(started), prose::day(started));
        format!("It began at {about}{when}. We are sorry for the disruption, and are working to end it.")
    };
    out.push_str(&inline(&format!("{symptom}{affected}{data} {when}")));
    out.push_str("\n\n## What happened\n\n");
    // A question is no statement of a cause.
    let is_statement = |text: &String| !text.trim_end().ends_with('?');
    let cause = confirmed.map(|h| h.text.clone()).filter(is_statement).and_then(|text| checked.allow_in_past(&text));
    let cause = cause.unwrap_or_else(|| match confirmed {
        Some(_) => "We have found the cause.".to_owned(),
        None => "We do not know the cause yet.".to_owned(),
    });
    let noticed = r.milestones.get(1).and_then(|m| m.at).filter(|at| !assumed("detected") && *at >= started);
    let noticed = noticed.map_or_else(String::new, |at| format!(" We noticed the problem at {}.", prose::moment(started, at)));
    // Only readings can say that something ended it.
    let worked = r.credited().map(|m| format!("{}: {}", prose::moment(started, m.at), m.text.trim_end_matches('.')));
    let ended = worked.and_then(|t| checked.allow(t)).map(|t| format!(" The disruption ended with this measure at {t}."));
    let end = r.milestones.iter().find(|m| m.name == "mitigated").and_then(|m| m.at).filter(|_| r.impact_over);
    let about = if assumed("mitigated") { "about " } else { "" };
    let ended = ended.or_else(|| end.map(|at| format!(" The disruption ended at {about}{}.", prose::moment(started, at))));
    out.push_str(&inline(&format!("{cause}{noticed}{}", ended.unwrap_or_default())));
    if r.impact.data.as_ref().is_some_and(|d| is_none(d)) {
        out.push_str(" No data was lost or corrupted.");
    }
    out.push_str("\n\n## What we are doing\n\n");
    let mut items = Vec::new();
    for item in r.action_items.iter().filter(|a| a.scope == ActionScope::FollowUp && a.state != ActionState::Dropped) {
        // What no one has taken on is no promise.
        if item.owner.is_none() || item.due.is_none() && item.state != ActionState::Done {
            let why = "It has no owner or no date, so that it is no promise to customers.".to_owned();
            checked.left_out.push((item.text.clone(), why));
            continue;
        }
        // What it takes for the item to be done is for the team.
        let text = item.text.split("; done when").next().unwrap_or(&item.text).trim();
        let done = if item.state == ActionState::Done { " (done)" } else { "" };
        items.extend(checked.allow(sentence(text)).map(|t| format!("- {}{done}\n", inline(&t))));
    }
    if items.is_empty() {
        out.push_str("We are reviewing what happened, and how to keep it from happening again.\n");
    } else {
        out.push_str(&items.concat());
    }
    External { text: out, left_out: checked.left_out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::state::tests::{declared, entries};
    use crate::incident::{ActionKind, ActionScope, Fact, Incident, NoteKind, Status};
    use std::collections::BTreeMap;

    /// An action item with an owner and a date.
    fn planned(text: &str) -> Fact {
        let mut fact = Fact::action(text, ActionKind::Prevent, ActionScope::FollowUp);
        if let Fact::ActionAdded { owner, due, .. } = &mut fact {
            (*owner, *due) = (Some("ana".to_owned()), Some("2026-12-05".to_owned()));
        }
        fact
    }

    fn external(text: &str, cause: &str, fix: &str, action: &str) -> (External, Names) {
        let status = |from, to| Fact::StatusChanged { from, to, override_reason: None, open: Vec::new(), reason: None };
        let facts = vec![
            declared(),
            Fact::ImpactChanged {
                services: Some(vec!["payment-api".into()]),
                users: Some("all customers in Europe".into()),
                region: None,
                text: Some(text.into()),
                data: Some("none".into()),
            },
            Fact::Note { text: cause.into(), note_kind: NoteKind::Hypothesis },
            Fact::HypothesisJudged { seq: 3, verdict: Verdict::Supported, reason: "seen".into() },
            Fact::Note { text: fix.into(), note_kind: NoteKind::Mitigation },
            status(Status::Investigating, Status::Mitigated),
            planned(action),
        ];
        let incident = Incident::fold(entries(facts)).unwrap();
        let names = crate::comms::names_of(&incident);
        (render(&Report::new(&incident, &BTreeMap::new()), &names), names)
    }

    #[test]
    fn what_customers_may_read_is_in_three_parts() {
        let (made, _) = external(
            "17% of payments fail",
            "A new version opened too few database connections [E3]",
            "went back to the previous version",
            "Test new versions under load before they are released; done when the test runs nightly",
        );
        assert_eq!(made.left_out, []);
        for part in [
            "17% of payments failed. Affected: all customers in Europe. It lasted about 5m00s, from 09:30 to 09:35 UTC on 21 November",
            "## What happened\n\nA new version opened too few database connections. The disruption ended at 09:35 UTC. No data was lost",
            "## What we are doing\n\n- Test new versions under load before they are released.\n",
        ] {
            assert!(made.text.contains(part), "{part}\n{}", made.text);
        }
    }

    #[test]
    fn only_what_people_stand_for_is_promised() {
        let facts = vec![
            declared(),
            Fact::ImpactChanged {
                services: None,
                users: None,
                region: None,
                text: Some("Salaries were paid twice; 9.4 million EUR were moved".into()),
                data: Some("unknown".into()),
            },
            Fact::Note { text: "was it the new font package?".into(), note_kind: NoteKind::Hypothesis },
            Fact::HypothesisJudged { seq: 3, verdict: Verdict::Supported, reason: "seen".into() },
            Fact::action("someone tell support", ActionKind::Process, ActionScope::FollowUp),
            planned("Test each package on one printer"),
        ];
        let incident = Incident::fold(entries(facts)).unwrap();
        let made = render(&Report::new(&incident, &BTreeMap::new()), &Names::default());
        let first = made.text.lines().next().unwrap();
        assert_eq!(first, "# 21 November 2026: Salaries were paid twice");
        for part in [
            "9.4 million EUR were moved",
            "We have found the cause.",
            "It was not known whether data was lost",
            "- Test each package",
        ] {
            assert!(made.text.contains(part), "{part}\n{}", made.text);
        }
        assert!(!made.text.contains("support") && !made.text.contains("font package"), "{}", made.text);
        assert!(made.left_out.iter().any(|(text, why)| text == "someone tell support" && why.contains("no promise")), "{made:?}");
    }

    proptest::proptest! {
        #[test]
        fn no_internal_name_is_left(name in "[a-z]{3,8}-[a-z]{2,6}-[0-9]{1,2}", address in "10\\.[0-9]{1,2}\\.[0-9]{1,2}\\.[0-9]{1,2}", place in 0..4usize) {
            let mut texts = ["17% of payments fail".to_owned(), "A new version was at fault".to_owned(), "Went back".to_owned(), "Test more".to_owned()];
            texts[place] = format!("payment-api on {name} ({address}) was restarted by ana");
            let (made, names) = external(&texts[0], &texts[1], &texts[2], &texts[3]);
            let rules = CustomerRules { is_cause_known: true, is_last: true };
            proptest::prop_assert_eq!(customer(&made.text, &names, rules), vec![]);
            // A measure that no reading confirms is not part of the text.
            proptest::prop_assert!(place == 2 || !made.left_out.is_empty());
            proptest::prop_assert!(!made.text.contains(&address));
        }
    }
}
