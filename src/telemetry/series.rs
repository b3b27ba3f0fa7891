//! Metric series (labels and samples) as returned by a metrics backend, and how numbers are printed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::subject::service_of;
use super::time::{Timestamp, Window};

/// Label names and values, sorted by name so that digests and exports are stable.
pub type Labels = BTreeMap<String, String>;

/// One sample. `value` is NaN or infinite if the backend returned that; in JSON, such values are strings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub at: Timestamp,
    pub value: f64,
}

impl Serialize for Sample {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // JSON has no NaN or infinity, so write these the way Prometheus does.
        if self.value.is_finite() {
            (self.at.micros(), self.value).serialize(serializer)
        } else {
            (self.at.micros(), format_value(self.value)).serialize(serializer)
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawValue {
    Number(f64),
    Text(String),
}

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (micros, raw) = <(i64, RawValue)>::deserialize(deserializer)?;
        let value = match raw {
            RawValue::Number(value) => Some(value),
            RawValue::Text(text) => parse_value(&text),
        };
        let value = value.ok_or_else(|| serde::de::Error::custom("the sample value is not a number"))?;
        Ok(Self { at: Timestamp::from_micros(micros), value })
    }
}

/// Parses a sample value in Prometheus's format: a decimal number, `NaN`, `+Inf` or `-Inf`. `None` if it is not a number.
pub fn parse_value(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        other => other.parse().ok(),
    }
}

/// Formats a sample value the way Prometheus does.
pub fn format_value(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}

/// Formats a number for people: about three significant digits, with an exponent only below 0.0001 or from 1e15 on.
pub fn human_value(value: f64) -> String {
    let abs = value.abs();
    if !value.is_finite() {
        format_value(value)
    } else if abs == 0.0 {
        "0".to_owned()
    } else if !(1e-4..1e15).contains(&abs) {
        format!("{value:.2e}")
    } else if abs >= 100.0 {
        format!("{value:.0}")
    } else {
        let digits = if abs >= 10.0 {
            1
        } else if abs >= 0.1 {
            2
        } else {
            4
        };
        let text = format!("{value:.digits$}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// Formats a value with its unit for people. Bytes (unit `B`) are scaled by powers of 1000 (`4.04 GB`); other units are not.
/// A space precedes every unit except `%`.
pub fn human_measure(value: f64, unit: &str) -> String {
    if unit == "B" && value.abs() >= 1000.0 {
        let steps = ["kB", "MB", "GB", "TB", "PB"];
        let scaled = |n: usize| value / 1000_f64.powi(i32::try_from(n + 1).unwrap_or(1));
        let step = (0..steps.len()).rfind(|n| scaled(*n).abs() >= 1.0).unwrap_or(0);
        let value = scaled(step);
        let digits = match value.abs() {
            v if v >= 100.0 => 0,
            v if v >= 10.0 => 1,
            _ => 2,
        };
        return format!("{value:.digits$} {}", steps.get(step).copied().unwrap_or("kB"));
    }
    let figure = human_value(value);
    match unit {
        "" => figure,
        "%" => format!("{figure}%"),
        _ => format!("{figure} {unit}"),
    }
}

/// A series: its labels and its samples in time order. Empty `samples` mean that the backend knows the series but has no
/// sample in the window. A gap is a missing sample, never a zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    pub labels: Labels,
    pub samples: Vec<Sample>,
}

impl Series {
    /// The series as a PromQL selector: `name{a="b",…}`, without the name if it has none.
    pub fn title(&self) -> String {
        let name = self.labels.get("__name__").map_or("", String::as_str);
        let rest: Vec<String> = self.labels.iter().filter(|(k, _)| *k != "__name__").map(|(k, v)| format!("{k}={v:?}")).collect();
        if rest.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", rest.join(",")) }
    }

    /// The service of the series, from its labels (see [`service_of`]).
    pub fn service(&self) -> Option<&str> {
        service_of(&self.labels)
    }

    /// The samples in a window, in time order.
    pub fn within(&self, window: Window) -> &[Sample] {
        let from = self.samples.partition_point(|s| s.at < window.start);
        let to = self.samples.partition_point(|s| s.at <= window.end);
        self.samples.get(from..to.max(from)).unwrap_or(&[])
    }

    /// The finite values in a window, in time order.
    pub fn values(&self, window: Window) -> Vec<f64> {
        self.within(window).iter().map(|s| s.value).filter(|v| v.is_finite()).collect()
    }
}

/// The series behind an alert, for the chart on the alert board.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertSeries {
    pub query: String,
    pub threshold: Option<f64>,
    pub series: Vec<Series>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_bytes_in_powers_of_1000() {
        let format = |v: f64| human_measure(v, "B");
        assert_eq!(
            [0.0, 0.5, 999.0, -1500.0, 12_345.0, 3_104_788_498.0, 403e9, 1e18].map(format),
            ["0 B", "0.5 B", "999 B", "-1.50 kB", "12.3 kB", "3.10 GB", "403 GB", "1000 PB"]
        );
        assert_eq!((human_measure(4.6, "s"), human_measure(4.6, "")), ("4.6 s".to_owned(), "4.6".to_owned()));
    }

    #[test]
    fn formats_numbers_for_people() {
        for (value, text) in
            [(0.0, "0"), (17.234, "17.2"), (0.0912, "0.0912"), (1234.5, "1234"), (7.8, "7.8"), (20.0, "20"), (f64::NAN, "NaN")]
        {
            assert_eq!(human_value(value), text);
        }
    }

    #[test]
    fn infinite_samples_survive_json() {
        let series = Series {
            labels: Labels::new(),
            samples: [1.5, f64::INFINITY, f64::NEG_INFINITY]
                .iter()
                .map(|v| Sample { at: Timestamp::from_secs(1), value: *v })
                .collect(),
        };
        let text = serde_json::to_string(&series).unwrap();
        assert_eq!(serde_json::from_str::<Series>(&text).unwrap(), series);
    }
}
