//! Exit criteria as people type them: an expression with its comparison, or with the threshold beside it.

use std::time::Duration;

use super::expression::threshold;
use crate::incident::{Comparison, ExitCriteria};

/// Exit criteria from an expression with its comparison (`error_rate < 0.01`), or from one and a threshold.
pub fn criteria(
    expression: &str,
    below: Option<f64>,
    above: Option<f64>,
    length: Duration,
    source: Option<String>,
) -> Result<ExitCriteria, String> {
    if (below.is_some() || above.is_some()) && threshold(expression).is_some() {
        return Err("the threshold is given twice: leave it out of the expression, or leave --below and --above out".to_owned());
    }
    let (expression, comparison, threshold) = match (below, above, threshold(expression)) {
        (Some(value), _, _) => (expression.to_owned(), Comparison::Below, value),
        (None, Some(value), _) => (expression.to_owned(), Comparison::Above, value),
        (None, None, Some(split)) => match Comparison::from_operator(&split.operator) {
            Some(comparison) => (split.series, comparison, split.value),
            None => return Err(format!("'{}' is no threshold: use <, <=, > or >=", split.operator)),
        },
        (None, None, None) => {
            return Err(
                "give the threshold: --below NUMBER, --above NUMBER, or an expression such as 'error_rate < 0.01'".to_owned()
            );
        }
    };
    Ok(ExitCriteria {
        expression: expression.trim().to_owned(),
        comparison,
        threshold,
        for_secs: length.as_secs().max(1),
        source,
    })
}

/// `error_rate < 0.01 for 30m`, as typed into one line.
pub fn typed(text: &str) -> Result<ExitCriteria, String> {
    let how = "type it like: error_rate < 0.01 for 30m";
    let (expression, length) = text.rsplit_once(" for ").ok_or_else(|| how.to_owned())?;
    let length = crate::telemetry::time::parse_duration(length).map_err(|e| e.to_string())?;
    criteria(expression, None, None, length, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_read_as_they_are_typed() {
        let c = typed("sum(rate(errors[5m])) / sum(rate(all[5m])) < 0.01 for 30m").unwrap();
        assert_eq!((c.comparison, c.threshold, c.for_secs), (Comparison::Below, 0.01, 1800));
        assert_eq!(c.expression, "sum(rate(errors[5m])) / sum(rate(all[5m]))");
        assert!(typed("up == 1 for 5m").unwrap_err().contains("no threshold"));
        assert!(criteria("up < 3", Some(5.0), None, Duration::from_secs(60), None).unwrap_err().contains("twice"));
        assert!(typed("up").is_err() && typed("up > 1 for ever").is_err());
        assert_eq!(criteria("latency", Some(0.5), None, Duration::from_secs(60), None).unwrap().comparison, Comparison::Below);
    }
}
