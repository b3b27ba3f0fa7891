//! Checks the wording of what others read. A hit is a suggestion with its reason; a person decides.
//!
//! The rules follow PagerDuty's and Google's guides to incident communication and blameless post-mortems: an update for customers has
//! no internal names, no guesses about the cause, no blame and no jargon, and names the next update; a post-mortem does not make a person
//! the cause.

mod identifiers;
mod people;
mod phrases;

use serde::Serialize;

use crate::telemetry::Names;
use phrases::{
    AT_FAULT, BLAME, CAUSE, DEALT_WITH, FAULT, GUESS, HELPED, HINDSIGHT, JARGON, Pattern, SHORT, SLIP, UNHELPFUL, VAGUE, WHO,
    find, is_match, patterns,
};

/// What is wrong with a part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HitKind {
    Hostname,
    Address,
    Service,
    Person,
    /// A guess about the cause.
    Cause,
    Blame,
    Jargon,
    NoNextUpdate,
    /// What someone should have done, or what would have happened.
    Counterfactual,
    /// A measure that changes nothing, such as being more careful.
    Vague,
    /// A number that a model has added.
    Number,
}

/// A part of a text that should be worded differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hit {
    pub kind: HitKind,
    pub text: String,
    /// Byte offsets.
    pub start: usize,
    pub end: usize,
    /// As a sentence.
    pub reason: String,
}

/// The hits in a text, in the order in which they were found.
struct Hits<'a> {
    text: &'a str,
    all: Vec<Hit>,
}

impl<'a> Hits<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, all: Vec::new() }
    }

    /// Adds a hit. One part has one hit: what was found first is the more serious one.
    fn push(&mut self, kind: HitKind, start: usize, end: usize, reason: &str) {
        let part = self.text.get(start..end).unwrap_or_default().to_owned();
        if !part.is_empty() && !self.all.iter().any(|h| start < h.end && h.start < end) {
            self.all.push(Hit { kind, text: part, start, end, reason: reason.to_owned() });
        }
    }

    /// Adds a hit for each match of a pattern.
    fn find(&mut self, pattern: &Pattern, kind: HitKind, reason: &str) {
        for found in find(pattern, self.text) {
            let lead = found.as_str().len() - found.as_str().trim_start().len();
            self.push(kind, found.start() + lead, found.end(), reason);
        }
    }

    /// The hits in the order of the text.
    fn sorted(mut self) -> Vec<Hit> {
        self.all.sort_by_key(|h| (h.start, h.end));
        self.all
    }
}

/// What an update for customers is checked against.
#[derive(Clone, Copy, Debug, Default)]
pub struct CustomerRules {
    /// The cause is confirmed, so that naming it is no guess.
    pub is_cause_known: bool,
    /// This is the last update, so that none follows.
    pub is_last: bool,
}

/// Whether a part of a text is a name in small letters, in any case.
fn is_same(part: &str, name: &str) -> bool {
    part.eq_ignore_ascii_case(name) || !part.is_ascii() && part.to_lowercase() == name
}

/// The places of a whole name in a text, in any case.
fn occurrences<'a>(text: &'a str, name: &str) -> impl Iterator<Item = (usize, usize)> + 'a {
    let name = name.to_lowercase();
    let starts = text.char_indices().map(|(start, _)| start);
    let found: Vec<(usize, usize)> = starts
        .map(|start| (start, start + name.len()))
        .filter(|(start, end)| text.get(*start..*end).is_some_and(|part| is_same(part, &name)))
        .collect();
    found.into_iter().filter(|(start, end)| {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let before = text.get(..*start).and_then(|t| t.chars().next_back());
        let mut after = text.get(*end..).unwrap_or_default().chars();
        let next = after.next();
        // `db-1.` ends a sentence, `db-1.eu` does not.
        let goes_on = next == Some('.') && after.next().is_some_and(char::is_alphanumeric);
        !before.is_some_and(|c| is_part(c) || c == '.') && !next.is_some_and(is_part) && !goes_on
    })
}

