//! English sentences about the present, put into the past tense, for reports that are read later.

use super::words::capitalized;

/// Verbs with an irregular past, and those whose forms the rules below would not make. The forms of the present, then the past.
const IRREGULAR: [(&str, &str); 71] = [
    ("it's", "it was"),
    ("that's", "that was"),
    ("there's", "there was"),
    ("they're", "they were"),
    ("we're", "we were"),
    ("is", "was"),
    ("are", "were"),
    ("isn't", "wasn't"),
    ("aren't", "weren't"),
    ("has", "had"),
    ("have", "had"),
    ("hasn't", "hadn't"),
    ("haven't", "hadn't"),
    ("does", "did"),
    ("do", "did"),
    ("doesn't", "didn't"),
    ("don't", "didn't"),
    ("cannot", "could not"),
    ("can't", "couldn't"),
    ("can", "could"),
    ("will", "would"),
    ("won't", "wouldn't"),
    ("begin", "began"),
    ("take", "took"),
    ("get", "got"),
    ("see", "saw"),
    ("go", "went"),
    ("goes", "went"),
    ("become", "became"),
    ("rise", "rose"),
    ("lose", "lost"),
    ("come", "came"),
    ("give", "gave"),
    ("find", "found"),
    ("keep", "kept"),
    ("send", "sent"),
    ("grow", "grew"),
    ("know", "knew"),
    ("think", "thought"),
    ("say", "said"),
    ("tell", "told"),
    ("make", "made"),
    ("pay", "paid"),
    ("buy", "bought"),
    ("stick", "stuck"),
    ("write", "wrote"),
    ("choose", "chose"),
    ("forget", "forgot"),
    ("mean", "meant"),
    ("bring", "brought"),
    ("build", "built"),
    ("speak", "spoke"),
    ("throw", "threw"),
    ("sit", "sat"),
    ("swallow", "swallowed"),
    ("hear", "heard"),
    ("leave", "left"),
    ("lead", "led"),
    ("hold", "held"),
    ("fall", "fell"),
    ("run", "ran"),
    ("hang", "hung"),
    ("freeze", "froze"),
    ("break", "broke"),
    ("drive", "drove"),
    ("show", "showed"),
    ("set", "set"),
    ("put", "put"),
    ("cut", "cut"),
    ("hit", "hit"),
    ("read", "read"),
];

/// Regular verbs that are hardly anything else than a verb.
const REGULAR: [&str; 63] = [
    "accept",
    "add",
    "affect",
    "allow",
    "appear",
    "apply",
    "arrive",
    "ask",
    "authenticate",
    "avoid",
    "believe",
    "belong",
    "complain",
    "connect",
    "consume",
    "contain",
    "continue",
    "create",
    "degrade",
    "delete",
    "deliver",
    "deny",
    "depend",
    "die",
    "disappear",
    "disconnect",
    "enter",
    "exceed",
    "exist",
    "expect",
    "expire",
    "fail",
    "follow",
    "happen",
    "ignore",
    "include",
    "join",
    "learn",
    "occur",
    "prevent",
    "publish",
    "reach",
    "receive",
    "reconnect",
    "recover",
    "remain",
    "remove",
    "replicate",
    "require",
    "resolve",
    "respond",
    "rotate",
    "seem",
    "serve",
    "stay",
    "struggle",
    "submit",
    "succeed",
    "suffer",
    "terminate",
    "try",
    "validate",
    "verify",
];

