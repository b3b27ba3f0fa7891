//! Escapes untrusted text for Markdown and HTML.

use pulldown_cmark::{Event, Parser, Tag, TagEnd};

/// Escapes text for a paragraph, list item or table cell: puts it on one line and escapes Markdown characters. Evidence tags
/// such as `[E3]` are kept.
pub(super) fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let chars: Vec<char> = flat.chars().collect();
    for (i, c) in chars.iter().enumerate() {
        let opens_tag = *c == '[' && chars.get(i + 1) == Some(&'E') && chars.get(i + 2).is_some_and(char::is_ascii_digit);
        // After an evidence tag, these would make it a link to elsewhere.
        let follows_tag = i > 0 && chars.get(i - 1) == Some(&']');
        let escape = match c {
            '(' | ':' => follows_tag,
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
    let ends_number =
        matches!(out.as_bytes().get(digits), Some(b'.' | b')')) && matches!(out.as_bytes().get(digits + 1), None | Some(b' '));
    if digits > 0 && ends_number {
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

/// A model's Markdown with its headings turned into bold text, so that it stays within its section. Raw HTML is escaped, images are left out,
/// and links other than to web pages and mail addresses become text.
pub(super) fn nested(markdown: &str) -> String {
    let mut fenced = false;
    let lines: Vec<String> = without_dangerous_links(markdown)
        .lines()
        .map(|line| {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            let defines_link = line.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("]:")).is_some();
            match line.trim_start_matches('#') {
                rest if !fenced && rest.len() < line.len() && rest.starts_with(' ') => {
                    format!("**{}**", rest.trim().replace('*', ""))
                }
                // A definition would change the links of the whole document.
                _ if defines_link && !fenced => line.replacen('[', "\\[", 1).replace('<', "\\<"),
                // Escape raw HTML, which some Markdown hosts would otherwise run.
                _ => line.replace('<', "\\<"),
            }
        })
        .collect();
    lines.join("\n")
}

/// Replaces images and links to anything other than web pages and mail addresses by their text.
fn without_dangerous_links(markdown: &str) -> String {
    let mut cuts: Vec<(std::ops::Range<usize>, String)> = Vec::new();
    let mut open: Option<(std::ops::Range<usize>, String)> = None;
    for (event, range) in Parser::new(markdown).into_offset_iter() {
        match event {
            Event::Start(Tag::Image { .. }) if open.is_none() => open = Some((range, "image left out: ".to_owned())),
            Event::Start(Tag::Link { dest_url, .. }) if open.is_none() && !is_harmless(&dest_url) => {
                open = Some((range, String::new()));
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some((_, words)) = &mut open {
                    words.push_str(&text);
                }
            }
            Event::End(TagEnd::Image | TagEnd::Link) => {
                if let Some((whole, words)) = open.take_if(|(whole, _)| whole.end == range.end) {
                    cuts.push((whole, inline(&words)));
                }
            }
            _ => {}
        }
    }
    let mut out = markdown.to_owned();
    for (range, words) in cuts.into_iter().rev() {
        if out.get(range.clone()).is_some() {
            out.replace_range(range, &words);
        }
    }
    out
}

fn is_harmless(url: &str) -> bool {
    let lower = url.trim().to_lowercase();
    ["http://", "https://", "mailto:", "#"].iter().any(|start| lower.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_hostile_text() {
        assert_eq!(
            inline("a | b\n**c** <script> [x](y) [E3] a_b _i_"),
            "a \\| b \\*\\*c\\*\\* \\<script\\> \\[x]\\(y) [E3] a_b \\_i\\_"
        );
        assert_eq!(inline("1. # x"), "1\\. # x");
        assert_eq!(inline("[E3](javascript:x) [E4]: y"), "[E3]\\(javascript:x) [E4]\\: y");
        assert_eq!(code("a`b|c"), "``a`b\\|c``");
        assert!(block("x\n```\ny").starts_with("````text"));
    }

    #[test]
    fn a_models_text_can_neither_run_nor_load_anything() {
        for (text, expected) in [
            ("see [this](javascript:alert(1)) and [docs](https://a.example)", "see this and [docs](https://a.example)"),
            ("![chart](https://evil.example/x.png) end", "image left out: chart end"),
            ("[![x](http://e/x.png)](javascript:y)", "x"),
            ("[E1]: javascript:x", "\\[E1]: javascript:x"),
            ("<img src=x onerror=y>", "\\<img src=x onerror=y>"),
            ("# Heading [x](data:text/html,1)", "**Heading x**"),
        ] {
            assert_eq!(nested(text), expected);
        }
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
