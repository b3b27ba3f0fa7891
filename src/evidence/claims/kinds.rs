//! What a statement is: a fact, a plan, or an admission that something is not known. Only facts can be wrong.

use std::sync::LazyLock;

use regex::Regex;

use super::words::{Words, pattern, words};

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It says what is or what happened.
    Fact,
    /// It recommends, plans, supposes or judges.
    Plan,
    /// It says that something is not known.
    Unknown,
    /// It is a question, a label or an introduction.
    Fragment,
}

static UNKNOWN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:not (?:yet )?(?:been )?(?:yet )?(?:known|clear|certain|sure|confirmed|established|determined|visible|recorded|shown|documented|stated|possible to|available|conclusive|enough)|unknown|unclear|uncertain|undetermined|inconclusive|open question|remains? (?:to be|open|unclear|unknown|unexplained)|no (?:evidence|information|data|indication|proof|record|item|log|metric|statement|measurement|figures?|trace)s?\b(?: \w+){0,4} (?:of|on|about|for|that|to|is|are|was|shows?|says?|exists?|whether|which|in)|no (?:evidence|information|data|one)\b[^.]*\b(?:is available|was (?:collected|gathered|recorded)|exists?|says?|shows?|covers?|explains?)|(?:can ?not|could not|cannot|can't|couldn't) (?:yet )?(?:be )?(?:say|said|tell|told|determine|determined|confirm|confirmed|exclude|excluded|ruled|rule|establish|established|know|known|verify|verified|see|seen|infer|inferred|conclude|concluded|judged|judge|quantified|quantify|estimated|answered|assessed|explained)|(?:do|does|did) not (?:show|say|tell|cover|contain|include|explain|reveal|record|mention|state|know|answer|prove|indicate|allow|establish|name|have (?:any )?(?:evidence|data|information)|identify|emerge|support any)|(?:don't|doesn't|didn't) (?:know|show|say|tell|contain|include|explain|reveal|cover)|hard to (?:say|tell)|impossible to (?:say|tell)|(?:evidence|data|information|picture|record) (?:is|are|was|were) (?:missing|insufficient|lacking|incomplete|too (?:thin|sparse))|lack (?:of )?(?:evidence|data|information)|nothing in the evidence|none of the (?:evidence|items)|insufficient (?:evidence|data|information)|missing from the evidence|outside (?:of )?the evidence|not (?:part of|in|covered by) the evidence|anyone'?s guess|remains? speculation|unconfirmed|says? nothing (?:about|on)|(?:still|yet) (?:being|to be) \w+|cannot be derived|is speculation|needs? (?:more|further) (?:evidence|data|investigation)|(?:nothing|none)(?: \w+){0,2} (?:found|seen|known|so far|yet)|i (?:have|see) no|we (?:have|see) no|too early to (?:say|tell))\b",
    )
});

/// A question that is the subject of its sentence, and what says that it has no answer: "whether it was on purpose could not be
/// found out", "which library holds them is still open".
static OPEN_QUESTION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^\W*(?:whether\b|(?:which|what|who|whose|why|how|when|where)\b.{3,}\b(?:is|are|was|were|remains?|has|have|had|can|could)(?: \w+)? (?:open|unclear|unknown|uncertain|unexplained|beyond|not|no longer|never|nowhere|impossible|hard to|(?:an? )?(?:open )?(?:question|mystery|guess|matter)|anyone|left|to be)\b)|\b(?:nothing|no ?one|nobody|none of \w+)(?: \w+){0,3} (?:tells?|shows?|says?|indicates?|reveals?|explains?|records?|knows?|can (?:say|tell)|could (?:say|tell))\b",
    )
});

/// When something is due, in a sentence about what is to be done.
static DUE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:by|until|before|on) (?:(?:next )?(?:mon|tues|wednes|thurs|fri|satur|sun)day|tomorrow|noon|tonight|(?:the )?end of (?:the |this )?(?:day|week|month|sprint|quarter)|next (?:week|month|sprint))\b|\b(?:tomorrow|next (?:week|month|sprint))\b",
    )
});

