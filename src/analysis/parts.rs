//! The parts of the ranking of suspects, each of which can be left out: `scripts/analysis-table` shows what each contributes.

/// A part of the ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Floors of the spread: the level, and the farthest earlier excursion.
    Floors,
    /// The standard deviation as a measure of the spread.
    Deviation,
    /// The spread of the same metric in other services.
    Others,
    /// The farthest departure.
    Farthest,
    /// The lasting departure.
    Lasting,
    /// What was different already in the minutes before.
    Earlier,
    /// Samples before the incident that already belong to it.
    RunUp,
    /// Which direction of a change hurts.
    Direction,
    /// Whose behaviour a metric shows.
    View,
    /// Which of several slow services added the most time.
    Time,
    /// How well a series follows the symptom.
    Symptom,
    /// Baselines with few samples.
    Coverage,
    /// The second series of a service.
    Second,
    /// The lines of the logs.
    Logs,
    /// The requests in the logs.
    Requests,
    /// Which end of a slow step between two services is slow.
    Ends,
    /// Callees that callers may be waiting for.
    Waits,
    /// Services that others name in new log lines.
    Blames,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 18] = [
        Self::Floors,
        Self::Deviation,
        Self::Others,
        Self::Farthest,
        Self::Lasting,
        Self::Earlier,
        Self::RunUp,
        Self::Direction,
        Self::View,
        Self::Time,
        Self::Symptom,
        Self::Coverage,
        Self::Second,
        Self::Logs,
        Self::Requests,
        Self::Ends,
        Self::Waits,
        Self::Blames,
    ];

    /// The word for the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Floors => "floors",
            Self::Deviation => "deviation",
            Self::Others => "others",
            Self::Farthest => "farthest",
            Self::Lasting => "lasting",
            Self::Earlier => "earlier",
            Self::RunUp => "run-up",
            Self::Direction => "direction",
            Self::View => "view",
            Self::Time => "time",
            Self::Symptom => "symptom",
            Self::Coverage => "coverage",
            Self::Second => "second",
            Self::Logs => "logs",
            Self::Requests => "requests",
            Self::Ends => "ends",
            Self::Waits => "waits",
            Self::Blames => "blames",
        }
    }

    /// The part with this word.
    ///
    /// # Errors
    /// If there is none, with the words that exist.
    pub fn from_word(word: &str) -> Result<Self, String> {
        let words = || Self::ALL.map(Self::word).join(", ");
        Self::ALL.into_iter().find(|p| p.word() == word).ok_or_else(|| format!("the parts are {}", words()))
    }
}

/// The parts that are left out; by default none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut(u32);

impl LeftOut {
    /// Leaves a part out as well.
    #[must_use]
    pub fn and(self, part: Part) -> Self {
        Self(self.0 | 1 << part as u32)
    }

    /// Whether a part is used.
    pub fn uses(self, part: Part) -> bool {
        self.0 & (1 << part as u32) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_left_out_one_by_one() {
        let two = LeftOut::default().and(Part::Floors).and(Part::Blames);
        let unused: Vec<&str> = Part::ALL.into_iter().filter(|p| !two.uses(*p)).map(Part::word).collect();
        assert_eq!(unused, ["floors", "blames"]);
        assert_eq!(Part::from_word("run-up"), Ok(Part::RunUp));
        assert!(Part::from_word("x").unwrap_err().contains("floors, deviation"));
    }
}
