//! Keys while something lies over the screen.

use super::super::chord::{Chord, Code};
use super::super::edit::LineEdit;
use super::super::model::{Model, Screen, Tone};
use super::super::msg::Effect;
use super::super::overlay::{Choice, DeclareForm, Overlay, Purpose, palette};
use super::super::room::Tab;
use super::current;
use super::perform::{act, ask, perform};
use crate::incident::{IncidentId, NoteKind, Severity, Status};
use crate::telemetry::Timestamp;

/// Takes a key; an overlay that stays is put back.
pub(super) fn pressed(model: &mut Model, chord: Chord) -> Vec<Effect> {
    let Some(overlay) = model.overlay.take() else { return Vec::new() };
    if chord == Chord::plain(Code::Esc) {
        return closed(model, &overlay);
    }
    match overlay {
        Overlay::Help { scroll } => {
            let scroll = scrolled(scroll, chord, model.half_page());
            keep(model, chord, scroll.map(|scroll| Overlay::Help { scroll }))
        }
        Overlay::Text { title, text, scroll } => {
            let scroll = scrolled(scroll, chord, model.half_page());
            keep(model, chord, scroll.map(|scroll| Overlay::Text { title, text, scroll }))
        }
        Overlay::Evidence { id, scroll } => {
            if chord == Chord::plain(Code::Char('y')) {
                let query = current(model).and_then(|i| i.evidence(id)).map(|e| e.query.clone());
                model.overlay = Some(Overlay::Evidence { id, scroll });
                model.say(Tone::Good, "the query is copied");
                return query.map(Effect::Copy).into_iter().collect();
            }
            let scroll = scrolled(scroll, chord, model.half_page());
            keep(model, chord, scroll.map(|scroll| Overlay::Evidence { id, scroll }))
        }
        Overlay::Palette { edit, selected } => palette_key(model, chord, edit, selected),
        Overlay::Line { title, mut edit, purpose, hint } => {
            if chord == Chord::plain(Code::Enter) {
                return submit(model, purpose, edit.text().trim());
            }
            edit.key(chord);
            model.overlay = Some(Overlay::Line { title, edit, purpose, hint });
            changed(model)
        }
        Overlay::Choose { title, rows, selected, choice } => {
            if chord == Chord::plain(Code::Enter) {
                return chosen(model, &choice, selected);
            }
            let selected = moved(selected, chord, rows.len());
            model.overlay = Some(Overlay::Choose { title, rows, selected, choice });
            Vec::new()
        }
        Overlay::Declare(form) => declare_key(model, chord, form),
        Overlay::Confirm { title, lines, yes, effect } => match chord.code {
            Code::Char('y' | 'Y') => confirmed(model, *effect),
            Code::Enter if yes => confirmed(model, *effect),
            Code::Char('n' | 'N' | 'q') | Code::Enter => Vec::new(),
            Code::Left | Code::Right | Code::Tab | Code::Char('h' | 'l') => {
                model.overlay = Some(Overlay::Confirm { title, lines, yes: !yes, effect });
                Vec::new()
            }
            _ => {
                model.overlay = Some(Overlay::Confirm { title, lines, yes, effect });
                Vec::new()
            }
        },
    }
}

fn confirmed(model: &mut Model, effect: Effect) -> Vec<Effect> {
    if effect == Effect::Quit { vec![Effect::Quit] } else { act(model, effect) }
}

/// Esc: goes back, destroys nothing. A filter that was being typed is taken away again.
fn closed(model: &mut Model, overlay: &Overlay) -> Vec<Effect> {
    if let Overlay::Line { purpose: Purpose::Filter, .. } = overlay {
        set_filter(model, "");
    }
    Vec::new()
}

/// An unhandled key of a text closes it when it is `q` or `?`, else nothing happens.
fn keep(model: &mut Model, chord: Chord, overlay: Option<Overlay>) -> Vec<Effect> {
    let closes = matches!(chord.code, Code::Char('q' | '?') | Code::Enter);
    if !closes {
        model.overlay = overlay;
    }
    Vec::new()
}

