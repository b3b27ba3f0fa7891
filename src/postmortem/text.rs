//! Escapes untrusted text for Markdown and HTML.

/// Escapes text for a paragraph, list item or table cell: puts it on one line and escapes Markdown characters. Evidence tags
/// such as `[E3]` are kept.
pub(super) fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let chars: Vec<char> = flat.chars().collect();
    for (i, c) in chars.iter().enumerate() {
        let opens_tag = *c == '[' && chars.get(i + 1) == Some(&'E') && chars.get(i + 2).is_some_and(char::is_ascii_digit);
        let escape = match c {
            '\\' | '`' | '*' | '<' | '>' | '|' | '~' => true,
            '_' => {
                !(i > 0
                    && chars.get(i - 1).is_some_and(|p| p.is_alphanumeric())
                    && chars.get(i + 1).is_some_and(|n| n.is_alphanumeric()))
            }
            '[' => !opens_tag,
            '#' | '+' | '-' => i == 0,
            '&' => true,
            _ => false,
        };
        if escape {
            out.push('\\');
        }
        out.push(*c);
    }
    // `1. text` at the start would start a list.
    let digits = out.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 && matches!(out.as_bytes().get(digits), Some(b'.' | b')')) {
        out.insert(digits, '\\');
    }
    out
}

/// Formats text as inline code on one line, with more backticks around it than any run inside it. Empty for empty text.
pub(super) fn code(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    if flat.is_empty() {
        return String::new();
    }
    let ticks = "`".repeat(longest_run(&flat) + 1);
    let pad = if flat.starts_with('`') || flat.ends_with('`') { " " } else { "" };
    format!("{ticks}{pad}{flat}{pad}{ticks}")
}

/// Formats text as a fenced code block, with a fence longer than any run of backticks inside it.
pub(super) fn block(text: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end())
}

/// The length of the longest run of backticks in a text.
fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// Escapes text for HTML content and double-quoted attributes.
pub(super) fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A model's Markdown with its headings turned into bold text, so that it stays within its section, and with raw HTML escaped.
pub(super) fn nested(markdown: &str) -> String {
    let mut fenced = false;
    let lines: Vec<String> = markdown
        .lines()
        .map(|line| {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            match line.trim_start_matches('#') {
                rest if !fenced && rest.len() < line.len() && rest.starts_with(' ') => {
                    format!("**{}**", rest.trim().replace('*', ""))
                }
                // Escape raw HTML, which some Markdown hosts would otherwise run.
                _ => line.replace('<', "\\<"),
            }
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_hostile_text() {
        assert_eq!(
            inline("a | b\n**c** <script> [x](y) [E3] a_b _i_"),
            "a \\| b \\*\\*c\\*\\* \\<script\\> \\[x](y) [E3] a_b \\_i\\_"
        );
        assert_eq!(inline("1. # x"), "1\\. # x");
        assert_eq!(code("a`b|c"), "``a`b\\|c``");
        assert!(block("x\n```\ny").starts_with("````text"));
    }

    proptest::proptest! {
        #[test]
        fn escaped_text_never_breaks_a_table_row(text in "\\PC{0,60}") {
            let row = inline(&text);
            let mut escaped = false;
            for c in row.chars() {
                proptest::prop_assert!(c != '\n' && (c != '|' || escaped));
                escaped = c == '\\' && !escaped;
            }
        }
    }
}
