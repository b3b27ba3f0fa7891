//! Action items: tasks during the incident and follow-ups after it. Both share one numbering and differ by their scope.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::ActionId;
use crate::telemetry::Timestamp;

/// The purpose of an action item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionKind {
    Prevent,
    Mitigate,
    Detect,
    Process,
}

impl ActionKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Prevent, Self::Mitigate, Self::Detect, Self::Process];

    /// The word for this kind as typed on the command line and stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Prevent => "prevent",
            Self::Mitigate => "mitigate",
            Self::Detect => "detect",
            Self::Process => "process",
        }
    }
}

impl FromStr for ActionKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|k| k.word() == text.trim().to_ascii_lowercase())
            .ok_or_else(|| format!("'{text}' is not an action kind; use prevent, mitigate, detect or process"))
    }
}

/// The progress of an action item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionState {
    #[default]
    Open,
    InProgress,
    Done,
    /// It will not be done; the item's `result` says why.
    Dropped,
}

impl ActionState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Open, Self::InProgress, Self::Done, Self::Dropped];

    /// The word for this state as typed, stored and printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::InProgress => "in_progress",
            Self::Done => "done",
            Self::Dropped => "dropped",
        }
    }

    /// Whether work remains to be done.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::InProgress)
    }
}

impl FromStr for ActionState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.trim().to_ascii_lowercase().replace(['-', ' '], "_");
        Self::ALL
            .into_iter()
            .find(|s| s.word() == word)
            .ok_or_else(|| format!("'{text}' is not an action state; use open, in-progress, done or dropped"))
    }
}

/// Whether an action item is due during the incident or after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionScope {
    /// A follow-up after the incident.
    #[default]
    FollowUp,
    /// A task during the incident, whose owner reports back.
    Incident,
}

impl ActionScope {
    /// The word for this scope as typed, stored and printed.
    pub fn word(self) -> &'static str {
        match self {
            Self::FollowUp => "follow-up",
            Self::Incident => "incident",
        }
    }
}

impl FromStr for ActionScope {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "follow-up" | "followup" => Ok(Self::FollowUp),
            "incident" | "now" => Ok(Self::Incident),
            _ => Err(format!("'{text}' is not an action scope; use incident or follow-up")),
        }
    }
}

/// Reads a date such as `2026-12-01`; gives it back in that form.
pub fn parse_date(text: &str) -> Result<String, String> {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    match time::Date::parse(text.trim(), format) {
        Ok(_) => Ok(text.trim().to_owned()),
        Err(_) => Err(format!("'{text}' is not a date; use one such as 2026-12-01")),
    }
}

/// Reads a date as people type it: `2026-12-01`, `today`, `tomorrow`, `fri` (the next one), `3d`, `2 weeks`. Gives it back in the
/// first form.
///
/// # Errors
/// The forms that it may have, with the date in a week as an example.
pub fn parse_due(text: &str, today: time::Date) -> Result<String, String> {
    let lower = text.trim().to_lowercase();
    let written = lower.strip_prefix("in ").unwrap_or(&lower).trim();
    let digits = written.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = written.split_at_checked(digits).unwrap_or_default();
    let unit_days = match unit.trim() {
        "d" | "day" | "days" => Some(1),
        "w" | "week" | "weeks" => Some(7),
        _ => None,
    };
    let weekday = |name: &str| {
        let days = 1..=7;
        days.map(i64::from).find(|n| {
            let day = (today + time::Duration::days(*n)).weekday().to_string().to_lowercase();
            name.len() >= 3 && day.starts_with(name)
        })
    };
    let after = match (written, number.parse::<i64>().ok().zip(unit_days)) {
        ("today", _) => Some(0),
        ("tomorrow", _) => Some(1),
        (_, Some((n, days))) if n <= 3650 => Some(n * days),
        (name, _) => weekday(name.strip_prefix("next ").unwrap_or(name)),
    };
    let format = time::macros::format_description!("[year]-[month]-[day]");
    let dated = |days: i64| (today + time::Duration::days(days)).format(format).unwrap_or_default();
    match after {
        Some(days) => Ok(dated(days)),
        None => parse_date(text)
            .map_err(|_| format!("'{}' is not a date; use one such as {}, fri, tomorrow or 3d", text.trim(), dated(7))),
    }
}

