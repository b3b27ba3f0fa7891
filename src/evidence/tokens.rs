//! A token estimate that is the same for every model provider.

/// Estimates the tokens in a text: one for every four ASCII bytes and one for each other character. Real tokenizers can
/// differ by tens of percent; the prompt budget keeps a margin of 10% for that.
pub fn estimate(text: &str) -> u64 {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    let other = text.chars().filter(|c| !c.is_ascii()).count();
    u64::try_from(ascii.div_ceil(4) + other).unwrap_or(u64::MAX)
}
