//! Separates a model's reasoning from its answer where the server does not.
//!
//! Reasoning models write their thoughts between tags at the start of the answer, each family with its own. A chat template
//! that ends with the opening tag makes the server send only the closing one, so the text up to a lone closing tag is
//! reasoning as well.

/// Opening and closing tags: `<think>` (DeepSeek, Qwen), Magistral, Kimi, OpenThoughts, Seed, and their variants.
const TAGS: [(&str, &str); 8] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<seed:think>", "</seed:think>"),
];

/// What separates the channels of the harmony format (gpt-oss): `<|channel|>analysis<|message|>…<|end|>`.
const CHANNEL: &str = "<|channel|>";
const MESSAGE: &str = "<|message|>";
const CONTROL: [&str; 6] =
    ["<|start|>assistant", "<|start|>", "<|end|>", "<|return|>", "<|begin_of_solution|>", "<|end_of_solution|>"];

/// The answer in the whole text that a model wrote, without its reasoning. Empty if there is nothing but reasoning.
pub(super) fn answer_in(text: &str) -> String {
    if text.contains(CHANNEL) {
        return harmony(text);
    }
    let mut rest = text;
    for (open, close) in TAGS {
        // An opening tag counts only at the start: an answer may talk about tags.
        if let Some(inside) = rest.trim_start().strip_prefix(open) {
            rest = inside.split_once(close).map_or("", |(_, after)| after);
        }
        if let Some((before, after)) = rest.split_once(close)
            && !before.contains(open)
            && !before.contains('`')
        {
            rest = after;
        }
    }
    without_control(rest)
}

/// The final channel of a text in harmony format; the text after the last header if no channel is final.
fn harmony(text: &str) -> String {
    let mut out = String::new();
    let mut parts = text.split(CHANNEL);
    // Text before the first channel is an answer only if it is not just a control token.
    out.push_str(&without_control(parts.next().unwrap_or("")));
    for part in parts {
        let (name, body) = part.split_once(MESSAGE).unwrap_or((part, ""));
        if name.trim_start().starts_with("final") {
            out.push_str(&without_control(body));
        }
    }
    out
}

fn without_control(text: &str) -> String {
    let mut out = text.to_owned();
    for token in CONTROL {
        if out.contains(token) {
            out = out.replace(token, "");
        }
    }
    if out.len() == text.len() && text.starts_with(|c: char| !c.is_whitespace()) { out } else { out.trim_start().to_owned() }
}

/// What has to happen on the screen after more text arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Visible {
    /// Nothing: the text is reasoning, or may still become it.
    Nothing,
    /// This follows what is shown.
    More(String),
    /// What is shown was reasoning: this replaces it.
    Instead(String),
}

/// Follows a stream and shows only the answer.
#[derive(Debug, Default)]
pub(super) struct Thoughts {
    text: String,
    shown: String,
    /// Whether text without any mark of a tag simply continues what is shown.
    in_answer: bool,
    /// Whether such text continues the reasoning.
    in_reasoning: bool,
}

/// The characters that begin or end a tag.
const MARKS: [char; 7] = ['<', '>', '[', ']', '◁', '▷', '|'];

impl Thoughts {
    /// Adds text and returns what to show of it.
    pub(super) fn push(&mut self, text: &str) -> Visible {
        self.text.push_str(text);
        if !text.contains(MARKS) {
            if self.in_reasoning {
                return Visible::Nothing;
            }
            if self.in_answer {
                self.shown.push_str(text);
                return Visible::More(text.to_owned());
            }
        }
        let answer = answer_in(&self.text);
        let whole = answer.len();
        let answer = answer.get(..held_from(&answer)).unwrap_or("");
        self.in_answer = !answer.is_empty() && answer.len() == whole;
        self.in_reasoning = !self.text.trim().is_empty() && answer_in(&format!("{}x", self.text)).is_empty();
        match answer.strip_prefix(self.shown.as_str()) {
            Some("") => Visible::Nothing,
            Some(more) => {
                let more = more.to_owned();
                self.shown.push_str(&more);
                Visible::More(more)
            }
            None => {
                answer.clone_into(&mut self.shown);
                Visible::Instead(answer.to_owned())
            }
        }
    }

    /// The answer once the stream has ended.
    pub(super) fn finish(&self) -> String {
        answer_in(&self.text)
    }

    /// Whether nothing has arrived yet.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether anything but the answer arrived.
    pub(super) fn any(&self) -> bool {
        answer_in(&self.text).trim().len() < self.text.trim().len()
    }
}

/// Where the start of a tag begins at the end of a text; the length of the text if there is none.
fn held_from(text: &str) -> usize {
    let longest = 24;
    let from = text.char_indices().rev().take(longest).filter(|(_, c)| matches!(c, '<' | '[' | '◁')).last().map(|(at, _)| at);
    let tags = TAGS.iter().flat_map(|(open, close)| [*open, *close]).chain([CHANNEL, MESSAGE]).chain(CONTROL);
    let tags: Vec<&str> = tags.collect();
    let starts = |at: usize| text.get(at..).is_some_and(|tail| tags.iter().any(|t| t.len() > tail.len() && t.starts_with(tail)));
    from.map_or(text.len(), |from| {
        text.char_indices().map(|(at, _)| at).filter(|at| *at >= from).find(|at| starts(*at)).unwrap_or(text.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader sees after the text arrived in pieces.
    fn streamed(text: &str, size: usize) -> (String, String) {
        let mut thoughts = Thoughts::default();
        let mut screen = String::new();
        let chars: Vec<char> = text.chars().collect();
        for piece in chars.chunks(size) {
            match thoughts.push(&piece.iter().collect::<String>()) {
                Visible::Nothing => {}
                Visible::More(more) => screen.push_str(&more),
                Visible::Instead(all) => screen = all,
            }
        }
        (screen, thoughts.finish())
    }

    #[test]
    fn shows_the_answer_without_the_reasoning() {
        for (text, answer) in [
            ("<think>hmm</think>\n\nThe pool", "The pool"),
            ("\n<thinking>a <b> c</thinking>The pool", "The pool"),
            ("I think.\n</think>\n\nThe pool", "The pool"),
            ("[THINK]x[/THINK]The pool", "The pool"),
            ("◁think▷x◁/think▷The pool", "The pool"),
            ("<|begin_of_thought|>x<|end_of_thought|><|begin_of_solution|>The pool<|end_of_solution|>", "The pool"),
            ("<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>final<|message|>The pool<|return|>", "The pool"),
            ("<think></think>The pool", "The pool"),
            ("The pool", "The pool"),
            ("The `</think>` tag is text", "The `</think>` tag is text"),
            ("a <table> and [E1] < 3", "a <table> and [E1] < 3"),
            ("<think>never closed", ""),
            ("<|channel|>analysis<|message|>only", ""),
        ] {
            for size in [1, 2, 5, 100] {
                let (screen, last) = streamed(text, size);
                assert_eq!(last, answer, "{text}");
                assert_eq!(screen.trim_end_matches('<'), answer, "{text} in pieces of {size}");
            }
        }
    }
}
