//! Phrases that many screens and reports use: counts with nouns, and lists.

/// A number with its noun: `1 entry`, `2 entries`. `noun` is the singular; the plural adds `s`, or turns a `y` after a
/// consonant into `ies`.
pub fn count(n: impl TryInto<u64>, noun: &str) -> String {
    let n = n.try_into().unwrap_or(u64::MAX);
    match (n, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{n} {stem}ies"),
        _ => format!("{n} {noun}s"),
    }
}

/// `1 entry is waiting`, `2 entries are waiting`.
pub fn entries_waiting(n: u64) -> String {
    let verb = if n == 1 { "is" } else { "are" };
    format!("{} {verb} waiting", count(n, "entry"))
}

/// A list in prose: `a`, `a and b`, `a, b and c`. Empty for no names.
pub fn list<T: AsRef<str>>(names: &[T]) -> String {
    let Some((last, rest)) = names.split_last() else { return String::new() };
    let rest: Vec<&str> = rest.iter().map(AsRef::as_ref).collect();
    if rest.is_empty() { last.as_ref().to_owned() } else { format!("{} and {}", rest.join(", "), last.as_ref()) }
}

/// The known word nearest to `word` within three edits, for "did you mean". `None` when none is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| (strsim::levenshtein(word, k), k))
        .filter(|(distance, k)| *distance <= 3.min(k.len().saturating_sub(1)).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

/// Words that state the present, and the same in the past. Only words that are hardly anything else than a verb, so that no noun changes.
const PAST: [(&str, &str); 36] = [
    ("is", "was"),
    ("are", "were"),
    ("isn't", "wasn't"),
    ("aren't", "weren't"),
    ("has", "had"),
    ("have", "had"),
    ("does", "did"),
    ("do", "did"),
    ("doesn't", "didn't"),
    ("don't", "didn't"),
    ("cannot", "could not"),
    ("can't", "couldn't"),
    ("can", "could"),
    ("fails", "failed"),
    ("fail", "failed"),
    ("begins", "began"),
    ("takes", "took"),
    ("take", "took"),
    ("gets", "got"),
    ("get", "got"),
    ("sees", "saw"),
    ("see", "saw"),
    ("goes", "went"),
    ("go", "went"),
    ("exceeds", "exceeded"),
    ("exceed", "exceeded"),
    ("becomes", "became"),
    ("become", "became"),
    ("rises", "rose"),
    ("loses", "lost"),
    ("lose", "lost"),
    ("receives", "received"),
    ("receive", "received"),
    ("returns", "returned"),
    ("answers", "answered"),
    ("will", "would"),
];

/// A text about the present in the past tense. Quoted text and code stay as they are.
pub fn past(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut word = String::new();
    let mut quoted: Option<char> = None;
    let flush = |word: &mut String, out: &mut String, is_quoted: bool, before: &mut String| {
        let lower = word.to_lowercase();
        // After these, a verb stays as it is: "could not see", "to go".
        let is_bare =
            matches!(before.as_str(), "to" | "not" | "could" | "would" | "can" | "cannot" | "will" | "did" | "may" | "might");
        let found = PAST.iter().find(|(now, _)| *now == lower).filter(|_| !is_quoted && !is_bare);
        match found {
            Some((_, past)) if word.chars().next().is_some_and(char::is_uppercase) => out.push_str(&capitalized(past)),
            Some((_, past)) => out.push_str(past),
            None => out.push_str(word),
        }
        if !word.is_empty() {
            *before = lower;
        }
        word.clear();
    };
    let mut before = String::new();
    for c in text.chars() {
        let is_apostrophe = c == '\'' && !word.is_empty();
        // Names such as `db_is` or `is-up` are not words.
        if c.is_alphanumeric() || is_apostrophe || matches!(c, '_' | '-' | '.' | '/' | ':') && !word.is_empty() {
            word.push(c);
            continue;
        }
        let punctuation = word.trim_end_matches(['.', ':', '-', '/', '_', '\'']).len();
        let tail = word.split_off(punctuation);
        flush(&mut word, &mut out, quoted.is_some(), &mut before);
        out.push_str(&tail);
        match (quoted, c) {
            (None, '`' | '"' | '\u{201c}') => quoted = Some(if c == '\u{201c}' { '\u{201d}' } else { c }),
            (Some(end), c) if c == end => quoted = None,
            _ => {}
        }
        out.push(c);
    }
    let punctuation = word.trim_end_matches(['.', ':', '-', '/', '_', '\'']).len();
    let tail = word.split_off(punctuation);
    flush(&mut word, &mut out, quoted.is_some(), &mut before);
    out.push_str(&tail);
    out
}

/// A text with its first letter in upper case, unless its first word is an identifier such as `eu-west-1` or `db_pool`.
pub fn capitalized(text: &str) -> String {
    let first = text.split_whitespace().next().unwrap_or_default().trim_end_matches([',', '.', ':', ';', '!', '?']);
    if !first.chars().all(|c| c.is_alphabetic() || c == '\'') {
        return text.to_owned();
    }
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::{count, list, past};

    #[test]
    fn texts_about_the_present_are_put_into_the_past() {
        for (now, then) in [
            ("17% of payments fail", "17% of payments failed"),
            ("gateway is failing 70% of its requests", "gateway was failing 70% of its requests"),
            ("Customers cannot log in; pages take 5 s.", "Customers could not log in; pages took 5 s."),
            ("nobody could see it or go on", "nobody could see it or went on"),
            ("the log says \"pool is full\" and `up is 0`", "the log says \"pool is full\" and `up is 0`"),
            ("db_is_up and is-up stay", "db_is_up and is-up stay"),
            ("It isn't known. Is it?", "It wasn't known. Was it?"),
        ] {
            assert_eq!(past(now), then);
        }
    }

    #[test]
    fn joins_the_last_name_with_and() {
        assert_eq!((list::<&str>(&[]).as_str(), list(&["a"]).as_str()), ("", "a"));
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
    }

    #[test]
    fn uses_singular_and_plural() {
        assert_eq!(
            (count(1, "entry"), count(2, "entry"), count(0, "alert")),
            ("1 entry".into(), "2 entries".into(), "0 alerts".into())
        );
        assert_eq!(count(3, "delay"), "3 delays");
    }
}
