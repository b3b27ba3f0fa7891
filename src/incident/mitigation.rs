//! Mitigation cards: what is done against the impact, how to undo it, what shows that it works, and whether it did.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::exit::{Comparison, ExitCriteria};
use super::ids::EvidenceId;
use crate::telemetry::series::human_value;
use crate::telemetry::time::human_duration;
use crate::telemetry::{Series, Timestamp, Window};

/// How much can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    Low,
    Medium,
    High,
}

impl Risk {
    /// The word as typed and stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl std::str::FromStr for Risk {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Low, Self::Medium, Self::High]
            .into_iter()
            .find(|r| r.word() == text.trim().to_lowercase())
            .ok_or_else(|| format!("'{text}' is not a risk; use low, medium or high"))
    }
}

/// The state of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CardState {
    Proposed,
    Started,
    Done,
    Dropped,
}

impl CardState {
    /// The word to display.
    pub fn word(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Started => "started",
            Self::Done => "done",
            Self::Dropped => "dropped",
        }
    }
}

/// Whether a mitigation worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MitigationVerdict {
    Worked,
    NoEffect,
    Worse,
    /// Too little time has passed, or there is no reading yet.
    TooEarly,
}

impl fmt::Display for MitigationVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Worked => "worked",
            Self::NoEffect => "did not work",
            Self::Worse => "made it worse",
            Self::TooEarly => "too early to say",
        })
    }
}

/// A verdict with the readings behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    pub verdict: MitigationVerdict,
    /// The median just before the mitigation began, and the newest value since; of several series, the worst.
    pub before: Option<f64>,
    pub after: Option<f64>,
    /// Why, as a sentence without a full stop.
    pub why: String,
    /// The series of the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceId>,
}

/// A mitigation card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MitigationCard {
    /// The number of the entry that proposed it.
    pub seq: u64,
    pub text: String,
    pub risk: Risk,
    /// How to undo it; `None` only with an exception.
    pub undo: Option<String>,
    /// What must hold afterwards; `None` only with an exception.
    pub verify: Option<ExitCriteria>,
    /// Why it may be started without a way back, or without a check.
    pub exception: Option<String>,
    pub state: CardState,
    pub proposed_by: String,
    /// What proposed it, if not a person: a step of a playbook, or the assistant.
    pub origin: Option<String>,
    pub proposed_at: Timestamp,
    pub approved_by: Option<String>,
    pub started_at: Option<Timestamp>,
    pub done_at: Option<Timestamp>,
    /// The result, or why it was dropped.
    pub result: Option<String>,
    /// The latest verdict, and its time.
    pub judgement: Option<(Timestamp, Judgement)>,
}

impl MitigationCard {
    /// A card without content.
    pub(super) fn new(seq: u64, proposed_by: String, proposed_at: Timestamp) -> Self {
        Self {
            seq,
            text: String::new(),
            risk: Risk::Medium,
            undo: None,
            verify: None,
            exception: None,
            state: CardState::Proposed,
            proposed_by,
            origin: None,
            proposed_at,
            approved_by: None,
            started_at: None,
            done_at: None,
            result: None,
            judgement: None,
        }
    }

    /// Whether it is neither done nor dropped.
    pub fn is_open(&self) -> bool {
        matches!(self.state, CardState::Proposed | CardState::Started)
    }

