//! Keys while something lies over the screen.

use super::super::chord::{Chord, Code};
use super::super::edit::LineEdit;
use super::super::model::{Model, Screen, Tone};
use super::super::msg::{Effect, ImpactPart};
use super::super::overlay::{Choice, DeclareForm, Overlay, Purpose, palette};
use super::super::room::Tab;
use super::choose::{move_status, proposed_severity};
use super::current;
use super::go::go_to_finding;
use super::logs::search_from_here;
use super::perform::{act, ask, perform};
use crate::incident::gate::{Check, gates};
use crate::incident::{ActionChange, ActionState, FoundBy, IncidentId, NextUpdate, NoteKind, Severity, Status};
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
            if chord == Chord::plain(Code::Char('y')) {
                let copied = text.clone();
                model.overlay = Some(Overlay::Text { title, text, scroll });
                model.say(Tone::Good, "copied (by OSC 52; tmux needs set-clipboard on)");
                return vec![Effect::Copy(copied)];
            }
            let scroll = scrolled(scroll, chord, model.half_page());
            keep(model, chord, scroll.map(|scroll| Overlay::Text { title, text, scroll }))
        }
        Overlay::Evidence { id, scroll, at } => {
            if chord == Chord::plain(Code::Char('y')) {
                let query = current(model).and_then(|i| i.evidence(id)).map(|e| e.query.clone());
                model.overlay = Some(Overlay::Evidence { id, scroll, at });
                model.say(Tone::Good, "the query is copied");
                return query.map(Effect::Copy).into_iter().collect();
            }
            let scroll = scrolled(scroll, chord, model.half_page());
            keep(model, chord, scroll.map(|scroll| Overlay::Evidence { id, scroll, at }))
        }
        Overlay::Gates { selected } => gates_key(model, chord, selected),
        Overlay::Palette { edit, selected } => palette_key(model, chord, edit, selected),
        Overlay::Line { title, mut edit, purpose, hint } => {
            if chord == Chord::plain(Code::Enter) {
                let effects = submit(model, purpose.clone(), edit.text().trim());
                // Should it be refused, the words come back.
                if let [effect] = effects.as_slice() {
                    model.sent = Some((effect.clone(), Overlay::Line { title, edit, purpose, hint }));
                }
                return effects;
            }
            if let Some(text) = recalled(model, &purpose, edit.text(), chord) {
                edit = LineEdit::with(text);
            } else {
                edit.key(chord);
            }
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

/// What was filtered by or searched for before, by the arrows.
fn recalled(model: &Model, purpose: &Purpose, now: &str, chord: Chord) -> Option<String> {
    let back = match chord.code {
        Code::Up => true,
        Code::Down => false,
        _ => return None,
    };
    let recall = match purpose {
        Purpose::Filter => &model.logs.filters,
        Purpose::Search => &model.logs.searches,
        _ => return None,
    };
    recall.step(now, back).map(str::to_owned)
}

/// Keys of the checklist: ⏎ ticks what only people can see, or takes the tick away.
fn gates_key(model: &mut Model, chord: Chord, selected: usize) -> Vec<Effect> {
    let (now, monitor) = (model.now, model.monitor);
    let Some(items) = current(model).map(|i| gates(i, now, monitor)) else { return Vec::new() };
    let selected = moved(selected.min(items.len().saturating_sub(1)), chord, items.len());
    if matches!(chord.code, Code::Char('q' | 'K')) {
        return Vec::new();
    }
    let Some(item) = items.get(selected).filter(|_| chord == Chord::plain(Code::Enter)) else {
        model.overlay = Some(Overlay::Gates { selected });
        return Vec::new();
    };
    if item.check == Check::Automatic || model.read_only {
        let why = if model.read_only {
            "read-only: ticking is off".to_owned()
        } else {
            format!("warroom checks this itself: {}", item.detail)
        };
        model.say(Tone::Plain, why);
        model.overlay = Some(Overlay::Gates { selected });
        return Vec::new();
    }
    let met = !item.met;
    model.overlay = Some(Overlay::Line {
        title: format!("{}: {}", item.label, if met { "how do you know" } else { "why not" }),
        edit: LineEdit::default(),
        purpose: Purpose::Tick { item: item.item, met },
        hint: "goes to the timeline with your name".to_owned(),
    });
    Vec::new()
}

fn confirmed(model: &mut Model, effect: Effect) -> Vec<Effect> {
    if effect == Effect::Quit { vec![Effect::Quit] } else { act(model, effect) }
}

/// Esc: goes back, destroys nothing. A filter that was being typed is taken away again.
fn closed(model: &mut Model, overlay: &Overlay) -> Vec<Effect> {
    if let Overlay::Line { purpose: Purpose::Filter, .. } = overlay {
        set_filter(model, "");
    }
    if let Overlay::Line { purpose: Purpose::Search, .. } = overlay {
        model.logs.search.clear();
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
    if let Some(Overlay::Line { edit, purpose: Purpose::Search, .. }) = &model.overlay {
        model.logs.search = edit.text().trim().to_owned();
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
        model.logs.filters.keep(text);
        return Vec::new();
    }
    if purpose == Purpose::Search {
        text.clone_into(&mut model.logs.search);
        model.logs.searches.keep(text);
        if !text.is_empty() {
            search_from_here(model);
        }
        return Vec::new();
    }
    let Some(id) = model.room.as_ref().map(|r| r.id) else { return Vec::new() };
    if text.is_empty() && !matches!(purpose, Purpose::Result(_)) {
        model.say(Tone::Plain, "nothing was typed, nothing was written");
        return Vec::new();
    }
    let text = text.to_owned();
    let change = |action, change| Effect::ChangeAction { id, action, change };
    let effect = match purpose {
        Purpose::Note(kind) => Effect::Note { id, text, kind, at: None },
        Purpose::NoteAt => match note_at(model, id, &text) {
            Some(effect) => effect,
            None => {
                let why = time_words(model, "then the text");
                return again(model, "Note at", Purpose::NoteAt, &text, &why);
            }
        },
        Purpose::SeverityReason(to) => Effect::SetSeverity { id, to, reason: text },
        Purpose::Override(to) => Effect::SetStatus { id, to, over: Some(text), reason: None },
        Purpose::CancelReason => Effect::SetStatus { id, to: Status::Cancelled, over: None, reason: Some(text) },
        Purpose::Event(kind) => Effect::Event { id, kind, text },
        Purpose::Attach => {
            let (path, note) = path_and_note(&text);
            Effect::Attach { id, path, note }
        }
        Purpose::Page => match text.split_once(' ').map(|(name, text)| (name, text.trim())).filter(|(_, t)| !t.is_empty()) {
            Some((name, text)) => return vec![Effect::PreparePage { id, name: name.to_owned(), text: text.to_owned() }],
            None => return again(model, "Page", purpose, &text, "say whom, then what: ben checkout is down, please join"),
        },
        Purpose::ReopenReason => Effect::Reopen { id, reason: text },
        Purpose::Holder(role) => Effect::Assign { id, role, holder: text },
        Purpose::ActionText(kind) => Effect::AddAction { id, text, kind },
        Purpose::Question => return ask(model, text),
        Purpose::ExportPath => return vec![Effect::Export { id, path: text }],
        Purpose::Correction(seq) => Effect::Correct { id, seq, text },
        Purpose::Task => match task(id, &text) {
            Some(effect) => effect,
            None => {
                return again(model, "Task", purpose, &text, "say who, in how many minutes, and what: ben 5 check the replica");
            }
        },
        Purpose::Unacknowledge => Effect::Unacknowledge { id, reason: text },
        Purpose::Published(audience) => {
            let (text, next) = next(&text);
            Effect::Published { id, audience, text, next }
        }
        Purpose::Impact(part) => Effect::Impact { id, part, text },
        Purpose::Tick { item, met } => Effect::Tick { id, item: item.to_owned(), met, text },
        Purpose::Exit => match crate::analysis::exit::parse(&text) {
            Ok(criteria) => Effect::SetExit { id, criteria },
            Err(why) => return again(model, "It is over when", purpose, &text, &why),
        },
        Purpose::Time(milestone) => match text.split_once(' ').and_then(|(when, why)| Some((moment(model, when)?, why.trim()))) {
            Some((to, why)) if !why.is_empty() => {
                let (why, exception) =
                    why.split_once(" !").map_or((why, None), |(why, e)| (why.trim(), Some(e.trim().to_owned())));
                Effect::SetTime { id, milestone, to, reason: why.to_owned(), exception }
            }
            _ => {
                let why = time_words(model, "then how you know");
                return again(model, "Time", purpose, &text, &why);
            }
        },
        Purpose::EscalationReason(level) => Effect::Escalate { id, level, reason: text },
        Purpose::UnlinkReason(fingerprint) => Effect::Unlink { id, fingerprint, reason: text },
        Purpose::Judge(seq, verdict) => Effect::Judge { id, seq, verdict, reason: text },
        Purpose::Remark(seq, remark) => Effect::Remark { id, seq, remark, text },
        Purpose::Result(action) if text.starts_with("again ") => match still_at_it(model.now, &text) {
            Some(going_on) => change(action, going_on),
            None => {
                return again(
                    model,
                    "Done: what came of it",
                    purpose,
                    &text,
                    "not yet: again 10 still looking (minutes, then words)",
                );
            }
        },
        Purpose::Result(action) => Effect::ActionDone { id, action, result: (!text.is_empty()).then_some(text) },
        Purpose::Owner(action) => change(action, ActionChange { owner: Some(text), ..ActionChange::default() }),
        Purpose::Due(action) => match is_date(&text) {
            true => change(action, ActionChange { due: Some(text), ..ActionChange::default() }),
            false => return again(model, "Due", purpose, &text, "a date looks like 2026-12-01"),
        },
        Purpose::DropReason(action) => {
            change(action, ActionChange { state: Some(ActionState::Dropped), result: Some(text), ..ActionChange::default() })
        }
        Purpose::Filter | Purpose::Search => return Vec::new(),
    };
    act(model, effect)
}

/// The line again with what was typed: a mistake costs no retyping.
fn again(model: &mut Model, title: &str, purpose: Purpose, text: &str, why: &str) -> Vec<Effect> {
    model.say(Tone::Bad, why);
    model.overlay = Some(Overlay::Line { title: title.to_owned(), edit: LineEdit::with(text), purpose, hint: why.to_owned() });
    Vec::new()
}

/// `ben 5 check the replica`, also with the minutes as `5m`.
fn task(id: IncidentId, text: &str) -> Option<Effect> {
    let (who, rest) = text.split_once(' ')?;
    let (minutes, what) = rest.trim_start().split_once(' ')?;
    let minutes = minutes.trim_end_matches(['m', '\'']).parse().ok().filter(|n| (1..=10_080).contains(n))?;
    let what = what.trim();
    (!what.is_empty()).then(|| Effect::Task { id, who: who.to_owned(), minutes, text: what.to_owned() })
}

/// `… next 45m` at the end of an update: when the next one comes; `… next none`: they get no further one.
fn next(text: &str) -> (String, NextUpdate) {
    let told = text.rsplit_once(" next ").and_then(|(said, when)| {
        let when = when.trim();
        let next =
            if when == "none" { NextUpdate::Never } else { NextUpdate::In(crate::telemetry::time::parse_duration(when).ok()?) };
        Some((said, next))
    });
    match told {
        Some((said, next)) => (said.trim_end_matches([';', ',', ' ']).to_owned(), next),
        None => (text.to_owned(), NextUpdate::Scheduled),
    }
}

/// `/tmp/top.txt what it shows`; a path with blanks stands in quotes.
fn path_and_note(text: &str) -> (String, Option<String>) {
    let quoted = text.strip_prefix('"').and_then(|rest| rest.split_once('"'));
    let (path, note) = quoted.or_else(|| text.split_once(' ')).unwrap_or((text, ""));
    (path.to_owned(), Some(note.trim().to_owned()).filter(|n| !n.is_empty()))
}

/// `again 10 still looking`: not done yet, they report again.
fn still_at_it(now: Timestamp, text: &str) -> Option<ActionChange> {
    let (minutes, said) = text.strip_prefix("again ")?.trim_start().split_once(' ')?;
    let minutes: u64 = minutes.trim_end_matches(['m', '\'']).parse().ok().filter(|n| (1..=10_080).contains(n))?;
    Some(ActionChange {
        state: Some(ActionState::InProgress),
        result: Some(said.trim().to_owned()).filter(|s| !s.is_empty()),
        check_back_at: Some(now + std::time::Duration::from_secs(minutes * 60)),
        ..ActionChange::default()
    })
}

fn is_date(text: &str) -> bool {
    time::Date::parse(text, time::macros::format_description!("[year]-[month]-[day]")).is_ok()
}

/// `09:27`, `09:27:30` (in UTC, of the last twelve hours or of today) or an RFC 3339 time with any zone.
fn moment(model: &Model, when: &str) -> Option<Timestamp> {
    match Timestamp::parse(when) {
        Ok(at) if when.contains('T') => Some(at),
        _ => {
            let mut parts = when.split(':');
            let hour = parts.next()?.parse().ok()?;
            let minute = parts.next()?.parse().ok()?;
            let second = parts.next().map_or(Ok(0), str::parse).ok()?;
            let clock = time::Time::from_hms(hour, minute, second).ok()?;
            let today = Timestamp::from(model.now.datetime().replace_time(clock));
            if today <= model.now {
                return Some(today);
            }
            // Shortly after midnight it was yesterday evening. A time that is still to come is more likely one of another zone.
            let yesterday = today - std::time::Duration::from_secs(86_400);
            (model.now.since(yesterday) <= std::time::Duration::from_secs(12 * 3600)).then_some(yesterday)
        }
    }
}

/// How a time is typed, with what time it is.
fn time_words(model: &Model, then: &str) -> String {
    let now = model.now.clock(time::UtcOffset::UTC);
    let now = now.get(..5).unwrap_or(&now);
    format!("begin with a time in UTC that has been (now {now}), or a whole one such as 2026-11-24T14:40:00+01:00, {then}")
}

/// `09:27 text`: a note that happened earlier.
fn note_at(model: &Model, id: IncidentId, text: &str) -> Option<Effect> {
    let (when, rest) = text.split_once(' ')?;
    let at = moment(model, when)?;
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
                // Of the proposed one the reason is known.
                let why = proposed_severity(model).filter(|(severity, _)| severity == to).map(|(_, why)| why);
                let text = why.unwrap_or_default();
                ask_line(model, format!("{to}: why"), Purpose::SeverityReason(*to), "a reason is required", text)
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
            (Some(to), Some(_)) => move_status(model, *to),
            _ => Vec::new(),
        },
        Choice::Milestone(all) => match all.get(selected) {
            Some(m) => ask_line(
                model,
                format!("{}: when, and how you know", m.title()),
                Purpose::Time(*m),
                "in UTC: 09:27 the first customer mail; after ! why it may lie out of order",
                String::new(),
            ),
            None => Vec::new(),
        },
        Choice::Audience(all) => match all.get(selected) {
            Some(audience) => {
                let hint = "what they were told; the clock starts anew; end with `next 45m` (or `next none`) if it is not the severity's";
                ask_line(model, format!("Update to {}", audience.word()), Purpose::Published(*audience), hint, String::new())
            }
            None => Vec::new(),
        },
        Choice::Event(all) => match all.get(selected) {
            Some(kind) => {
                let hint = "what exactly, with its id or command; it stands in the timeline as now";
                ask_line(model, kind.word().replace('_', " "), Purpose::Event(*kind), hint, String::new())
            }
            None => Vec::new(),
        },
        Choice::Finding(ranks) => match ranks.get(selected) {
            Some(rank) => go_to_finding(model, *rank),
            None => Vec::new(),
        },
        Choice::Impact => match ImpactPart::ALL.get(selected) {
            Some(part) => {
                let (title, hint) = part.words();
                let now = current(model).map(|i| i.impact.clone()).unwrap_or_default();
                let have = match part {
                    ImpactPart::Text => now.text,
                    ImpactPart::Users => now.users,
                    ImpactPart::Region => now.region,
                    ImpactPart::Services => Some(now.services.join(", ")),
                };
                ask_line(model, title.to_owned(), Purpose::Impact(*part), hint, have.unwrap_or_default())
            }
            None => Vec::new(),
        },
        Choice::Grade(all) => match all.get(selected) {
            Some(grade) => {
                let rows = FoundBy::ALL.iter().map(|f| (f.title().to_owned(), String::new())).collect();
                let choice = Choice::FoundBy(*grade, FoundBy::ALL.to_vec());
                model.overlay = Some(Overlay::Choose { title: "Who reached it".to_owned(), rows, selected: 0, choice });
                Vec::new()
            }
            None => Vec::new(),
        },
        Choice::FoundBy(grade, all) => match (all.get(selected), model.room.as_ref().map(|r| r.id)) {
            (Some(found_by), Some(id)) => act(model, Effect::Grade { id, grade: *grade, found_by: *found_by }),
            _ => Vec::new(),
        },
        Choice::Renounce(held) => match (held.get(selected), model.room.as_ref().map(|r| r.id)) {
            (Some((role, holder)), Some(id)) => act(model, Effect::Renounce { id, role: *role, holder: holder.clone() }),
            _ => Vec::new(),
        },
        Choice::Level(all) => match all.get(selected) {
            Some(level) => {
                let hint = "why, and to whom; this pages nobody";
                ask_line(model, format!("{}: why", level.title()), Purpose::EscalationReason(*level), hint, String::new())
            }
            None => Vec::new(),
        },
        Choice::Unlink(prints) => match prints.get(selected) {
            Some(print) => {
                let hint = "why it does not belong here";
                ask_line(model, "Take it away: why".to_owned(), Purpose::UnlinkReason(print.clone()), hint, String::new())
            }
            None => Vec::new(),
        },
        Choice::MergeInto(ids) => match (ids.get(selected), current(model).map(|i| (i.id(), i.alerts.len()))) {
            (Some(into), Some((id, alerts))) => {
                let lines = vec![
                    format!("{id} ends as merged; {into} gets its {}", crate::telemetry::words::count(alerts, "alert")),
                    "reopening takes it back; the alerts then stay linked to both".to_owned(),
                ];
                let effect = Box::new(Effect::Merge { id, into: *into });
                model.overlay = Some(Overlay::Confirm { title: format!("Merge {id} into {into}"), lines, yes: false, effect });
                Vec::new()
            }
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
                reason: (form.severity == form.proposed && !form.alerts.is_empty()).then(|| form.reason.clone()),
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
