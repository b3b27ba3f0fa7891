//! Secrets inside text that is encoded as base64 or in hexadecimal digits.

use std::ops::Range;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use regex::Regex;

/// Shorter text has no room for a name and a value.
const SHORTEST: usize = 20;

static RUN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/_-]{20,}={0,2}").ok());

static BASE64: LazyLock<GeneralPurpose> = LazyLock::new(|| {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&base64::alphabet::STANDARD, config)
});

/// The places of encoded texts that hold a secret, as `is_secret` decides. Empty if there are none.
pub(super) fn find(text: &str, is_secret: fn(&str) -> bool) -> Vec<Range<usize>> {
    let Some(run) = RUN.as_ref() else { return Vec::new() };
    run.find_iter(text)
        .filter(|found| decoded(found.as_str()).is_some_and(|inner| is_secret(&inner)))
        .map(|m| m.range())
        .collect()
}

/// The text that is encoded, if it is one.
fn decoded(run: &str) -> Option<String> {
    let bytes = if run.len() >= 2 * SHORTEST && run.len().is_multiple_of(2) && run.bytes().all(|b| b.is_ascii_hexdigit()) {
        (0..run.len()).step_by(2).map(|i| u8::from_str_radix(run.get(i..i + 2)?, 16).ok()).collect::<Option<Vec<u8>>>()?
    } else {
        BASE64.decode(run.trim_end_matches('=').replace('-', "+").replace('_', "/")).ok()?
    };
    // Windows encodes commands as UTF-16; the arguments of a process are separated by zeros.
    let wide = bytes.len() > 8 && bytes.iter().skip(1).step_by(2).filter(|b| **b == 0).count() * 10 > bytes.len() * 4;
    let bytes: Vec<u8> = if wide {
        bytes.into_iter().step_by(2).collect()
    } else {
        bytes.into_iter().map(|b| if b == 0 { b' ' } else { b }).collect()
    };
    let text = String::from_utf8(bytes).ok()?;
    let is_text = text.len() >= 12 && text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
    is_text.then_some(text)
}
