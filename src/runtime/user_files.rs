//! Loads the user's themes and keys. The embedded defaults replace what cannot be used.

use std::sync::Arc;

use crate::app::Keymap;
use crate::config::{Config, user_file, user_files};
use crate::telemetry::failure::FileProblem;
use crate::ui::Theme;
use crate::ui::preview::{Sample, samples};
use crate::ui::theme::{AUTOMATIC, Background, Colours};

/// The theme and the keys in effect, and the problems in the user's files.
pub struct UserFiles {
    pub theme: Theme,
    pub keymap: Arc<Keymap>,
    /// Problems in themes and keys.
    pub problems: Vec<FileProblem>,
}

/// Loads theme and keys.
pub fn load(config: &Config) -> UserFiles {
    let (theme, theme_problems) = theme(config, background_from_env());
    let (keymap, key_problems) = keymap(config);
    let problems = theme_problems.into_iter().chain(key_problems).collect();
    UserFiles { theme, keymap, problems }
}

/// How many colours the terminal has.
pub fn colours() -> Colours {
    Colours::from_env(|name| std::env::var(name).ok())
}

/// Whether the theme follows the background of the terminal.
pub fn is_automatic(config: &Config) -> bool {
    config.ui.theme.as_deref().is_none_or(|name| name == AUTOMATIC)
}

/// The theme in effect on a background, and the problems in the user's files.
pub fn theme(config: &Config, background: Background) -> (Theme, Vec<FileProblem>) {
    let (themes, mut problems) = user_files(config, "themes", "toml");
    let name = config.ui.theme.as_deref().filter(|_| !is_automatic(config)).unwrap_or(background.theme());
    let (theme, own) = Theme::load(name, &themes, colours());
    problems.extend(own);
    (theme, problems)
}

/// A theme that can be used.
pub struct ListedTheme {
    pub name: String,
    /// `built-in`, or the path of the user's file.
    pub source: String,
    pub is_used: bool,
}

/// All themes, and the problems with the user's files.
pub fn themes(config: &Config) -> (Vec<ListedTheme>, Vec<FileProblem>) {
    let (own, problems) = user_files(config, "themes", "toml");
    let used = config.ui.theme.as_deref().unwrap_or(AUTOMATIC);
    let listed =
        |name: &str, source: &str| ListedTheme { name: name.to_owned(), source: source.to_owned(), is_used: name == used };
    let mut all = vec![listed(AUTOMATIC, "built-in")];
    // A file with the name of a built-in theme replaces it.
    all.extend(Theme::built_in().filter(|n| !own.iter().any(|o| o.name == *n)).map(|n| listed(n, "built-in")));
    all.extend(own.iter().filter(|o| o.name != AUTOMATIC).map(|o| listed(&o.name, &o.path)));
    (all, problems)
}

/// The styles of a theme, or of the one in use; without colours unless stdout is a terminal.
///
/// # Errors
/// The first problem of the theme, for example that there is none with the name.
pub fn preview(config: &Config, name: Option<&str>) -> Result<(String, Vec<Sample>), FileProblem> {
    let (own, _) = user_files(config, "themes", "toml");
    let name = name.or(config.ui.theme.as_deref()).filter(|n| *n != AUTOMATIC).unwrap_or(background_from_env().theme());
    let is_shown = std::io::IsTerminal::is_terminal(&std::io::stdout());
    let (theme, problems) = Theme::load(name, &own, if is_shown { colours() } else { Colours::None });
    match problems.into_iter().next() {
        Some(problem) => Err(problem),
        None => Ok((name.to_owned(), samples(&theme))),
    }
}

/// The background that `COLORFGBG` names (`15;0`), as rxvt and Konsole set it; dark if it is not set. The terminal's own answer
/// replaces it.
fn background_from_env() -> Background {
    let named = std::env::var("COLORFGBG").ok().and_then(|v| v.rsplit(';').next()?.parse::<u8>().ok());
    if matches!(named, Some(7 | 15)) { Background::Light } else { Background::Dark }
}

/// The keys in effect, and the problems in the user's file.
pub fn keymap(config: &Config) -> (Arc<Keymap>, Vec<FileProblem>) {
    match user_file(config, "keys.toml") {
        Some(Ok(file)) => {
            let (keymap, problems) = Keymap::with_user(Some((&file.path, &file.text)));
            (Arc::new(keymap), problems)
        }
        Some(Err(problem)) => (Keymap::built_in(), vec![problem]),
        None => (Keymap::built_in(), Vec::new()),
    }
}
