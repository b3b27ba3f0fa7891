//! An estimate of tokens, the same for every provider.

/// About how many tokens a text takes: a quarter of its ASCII bytes, and one for each other character. Real tokenizers
/// differ by some tens of percent; the budget keeps a margin for that (see `pack`).
pub fn estimate(text: &str) -> u64 {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    let other = text.chars().filter(|c| !c.is_ascii()).count();
    u64::try_from(ascii.div_ceil(4) + other).unwrap_or(u64::MAX)
}
