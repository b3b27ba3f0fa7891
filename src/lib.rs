pub mod analysis;
pub mod evidence;
pub mod incident;
pub mod journal;
pub mod telemetry;
