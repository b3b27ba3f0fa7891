//! Severity of an incident and the matrix that says what each one means.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::role::Role;
use crate::telemetry::Timestamp;

/// SEV1 is the worst. SEV1 and SEV2 are major incidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    Sev1,
    Sev2,
    Sev3,
    Sev4,
    Sev5,
}

impl Severity {
    /// All five, the worst first.
    pub const ALL: [Self; 5] = [Self::Sev1, Self::Sev2, Self::Sev3, Self::Sev4, Self::Sev5];

    /// 1 to 5.
    pub fn number(self) -> u8 {
        match self {
            Self::Sev1 => 1,
            Self::Sev2 => 2,
            Self::Sev3 => 3,
            Self::Sev4 => 4,
            Self::Sev5 => 5,
        }
    }

    /// Whether it is a major incident.
    pub fn is_major(self) -> bool {
        self <= Self::Sev2
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SEV{}", self.number())
    }
}

/// A severity that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a severity: give SEV1 (worst) to SEV5")]
pub struct SeverityError(String);

impl FromStr for Severity {
    type Err = SeverityError;
    fn from_str(text: &str) -> Result<Self, SeverityError> {
        let upper = text.trim().to_ascii_uppercase();
        let number = upper.strip_prefix("SEV").unwrap_or(&upper).trim_start_matches('-');
        Self::ALL
            .into_iter()
            .find(|s| number.parse() == Ok(s.number()))
            .ok_or_else(|| SeverityError(text.chars().take(40).collect()))
    }
}

/// One row of the matrix: what a severity means and what it asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatrixRow {
    pub severity: Severity,
    /// Shown while a person chooses.
    pub meaning: String,
    /// What is expected of the responders.
    pub response: String,
    /// How long stakeholders may wait for the next update, in seconds; `None`: no cadence.
    pub update_secs: Option<u64>,
    /// Roles that must be held.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// By when the post-mortem is due, counted from the resolution; `None`: none is required.
    #[serde(default)]
    pub postmortem: Option<Due>,
}

/// A number of days. Business days leave Saturdays and Sundays out; holidays are not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    Days(u16),
    BusinessDays(u16),
}

impl Due {
    /// The moment so many days after `from`.
    pub fn after(self, from: Timestamp) -> Timestamp {
        let day = Duration::from_secs(86_400);
        match self {
            Self::Days(days) => from + day * u32::from(days),
            Self::BusinessDays(days) => {
                let (mut at, mut left) = (from, days);
                while left > 0 {
                    at = at + day;
                    left -= u16::from(!matches!(at.datetime().weekday(), time::Weekday::Saturday | time::Weekday::Sunday));
                }
                at
            }
        }
    }

    /// `3 days`, `5 business days`.
    pub fn words(self) -> String {
        match self {
            Self::Days(1) => "1 day".to_owned(),
            Self::Days(n) => format!("{n} days"),
            Self::BusinessDays(1) => "1 business day".to_owned(),
            Self::BusinessDays(n) => format!("{n} business days"),
        }
    }
}

/// The severity matrix. The default follows PagerDuty's public incident-response guide; the configuration may replace
/// rows. An incident keeps the matrix that was in force when it was declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matrix {
    pub rows: Vec<MatrixRow>,
}

impl Default for Matrix {
    fn default() -> Self {
        let row = |severity, meaning: &str, response: &str, update_minutes: Option<u64>, roles: &[Role], postmortem| MatrixRow {
            severity,
            meaning: meaning.to_owned(),
            response: response.to_owned(),
            update_secs: update_minutes.map(|m| m * 60),
            roles: roles.to_vec(),
            postmortem,
        };
        // "All roles" of the guide: those that a major incident cannot do without.
        let all = [Role::Commander, Role::Deputy, Role::Scribe, Role::Sme, Role::CustomerLiaison, Role::InternalLiaison];
        Self {
            rows: vec![
                row(
                    Severity::Sev1,
                    "critical: many customers, a long SLA breach or customer data exposed",
                    "page the commander, all roles, public updates; post-mortem within 3 days",
                    Some(20),
                    &all,
                    Some(Due::Days(3)),
                ),
                row(
                    Severity::Sev2,
                    "a critical function badly hit for many users, or monitoring blind",
                    "page the commander; post-mortem within 5 business days",
                    Some(20),
                    &[Role::Commander, Role::Scribe],
                    Some(Due::BusinessDays(5)),
                ),
                row(
                    Severity::Sev3,
                    "minor or partial impact, or redundancy lost; may become SEV2",
                    "high-urgency page to the owning team",
                    Some(60),
                    &[Role::Commander],
                    None,
                ),
                row(Severity::Sev4, "needs action, users can still work", "low-urgency page", None, &[], None),
                row(Severity::Sev5, "cosmetic", "a ticket", None, &[], None),
            ],
        }
    }
}

impl Matrix {
    /// The row of a severity, if the matrix has it (a valid one has all five).
    pub fn row(&self, severity: Severity) -> Option<&MatrixRow> {
        self.rows.iter().find(|r| r.severity == severity)
    }

    /// What a severity means; empty when the matrix lacks it.
    pub fn meaning(&self, severity: Severity) -> &str {
        self.row(severity).map_or("", |r| r.meaning.as_str())
    }

    /// Roles that must be held at a severity.
    pub fn roles(&self, severity: Severity) -> &[Role] {
        self.row(severity).map_or(&[], |r| r.roles.as_slice())
    }

    /// How long stakeholders may wait for an update.
    pub fn update_every(&self, severity: Severity) -> Option<Duration> {
        self.row(severity)?.update_secs.map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_read_as_people_write_them() {
        for text in ["SEV2", "sev2", "2", "sev-2"] {
            assert_eq!(text.parse(), Ok(Severity::Sev2));
        }
        assert!("SEV6".parse::<Severity>().is_err());
        assert!("high".parse::<Severity>().is_err());
        assert!(Severity::Sev1 < Severity::Sev2);
    }

    #[test]
    fn the_default_matrix_has_every_row() {
        let matrix = Matrix::default();
        assert!(Severity::ALL.iter().all(|s| !matrix.meaning(*s).is_empty()));
        assert_eq!(matrix.roles(Severity::Sev3), [Role::Commander]);
        assert!(matrix.row(Severity::Sev4).unwrap().postmortem.is_none());
    }

    #[test]
    fn business_days_skip_the_weekend() {
        // 2026-11-20 is a Friday.
        let friday = Timestamp::parse("2026-11-20T12:00:00Z").unwrap();
        assert_eq!(Due::BusinessDays(1).after(friday).date(), "2026-11-23");
        assert_eq!(Due::BusinessDays(5).after(friday).date(), "2026-11-27");
        assert_eq!(Due::Days(3).after(friday).date(), "2026-11-23");
    }
}
