//! Minimal PromQL parsing that separates the threshold from an alert expression: `rate(x) > 0.01` becomes the series
//! `rate(x)`, which can be charted, and the threshold 0.01. Also infers the unit of an expression.

/// The comparison of an alert expression with a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// The left side: the series to chart.
    pub series: String,
    /// `>`, `>=`, `<`, `<=`, `==` or `!=`.
    pub operator: String,
    pub value: f64,
}

/// Splits `EXPR op NUMBER` at a comparison outside of brackets and quotes. `None` when the expression has no comparison or
/// several, when the right side is not a number, or when it uses `and`, `or` or `unless`. In these cases the whole
/// expression has to be shown.
pub fn parse_threshold(expression: &str) -> Option<Threshold> {
    let flat = strip_comments(expression);
    let text = strip_outer_parentheses(flat.trim());
    let (mut depth, mut quote, mut found) = (0_i32, None::<u8>, None);
    let bytes = text.as_bytes();
    let mut i = 0;
    while let Some(&b) = bytes.get(i) {
        match (quote, b) {
            (Some(_), b'\\') => i += 1,
            (Some(q), b) if b == q => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'' | b'`') => quote = Some(b),
            (None, b'(' | b'[' | b'{') => depth += 1,
            (None, b')' | b']' | b'}') => depth -= 1,
            (None, b'>' | b'<' | b'=' | b'!') if depth == 0 => {
                let wide = bytes.get(i + 1) == Some(&b'=');
                if found.is_some() || (matches!(b, b'=' | b'!') && !wide) {
                    return None;
                }
                found = Some((i, if wide { 2 } else { 1 }));
                i += usize::from(wide);
            }
            (None, b) if depth == 0 && b.is_ascii_alphabetic() => {
                let word: usize = text.get(i..)?.bytes().take_while(|c| c.is_ascii_alphanumeric() || *c == b'_').count();
                if ["and", "or", "unless"].iter().any(|w| text.get(i..i + word).is_some_and(|t| t.eq_ignore_ascii_case(w))) {
                    return None;
                }
                i += word.saturating_sub(1);
            }
            _ => {}
        }
        i += 1;
    }
    let (at, width) = found?;
    let right = text.get(at + width..)?.trim();
    let right = right.strip_prefix("bool ").unwrap_or(right).trim();
    let series = strip_outer_parentheses(text.get(..at)?.trim());
    Some(Threshold { series: series.to_owned(), operator: text.get(at..at + width)?.to_owned(), value: number(right)? })
        .filter(|t| !t.series.is_empty())
}

/// Whether an expression reads no series, so that it always holds or never: `vector(1)`, `vector(1) > 0`, `1 == 1`.
pub fn is_constant(expression: &str) -> bool {
    let text = strip_comments(expression);
    let words: Vec<&str> =
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.' && c != ':').filter(|w| !w.is_empty()).collect();
    let is_number = |w: &&str| w.parse::<f64>().is_ok();
    !text.contains(['{', '"'])
        && !words.is_empty()
        && words.iter().all(|w| is_number(w) || ["vector", "bool", "scalar"].contains(w))
}

/// Parses a number, or a product or quotient of numbers such as `80 / 100` or `5 * 60`.
fn number(text: &str) -> Option<f64> {
    if let Ok(value) = text.parse() {
        return Some(value);
    }
    let (left, right, divide) = match (text.split_once('*'), text.split_once('/')) {
        (Some((l, r)), _) => (l, r, false),
        (None, Some((l, r))) => (l, r, true),
        _ => return None,
    };
    let (left, right): (f64, f64) = (number(left.trim())?, number(right.trim())?);
    Some(if divide { left / right } else { left * right }).filter(|v| v.is_finite())
}

fn strip_outer_parentheses(text: &str) -> &str {
    let mut text = text;
    while let Some(inner) = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) {
        let mut depth = 0_i32;
        let closes_early = inner.bytes().any(|b| {
            depth += i32::from(b == b'(') - i32::from(b == b')');
            depth < 0
        });
        if closes_early {
            return text;
        }
        text = inner.trim();
    }
    text
}

