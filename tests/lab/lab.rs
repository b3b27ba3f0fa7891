//! A lab for trying out warroom and for making recordings. It starts the shop, Prometheus, Alertmanager and node_exporter,
//! prints their addresses and injects a fault after a while.
//!
//! Usage: lab FOLDER FAULT AFTER_SECS FOR_SECS
//! The fault starts after AFTER_SECS; the lab stops FOR_SECS later.

#[path = "../support/servers.rs"]
mod servers;

use std::time::Duration;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [me, folder, fault, after, length] = args.as_slice() else { panic!("usage: lab FOLDER FAULT AFTER_SECS FOR_SECS") };
    let shop = std::path::Path::new(me).with_file_name("shop");
    let seconds = |text: &str| Duration::from_secs(text.parse().expect("seconds"));
    let lab = servers::Lab::start(std::path::Path::new(folder), &shop, servers::USUAL);
    let config = lab.config(None);
    println!("warroom --config {}", config.display());
    println!(
        "Prometheus {} Alertmanager {} node_exporter {} shop {:?}",
        lab.prometheus, lab.alertmanager, lab.node_exporter, lab.shop
    );
    std::thread::sleep(seconds(after));
    lab.inject_fault(fault);
    println!("Injected fault {fault}");
    std::thread::sleep(seconds(length));
}
