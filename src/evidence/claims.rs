//! Checks every claim of an answer in code, after the model has finished.
//!
//! An answer is split into statements (`statements`), and each is a fact, a plan, or an admission that something is not
//! known (`kinds`). Every fact under every heading is held against the text of the evidence that it cites: Does the item
//! exist, and was it shown to the model? Do the figures occur there, in the same unit or another (`quantities`)? The times,
//! days, names and quotations? Does a value go where the claim says (`directions`, `series`), and did events happen in the
//! order that it gives (`events`)? And is the item about the same subject, or does another one fit much better (`subject`)?
//! Words of confidence are held against the certainty of the findings (`confidence`).

mod confidence;
mod directions;
mod events;
mod facts;
mod kinds;
mod places;
mod quantities;
mod rows;
mod said;
mod series;
mod statements;
mod subject;
mod verbs;
mod words;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex::Regex;

use crate::analysis::parallel::map_all;
use crate::incident::{Certainty, Citation, Claim, ClaimKind, ClaimState, EvidenceId};
use facts::{All, Facts};
use kinds::Purpose;
use said::Said;
use statements::Statement;

/// The number of items and of statements from which they are read on several threads.
const MIN_PARALLEL: usize = 8;

/// The result of checking an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckedAnswer {
    pub citations: Vec<Citation>,
    pub claims: Vec<Claim>,
}

/// What is wrong with a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    kind: ClaimKind,
    reason: String,
}

impl Fault {
    fn new(kind: ClaimKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into() }
    }
}

/// Checks a Markdown answer against `shown`, the text of the evidence that was shown to the model.
///
/// Plans and admissions that cite nothing are listed as [`ClaimState::NotCheckable`].
pub fn check_claims(answer: &str, shown: &BTreeMap<EvidenceId, String>) -> CheckedAnswer {
    check_claims_within(answer, shown, None)
}

/// Checks an answer as [`check_claims`] does, and its words of confidence against the certainty of the findings, if it is known.
pub fn check_claims_within(answer: &str, shown: &BTreeMap<EvidenceId, String>, band: Option<Certainty>) -> CheckedAnswer {
    let items: Vec<(&EvidenceId, &String)> = shown.iter().collect();
    let facts: BTreeMap<EvidenceId, Facts> =
        map_all(&items, MIN_PARALLEL, |(id, text)| (**id, Facts::of(text))).into_iter().collect();
    let shown_items = Shown { facts: &facts, all: All::of(&facts), subjects: subject::Subjects::new(shown), band };
    let mut checked = CheckedAnswer::default();
    let statements = statements::statements(answer);
    let judged = map_all(&statements, MIN_PARALLEL, |statement| {
        let cited = citations(&statement.text);
        let verdict = verdict(statement, &cited, &shown_items);
        (cited, verdict)
    });
    for (statement, (cited, verdict)) in statements.into_iter().zip(judged) {
        for id in &cited {
            let ok = id.parse().is_ok_and(|id: EvidenceId| shown.contains_key(&id));
            if !checked.citations.iter().any(|c| c.id == *id) {
                checked.citations.push(Citation { id: id.clone(), ok });
            }
        }
        if let Some((state, fault)) = verdict {
            let (kind, reason) = fault.map_or((None, None), |f| (Some(f.kind), Some(f.reason)));
            checked.claims.push(Claim {
                text: statement.text,
                state,
                kind: kind.filter(|_| matches!(state, ClaimState::NumberNotFound | ClaimState::Unsupported)),
                reason,
                line: statement.line,
                start: statement.start,
                end: statement.end,
                evidence: cited,
            });
        }
    }
    checked
}

/// The evidence that the model was shown, taken apart.
struct Shown<'a> {
    facts: &'a BTreeMap<EvidenceId, Facts>,
    all: All<'a>,
    subjects: subject::Subjects,
    /// The certainty of the findings, if it is known.
    band: Option<Certainty>,
}