/// Regular verbs that are nouns or adjectives as well, so that what is around them decides.
const ALSO_NOUNS: [&str; 97] = [
    "answer",
    "attach",
    "attempt",
    "block",
    "book",
    "bounce",
    "call",
    "cause",
    "change",
    "charge",
    "close",
    "collapse",
    "complete",
    "copy",
    "corrupt",
    "cost",
    "crash",
    "deadlock",
    "decline",
    "delay",
    "display",
    "double",
    "drop",
    "duplicate",
    "exhaust",
    "feed",
    "fill",
    "flap",
    "flood",
    "force",
    "handle",
    "help",
    "issue",
    "lack",
    "lag",
    "leak",
    "limit",
    "load",
    "lock",
    "log",
    "look",
    "loop",
    "move",
    "need",
    "open",
    "order",
    "overlap",
    "overload",
    "page",
    "pass",
    "pause",
    "peak",
    "phone",
    "pile",
    "play",
    "point",
    "post",
    "print",
    "process",
    "pull",
    "push",
    "queue",
    "reboot",
    "record",
    "refresh",
    "refuse",
    "reject",
    "reload",
    "reply",
    "report",
    "request",
    "restart",
    "retry",
    "return",
    "save",
    "scan",
    "ship",
    "skip",
    "spike",
    "stall",
    "stamp",
    "start",
    "stop",
    "stream",
    "sync",
    "tag",
    "test",
    "transfer",
    "trigger",
    "trip",
    "turn",
    "update",
    "use",
    "visit",
    "wait",
    "want",
    "work",
];

/// Words after which a verb stays as it is: `could not see`, `to go`.
const BARE_AFTER: [&str; 25] = [
    "to", "not", "could", "would", "can", "cannot", "can't", "couldn't", "will", "won't", "wouldn't", "did", "didn't", "do",
    "does", "don't", "doesn't", "may", "might", "must", "should", "shall", "let", "please", "never",
];

/// Words that follow a verb, and hardly a noun of a subject.
const AFTER_VERB: [&str; 58] = [
    "a",
    "an",
    "the",
    "no",
    "not",
    "to",
    "at",
    "in",
    "on",
    "out",
    "off",
    "up",
    "down",
    "back",
    "every",
    "each",
    "all",
    "any",
    "only",
    "again",
    "as",
    "for",
    "from",
    "into",
    "with",
    "without",
    "late",
    "twice",
    "once",
    "because",
    "when",
    "while",
    "until",
    "since",
    "than",
    "after",
    "before",
    "their",
    "its",
    "his",
    "her",
    "it",
    "them",
    "nothing",
    "too",
    "so",
    "more",
    "less",
    "few",
    "several",
    "over",
    "under",
    "about",
    "through",
    "against",
    "itself",
    "themselves",
    "between",
];

/// Words that begin another clause.
const BEGINS_CLAUSE: [&str; 14] =
    ["if", "when", "that", "which", "who", "and", "because", "since", "while", "until", "so", "but", "as", "where"];

/// Verbs that are in the past already, or have none.
const PAST_FORMS: [&str; 17] = [
    "was", "were", "had", "did", "could", "would", "wasn't", "weren't", "hadn't", "didn't", "couldn't", "wouldn't", "might",
    "fed", "may", "must", "should",
];

/// The past of a verb form of the present. `None` for any other word. `has_context`: the words around it show that it is a verb.
fn past_of(lower: &str, has_context: bool) -> Option<String> {
    // The plain form, of the form for one: `fails`, `goes`, `denies`.
    let plain = |of: &str| -> Option<String> {
        if of == lower {
            return Some(of.to_owned());
        }
        let stem = lower.strip_suffix('s')?;
        let is_it = stem == of
            || stem
                .strip_suffix('e')
                .is_some_and(|s| s == of && (of.ends_with(['s', 'x', 'z', 'o']) || of.ends_with("ch") || of.ends_with("sh")))
            || stem.strip_suffix("ie").is_some_and(|s| of.strip_suffix('y') == Some(s));
        is_it.then(|| of.to_owned())
    };
    if let Some((_, past)) =
        IRREGULAR.iter().find(|(now, _)| *now == lower || now.len() > 3 && plain(now).is_some() && *now != "have")
    {
        return Some((*past).to_owned());
    }
    // Short ones, exactly: `gets`, `sees`, `runs`.
    if let Some((_, past)) =
        IRREGULAR.iter().find(|(now, _)| lower.strip_suffix('s') == Some(now) && !matches!(*now, "is" | "do" | "can"))
    {
        return Some((*past).to_owned());
    }
    let nouns: &[&str] = if has_context { &ALSO_NOUNS } else { &[] };
    let verb = REGULAR.iter().chain(nouns).find_map(|of| plain(of))?;
    Some(regular(&verb))
}