    /// What is missing before it can be started: a way back, or a check. `None` if nothing is.
    pub fn missing(&self) -> Option<&'static str> {
        match (&self.exception, &self.undo, &self.verify) {
            (Some(_), _, _) | (None, Some(_), Some(_)) => None,
            (None, None, Some(_)) => Some("how to undo it"),
            (None, Some(_), None) => Some("what shows that it works"),
            (None, None, None) => Some("how to undo it and what shows that it works"),
        }
    }

    /// The latest verdict.
    pub fn verdict(&self) -> Option<MitigationVerdict> {
        self.judgement.as_ref().map(|(_, j)| j.verdict)
    }

    /// Whether it was done, can be checked, and has no final verdict. That it made things worse is said early, but may still change until
    /// what must hold has had twice its duration.
    pub fn needs_reading(&self, now: Timestamp) -> bool {
        let (Some(done), Some(criteria), CardState::Done) = (self.done_at, &self.verify, self.state) else { return false };
        match self.verdict() {
            None | Some(MitigationVerdict::TooEarly) => true,
            Some(MitigationVerdict::Worse) => now.since(done) < criteria.duration() * 2,
            Some(MitigationVerdict::Worked | MitigationVerdict::NoEffect) => false,
        }
    }

    /// The window that a reading covers: from before the mitigation began until now, or until `next`, when another one began.
    pub fn window(&self, now: Timestamp, next: Option<Timestamp>) -> Option<Window> {
        let (began, criteria) = (self.started_at.or(self.done_at)?, self.verify.as_ref()?);
        Some(Window::new(began - criteria.duration().max(BEFORE), next.map_or(now, |next| next.min(now))))
    }

    /// Judges whether it worked, from the series of its query over [`Self::window`], which ends at `now`. `None` if it was not done, or
    /// cannot be checked. `next` is the label of the mitigation whose start ended the window: what happens later may be its effect.
    ///
    /// It worked if what must hold has held for its duration since, and did not before. It made it worse if every value since is worse
    /// than every value before. Otherwise it had no effect, once twice the duration has passed.
    pub fn judge(&self, series: &[Series], now: Timestamp, step: std::time::Duration, next: Option<&str>) -> Option<Judgement> {
        let (began, done, criteria) = (self.started_at.or(self.done_at)?, self.done_at?, self.verify.as_ref()?);
        let badness = |v: f64| match criteria.comparison {
            Comparison::Below | Comparison::AtMost => v,
            Comparison::Above | Comparison::AtLeast => -v,
        };
        // The worst of all series at each time.
        let worst = |from: Timestamp, until: Timestamp| -> Vec<(Timestamp, f64)> {
            let mut all: BTreeMap<Timestamp, f64> = BTreeMap::new();
            let samples = series.iter().flat_map(|s| &s.samples);
            for sample in samples.filter(|s| s.at > from && s.at <= until && s.value.is_finite()) {
                let known = all.entry(sample.at).or_insert(sample.value);
                if badness(sample.value) > badness(*known) {
                    *known = sample.value;
                }
            }
            all.into_iter().collect()
        };
        let earlier = worst(Timestamp::from_secs(0), began);
        let since = worst(done, now);
        // The state that it met, not the healthy time that the window may begin with.
        let recent =
            earlier.iter().rev().enumerate().take_while(|(n, (at, _))| *n < MIN_SAMPLES || began.since(*at) <= JUST_BEFORE);
        let mut sorted: Vec<f64> = recent.map(|(_, (_, v))| *v).collect();
        sorted.sort_by(f64::total_cmp);
        let before = sorted.get(sorted.len() / 2).copied();
        let after = since.last().map(|(_, v)| *v);
        let judged = |verdict, why: String| Some(Judgement { verdict, before, after, why, evidence: None });
        let held = now.since(done);
        let Some(newest) = after else {
            let why = next
                .map_or_else(|| "no readings since it was done".to_owned(), |next| format!("no readings before {next} began"));
            return judged(MitigationVerdict::TooEarly, why);
        };
        let change = match before.map(|before| (human_value(before), human_value(newest))) {
            Some((before, after)) if before == after => format!("stayed at {after}"),
            Some((from, to)) if before.is_some_and(|before| before < newest) => format!("rose from {from} to {to}"),
            Some((from, to)) => format!("fell from {from} to {to}"),
            None => format!("is at {}", human_value(newest)),
        };
        let worst_before = earlier.iter().map(|(_, v)| badness(*v)).fold(f64::NEG_INFINITY, f64::max);
        let best_since = since.iter().map(|(_, v)| badness(*v)).fold(f64::INFINITY, f64::min);
        let holds = criteria.comparison.holds(newest, criteria.threshold);
        if !holds && !earlier.is_empty() && since.len() >= MIN_SAMPLES && best_since > worst_before {
            return judged(MitigationVerdict::Worse, format!("{change}, worse than at any time before"));
        }
        let held_before = !earlier.is_empty() && earlier.iter().all(|(_, v)| criteria.comparison.holds(*v, criteria.threshold));
        let must = format!("{} {}", criteria.comparison.word(), human_value(criteria.threshold));
        if held >= criteria.duration() {
            let window = Window::new(now - criteria.duration(), now);
            // A series that has ended, such as that of a replaced instance, is not missing.
            let is_current = |s: &&Series| s.within(window).iter().any(|sample| sample.value.is_finite());
            let current: Vec<Series> = series.iter().filter(is_current).cloned().collect();
            if criteria.evaluate(&current, window, step, "").met {
                return if held_before {
                    judged(MitigationVerdict::NoEffect, format!("{change}; it was already {must} before, so this shows nothing"))
                } else {
                    judged(
                        MitigationVerdict::Worked,
                        format!("{change} and was {must} for {}", human_duration(criteria.duration())),
                    )
                };
            }
        }
        if let Some(next) = next {
            return if holds {
                judged(
                    MitigationVerdict::TooEarly,
                    format!("{change}, but {next} began before it had been {must} for {}", human_duration(criteria.duration())),
                )
            } else {
                judged(MitigationVerdict::NoEffect, format!("{change}, still not {must} when {next} began"))
            };
        }
        if !holds && held >= criteria.duration() * 2 {
            return judged(MitigationVerdict::NoEffect, format!("{change}, still not {must} after {}", human_duration(held)));
        }
        judged(
            MitigationVerdict::TooEarly,
            format!("{change} after {}; it must be {must} for {}", human_duration(held), human_duration(criteria.duration())),
        )
    }
}