/// Words that make a sentence a plan, a supposition or a judgement wherever they occur.
static PLAN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:should|shall|must|ought to|needs? to be|need to|has to be|have to be|will|won't|would|could|might|may|recommend(?:ed)?|suggest(?:ed)?|propos(?:e|ed|al)|consider|plan(?:ned)? to|next (?:step|check|test|update)|to (?:confirm|verify|refute|rule out|test|check|prevent|avoid|mitigate|reduce|validate|find out)\b|owner:|due:|deadline:|risk: ?|undo:|verify:|priority:|is worth|are worth|worth (?:checking|adding|doing)|it is (?:best|better|advisable|safer|important|sensible)|would be|in future|in the future|going forward|once .* (?:is|are|has|have)|until .* (?:is|are|has|have)|too (?:many|few|little|much|short|long|late|slow|large|small|low|high|tight|coarse)\b)",
    )
});

/// A task of a person or of the team: "kim to write a drill", "We plan an alert".
static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^\W*(?:[a-z][\w.-]*(?: and [a-z][\w.-]*)? to [a-z]+ |(?:We|I) (?:plan|propose|recommend|suggest|want) )")
});

/// A sentence that depends on what is not known yet.
static CONDITION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^(?:\W|\*\*[^*]{1,40}\*\*:?\s*)*(?:if|should|unless|when|whenever|once|assuming|suppose|in case|had)\b|^\W*no \w+(?: \w+){0,4} (?:while|without|unless|before|until|during)\b",
    )
});

/// A condition that is a time if its sentence is about the past: "once it was rolled back, errors fell".
static WHEN: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^\W*(?:when|whenever|once)\b"));

/// An opinion without a fact.
static OPINION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:in my (?:opinion|view)|i (?:think|believe|suspect|would)|we (?:think|believe|suspect)|arguably|good (?:idea|practice|candidate|start)|best practice|sensible|reasonable|acceptable|prudent|low.risk|safe(?:st|r)? (?:option|choice|to)|the priority is|a likely explanation|the fastest|cheapest|preferred|preferable|desirable|ideal(?:ly)?|lesson|(?:right|better|best|wrong) (?:call|choice|order|approach|decision|option|way|move)|tends? to|well.known|in general|generally|typically|usually|as a rule|easily (?:missed|overlooked)|well meant|has always been a)\b",
    )
});

/// A word for what happened: its presence makes a sentence with a figure a fact.
static EVENT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:was|were|had|did|began|begun|became|came|went|fell|rose|grew|took|broke|lost|left|sent|kept|held|hit|got|made|ran|saw|stood|stayed|spent|shut|cut|led|gave|wrote|said|found|told|knew|met|paid|put|brought|bought|caught|chose|chosen|dealt|drew|drove|felt|fought|flew|forgot|froze|hung|heard|hid|laid|lay|lent|meant|overcame|quit|sank|sold|shook|shrank|slept|slid|sped|stuck|struck|swung|taught|tore|threw|understood|woke|won|withdrew|built|crept|bent|bound|blew|burst|spread|sprang|leaks|[a-z]{3,}ed)\b",
    )
});

/// A verb of the present that states something.
static STATES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:is|are|has|have|shows?|points?|indicates?|means?|explains?|fits?|matches|calls?|logs?|fails?|returns?|reports?|runs?|uses?|holds?|contains?|lists?|remains?|stays?|serves?|depends?|affects?|proves?|rules? out|contradicts?|supports?|suggests?|confirms?|lies|starts?|begins?|stops?|accounts? for|exceeds?|reaches|comes?|follows?|precedes?|belongs?|blocks?|causes?|leads?|takes?|needs?|makes?|keeps?|gets?|goes|leaves?|loses?|drops?|grows?|rises?|increases?|triggers?|sends?|receives?|reads?|writes?|waits?|locks?|breaks?|crashes?|restarts?|does|do)\b",
    )
});