#[allow(clippy::unnecessary_wraps, reason = "the callers map over it")]
fn scrolled(scroll: usize, chord: Chord, half: usize) -> Option<usize> {
    Some(match (chord.code, chord.ctrl) {
        (Code::Down | Code::Char('j'), false) => scroll.saturating_add(1),
        (Code::Up | Code::Char('k'), false) => scroll.saturating_sub(1),
        (Code::PageDown, _) | (Code::Char('d'), true) | (Code::Char(' '), false) => scroll.saturating_add(half),
        (Code::PageUp, _) | (Code::Char('u'), true) => scroll.saturating_sub(half),
        (Code::Home | Code::Char('g'), false) => 0,
        (Code::End | Code::Char('G'), false) => usize::MAX / 2,
        _ => scroll,
    })
}

fn moved(selected: usize, chord: Chord, length: usize) -> usize {
    match chord.code {
        Code::Down | Code::Char('j') | Code::Tab => (selected + 1).min(length.saturating_sub(1)),
        Code::Up | Code::Char('k') | Code::BackTab => selected.saturating_sub(1),
        Code::Char(c) => {
            c.to_digit(10).and_then(|d| usize::try_from(d).ok()).filter(|d| (1..=length).contains(d)).map_or(selected, |d| d - 1)
        }
        _ => selected,
    }
}

fn palette_key(model: &mut Model, chord: Chord, mut edit: LineEdit, selected: usize) -> Vec<Effect> {
    let contexts = model.contexts();
    match chord.code {
        Code::Enter => match palette(edit.text(), &contexts).get(selected) {
            Some(spec) => perform(model, spec.action),
            None => {
                model.say(Tone::Plain, format!("no command is like '{}'", edit.text()));
                Vec::new()
            }
        },
        Code::Down | Code::Up | Code::Tab | Code::BackTab => {
            let length = palette(edit.text(), &contexts).len();
            model.overlay = Some(Overlay::Palette { selected: moved(selected, chord, length), edit });
            Vec::new()
        }
        _ => {
            edit.key(chord);
            model.overlay = Some(Overlay::Palette { edit, selected: 0 });
            Vec::new()
        }
    }
}

/// After a text has changed: a filter acts while it is typed.
pub(super) fn changed(model: &mut Model) -> Vec<Effect> {
    if let Some(Overlay::Line { edit, purpose: Purpose::Filter, .. }) = &model.overlay {
        let text = edit.text().to_owned();
        set_filter(model, &text);
    }
    Vec::new()
}

fn set_filter(model: &mut Model, text: &str) {
    match (model.screen, &mut model.room) {
        (Screen::Board, _) => {
            text.clone_into(&mut model.board.filter);
            model.board.lay_out();
        }
        (Screen::Room, Some(room)) if room.tab == Tab::Logs => text.clone_into(&mut model.logs.filter),
        (Screen::Room, Some(room)) => text.clone_into(&mut room.filter),
        (Screen::Room, None) => {}
    }
}

fn submit(model: &mut Model, purpose: Purpose, text: &str) -> Vec<Effect> {
    if purpose == Purpose::Filter {
        set_filter(model, text);
        return Vec::new();
    }
    let Some(id) = model.room.as_ref().map(|r| r.id) else { return Vec::new() };
    if text.is_empty() {
        model.say(Tone::Plain, "nothing was typed, nothing was written");
        return Vec::new();
    }
    let text = text.to_owned();
    let effect = match purpose {
        Purpose::Note(kind) => Effect::Note { id, text, kind, at: None },
        Purpose::NoteAt => match note_at(model, id, &text) {
            Some(effect) => effect,
            None => {
                model.say(Tone::Bad, "begin with a time such as 09:27, then the text");
                return Vec::new();
            }
        },
        Purpose::SeverityReason(to) => Effect::SetSeverity { id, to, reason: text },
        Purpose::Override(to) => Effect::SetStatus { id, to, reason: Some(text) },
        Purpose::ReopenReason => Effect::Reopen { id, reason: text },
        Purpose::Holder(role) => Effect::Assign { id, role, holder: text },
        Purpose::ActionText(kind) => Effect::AddAction { id, text, kind },
        Purpose::Question => return ask(model, text),
        Purpose::ExportPath => return vec![Effect::Export { id, path: text }],
        Purpose::Correction(seq) => Effect::Correct { id, seq, text },
        Purpose::Filter => return Vec::new(),
    };
    act(model, effect)
}