/// How far back the time before a mitigation is read, at least.
const BEFORE: std::time::Duration = std::time::Duration::from_mins(5);
/// How far back the "before" value reaches: long enough for several scrapes.
const JUST_BEFORE: std::time::Duration = std::time::Duration::from_secs(90);
/// The number of readings that it takes to say that it got worse.
const MIN_SAMPLES: usize = 3;

/// The label of a card by its place among the cards: `M1`.
pub fn card_label(index: usize) -> String {
    format!("M{}", index + 1)
}

/// The place of a card from its label. `None` if the text is not one.
pub fn card_index(label: &str) -> Option<usize> {
    label.trim().strip_prefix(['M', 'm'])?.parse::<usize>().ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Sample;
    use std::time::Duration;

    fn at(mins: i64) -> Timestamp {
        Timestamp::from_secs(1_795_253_400 + 60 * mins)
    }

    /// A card that was started at minute 10 and done at minute 11; it must be below 1 for 5 minutes.
    fn card() -> MitigationCard {
        MitigationCard {
            text: "roll back".into(),
            risk: Risk::Low,
            undo: Some("roll forward".into()),
            verify: Some(ExitCriteria {
                expression: "errors".into(),
                comparison: Comparison::Below,
                threshold: 1.0,
                for_secs: 300,
                source: None,
            }),
            state: CardState::Done,
            started_at: Some(at(10)),
            done_at: Some(at(11)),
            ..MitigationCard::new(2, "ana".into(), at(9))
        }
    }

    /// The verdict with one value a minute from minute 5.
    fn verdict(values: &[f64]) -> (MitigationVerdict, String) {
        let samples = (5..).zip(values).map(|(n, v)| Sample { at: at(n), value: *v }).collect();
        let now = at(4 + values.len() as i64);
        let series = [Series { labels: Default::default(), samples }];
        let found = card().judge(&series, now, Duration::from_mins(1), None).unwrap();
        (found.verdict, found.why)
    }

    #[test]
    fn judges_from_readings_before_and_since() {
        let before = [20.0, 22.0, 21.0, 20.0, 23.0, 21.0, 20.0];
        let with = |since: &[f64]| verdict(&[&before, since].concat());
        assert_eq!(with(&[]), (MitigationVerdict::TooEarly, "no readings since it was done".to_owned()));
        assert_eq!(with(&[0.2, 0.1]).0, MitigationVerdict::TooEarly);
        let (worked, why) = with(&[0.2, 0.1, 0.1, 0.2, 0.1, 0.1, 0.1]);
        assert_eq!((worked, why.as_str()), (MitigationVerdict::Worked, "fell from 21 to 0.1 and was below 1 for 5m00s"));
        assert_eq!(with(&[20.0, 21.0, 19.0, 22.0, 21.0]).0, MitigationVerdict::TooEarly);
        let (none, why) = with(&[20.0, 21.0, 19.0, 22.0, 21.0, 20.0, 21.0, 20.0, 19.0, 21.0]);
        assert_eq!((none, why.as_str()), (MitigationVerdict::NoEffect, "stayed at 21, still not below 1 after 10m00s"));
        assert_eq!(with(&[40.0, 44.0, 50.0]).0, MitigationVerdict::Worse);
        // It began shortly after the fault: what was before the fault is not what it met.
        let (none, why) =
            verdict(&[0.1, 0.1, 0.1, 20.0, 21.0, 22.0, 20.0, 21.0, 20.0, 21.0, 22.0, 20.0, 21.0, 20.0, 21.0, 20.0, 21.0]);
        assert_eq!((none, why.as_str()), (MitigationVerdict::NoEffect, "stayed at 21, still not below 1 after 10m00s"));
        // It recovers slowly: not judged while it still holds too briefly.
        let slow = [15.0, 10.0, 7.0, 5.0, 3.0, 2.0, 1.5, 1.2, 0.9, 0.5, 0.3];
        assert_eq!(with(&slow).0, MitigationVerdict::TooEarly);
        // What held before proves nothing.
        assert_eq!(verdict(&[0.1; 15]).0, MitigationVerdict::NoEffect);
    }

    #[test]
    fn what_happens_after_the_next_mitigation_began_does_not_count() {
        let samples =
            |values: &[f64]| -> Vec<Sample> { (5..).zip(values).map(|(n, v)| Sample { at: at(n), value: *v }).collect() };
        // Nothing changes until minute 14, when M2 begins, which helps.
        let all = samples(&[20.0, 22.0, 21.0, 20.0, 23.0, 21.0, 20.0, 21.0, 20.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]);
        let series = [Series { labels: Default::default(), samples: all }];
        let until = |minute: i64| card().judge(&series, at(minute), Duration::from_mins(1), Some("M2")).unwrap();
        let found = until(13);
        assert_eq!(
            (found.verdict, found.why.as_str()),
            (MitigationVerdict::NoEffect, "fell from 21 to 20, still not below 1 when M2 began")
        );
        // It had just begun to help.
        assert_eq!(until(15).verdict, MitigationVerdict::TooEarly);
        assert!(until(15).why.contains("M2 began before"));
        assert_eq!(card().window(at(30), Some(at(14))).unwrap().end, at(14));
    }

    #[test]
    fn judges_the_worst_series_and_those_that_have_not_ended() {
        let series = |name: &str, values: &[(i64, f64)]| Series {
            labels: [("pod".to_owned(), name.to_owned())].into(),
            samples: values.iter().map(|(minute, value)| Sample { at: at(*minute), value: *value }).collect(),
        };
        // The old instance was bad and is gone; the new one is well.
        let old = series("old", &[(6, 20.0), (7, 21.0), (8, 20.0), (9, 20.0), (10, 20.0)]);
        let new = series("new", &(12..=18).map(|n| (n, 0.1)).collect::<Vec<_>>());
        let judge = |all: &[Series], minute| card().judge(all, at(minute), Duration::from_mins(1), None).unwrap();
        assert_eq!(judge(&[old.clone(), new], 18).verdict, MitigationVerdict::Worked);
        // One of many is bad, before and after: no rise.
        let bad = series("bad", &(5..=21).map(|n| (n, 30.0)).collect::<Vec<_>>());
        let good = series("good", &(5..=21).map(|n| (n, 0.1)).collect::<Vec<_>>());
        let found = judge(&[good, bad], 21);
        assert_eq!((found.verdict, found.before, found.after), (MitigationVerdict::NoEffect, Some(30.0), Some(30.0)));
        // Three series at one time are one reading.
        let spike = |name: &str| series(name, &[(9, 1.0), (10, 1.0), (12, 90.0)]);
        assert_eq!(judge(&[spike("a"), spike("b"), spike("c")], 12).verdict, MitigationVerdict::TooEarly);
    }

    #[test]
    fn that_it_made_things_worse_is_read_again_for_a_while() {
        let mut one = card();
        let judgement =
            Judgement { verdict: MitigationVerdict::Worse, before: None, after: None, why: String::new(), evidence: None };
        one.judgement = Some((at(13), judgement));
        assert!(one.needs_reading(at(20)) && !one.needs_reading(at(21)));
    }

    #[test]
    fn cannot_be_started_without_a_way_back_and_a_check() {
        let mut one = card();
        assert_eq!(one.missing(), None);
        one.undo = None;
        assert_eq!(one.missing(), Some("how to undo it"));
        one.verify = None;
        assert_eq!(one.missing(), Some("how to undo it and what shows that it works"));
        one.exception = Some("the region is on fire".into());
        assert_eq!(one.missing(), None);
        assert_eq!((card_index("M3"), card_index("m1"), card_index("M0"), card_index("3")), (Some(2), Some(0), None, None));
    }
}
