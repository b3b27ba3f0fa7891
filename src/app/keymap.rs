//! The key bindings: the embedded `keys.toml`, overridden key by key by the user's file. Invalid lines of the user's file
//! are reported; the rest applies.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::action::{ACTIONS, Action, Context};
use super::chord::{Chord, parse};
use crate::telemetry::failure::FileProblem;
use crate::telemetry::words::nearest;

/// The default keys, with comments that document the format.
pub(crate) const DEFAULT: &str = include_str!("keys.toml");

/// The action name that removes a key.
const NONE: &str = "none";

/// A key, or a sequence of keys, bound to an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub context: Context,
    pub chords: Vec<Chord>,
    pub action: Action,
    /// Whether the user's file sets it.
    pub is_user: bool,
}

impl Binding {
    /// The keys in the notation of keymap files: `g g`, `C-d`, `enter`.
    pub fn notation(&self) -> String {
        written(&self.chords)
    }

    /// The keys as the screen shows them: `gg`, `C-d`, `⏎`.
    pub fn shown(&self) -> String {
        self.chords.iter().map(ToString::to_string).collect()
    }
}

/// The result of looking up a key sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Action(Action),
    /// The sequence is the start of a longer one.
    Pending,
    Nothing,
}

/// The keys in effect.
#[derive(Clone, Debug)]
pub struct Keymap {
    bindings: Vec<Binding>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self::with_user(None).0
    }
}

impl Keymap {
    /// The default keys, which are read only once.
    pub fn built_in() -> Arc<Self> {
        static BUILT_IN: LazyLock<Arc<Keymap>> = LazyLock::new(Arc::default);
        Arc::clone(&BUILT_IN)
    }

    /// The default keys, overridden by a user's file (its name for messages, and its text). Also returns the problems in
    /// that file.
    pub fn with_user(user: Option<(&str, &str)>) -> (Self, Vec<FileProblem>) {
        let mut problems = Vec::new();
        let mut bindings = read("keys.toml", DEFAULT, false, &mut problems);
        if let Some((file, text)) = user {
            for mut new in read_rows(file, text, &mut problems) {
                bindings.retain(|b| (b.context, &b.chords) != (new.context, &new.chords));
                if let Some(action) = new.action.take() {
                    bindings.push(Binding { context: new.context, chords: new.chords, action, is_user: true });
                }
            }
        }
        let keymap = Self { bindings };
        if let Some((file, text)) = user {
            problems.extend(keymap.unreachable(file, text));
        }
        (keymap, problems)
    }

    /// All bindings, sorted by context, then by action.
    pub fn bindings(&self) -> Vec<&Binding> {
        let place = |b: &&Binding| (b.context, ACTIONS.iter().position(|s| s.action == b.action));
        let mut all: Vec<&Binding> = self.bindings.iter().collect();
        all.sort_by_key(place);
        all
    }

    /// Looks up a key sequence in the given contexts, narrowest first.
    pub fn find(&self, sequence: &[Chord], contexts: &[Context]) -> Found {
        let mut is_pending = false;
        for context in contexts {
            for b in self.bindings.iter().filter(|b| b.context == *context) {
                if b.chords == sequence {
                    return Found::Action(b.action);
                }
                is_pending |= b.chords.len() > sequence.len() && b.chords.starts_with(sequence);
            }
        }
        if is_pending { Found::Pending } else { Found::Nothing }
    }

    /// The ways to complete a sequence: the remaining keys and their action.
    pub fn continuations(&self, sequence: &[Chord], contexts: &[Context]) -> Vec<(String, Action)> {
        let continues =
            |b: &&Binding| contexts.contains(&b.context) && b.chords.len() > sequence.len() && b.chords.starts_with(sequence);
        let rest = |b: &Binding| b.chords.iter().skip(sequence.len()).map(ToString::to_string).collect();
        self.bindings.iter().filter(continues).map(|b| (rest(b), b.action)).collect()
    }

    /// The keys of an action as the screen shows them; empty if it has none.
    pub fn keys_of(&self, action: Action) -> Vec<String> {
        self.bindings.iter().filter(|b| b.action == action).map(Binding::shown).collect()
    }

    /// The first key of an action, for a hint. For an action without a key, how to find it in the palette.
    pub fn hint(&self, action: Action) -> String {
        match (self.keys_of(action).into_iter().next(), self.keys_of(Action::Palette).into_iter().next()) {
            (Some(key), _) => key,
            (None, Some(palette)) => format!("{palette} {}", action.spec().word),
            (None, None) => action.spec().word.to_owned(),
        }
    }

