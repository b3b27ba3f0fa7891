//! Other words for what the screen names, for the help and the palette.

/// Words that people type for what has another name here: each line has words that mean the same.
const SYNONYMS: &[&[&str]] = &[
    &["acknowledge", "ack"],
    &["silence", "mute", "snooze", "suppress"],
    &["resolve", "close", "done", "finish"],
    &["leave", "exit", "quit"],
    &["search", "find", "grep"],
    &["undo", "revert"],
    &["redo", "again", "repeat"],
    &["role", "assign", "commander", "scribe"],
    &["graph", "chart", "metric", "signals", "plot"],
    &["severity", "priority", "sev"],
    &["declare", "create", "start", "new incident"],
    &["post-mortem", "postmortem", "report", "retro"],
    &["update", "status page", "stakeholder", "communicate"],
    &["assistant", "ai", "llm", "ask", "chat"],
    &["playbook", "runbook"],
    &["handover", "handoff"],
    &["copy", "yank", "clipboard"],
    &["evidence", "proof", "attachment"],
    &["page", "escalate", "on call", "oncall"],
    &["mitigation", "rollback", "fix"],
    &["action item", "todo", "follow-up"],
    &["pager", "lnav", "less"],
    &["trace", "request id"],
];

/// The shortest part of a word that counts for the word while it is being typed.
const MIN_PART: usize = 3;

/// Whether a text in lower case contains a word, or one that means the same.
pub(crate) fn contains(text: &str, word: &str) -> bool {
    let is_meant = |group: &&[&str]| word.len() >= MIN_PART && group.iter().any(|w| w.starts_with(word));
    text.contains(word) || SYNONYMS.iter().copied().filter(is_meant).flatten().any(|w| has_word(text, w))
}

/// Whether a text has a word as a whole.
fn has_word(text: &str, word: &str) -> bool {
    let is_free = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (text.get(..at).unwrap_or_default(), text.get(at + word.len()..).unwrap_or_default());
        is_free(before.chars().next_back()) && is_free(after.chars().next())
    })
}

/// The words that mean the same as those in a text, with blanks before them; empty if there are none.
pub(crate) fn of(text: &str) -> String {
    let text = text.to_lowercase();
    let groups = SYNONYMS.iter().filter(|group| group.iter().any(|w| has_word(&text, w)));
    groups.copied().flatten().filter(|w| !has_word(&text, w)).map(|w| format!(" {w}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_words_are_found() {
        let help = "silence the marked alerts, or this one";
        assert!(contains(help, "mute") && contains(help, "snoo") && contains(help, "sil") && !contains(help, "mu"));
        assert!(!contains("write a note", "mute"));
        assert!(!contains("show the details again", "llm") && of("Details").is_empty(), "whole words only");
        assert!(of("Silence").contains(" mute") && of("Write").is_empty());
    }
}
