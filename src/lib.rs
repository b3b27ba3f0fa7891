pub mod incident;
pub mod telemetry;
