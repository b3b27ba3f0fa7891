//! Handles keys while a dialog is open.

use super::super::action::{Action, Context};
use super::super::board::Pane;
use super::super::checklist::item_action;
use super::super::chord::{Chord, Code};
use super::super::edit::{MAX, TextField, TooLong, input_width};
use super::super::fill::{fill, moment_and_text};
use super::super::filter::Filter;
use super::super::find::{self, Find};
use super::super::metric::MetricView;
use super::super::model::{Model, Screen, Tone};
use super::super::msg::{CustomEffect, Effect, SendEffect, SilenceEffect, StepEffect};
use super::super::overlay::{
    ConfirmDialog, DeclareField, DeclareForm, FieldsForm, InputDialog, ListDialog, Next, Overlay, Purpose,
};
use super::super::palette::{self, Entry, Place};
use super::super::room::Tab;
use super::super::session::unsent_fields;
use super::common::{command_dialog, current, people, run, run_at, run_on, say, show, with_id, write};
use super::conversation::{open_question, question_typed, show_thread};
use super::go::{go_to_board, go_to_finding, open_room, scroll, tab};
use super::lists::change_status;
use super::lists::choose_action_kind;
use super::logs::search_from_here;
use super::playbook::{open_playbook, open_step, value_given, value_typed};
use super::{cursor, custom, fields, metric, mitigation, perform, silences, updates};
use crate::incident::gate::{Check, gates, open_step as open_playbook_step};
use crate::incident::{CardState, Command, EvidenceId, NoteKind, Severity};
use crate::prompt::question::{Known, Question, completions};
use crate::telemetry::failure::Explain;
use crate::telemetry::{Timestamp, Window};

/// Handles an action in the open dialog.
pub(super) fn perform(model: &mut Model, action: Action, chord: Chord) -> Vec<Effect> {
    let Some(overlay) = model.overlay.take() else { return Vec::new() };
    let is_metric = matches!(overlay, Overlay::Metric(_));
    if overlay.context() == Context::Reader && (goes_elsewhere(action) || action == Action::QueryMetrics && !is_metric) {
        return perform::perform(model, action);
    }
    if overlay.context() == Context::Reader && matches!(action, Action::Help | Action::Palette) {
        // The text is there again when the help is closed.
        model.under = Some(Box::new(overlay));
        return perform::perform(model, action);
    }
    if action == Action::ToggleMouse {
        model.overlay = Some(overlay);
        return super::common::toggle_mouse(model);
    }
    if matches!(action, Action::Find | Action::NextFind | Action::PreviousFind) {
        return in_text(model, action, overlay);
    }
    if action == Action::GoToTime {
        return metric::ask_time(model, overlay);
    }
    match overlay {
        Overlay::Help { filter, scroll: at } => {
            let by = match action {
                Action::NextChoice => 1,
                Action::PreviousChoice => -1,
                Action::NextPage => LIST_PAGE.cast_signed(),
                Action::PreviousPage => -LIST_PAGE.cast_signed(),
                _ => return Vec::new(),
            };
            show(model, Overlay::Help { filter, scroll: scroll(at, by, model.scroll_limit) })
        }
        Overlay::Text { title, text, scroll: at } => {
            if action == Action::ReadInEditor {
                let effect = Effect::Editor { text: text.clone(), is_kept: false };
                model.overlay = Some(Overlay::Text { title, text, scroll: at });
                return vec![effect];
            }
            if action == Action::CopyText {
                let copied = text.clone();
                model.overlay = Some(Overlay::Text { title, text, scroll: at });
                model.say(Tone::Good, perform::COPIED);
                return vec![Effect::Copy(copied)];
            }
            match scrolled(model, action, at) {
                Some(scroll) => show(model, Overlay::Text { title, text, scroll }),
                None => close_or_keep(model, action, Overlay::Text { title, text, scroll: at }),
            }
        }
        Overlay::Output { name, text, scroll: at, keep } => match (action, scrolled(model, action, at)) {
            (Action::CopyText, _) => {
                let copied = text.clone();
                model.overlay = Some(Overlay::Output { name, text, scroll: at, keep });
                model.say(Tone::Good, perform::COPIED);
                vec![Effect::Copy(copied)]
            }
            (Action::ReadInEditor, _) => {
                let effect = Effect::Editor { text: text.clone(), is_kept: false };
                model.overlay = Some(Overlay::Output { name, text, scroll: at, keep });
                vec![effect]
            }
            (Action::KeepOutput, _) => custom::keep_output(model, name, text, at, keep),
            (_, Some(scroll)) => show(model, Overlay::Output { name, text, scroll, keep }),
            (_, None) => close_or_keep(model, action, Overlay::Output { name, text, scroll: at, keep }),
        },
        Overlay::Evidence { id, scroll: place, at, view } => in_evidence(model, action, (id, place, at, view)),
        Overlay::Metric(view) => in_metric(model, action, view),
        Overlay::Checklist { selected } => in_checklist(model, action, selected),
        Overlay::Palette { edit, selected } => in_palette(model, action, edit, selected),
        Overlay::Input(dialog) => in_input(model, action, dialog),
        Overlay::List(list) => in_list(model, action, list),
        Overlay::Declare(form) => in_declaration(model, action, chord, form),
        Overlay::Fields(form) => in_fields(model, action, chord, form),
        Overlay::Confirm(dialog) => in_confirmation(model, action, dialog),
    }
}

