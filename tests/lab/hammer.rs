//! A writer for crash tests. It appends notes to an incident as fast as it can and prints each note to stdout after the
//! store has acknowledged it.
//!
//! Usage: hammer STORE_URL COPIES_FOLDER INCIDENT WRITER_NAME COUNT (0: until stopped)

use std::io::Write;

use warroom::incident::{Command, IncidentId, NoteKind};
use warroom::investigate::{Desk, SourceSet};
use warroom::journal::{Journal, StoreAt};
use warroom::prompt::Library;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, copies, incident, name, count] = args.as_slice() else {
        panic!("usage: hammer STORE_URL COPIES_FOLDER INCIDENT WRITER_NAME COUNT")
    };
    let (incident, count): (IncidentId, u64) = (incident.parse().unwrap(), count.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let journal = Journal::open(&StoreAt { url: url.clone(), password: None, copies: copies.into() }).unwrap();
        let desk = Desk {
            journal,
            sources: SourceSet::default(),
            library: Library::load(&[]).into(),
            matrix: warroom::incident::Matrix::default(),
            assistant: None,
            user: name.clone(),
            monitor: warroom::incident::gate::DEFAULT_MONITOR_TIME,
            oncall: warroom::config::OncallConfig::default(),
            commands: Vec::new(),
            presets: Vec::new(),
            updates: warroom::investigate::desk::UpdateSettings::default(),
            playbooks: warroom::playbook::Library::load(&[]).into(),
            read_only: false,
            investigating: std::sync::Arc::default(),
            slo: warroom::config::SloConfig::default(),
        };
        let mut n = 0_u64;
        while count == 0 || n < count {
            let text = format!("{name} {n}");
            let note = Command::Note { text: text.clone(), kind: NoteKind::Observation };
            match desk.run(incident, note, None).await {
                Ok(_) => {
                    let mut out = std::io::stdout().lock();
                    // Stop when the reader of stdout is gone.
                    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
                        return;
                    }
                    n += 1;
                }
                // Report the error and try the same note again.
                Err(e) => eprintln!("{name}: {e}"),
            }
        }
        // Wait up to a minute for entries that are not synced to a shared store yet.
        for _ in 0..600 {
            let _changed = desk.journal.version().await;
            if desk.journal.status().await.is_ok_and(|s| s.unsynced == 0) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{name}: some entries are still not synced");
    });
}
