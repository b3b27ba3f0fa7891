//! Numbered ids: `INC-7` for incidents, `E12` for evidence, `A3` for action items. The journal assigns the numbers on commit.
//!
//! While a shared store is unreachable, new items get local ids such as `INC-L1`, `EL2` and `AL3`. They are replaced by final
//! ids once the store is reachable again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The number of the first local id; lower numbers are final.
const LOCAL: u32 = 1 << 31;

/// The base for the numbers of entries that are not in the shared store yet: `LOCAL_SEQ` plus their position. Local numbers sort
/// after all final ones.
pub const LOCAL_SEQ: u64 = 1 << 40;

/// Formats an entry number: `12`, or `L3` for an entry that is not in the shared store yet.
pub fn seq_label(seq: u64) -> String {
    if seq >= LOCAL_SEQ { format!("L{}", seq - LOCAL_SEQ) } else { seq.to_string() }
}

/// Parses an entry number as printed by [`seq_label`]. Returns `None` for anything else.
pub fn parse_seq(text: &str) -> Option<u64> {
    let trimmed = text.trim();
    match trimmed.strip_prefix(['L', 'l']) {
        Some(rest) => rest.parse::<u32>().ok().map(|n| LOCAL_SEQ + u64::from(n)),
        None => trimmed.parse().ok().filter(|n| *n < LOCAL_SEQ),
    }
}

/// The error for text that is not an id of the expected type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not {what}; use an id such as {example}")]
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
            /// A placeholder that the journal replaces by the next number on commit.
            pub const UNNUMBERED: Self = Self(0);

            /// The `n`th local id.
            pub fn local(n: u32) -> Self {
                Self(LOCAL.saturating_add(n))
            }

            /// Whether this is a local id, not yet numbered by the shared store.
            pub fn is_local(self) -> bool {
                self.0 >= LOCAL
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0.checked_sub(LOCAL) {
                    Some(n) => write!(f, concat!($prefix, "L{}"), n),
                    None => write!(f, concat!($prefix, "{}"), self.0),
                }
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
                let (number, base) = match number.strip_prefix(['L', 'l']) {
                    Some(rest) => (rest, LOCAL),
                    None => (number, 0),
                };
                number
                    .bytes()
                    .all(|b| b.is_ascii_digit())
                    .then(|| number.parse::<u32>().ok().filter(|n| *n < LOCAL).map(|n| Self(base + n)))
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
    /// The id of an incident, unique in its store.
    IncidentId, "INC-", "an incident id", "INC-7"
);
numbered!(
    /// The id of an evidence item, unique in its incident.
    EvidenceId, "E", "an evidence id", "E12"
);
numbered!(
    /// The id of an action item, unique in its incident.
    ActionId, "A", "an action item id", "A3"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_ids_as_printed() {
        assert_eq!("inc-7".parse(), Ok(IncidentId(7)));
        assert_eq!("7".parse(), Ok(IncidentId(7)));
        assert_eq!(EvidenceId(12).to_string().parse(), Ok(EvidenceId(12)));
        assert_eq!(EvidenceId::local(2).to_string(), "EL2");
        assert_eq!("INC-L1".parse(), Ok(IncidentId::local(1)));
        assert!(IncidentId::local(1).is_local() && !IncidentId(7).is_local());
        assert_eq!(parse_seq(&seq_label(LOCAL_SEQ + 3)), Some(LOCAL_SEQ + 3));
        assert_eq!((parse_seq("12"), parse_seq("L"), parse_seq("x")), (Some(12), None, None));
        for bad in ["", "INC-L", "E2147483648", "INC-", "E-1", "E99999999999", "INC-7x", "é7"] {
            assert!(bad.parse::<EvidenceId>().is_err(), "{bad}");
        }
    }
}
