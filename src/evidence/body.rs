//! The body of an evidence item, and a draft item that has no number yet.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::redact::{Redacted, Redactor};
use crate::analysis::Pattern;
use crate::analysis::relations::Relation;
use crate::incident::{EvidenceId, EvidenceKind, EvidenceRecord};
use crate::telemetry::{Alert, LogLine, Names, Series, Timestamp, Window};

/// The body of an evidence item. The digest is computed over its JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "body", rename_all = "snake_case")]
pub enum Body {
    Alerts {
        alerts: Vec<Alert>,
    },
    /// `unit` as in [`crate::analysis::findings::MetricInput`]; `threshold` is that of the alert it was queried for, if any.
    Series {
        title: String,
        unit: String,
        step_secs: f64,
        threshold: Option<f64>,
        series: Vec<Series>,
    },
    Lines {
        lines: Vec<LogLine>,
    },
    Patterns {
        onset: Timestamp,
        patterns: Vec<Pattern>,
        /// The times within the window whose lines were not read.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unread: Vec<Window>,
    },
    Relations {
        relations: Vec<Relation>,
    },
    Text {
        text: String,
    },
}

impl Body {
    /// The internal names in the body.
    fn names(&self) -> Names {
        let mut names = Names::default();
        match self {
            Self::Alerts { alerts } => alerts.iter().for_each(|a| names.add_labels(&a.labels)),
            Self::Series { series, .. } => series.iter().for_each(|s| names.add_labels(&s.labels)),
            Self::Lines { lines } => lines.iter().for_each(|line| names.add_line(line)),
            Self::Patterns { patterns, .. } => {
                for pattern in patterns {
                    pattern.services.iter().for_each(|s| names.add_service(s));
                    names.add_text(&pattern.sample);
                    for (field, values) in &pattern.facets {
                        for (value, _) in values {
                            names.add_field(field, value);
                        }
                    }
                }
            }
            Self::Relations { relations } => {
                for relation in relations {
                    names.add_field(&relation.label, &relation.value);
                }
            }
            Self::Text { text } => names.add_text(text),
        }
        names
    }
}

/// An evidence item that the journal has not numbered yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub kind: EvidenceKind,
    pub source: String,
    pub query: String,
    pub window: Window,
    pub taken_at: Timestamp,
    pub summary: String,
    pub body: Body,
    /// Why the item is incomplete; empty when it is complete.
    pub gaps: Vec<String>,
    pub shown: u64,
    pub total: u64,
}

/// A redacted body as stored: its JSON and the SHA-256 of those bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBody {
    pub digest: String,
    pub json: String,
}

impl Draft {
    /// Redacts the body and the record, and returns the unnumbered record, the body to store, and the redacted body.
    ///
    /// The digest is computed after redaction. Fails only if the body or the record cannot be written as JSON.
    pub fn seal(self) -> Result<(Redacted<EvidenceRecord>, StoredBody, Body), serde_json::Error> {
        let mut redactor = Redactor::new();
        let body = redactor.redact_value(&self.body)?.into_inner();
        let json = serde_json::to_string(&body)?;
        let stored = StoredBody { digest: digest(json.as_bytes()), json };
        let record = EvidenceRecord {
            id: EvidenceId::UNNUMBERED,
            kind: self.kind,
            source: self.source,
            query: self.query,
            window: self.window,
            taken_at: self.taken_at,
            summary: self.summary,
            digest: stored.digest.clone(),
            complete: self.gaps.is_empty(),
            gaps: self.gaps,
            shown: self.shown,
            total: self.total,
            redactions: redactor.total(),
            names: body.names(),
        };
        let record = redactor.redact_value(&record)?;
        Ok((record, stored, body))
    }
}

/// The SHA-256 of `bytes` as 64 hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let mut hex = String::with_capacity(64);
    for byte in hash {
        for nibble in [byte >> 4, byte & 15] {
            hex.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redacts_before_computing_the_digest() {
        let at = Timestamp::from_secs(0);
        let draft = Draft {
            kind: EvidenceKind::Logs,
            source: "app".into(),
            query: "{a=\"b\"}".into(),
            window: Window::new(at, at),
            taken_at: at,
            summary: "mail from ana@example.com".into(),
            body: Body::Lines { lines: vec![LogLine::plain("password=hunter2")] },
            gaps: Vec::new(),
            shown: 1,
            total: 1,
        };
        let (record, stored, _) = draft.seal().unwrap();
        assert!(!stored.json.contains("hunter2"));
        assert_eq!(record.get().digest, digest(stored.json.as_bytes()));
        assert_eq!(record.get().summary, "mail from <redacted:email#1>");
        assert_eq!(record.get().redactions, 1);
        assert_eq!(digest(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