/// Handles an action in an evidence item: its number, scroll offset, time of interest and the shown part of its window.
fn in_evidence(
    model: &mut Model,
    action: Action,
    (id, place, at, view): (EvidenceId, usize, Option<Timestamp>, Option<Window>),
) -> Vec<Effect> {
    let same = Overlay::Evidence { id, scroll: place, at, view };
    if action == Action::CopyText {
        let query = current(model).and_then(|i| i.evidence(id)).map(|e| e.query.clone());
        model.overlay = Some(same);
        model.say(Tone::Good, "Copied the query.");
        return query.map(Effect::Copy).into_iter().collect();
    }
    if action == Action::Pin {
        return super::common::pin(model, id);
    }
    if let Some(effects) = in_chart(model, action, &same) {
        return effects;
    }
    match scrolled(model, action, place) {
        Some(scroll) => show(model, Overlay::Evidence { id, scroll, at, view }),
        None => close_or_keep(model, action, same),
    }
}

/// Handles an action in the chart of a query.
fn in_metric(model: &mut Model, action: Action, view: Box<MetricView>) -> Vec<Effect> {
    match action {
        Action::QueryMetrics => {
            let query = view.request.query.clone();
            return metric::ask(model, &query);
        }
        Action::CopyText | Action::KeepOutput => {
            let effects = if action == Action::KeepOutput {
                metric::keep(model, &view)
            } else {
                model.say(Tone::Good, "Copied the query.");
                vec![Effect::Copy(view.request.query.clone())]
            };
            model.overlay = Some(Overlay::Metric(view));
            return effects;
        }
        _ => {}
    }
    let same = Overlay::Metric(view);
    in_chart(model, action, &same).unwrap_or_else(|| close_or_keep(model, action, same))
}

/// Moves the cursor or the view of a chart, or compares it; `None` if the action does something else.
fn in_chart(model: &mut Model, action: Action, overlay: &Overlay) -> Option<Vec<Effect>> {
    if action == Action::Compare {
        let effects = metric::compare(model, overlay);
        model.overlay = Some(overlay.clone());
        return Some(effects);
    }
    let (_, span) = metric::span(model, overlay)?;
    let (at, view) = cursor::moved(action, &span)?;
    let mut moved = overlay.clone();
    metric::set_cursor(&mut moved, at, view);
    Some(show(model, moved))
}

/// Searches in an open text.
fn in_text(model: &mut Model, action: Action, overlay: Overlay) -> Vec<Effect> {
    if action == Action::Find {
        let hint = format!(
            "{} and {} go to the next and the previous match.",
            model.key(Action::NextFind),
            model.key(Action::PreviousFind)
        );
        let edit = TextField::proposed(&model.find.text);
        model.under = Some(Box::new(overlay));
        return show(model, Overlay::Input(InputDialog::new("Search in this text", Purpose::Find, hint, edit)));
    }
    model.overlay = Some(overlay);
    if model.find.text.is_empty() {
        let key = model.key(Action::Find);
        return say(model, format!("Press {key} to search in this text."));
    }
    find::go(model, action == Action::NextFind);
    Vec::new()
}

/// Whether an action goes to a tab, an incident or another text, which closes a text.
fn goes_elsewhere(action: Action) -> bool {
    use Action::{CustomCommand, RequestLog, ShowProblems, SwitchIncident, Tab1, Tab2, Tab3, Tab4, Tab5, Tab6, Tab7, Tab8, Tab9};
    matches!(
        action,
        CustomCommand | RequestLog | ShowProblems | SwitchIncident | Tab1 | Tab2 | Tab3 | Tab4 | Tab5 | Tab6 | Tab7 | Tab8 | Tab9
    )
}

/// Closes the open dialog.
pub(super) fn close_open(model: &mut Model) -> Vec<Effect> {
    match model.overlay.take() {
        Some(overlay) => close(model, &overlay),
        None => Vec::new(),
    }
}

/// Handles a key without a binding: Esc closes the dialog, any other key is typed.
pub(super) fn key_typed(model: &mut Model, chord: Chord) -> Vec<Effect> {
    if chord == Chord::plain(Code::Esc) {
        return close_open(model);
    }
    match &mut model.overlay {
        Some(Overlay::Input(line)) => {
            line.edit.key(chord);
        }
        Some(Overlay::Palette { edit, selected }) => {
            if edit.key(chord) {
                *selected = 0;
            }
        }
        Some(Overlay::List(_)) => return typed_in_list(model, chord),
        Some(Overlay::Help { .. }) => return typed_in_help(model, chord),
        Some(Overlay::Fields(form)) => {
            if let Some(field) = form.focused() {
                field.edit.key(chord);
            }
        }
        Some(Overlay::Declare(form)) => match (form.field, chord.code) {
            (DeclareField::Title, _) => {
                form.title.key(chord);
            }
            (DeclareField::Severity, Code::Char(c)) => {
                if let Some(severity) = c.to_digit(10).and_then(|d| d.to_string().parse().ok()) {
                    form.severity = severity;
                }
            }
            (DeclareField::Severity | DeclareField::Commander, _) => {}
        },
        Some(
            Overlay::Text { .. }
            | Overlay::Output { .. }
            | Overlay::Evidence { .. }
            | Overlay::Metric(_)
            | Overlay::Checklist { .. }
            | Overlay::Confirm(_),
        )
        | None => {}
    }
    text_changed(model)
}