    /// Bindings that can never be reached, because a shorter sequence in the same context starts with the same keys. Only
    /// conflicts that involve a binding of the user are reported.
    fn unreachable(&self, file: &str, text: &str) -> Vec<FileProblem> {
        let is_hidden = |b: &&Binding| {
            self.bindings
                .iter()
                .find(|o| b.context == o.context && o.chords.len() < b.chords.len() && b.chords.starts_with(&o.chords))
        };
        let mut problems = Vec::new();
        for b in &self.bindings {
            let Some(other) = is_hidden(&b) else { continue };
            if !(b.is_user || other.is_user) {
                continue;
            }
            let written = written(if b.is_user { &b.chords } else { &other.chords });
            let line = text.lines().position(|l| l.trim_start().starts_with(&format!("\"{written}\"")));
            problems.push(FileProblem {
                file: file.to_owned(),
                line: line.and_then(|n| u64::try_from(n + 1).ok()),
                text: format!(
                    "'{}' ({}) can never be reached in [{}]: '{}' is bound to {}",
                    b.shown(),
                    b.action.spec().name,
                    b.context.name(),
                    other.shown(),
                    other.action.spec().name
                ),
                remedy: format!("Bind '{}' to \"none\", or use other keys.", other.shown()),
            });
        }
        problems
    }
}

/// Keys in the notation of keymap files: `g g`.
fn written(chords: &[Chord]) -> String {
    chords.iter().map(|c| c.name()).collect::<Vec<_>>().join(" ")
}

/// A row of a keymap file. `action` is `None` if the row removes the key.
struct Row {
    context: Context,
    chords: Vec<Chord>,
    action: Option<Action>,
}

fn read(file: &str, text: &str, is_user: bool, problems: &mut Vec<FileProblem>) -> Vec<Binding> {
    let rows = read_rows(file, text, problems).into_iter();
    rows.filter_map(|r| Some(Binding { context: r.context, chords: r.chords, action: r.action?, is_user })).collect()
}