/// `09:27 text`, `09:27:30 text` (the last such time of day, in the zone of the screen) or an RFC 3339 time.
fn note_at(model: &Model, id: IncidentId, text: &str) -> Option<Effect> {
    let (when, rest) = text.split_once(' ')?;
    let at = match Timestamp::parse(when) {
        Ok(at) if when.contains('T') => at,
        _ => {
            let mut parts = when.split(':');
            let hour = parts.next()?.parse().ok()?;
            let minute = parts.next()?.parse().ok()?;
            let second = parts.next().map_or(Ok(0), str::parse).ok()?;
            let clock = time::Time::from_hms(hour, minute, second).ok()?;
            let here = model.now.datetime().to_offset(model.offset);
            let today = Timestamp::from(here.replace_time(clock));
            if today > model.now { today - std::time::Duration::from_secs(86_400) } else { today }
        }
    };
    Some(Effect::Note { id, text: rest.trim().to_owned(), kind: NoteKind::Observation, at: Some(at) })
        .filter(|_| !rest.trim().is_empty())
}

fn chosen(model: &mut Model, choice: &Choice, selected: usize) -> Vec<Effect> {
    let ask_line = |model: &mut Model, title: String, purpose: Purpose, hint: &str, text: String| {
        model.overlay = Some(Overlay::Line { title, edit: LineEdit::with(text), purpose, hint: hint.to_owned() });
        Vec::new()
    };
    match choice {
        Choice::Severity(all) => match all.get(selected) {
            Some(to) => {
                ask_line(model, format!("{to}: why"), Purpose::SeverityReason(*to), "a reason is required", String::new())
            }
            None => Vec::new(),
        },
        Choice::Role(all) => match all.get(selected) {
            Some(role) => {
                let user = model.user.clone();
                ask_line(model, format!("{}: who", role.title()), Purpose::Holder(*role), "a second holder is a hand-over", user)
            }
            None => Vec::new(),
        },
        Choice::ActionKind(all) => match all.get(selected) {
            Some(kind) => {
                let hint = "begin with a verb; say how one knows that it is done";
                ask_line(model, format!("Action item to {}", kind.word()), Purpose::ActionText(*kind), hint, String::new())
            }
            None => Vec::new(),
        },
        Choice::Status(all) => match (all.get(selected), model.room.as_ref().map(|r| r.id)) {
            (Some(Status::Resolved), _) => perform(model, super::super::Action::Resolve),
            (Some(to), Some(id)) => act(model, Effect::SetStatus { id, to: *to, reason: None }),
            _ => Vec::new(),
        },
        Choice::LinkTo(ids, prints) => match ids.get(selected) {
            Some(id) => act(model, Effect::Link(*id, prints.clone())),
            None => Vec::new(),
        },
    }
}

fn declare_key(model: &mut Model, chord: Chord, mut form: Box<DeclareForm>) -> Vec<Effect> {
    match chord.code {
        Code::Enter => {
            if form.title.text().trim().is_empty() {
                model.say(Tone::Bad, "say in a few words what is wrong");
                form.field = 0;
                model.overlay = Some(Overlay::Declare(form));
                return Vec::new();
            }
            let effect = Effect::Declare {
                title: form.title.text().trim().to_owned(),
                severity: form.severity,
                alerts: form.alerts,
                is_commander: form.is_commander,
            };
            return act(model, effect);
        }
        Code::Tab => form.field = (form.field + 1) % 3,
        Code::BackTab => form.field = (form.field + 2) % 3,
        Code::Up | Code::Down => {
            let place = Severity::ALL.iter().position(|s| *s == form.severity).unwrap_or(0);
            let place = if chord.code == Code::Up { place.saturating_sub(1) } else { (place + 1).min(4) };
            form.severity = Severity::ALL.get(place).copied().unwrap_or(form.severity);
        }
        Code::Char(' ') if form.field == 2 => form.is_commander = !form.is_commander,
        Code::Char(c) if form.field == 1 => {
            if let Some(severity) = c.to_digit(10).and_then(|d| d.to_string().parse().ok()) {
                form.severity = severity;
            }
        }
        _ if form.field == 0 => {
            form.title.key(chord);
        }
        _ => {}
    }
    model.overlay = Some(Overlay::Declare(form));
    Vec::new()
}
