//! Words of confidence: a statement about a cause must not claim more certainty than the findings give it.

use std::sync::OnceLock;

use regex::Regex;

use super::Fault;
use super::words::pattern;
use crate::incident::{Certainty, ClaimKind};

/// What is wrong with the confidence of a statement, if the findings have this certainty.
pub(super) fn excess(statement: &str, band: Certainty) -> Option<Fault> {
    let (stated, level) = stated(statement)?;
    let is_about_cause = explicit().is_match(statement) || cause().is_match(statement);
    (is_about_cause && level > band).then(|| {
        let reason = format!("It says \"{stated}\"; the findings give the cause {} certainty.", band.word());
        Fault::new(ClaimKind::Confidence, reason)
    })
}

/// The words of confidence in a statement, and the least certainty that justifies them.
fn stated(statement: &str) -> Option<(String, Certainty)> {
    let found = |pattern: &Regex| {
        let word = pattern.find(statement)?;
        // "not certain" and "far from proven" claim nothing.
        let before = statement.get(..word.start()).unwrap_or_default().to_lowercase();
        let tail: Vec<&str> = before.split_whitespace().rev().take(3).collect();
        let is_negated = tail.iter().any(|w| matches!(*w, "not" | "never" | "no" | "cannot" | "far") || w.ends_with("n't"));
        (!is_negated).then(|| word.as_str().to_owned())
    };
    if let Some(words) = found(certain()) {
        return Some((words, Certainty::High));
    }
    found(likely()).map(|words| (words, Certainty::Medium))
}

/// Words that only high certainty justifies.
fn certain() -> &'static Regex {
    static PATTERN: OnceLock<Regex> = OnceLock::new();
    PATTERN.get_or_init(|| {
        pattern(
            r"(?i)\b(?:almost )?(?:certainly|definitely|undoubtedly|unquestionably|indisputably|conclusively)\b|\b(?:without|beyond)(?: a| any)? doubt\b|\bno doubt\b|\b(?:it is|we are|i am) (?:certain|sure)\b|\bproven\b|\bproves\b|\bconfirmed (?:root )?cause\b|\b(?:very |extremely )?high (?:confidence|certainty)\b|\b(?:confidence|certainty)\W{1,4}(?:very )?high\b|\b(?:confidence|certainty)\W{1,4}(?:9\d|100) ?%|\b(?:9\d|100) ?% (?:sure|certain|confident|confidence)\b",
        )
    })
}

/// Words that low certainty does not justify.
fn likely() -> &'static Regex {
    static PATTERN: OnceLock<Regex> = OnceLock::new();
    PATTERN.get_or_init(|| {
        pattern(r"(?i)\b(?:very|highly|extremely) (?:likely|probable|probably)\b|\b(?:medium|moderate) (?:confidence|certainty)\b|\b(?:confidence|certainty)\W{1,4}(?:medium|moderate)\b")
    })
}

fn explicit() -> &'static Regex {
    static PATTERN: OnceLock<Regex> = OnceLock::new();
    PATTERN.get_or_init(|| pattern(r"(?i)\b(?:confidence|certainty)\b"))
}

fn cause() -> &'static Regex {
    static PATTERN: OnceLock<Regex> = OnceLock::new();
    PATTERN.get_or_init(|| {
        pattern(r"(?i)\b(?:caus(?:e|es|ed|ing)|origin(?:s|ated)?|trigger(?:s|ed)?|due to|because|responsible|led to|result of|explains?|to blame|broke|started (?:it|this|the incident))\b")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_is_compared_with_the_certainty_of_the_findings() {
        use Certainty::{High, Low, Medium};
        for (statement, justified) in [
            ("The deploy certainly caused the failures [E3].", High),
            ("Confidence: high", High),
            ("**Confidence:** very high", High),
            ("We are 95 % sure that the pool is the cause.", High),
            ("The pool is very likely the cause [E3].", Medium),
            ("Confidence (medium)", Medium),
        ] {
            for band in [Low, Medium, High] {
                assert_eq!(excess(statement, band).is_some(), justified > band, "{statement} {band:?}");
            }
        }
        for statement in [
            "The deploy probably caused it [E3].",
            "It is not certain that the deploy caused it.",
            "This has not been proven to be the cause.",
            "Confidence: low",
            "The pool has definitely 20 connections.",
        ] {
            assert!(excess(statement, Low).is_none(), "{statement}");
        }
    }
}
