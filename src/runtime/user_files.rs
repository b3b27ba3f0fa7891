//! The user's themes and keys, with the embedded defaults where a file cannot be used.

use crate::app::Keymap;
use crate::config::{Config, user_file, user_files};
use crate::prompt::Library;
use crate::telemetry::failure::FileProblem;
use crate::ui::Theme;

/// What the screen is drawn with, and what is wrong with the user's files.
pub struct UserFiles {
    pub theme: Theme,
    pub keymap: Keymap,
    pub problems: Vec<FileProblem>,
}

/// Reads theme and keys. The problems of the prompts come from the library, which was read with the desk.
pub fn load(config: &Config, library: &Library) -> UserFiles {
    let has_colour = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let name = config.ui.theme.as_deref().unwrap_or("dark");
    let (theme, theme_problems) = Theme::load(name, &user_files(config, "themes", "toml"), has_colour);
    let (keymap, key_problems) = keymap(config);
    let problems = library.problems().iter().cloned().chain(theme_problems).chain(key_problems).collect();
    UserFiles { theme, keymap, problems }
}

/// The keys in effect, and what is wrong with the user's file.
pub fn keymap(config: &Config) -> (Keymap, Vec<FileProblem>) {
    let file = user_file(config, "keys.toml");
    Keymap::with_user(file.as_ref().map(|f| (f.path.as_str(), f.text.as_str())))
}