/// Verbs that begin an instruction.
static INSTRUCTIONS: Words = words!(
    "abort accept acknowledge activate add address adjust adopt agree alert align allocate allow allowlist analyse analyze announce anticipate apply approve archive arrange ask assess assign attach audit automate avoid back backfill balance ban base begin block blocklist book boost bound brief bring broadcast budget buffer build bump bypass cache calculate call cancel cap capture change chart check choose clarify clean clear close codify collate collect communicate compare complete compress compute confirm connect consider consult contact continue coordinate copy cordon correct correlate count cover create cross-check curate cut deactivate debug decide declare decommission decouple decrease deduplicate define delay delete demand demote deploy derive describe design detach detect determine dial diff direct disable discard disconnect discuss disentangle display distribute divert do document double downgrade draft drain drill drop dump duplicate edit email emit enable encourage enforce engage enlarge enrich enroll ensure escalate establish estimate evaluate evict examine exclude execute expand expire explain export expose extend fail feed fence fetch file filter find fine-tune finish fix flag flip flush focus follow force forecast fork formalise formalize forward freeze freshen gate gather generate get give go grant graph group grow guard halt hand handle harden have hold hunt identify ignore implement import improve include increase inform inspect install instrument integrate interview introduce invalidate inventory investigate invite involve isolate issue join keep kill label launch leave lengthen let level lift limit link list load lock log look lower maintain make manage map mark match measure merge migrate mirror mitigate monitor mount move mute name narrow negotiate notify nudge observe obtain offer offload open optimise optimize order organise organize overprovision override own page pair park partition patch pause perform persist pin place plan point poll populate post postpone practice predict prefer preload prepare present preserve prevent preview print prioritise prioritize probe profile promote propose protect prove provide provision prune publish pull purge push put quantify quarantine query queue quiesce raise ramp rank rate re-enable re-run reach read rebalance reboot rebuild recheck reclaim recommend reconcile reconfigure reconnect record recreate recycle redeploy redesign redirect reduce refactor refer refresh refuse register rehearse rehydrate reindex reinstall reinstate reject relax reload relocate remind remove rename render renew reopen repair repartition repeat replace replay replicate reply report reproduce request requeue require rerun reschedule reserve reset reshard resize resolve respond restart restore restrict restructure resume retain retire retrain retry return reuse revert review revisit revoke rework rewrite roll rollback rotate route run sample sanitise sanitize save scale scan schedule scope search secure see select send separate serve set shadow share shed shift ship shorten show shrink shut sign simplify simulate size skip slow snapshot soak soften split spread stagger standardise standardize start state stop store stream strengthen stress-test submit subscribe summarise summarize supplement supply suppress survey suspend swap sweep switch sync tabulate tag take teach tell templatise templatize terminate test throttle tie tighten time tolerate trace track train translate treat trial trigger trim tune turn unblock uncordon undo unify uninstall unpin unroll update upgrade upload use validate vary verify vet visit void wait walk warm warn watch weigh whitelist widen wire wrap write"
);