fn read_rows(file: &str, text: &str, problems: &mut Vec<FileProblem>) -> Vec<Row> {
    type Tables = BTreeMap<String, toml::Spanned<BTreeMap<String, toml::Spanned<String>>>>;
    let mut report = |at: Option<usize>, text_of: String, remedy: String| {
        let line = at.map(|at| text.get(..at.min(text.len())).unwrap_or("").matches('\n').count() + 1);
        problems.push(FileProblem {
            file: file.to_owned(),
            line: line.and_then(|n| u64::try_from(n).ok()),
            text: text_of,
            remedy,
        });
    };
    let tables: Tables = match toml::from_str(text) {
        Ok(tables) => tables,
        Err(e) => {
            let at = e.span().map(|s| s.start);
            report(
                at,
                format!("not a valid keymap: {}", e.message()),
                "Write lines such as \"C-s\" = \"set-severity\" under [room].".to_owned(),
            );
            return Vec::new();
        }
    };
    let mut rows = Vec::new();
    for (name, table) in tables {
        let Some(context) = Context::ALL.into_iter().find(|c| c.name() == name) else {
            let known = Context::ALL.map(Context::name);
            let hint = nearest(&name, known).map_or_else(String::new, |n| format!("Did you mean [{n}]? "));
            let remedy = format!("{hint}Known views: {}.", known.join(", "));
            report(Some(table.span().start), format!("unknown view [{name}]"), remedy);
            continue;
        };
        for (keys, action) in table.into_inner() {
            let at = Some(action.span().start);
            let Some(chords) = parse(&keys).filter(|c| !c.is_empty()) else {
                report(at, format!("'{keys}' is not a key"), "Write a key such as x, C-x, A-x, enter or g g.".to_owned());
                continue;
            };
            let word = action.into_inner();
            let Some(action) = Action::named(&word) else {
                if word == NONE {
                    rows.push(Row { context, chords, action: None });
                    continue;
                }
                let hint = nearest(&word, ACTIONS.iter().map(|s| s.name));
                let hint = hint.map_or_else(String::new, |n| format!("Did you mean '{n}'? "));
                let remedy = format!("{hint}Run `warroom keys` to list the actions.");
                report(at, format!("unknown action '{word}'"), remedy);
                continue;
            };
            if !context.is_within(action.spec().context) {
                let place = action.spec().context.name();
                report(at, format!("the action '{word}' does not work in [{name}]"), format!("Bind it in [{place}]."));
                continue;
            }
            rows.push(Row { context, chords, action: Some(action) });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_is_valid_and_binds_every_action() {
        let (keymap, problems) = Keymap::with_user(None);
        assert_eq!(problems, []);
        for spec in ACTIONS {
            assert!(!keymap.keys_of(spec.action).is_empty(), "{} has no key", spec.name);
        }
        assert_eq!(keymap.unreachable("keys.toml", DEFAULT), [], "no default key hides another one");
    }

    #[test]
    fn views_do_not_override_keys_that_work_everywhere() {
        let keymap = Keymap::default();
        let everywhere: Vec<&Vec<Chord>> =
            keymap.bindings.iter().filter(|b| b.context == Context::Everywhere).map(|b| &b.chords).collect();
        // The one exception is `/`: it filters lists, but searches the logs.
        let views = |b: &&Binding| b.context != Context::Everywhere && !b.context.is_dialog() && b.action != Action::Search;
        for b in keymap.bindings.iter().filter(views) {
            assert!(!everywhere.contains(&&b.chords), "{} in [{}]", b.shown(), b.context.name());
        }
    }

    #[test]
    fn comments_in_the_default_file_match_the_actions() {
        for line in DEFAULT.lines().filter(|l| l.starts_with('"')) {
            let (name, help) = line.split_once("= \"").unwrap().1.split_once('"').unwrap();
            let spec = Action::named(name).unwrap().spec();
            assert_eq!(help.trim().trim_start_matches("# "), spec.help, "{line}");
        }
    }

    #[test]
    fn incomplete_sequences_are_pending() {
        let keymap = Keymap::default();
        assert_eq!(keymap.find(&parse("g").unwrap(), &[Context::Everywhere]), Found::Pending);
        assert_eq!(keymap.find(&parse("g g").unwrap(), &[Context::Everywhere]), Found::Action(Action::Top));
        let contexts = [Context::Logs, Context::Room, Context::Everywhere];
        assert_eq!(keymap.find(&parse("y").unwrap(), &contexts), Found::Action(Action::CopyLine));
    }

    #[test]
    fn user_keys_override_single_defaults() {
        let text = "[room]\n\"C-s\" = \"set-severity\"\n\"s\" = \"none\"\n\"g r\" = \"resolve\"\n";
        let (keymap, problems) = Keymap::with_user(Some(("keys.toml", text)));
        assert_eq!(problems, []);
        let room = [Context::Room, Context::Everywhere];
        assert_eq!(keymap.find(&parse("C-s").unwrap(), &room), Found::Action(Action::SetSeverity));
        assert_eq!(keymap.find(&parse("s").unwrap(), &room), Found::Nothing);
        assert_eq!(keymap.find(&parse("g r").unwrap(), &room), Found::Action(Action::Resolve));
        assert_eq!(keymap.hint(Action::SetSeverity), "C-s");
        assert_eq!(keymap.find(&parse("n").unwrap(), &room), Found::Action(Action::Note), "the rest stays");
    }

    #[test]
    fn mistakes_are_reported_with_their_line_and_the_rest_applies() {
        let text =
            "[room]\n\"x\" = \"resolv\"\n\"C-q\" = \"quit\"\n\"Meta-y\" = \"note\"\n\"z\" = \"mark\"\n[rom]\n\"a\" = \"note\"\n";
        let (keymap, problems) = Keymap::with_user(Some(("keys.toml", text)));
        let found: Vec<(Option<u64>, &str)> = problems.iter().map(|p| (p.line, p.text.as_str())).collect();
        assert!(found.contains(&(Some(2), "unknown action 'resolv'")), "{found:?}");
        assert!(found.contains(&(Some(4), "'Meta-y' is not a key")), "{found:?}");
        assert!(found.contains(&(Some(5), "the action 'mark' does not work in [room]")), "{found:?}");
        assert!(found.iter().any(|(line, t)| *line == Some(6) && *t == "unknown view [rom]"), "{found:?}");
        assert!(problems.iter().any(|p| p.remedy.contains("resolve")), "{problems:?}");
        assert_eq!(keymap.find(&parse("C-q").unwrap(), &[Context::Room]), Found::Action(Action::Quit));
    }

    #[test]
    fn unreachable_bindings_are_reported() {
        let (_, problems) = Keymap::with_user(Some(("keys.toml", "[everywhere]\n\"g\" = \"refresh\"\n")));
        assert!(problems.len() == 2 && problems[0].text.contains("'gg' (top) can never be reached"), "{problems:?}");
        assert_eq!(problems[0].line, Some(2));
        let (_, problems) = Keymap::with_user(Some(("keys.toml", "[room]\n\"n n\" = \"decision\"\n")));
        assert!(problems.len() == 1 && problems[0].text.contains("'n' is bound to note"), "{problems:?}");
    }

    #[test]
    fn a_file_that_is_not_toml_leaves_the_defaults() {
        let (keymap, problems) = Keymap::with_user(Some(("keys.toml", "room = 3\n[")));
        assert_eq!(problems.len(), 1);
        assert_eq!(keymap.find(&parse("n").unwrap(), &[Context::Room]), Found::Action(Action::Note));
    }
}
