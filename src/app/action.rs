//! What a person can do, and with which keys. One table: keys, footer, `?` and the palette all come from it.

use super::chord::{Chord, parse};

/// Where a key means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Context {
    Everywhere,
    Board,
    Room,
    Timeline,
    Signals,
    Logs,
    /// The logs while a search marks lines in them.
    Search,
    Assistant,
    Actions,
    Report,
}

impl Context {
    /// The heading in the help.
    pub fn title(self) -> &'static str {
        match self {
            Self::Everywhere => "everywhere",
            Self::Board => "board",
            Self::Room => "incident room",
            Self::Timeline => "timeline",
            Self::Signals => "signals",
            Self::Logs => "logs",
            Self::Search => "logs, while searching",
            Self::Assistant => "assistant",
            Self::Actions => "actions",
            Self::Report => "report",
        }
    }
}

macro_rules! actions {
    ($( $name:ident, $context:ident, $keys:literal, $word:literal, $help:literal, $changes:literal; )*) => {
        /// A user's verb.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action { $( $name, )* }

        /// Every action with where it holds, its keys (alternatives by comma), its word and what it does.
        pub const ACTIONS: &[Spec] = &[ $( Spec { action: Action::$name, context: Context::$context, keys: $keys, word: $word, help: $help, changes: $changes }, )* ];
    };
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    pub action: Action,
    pub context: Context,
    /// Alternatives by comma; a sequence has spaces.
    pub keys: &'static str,
    /// For the footer.
    pub word: &'static str,
    /// For help and palette.
    pub help: &'static str,
    /// Whether it changes an incident or the outside, and so is off when read-only.
    pub changes: bool,
}

