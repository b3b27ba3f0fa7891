//! The Markdown of an update in the forms that other systems take.

use pulldown_cmark::{Event, Parser, Tag, TagEnd};

/// How a system marks emphasis and links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Without any marks.
    Plain,
    /// Slack's mrkdwn: `*bold*`, `<url|text>`; `&`, `<` and `>` are escaped.
    Slack,
}

/// The text without marks: for systems that show text as it is.
pub(crate) fn plain(markdown: &str) -> String {
    convert(markdown, Form::Plain)
}

/// The text in Slack's mrkdwn. Nothing in it can mention people or channels.
pub(crate) fn mrkdwn(markdown: &str) -> String {
    convert(markdown, Form::Slack)
}

fn convert(markdown: &str, form: Form) -> String {
    let is_slack = form == Form::Slack;
    let escape = |text: &str| {
        if is_slack { text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;") } else { text.to_owned() }
    };
    let mark = |mark: &'static str| if is_slack { mark } else { "" };
    let mut out = String::new();
    // The number of the next item of each open list; `None` for bullets.
    let mut lists: Vec<Option<u64>> = Vec::new();
    let (mut link, mut is_web_link) = (String::new(), false);
    for event in Parser::new(markdown) {
        match event {
            Event::Text(text) => out.push_str(&escape(&text)),
            Event::Html(text) | Event::InlineHtml(text) => out.push_str(&escape(&text)),
            Event::Code(text) => out.push_str(&format!("{0}{1}{0}", mark("`"), escape(&text))),
            Event::SoftBreak | Event::HardBreak => out.push('\n'),
            Event::Rule => out.push('\n'),
            Event::Start(Tag::Strong | Tag::Heading { .. }) => out.push_str(mark("*")),
            Event::End(TagEnd::Strong) => out.push_str(mark("*")),
            Event::End(TagEnd::Heading(_)) => out.push_str(&format!("{}\n", mark("*"))),
            Event::Start(Tag::Emphasis) | Event::End(TagEnd::Emphasis) => out.push_str(mark("_")),
            Event::Start(Tag::Link { dest_url, .. }) => {
                link = dest_url.into_string();
                // Any other destination, such as `!channel`, would be an order to Slack.
                is_web_link = is_slack && ["http://", "https://", "mailto:"].iter().any(|s| link.starts_with(s));
                if is_web_link {
                    out.push_str(&format!("<{}|", escape(&link).replace('|', "%7C")));
                }
            }
            Event::End(TagEnd::Link) if is_web_link => out.push('>'),
            Event::End(TagEnd::Link) => out.push_str(&format!(" ({})", escape(&link))),
            Event::Start(Tag::List(first)) => {
                if !out.is_empty() && !out.ends_with('\n') {
                    out.push('\n');
                }
                lists.push(first);
            }
            Event::End(TagEnd::List(_)) => {
                lists.pop();
                if lists.is_empty() {
                    out.push('\n');
                }
            }
            Event::Start(Tag::Item) => {
                let indent = "  ".repeat(lists.len().saturating_sub(1));
                match lists.last_mut() {
                    Some(Some(number)) => {
                        out.push_str(&format!("{indent}{number}. "));
                        *number += 1;
                    }
                    _ if is_slack => out.push_str(&format!("{indent}• ")),
                    _ => out.push_str(&format!("{indent}- ")),
                }
            }
            Event::End(TagEnd::Item) if !out.ends_with('\n') => out.push('\n'),
            Event::End(TagEnd::Paragraph) => out.push_str("\n\n"),
            _ => {}
        }
    }
    let mut lines: Vec<&str> = Vec::new();
    for line in out.lines().map(str::trim_end) {
        if !(line.is_empty() && lines.last().is_none_or(|last| last.is_empty())) {
            lines.push(line);
        }
    }
    lines.join("\n").trim_end().to_owned()
}

/// Splits a text into parts of at most `most` characters, at ends of lines where it can.
pub(crate) fn split(text: &str, most: usize) -> Vec<String> {
    let mut parts = vec![String::new()];
    for line in text.split_inclusive('\n') {
        let mut rest = line;
        loop {
            let used = parts.last().map_or(0, |p| p.chars().count());
            let length = rest.chars().count();
            if used + length <= most {
                if let Some(part) = parts.last_mut() {
                    part.push_str(rest);
                }
                break;
            }
            if used > 0 {
                parts.push(String::new());
                continue;
            }
            let at = rest.char_indices().nth(most).map_or(rest.len(), |(at, _)| at);
            let (head, tail) = rest.split_at(at);
            if let Some(part) = parts.last_mut() {
                part.push_str(head);
            }
            rest = tail;
        }
    }
    parts.iter().map(|p| p.trim_end().to_owned()).filter(|p| !p.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_becomes_plain_text_and_slack_text() {
        let text = "**Conditions**\n17% of <orders> fail & more. See [the page](https://a.example/x).\n\n- first\n- second `code`\n\nfor <!channel> *now*";
        assert_eq!(
            plain(text),
            "Conditions\n17% of <orders> fail & more. See the page (https://a.example/x).\n\n- first\n- second code\n\nfor <!channel> now"
        );
        assert_eq!(
            mrkdwn(text),
            "*Conditions*\n17% of &lt;orders&gt; fail &amp; more. See <https://a.example/x|the page>.\n\n• first\n• second `code`\n\nfor &lt;!channel&gt; _now_"
        );
        assert_eq!(plain("1. a\n2. b"), "1. a\n2. b");
        for text in ["[x](!channel)", "[x](@U012)", "[x](!subteam^S1)", "<!here>", "[x](<!everyone>)"] {
            assert!(!mrkdwn(text).contains('<'), "{text}: {}", mrkdwn(text));
        }
        assert_eq!(plain(""), "");
    }

    #[test]
    fn long_texts_are_split_at_ends_of_lines() {
        assert_eq!(split("one\ntwo\nthree", 8), ["one\ntwo", "three"]);
        assert_eq!(split("äöüäöü", 4), ["äöüä", "öü"]);
        assert!(split("", 4).is_empty());
    }
}
