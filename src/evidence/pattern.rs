//! Patterns with the classes of ASCII.

/// A pattern whose letters, digits and word boundaries are those of ASCII: a regex engine compiles it and searches with it
/// several times as fast. Boundaries stay those of Unicode in a pattern that has letters of other alphabets.
pub(super) fn in_ascii(pattern: &str) -> String {
    let has_other_letters = pattern.contains(r"\p{") || pattern.chars().any(|c| !c.is_ascii() && c.is_alphabetic());
    let boundary = if has_other_letters { r"\b" } else { r"(?-u:\b)" };
    let mut out = String::with_capacity(pattern.len() + pattern.len() / 4);
    let (mut chars, mut in_brackets) = (pattern.chars(), false);
    while let Some(c) = chars.next() {
        in_brackets = c == '[' || in_brackets && c != ']';
        let escaped = if c == '\\' { chars.next() } else { None };
        match (escaped, in_brackets) {
            (Some('b'), false) => out.push_str(boundary),
            (Some('d'), false) => out.push_str("[0-9]"),
            (Some('d'), true) => out.push_str("0-9"),
            (Some('w'), false) => out.push_str("[0-9A-Za-z_]"),
            (Some('w'), true) => out.push_str("0-9A-Za-z_"),
            (Some('W'), false) => out.push_str("[^0-9A-Za-z_]"),
            (other, _) => {
                out.push(c);
                out.extend(other);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_become_those_of_ascii() {
        for (pattern, expected) in [
            (r"\b\d+\w[\w.-]\W\\d", r"(?-u:\b)[0-9]+[0-9A-Za-z_][0-9A-Za-z_.-][^0-9A-Za-z_]\\d"),
            (r"[^\d→]\]\w", r"[^0-9→]\][0-9A-Za-z_]"),
            (r"\bпароль\b \d", r"\bпароль\b [0-9]"),
            (r"\p{L}\b\d", r"\p{L}\b[0-9]"),
        ] {
            assert_eq!(in_ascii(pattern), expected);
        }
    }
}
