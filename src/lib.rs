pub mod analysis;
pub mod incident;
pub mod telemetry;