/// The state of a statement, with the reason unless it is supported; `None` if it is not a claim.
fn verdict(statement: &Statement, cited: &[String], shown: &Shown<'_>) -> Option<(ClaimState, Option<Fault>)> {
    let Shown { facts, all, subjects, band } = shown;
    let bare = without_citations(&statement.text);
    let said = Said::new(&bare);
    let has_figure = said.has_figure();
    let purpose = kinds::purpose(&bare, &statement.heading, statement.is_row, !cited.is_empty(), has_figure);
    // The kind of these is not used: they are not wrong, there is nothing to hold against them.
    let note = |reason: &str| Some(Fault::new(ClaimKind::Subject, reason));
    let known: Option<Vec<EvidenceId>> =
        cited.iter().map(|id| id.parse().ok().filter(|id: &EvidenceId| facts.contains_key(id))).collect();
    let Some(known) = known else {
        let unknown: Vec<&str> = cited
            .iter()
            .filter(|id| id.parse().ok().is_none_or(|id: EvidenceId| !facts.contains_key(&id)))
            .map(String::as_str)
            .collect();
        return Some((ClaimState::UnknownEvidence, note(&format!("The model was not shown {}.", unknown.join(", ")))));
    };
    if let Some(fault) = band.as_ref().filter(|_| purpose != Purpose::Unknown).and_then(|band| confidence::excess(&bare, *band)) {
        return Some((ClaimState::Unsupported, Some(fault)));
    }
    match purpose {
        Purpose::Fragment if cited.is_empty() => return None,
        Purpose::Unknown => return Some((ClaimState::NotCheckable, note("It says that something is not known."))),
        Purpose::Plan => {
            let items: Vec<&Facts> = known.iter().filter_map(|id| facts.get(id)).collect();
            let fault = if items.is_empty() { None } else { facts::misnamed(said, &items, all) };
            return Some(match fault {
                Some(fault) => (ClaimState::Unsupported, Some(fault)),
                None => (ClaimState::NotCheckable, note("It is a recommendation, a plan or an opinion.")),
            });
        }
        Purpose::Fact if cited.is_empty() => return Some((ClaimState::Uncited, note("It states a fact and cites no evidence."))),
        Purpose::Fact | Purpose::Fragment => {}
    }
    let items: Vec<&Facts> = known.iter().filter_map(|id| facts.get(id)).collect();
    let about = said.about();
    let fault = facts::contradiction(said, &items, all).or_else(|| subjects.mismatch(&about, &known, has_figure));
    Some(match fault {
        None => (ClaimState::Supported, None),
        Some(fault) => {
            let number = matches!(fault.kind, ClaimKind::Number | ClaimKind::Unit | ClaimKind::Time);
            (if number { ClaimState::NumberNotFound } else { ClaimState::Unsupported }, Some(fault))
        }
    })
}

/// The length in bytes of the citations at the start of a sentence; 0 without any.
fn leading_citations(sentence: &str) -> usize {
    citation_regex()
        .find_iter(sentence)
        .try_fold(0, |end, m| {
            if sentence.get(end..m.start()).is_some_and(|gap| gap.trim_matches([' ', '.', ',']).is_empty()) {
                Ok(m.end() + sentence.get(m.end()..).map_or(0, |r| r.bytes().take_while(|b| *b == b'.').count()))
            } else {
                Err(end)
            }
        })
        .unwrap_or_else(|end| end)
}

fn citation_regex() -> &'static Regex {
    static REGEX: OnceLock<Regex> = OnceLock::new();
    REGEX.get_or_init(|| {
        Regex::new(r"[\[【(]\s*\^?[Ee]L?\d+(?:\s*[,;–-]\s*[Ee]?L?\d+|\s+and\s+[Ee]L?\d+|\s+[Ee]L?\d+)*\s*[\]】)]|\bEL?\d{1,3}\b")
            .unwrap_or_else(|e| unreachable!("{e}"))
    })
}