/// Puts what was written in the editor into the open field.
pub(super) fn edited(model: &mut Model, text: &str) -> Vec<Effect> {
    let Some(Overlay::Input(dialog)) = &mut model.overlay else { return Vec::new() };
    let mut field = TextField::default().with_lines(dialog.edit.is_multiline());
    // Editors end a file with a line break.
    if let Err(TooLong(bytes)) = field.insert(text.trim_end()) {
        let text = format!(
            "Not taken over: the text is {} KiB, and a text field can hold {} KiB. It is unchanged here.",
            bytes / 1024,
            MAX / 1024
        );
        model.say(Tone::Bad, text);
        return Vec::new();
    }
    dialog.edit = field;
    text_changed(model)
}

/// Applies a filter or a search while it is being typed. Call this after the text has changed.
pub(super) fn text_changed(model: &mut Model) -> Vec<Effect> {
    match &model.overlay {
        Some(Overlay::Input(InputDialog { edit, purpose: Purpose::Filter, .. })) => {
            let text = edit.text().to_owned();
            set_filter(model, &text);
        }
        Some(Overlay::Input(InputDialog { edit, purpose: Purpose::Search, .. })) => {
            model.logs.search = edit.text().trim().to_owned();
        }
        _ => {}
    }
    Vec::new()
}

/// The scroll offset after an action; `None` if the action does not scroll.
fn scrolled(model: &Model, action: Action, at: usize) -> Option<usize> {
    let half = model.half_page().cast_signed();
    let by = match action {
        Action::Down => 1,
        Action::Up => -1,
        Action::HalfDown => half,
        Action::HalfUp => -half,
        Action::Top => isize::MIN,
        Action::Bottom => isize::MAX,
        _ => return None,
    };
    Some(scroll(at, by, model.scroll_limit))
}

/// Closes a text if the action closes it; otherwise keeps it open.
fn close_or_keep(model: &mut Model, action: Action, overlay: Overlay) -> Vec<Effect> {
    if matches!(action, Action::CloseReader | Action::Back | Action::Quit | Action::Cancel) {
        return close(model, &overlay);
    }
    show(model, overlay)
}

/// Cancels a dialog. Clears a filter or a search that was being typed.
fn close(model: &mut Model, overlay: &Overlay) -> Vec<Effect> {
    // What was wrong in a dialog means nothing once it is closed.
    model.toast = None;
    if overlay.context() == Context::Reader {
        model.find = Find::default();
    }
    let is_over = matches!(
        overlay,
        Overlay::Help { .. }
            | Overlay::Palette { .. }
            | Overlay::Input(InputDialog { purpose: Purpose::Find | Purpose::ChartTime, .. })
    );
    if is_over {
        model.overlay = model.under.take().map(|below| *below);
    }
    if let Overlay::Declare(form) = overlay
        && !form.title.is_selected()
        && !form.title.text().trim().is_empty()
    {
        let alerts = form.alerts.iter().map(|a| a.fingerprint.clone()).collect();
        model.unused_title = Some((alerts, form.title.text().to_owned()));
    }
    if let Overlay::Fields(form) = overlay {
        let typed: Vec<_> = unsent_fields(model.here(), form).collect();
        if !typed.is_empty() {
            model.say(Tone::Plain, format!("“{}” keeps your text.", form.title));
        }
        model.unsent.retain(|u| !typed.iter().any(|t| (t.incident, &t.title) == (u.incident, &u.title)));
        model.unsent.splice(0..0, typed);
    }
    if let Overlay::Input(line) = overlay {
        keep_text(model, line);
        match line.purpose {
            Purpose::Filter => set_filter(model, ""),
            Purpose::Search => model.logs.search.clear(),
            _ => {}
        }
    }
    Vec::new()
}

/// Keeps the text of a dialog that is closed without using it. The dialog has it again when it is opened the next time.
fn keep_text(model: &mut Model, line: &InputDialog) {
    let is_typed = !line.edit.text().trim().is_empty() && line.edit.text() != line.initial;
    if is_typed && !matches!(line.purpose, Purpose::Filter | Purpose::Search | Purpose::Find | Purpose::ChartTime) {
        model.say(Tone::Plain, format!("Closed. “{}” keeps your text.", line.title));
        model.keep_unused(line);
    }
}

/// Handles typing in the help: it filters. While nothing is typed, `j` and `k` scroll, and `q` and `?` close.
fn typed_in_help(model: &mut Model, chord: Chord) -> Vec<Effect> {
    let limit = model.scroll_limit;
    let Some(Overlay::Help { filter, scroll: at }) = &mut model.overlay else { return Vec::new() };
    match chord.code {
        Code::Char('j') if filter.text().is_empty() => *at = scroll(*at, 1, limit),
        Code::Char('k') if filter.text().is_empty() => *at = scroll(*at, -1, limit),
        Code::Char('q' | '?') if filter.text().is_empty() => return close_open(model),
        // The slash begins a filter elsewhere, and no key is found by it.
        Code::Char('/') if filter.text().is_empty() => {}
        _ => {
            if filter.key(chord) {
                *at = 0;
            }
        }
    }
    Vec::new()
}

