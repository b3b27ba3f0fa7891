pub mod analysis;
pub mod evidence;
pub mod incident;
pub mod telemetry;
