//! warroom's own log. Written to a file, never to the terminal, and only if `-v` or `WARROOM_LOG` enables it.

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts the log; keep the guard until the program ends. `None` if the log is not enabled, or if its folder or filter
/// cannot be used.
pub fn start(verbose: u8) -> Option<WorkerGuard> {
    let filter: Targets = match (std::env::var("WARROOM_LOG"), verbose) {
        (Ok(text), _) if !text.is_empty() => text.parse().ok()?,
        (_, 0) => return None,
        (_, 1) => Targets::new().with_target("warroom", LevelFilter::DEBUG),
        _ => Targets::new().with_target("warroom", LevelFilter::TRACE).with_target("reqwest", LevelFilter::DEBUG),
    };
    let folder = crate::config::log_folder()?;
    std::fs::create_dir_all(&folder).ok()?;
    let appender = tracing_appender::rolling::Builder::new()
        .rotation(tracing_appender::rolling::Rotation::DAILY)
        .filename_prefix("warroom")
        .filename_suffix("log")
        .max_log_files(5)
        .build(folder)
        .ok()?;
    let (writer, guard) = tracing_appender::non_blocking(appender);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    tracing_subscriber::registry().with(lines).with(filter).try_init().ok()?;
    Some(guard)
}