/// First names that are also words of sentences.
const NAMES_AND_WORDS: [&str; 24] = [
    "will", "mark", "may", "rob", "bill", "art", "grant", "hope", "joy", "grace", "faith", "sky", "ray", "pat", "chase", "max",
    "guy", "dawn", "rose", "june", "april", "rich", "frank", "miles",
];

/// Verbs that follow a name, but not the word that is written like it: "will forget", "Will forgot".
const PAST: [&str; 24] = [
    "is", "was", "has", "had", "did", "who", "and", "from", "will", "can", "forgot", "took", "broke", "ran", "made", "left",
    "went", "saw", "said", "told", "sent", "found", "led", "wrote",
];

/// Whether a part of a text is a name as it is written. A name that is also a word is one with a capital within a sentence, after a word
/// that goes with people, or before a verb that the word never has.
fn is_written_as_name(text: &str, start: usize, end: usize) -> bool {
    let part = text.get(start..end).unwrap_or_default();
    if !NAMES_AND_WORDS.contains(&part.to_lowercase().as_str()) {
        return true;
    }
    let before = text.get(..start).unwrap_or_default().trim_end();
    let begins_sentence = before.is_empty() || before.ends_with(['.', '!', '?', ':']);
    let last = before.rsplit(char::is_whitespace).next().unwrap_or_default().to_lowercase();
    let next = text.get(end..).unwrap_or_default().trim_start_matches([',', ' ']);
    let next = next.split(|c: char| !c.is_alphanumeric() && c != '\'').next().unwrap_or_default();
    let is_verb = PAST.contains(&next) || next.ends_with("n't") || next.len() > 4 && next.ends_with("ed");
    let is_past = next.len() > 4 && next.ends_with("ed") || next.ends_with("n't");
    part.starts_with(char::is_uppercase) && (!begins_sentence || is_verb)
        || begins_sentence && is_past
        || matches!(last.as_str(), "from" | "by" | "with" | "ask" | "contact" | "thank" | "thanks" | "to")
            && is_verb | next.is_empty()
        || last == "from"
        || last == "by"
}

/// Whether a name could be an ordinary word of a sentence, such as `checkout`.
fn is_ordinary_word(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphabetic()) && !name.chars().skip(1).any(|c| c.is_ascii_uppercase())
}

/// The sentence, or its part up to a semicolon, around a place of a text.
fn sentence_around(text: &str, at: usize) -> &str {
    let is_end = |c: char| matches!(c, '.' | '!' | '?' | ';' | '\n');
    let start = text.get(..at).and_then(|t| t.rfind(is_end)).map_or(0, |n| n + 1);
    let end = text.get(at..).and_then(|t| t.find(is_end)).map_or(text.len(), |n| at + n);
    text.get(start..end).unwrap_or(text)
}

