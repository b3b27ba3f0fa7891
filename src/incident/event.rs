//! Small enums used by facts: escalation levels, update audiences, verdicts, grades, and the events that people record by hand.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Defines an enum with a stored word and a display title for each variant, and a `FromStr` that reads the word.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal, $( $(#[$inner:meta])* $variant:ident = $word:literal, $title:literal; )*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $( $(#[$inner])* #[serde(rename = $word)] $variant, )* }

        impl $name {
            /// All variants.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];

            /// The word for this variant as typed, stored and printed in JSON.
            pub fn word(self) -> &'static str {
                match self { $( Self::$variant => $word, )* }
            }

            /// The text to display.
            pub fn title(self) -> &'static str {
                match self { $( Self::$variant => $title, )* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                let word = text.trim().to_ascii_lowercase().replace('-', "_").replace(' ', "_");
                let title = |v: &Self| v.title().to_ascii_lowercase();
                let is_meant = |v: &Self| v.word().to_ascii_lowercase() == word || title(v) == word;
                Self::ALL.iter().copied().find(is_meant).ok_or_else(|| {
                    let name = |v: &Self| if title(v).contains(' ') { v.word().replace('_', "-") } else { title(v) };
                    let words: Vec<String> = Self::ALL.iter().map(name).collect();
                    format!("'{text}' is not {}; use one of {}", $what, words.join(", "))
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
    /// An escalation level.
    EscalationLevel, "an escalation level",
    L1 = "L1", "L1 user support";
    L2 = "L2", "L2 technical";
    L3 = "L3", "L3 complex systems";
    L4 = "L4", "L4 architecture and development";
);

/// When the next update to an audience is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NextUpdate {
    /// After the update interval of the severity.
    #[default]
    Scheduled,
    /// After this duration.
    In(std::time::Duration),
    /// At the time that the draft of the text named.
    At(crate::telemetry::Timestamp),
    /// Never: this was the last update.
    Never,
}

words!(
    /// The audience of an update.
    Audience, "an audience",
    Internal = "internal", "technical";
    Executive = "executive", "executive";
    External = "external", "customer";
);

words!(
    /// The verdict on a hypothesis.
    Verdict, "a verdict",
    Supported = "supported", "supported";
    Refuted = "refuted", "refuted";
);

words!(
    /// A remark added to a decision later.
    Remark, "a remark",
    Objection = "objection", "objection";
    Outcome = "outcome", "outcome";
);

words!(
    /// How close the diagnosis came to the real cause, judged afterwards. The four grades follow incident.io's self-grading.
    Grade, "a grade",
    Bullseye = "bullseye", "bullseye";
    OneHopShort = "one_hop_short", "one hop short";
    RightArea = "right_area", "right area";
    Wrong = "wrong", "wrong";
);

words!(
    /// The state of a post-mortem's review.
    ReviewState, "a review state",
    Draft = "draft", "draft";
    InReview = "in_review", "in review";
    Reviewed = "reviewed", "reviewed";
    Closed = "closed", "closed";
);

words!(
    /// Who found the diagnosis.
    FoundBy, "a source of the diagnosis",
    Human = "human", "responders";
    Ai = "ai", "AI";
    Both = "both", "responders and AI";
    Rules = "rules", "built-in rules";
);

words!(
    /// An event that a person records. Events that the program detects have their own facts.
    EventKind, "an event kind",
    DeployDetected = "deploy_detected", "Deploy";
    ConfigChanged = "config_changed", "Configuration change";
    FlagChanged = "flag_changed", "Feature flag change";
    ChangeDetected = "change_detected", "Change";
    SilenceCreated = "silence_created", "Silence created";
    SilenceExpired = "silence_expired", "Silence expired";
    ResponderRequested = "responder_requested", "Responder requested";
    Snoozed = "snoozed", "Snoozed";
    QueryRun = "query_run", "Query";
    CommandRun = "command_run", "Command";
    ActionStarted = "action_started", "Action started";
    ActionFinished = "action_finished", "Action finished";
    PriorityChanged = "priority_changed", "Priority changed";
    UrgencyChanged = "urgency_changed", "Urgency changed";
    PostmortemCreated = "postmortem_created", "Post-mortem created";
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_words_as_typed_and_as_stored() {
        assert_eq!("l3".parse(), Ok(EscalationLevel::L3));
        assert_eq!("one-hop-short".parse(), Ok(Grade::OneHopShort));
        assert_eq!(serde_json::to_string(&Grade::OneHopShort).unwrap(), "\"one_hop_short\"");
        for event in EventKind::ALL {
            assert_eq!(event.word().parse(), Ok(*event));
        }
        assert!("L5".parse::<EscalationLevel>().unwrap_err().contains("L1, L2, L3, L4"));
    }
}
