//! Incident severity, and the matrix that defines what each severity means and requires.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::role::Role;
use crate::telemetry::Timestamp;

/// The severity of an incident. SEV1 is the most severe; SEV1 and SEV2 are major incidents.
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
    /// All severities, most severe first.
    pub const ALL: [Self; 5] = [Self::Sev1, Self::Sev2, Self::Sev3, Self::Sev4, Self::Sev5];

    /// The severity's number, 1 to 5.
    pub fn number(self) -> u8 {
        match self {
            Self::Sev1 => 1,
            Self::Sev2 => 2,
            Self::Sev3 => 3,
            Self::Sev4 => 4,
            Self::Sev5 => 5,
        }
    }

    /// Whether this severity makes an incident a major incident.
    pub fn is_major(self) -> bool {
        self <= Self::Sev2
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SEV{}", self.number())
    }
}

/// The error for text that does not name a severity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a severity; use SEV1 (most severe) to SEV5")]
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

/// One row of the severity matrix: what a severity means and what it requires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatrixRow {
    pub severity: Severity,
    /// Shown in the severity picker.
    pub meaning: String,
    /// The expected response.
    pub response: String,
    /// Interval between updates to stakeholders, in seconds; `None` if updates are not required.
    pub update_secs: Option<u64>,
    /// Roles that must be assigned.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// When the post-mortem is due, counted from the resolution; `None` if none is required.
    #[serde(default)]
    pub postmortem: Option<Due>,
}

/// A due date as a number of days. Business days exclude Saturdays and Sundays, but not holidays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    Days(u16),
    BusinessDays(u16),
}

impl Due {
    /// The time this many days after `from`.
    pub fn after(self, from: Timestamp) -> Timestamp {
        let day = Duration::from_hours(24);
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

    /// The number of days as text: `3 days`, `5 business days`.
    pub fn describe(self) -> String {
        match self {
            Self::Days(1) => "1 day".to_owned(),
            Self::Days(n) => format!("{n} days"),
            Self::BusinessDays(1) => "1 business day".to_owned(),
            Self::BusinessDays(n) => format!("{n} business days"),
        }
    }
}

/// The severity matrix. The default follows PagerDuty's public incident response guide; the configuration may replace rows. An
/// incident keeps the matrix that was in force when it was declared.
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
        // The guide asks for "all roles"; these are the ones that a major incident needs.
        let major_roles = [Role::Commander, Role::Deputy, Role::Scribe, Role::Sme, Role::CustomerLiaison, Role::InternalLiaison];
        Self {
            rows: vec![
                row(
                    Severity::Sev1,
                    "critical: many customers affected, a long SLA breach, or customer data exposed",
                    "page the commander and all roles; public updates; post-mortem within 3 days",
                    Some(20),
                    &major_roles,
                    Some(Due::Days(3)),
                ),
                row(
                    Severity::Sev2,
                    "a critical function is failing for many users, or monitoring is down",
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
                row(Severity::Sev4, "needs action, but users can still work", "low-urgency page", None, &[], None),
                row(Severity::Sev5, "cosmetic issue", "ticket", None, &[], None),
            ],
        }
    }
}

impl Matrix {
    /// The row for a severity. A valid matrix has a row for each.
    pub fn row(&self, severity: Severity) -> Option<&MatrixRow> {
        self.rows.iter().find(|r| r.severity == severity)
    }

    /// The meaning of a severity; empty if the matrix has no row for it.
    pub fn meaning(&self, severity: Severity) -> &str {
        self.row(severity).map_or("", |r| r.meaning.as_str())
    }

    /// Roles that a severity requires.
    pub fn roles(&self, severity: Severity) -> &[Role] {
        self.row(severity).map_or(&[], |r| r.roles.as_slice())
    }

    /// The interval between updates to stakeholders; `None` if updates are not required.
    pub fn update_every(&self, severity: Severity) -> Option<Duration> {
        self.row(severity)?.update_secs.map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_severities_in_common_spellings() {
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