/// How far a page of a list is, in rows.
const LIST_PAGE: usize = 10;

/// The selected row after an action in a list.
fn move_row(action: Action, selected: usize, length: usize) -> usize {
    match action {
        Action::NextPage => (selected + LIST_PAGE).min(length.saturating_sub(1)),
        Action::PreviousPage => selected.saturating_sub(LIST_PAGE),
        Action::NextChoice => (selected + 1).min(length.saturating_sub(1)),
        Action::PreviousChoice => selected.saturating_sub(1),
        _ => selected,
    }
}

/// Handles the checklist: choosing an item ticks it, or removes the tick.
fn in_checklist(model: &mut Model, action: Action, selected: usize) -> Vec<Effect> {
    let (now, monitor) = (model.now, model.monitor);
    let Some(items) = current(model).map(|i| gates(i, now, monitor)) else { return Vec::new() };
    let selected = move_row(action, selected.min(items.len().saturating_sub(1)), items.len());
    let Some(item) = items.get(selected).filter(|_| action == Action::Choose) else {
        return show(model, Overlay::Checklist { selected });
    };
    if item.check == Check::Automatic || model.read_only {
        if !item.met
            && let Some(effects) = go_to_item(model, item.item)
        {
            return effects;
        }
        let why = if model.read_only {
            "Read-only mode: items cannot be ticked.".to_owned()
        } else {
            format!("warroom checks this itself: {}", item.detail)
        };
        model.say(Tone::Plain, why);
        return show(model, Overlay::Checklist { selected });
    }
    let met = !item.met;
    let command = Command::Tick { item: item.item.to_owned(), met, text: String::new() };
    show(
        model,
        Overlay::Input(command_dialog(
            format!("{}: {}", item.label, if met { "how you know" } else { "why not" }),
            "The timeline records this under your name.",
            command,
        )),
    )
}

/// Goes to where an open item is dealt with. `None` if there is no such place.
fn go_to_item(model: &mut Model, item: &str) -> Option<Vec<Effect>> {
    let action = item_action(item)?;
    if model.read_only && action.spec().changes {
        return None;
    }
    match action {
        Action::Tab6 => {
            let (playbook, number) = current(model).and_then(open_playbook_step)?;
            Some(open_step(model, &playbook, number))
        }
        Action::Tab7 => {
            let card = current(model)?.cards.iter().rposition(|c| c.done_at.is_some());
            let effects = perform::perform(model, action);
            if let (Some(room), Some(card)) = (&mut model.room, card) {
                room.action = card;
            }
            Some(effects)
        }
        _ => Some(perform::perform(model, action)),
    }
}

fn in_palette(model: &mut Model, action: Action, edit: TextField, selected: usize) -> Vec<Effect> {
    let found = palette::items(model, edit.text());
    if action != Action::Choose {
        return show(model, Overlay::Palette { selected: move_row(action, selected, found.len()), edit });
    }
    let Some(item) = found.into_iter().nth(selected) else {
        let words = format!("Nothing matches '{}'.", edit.text());
        model.overlay = Some(Overlay::Palette { edit, selected });
        return say(model, words);
    };
    palette::remember(&mut model.recent, &item.id);
    model.under = None;
    match item.entry {
        Entry::Action { action, place, argument } => {
            let mut effects = match place {
                Some(Place::Board) => go_to_board(model),
                Some(Place::Tab(to)) => tab(model, to),
                None => Vec::new(),
            };
            effects.extend(perform::perform(model, action));
            if !argument.is_empty() {
                effects.extend(typed_for(model, &argument));
            }
            effects
        }
        Entry::Incident(id) => open_room(model, id),
        Entry::Service(service) => {
            let effects = go_to_board(model);
            model.board.pane = Pane::Alerts;
            set_filter(model, &service);
            effects
        }
        Entry::Alert(fingerprint) => {
            let effects = go_to_board(model);
            model.board.pane = Pane::Alerts;
            model.board.select_alert(&fingerprint);
            effects
        }
        Entry::Playbook(id) => open_playbook(model, &id),
        Entry::Evidence(id) => show(model, Overlay::evidence(id, 0, None)),
    }
}

/// Types a text into the dialog that was just opened, without accepting it. In a list, the first word selects a row if only one has it; if
/// that row opens a field, the rest is typed there.
fn typed_for(model: &mut Model, text: &str) -> Vec<Effect> {
    match &mut model.overlay {
        Some(Overlay::Input(dialog)) => {
            // A text that was kept is continued on a line of its own.
            let is_kept = !dialog.edit.text().is_empty() && !dialog.edit.is_selected();
            let text = if is_kept { format!("\n{text}") } else { text.to_owned() };
            if dialog.edit.insert(&text).is_ok() {
                return text_changed(model);
            }
        }
        Some(Overlay::List(list)) => {
            let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
            let has_word = |row: &super::super::overlay::Row| row.label.to_lowercase().contains(&word.to_lowercase());
            let mut matching = list.rows.iter().enumerate().filter(|(_, row)| has_word(row)).map(|(n, _)| n);
            match (matching.next(), matching.next()) {
                (Some(only), None) => {
                    list.selected = only;
                    let opens_field = list.rows.get(only).is_some_and(|row| matches!(row.next, Next::Input(_)));
                    if !rest.is_empty() && !opens_field {
                        return say(model, format!("'{rest}' was not used: this row takes no text."));
                    }
                    if !rest.is_empty() {
                        let mut effects = perform(model, Action::Choose, Chord::plain(Code::Enter));
                        effects.extend(typed_for(model, rest));
                        return effects;
                    }
                }
                (Some(_), Some(_)) if rest.is_empty() => {
                    let _too_long = list.filter.insert(word);
                }
                _ => return say(model, format!("Nothing here is called '{word}'. Choose a row.")),
            }
        }
        _ => return say(model, format!("'{text}' was not used: this command takes no text.")),
    }
    Vec::new()
}

