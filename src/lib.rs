pub mod analysis;
pub mod config;
pub mod evidence;
pub mod incident;
pub mod journal;
pub mod sources;
pub mod telemetry;
