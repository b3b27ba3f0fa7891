//! Questions to the assistant, and the slash commands that people type: `/troubleshoot --persona security --thread why`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::incident::conversation::thread_arg;
use crate::telemetry::time::parse_duration;
use crate::telemetry::words::{list, nearest};

/// A question to the assistant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The id of a prompt, or a question as free text.
    pub text: String,
    /// The personas that answer; empty for that of the prompt.
    pub personas: Vec<String>,
    pub together: Together,
    /// The name of a model in `[assistant.models]`; `None` for the default model.
    pub model: Option<String>,
    /// A draft to reword, for the prompt `update`. It begins no conversation.
    pub draft: Option<String>,
    /// The thread to continue or to begin; `None` for the main one, or that of the answer that it follows.
    pub thread: Option<String>,
    /// The entry of the answer to continue from; `None` for the latest of the thread.
    pub follows: Option<u64>,
    /// Carry nothing of earlier turns.
    pub begins: bool,
    /// Investigate this window first; `None` to use what was gathered.
    pub window: Option<Duration>,
}

/// How several personas answer a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Together {
    /// One after the other; each sees the earlier answers
    #[default]
    Sequence,
    /// At the same time; none sees the others' answers
    Parallel,
    /// At the same time; then a lead reconciles the answers and names the disagreements
    Lead,
}

impl std::str::FromStr for Together {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        <Self as clap::ValueEnum>::from_str(text, true)
            .map_err(|_| format!("'{text}' is not one of sequence, parallel and lead."))
    }
}

/// The flags of slash commands, with their value and their help.
pub const FLAGS: [(&str, &str, &str); 5] = [
    (
        "--persona",
        "NAME",
        "persona for the answer, instead of the one in the prompt; several, or with commas, for several answers",
    ),
    ("--together", "HOW", "how several personas answer: sequence, parallel or lead"),
    ("--model", "NAME", "model from [assistant.models]"),
    ("--thread", "NAME", "thread to continue or to begin"),
    ("--window", "DURATION", "investigate this window first, such as 30m"),
];

impl Question {
    /// A question without options.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Parses what a person typed. A text without a leading slash is a question as it is.
    ///
    /// # Errors
    /// What is wrong with a slash command, in a sentence.
    pub fn parse(typed: &str) -> Result<Self, String> {
        let typed = typed.trim();
        let Some(command) = typed.strip_prefix('/') else { return Ok(Self::new(typed)) };
        let words = shlex::split(command).ok_or("A quotation mark is not closed.")?;
        let mut words = words.into_iter();
        let mut question = Self::new(words.next().ok_or("Write the name of a prompt after the slash.")?);
        while let Some(word) = words.next() {
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => (word, None),
            };
            let Some((_, unit, _)) = FLAGS.iter().find(|(name, ..)| *name == flag) else {
                let known: Vec<&str> = FLAGS.iter().map(|(name, ..)| *name).collect();
                let hint = nearest(&flag, known.iter().copied()).map_or_else(String::new, |n| format!(" Did you mean {n}?"));
                return Err(format!("There is no option '{flag}'.{hint} The options are {}.", list(&known)));
            };
            let value = value.or_else(|| words.next()).filter(|v| !v.trim().is_empty());
            let value = value.ok_or_else(|| format!("{flag} needs a value: {flag} {unit}"))?;
            match flag.as_str() {
                "--persona" => question.personas.extend(value.split(',').map(|p| p.trim().to_owned()).filter(|p| !p.is_empty())),
                "--together" => question.together = value.parse()?,
                "--model" => question.model = Some(value),
                "--thread" => question.thread = Some(thread_arg(&value)?),
                _ => question.window = Some(parse_duration(&value).map_err(|e| e.to_string())?),
            }
        }
        Ok(question)
    }

    /// The slash command, or the question, that [`Question::parse`] reads back. `slash` says whether the text is a prompt.
    pub fn typed(&self, slash: bool) -> String {
        let mut out = if slash { format!("/{}", self.text) } else { return self.text.clone() };
        let personas = self.personas.iter().map(|p| ("--persona", p));
        let others = [("--model", &self.model), ("--thread", &self.thread)];
        for (flag, value) in personas.chain(others.into_iter().filter_map(|(flag, v)| Some((flag, v.as_ref()?)))) {
            if let Ok(quoted) = shlex::try_quote(value) {
                out.push_str(&format!(" {flag} {quoted}"));
            }
        }
        if let Some(window) = self.window {
            out.push_str(&format!(" --window {}s", window.as_secs()));
        }
        out
    }
}