/// The past of a regular verb: `arrived`, `denied`, `dropped`, `failed`.
fn regular(verb: &str) -> String {
    let is_vowel = |c: Option<char>| c.is_some_and(|c| "aeiou".contains(c));
    let mut ends = verb.chars().rev();
    let (last, before, third) = (ends.next(), ends.next(), ends.next());
    if verb.ends_with('e') {
        return format!("{verb}d");
    }
    if last == Some('y') && !is_vowel(before) {
        return format!("{}ied", verb.strip_suffix('y').unwrap_or(verb));
    }
    // A short vowel before the last consonant doubles it: in words of one syllable, and some others.
    let syllables = verb.chars().filter(|c| "aeiou".contains(*c)).count();
    let doubles = !is_vowel(last) && is_vowel(before) && !is_vowel(third) && !matches!(last, Some('w' | 'x' | 'y'));
    let is_stressed_last = matches!(verb, "occur" | "submit" | "overlap" | "transfer");
    if doubles && (syllables == 1 || is_stressed_last) {
        return format!("{verb}{}ed", last.unwrap_or_default());
    }
    format!("{verb}ed")
}

/// A word of a text, or what is between two words.
#[derive(Clone, Copy, Debug)]
struct Piece<'a> {
    text: &'a str,
    is_word: bool,
    is_quoted: bool,
}

/// The words of a text and what is between them. Names such as `db_is` or `is-up` are one word.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut out: Vec<Piece<'_>> = Vec::new();
    let (mut from, mut in_word, mut quoted): (usize, bool, Option<char>) = (0, false, None);
    let mut close = |from: usize, to: usize, is_word: bool, is_quoted: bool| {
        let whole = text.get(from..to).unwrap_or_default();
        // The marks at the end of a word are not part of it.
        let word = if is_word { bare(whole).len() } else { 0 };
        for (part, is_word) in [(whole.get(..word).unwrap_or_default(), true), (whole.get(word..).unwrap_or_default(), false)] {
            if !part.is_empty() {
                out.push(Piece { text: part, is_word, is_quoted });
            }
        }
    };
    for (at, c) in text.char_indices() {
        let is_part = c.is_alphanumeric() || in_word && matches!(c, '\'' | '_' | '-' | '.' | '/' | ':');
        if is_part != in_word {
            close(from, at, in_word, quoted.is_some());
            (from, in_word) = (at, is_part);
        }
        match (quoted, c) {
            (None, '`' | '"' | '\u{201c}') => quoted = Some(if c == '\u{201c}' { '\u{201d}' } else { c }),
            (Some(end), c) if c == end => quoted = None,
            _ => {}
        }
    }
    close(from, text.len(), in_word, quoted.is_some());
    out
}

