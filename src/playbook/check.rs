//! Conditions on results: what must hold after a block was run, and when another step follows.

use std::fmt;
use std::str::FromStr;

use crate::incident::Comparison;
use crate::telemetry::series::human_value;

/// A comparison with a number: `< 0.01`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    pub comparison: Comparison,
    pub threshold: f64,
}

impl Condition {
    /// Whether a value meets it. NaN never does.
    pub fn holds(self, value: f64) -> bool {
        self.comparison.holds(value, self.threshold)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.comparison.word(), human_value(self.threshold))
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || format!("'{text}' is not a condition; write an operator and a number, such as \"< 0.01\"");
        let trimmed = text.trim();
        let operators = ["<=", ">=", "<", ">"];
        let operator = operators.into_iter().find(|o| trimmed.starts_with(o)).ok_or_else(fail)?;
        let number = trimmed.get(operator.len()..).unwrap_or_default().trim();
        let (number, factor) = number.strip_suffix('%').map_or((number, 1.0), |n| (n.trim(), 0.01));
        let threshold: f64 = number.parse().map_err(|_| fail())?;
        let comparison = Comparison::from_operator(operator).filter(|_| threshold.is_finite()).ok_or_else(fail)?;
        Ok(Self { comparison, threshold: threshold * factor })
    }
}

/// What must hold after a block was run.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// The newest value of the block's own query.
    Value(Condition),
    /// The newest value of a query to the metrics source.
    Query { expression: String, condition: Condition },
    /// The status of an HTTP response: 200, or a class such as 2xx.
    Status { from: u16, to: u16 },
}

impl Check {
    /// Parses `< 0.01`, `sum(rate(errors[5m])) < 0.01`, or for a request `200` and `2xx`.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str, is_request: bool) -> Result<Self, String> {
        let trimmed = text.trim();
        if is_request && trimmed.len() == 3 {
            let class = trimmed.strip_suffix("xx").and_then(|c| c.parse::<u16>().ok());
            let range = class.map(|c| (c * 100, c * 100 + 99)).or_else(|| trimmed.parse().ok().map(|code| (code, code)));
            if let Some((from, to)) = range.filter(|(from, _)| (100..600).contains(from)) {
                return Ok(Self::Status { from, to });
            }
        }
        // The operator of the condition is the last one; the expression may have others.
        let at = trimmed.rfind(['<', '>']).ok_or_else(|| {
            format!(
                "'{text}' is not a check; write a condition such as \"< 0.01\", with a query in front if it is about another one"
            )
        })?;
        let (expression, condition) = trimmed.split_at(at);
        let condition: Condition = condition.parse()?;
        let expression = expression.trim();
        Ok(if expression.is_empty() {
            Self::Value(condition)
        } else {
            Self::Query { expression: expression.to_owned(), condition }
        })
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(condition) => write!(f, "the value is {condition}"),
            Self::Query { expression, condition } => write!(f, "{expression} is {condition}"),
            Self::Status { from, to } if from == to => write!(f, "the status is {from}"),
            Self::Status { from, .. } => write!(f, "the status is {}xx", from / 100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_checks() {
        let shown = |text: &str, is_request| Check::parse(text, is_request).map(|c| c.to_string());
        assert_eq!(shown("< 0.01", false).unwrap(), "the value is below 0.01");
        assert_eq!(shown(">=95%", false).unwrap(), "the value is at least 0.95");
        assert_eq!(shown("sum(a > bool 1) <= 2", false).unwrap(), "sum(a > bool 1) is at most 2");
        assert_eq!(shown("2xx", true).unwrap(), "the status is 2xx");
        assert_eq!(shown("204", true).unwrap(), "the status is 204");
        for wrong in ["2xx", "fine", "< ", "< x", "up", "< inf", "<NaN"] {
            assert!(shown(wrong, false).is_err(), "{wrong}");
        }
        assert!(Condition::from_str("> 1").unwrap().holds(2.0) && !Condition::from_str("> 1").unwrap().holds(f64::NAN));
    }
}
