//! Loads the user's themes and keys. The embedded defaults replace what cannot be used.

use crate::app::Keymap;
use crate::config::{Config, user_file, user_files};
use crate::prompt::Library;
use crate::telemetry::failure::FileProblem;
use crate::ui::Theme;

/// The theme and the keys in effect, and the problems in the user's files.
pub struct UserFiles {
    pub theme: Theme,
    pub keymap: Keymap,
    /// Problems in prompts, themes and keys.
    pub problems: Vec<FileProblem>,
}

/// Loads theme and keys. The problems in prompts come from `library`, which has already been loaded.
pub fn load(config: &Config, library: &Library) -> UserFiles {
    let has_colour = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let name = config.ui.theme.as_deref().unwrap_or("dark");
    let (themes, unreadable) = user_files(config, "themes", "toml");
    let (theme, theme_problems) = Theme::load(name, &themes, has_colour);
    let (keymap, key_problems) = keymap(config);
    let problems = library.problems().iter().cloned().chain(unreadable).chain(theme_problems).chain(key_problems).collect();
    UserFiles { theme, keymap, problems }
}

/// The keys in effect, and the problems in the user's file.
pub fn keymap(config: &Config) -> (Keymap, Vec<FileProblem>) {
    match user_file(config, "keys.toml") {
        Some(Ok(file)) => Keymap::with_user(Some((&file.path, &file.text))),
        Some(Err(problem)) => (Keymap::default(), vec![problem]),
        None => Keymap::with_user(None),
    }
}