fn strip_comments(text: &str) -> String {
    text.lines().map(|l| if l.trim_start().starts_with('#') { "" } else { l }).collect::<Vec<_>>().join(" ")
}

/// Infers the unit of an expression from the names in it: `s`, `%`, `B`, or an empty string when unknown. A quotient with a
/// threshold above 0 and up to 1 is a percentage.
pub fn infer_unit(query: &str, threshold: Option<f64>) -> &'static str {
    if query.contains("histogram_quantile") || query.contains("_seconds") && !query.contains(" / ") {
        "s"
    } else if query.contains(" / ") && threshold.is_some_and(|t| t > 0.0 && t <= 1.0) {
        "%"
    } else if query.contains("_bytes") && !query.contains(" / ") {
        "B"
    } else {
        ""
    }
}

/// The unit of the value of an alert, from the expression of its rule; empty when unknown.
pub fn unit_of_rule(expression: &str) -> &'static str {
    match parse_threshold(expression) {
        Some(split) => infer_unit(&split.series, Some(split.value)),
        None => infer_unit(expression, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infers_the_unit_of_an_expression() {
        for (query, threshold, expected) in [
            ("histogram_quantile(0.95, sum by (le) (rate(x_seconds_bucket[5m])))", Some(0.5), "s"),
            ("sum(rate(a[5m])) / sum(rate(b[5m]))", Some(0.01), "%"),
            ("sum(a_seconds_sum) / sum(a_seconds_count)", Some(2.0), ""),
            ("process_resident_memory_bytes", Some(1e9), "B"),
            ("db_pool_in_use", Some(0.9), ""),
        ] {
            assert_eq!(infer_unit(query, threshold), expected, "{query}");
        }
    }

    #[test]
    fn the_unit_of_a_rule_is_that_of_its_series() {
        for (rule, expected) in [
            ("sum(rate(a[5m])) / sum(rate(b[5m])) > 0.05", "%"),
            ("histogram_quantile(0.95, sum by (le) (rate(x_seconds_bucket[5m]))) > 0.5", "s"),
            ("db_pool_in_use / db_pool_max >= 0.9", "%"),
            ("up == 0", ""),
        ] {
            assert_eq!(unit_of_rule(rule), expected, "{rule}");
        }
    }

    #[test]
    fn an_expression_without_series_is_constant() {
        for constant in ["vector(1)", "vector(1) > 0", "1 == 1", "# always\nvector(1)"] {
            assert!(is_constant(constant), "{constant}");
        }
        for other in ["", "up", "up == 0", "absent(up)", "{job=\"a\"}", "time() > 1", "vector(time())"] {
            assert!(!is_constant(other), "{other}");
        }
    }

    #[test]
    fn separates_thresholds_from_expressions() {
        for (expression, series, operator, value) in [
            ("up == 0", "up", "==", 0.0),
            (
                "sum(rate(x{code=~\"5..\",a!=\"b\"}[1m])) / sum(rate(x[1m])) > 0.01",
                "sum(rate(x{code=~\"5..\",a!=\"b\"}[1m])) / sum(rate(x[1m]))",
                ">",
                0.01,
            ),
            ("(a / b) >= 80 / 100", "a / b", ">=", 0.8),
            ("((a) < 5 * 60)", "a", "<", 300.0),
            ("a > bool 3", "a", ">", 3.0),
        ] {
            let t = parse_threshold(expression).unwrap_or_else(|| panic!("{expression}"));
            assert_eq!((t.series.as_str(), t.operator.as_str(), t.value), (series, operator, value), "{expression}");
        }
        for whole in ["up", "a > b", "a > 1 and b > 2", "1 < a < 2", "a == on(x) b", "absent(up)", "(", "a >", "é > \"x"] {
            assert_eq!(parse_threshold(whole), None, "{whole}");
        }
    }
}
