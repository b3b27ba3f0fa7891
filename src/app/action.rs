//! The table of all actions in the terminal UI. Keys are bound to them in `keys.toml` (see [`super::keymap`]); help, footer
//! and palette are drawn from both.

/// The part of the screen in which a key or an action applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Context {
    Everywhere,
    Board,
    Room,
    Overview,
    Timeline,
    Signals,
    Logs,
    /// The logs while a search is active.
    Search,
    Assistant,
    Playbook,
    Actions,
    Updates,
    Report,
    /// A text that is open over a view, such as the help or a briefing.
    Reader,
    /// A list to choose from.
    List,
    /// A dialog with a text field.
    Line,
    /// The dialog that declares an incident.
    Form,
    /// A question with Yes and No.
    Confirm,
}

impl Context {
    /// Every context.
    pub const ALL: [Self; 18] = [
        Self::Everywhere,
        Self::Board,
        Self::Room,
        Self::Overview,
        Self::Timeline,
        Self::Signals,
        Self::Logs,
        Self::Search,
        Self::Assistant,
        Self::Playbook,
        Self::Actions,
        Self::Updates,
        Self::Report,
        Self::Reader,
        Self::List,
        Self::Line,
        Self::Form,
        Self::Confirm,
    ];

    /// The name in keymap files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Everywhere => "everywhere",
            Self::Board => "board",
            Self::Room => "room",
            Self::Overview => "overview",
            Self::Timeline => "timeline",
            Self::Signals => "signals",
            Self::Logs => "logs",
            Self::Search => "search",
            Self::Assistant => "assistant",
            Self::Playbook => "playbook",
            Self::Actions => "actions",
            Self::Updates => "updates",
            Self::Report => "report",
            Self::Reader => "reader",
            Self::List => "list",
            Self::Line => "line",
            Self::Form => "form",
            Self::Confirm => "confirm",
        }
    }

    /// The heading in the help.
    pub fn title(self) -> &'static str {
        match self {
            Self::Everywhere => "Every view",
            Self::Board => "Board",
            Self::Room => "Incident room",
            Self::Overview => "Overview",
            Self::Timeline => "Timeline",
            Self::Signals => "Signals",
            Self::Logs => "Logs",
            Self::Search => "Logs, while searching",
            Self::Assistant => "Assistant",
            Self::Playbook => "Playbook",
            Self::Actions => "Mitigations and action items",
            Self::Updates => "Updates",
            Self::Report => "Report",
            Self::Reader => "Text viewer",
            Self::List => "Lists",
            Self::Line => "Text input",
            Self::Form => "Forms",
            Self::Confirm => "Confirmations",
        }
    }

    /// Whether actions of `other` work here: `other` is this context or one that contains it.
    pub fn is_within(self, other: Self) -> bool {
        let parent = match self {
            Self::Everywhere => None,
            Self::Board | Self::Room | Self::Reader => Some(Self::Everywhere),
            Self::Overview
            | Self::Timeline
            | Self::Signals
            | Self::Logs
            | Self::Assistant
            | Self::Playbook
            | Self::Actions
            | Self::Updates
            | Self::Report => Some(Self::Room),
            Self::Search => Some(Self::Logs),
            Self::List | Self::Line | Self::Form | Self::Confirm => None,
        };
        self == other || parent.is_some_and(|p| p.is_within(other))
    }

    /// Whether this is a dialog, in which the keys of the view below it do not apply.
    pub fn is_dialog(self) -> bool {
        matches!(self, Self::Reader | Self::List | Self::Line | Self::Form | Self::Confirm)
    }
}

macro_rules! actions {
    ($( $variant:ident, $name:literal, $context:ident, $word:literal, $help:literal, $changes:literal; )*) => {
        /// Something that a user can do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(clippy::enum_variant_names, reason = "some are about action items")]
        pub enum Action { $( $variant, )* }

        /// Every action.
        pub(crate) const ACTIONS: &[Spec] = &[ $( Spec {
            action: Action::$variant,
            name: $name,
            context: Context::$context,
            word: $word,
            help: $help,
            changes: $changes,
        }, )* ];
    };
}

