//! The playbooks that are built in, and those of the user.

use std::collections::BTreeMap;

use super::{Playbook, Problem, Severity, parse};
use crate::incident::Refusal;
use crate::telemetry::failure::{FileProblem, UserFile};
use crate::telemetry::words::nearest;

/// The playbooks that are built into the binary: id and file text.
const BUILT_IN: [(&str, &str); 16] = [
    ("application-error", include_str!("../../playbooks/application-error.md")),
    ("backup", include_str!("../../playbooks/backup.md")),
    ("configuration", include_str!("../../playbooks/configuration.md")),
    ("connectivity", include_str!("../../playbooks/connectivity.md")),
    ("database", include_str!("../../playbooks/database.md")),
    ("database-maintenance", include_str!("../../playbooks/database-maintenance.md")),
    ("deployment", include_str!("../../playbooks/deployment.md")),
    ("escalation", include_str!("../../playbooks/escalation.md")),
    ("failover", include_str!("../../playbooks/failover.md")),
    ("incident-response", include_str!("../../playbooks/incident-response.md")),
    ("log-cleanup", include_str!("../../playbooks/log-cleanup.md")),
    ("migration", include_str!("../../playbooks/migration.md")),
    ("performance", include_str!("../../playbooks/performance.md")),
    ("post-deployment", include_str!("../../playbooks/post-deployment.md")),
    ("restore", include_str!("../../playbooks/restore.md")),
    ("rollback", include_str!("../../playbooks/rollback.md")),
];

/// All available playbooks by id.
#[derive(Clone, Debug, Default)]
pub struct Library {
    playbooks: BTreeMap<String, Playbook>,
    problems: Vec<FileProblem>,
}

impl Library {
    /// The built-in playbooks and the user's. A user's playbook replaces a built-in one of the same name. One that cannot be used is
    /// reported (see [`Self::problems`]), and the built-in one of that name, or none, is used.
    pub fn load(user: &[UserFile]) -> Self {
        let built_in = BUILT_IN.iter().filter_map(|(name, text)| parse(name, text).0);
        let mut library = Self { playbooks: built_in.map(|p| (p.id.clone(), p)).collect(), problems: Vec::new() };
        library.add(user, None);
        library
    }

    /// Like [`Self::load`], with the playbooks of presets. Presets replace built-in playbooks; the user's own replace both.
    pub fn load_with_presets(presets: &[(String, Vec<UserFile>)], user: &[UserFile]) -> Self {
        let mut library = Self::load(&[]);
        for (name, files) in presets {
            library.add(files, Some(name));
        }
        library.add(user, None);
        library
    }

    /// Only the playbooks of these files.
    #[cfg(test)]
    pub(super) fn from_files(files: &[UserFile]) -> Self {
        let mut library = Self::default();
        library.add(files, None);
        library
    }

    fn add(&mut self, files: &[UserFile], preset: Option<&String>) {
        for file in files {
            let (playbook, problems) = parse(&file.name, &file.text);
            let is_replaced = playbook.is_none() && self.playbooks.contains_key(&file.name);
            self.problems.extend(problems.into_iter().map(|p| problem(file, p, is_replaced)));
            if let Some(playbook) = playbook {
                let (path, preset) = (Some(file.path.clone()), preset.cloned());
                self.playbooks.insert(playbook.id.clone(), Playbook { path, preset, ..playbook });
            }
        }
    }

    /// Adds problems that were found before the files could be parsed.
    #[must_use]
    pub fn with_problems(mut self, problems: Vec<FileProblem>) -> Self {
        self.problems.extend(problems);
        self
    }

    /// The problems in the user's playbooks.
    pub fn problems(&self) -> &[FileProblem] {
        &self.problems
    }

    /// The playbook with this id; `None` if there is none.
    pub fn get(&self, id: &str) -> Option<&Playbook> {
        self.playbooks.get(id)
    }

    /// The playbook with this id.
    ///
    /// # Errors
    /// If there is none, with the nearest id.
    pub fn find(&self, id: &str) -> Result<&Playbook, Refusal> {
        self.get(id).ok_or_else(|| {
            let nearest = nearest(id, self.playbooks.keys().map(String::as_str));
            let meant = nearest.map_or_else(String::new, |n| format!("Did you mean '{n}'? "));
            Refusal::not_found(format!("there is no playbook '{id}'"))
                .advise(format!("{meant}Run `warroom playbook list` to list the playbooks."))
        })
    }

    /// All playbooks, sorted by id.
    pub fn all(&self) -> impl Iterator<Item = &Playbook> {
        self.playbooks.values()
    }
}

fn problem(file: &UserFile, problem: Problem, is_replaced: bool) -> FileProblem {
    let instead = if is_replaced && problem.severity == Severity::Error { " The built-in playbook is used instead." } else { "" };
    FileProblem {
        file: file.path.clone(),
        line: problem.line,
        text: problem.text,
        remedy: format!("{}{instead}", problem.remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_playbooks_have_no_problems_and_are_embedded() {
        for (name, text) in BUILT_IN {
            assert_eq!(parse(name, text).1, [], "{name}");
        }
        // Each link to another playbook leads to one.
        for (name, text) in BUILT_IN {
            for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(".md)")).map(|(link, _)| link) {
                assert!(BUILT_IN.iter().any(|(known, _)| *known == link), "{name}: {link}");
            }
        }
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks");
        let on_disk = std::fs::read_dir(folder).unwrap().count();
        assert_eq!(Library::load(&[]).all().count(), on_disk, "every file in playbooks/ has a line in BUILT_IN");
    }

    #[test]
    fn a_users_playbook_replaces_the_built_in_one_unless_it_is_broken() {
        let text = "---\nid: rollback\ntitle: Ours\nsummary: S\n---\n## Do it\nNow.\n";
        let file = |text: &str| [UserFile { path: "p/rollback.md".into(), name: "rollback".into(), text: text.into() }];
        let library = Library::load(&file(text));
        let found = library.get("rollback").unwrap();
        assert_eq!((found.title.as_str(), found.path.as_deref(), library.problems().len()), ("Ours", Some("p/rollback.md"), 0));
        let library = Library::load(&file(&text.replace("title", "titel")));
        assert_eq!(library.get("rollback").unwrap().path, None);
        let problem = &library.problems()[0];
        assert_eq!(problem.line, Some(3), "{problem:?}");
        assert!(problem.remedy.ends_with("The built-in playbook is used instead."), "{problem:?}");
    }
}