patterns! {
    NEXT_UPDATE = r"(?ix)\b(?:next\s+update|further\s+update|another\s+update|update\s+you|will\s+(?:update|share|post|provide|send|report|follow\s+up)|(?:an|our)\s+update|updates?\s+(?:will|by|at|within|in|every|follows?))\b";
    A_TIME = r"(?ix)\b(?:\d{1,2}[:.]\d{2}|\d{1,2}\s*(?:am|pm)\b|(?:within|in|every)\s+(?:the\s+next\s+)?(?:\d+|an?|one|two|three|ten|fifteen|twenty|thirty|forty|sixty|half\s+an)\s*(?:min|hour|h\b|m\b|day)|noon|midnight|tomorrow|hourly)";
    /// What is not yet known is no guess.
    NOT_KNOWN = r"(?i)^\s+(?:not|still|yet|unknown|being|under|unclear)\b";
    /// What is searched is no guess.
    SEARCHED = r"(?i)(?:(?:\bnot|n't)\s+(?:want|wish|like|going|intend)\s+to|\b(?:won't|not|never|than|several|all|any|every|various|many|no|other|look(?:ing)?\s+(?:at|into)|investigat\w+|examin\w+|check\w*))\s+(?:the\s+)?$";
    /// What is believed of others is no guess at a cause.
    OF_OTHERS = r"(?i)^\s+(?:(?:that\s+)?(?:you|everyone|in)|few|bit|little|while|lot|couple|moment|delay|short|fine|normal)\b";
    /// Those who take the blame themselves.
    OURSELVES = r"(?i)\bwe(?:'ve|\s+have|\s+had)?\s+$";
    /// The incident as the cause of something else.
    ITSELF = r"(?i)^\s+(?:this|it|that)(?:\s+(?:gets?|will|can|may|is|are|has|have|and|but|you|we)\b|[,.;!]|\s*$)|^\s+(?:this|the|today's|tonight's|yesterday's|our|that|these|last\s+night's)\s+(?:\w+\s+)?(?:outage|incident|interruption|disruption|problem|issue|delay|maintenance|fault|error)s?\b";
    ON_SCREEN = r"(?i)\b(?:you|your|screen|message)\b";
    /// Who made it wrong, before the name.
    BY = r"(?i)\b(?:caused|broken|introduced|mis\w+|botched|forgotten|ignored|overlooked|missed|skipped|wiped|deleted|dropped|truncated|overwritten|unplugged|emptied|exposed|leaked|purged|cut|corrupted|killed|stopped|crashed|lost|destroyed|disabled|blocked|misrouted|duplicated|interrupted|overloaded|left|done wrong)\s+by\s+(?:\p{L}+\.\s+)?$|\b(?:one|this|that|it|all)\s+(?:is|was)\s+(?:\w+\s+)?on\s+$|\bit\s+(?:is|was)\s+$|\b(?:is|was|are|were)\s+(?:\w+\s+)?(?:on|down\s+to|up\s+to|due\s+to)\s+$|\bcauses?:\s+$|\b(?:decision|call|mistake|error|order|command|bug|change|problem|weakness|trigger|culprit|reason|cause)s?\s+(?:\w+\s+)?(?:was|were|is|by)\s+$|\b(?:do\s+not|don't|never)\s+let\s+$";
    /// What happened because of someone, and what they did, around the name: `due to Mr. Lund signing it off`.
    OWING = r"(?i)\b(?:thanks|due|owing)\s+to\s+(?:\p{L}+\.?\s+)?$";
    DOING = r"(?i)^\s+\w+ing\b";
    /// Compounds that are no blame: `the user error table`.
    OF_ERRORS = r"(?i)^\s+(?:tables?|messages?|codes?|pages?|rates?|logs?|screens?|handl\w+|reports?|reporting|counts?|counters?|budgets?|types?|class\w*|fields?)\b";
    /// What someone has not done, after the name.
    LEFT_UNDONE = r"(?i)^,?\s+(?:who\s+|\w+ly\s+)?(?:did(?:n't|\s+not)|does(?:n't|\s+not)|never|had(?:n't|\s+not))\b";
    /// Quoted words, such as those of a log line.
    QUOTED = "\"[^\"\\n]*\"|`[^`\\n]*`|“[^”\\n]*”";
}

/// Checks an update for customers. The hits are in the order of the text; a missing time of the next update is at its end.
pub fn customer(text: &str, names: &Names, rules: CustomerRules) -> Vec<Hit> {
    let mut hits = Hits::new(text);
    identifiers::addresses(&mut hits);
    identifiers::machines(&mut hits, names);
    people::colleagues(&mut hits, names);
    identifiers::services(&mut hits, names);
    for found in find(&BLAME, text) {
        let is_apology = found.as_str().to_lowercase().starts_with("let")
            && is_match(&OURSELVES, text.get(..found.start()).unwrap_or_default());
        if !is_apology {
            let reason = "Blame. Say what happened to customers, not whose doing it was.";
            hits.push(HitKind::Blame, found.start(), found.end(), reason);
        }
    }
    someone_at_fault(&mut hits, "Someone as the cause. Say what happened, not who did it.");
    causes(&mut hits, rules);
    for found in find(&JARGON, text) {
        // An error on their own screen, or their own device, is what customers see.
        let term = found.as_str().to_lowercase();
        let is_seen = ["error", "firmware", "cache"].iter().any(|t| term.starts_with(t)) && is_match(&ON_SCREEN, text);
        if !is_seen && !identifiers::is_in_url(text, found.start()) {
            hits.push(HitKind::Jargon, found.start(), found.end(), "A technical term. Say what customers see.");
        }
    }
    let public: Vec<_> = names.public.iter().flat_map(|name| occurrences(text, name)).collect();
    let is_public = |h: &Hit| public.iter().any(|(start, end)| h.start < *end && *start < h.end);
    hits.all.retain(|h| matches!(h.kind, HitKind::Cause | HitKind::Blame) || !is_public(h));
    let mut hits = hits.sorted();
    let has_next = is_match(&NEXT_UPDATE, text) && is_match(&A_TIME, text);
    if !rules.is_last && !has_next {
        let reason = "It does not say when the next update comes.".to_owned();
        hits.push(Hit { kind: HitKind::NoNextUpdate, text: String::new(), start: text.len(), end: text.len(), reason });
    }
    hits
}

