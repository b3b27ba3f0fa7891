//! A writer for crash tests: appends notes to an incident as fast as it can, and says so on stdout after each was
//! acknowledged. Arguments: store URL, folder for copies, incident, the writer's name, how many (0: for ever).

use std::io::Write;

use warroom::incident::{IncidentId, NoteKind};
use warroom::investigate::{Desk, SourceSet};
use warroom::journal::{Journal, StoreAt};
use warroom::prompt::Library;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, copies, incident, name, count] = args.as_slice() else { panic!("five arguments") };
    let (incident, count): (IncidentId, u64) = (incident.parse().unwrap(), count.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let journal = Journal::open(&StoreAt { url: url.clone(), password: None, copies: copies.into() }).unwrap();
        let desk = Desk {
            journal,
            sources: SourceSet::default(),
            library: Library::with(&[]).unwrap(),
            matrix: warroom::incident::Matrix::default(),
            assistant: None,
            user: name.clone(),
            monitor: warroom::incident::gate::MONITOR,
            oncall: warroom::config::OncallConfig::default(),
            slo: warroom::config::SloConfig::default(),
        };
        let mut n = 0_u64;
        while count == 0 || n < count {
            let text = format!("{name} {n}");
            match desk.note(incident, &text, NoteKind::Observation, None).await {
                Ok(_) => {
                    let mut out = std::io::stdout().lock();
                    // The reader may be gone: then nobody counts.
                    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
                        return;
                    }
                    n += 1;
                }
                // Told, not counted: the same note is tried again.
                Err(e) => eprintln!("{name}: {e}"),
            }
        }
        // What waits for a shared store is given some time.
        for _ in 0..600 {
            let _changed = desk.journal.version().await;
            if desk.journal.status().await.is_ok_and(|s| s.unsynced == 0) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{name}: entries still wait");
    });
}