/// Determines what a statement is. `bare` is its text without citations and Markdown.
pub(super) fn purpose(bare: &str, heading: &str, is_row: bool, has_citation: bool, has_figure: bool) -> Purpose {
    let unquoted = without_quotes(bare);
    let text = unquoted.trim().trim_matches(['*', '_', ' ', '`']);
    if text.ends_with('?') {
        return Purpose::Fragment;
    }
    if (UNKNOWN.is_match(text) || !has_citation && OPEN_QUESTION.is_match(text)) && !asserts_besides(text) {
        return Purpose::Unknown;
    }
    let instructs = is_instruction(text) || CONDITION.is_match(text) && !(WHEN.is_match(text) && EVENT.is_match(text));
    let is_due = || DUE.is_match(text) && !EVENT.is_match(text);
    let instructs = instructs || ASSIGNED.is_match(text);
    let plans = instructs || PLAN.is_match(&without_past(text)) || OPINION.is_match(text) || is_due();
    if has_citation {
        // What cites evidence asserts something, unless it is an instruction that refers to it.
        let is_free = !has_figure || recommends(heading) && !EVENT.is_match(text);
        return if instructs && is_free { Purpose::Plan } else { Purpose::Fact };
    }
    if plans {
        return Purpose::Plan;
    }
    let words = text.split_whitespace().filter(|w| w.chars().any(char::is_alphanumeric)).count();
    let states = EVENT.is_match(text) || STATES.is_match(text);
    let ends_open = text.trim_end_matches(['*', '_', ' ']).ends_with(':');
    if is_row {
        let is_head = !has_figure && !states;
        return if is_head || recommends(heading) && !EVENT.is_match(text) { Purpose::Fragment } else { Purpose::Fact };
    }
    if !has_figure && (ends_open || words < 3) {
        return Purpose::Fragment;
    }
    // Below a heading for actions, a phrase without a verb names an action.
    if recommends(heading) && !states {
        return Purpose::Plan;
    }
    if states || has_figure || words >= 6 { Purpose::Fact } else { Purpose::Fragment }
}

/// The text without what it quotes: a log line that says "not known" admits nothing.
fn without_quotes(text: &str) -> String {
    let outside = text.split(['"', '“', '”']).step_by(2).collect::<Vec<_>>().join(" … ");
    let parts = outside.split('`').enumerate();
    parts.map(|(i, part)| if i % 2 == 1 && part.split_whitespace().count() > 2 { "…" } else { part }).collect()
}

/// The text without the forms of "could" and "would" that speak of the past: what could not be done, or would have been.
fn without_past(text: &str) -> String {
    let mut out = text.to_lowercase();
    out = out.replace("could not have ", "might ");
    for past in [
        "could not ",
        "couldn't ",
        "could no longer ",
        "would not ",
        "were too ",
        "was too ",
        "could only ",
        "could neither ",
        "could hardly ",
        "could barely ",
        "could scarcely ",
    ] {
        out = out.replace(past, " ");
    }
    out
}

/// Whether a sentence that admits ignorance also states a fact with a figure, after a "but" or a semicolon.
fn asserts_besides(text: &str) -> bool {
    let parts = text.split([';', '—']).chain(text.split(" but ").skip(1));
    parts.skip(1).any(|p| !UNKNOWN.is_match(p) && p.chars().any(|c| c.is_ascii_digit()) && EVENT.is_match(p))
}

/// Whether a sentence begins with an instruction, after a label such as `**Rollback:**`.
pub(super) fn is_instruction(text: &str) -> bool {
    let mut rest = text.trim_start_matches(['*', '_', '`', ' ', '[', ']']);
    // `Rollback: revert …`, `**Owner** – add …`, `Step 2 – check …`, `Within 15 minutes, send …`, `First, …`.
    for _ in 0..3 {
        if begins_with_instruction(rest) {
            return true;
        }
        let label = rest.split_once([':', '–', '—', ',']).filter(|(label, _)| label.split_whitespace().count() <= 5);
        match label {
            Some((_, after)) => rest = after.trim_start_matches(['*', '_', '`', ' ']),
            None => return false,
        }
    }
    false
}

/// What a value did, behind its name.
const MOVED: &[&str] = &[
    "fell",
    "rose",
    "dropped",
    "grew",
    "climbed",
    "declined",
    "increased",
    "decreased",
    "was",
    "were",
    "had",
    "went",
    "stayed",
    "remained",
    "came",
    "recovered",
    "collapsed",
    "doubled",
    "halved",
    "spiked",
];

