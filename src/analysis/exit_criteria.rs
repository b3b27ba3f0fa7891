//! Parses exit criteria: an expression that contains its comparison, or an expression with a separate threshold.

use std::time::Duration;

use super::expression::parse_threshold;
use crate::incident::{Comparison, ExitCriteria};

/// Builds exit criteria from an expression with its comparison (`error_rate < 0.01`), or from an expression and a threshold.
/// `length` is how long the condition must hold. The error is a message for the user: the threshold is missing, given twice,
/// or uses an unsupported operator.
pub fn build(
    expression: &str,
    below: Option<f64>,
    above: Option<f64>,
    length: Duration,
    source: Option<String>,
) -> Result<ExitCriteria, String> {
    if (below.is_some() || above.is_some()) && parse_threshold(expression).is_some() {
        return Err("The threshold is given twice: in the expression and with --below or --above. Remove one of them.".to_owned());
    }
    let (expression, comparison, threshold) = match (below, above, parse_threshold(expression)) {
        (Some(value), _, _) => (expression.to_owned(), Comparison::Below, value),
        (None, Some(value), _) => (expression.to_owned(), Comparison::Above, value),
        (None, None, Some(split)) => match Comparison::from_operator(&split.operator) {
            Some(comparison) => (split.series, comparison, split.value),
            None => return Err(format!("'{}' is not a supported operator. Use <, <=, > or >=.", split.operator)),
        },
        (None, None, None) => {
            return Err(
                "No threshold given. Add --below NUMBER or --above NUMBER, or write it into the expression: 'error_rate < 0.01'."
                    .to_owned(),
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

/// Parses exit criteria written on one line, such as `error_rate < 0.01 for 30m`. The error is a message for the user.
pub fn parse(text: &str) -> Result<ExitCriteria, String> {
    let usage = "No duration given. Write the criteria like this: error_rate < 0.01 for 30m";
    let (expression, length) = text.rsplit_once(" for ").ok_or_else(|| usage.to_owned())?;
    let length = crate::telemetry::time::parse_duration(length).map_err(|e| e.to_string())?;
    build(expression, None, None, length, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_exit_criteria() {
        let c = parse("sum(rate(errors[5m])) / sum(rate(all[5m])) < 0.01 for 30m").unwrap();
        assert_eq!((c.comparison, c.threshold, c.for_secs), (Comparison::Below, 0.01, 1800));
        assert_eq!(c.expression, "sum(rate(errors[5m])) / sum(rate(all[5m]))");
        assert!(parse("up == 1 for 5m").unwrap_err().contains("not a supported operator"));
        assert!(build("up < 3", Some(5.0), None, Duration::from_mins(1), None).unwrap_err().contains("twice"));
        assert!(parse("up").is_err() && parse("up > 1 for ever").is_err());
        assert_eq!(build("latency", Some(0.5), None, Duration::from_mins(1), None).unwrap().comparison, Comparison::Below);
    }
}
