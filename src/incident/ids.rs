//! Numbered ids as people say them: `INC-7`, `E12`, `A3`. The journal gives the numbers inside the commit.
//!
//! While a shared store is away nobody can give a number. What is written then carries a local one, `INC-L1`, `EL2`, `AL3`,
//! that can be mistaken for no other; it gives way to the real number when the store is back.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Local ids are this and above.
const LOCAL: u32 = 1 << 31;

/// The number of the first entry that is not in the shared store yet: entries that wait carry `LOCAL_SEQ` plus their place,
/// behind every real one.
pub const LOCAL_SEQ: u64 = 1 << 40;

/// An entry's number as people read it: `12`, or `L3` for one that waits for the shared store.
pub fn seq_label(seq: u64) -> String {
    if seq >= LOCAL_SEQ { format!("L{}", seq - LOCAL_SEQ) } else { seq.to_string() }
}

/// Reads what [`seq_label`] prints.
pub fn parse_seq(text: &str) -> Option<u64> {
    let trimmed = text.trim();
    match trimmed.strip_prefix(['L', 'l']) {
        Some(rest) => rest.parse::<u32>().ok().map(|n| LOCAL_SEQ + u64::from(n)),
        None => trimmed.parse().ok().filter(|n| *n < LOCAL_SEQ),
    }
}

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

            /// The `n`th local one.
            pub fn local(n: u32) -> Self {
                Self(LOCAL.saturating_add(n))
            }

            /// Whether the shared store has not numbered it yet.
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