/// People by their roles, with what they did wrong. A text that says "we" takes the blame itself.
fn someone_at_fault(hits: &mut Hits<'_>, reason: &str) {
    let text = hits.text;
    let mut from = 0;
    while let Some(who) = WHO.iter().find_map(|p| p.find_at(text, from)) {
        // Another subject may begin within this one: `the team the engineer`.
        from = who.end();
        let after = text.get(who.end()..).unwrap_or_default();
        if let Some(did) = AT_FAULT.iter().find_map(|p| p.find(after)) {
            hits.push(HitKind::Blame, who.start(), who.end() + did.end(), reason);
        }
    }
}

/// Guesses, and causes that are not confirmed.
fn causes(hits: &mut Hits<'_>, rules: CustomerRules) {
    let text = hits.text;
    for found in find(&GUESS, text) {
        let (before, after) = (text.get(..found.start()).unwrap_or_default(), text.get(found.end()..).unwrap_or_default());
        if !is_match(&SEARCHED, before) && !is_match(&OF_OTHERS, after) {
            hits.push(HitKind::Cause, found.start(), found.end(), "A guess. Say only what is confirmed.");
        }
    }
    if rules.is_cause_known {
        return;
    }
    for found in find(&CAUSE, text) {
        let after = text.get(found.end()..).unwrap_or_default();
        let is_open = is_match(&NOT_KNOWN, after) || is_match(&ITSELF, after);
        if !is_open && !is_match(&DEALT_WITH, text) {
            let reason = "A cause that is not confirmed. Leave it out until it is.";
            hits.push(HitKind::Cause, found.start(), found.end(), reason);
        }
    }
}

/// Checks a text of a review, such as causes and lessons, for blame, hindsight and measures that change nothing.
pub fn blameless(text: &str, names: &Names) -> Vec<Hit> {
    let mut hits = Hits::new(text);
    for (start, end) in people::named(text, names) {
        let sentence = sentence_around(text, start);
        let (before, after) = (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
        let helped = is_match(&HELPED, after) && !is_match(&UNHELPFUL, sentence);
        let did = is_match(&AT_FAULT, after)
            || is_match(&LEFT_UNDONE, after) && !helped
            || is_match(&OWING, before) && is_match(&DOING, after);
        if did || !helped && (is_match(&BY, before) || is_match(&FAULT, sentence)) {
            let reason = "A person as the cause. Say what made the action possible, and what it met.";
            hits.push(HitKind::Person, start, end, reason);
        }
    }
    someone_at_fault(&mut hits, "Someone as the cause. Say what made the action possible.");
    hits.find(&HINDSIGHT, HitKind::Counterfactual, "What would have been. Say what was known and done at the time.");
    for found in [&BLAME, &SLIP].into_iter().flat_map(|pattern| find(pattern, text)) {
        if !is_match(&OF_ERRORS, text.get(found.end()..).unwrap_or_default()) {
            hits.push(HitKind::Blame, found.start(), found.end(), "Blame. Ask what made it likely, and say that.");
        }
    }
    for pattern in [&VAGUE, &SHORT] {
        hits.find(pattern, HitKind::Vague, "It changes nothing that can be checked. Change the system instead.");
    }
    // What a program wrote is no blame.
    let quoted: Vec<_> = find(&QUOTED, text).collect();
    hits.all.retain(|h| !quoted.iter().any(|q| q.start() < h.start && h.end < q.end()));
    hits.sorted()
}

#[cfg(test)]
mod tests;