/// A row of the table of actions.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    pub action: Action,
    /// The name in keymap files.
    pub name: &'static str,
    /// The context in which it applies.
    pub context: Context,
    /// The label in the footer, at most 14 characters.
    pub word: &'static str,
    /// The description in the help and the palette, in the imperative and without a full stop.
    pub help: &'static str,
    /// Whether it changes an incident or anything outside. Such actions are disabled in read-only mode.
    pub changes: bool,
}

// Columns: variant, name in keymap files, context, label in the footer, help, whether it changes anything.
actions! {
    Down, "down", Everywhere, "down", "Select the next row", false;
    Up, "up", Everywhere, "up", "Select the previous row", false;
    HalfDown, "half-down", Everywhere, "page down", "Move down half a screen", false;
    HalfUp, "half-up", Everywhere, "page up", "Move up half a screen", false;
    Top, "top", Everywhere, "top", "Go to the first row", false;
    Bottom, "bottom", Everywhere, "bottom", "Go to the last row", false;
    Back, "back", Everywhere, "back", "Close the open dialog or text, or clear the filter", false;
    Quit, "quit", Everywhere, "leave", "Leave the incident room; on the board, quit", false;
    Help, "help", Everywhere, "keys", "Show all keys of this view", false;
    Palette, "palette", Everywhere, "commands", "Find a command by name", false;
    Filter, "filter", Everywhere, "filter", "Filter this list: word, !word, ~regex", false;
    Tab1, "tab-1", Everywhere, "overview", "Open tab 1, Overview", false;
    Tab2, "tab-2", Everywhere, "timeline", "Open tab 2, Timeline", false;
    Tab3, "tab-3", Everywhere, "signals", "Open tab 3, Signals and evidence", false;
    Tab4, "tab-4", Everywhere, "logs", "Open tab 4, Logs", false;
    Tab5, "tab-5", Everywhere, "assistant", "Open tab 5, Assistant", false;
    Tab6, "tab-6", Everywhere, "playbook", "Open tab 6, Playbook", false;
    Tab7, "tab-7", Everywhere, "actions", "Open tab 7, Action items", false;
    Tab8, "tab-8", Everywhere, "updates", "Open tab 8, Updates", false;
    Tab9, "tab-9", Everywhere, "report", "Open tab 9, Report", false;
    SwitchIncident, "switch-incident", Everywhere, "last incident", "Return to the incident that was open before", false;
    Refresh, "refresh", Everywhere, "refresh", "Query the sources now", false;
    Retry, "retry", Everywhere, "retry", "Retry unsaved changes, or reopen text that was refused", true;
    Zoom, "zoom", Everywhere, "zoom", "Show only the details, or the list again", false;
    Pin, "pin", Everywhere, "pin", "Keep this evidence beside every tab, or remove it", false;
    RequestLog, "request-log", Everywhere, "requests", "Show the requests to sources, with their outcomes", false;
    EndTour, "end-tour", Everywhere, "end tour", "End the tour of the demo", false;
    ToggleMouse, "toggle-mouse", Everywhere, "mouse", "Turn the mouse on or off", false;
    Redraw, "redraw", Everywhere, "redraw", "Redraw the screen", false;
    Suspend, "suspend", Everywhere, "suspend", "Suspend to the shell; fg resumes", false;
    Open, "open", Board, "open", "Open the incident, or the incident of the alert", false;
    NextPane, "next-pane", Board, "pane", "Switch between incidents and alerts", false;
    Mark, "mark", Board, "mark", "Mark this alert, or all alerts of this group", false;
    Declare, "declare", Board, "declare", "Declare an incident from the marked alerts, or from this one", true;
    Link, "link", Board, "link", "Link the marked alerts, or this one, to an open incident", true;
    GroupBy, "group-by", Board, "group", "Group by service, alert or team, or do not group", false;
    OnlyNew, "only-new", Board, "new only", "Show only alerts without an incident", false;
    CopyAlert, "copy-alert", Board, "copy", "Copy the fingerprint of the alert", false;
    Silence, "silence", Board, "silence", "Silence the marked alerts, or this one; shows first what would be hidden", true;
    Silences, "silences", Board, "silences", "List, extend and end silences", false;
    OpenRunbook, "open-runbook", Board, "runbook", "Open the runbook of the alert, or copy its URL if nothing can open it", false;
    CopyRunbook, "copy-runbook", Board, "copy runbook", "Copy the runbook URL of the alert", false;
    NextTab, "next-tab", Room, "next tab", "Open the next tab", false;
    PreviousTab, "previous-tab", Room, "previous tab", "Open the previous tab", false;
    Findings, "findings", Room, "findings", "Go from a finding to its graph or log pattern", false;
    Investigate, "investigate", Room, "investigate", "Gather evidence and analyse it", true;
    Widen, "widen", Room, "widen", "Investigate again with a window twice as long", true;
    Note, "note", Room, "note", "Write a note; text after TODO becomes an action item", true;
    NoteAt, "note-at", Room, "past note", "Write a backdated note: 09:27 text", true;
    Decision, "decision", Room, "decision", "Record a decision", true;
    Hypothesis, "hypothesis", Room, "hypothesis", "Propose a hypothesis", true;
    Hypotheses, "hypotheses", Room, "hypotheses", "List the hypotheses with their evidence, and judge one", false;
    Lesson, "lesson", Room, "lesson", "Record a lesson, or an open question", true;
    Mitigation, "mitigation", Room, "mitigation", "Propose a mitigation, your own or a suggested one", true;
    Task, "task", Room, "task", "Give someone a task: ben 5 check the replica", true;
    Published, "published", Room, "update sent", "Record that an update was sent", true;
    Event, "event", Room, "event", "Record an event: a deploy, a flag, a command", true;
    Attach, "attach", Room, "attach", "Attach a file as evidence", true;
    Impact, "impact", Room, "impact", "Describe the impact", true;
    Checklist, "checklist", Room, "checklist", "Show the checklist of each phase, and tick items", false;
    Exit, "exit", Room, "exit criteria", "Set the exit criteria: error_rate < 0.01 for 30m", true;
    Check, "check", Room, "check", "Check alerts and exit criteria now", true;
    SetTime, "set-time", Room, "times", "Set a milestone by hand", true;
    Escalate, "escalate", Room, "escalate", "Record an escalation, L1 to L4", true;
    Unlink, "unlink", Room, "unlink", "Unlink an alert that does not belong to this incident", true;
    Merge, "merge", Room, "merge", "Merge into another open incident", true;
    Renounce, "renounce", Room, "give up role", "Give up a role", true;
    Grade, "grade", Room, "grade", "Grade the diagnosis after the incident", true;
    OnCall, "on-call", Room, "on call", "Show who is on call", false;
    Page, "page", Room, "page", "Page someone; shows the exact command first", true;
    Undo, "undo", Room, "undo", "Undo your most recent change", true;
    Redo, "redo", Room, "redo", "Redo the change that you undid last", true;
    Similar, "similar", Room, "similar", "Show similar incidents and how they ended", false;
    ReadIn, "read-in", Room, "briefing", "Show the briefing for responders who are joining", false;
    HandOver, "hand-over", Room, "handover", "Show the handover brief for the next commander", false;
    Acknowledge, "acknowledge", Room, "acknowledge", "Acknowledge, or withdraw the acknowledgement", true;
    SetSeverity, "set-severity", Room, "severity", "Change the severity", true;
    SetStatus, "set-status", Room, "status", "Change the status", true;
    Resolve, "resolve", Room, "resolve", "Resolve the incident", true;
    Reopen, "reopen", Room, "reopen", "Reopen an incident that has ended", true;
    AssignRole, "assign-role", Room, "role", "Assign a role", true;
    AddAction, "add-action", Room, "action item", "Add an action item", true;
    Ask, "ask", Room, "ask", "Ask the assistant: a prompt or a question", true;
    Export, "export", Room, "export", "Export the post-mortem to a file", true;
    OpenFinding, "open-finding", Overview, "open", "Open the graph, the log pattern or the evidence of this row", false;
    FoldFinding, "fold-finding", Overview, "fold", "Show or hide the findings behind this one", false;
    OpenEvidence, "open-evidence", Signals, "open", "Show the selected evidence in full", false;
    QueryMetrics, "query-metrics", Everywhere, "query", "Query metrics with PromQL, and show the chart", false;
    AlertChart, "alert-chart", Board, "chart", "Show the chart of the alert in full", false;
    MarkSignal, "mark-signal", Signals, "mark", "Add this series to the timeline, with its evidence", true;
    CopyQuery, "copy-query", Signals, "copy query", "Copy the exact query", false;
    OpenEntry, "open-entry", Timeline, "open", "Show the evidence of this entry, or its whole text", false;
    Correct, "correct", Timeline, "correct", "Correct this entry; the original is kept", true;
    GraphAt, "graph-at", Timeline, "graph", "Show the graph at the time of this entry", false;
    LogAt, "log-at", Timeline, "logs at time", "Show the logs at the time of this entry", false;
    FilterKind, "filter-kind", Timeline, "kind", "Cycle the filter: all, people, models, warroom, decisions", false;
    Support, "support", Timeline, "supported", "Mark this hypothesis as supported", true;
    Refute, "refute", Timeline, "refuted", "Mark this hypothesis as refuted", true;
    Object, "object", Timeline, "objection", "Record an objection to this decision", true;
    Outcome, "outcome", Timeline, "outcome", "Record the outcome of this decision", true;
    Details, "details", Timeline, "details", "Show or hide evidence entries", false;
    Search, "search", Logs, "search", "Search and highlight; other lines stay visible", false;
    FilterLogs, "filter-logs", Logs, "filter", "Show only matching lines: word, !word, ~regex, status>=500", false;
    FilterByField, "filter-by-field", Logs, "field", "Show only lines that have a field of this one", false;
    ChooseColumns, "choose-columns", Logs, "columns", "Choose the columns of the lines", false;
    NextHit, "next-hit", Search, "next match", "Go to the next match", false;
    PreviousHit, "previous-hit", Search, "previous match", "Go to the previous match", false;
    PatternLines, "pattern-lines", Logs, "open", "Show the lines of this pattern, or all fields of this line", false;
    LinesAround, "lines-around", Logs, "context", "Show the lines around this one; beyond them, more are read", false;
    SearchAll, "search-all", Logs, "search all", "Search all lines of the incident's window", false;
    FollowRequest, "follow-request", Logs, "trace", "Show the lines with the trace or request id of this line", false;
    FoldLines, "fold-lines", Logs, "fold", "Show repeated lines as one, or each", false;
    SaveLines, "save-lines", Logs, "save", "Save the shown lines to a file", false;
    LinesInPager, "lines-in-pager", Logs, "pager", "Open the shown lines in lnav, or else in $PAGER", false;
    LogView, "log-view", Logs, "patterns/lines", "Switch between log patterns and live logs", false;
    Follow, "follow", Logs, "follow", "Start or stop following the end", false;
    OnlyErrors, "only-errors", Logs, "errors", "Show only errors", false;
    Wrap, "wrap", Logs, "wrap", "Wrap long lines", false;
    NextError, "next-error", Logs, "next error", "Go to the next error", false;
    PreviousError, "previous-error", Logs, "previous error", "Go to the previous error", false;
    LineToNote, "line-to-note", Logs, "to timeline", "Add this line or pattern to the timeline, with its evidence", true;
    CopyLine, "copy-line", Logs, "copy", "Copy this line", false;
    AskTroubleshoot, "ask-troubleshoot", Assistant, "troubleshoot", "Run the troubleshoot prompt", true;
    AskPostmortem, "ask-postmortem", Assistant, "post-mortem", "Run the post-mortem prompt", true;
    NextSpot, "next-spot", Assistant, "next item", "Select the next citation, flagged sentence or proposal", false;
    PreviousSpot, "previous-spot", Assistant, "previous item", "Select the previous citation, flagged sentence or proposal", false;
    OpenSpot, "open-spot", Assistant, "open", "Open or select a citation, reason or proposal; without an answer, troubleshoot", false;
    RefuteProposal, "refute-proposal", Assistant, "refute", "Refute the selected proposal, with a reason", true;
    AskAgain, "ask-again", Assistant, "ask again", "Ask the same question again, with the evidence as it is now", true;
    EditQuestion, "edit-question", Assistant, "edit question", "Edit the question of the selected answer and ask again", true;
    Fork, "fork", Assistant, "fork", "Continue from the selected answer in a new thread", true;
    ChooseThread, "choose-thread", Assistant, "threads", "Choose a thread, or begin a new one", false;
    ShowRequests, "show-requests", Assistant, "requests", "Show the requests that were sent to models, exactly as they were sent", false;
    CopyAnswer, "copy-answer", Assistant, "copy", "Copy the selected answer", false;
    AnswerInEditor, "answer-in-editor", Assistant, "editor", "Open the selected answer in $VISUAL or $EDITOR", false;
    Preview, "preview", Assistant, "preview", "Show exactly what would be sent", false;
    Accept, "accept", Assistant, "accept", "Accept the selected proposal, or the whole answer as your own", true;
    RunStep, "run-step", Playbook, "run step", "Run the selected step, or mark it as done; shows scripts first", true;
    RunAgain, "run-again", Playbook, "run again", "Run the selected step although it was run before", true;
    SkipStep, "skip-step", Playbook, "skip", "Skip the selected step, with a reason", true;
    SetVariable, "set-variable", Playbook, "variable", "Set the value of a variable: pod=web-1", false;
    ChoosePlaybook, "choose-playbook", Playbook, "playbooks", "Choose a playbook; those for the alerts come first", false;
    ScrollDown, "scroll-down", Playbook, "text down", "Scroll the text of the step down", false;
    ScrollUp, "scroll-up", Playbook, "text up", "Scroll the text of the step up", false;
    ActionDone, "action-done", Actions, "start/finish", "Finish the action item; start, finish or check the mitigation", true;
    ActionEdit, "action-edit", Actions, "edit", "Edit the selected mitigation", true;
    ActionOwner, "action-owner", Actions, "owner", "Set the owner", true;
    ActionDue, "action-due", Actions, "due", "Set the due date", true;
    ActionDrop, "action-drop", Actions, "drop", "Drop it, with a reason", true;
    RecordDraft, "record-draft", Updates, "record", "Edit the draft, and record it as sent", true;
    SendDraft, "send-draft", Updates, "send", "Edit the draft, and send it through a channel; shows first exactly what is sent", true;
    SendAgain, "send-again", Updates, "send again", "Send again what was not sent, or may not have been", true;
    NextAudience, "next-audience", Updates, "audience", "Draft for the next audience: technical, executive, customer", false;
    NextStage, "next-stage", Updates, "stage", "Draft for the next stage, or for that of the status", false;
    ImproveDraft, "improve-draft", Updates, "reword", "Have the model reword the draft", true;
    CopyDraft, "copy-draft", Updates, "copy", "Copy the draft", false;
    FillIn, "fill-in", Report, "fill in", "List what is missing in the report, and add it", false;
    Review, "review", Report, "review", "Change the state of the post-mortem's review", true;
    CopyReport, "copy-report", Report, "copy", "Copy the report", false;
    CustomCommand, "custom-command", Everywhere, "run command", "Run a custom command", false;
    ShowProblems, "show-problems", Everywhere, "problems", "Show problems in your prompts, themes, keys and playbooks", false;
    Cancel, "cancel", Everywhere, "cancel", "Close the dialog, or stop the script that is running", false;
    CopyText, "copy-text", Reader, "copy", "Copy this text", false;
    ReadInEditor, "read-in-editor", Reader, "editor", "Open this text in $VISUAL or $EDITOR", false;
    Find, "find", Reader, "search", "Search in this text", false;
    NextFind, "next-find", Reader, "next match", "Go to the next line that matches", false;
    PreviousFind, "previous-find", Reader, "previous match", "Go to the previous line that matches", false;
    Earlier, "earlier", Reader, "earlier", "Move the cursor of a chart to the sample before", false;
    Later, "later", Reader, "later", "Move the cursor of a chart to the next sample", false;
    FarEarlier, "far-earlier", Reader, "far earlier", "Move the cursor of a chart back by a tenth", false;
    FarLater, "far-later", Reader, "far later", "Move the cursor of a chart forward by a tenth", false;
    GoToTime, "go-to-time", Reader, "time", "Move the cursor of a chart to a time: 10:07, 15m ago", false;
    ZoomIn, "zoom-in", Reader, "zoom in", "Show half of the time around the cursor of a chart", false;
    ZoomOut, "zoom-out", Reader, "zoom out", "Show twice the time around the cursor of a chart", false;
    Compare, "compare", Reader, "compare", "Compare a chart with yesterday, with a week before, with nothing", false;
    KeepOutput, "keep-output", Reader, "save", "Save the command output, or the chart of a query, as evidence", true;
    CloseReader, "close-reader", Reader, "close", "Close", false;
    NextChoice, "next-choice", List, "next", "Select the next row", false;
    PreviousChoice, "previous-choice", List, "previous", "Select the previous row", false;
    NextPage, "next-page", List, "page down", "Go ten rows down", false;
    PreviousPage, "previous-page", List, "page up", "Go ten rows up", false;
    Choose, "choose", List, "choose", "Choose the selected row", false;
    Submit, "submit", Line, "ok", "Accept the text", false;
    NewLine, "new-line", Line, "new line", "Insert a line break, in fields that accept several lines", false;
    EditText, "edit-text", Line, "editor", "Edit the text in $VISUAL or $EDITOR", false;
    Complete, "complete", Line, "complete", "Complete a name, or a slash command", false;
    Recall, "recall", Line, "recall", "Recall the previous text", false;
    RecallNext, "recall-next", Line, "recall next", "Recall the next text", false;
    NextField, "next-field", Form, "field", "Go to the next field", false;
    PreviousField, "previous-field", Form, "previous field", "Go to the previous field", false;
    NextSeverity, "next-severity", Form, "severity", "Select the next severity, or go to the next field", false;
    PreviousSeverity, "previous-severity", Form, "severity", "Select the previous severity, or go to the previous field", false;
    Toggle, "toggle", Form, "change", "Change the selected option", false;
    SubmitForm, "submit-form", Form, "save", "Declare the incident, or save the mitigation", false;
    Yes, "yes", Confirm, "yes", "Do it", false;
    No, "no", Confirm, "no", "Do nothing", false;
    ReadOn, "read-on", Confirm, "text down", "Scroll the text down", false;
    ReadBack, "read-back", Confirm, "text up", "Scroll the text up", false;
    SwitchAnswer, "switch-answer", Confirm, "other answer", "Switch between No and Yes", false;
    ConfirmAnswer, "confirm-answer", Confirm, "confirm", "Confirm the selected answer", false;
}