/// Takes an action item apart as people type it: the text, then `@owner`, a due date and a priority, in any order:
/// `fix the pool limit @ana fri p1`. Gives back the text, the owner, the date and the priority.
///
/// A text may end in a word that looks like a date or a priority, so these count only beside an owner or behind `due` or `by`, and
/// a number of days only behind `in`, `due` or `by`.
pub fn item_parts(typed: &str, today: time::Date) -> (String, Option<String>, Option<String>, Option<String>) {
    let words: Vec<&str> = typed.split_whitespace().collect();
    let word = |n: usize| words.get(n).copied().unwrap_or_default();
    let is_due = |n: Option<usize>| n.is_some_and(|n| matches!(word(n), "due" | "by"));
    let (mut owner, mut due, mut priority, mut says_due) = (None, None, None, false);
    // How many words are the text.
    let mut end = words.len();
    while let Some(last) = end.checked_sub(1).filter(|last| *last > 0) {
        let counted = |from: usize, text: &str| {
            let before = from.checked_sub(1);
            let is_in = before.is_some_and(|n| word(n) == "in");
            let is_counted = text.starts_with(|c: char| c.is_ascii_digit()) && !text.contains('-');
            let start = if is_in { before.unwrap_or(from) } else { from };
            let is_marked = is_due(start.checked_sub(1));
            (!is_counted || is_in || is_marked)
                .then(|| parse_due(text, today).ok())
                .flatten()
                .map(|date| (date, if is_marked { start - 1 } else { start }, is_marked))
        };
        let pair = format!("{} {}", word(last.saturating_sub(1)), word(last));
        let date =
            counted(last, word(last)).or_else(|| counted(last.saturating_sub(1), &pair)).filter(|(_, start, _)| *start > 0);
        if let (Some(name), None) = (word(last).strip_prefix('@').filter(|n| !n.is_empty()), &owner) {
            (owner, end) = (Some(name.to_owned()), last);
        } else if let (Ok(found), None) = (parse_priority(word(last)), &priority) {
            (priority, end) = (Some(found), last);
        } else if let (Some((date, start, is_marked)), None) = (date, &due) {
            (due, end, says_due) = (Some(date), start, is_marked);
        } else {
            break;
        }
    }
    if owner.is_none() && !says_due {
        return (typed.trim().to_owned(), None, None, None);
    }
    // Cut the original text, which may have several lines.
    let mut rest = typed.trim_end();
    for n in (end..words.len()).rev() {
        rest = rest.strip_suffix(word(n)).unwrap_or(rest).trim_end();
    }
    (rest.trim_start().to_owned(), owner, due, priority)
}

/// Reads a priority, `P1` (highest) to `P4`; gives it back in capitals.
pub fn parse_priority(text: &str) -> Result<String, String> {
    let upper = text.trim().to_ascii_uppercase();
    if ["P1", "P2", "P3", "P4"].contains(&upper.as_str()) {
        Ok(upper)
    } else {
        Err(format!("'{text}' is not a priority; use P1 to P4"))
    }
}

/// An action item. `owner`, `due` (a date such as `2026-12-01`) and `priority` (`P1` to `P4`) are optional.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionItem {
    pub id: ActionId,
    pub text: String,
    pub kind: ActionKind,
    pub owner: Option<String>,
    pub due: Option<String>,
    pub priority: Option<String>,
    pub state: ActionState,
    pub scope: ActionScope,
    /// The URL of its ticket in an issue tracker.
    pub ticket: Option<String>,
    /// When the owner of a task must report back.
    pub check_back_at: Option<Timestamp>,
    /// The outcome, or why the item was dropped.
    pub result: Option<String>,
    pub given_at: Timestamp,
    pub given_by: String,
    /// The merged incident that this item came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<super::ids::IncidentId>,
}

impl ActionItem {
    /// Whether the owner of an open item should have reported back by `now`.
    pub fn is_late(&self, now: Timestamp) -> bool {
        self.state.is_open() && self.check_back_at.is_some_and(|at| at <= now)
    }

    /// Whether an open item's due date is before `today`, a UTC date such as `2026-12-01`.
    pub fn is_overdue(&self, today: &str) -> bool {
        // ISO dates sort as text.
        self.state.is_open() && self.due.as_deref().is_some_and(|d| d < today)
    }
}