actions! {
    Down, Everywhere, "j,down", "down", "next row", false;
    Up, Everywhere, "k,up", "up", "previous row", false;
    HalfDown, Everywhere, "C-d,pgdn", "page down", "half a screen down", false;
    HalfUp, Everywhere, "C-u,pgup", "page up", "half a screen up", false;
    Top, Everywhere, "g g,home", "top", "first row", false;
    Bottom, Everywhere, "G,end", "bottom", "last row", false;
    Back, Everywhere, "esc", "back", "back; never destroys anything", false;
    Quit, Everywhere, "q", "quit", "back, and from the board quit", false;
    Help, Everywhere, "?", "keys", "all keys of this view", false;
    Palette, Everywhere, ":", "command", "every command by name", false;
    Filter, Everywhere, "/", "filter", "filter this list: word, !not, ~regex", false;
    Refresh, Everywhere, "r", "refresh", "ask the sources now", false;
    Retry, Everywhere, "C-r", "retry", "write again what could not be written", true;
    Redraw, Everywhere, "C-l", "redraw", "draw the whole screen again", false;
    Suspend, Everywhere, "C-z", "suspend", "to the shell; `fg` comes back", false;
    Open, Board, "enter,l,right", "open", "open the incident, or the incident of the alert", false;
    NextPane, Board, "tab,backtab", "pane", "between incidents and alerts", false;
    Mark, Board, "space", "mark", "mark the alert, or all of the group", false;
    Declare, Board, "d", "declare", "declare an incident from the marked alerts (or this one)", true;
    Link, Board, "L", "link", "link the marked alerts (or this one) to an open incident", true;
    GroupBy, Board, "b", "group", "group by service, alert, team or none", false;
    OnlyNew, Board, "w", "new only", "only alerts that belong to no incident", false;
    CopyAlert, Board, "y", "copy", "copy the alert's fingerprint", false;
    CopyRunbook, Board, "o", "runbook", "copy the runbook's address", false;
    Tab1, Room, "1", "overview", "tab 1, overview", false;
    Tab2, Room, "2", "timeline", "tab 2, timeline", false;
    Tab3, Room, "3", "signals", "tab 3, signals and evidence", false;
    Tab4, Room, "4", "logs", "tab 4, live logs", false;
    Tab5, Room, "5", "assistant", "tab 5, assistant", false;
    Tab7, Room, "7", "actions", "tab 7, action items", false;
    Tab9, Room, "9", "report", "tab 9, report", false;
    NextTab, Room, "tab,right", "next tab", "next tab", false;
    PreviousTab, Room, "backtab,left", "previous tab", "previous tab", false;
    Findings, Room, "d", "findings", "from a finding to its graph or its log pattern", false;
    Investigate, Room, "i", "investigate", "gather evidence and conclude", true;
    Widen, Room, "w", "widen", "investigate again over twice the window (recorded)", true;
    Note, Room, "n", "note", "write a note; what stands after TODO becomes an action item", true;
    NoteAt, Room, "N", "note at", "write a note that happened earlier: 09:27 text", true;
    Decision, Room, "D", "decision", "record a decision", true;
    Hypothesis, Room, "H", "hypothesis", "record a hypothesis", true;
    Lesson, Room, "W", "lesson", "record a lesson", true;
    Mitigation, Room, "F", "mitigation", "record what was done to stop the harm", true;
    Task, Room, "T", "task", "a task for somebody who reports back: ben 5 check the replica", true;
    Published, Room, "U", "update sent", "put on record that an update went out, and to whom", true;
    Event, Room, "!", "event", "put on record what happened: a deploy, a flag, a command", true;
    Attach, Room, "@", "attach", "keep a file as evidence", true;
    Impact, Room, "I", "impact", "say what it does to whom", true;
    Checklist, Room, "K", "checklist", "what is open in each phase; tick what only people can see", false;
    Exit, Room, "X", "exit criteria", "when it is over: error_rate < 0.01 for 30m", true;
    Check, Room, "C", "check", "look now whether alerts have ended and the exit criteria hold", true;
    SetTime, Room, "M", "times", "set a moment of its life by hand", true;
    Escalate, Room, "L", "escalate", "put an escalation on record, L1 to L4", true;
    Unlink, Room, "-", "unlink", "take a wrong alert away", true;
    Merge, Room, "J", "merge", "make it a part of another open incident", true;
    Renounce, Room, "Y", "give up role", "give a role up", true;
    Grade, Room, "Q", "grade", "grade the diagnosis, afterwards", true;
    OnCall, Room, "%", "on call", "who is on call, as your own program says", false;
    Page, Room, "&", "page", "page somebody; shows the exact command first", true;
    Undo, Room, "u", "undo", "take your last change back", true;
    Similar, Room, "S", "similar", "past incidents that look like this one, and what ended them", false;
    ReadIn, Room, "B", "read-in", "what somebody must know who joins now", false;
    HandOver, Room, "V", "hand-over", "the hand-over brief for the next commander", false;
    Acknowledge, Room, "a", "acknowledge", "say that you are on it; again: take it back", true;
    SetSeverity, Room, "s", "severity", "change the severity against the matrix", true;
    SetStatus, Room, "t", "status", "change the status", true;
    Resolve, Room, "R", "resolve", "resolve the incident", true;
    Reopen, Room, "O", "reopen", "reopen an ended incident", true;
    AssignRole, Room, "c", "role", "give a role to somebody", true;
    AddAction, Room, "A", "action item", "write down an action item", true;
    Ask, Room, "p", "ask", "ask the assistant: a prompt or a question", true;
    Export, Room, "e", "export", "write the post-mortem to a file", true;
    OpenEvidence, Signals, "enter", "open", "the whole of this evidence", false;
    MarkSignal, Signals, "m", "mark", "note this series in the timeline, with its evidence", true;
    CopyQuery, Signals, "y", "copy query", "copy the exact query", false;
    OpenEntry, Timeline, "enter", "open", "the evidence of this entry", false;
    Correct, Timeline, "E", "correct", "correct this entry; the original stays", true;
    GraphAt, Timeline, "v", "graph then", "the graph at that minute", false;
    LogAt, Timeline, "l", "log then", "the log at that minute", false;
    FilterKind, Timeline, "f", "kind", "only people, models, the program, decisions, or all", false;
    Support, Timeline, "+", "supported", "this hypothesis is right, because …", true;
    Refute, Timeline, "x", "refuted", "this hypothesis is wrong, because …", true;
    Object, Timeline, "o", "objection", "an objection to this decision", true;
    Outcome, Timeline, "=", "outcome", "what came of this decision", true;
    Details, Timeline, "z", "details", "show or hide evidence entries", false;
    Search, Logs, "/", "search", "go to lines with these words and mark them; the other lines stay", false;
    FilterLogs, Logs, "&", "filter", "only lines with these words: word, !not, ~regex", false;
    NextHit, Search, "n", "next hit", "to the next line that was searched for", false;
    PreviousHit, Search, "N", "previous hit", "to the line before that was searched for", false;
    PatternLines, Logs, "enter", "lines", "the lines of this pattern", false;
    LogView, Logs, "v", "patterns/lines", "patterns of the investigation, or the live lines", false;
    Follow, Logs, "f", "follow", "follow the end, or stand still", false;
    OnlyErrors, Logs, "x", "errors", "only lines that say that something went wrong", false;
    Wrap, Logs, "z", "wrap", "wrap long lines", false;
    NextError, Logs, "]", "next error", "to the next error", false;
    PreviousError, Logs, "[", "previous error", "to the previous error", false;
    LineToNote, Logs, "m", "to timeline", "keep this as evidence, with a note in the timeline", true;
    CopyLine, Logs, "y", "copy", "copy this line", false;
    AskTroubleshoot, Assistant, "enter", "troubleshoot", "ask the troubleshoot prompt", true;
    AskPostmortem, Assistant, "P", "postmortem", "ask the postmortem prompt", true;
    Preview, Assistant, "v", "preview", "exactly what would be sent", false;
    Accept, Assistant, "y", "accept", "accept the draft as your own", true;
    ActionDone, Actions, "x,enter", "done", "done, with what came of it", true;
    ActionOwner, Actions, "o", "owner", "who does it", true;
    ActionDue, Actions, "d", "due", "by when, such as 2026-12-01", true;
    ActionDrop, Actions, "b", "drop", "decide not to do it, with the reason", true;
    CopyReport, Report, "y", "copy", "copy the report (as far as the terminal takes it)", false;
}