impl Action {
    /// The row of this action in the table.
    pub fn spec(self) -> &'static Spec {
        // The macro creates a row for each variant, so the fallback is never used.
        const FIRST: &Spec = match ACTIONS.first() {
            Some(first) => first,
            None => unreachable!(),
        };
        ACTIONS.iter().find(|s| s.action == self).unwrap_or(FIRST)
    }

    /// The action with a name; `None` for an unknown name.
    pub fn named(name: &str) -> Option<Self> {
        ACTIONS.iter().find(|s| s.name == name).map(|s| s.action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_words_are_short() {
        let mut names = std::collections::BTreeSet::new();
        for spec in ACTIONS {
            assert!(names.insert(spec.name), "{} twice", spec.name);
            assert!(!spec.help.is_empty() && spec.word.len() <= 14, "{}", spec.name);
            assert!(spec.help.starts_with(char::is_uppercase) && !spec.help.ends_with('.'), "{}", spec.help);
            assert_eq!(Action::named(spec.name), Some(spec.action));
        }
    }

    #[test]
    fn contexts_are_nested() {
        assert!(Context::Search.is_within(Context::Room) && Context::Search.is_within(Context::Everywhere));
        assert!(!Context::Room.is_within(Context::Logs) && !Context::List.is_within(Context::Everywhere));
    }
}
