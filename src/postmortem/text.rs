//! Outside text made safe for Markdown and HTML.

/// A text within a paragraph or list item: on one line, and none of its characters acts as Markdown. Evidence tags such as
/// `[E3]` stay as they are.
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
    // `1. text` at the start would begin a list.
    let digits = out.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 && matches!(out.as_bytes().get(digits), Some(b'.' | b')')) {
        out.insert(digits, '\\');
    }
    out
}

/// A text as code within a line: the fence is longer than any run of backticks inside.
pub(super) fn code(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    if flat.is_empty() {
        return String::new();
    }
    let ticks = "`".repeat(longest_run(&flat) + 1);
    let pad = if flat.starts_with('`') || flat.ends_with('`') { " " } else { "" };
    format!("{ticks}{pad}{flat}{pad}{ticks}")
}

/// A text as a block of code.
pub(super) fn block(text: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end())
}

fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

pub(super) fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A model's Markdown, its headings one level below `level`, so that it stays within its section.
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
                // Raw HTML of a model is shown, not run, by hosts that would run it.
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
    fn hostile_text_stays_text() {
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
        fn a_cell_never_breaks_its_row(text in "\\PC{0,60}") {
            let row = inline(&text);
            let mut escaped = false;
            for c in row.chars() {
                proptest::prop_assert!(c != '\n' && (c != '|' || escaped));
                escaped = c == '\\' && !escaped;
            }
        }
    }
}
