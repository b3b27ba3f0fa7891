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
    use super::{count, list};

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