/// Whether the text of a command is, or begins with, the name of a person, or may have one behind `@`.
fn takes_name(command: &Command) -> bool {
    match command {
        Command::Assign { .. } | Command::Task { .. } | Command::AddAction(_) => true,
        Command::ChangeAction { change, .. } => change.owner.is_some(),
        _ => false,
    }
}

/// Completes the name of a person at the end of the text. In an action item, names follow `@`.
fn complete_name(model: &Model, dialog: &mut InputDialog, needs_at: bool) {
    let typed = dialog.edit.text();
    let start = typed.rmatch_indices(char::is_whitespace).next().map_or(0, |(at, space)| at + space.len());
    let word = typed.get(start..).unwrap_or_default();
    let (sign, prefix) = word.strip_prefix('@').map_or(("", word), |name| ("@", name));
    if needs_at && sign.is_empty() || !dialog.edit.parts().1.is_empty() {
        return;
    }
    let begins = |name: &str| {
        let mut letters = name.chars().flat_map(char::to_lowercase);
        prefix.chars().flat_map(char::to_lowercase).all(|c| letters.next() == Some(c))
    };
    let found: Vec<String> = people(model).into_iter().filter(|p| begins(p)).collect();
    let Some(first) = found.first() else {
        dialog.hint = format!("No known name begins with “{prefix}”.");
        return;
    };
    let shared = |a: &str, b: &str| a.chars().zip(b.chars()).take_while(|(a, b)| a.to_lowercase().eq(b.to_lowercase())).count();
    let common = found.iter().map(|other| shared(first, other)).min().unwrap_or(0);
    let name: String = first.chars().take(common.max(prefix.chars().count())).collect();
    let text = format!("{}{sign}{name}", typed.get(..start).unwrap_or_default());
    if found.len() > 1 {
        dialog.hint = found.join("  ");
    }
    dialog.edit = TextField::with(text).with_lines(dialog.edit.is_multiline());
}

/// Completes a slash command: the only candidate, or as much as all have in common; the hint lists them.
fn complete(model: &Model, dialog: &mut InputDialog) {
    if let Purpose::Command(command) = &dialog.purpose {
        if takes_name(command) {
            complete_name(model, dialog, matches!(**command, Command::AddAction(_)));
        }
        return;
    }
    if dialog.purpose == Purpose::ActionItem {
        complete_name(model, dialog, true);
    }
    if !matches!(dialog.purpose, Purpose::Question(_)) {
        return;
    }
    let threads = current(model).map(crate::incident::Incident::threads).unwrap_or_default();
    let known = Known {
        prompts: model.prompts.iter().map(String::as_str).collect(),
        personas: model.prompts.iter().map(String::as_str).collect(),
        models: model.model_names.iter().map(String::as_str).collect(),
        threads: threads.iter().map(|t| t.name.as_str()).collect(),
    };
    let found = completions(dialog.edit.text(), &known);
    let Some(first) = found.first() else { return };
    let common = found.iter().fold(first.as_str(), |common, other| {
        let same = common.char_indices().zip(other.chars()).find(|((_, a), b)| a != b).map(|((at, _), _)| at);
        common.get(..same.unwrap_or(common.len().min(other.len()))).unwrap_or(common)
    });
    let text = if found.len() == 1 { format!("{first} ") } else { common.to_owned() };
    if found.len() > 1 {
        let words: Vec<&str> = found.iter().filter_map(|f| f.rsplit(' ').next()).collect();
        dialog.hint = words.join("  ");
    }
    dialog.edit = TextField::with(text).with_lines(dialog.edit.is_multiline());
}

fn in_input(model: &mut Model, action: Action, mut dialog: InputDialog) -> Vec<Effect> {
    match action {
        Action::Submit => {
            let effects = submit(model, &dialog);
            // Remember the dialog, so that it opens again if the command is refused.
            if let [effect @ Effect::Run { .. }] = effects.as_slice() {
                model.sent = Some((effect.clone(), Overlay::Input(dialog)));
            }
            effects
        }
        Action::EditText => {
            let effect = Effect::Editor { text: dialog.edit.text().to_owned(), is_kept: true };
            model.overlay = Some(Overlay::Input(dialog));
            vec![effect]
        }
        Action::Complete if dialog.purpose == Purpose::Query => metric::complete_query(model, dialog),
        Action::Complete => {
            complete(model, &mut dialog);
            show(model, Overlay::Input(dialog))
        }
        Action::NewLine => {
            if dialog.edit.is_multiline() && dialog.edit.insert("\n").is_err() {
                model.say(Tone::Bad, format!("No line added: a text can have at most {} KiB.", MAX / 1024));
            }
            show(model, Overlay::Input(dialog))
        }
        Action::Recall | Action::RecallNext if dialog.edit.is_multiline() => {
            dialog.edit.move_row(action == Action::Recall, input_width(model.size.0));
            show(model, Overlay::Input(dialog))
        }
        Action::Recall | Action::RecallNext => {
            let history = match dialog.purpose {
                Purpose::Filter => Some(&model.logs.filters),
                Purpose::Search => Some(&model.logs.searches),
                Purpose::Query => Some(&model.queries),
                _ => None,
            };
            let recalled = history.and_then(|r| r.step(dialog.edit.text(), action == Action::Recall)).map(str::to_owned);
            if let Some(text) = recalled {
                dialog = dialog.with_text(TextField::with(text));
            }
            model.overlay = Some(Overlay::Input(dialog));
            text_changed(model)
        }
        _ => show(model, Overlay::Input(dialog)),
    }
}

