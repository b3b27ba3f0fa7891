//! Small words that every screen and report needs.

/// `1 entry`, `2 entries`: a number with its noun. `noun` is the singular; one in consonant and `y` gets `ies`.
pub fn count(n: impl TryInto<u64>, noun: &str) -> String {
    let n = n.try_into().unwrap_or(u64::MAX);
    match (n, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{n} {stem}ies"),
        _ => format!("{n} {noun}s"),
    }
}

/// `1 entry waits`, `2 entries wait`.
pub fn waiting(n: u64) -> String {
    let verb = if n == 1 { "waits" } else { "wait" };
    format!("{} {verb}", count(n, "entry"))
}

/// `a`, `a and b`, `a, b and c`; empty of none.
pub fn list<T: AsRef<str>>(names: &[T]) -> String {
    let Some((last, rest)) = names.split_last() else { return String::new() };
    let rest: Vec<&str> = rest.iter().map(AsRef::as_ref).collect();
    if rest.is_empty() { last.as_ref().to_owned() } else { format!("{} and {}", rest.join(", "), last.as_ref()) }
}

#[cfg(test)]
mod tests {
    use super::{count, list};

    #[test]
    fn lists_end_with_and() {
        assert_eq!((list::<&str>(&[]).as_str(), list(&["a"]).as_str()), ("", "a"));
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!(
            (count(1, "entry"), count(2, "entry"), count(0, "alert")),
            ("1 entry".into(), "2 entries".into(), "0 alerts".into())
        );
        assert_eq!(count(3, "delay"), "3 delays");
    }
}