/// The ids that a statement cites, in order and without duplicates.
///
/// Recognised forms: `[E3]`, `[E3, E4]`, `(E5)`, `[^E3]`, a bare `E3`, and ranges such as `[E2-E4]`, which are expanded.
pub fn citations(statement: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for found in citation_regex().find_iter(statement) {
        let inside = found.as_str();
        let numbers: Vec<u32> = inside.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        if let ([from, to], true) = (numbers.as_slice(), inside.contains(['-', '–']))
            && !inside.contains(['L', 'l'])
            && from < to
            && to - from <= 50
        {
            for n in *from..=*to {
                let id = format!("E{n}");
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            continue;
        }
        for part in inside.split(|c: char| !c.is_ascii_alphanumeric()).filter(|p| p.len() > 1) {
            let id = part.to_ascii_uppercase();
            let number = id.strip_prefix('E').map(|n| n.strip_prefix('L').unwrap_or(n));
            if number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) && !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    ids
}

/// A statement without its citations.
fn without_citations(statement: &str) -> String {
    citation_regex().replace_all(statement, " ").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown() -> BTreeMap<EvidenceId, String> {
        BTreeMap::from([
            (EvidenceId(1), "HighErrorRate since 09:27:40, value 0.172".to_owned()),
            (EvidenceId(3), "db_pool_in_use: min 4 median 20 max 20\n 09:27:10=12".to_owned()),
        ])
    }

    fn states(answer: &str) -> Vec<ClaimState> {
        check_claims(answer, &shown()).claims.into_iter().map(|c| c.state).collect()
    }

    #[test]
    fn sets_the_state_of_each_kind_of_claim() {
        use ClaimState::*;
        for (answer, expected) in [
            ("The pool rose from 4 to 20 at 09:27:10 [E3].", vec![Supported]),
            ("The pool rose from 4 to 20 at 09:27:10Z [E3].", vec![Supported]),
            ("The pool rose from 4 to 20 at 09:27:11Z [E3].", vec![NumberNotFound]),
            ("The pool rose from 4 to 21 at 09:27:10 [E3].", vec![NumberNotFound]),
            ("The pool rose at 09:28:10 [E3].", vec![NumberNotFound]),
            ("17.2 % of requests fail since 09:27 [E1].", vec![Supported]),
            ("17.3 % of requests fail [E1].", vec![NumberNotFound]),
            ("The pool is exhausted [E9].", vec![UnknownEvidence]),
            ("The pool is exhausted [E3, E9].", vec![UnknownEvidence]),
            ("The database is certainly to blame.", vec![Uncited]),
            ("It broke at checkout. [E1] The pool was full. [E3]", vec![Supported, Supported]),
            ("Is the pool too small?", vec![]),
            (
                "## Immediate mitigations\n\n- Raise the pool to 40 connections.\n- Restart it [E3].",
                vec![NotCheckable, NotCheckable],
            ),
            ("```\nrate(x[5m]) > 99\n```", vec![]),
            ("```markdown\nThe database lost 40000 orders [E77].\n```", vec![UnknownEvidence]),
            ("```\nThe database lost 40000 orders today", vec![Uncited]),
            ("DB down 40000s.", vec![Uncited]),
            ("## Next steps\n\nThe database lost 40000 orders and 99 nodes died.", vec![Uncited]),
            ("It started on 2019-01-02 [E1].", vec![NumberNotFound]),
            ("It started at 27:40 [E1].", vec![NumberNotFound]),
            ("E77 shows that the pool is full.", vec![UnknownEvidence]),
            ("The pool is full [E1-E3].", vec![UnknownEvidence]),
            ("Latency p95 and db-3 look normal [E1].", vec![Unsupported]),
            ("| a | b |\n|---|---|\n| pool in use | 20 [E3] |", vec![Supported]),
        ] {
            assert_eq!(states(answer), expected, "{answer}");
        }
    }

    /// Fails unless all statements of the first list are supported, and none of the second.
    fn assert_verdicts(right: &[&str], wrong: &[&str]) {
        for statement in right {
            assert_eq!(fault(statement), None, "{statement}");
        }
        for statement in wrong {
            assert_ne!(fault(statement), None, "{statement}");
        }
    }

    /// What is wrong with a statement about an incident that goes past midnight.
    fn fault(statement: &str) -> Option<String> {
        let shown = [
            "alerts from am · 2 alerts\nCartErrors [crit] firing since 23:58:12, condition true since 23:56:12 {service=cart}\nQueueLong [warn] firing since 00:03:40 {service=mail}",
            "changes from ci · 3 changes\n2026-08-04T23:51:05Z deploy cart 3.8.0 → 3.9.0\n2026-08-04T23:56:30Z config of mail: batch 50 → 500\n2026-08-05T00:12:10Z rollback of cart by kim",
            "metric from prom · cart latency p95 0.2 s → 3.1 s from 23:55:10\nlatency p95, in s, step 60 s\n{service=\"cart\"}: min 0.2 median 0.3 max 3.1\n    23:40:00=0.2 23:50:00=0.2 23:55:00=0.9 00:00:00=3.1 00:10:00=3 00:15:00=0.6 00:25:00=0.2",
            "patterns from logs · 2 patterns\nnew 310x error [mail] first 00:02:20 last 00:14:01: mailbox full",
            "metric from prom · images per second\nimages, in /s, step 60 s\n{service=\"image-proxy\"}: min 8 median 8 max 9\n    23:40:00–00:25:00=8..9",
        ];
        let shown = (1..).map(EvidenceId).zip(shown.map(str::to_owned)).collect();
        let claims = check_claims(statement, &shown).claims;
        assert_eq!(claims.len(), 1, "{statement}");
        claims.into_iter().find(|c| c.state != ClaimState::Supported).map(|c| c.reason.unwrap_or_default())
    }

    #[test]
    fn checks_the_order_of_two_events_and_the_time_between_them() {
        let right = [
            "CartErrors fired before QueueLong did [E1].",
            "QueueLong went off only after CartErrors [E1].",
            "Cart 3.9.0 was deployed about seven minutes before CartErrors fired [E1][E2].",
            "The batch of mail was raised after the deploy of cart 3.9.0 [E2].",
            "After the deploy of cart 3.9.0, CartErrors fired [E1][E2].",
            "The mailbox was full before kim rolled cart back [E2][E4].",
            "CartErrors fired before midnight, and cart recovered after the rollback by kim [E1][E2].",
            "QueueLong didn't fire before CartErrors [E1].",
            "The rollback of cart came some twenty minutes after the deploy [E2].",
            // It cannot be known which of both this is about, or that it began.
            "The second change came before the first [E2].",
            "The last mailbox was full before CartErrors fired [E1][E4].",
        ];
        let wrong = [
            "CartErrors fired later than QueueLong [E1].",
            "QueueLong was firing ahead of CartErrors [E1].",
            "Cart 3.9.0 was deployed after CartErrors had fired [E1][E2].",
            "Cart 3.9.0 was deployed twenty minutes before CartErrors fired [E1][E2].",
            "After the rollback of cart by kim, the batch of mail was raised [E2].",
            "kim rolled cart back before the mailbox was full [E2][E4].",
            "CartErrors fired before 23:51:05 [E1][E2].",
            "The rollback of cart came eight minutes after the deploy [E2].",
        ];
        assert_verdicts(&right, &wrong);
    }

    #[test]
    fn checks_which_way_and_at_which_time_a_series_has_the_values() {
        let right = [
            "Latency went from 0.2 s to 3.1 s between 23:50 and 00:00 [E3].",
            "Latency was 3.1 s at 00:00 [E3].",
            "Latency came down to 0.6 s by 00:15 [E3].",
            "Latency was back to 0.2 s at 00:25 [E3].",
            // It fell again since.
            "Latency had reached 3.1 s by 00:15 [E3].",
        ];
        let wrong = [
            "Latency went from 3.1 s to 0.2 s between 23:50 and 00:00 [E3].",
            "Latency eased off, from 3.1 s to 0.9 s, after 23:55 [E3].",
            "Latency was 3.1 s at 23:50 [E3].",
            "Latency reached 3000 ms by 23:50 [E3].",
            "Latency dropped to 3.1 s by 00:00 [E3].",
        ];
        assert_verdicts(&right, &wrong);
    }

    #[test]
    fn checks_where_a_series_goes_after_an_event_or_before_it() {
        let right = [
            "After the deploy of cart 3.9.0, latency climbed [E2][E3].",
            "Latency was steady until cart 3.9.0 was deployed [E2][E3].",
            "Once kim had rolled cart back, latency eased [E2][E3].",
            "Latency was lower at 00:25 than at 00:00 [E3].",
            "At 00:10 latency was higher than before [E3].",
            "Latency rose as the mailbox filled [E3][E4].",
            "kim rolled back cart after latency had climbed [E2][E3].",
            "image-proxy carried a steady load the whole time [E5].",
            "Latency is stable again at 0.2 s [E3].",
            "After kim had rolled cart back the latency eased [E2][E3].",
        ];
        let wrong = [
            "After the deploy of cart 3.9.0, latency slackened [E2][E3].",
            "Latency stayed flat after cart 3.9.0 was deployed [E2][E3].",
            "Once kim had rolled cart back, latency was driven up further [E2][E3].",
            "Latency was higher at 00:25 than at 00:00 [E3].",
            "At 00:10 latency was lower than before [E3].",
            "Latency did not improve after the rollback [E2][E3].",
            "Latency never moved; it stayed at its usual level throughout [E3].",
            "The images per second of image-proxy soared in lockstep with latency [E5].",
            "After kim had rolled cart back the latency rose even further [E2][E3].",
        ];
        assert_verdicts(&right, &wrong);
    }

    #[test]
    fn reads_times_in_words() {
        let right = [
            "Just before midnight CartErrors fired [E1].",
            "QueueLong fired about five past twelve [E1].",
            "kim rolled cart back at ten past midnight [E2].",
            "Cart 3.9.0 was deployed at about ten to twelve at night [E2].",
        ];
        let wrong = [
            "QueueLong fired about half past twelve [E1].",
            "kim rolled cart back at a quarter past eleven [E2].",
            "Latency was 3.1 s at ten to twelve [E3].",
        ];
        assert_verdicts(&right, &wrong);
    }

    #[test]
    fn figures_and_names_belong_to_what_the_labels_name() {
        let right = ["mail logged 310 full mailboxes [E4].", "The mailbox of mail was full 310 times, long after cart [E2][E4]."];
        let wrong = ["cart logged 310 full mailboxes [E1][E4].", "image-proxy had a latency of 3.1 s [E3]."];
        assert_verdicts(&right, &wrong);
    }

    #[test]
    fn checks_when_an_alert_fires_and_what_a_series_never_exceeds() {
        let right = [
            "CartErrors fired at 23:58:12, and its condition was true since 23:56:12 [E1].",
            "Latency never exceeded 3.1 s [E3].",
            "Latency never fell below 200 ms [E3].",
            "Latency stayed below 300 ms until 23:50 [E3].",
            "310 of 620 mailboxes, i.e. 50 %, were full [E4].",
        ];
        let wrong = [
            "CartErrors fired at 23:56:12 [E1].",
            "Latency never exceeded 2 s [E3].",
            "Latency stayed above 500 ms [E3].",
            "310 mailboxes, i.e. 50 %, were full [E4].",
        ];
        // Of the fifth only the share is right.
        let (of_shares, right) = right.split_last().unwrap();
        assert_verdicts(right, &wrong);
        assert_eq!(fault(of_shares).as_deref(), Some("The figure 620 is in no cited item."));
    }

    #[test]
    fn reads_days_with_their_times_and_times_of_other_places() {
        let right = [
            "On Wed 5 Aug, 00:12:10 kim rolled back cart [E2].",
            "On 4 August at 23:51:05Z cart 3.9.0 was deployed [E2].",
            "kim rolled cart back at 00:12:10 UTC, 09:12 in Tokyo (JST) [E2].",
            "Cart 3.9.0 was deployed at 07:51:05 pm in New York (EDT) [E2].",
            "Cart 3.9.0 was deployed at 23:51 UTC, in Berlin that was 01:51 [E2].",
            "kim rolled cart back at 00:12:10 UTC, at 02:12 in Berlin [E2].",
            "The log of mail was full from 00:02:20 to 00:14:01, and 21 minutes passed from the deploy at 23:51:05 to the rollback [E2][E4].",
        ];
        let wrong = [
            "On 4 August at 00:12:10 kim rolled back cart [E2].",
            "kim rolled cart back at 00:12:10 UTC, 09:40 in Tokyo (JST) [E2].",
            "kim rolled cart back at 00:12:10 UTC, at 01:12 in Berlin [E2].",
            "kim rolled cart back at 00:12:10 UTC, that was 6:12 pm Pacific time [E2].",
            "kim rolled cart back at 00:12:10 and 00:27:10 (GET) [E2].",
            "Cart 3.9.0 was deployed at 08:51:05 pm in New York (EDT) [E2].",
        ];
        assert_verdicts(&right, &wrong);
    }

    #[test]
    fn flags_one_claim_for_one_changed_digit() {
        let good = "The pool rose from 4 to 20 at 09:27:10 [E3]. Requests fail since 09:27:40 [E1].";
        assert!(states(good).iter().all(|s| *s == ClaimState::Supported));
        let bad = good.replace("09:27:40", "09:27:41");
        assert_eq!(states(&bad).iter().filter(|s| **s != ClaimState::Supported).count(), 1);
    }

    #[test]
    fn lists_each_citation_once_with_its_verdict() {
        let checked = check_claims("A is broken [E1]. B is broken [E1, E7] (E3).", &shown());
        let listed: Vec<(&str, bool)> = checked.citations.iter().map(|c| (c.id.as_str(), c.ok)).collect();
        assert_eq!(listed, [("E1", true), ("E7", false), ("E3", true)]);
    }

    proptest::proptest! {
        #[test]
        fn checks_any_text_without_panicking(text in "[#*\\-\\n .\\[\\]E0-9:,%a-zé|`]{0,120}") {
            check_claims(&text, &shown());
        }
    }
}