/// Sets the filter of the view that is open.
fn set_filter(model: &mut Model, text: &str) {
    match (model.screen, &mut model.room) {
        (Screen::Board, _) => {
            text.clone_into(&mut model.board.filter);
            model.board.rebuild_rows();
        }
        (Screen::Room, Some(room)) if room.tab == Tab::Logs => {
            text.clone_into(&mut model.logs.filter);
            model.logs.reselect();
        }
        (Screen::Room, Some(room)) => text.clone_into(&mut room.filter),
        (Screen::Room, None) => {}
    }
}

/// Carries out the purpose of a submitted text.
#[expect(clippy::too_many_lines, reason = "one arm per purpose")]
fn submit(model: &mut Model, line: &InputDialog) -> Vec<Effect> {
    let text = line.edit.text().trim();
    match &line.purpose {
        Purpose::Filter => {
            set_filter(model, text);
            model.logs.filters.push(text);
            Vec::new()
        }
        Purpose::Search => {
            if let Some(why) = Filter::invalid_regex_note(text) {
                return reopen(model, line, &why);
            }
            text.clone_into(&mut model.logs.search);
            model.logs.searches.push(text);
            if text.is_empty() { Vec::new() } else { search_from_here(model) }
        }
        Purpose::Question(_) if text.is_empty() => say(model, "Nothing asked, because the text was empty."),
        Purpose::Question(base) => match question_typed(model, base, text) {
            Ok(effects) => effects,
            Err(why) => reopen(model, line, &why),
        },
        Purpose::Silence { .. } | Purpose::ExtendSilence { .. } | Purpose::ExpireSilence { .. } => {
            match silences::submitted(&line.purpose, text) {
                Ok(effect @ Effect::Silence(SilenceEffect::Plan(_))) => vec![effect],
                Ok(effect) => write(model, effect),
                Err(why) => reopen(model, line, &why),
            }
        }
        Purpose::SendText(_) | Purpose::SendTarget(_) | Purpose::SendOverride(_) => {
            match updates::submitted(model, &line.purpose, text) {
                Ok(effects) => effects,
                Err(why) => reopen(model, line, &why),
            }
        }
        Purpose::Value { .. } if text.is_empty() => reopen(model, line, "A value is required."),
        Purpose::Value { call, name } => value_given(model, call.clone(), name, text),
        Purpose::SkipStep { .. } if text.is_empty() => say(model, "Nothing skipped, because there was no reason."),
        Purpose::SkipStep { playbook, step } => {
            let (playbook, step, reason) = (playbook.clone(), *step, text.to_owned());
            with_id(model, |m, id| write(m, Effect::Step(StepEffect::Skip { id, playbook, step, reason })))
        }
        Purpose::Variable => match value_typed(model, text) {
            Ok(()) => Vec::new(),
            Err(why) => reopen(model, line, &why),
        },
        Purpose::Find => {
            model.find = Find { text: text.to_lowercase(), lines: Vec::new(), jumps: !text.is_empty() };
            model.overlay = model.under.take().map(|below| *below);
            Vec::new()
        }
        Purpose::ChartTime => match metric::go_to_time(model, text) {
            Ok(()) => Vec::new(),
            Err(why) => reopen(model, line, &why),
        },
        Purpose::ActionItem if text.is_empty() => say(model, "Nothing added, because the text was empty."),
        Purpose::ActionItem => match choose_action_kind(model, text) {
            Ok(effects) => {
                // Until the purpose is chosen.
                model.keep_unused(line);
                effects
            }
            Err(why) => reopen(model, line, &why),
        },
        Purpose::Query if text.is_empty() => Vec::new(),
        Purpose::Query => metric::query_typed(model, text),
        Purpose::SaveLines(_) if text.is_empty() => say(model, "Nothing saved, because the path was empty."),
        Purpose::SaveLines(lines) => {
            vec![Effect::SaveLines { path: text.to_owned(), text: lines.clone(), replace: false }]
        }
        Purpose::ExportPath if text.is_empty() => say(model, "Nothing exported, because the path was empty."),
        Purpose::ExportPath => match model.room.as_ref().map(|r| r.id) {
            Some(id) => vec![Effect::Export { id, path: text.to_owned(), replace: false }],
            None => Vec::new(),
        },
        Purpose::NoteAt => {
            let resolved = moment_and_text(text)
                .and_then(|(moment, note)| Ok((moment.resolve(model.now).map_err(|e| e.to_string())?, note.to_owned())));
            match resolved {
                Ok((at, text)) => run_at(model, Command::Note { text, kind: NoteKind::Observation }, Some(at)),
                Err(why) => reopen(model, line, &why),
            }
        }
        Purpose::Command(command) if text.is_empty() && !may_be_empty(command) => {
            let close = model.key(Action::Back);
            model.say(Tone::Bad, format!("The text is empty. {close} closes this without a change."));
            show(model, Overlay::Input(line.clone()))
        }
        Purpose::Command(command) => match fill((**command).clone(), text, model.now.datetime().date()) {
            Ok(Command::Page { name, text }) => match model.room.as_ref().map(|r| r.id) {
                Some(id) => vec![Effect::PreparePage { id, name, text }],
                None => Vec::new(),
            },
            Ok(command) => match command.checked() {
                Ok(command) => match unknown_holder(model, &command) {
                    Some(dialog) => {
                        // If the answer is no, the name can be corrected.
                        model.keep_unused(line);
                        show(model, Overlay::Confirm(dialog))
                    }
                    None => run(model, command),
                },
                Err(refusal) => reopen(model, line, &refusal.failure().line()),
            },
            Err(why) => reopen(model, line, &why),
        },
    }
}

