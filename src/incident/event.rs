//! Small vocabularies of what can happen: escalation levels, audiences of an update, verdicts, grades, and the events that
//! people put on record by hand.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Defines an enum with its stored word and its words for people, and reads it back from either.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal, $( $(#[$inner:meta])* $variant:ident = $word:literal, $title:literal; )*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $( $(#[$inner])* #[serde(rename = $word)] $variant, )* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];

            /// The word as typed, stored and printed in JSON.
            pub fn word(self) -> &'static str {
                match self { $( Self::$variant => $word, )* }
            }

            /// The words for a person.
            pub fn title(self) -> &'static str {
                match self { $( Self::$variant => $title, )* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                let word = text.trim().to_ascii_lowercase().replace('-', "_").replace(' ', "_");
                Self::ALL.iter().copied().find(|v| v.word().to_ascii_lowercase() == word).ok_or_else(|| {
                    let known: Vec<String> = Self::ALL.iter().map(|v| v.word().replace('_', "-")).collect();
                    format!("'{text}' is not {}: give {}", $what, known.join(", "))
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.title())
            }
        }
    };
}

words!(
    /// How far up a problem has gone.
    Level, "a level of escalation",
    L1 = "L1", "L1 user support";
    L2 = "L2", "L2 technical";
    L3 = "L3", "L3 complex systems";
    L4 = "L4", "L4 architecture and development";
);

/// When an audience hears again after an update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Next {
    /// As the severity's update clock says.
    #[default]
    Usual,
    In(std::time::Duration),
    /// They get no further one.
    Last,
}

words!(
    /// For whom an update was written.
    Audience, "an audience",
    Internal = "internal", "internal";
    Executive = "executive", "executive";
    External = "external", "external";
);

words!(
    /// What became of a hypothesis.
    Verdict, "a verdict",
    Supported = "supported", "supported";
    Refuted = "refuted", "refuted";
);

words!(
    /// What is said of a decision afterwards.
    Remark, "a remark",
    Objection = "objection", "objection";
    Outcome = "outcome", "outcome";
);

words!(
    /// How close the diagnosis came, judged afterwards. Four steps, after incident.io's self-grading.
    Grade, "a grade",
    Bullseye = "bullseye", "bullseye";
    OneHopShort = "one_hop_short", "one hop short";
    RightArea = "right_area", "right area";
    Wrong = "wrong", "wrong";
);

words!(
    /// Who reached the diagnosis.
    FoundBy, "a finder",
    Human = "human", "people";
    Ai = "ai", "the model";
    Both = "both", "people and the model";
    Rules = "rules", "the rules";
);

words!(
    /// Events that a person puts on record; those that the program sees have facts of their own.
    EventKind, "a kind of event",
    DeployDetected = "deploy_detected", "change (deploy)";
    ConfigChanged = "config_changed", "change (configuration)";
    FlagChanged = "flag_changed", "change (flag)";
    ChangeDetected = "change_detected", "change";
    SilenceCreated = "silence_created", "silence created";
    SilenceExpired = "silence_expired", "silence expired";
    ResponderRequested = "responder_requested", "responder requested";
    Snoozed = "snoozed", "snoozed";
    QueryRun = "query_run", "query";
    CommandRun = "command_run", "command";
    ActionStarted = "action_started", "started";
    ActionFinished = "action_finished", "finished";
    PriorityChanged = "priority_changed", "priority";
    UrgencyChanged = "urgency_changed", "urgency";
    PostmortemCreated = "postmortem_created", "post-mortem";
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_as_typed_and_as_stored() {
        assert_eq!("l3".parse(), Ok(Level::L3));
        assert_eq!("one-hop-short".parse(), Ok(Grade::OneHopShort));
        assert_eq!(serde_json::to_string(&Grade::OneHopShort).unwrap(), "\"one_hop_short\"");
        for event in EventKind::ALL {
            assert_eq!(event.word().parse(), Ok(*event));
        }
        assert!("L5".parse::<Level>().unwrap_err().contains("L1, L2, L3, L4"));
    }
}