impl Action {
    /// Its row in the table.
    pub fn spec(self) -> &'static Spec {
        // Each variant has exactly one row: both come from the same macro.
        const FIRST: &Spec = match ACTIONS.first() {
            Some(first) => first,
            None => unreachable!(),
        };
        ACTIONS.iter().find(|s| s.action == self).unwrap_or(FIRST)
    }
}

impl Spec {
    /// Its first key, as shown.
    pub fn first_key(&self) -> String {
        let first = self.keys.split(',').next().unwrap_or("");
        parse(first).map_or_else(String::new, |chords| chords.iter().map(ToString::to_string).collect())
    }

    /// All its keys, as shown.
    pub fn all_keys(&self) -> String {
        let shown: Vec<String> =
            self.keys.split(',').filter_map(parse).map(|chords| chords.iter().map(ToString::to_string).collect()).collect();
        shown.join(" ")
    }
}

/// What a sequence of keys means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Action(Action),
    /// The beginning of a longer sequence.
    Pending,
    Nothing,
}

/// Looks a sequence up in the contexts that hold, the most special first.
pub fn find(sequence: &[Chord], contexts: &[Context]) -> Found {
    let mut pending = false;
    for context in contexts {
        for spec in ACTIONS.iter().filter(|s| s.context == *context) {
            for keys in spec.keys.split(',').filter_map(parse) {
                if keys == sequence {
                    return Found::Action(spec.action);
                }
                pending |= keys.len() > sequence.len() && keys.starts_with(sequence);
            }
        }
    }
    if pending { Found::Pending } else { Found::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn every_key_is_readable_and_means_one_thing_in_its_context() {
        let mut seen: HashMap<(Context, Vec<Chord>), Action> = HashMap::new();
        for spec in ACTIONS {
            for keys in spec.keys.split(',') {
                let chords = parse(keys).unwrap_or_else(|| panic!("{keys}"));
                assert!(seen.insert((spec.context, chords), spec.action).is_none(), "{keys} twice in {:?}", spec.context);
            }
            assert!(!spec.help.is_empty() && spec.word.len() <= 14, "{:?}", spec.action);
        }
    }

    #[test]
    fn no_view_takes_a_key_away_that_means_something_everywhere() {
        let keys = |s: &Spec| s.keys.split(',').map(str::to_owned).collect::<Vec<_>>();
        let everywhere: Vec<String> = ACTIONS.iter().filter(|s| s.context == Context::Everywhere).flat_map(keys).collect();
        // `/` finds, everywhere: in lists by leaving the rest out, in logs by going there.
        for spec in ACTIONS.iter().filter(|s| s.context != Context::Everywhere && s.action != Action::Search) {
            for key in keys(spec) {
                assert!(!everywhere.contains(&key), "{key} of {:?}", spec.action);
            }
        }
    }

    #[test]
    fn sequences_wait_for_their_end() {
        let g = parse("g").unwrap();
        assert_eq!(find(&g, &[Context::Everywhere]), Found::Pending);
        assert_eq!(find(&parse("g g").unwrap(), &[Context::Everywhere]), Found::Action(Action::Top));
        assert_eq!(
            find(&parse("y").unwrap(), &[Context::Logs, Context::Room, Context::Everywhere]),
            Found::Action(Action::CopyLine)
        );
    }
}
