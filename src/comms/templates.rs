//! The templates of updates: the built-in ones and the user's.

use tera::{Context, Tera};

use crate::incident::Audience;
use crate::telemetry::failure::{FileProblem, UserFile, error_chain};

/// The templates that are built into the binary, by their readers.
const BUILT_IN: [(Audience, &str, &str); 3] = [
    (Audience::Internal, "technical", include_str!("../../updates/technical.md")),
    (Audience::Executive, "executive", include_str!("../../updates/executive.md")),
    (Audience::External, "customer", include_str!("../../updates/customer.md")),
];

/// The values that a template can use. docs/channels.md says what they are.
pub(super) const VARIABLES: [&str; 16] = [
    "actions",
    "cause",
    "changes",
    "commander",
    "conclusion",
    "customer_impact",
    "firing",
    "impact",
    "incident",
    "is_false_alarm",
    "measures",
    "needs",
    "next_update",
    "stage",
    "stage_title",
    "theory",
];

/// The template for some readers: the user's, else the built-in one.
pub(super) struct Template<'a> {
    name: &'static str,
    text: &'a str,
    /// The user's file.
    path: Option<&'a str>,
}

impl<'a> Template<'a> {
    pub(super) fn of(audience: Audience, own: &'a [UserFile]) -> Self {
        let (_, name, built_in) = BUILT_IN.into_iter().find(|(a, ..)| *a == audience).unwrap_or(BUILT_IN[0]);
        match own.iter().find(|f| f.name == name) {
            Some(file) => Self { name, text: &file.text, path: Some(&file.path) },
            None => Self { name, text: built_in, path: None },
        }
    }

    /// The file, for messages.
    pub(super) fn place(&self) -> String {
        self.path.map_or_else(|| format!("the built-in template {}", self.name), str::to_owned)
    }

    /// The template with its values. The error says why it cannot be filled in.
    pub(super) fn render(&self, context: &Context) -> Result<String, String> {
        let mut tera = Tera::default();
        tera.add_raw_template(self.name, self.text).map_err(|e| error_chain(&e))?;
        tera.render(self.name, context).map_err(|e| error_chain(&e))
    }
}

/// The problems in the user's templates: files for no readers, syntax errors, values that there are not.
pub fn template_problems(own: &[UserFile]) -> Vec<FileProblem> {
    own.iter().filter_map(problem).collect()
}

fn problem(file: &UserFile) -> Option<FileProblem> {
    let found = |line: Option<usize>, text: String, remedy: &str| {
        let line = line.and_then(|n| u64::try_from(n).ok());
        Some(FileProblem { file: file.path.clone(), line, text, remedy: remedy.to_owned() })
    };
    if !BUILT_IN.iter().any(|(_, name, _)| *name == file.name) {
        let text = format!("there are no readers '{}', so the file is not used", file.name);
        return found(None, text, "Name it technical.md, executive.md or customer.md.");
    }
    let mut tera = Tera::default();
    if let Err(error) = tera.add_raw_template(&file.name, &file.text) {
        let (line, text) = match error.kind() {
            tera::ErrorKind::SyntaxError(report) => (Some(report.span().start_line), report.message().to_owned()),
            _ => (None, error_chain(&error)),
        };
        return found(line, text, "Correct the template. Until then, no update for these readers is drafted.");
    }
    let used = tera.get_template_variables(&file.name).unwrap_or_default();
    let unknown = used.into_iter().filter(|v| !VARIABLES.contains(v)).min()?.to_owned();
    let line = file.text.lines().position(|line| line.contains(&unknown)).map(|n| n + 1);
    found(line, format!("there is no value '{unknown}'"), &format!("The values are {}.", VARIABLES.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> UserFile {
        UserFile { path: format!("updates/{name}.md"), name: name.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn problems_name_the_file_the_line_and_a_remedy() {
        let found = |name: &str, text: &str| {
            template_problems(&[file(name, text)]).first().map(|p| (p.line, p.text.clone())).unwrap_or_default()
        };
        assert_eq!(found("customer", "It fails\n\n{{ nothing }}\n"), (Some(3), "there is no value 'nothing'".to_owned()));
        assert_eq!(found("technical", "It fails\n\n{% for %}\n").0, Some(3));
        assert_eq!(found("customers", "").1, "there are no readers 'customers', so the file is not used");
        for (_, name, text) in BUILT_IN {
            assert_eq!(template_problems(&[file(name, text)]), vec![]);
        }
    }
}