/// A change to an action item. Fields that are `None` stay unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ActionKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ActionScope>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_back_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ActionState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

impl ActionChange {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Applies the change to `item`.
    pub fn apply(&self, item: &mut ActionItem) {
        if let Some(text) = &self.text {
            item.text.clone_from(text);
        }
        item.kind = self.kind.unwrap_or(item.kind);
        item.scope = self.scope.unwrap_or(item.scope);
        item.state = self.state.unwrap_or(item.state);
        item.check_back_at = self.check_back_at.or(item.check_back_at);
        for (new, old) in [
            (&self.owner, &mut item.owner),
            (&self.due, &mut item.due),
            (&self.priority, &mut item.priority),
            (&self.ticket, &mut item.ticket),
            (&self.result, &mut item.result),
        ] {
            if new.is_some() {
                old.clone_from(new);
            }
        }
    }

    /// Describes the change: `owner ben, due 2026-12-01`. Empty if nothing changes.
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        if let Some(state) = self.state {
            parts.push(state.word().replace('_', " "));
        }
        for (name, value) in [
            ("owner", &self.owner),
            ("due", &self.due),
            ("priority", &self.priority),
            ("ticket", &self.ticket),
            ("text changed to", &self.text),
        ] {
            parts.extend(value.as_ref().map(|v| format!("{name} {v}")));
        }
        parts.extend(self.kind.map(|k| format!("kind {}", k.word())));
        parts.extend(self.scope.map(|s| format!("scope {}", s.word())));
        parts.extend(self.check_back_at.map(|at| format!("report due at {} UTC", at.clock(time::UtcOffset::UTC))));
        parts.extend(self.result.clone());
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_due_dates_as_people_type_them() {
        // A Wednesday.
        let today = time::macros::date!(2026 - 12 - 02);
        for (typed, date) in [
            ("2026-12-05", "2026-12-05"),
            ("today", "2026-12-02"),
            ("Tomorrow", "2026-12-03"),
            ("fri", "2026-12-04"),
            ("wed", "2026-12-09"),
            ("next monday", "2026-12-07"),
            ("3d", "2026-12-05"),
            ("in 2 weeks", "2026-12-16"),
        ] {
            assert_eq!(parse_due(typed, today).as_deref(), Ok(date), "{typed}");
        }
        for typed in ["", "soon", "fr", "31.12.", "2026-13-01", "99999d"] {
            assert!(parse_due(typed, today).is_err_and(|e| e.contains("2026-12-09")), "{typed}");
        }
    }

    #[test]
    fn takes_an_action_item_apart() {
        let today = time::macros::date!(2026 - 12 - 02);
        for (typed, text, owner, due, priority) in [
            ("fix the pool limit @ana fri p1", "fix the pool limit", Some("ana"), Some("2026-12-04"), Some("P1")),
            ("fix the pool limit P2 by 2026-12-20 @ben", "fix the pool limit", Some("ben"), Some("2026-12-20"), Some("P2")),
            ("raise it due in 3 days", "raise it", None, Some("2026-12-05"), None),
            ("raise it @ana due 3d", "raise it", Some("ana"), Some("2026-12-05"), None),
            ("turn it on @ana fri", "turn it on", Some("ana"), Some("2026-12-04"), None),
            ("turn the flag on tomorrow @ana", "turn the flag on", Some("ana"), Some("2026-12-03"), None),
            ("two\nlines @ana", "two\nlines", Some("ana"), None, None),
            ("test the fri build @ana", "test the fri build", Some("ana"), None, None),
            ("limit log retention to 7 days @ana", "limit log retention to 7 days", Some("ana"), None, None),
            ("limit log retention to 7 days", "limit log retention to 7 days", None, None, None),
            ("check the ceph mon", "check the ceph mon", None, None, None),
            ("classify the outage as p1", "classify the outage as p1", None, None, None),
            ("find out what broke today", "find out what broke today", None, None, None),
            ("ask @ana about the pool", "ask @ana about the pool", None, None, None),
            ("two\nlines", "two\nlines", None, None, None),
            ("@ana fri", "@ana fri", None, None, None),
            ("fri", "fri", None, None, None),
        ] {
            let owned = |t: Option<&str>| t.map(str::to_owned);
            assert_eq!(item_parts(typed, today), (text.to_owned(), owned(owner), owned(due), owned(priority)), "{typed}");
        }
    }
}
