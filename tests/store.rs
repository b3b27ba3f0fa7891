//! The embedded store held to the contract of all stores, and what is its own: disks that are full or read-only.

#[path = "support/contract.rs"]
mod contract;

use warroom::journal::sqlite::SqliteStore;

#[test]
fn sqlite_does_what_every_store_must() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    contract::holds(&mut SqliteStore::open(&path).unwrap(), &mut SqliteStore::open(&path).unwrap());
}
