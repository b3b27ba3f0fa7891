//! Advice on how an action item is written: it begins with a verb, names something definite, and says how one knows that it
//! is done. After PagerDuty's guide to post-mortems ("actionable, specific, bounded"). Advice only: nothing is refused.

/// Verbs that an action item may begin with. A list and no grammar: a word that is missing costs a hint, no more.
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

/// Verbs that say nothing of an end: they need to say how one knows that it is done.
const VAGUE: &[&str] = &[
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

/// Words that stand for something that was not said.
const HOLLOW: &[&str] = &["etc", "etc.", "things", "stuff", "somehow", "better", "properly", "more careful", "as needed", "tbd"];

/// Words by which an end is told.
const ENDS: &[&str] = &[
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

/// What is wrong with the text of an action item, each with what would mend it. Empty: nothing to say.
pub fn action(text: &str) -> Vec<String> {
    let lower = text.trim().to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().map(|w| w.trim_matches(|c: char| !c.is_alphanumeric() && c != '-')).collect();
    let first = words.first().copied().unwrap_or("");
    let mut advice = Vec::new();
    if !VERBS.split(' ').any(|v| v == first) && !VAGUE.contains(&first) {
        advice.push(format!("begin with a verb (it begins with '{first}'): Add, Alert, Limit, Remove, Test …"));
    }
    if words.len() < 4 {
        advice.push("be specific: name the service, the rule or the file".to_owned());
    }
    if let Some(hollow) = HOLLOW.iter().find(|h| {
        lower.split(|c: char| c.is_whitespace() || c == ',').any(|w| w == **h) || h.contains(' ') && lower.contains(**h)
    }) {
        advice.push(format!("be specific: '{hollow}' can mean anything"));
    }
    if !has_end(&lower) {
        let why = if VAGUE.contains(&first) { format!("'{first}' has no end: ") } else { String::new() };
        advice.push(format!("{why}say how one knows that it is done: a figure, 'so that …', 'done when …'"));
    }
    advice
}

/// Whether a text tells an end: a figure that stands for itself, or one of the usual words as words.
fn has_end(lower: &str) -> bool {
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric() && c != '-').filter(|w| !w.is_empty()).collect();
    let figure = words.iter().any(|w| w.starts_with(|c: char| c.is_ascii_digit()));
    let spaced = format!(" {} ", words.join(" "));
    figure || ENDS.iter().any(|e| spaced.contains(&format!(" {} ", e.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_items_pass_and_each_fault_is_named() {
        for good in [
            "Alert on db_pool_in_use above 80 % of its size; done when the rule fires in a test",
            "Limit retries of the checkout client to 3 with jitter",
            "Remove the manual step from the release script so that nobody can skip the canary",
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