/// Whether the word at a place is the second one of its clause: what is before the word before it has a mark that ends a clause.
fn begins_after(all: &[Piece<'_>], at: usize) -> bool {
    let before = all.get(..at).unwrap_or_default().iter().rev();
    before.skip_while(|p| !p.is_word).skip(1).take_while(|p| !p.is_word).any(|p| p.text.contains([',', ';', '.', '!', '?']))
}

/// The word without the marks at its end.
fn bare(word: &str) -> &str {
    word.trim_end_matches(['.', ':', '-', '/', '_', '\''])
}

/// A text about the present in the past tense. Quoted text and code stay as they are, and so do commands such as "Restart the router".
pub fn past(text: &str) -> String {
    let all = pieces(text);
    let words: Vec<(usize, String)> =
        all.iter().enumerate().filter(|(_, p)| p.is_word).map(|(n, p)| (n, bare(p.text).to_lowercase())).collect();
    let mut out = String::with_capacity(text.len() + 16);
    let (mut has_modal, mut has_verb) = (false, false);
    for (n, piece) in all.iter().enumerate() {
        if !piece.is_word {
            let is_in_clause = !piece.text.contains(['.', ';', '!', '?', ',']);
            (has_modal, has_verb) = (has_modal && is_in_clause, has_verb && is_in_clause);
            out.push_str(piece.text);
            continue;
        }
        let at = words.partition_point(|(piece, _)| *piece < n);
        let word = |offset: isize| at.checked_add_signed(offset).and_then(|i| words.get(i)).map_or("", |(_, w)| w.as_str());
        let (lower, before) = (word(0), word(-1));
        let marks = all.get(..n).unwrap_or_default().iter().rev().take_while(|p| !p.is_word);
        let ends_before = at == 0 || marks.into_iter().any(|p| p.text.contains(['.', ';', '!', '?', ':']));
        // An adverb may be between: `could not always see`.
        let is_adverb =
            |w: &str| w.ends_with("ly") || matches!(w, "always" | "also" | "even" | "still" | "longer" | "no" | "just" | "yet");
        let led_by = if is_adverb(before) { word(-2) } else { before };
        has_modal |= BARE_AFTER.contains(&before);
        let is_bare = BARE_AFTER.contains(&before) || BARE_AFTER.contains(&led_by) || has_modal && matches!(before, "and" | "or");
        let is_plural = before.len() > 3 && before.ends_with('s') && !before.ends_with("ss")
            || matches!(before, "they" | "we" | "you" | "people" | "that" | "which" | "who" | "and");
        let is_last = word(1).is_empty();
        let follows = AFTER_VERB.contains(&word(1)) || word(1).starts_with(|c: char| c.is_ascii_digit());
        has_verb &= !BEGINS_CLAUSE.contains(&before);
        let is_form_for_one = lower.ends_with('s') && !ends_before;
        let is_plural = is_plural && !lower.ends_with('s');
        // `Agents tag bags`: the second word of a clause without another verb.
        let clause = all.iter().skip(n + 1).take_while(|p| p.is_word || !p.text.contains([',', ';', '.']));
        let mut rest = clause.filter(|p| p.is_word).map(|p| bare(p.text).to_lowercase());
        let is_second = is_plural && (at == 1 || word(-2).is_empty() || begins_after(&all, n)) && !is_last;
        // The form for one, unless a noun in the plural: `one link flaps`, `the router drops every call`, but not `slow requests in the log`.
        let after_one = matches!(word(-2), "a" | "an" | "one" | "every" | "each" | "this" | "no")
            || matches!(before, "it" | "which" | "that" | "who");
        // `version 1.42.0 opens`, `Kafka drops`: what is before it is a name.
        let name = at.checked_sub(1).and_then(|i| words.get(i)).and_then(|(n, _)| all.get(*n)).map_or("", |p| p.text);
        let after_name = name.contains(|c: char| c.is_ascii_digit()) || at > 1 && name.starts_with(char::is_uppercase);
        let after_the = matches!(word(-2), "the" | "its" | "our" | "their");
        let has_no_other = !has_verb && !rest.any(|w| PAST_FORMS.contains(&w.as_str()) || past_of(&w, false).is_some());
        let is_single = is_form_for_one && (after_one || after_name && !has_verb || after_the && has_no_other);
        let is_only = is_second && has_no_other;
        let has_context = !ends_before && (follows || is_last && !has_verb || is_only) && (is_plural || is_single);
        // The plain form at the start of a sentence is a command, except for forms of be, have and do.
        let is_command = ends_before && !lower.ends_with('s') && !matches!(lower, "are" | "have" | "do");
        let converted = if piece.is_quoted || is_bare || is_command { None } else { past_of(lower, has_context) };
        has_verb |= converted.is_some() || PAST_FORMS.contains(&lower);
        match converted {
            Some(past) if piece.text.starts_with(char::is_uppercase) => out.push_str(&capitalized(&past)),
            Some(past) => out.push_str(&past),
            None => out.push_str(piece.text),
        }
    }
    out
}

/// Whether each clause of a text of some length has a verb that [`past`] knows or that is in the past already, so that it is not put into the
/// past by half.
pub fn can_be_past(text: &str) -> bool {
    const LONG: usize = 3;
    let text = past(text);
    // A full stop within a number or a name ends nothing.
    text.split([',', ';', '!', '?']).flat_map(|part| part.split(". ")).all(|clause| {
        let words: Vec<String> = clause.split_whitespace().map(|w| bare(w).to_lowercase()).collect();
        let has_past = |w: &String| {
            PAST_FORMS.contains(&w.as_str()) || w.len() > 3 && w.ends_with("ed") || IRREGULAR.iter().any(|(_, past)| past == w)
        };
        words.len() < LONG || words.iter().any(has_past)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_about_the_present_are_put_into_the_past() {
        for (now, then) in [
            ("17% of payments fail", "17% of payments failed"),
            ("gateway is failing 70% of its requests", "gateway was failing 70% of its requests"),
            ("Customers cannot log in; pages take 5 s.", "Customers could not log in; pages took 5 s."),
            ("nobody could see it or go on", "nobody could see it or go on"),
            ("the log says \"pool is full\" and `up is 0`", "the log said \"pool is full\" and `up is 0`"),
            ("db_is_up and is-up stay", "db_is_up and is-up stayed"),
            ("It isn't known. Is it?", "It wasn't known. Was it?"),
            ("Results arrive late; nurses phone the lab.", "Results arrived late; nurses phoned the lab."),
            (
                "Streams stall every 20 seconds, and viewers drop to 240p.",
                "Streams stalled every 20 seconds, and viewers dropped to 240p.",
            ),
            ("kiosks print no bag tags", "kiosks printed no bag tags"),
            (
                "Agents tag bags by hand, which takes four times as long",
                "Agents tagged bags by hand, which took four times as long",
            ),
            ("the robots lose their way if one link flaps", "the robots lost their way if one link flapped"),
            ("payments work since the flag is off", "payments worked since the flag was off"),
            (
                "node 8 still serves the new certificate, every eighth login fails",
                "node 8 still served the new certificate, every eighth login failed",
            ),
            ("the queue grows and the bank denies every transfer", "the queue grew and the bank denied every transfer"),
            ("orders could not always arrive", "orders could not always arrive"),
            ("Restart the router; then it works again", "Restart the router; then it worked again"),
            ("all orders of the reports were lost", "all orders of the reports were lost"),
            ("two errors in the logs", "two errors in the logs"),
            ("slow requests in the log", "slow requests in the log"),
            ("the results page shows nothing", "the results page showed nothing"),
            ("it has stopped", "it had stopped"),
            ("It's the certificate at 7:55", "It was the certificate at 7:55"),
            ("version 1.42.0 opens too few connections", "version 1.42.0 opened too few connections"),
            (
                "Kiosks do not print. Agents tag bags, which takes long.",
                "Kiosks did not print. Agents tagged bags, which took long.",
            ),
            ("since 9:00 orders are late", "since 9:00 orders were late"),
        ] {
            assert_eq!(past(now), then);
        }
    }

    #[test]
    fn a_text_can_be_past_if_every_clause_has_a_verb_that_is_known() {
        assert!(can_be_past("Results arrive late; nurses phone the lab."));
        assert!(
            can_be_past("17% of payments fail")
                && can_be_past("About 2 of 3 orders failed at the last step")
                && can_be_past("Slow pages")
        );
        assert!(!can_be_past("The screens glitch out and garble everything"));
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_keeps_texts_without_words(text in "\\PC{0,60}", numbers in "[0-9 ,;.]{0,20}") {
            let _past = past(&text);
            let _can_be_past = can_be_past(&text);
            proptest::prop_assert_eq!(past(&numbers), numbers);
        }
    }
}
