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

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn one_is_not_many() {
        assert_eq!(
            (count(1, "entry"), count(2, "entry"), count(0, "alert")),
            ("1 entry".into(), "2 entries".into(), "0 alerts".into())
        );
        assert_eq!(count(3, "delay"), "3 delays");
    }
}
