//! `warroom keys`: lists the key bindings in effect and the problems in the user's keys.toml.

use serde_json::{Value, json};

use super::{CliError, Done, out};
use crate::app::keymap::Binding;
use crate::config::Config;
use crate::runtime::user_files;

/// The JSON of a binding, as documented in docs/json.md.
fn shape(b: &Binding) -> Value {
    json!({
        "context": b.context.name(), "keys": b.notation(), "action": b.action.spec().name, "help": b.action.spec().help,
        "source": if b.is_user { "user" } else { "default" },
    })
}

pub(super) fn run(config: &Config, as_json: bool) -> Result<Done, CliError> {
    let (keymap, problems) = user_files::keymap(config);
    let bindings = keymap.bindings();
    if as_json {
        let rows: Vec<Value> = bindings.iter().map(|b| shape(b)).collect();
        out::json(&json!({"bindings": rows, "problems": problems}))?;
    } else {
        let mut context = None;
        let mut rows: Vec<Vec<String>> = Vec::new();
        for b in bindings {
            if context.replace(b.context) != Some(b.context) {
                rows.push(vec![format!("[{}]", b.context.name()), String::new(), b.context.title().to_owned()]);
            }
            let mark = if b.is_user { " (custom)" } else { "" };
            let spec = b.action.spec();
            rows.push(vec![format!("  {}", b.notation()), spec.name.to_owned(), format!("{}{mark}", spec.help)]);
        }
        for line in out::table(&rows) {
            out::line(line)?;
        }
        for p in &problems {
            out::note(format!("warroom: {p}"));
        }
    }
    Ok(if problems.is_empty() { Done::Complete } else { Done::Problems })
}
