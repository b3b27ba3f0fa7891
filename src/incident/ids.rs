//! Numbered ids as people say them: `INC-7`, `E12`, `A3`. The journal gives the numbers inside the commit.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An id that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not {what}: it looks like {example}")]
pub struct IdError {
    text: String,
    what: &'static str,
    example: &'static str,
}

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $what:literal, $example:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub u32);

        impl $name {
            /// Not numbered yet: the journal puts the next number in when it commits.
            pub const UNNUMBERED: Self = Self(0);
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let trimmed = text.trim();
                let number = trimmed
                    .get(..$prefix.len())
                    .filter(|p| p.eq_ignore_ascii_case($prefix))
                    .and_then(|_| trimmed.get($prefix.len()..))
                    .unwrap_or(trimmed);
                number
                    .bytes()
                    .all(|b| b.is_ascii_digit())
                    .then(|| number.parse().ok().map(Self))
                    .flatten()
                    .ok_or_else(|| IdError { text: text.chars().take(40).collect(), what: $what, example: $example })
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

numbered!(
    /// An incident's number in its store.
    IncidentId, "INC-", "an incident id", "INC-7"
);
numbered!(
    /// An evidence item's number in its incident.
    EvidenceId, "E", "an evidence id", "E12"
);
numbered!(
    /// An action item's number in its incident.
    ActionId, "A", "an action item id", "A3"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_what_they_print() {
        assert_eq!("inc-7".parse(), Ok(IncidentId(7)));
        assert_eq!("7".parse(), Ok(IncidentId(7)));
        assert_eq!(EvidenceId(12).to_string().parse(), Ok(EvidenceId(12)));
        for bad in ["", "INC-", "E-1", "E99999999999", "INC-7x", "é7"] {
            assert!(bad.parse::<EvidenceId>().is_err(), "{bad}");
        }
    }
}