/// Asks whether a role really goes to a person who is not known here; `None` if the command does not do that.
fn unknown_holder(model: &Model, command: &Command) -> Option<Box<ConfirmDialog>> {
    let Command::Assign { role, holder } = command else { return None };
    let id = model.room.as_ref()?.id;
    let known = people(model);
    if known.iter().any(|k| k.eq_ignore_ascii_case(holder)) {
        return None;
    }
    let nearest = crate::telemetry::words::nearest(holder, known.iter().map(String::as_str));
    let hint = nearest.map(|n| format!(" Did you mean {n}?")).unwrap_or_default();
    let lines = vec![format!("“{holder}” is not known in this incident.{hint} Assign the role anyway?")];
    let effect = Effect::Run { id, command: Box::new(command.clone()), at: None };
    Some(ConfirmDialog::new(format!("Assign {holder}: {}?", role.title()), lines, effect))
}

/// Whether the text of a command may be empty: the result of an action item or a mitigation, and who approved it.
fn may_be_empty(command: &Command) -> bool {
    match command {
        Command::CompleteAction { .. } => true,
        Command::ChangeMitigation { state, .. } => *state != CardState::Dropped,
        _ => false,
    }
}

/// Opens the input dialog again with the text as typed and the reason as its hint.
fn reopen(model: &mut Model, line: &InputDialog, why: &str) -> Vec<Effect> {
    model.say(Tone::Bad, why);
    show(model, Overlay::Input(InputDialog { hint: why.to_owned(), ..line.clone() }))
}

fn in_list(model: &mut Model, action: Action, list: ListDialog) -> Vec<Effect> {
    let shown = list.shown().len();
    if action == Action::Choose {
        return choose_row(model, &list, list.selected);
    }
    show(model, Overlay::List(ListDialog { selected: move_row(action, list.selected, shown), ..list }))
}

/// Handles typing in a list: a digit chooses a row as long as the filter is empty, anything else edits the filter.
fn typed_in_list(model: &mut Model, chord: Chord) -> Vec<Effect> {
    let Some(Overlay::List(mut list)) = model.overlay.take() else { return Vec::new() };
    let digit = match chord {
        Chord { code: Code::Char(c), ctrl: false, alt: false } if list.filter.text().is_empty() => c.to_digit(10),
        _ => None,
    };
    let row = digit.and_then(|d| usize::try_from(d).ok()).and_then(|d| d.checked_sub(1)).filter(|r| *r < list.rows.len());
    if let Some(row) = row {
        return choose_row(model, &list, row);
    }
    if list.filter.key(chord) {
        list.selected = 0;
    }
    show(model, Overlay::List(list))
}

fn choose_row(model: &mut Model, list: &ListDialog, row: usize) -> Vec<Effect> {
    let Some(next) = list.shown().get(row).map(|r| r.next.clone()) else {
        model.overlay = Some(Overlay::List(list.clone()));
        return say(model, format!("No row matches '{}'.", list.filter.text()));
    };
    match next {
        Next::Run(command) => {
            if matches!(*command, Command::AddAction(_)) {
                let here = model.here();
                model.unused.retain(|(room, dialog)| *room != here || dialog.purpose != Purpose::ActionItem);
            }
            run(model, *command)
        }
        Next::RunOn(id, command) => run_on(model, id, *command),
        Next::Input(line) => show(model, Overlay::Input(*line)),
        Next::List(list) => show(model, Overlay::List(*list)),
        Next::Confirm(dialog) => show(model, Overlay::Confirm(dialog)),
        Next::Status(to) => change_status(model, to),
        Next::Act(action) => perform::perform(model, action),
        Next::Finding(place) => go_to_finding(model, place),
        Next::Playbook(id) => open_playbook(model, &id),
        Next::PlaybookStep(id, number) => open_step(model, &id, number),
        Next::Form(form) => show(model, Overlay::Fields(form)),
        Next::Effect(effect) => {
            if let Effect::Copy(_) = *effect {
                model.say(Tone::Good, perform::COPIED);
            }
            vec![*effect]
        }
        Next::Show(overlay) => show(model, *overlay),
        Next::Thread(name) => show_thread(model, name),
        Next::AskIn(name) => {
            let base = Question { thread: Some(name.clone()), ..Question::default() };
            open_question(model, format!("Ask in {name}"), base, String::new())
        }
        Next::Column(name) => fields::toggle_column(model, &name),
        Next::FilterTerm(term) => fields::add_filter_term(model, &term),
        Next::Text(title, text) => show(model, Overlay::Text { title, text, scroll: 0 }),
    }
}