fn begins_with_instruction(text: &str) -> bool {
    let mut words = text.split_whitespace().map(|w| w.trim_matches(|c: char| !c.is_alphanumeric() && c != '-'));
    let mut first = words.next().unwrap_or("").to_lowercase();
    while [
        "do",
        "not",
        "don't",
        "please",
        "then",
        "also",
        "first",
        "next",
        "finally",
        "always",
        "never",
        "immediately",
        "temporarily",
        "manually",
        "gradually",
        "and",
        "either",
        "only",
        "regularly",
        "now",
        "later",
        "let's",
    ]
    .contains(&first.as_str())
    {
        first = words.next().unwrap_or("").to_lowercase();
    }
    if first.is_empty() || !INSTRUCTIONS.has(&first) {
        return false;
    }
    // A noun that is spelt like the verb has its own verb behind it: `Alert fired`, `Load rose`, `Page is up`.
    let second = words.next().unwrap_or("").to_lowercase();
    let whole = |words: &Regex| words.find(&second).is_some_and(|m| m.as_str() == second);
    // So does a compound noun: `Page views fell`, `Upload success was`.
    let third = words.next().unwrap_or("").to_lowercase();
    let is_article =
        ["the", "a", "an", "all", "any", "of", "to", "for", "with", "by", "on", "in", "what"].contains(&second.as_str());
    if !is_article && MOVED.contains(&third.as_str()) {
        return false;
    }
    let is_verb = whole(&EVENT) || whole(&STATES) && (second.ends_with('s') || ["are", "have", "do"].contains(&second.as_str()));
    !is_verb || ["put", "cut", "set", "hold", "uses", "runs"].contains(&second.as_str())
}

/// Whether a heading introduces recommendations rather than facts.
fn recommends(heading: &str) -> bool {
    let lower = heading.to_ascii_lowercase();
    [
        "mitigation",
        "prevent",
        "communicat",
        "next step",
        "action item",
        "improve",
        "documentation",
        "recommend",
        "investigation step",
        "lessons",
        "validate",
        "process",
        "plan",
    ]
    .iter()
    .any(|w| lower.contains(w))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separates_facts_from_plans_and_ignorance() {
        use Purpose::{Fact, Fragment, Plan, Unknown};
        for (text, expected) in [
            ("The database is to blame.", Fact),
            ("Traffic to payment quadrupled.", Fact),
            ("Alert fired late.", Fact),
            ("Page views fell to a third.", Fact),
            ("Restart the pods that were evicted.", Plan),
            ("Raise the pool to 40 connections.", Plan),
            ("**Rollback:** revert the release.", Plan),
            ("Within 15 minutes, send the first update.", Plan),
            ("If p95 stays above 1 s, restart it.", Plan),
            ("The pool should be larger.", Plan),
            ("It is not known whether payment was affected.", Unknown),
            ("Against: nothing found", Unknown),
            ("Evidence against it: none so far.", Unknown),
            ("The evidence does not show who deployed it.", Unknown),
            ("Is the pool too small?", Fragment),
            ("Root cause:", Fragment),
            ("Whether a timeout of 30 s was chosen on purpose could not be found out.", Unknown),
            ("Which library holds on to the buffers is still open.", Unknown),
            ("Nothing tells us who saw the mails.", Unknown),
            ("What filled the disk was the audit log.", Fact),
            ("Once the release was out, requests failed.", Fact),
            ("Once the queue is empty, close the incident.", Plan),
            ("kim writes a report for the vendor by Friday.", Plan),
            ("kim wrote a report for the vendor by Friday.", Fact),
            ("i.dubois to write a failover drill.", Plan),
            ("We plan an alert at 85 % of the limit.", Plan),
            ("Customers could neither pay nor log in.", Fact),
        ] {
            assert_eq!(
                purpose(text, "Root cause", false, false, text.contains(|c: char| c.is_ascii_digit())),
                expected,
                "{text}"
            );
        }
    }
}
