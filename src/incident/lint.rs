//! Style advice for action items: start with a verb, be specific, and say when the item is done. Based on PagerDuty's guide to
//! post-mortems ("actionable, specific, bounded"). It is advice only; nothing is rejected.

/// Verbs that an action item may start with. A verb that is missing here only causes an unneeded hint.
const VERBS: &str = "\
    abort add adjust agree alert allow announce apply archive ask assign attach audit automate back backport \
    ban benchmark block bound build bump buy cache call cancel cap change check clean clear close collect \
    compare configure confirm contact convert copy correct cover create cut decide decommission decrease \
    define delete deploy deprecate describe design detect disable discard document double draft drain drop \
    emit enable encrypt enforce escalate exclude expand expire export expose extend extract fail fetch file \
    filter fix forbid force gate generate give grant guard halve handle hold implement import include increase \
    inform inspect install instrument introduce invalidate isolate join keep label limit link list load lock \
    log lower make mark measure merge migrate mirror move mute name notify open order page parse patch pin \
    plan print profile prohibit protect prove provide provision publish purge put raise rate-limit read \
    rebuild record recover redirect reduce refactor reject release remove rename repair repeat replace \
    replicate report require reroute reserve reset resize restart restore restrict retire retry return revert \
    revoke rewrite roll rotate route run scale schedule script search secure send separate set shard share \
    ship show shrink silence simplify split stage start stop store subscribe switch sync tag teach tell test \
    throttle throw time track train trigger trim triple tune turn unify unpin update upgrade use validate \
    verify version warn watch whitelist widen wire wrap write";

/// Verbs for open-ended work, which need a condition for being done.
const OPEN_ENDED_VERBS: &[&str] = &[
    "investigate",
    "improve",
    "look",
    "evaluate",
    "monitor",
    "ensure",
    "review",
    "consider",
    "think",
    "explore",
    "try",
    "discuss",
];

/// Vague words.
const VAGUE_WORDS: &[&str] =
    &["etc", "etc.", "things", "stuff", "somehow", "better", "properly", "more careful", "as needed", "tbd"];

/// Phrases that introduce a condition for being done.
const DONE_CONDITIONS: &[&str] = &[
    "until",
    "so that",
    "done when",
    "when ",
    "within",
    "before",
    "after",
    "at most",
    "at least",
    "below",
    "above",
    "under",
    "over",
    "by the",
    "no longer",
    "fails if",
    "fires",
    "passes",
    "instead of",
    "every",
];

/// Returns hints on how to improve the text of an action item; empty if the text is fine.
pub fn action(text: &str) -> Vec<String> {
    let lower = text.trim().to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().map(|w| w.trim_matches(|c: char| !c.is_alphanumeric() && c != '-')).collect();
    let first = words.first().copied().unwrap_or("");
    let mut advice = Vec::new();
    if !VERBS.split(' ').any(|v| v == first) && !OPEN_ENDED_VERBS.contains(&first) {
        advice.push(format!("start with a verb such as Add, Alert, Limit, Remove or Test, not with '{first}'"));
    }
    if words.len() < 4 {
        advice.push("be specific: name the service, rule or file".to_owned());
    }
    if let Some(vague) = VAGUE_WORDS.iter().find(|h| {
        lower.split(|c: char| c.is_whitespace() || c == ',').any(|w| w == **h) || h.contains(' ') && lower.contains(**h)
    }) {
        advice.push(format!("be specific: '{vague}' is too vague"));
    }
    if !has_done_condition(&lower) {
        let why = if OPEN_ENDED_VERBS.contains(&first) { format!("'{first}' is open-ended: ") } else { String::new() };
        advice.push(format!("{why}say when it is done, for example with a number, 'so that …' or 'done when …'"));
    }
    advice
}

/// Whether lower-case text says when the work is done: it has a word that starts with a digit, or one of [`DONE_CONDITIONS`].
fn has_done_condition(lower: &str) -> bool {
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric() && c != '-').filter(|w| !w.is_empty()).collect();
    let has_number = words.iter().any(|w| w.starts_with(|c: char| c.is_ascii_digit()));
    let spaced = format!(" {} ", words.join(" "));
    has_number || DONE_CONDITIONS.iter().any(|e| spaced.contains(&format!(" {} ", e.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_good_items_and_names_each_fault() {
        for good in [
            "Alert on db_pool_in_use above 80% of its size; done when the rule fires in a test",
            "Limit retries of the checkout client to 3 with jitter",
            "Remove the manual step from the release script so that no one can skip the canary",
        ] {
            assert_eq!(action(good), Vec::<String>::new(), "{good}");
        }
        for (bad, word) in [
            ("The pool should be larger than 20", "verb"),
            ("Improve the monitoring of the checkout service", "done"),
            ("Monitor the over-provisioned db-1 of the shop", "done"),
            ("Fix it", "specific"),
            ("Add alerts for the pool etc. until 2026-12-01", "etc"),
        ] {
            assert!(action(bad).iter().any(|a| a.contains(word)), "{bad}: {:?}", action(bad));
        }
        assert!(!action("").is_empty());
    }
}