/// The names that complete a slash command.
#[derive(Clone, Debug, Default)]
pub struct Known<'a> {
    pub prompts: Vec<&'a str>,
    pub personas: Vec<&'a str>,
    pub models: Vec<&'a str>,
    pub threads: Vec<&'a str>,
}

/// What can follow a slash command that is being typed: the texts with its last word completed, at most eight. Empty for a question.
pub fn completions(typed: &str, known: &Known<'_>) -> Vec<String> {
    const MAX: usize = 8;
    if !typed.starts_with('/') {
        return Vec::new();
    }
    let begin = typed.rfind(' ').map_or(0, |at| at + 1);
    let (before, word) = typed.split_at(begin);
    let flag = before.trim_end().rsplit(' ').next().unwrap_or_default();
    let candidates: Vec<String> = match flag {
        _ if begin == 0 => known.prompts.iter().map(|p| format!("/{p}")).collect(),
        "--persona" => known.personas.iter().map(|p| (*p).to_owned()).collect(),
        "--model" => known.models.iter().map(|p| (*p).to_owned()).collect(),
        "--thread" => known.threads.iter().map(|p| (*p).to_owned()).collect(),
        "--together" => ["sequence", "parallel", "lead"].map(str::to_owned).to_vec(),
        "--window" => ["15m", "30m", "1h", "3h"].map(str::to_owned).to_vec(),
        _ => FLAGS
            .iter()
            .map(|(name, ..)| (*name).to_owned())
            .filter(|f| f == "--persona" || !before.contains(f.as_str()))
            .collect(),
    };
    candidates.into_iter().filter(|c| c.starts_with(word) && c != word).take(MAX).map(|c| format!("{before}{c}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slash_commands_are_parsed_and_written_back() {
        let typed = "/troubleshoot --persona 'database administrator' --thread db --window 1800s";
        let question = Question::parse(typed).unwrap();
        assert_eq!(
            (question.text.as_str(), question.personas.as_slice()),
            ("troubleshoot", &["database administrator".to_owned()][..])
        );
        assert_eq!((question.thread.as_deref(), question.window), (Some("db"), Some(Duration::from_mins(30))));
        assert_eq!(question.typed(true), typed);
        assert_eq!(Question::parse(" why /etc? ").unwrap(), Question::new("why /etc?"));
        assert_eq!(Question::parse("/update --model=small").unwrap().model.as_deref(), Some("small"));
        let several = Question::parse("/update --persona a,b --persona c --together lead").unwrap();
        assert_eq!((several.personas.len(), several.together), (3, Together::Lead));
        for (wrong, part) in [
            ("/update --together all", "sequence, parallel and lead"),
            ("/", "name of a prompt"),
            ("/update --modle x", "Did you mean --model?"),
            ("/update --window", "needs a value"),
            ("/update --window soon", "soon"),
            ("/update --thread 'a b'", "not a name for a thread"),
            ("/update 'x", "not closed"),
        ] {
            assert!(Question::parse(wrong).unwrap_err().contains(part), "{wrong}: {}", Question::parse(wrong).unwrap_err());
        }
    }

    #[test]
    fn the_last_word_is_completed() {
        let known = Known { prompts: vec!["update", "troubleshoot"], models: vec!["small"], ..Known::default() };
        assert_eq!(completions("/tr", &known), ["/troubleshoot"]);
        assert_eq!(completions("/update --m", &known), ["/update --model"]);
        assert_eq!(completions("/update --model ", &known), ["/update --model small"]);
        assert_eq!(completions("/update --model small --", &known).len(), FLAGS.len() - 1);
        assert!(completions("why", &known).is_empty() && completions("/nothing", &known).is_empty());
    }
}