fn in_confirmation(model: &mut Model, action: Action, mut dialog: Box<ConfirmDialog>) -> Vec<Effect> {
    if let Some(by) = match action {
        Action::ReadOn => Some(1),
        Action::ReadBack => Some(-1),
        _ => None,
    } {
        dialog.scroll = scroll(dialog.scroll, by, model.scroll_limit);
        return show(model, Overlay::Confirm(dialog));
    }
    let wants_yes = matches!(action, Action::Yes) || matches!(action, Action::ConfirmAnswer) && dialog.yes;
    if wants_yes && dialog.must_be_read && dialog.scroll < model.scroll_limit {
        // What was not seen as a whole is not confirmed.
        let text = format!("Scroll to the end first. Press {} to scroll down.", model.key(Action::ReadOn));
        model.say(Tone::Bad, text);
        return show(model, Overlay::Confirm(dialog));
    }
    let runs = matches!(dialog.effect, Effect::Step(StepEffect::Run(..)) | Effect::Custom(CustomEffect::Run(..)));
    if wants_yes && runs && model.running.is_some() {
        model.say(Tone::Bad, "Another script is still running.");
        return show(model, Overlay::Confirm(dialog));
    }
    let is_confirmed = match action {
        Action::Yes => true,
        Action::ConfirmAnswer => dialog.yes,
        Action::No => false,
        Action::SwitchAnswer => {
            dialog.yes = !dialog.yes;
            return show(model, Overlay::Confirm(dialog));
        }
        _ => return show(model, Overlay::Confirm(dialog)),
    };
    if is_confirmed && matches!(&dialog.effect, Effect::Run { command, .. } if matches!(**command, Command::Assign { .. })) {
        // The name that led here is used.
        let here = model.room.as_ref().map(|r| r.id);
        let is_assigning = |d: &InputDialog| matches!(&d.purpose, Purpose::Command(c) if matches!(**c, Command::Assign { .. }));
        model.unused.retain(|(room, dialog)| *room != here || !is_assigning(dialog));
    }
    match (is_confirmed, dialog.effect) {
        // What was typed is open again: "no" often means that something is to be changed.
        (false, Effect::Send(SendEffect::Send(call, ..))) => updates::edit_again(model, *call),
        (false, _) => Vec::new(),
        (
            true,
            effect @ (Effect::Run { .. }
            | Effect::Declare { .. }
            | Effect::Step(StepEffect::Run(..))
            | Effect::Custom(CustomEffect::Run(..))
            | Effect::Silence(SilenceEffect::Create(..))
            | Effect::Send(SendEffect::Send(..))),
        ) => write(model, effect),
        (true, effect) => vec![effect],
    }
}

/// Handles an action in a form with several text fields.
fn in_fields(model: &mut Model, action: Action, chord: Chord, mut form: Box<FieldsForm>) -> Vec<Effect> {
    match action {
        Action::SubmitForm => return mitigation::submit(model, form),
        Action::NextField | Action::NextSeverity => form.step(true),
        Action::PreviousField | Action::PreviousSeverity => form.step(false),
        // A key that means something else in other forms is typed.
        _ => {
            if let Some(field) = form.focused() {
                field.edit.key(chord);
            }
        }
    }
    show(model, Overlay::Fields(form))
}

fn in_declaration(model: &mut Model, action: Action, chord: Chord, mut form: Box<DeclareForm>) -> Vec<Effect> {
    let severity = |by: isize| {
        let place = Severity::ALL.iter().position(|s| *s == form.severity).unwrap_or(0);
        Severity::ALL.get(place.saturating_add_signed(by)).copied().unwrap_or(form.severity)
    };
    match action {
        Action::SubmitForm => {
            if form.title.text().trim().is_empty() {
                model.say(Tone::Bad, "The title is empty. Describe the problem in a few words.");
                form.field = DeclareField::Title;
                return show(model, Overlay::Declare(form));
            }
            model.unused_title = None;
            let effect = Effect::Declare {
                title: form.title.text().trim().to_owned(),
                severity: form.severity,
                reason: (form.severity == form.proposed && !form.alerts.is_empty()).then(|| form.reason.clone()),
                alerts: form.alerts,
                is_commander: form.is_commander,
            };
            return write(model, effect);
        }
        Action::NextField => form.field = form.field.step(true),
        Action::PreviousField => form.field = form.field.step(false),
        Action::NextSeverity => form.severity = severity(1),
        Action::PreviousSeverity => form.severity = severity(-1),
        Action::Toggle if form.field == DeclareField::Commander => form.is_commander = !form.is_commander,
        // In the title, the key is typed.
        Action::Toggle if form.field == DeclareField::Title => {
            form.title.key(chord);
        }
        _ => {}
    }
    show(model, Overlay::Declare(form))
}
