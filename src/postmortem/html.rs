//! The report as one HTML page, generated from the Markdown.
//!
//! The page has no scripts and loads nothing from elsewhere. Raw HTML in the Markdown is shown as text.

use pulldown_cmark::{Event, Options, Parser, html};

use super::{Report, markdown};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c1f24;background:#fff}\
table{border-collapse:collapse;margin:1rem 0}th,td{border:1px solid #c8ccd4;padding:.25rem .6rem;text-align:left;vertical-align:top}\
pre,code{font:14px/1.4 ui-monospace,monospace;background:#f3f4f6}pre{padding:.6rem;overflow-x:auto}\
blockquote{border-left:.25rem solid #b58900;margin:1rem 0;padding:.1rem 1rem;background:#fdf6e3}\
@media(prefers-color-scheme:dark){body{color:#d7dae0;background:#16181d}pre,code{background:#22252c}th,td{border-color:#3b4048}blockquote{background:#2a261a}}";

/// A complete HTML document.
pub(super) fn render(report: &Report) -> String {
    let text = markdown::render(report);
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    // The text quotes logs and model answers, so raw HTML in it is shown as text.
    let events = Parser::new_ext(&text, options).map(|event| match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
        other => other,
    });
    let mut body = String::new();
    html::push_html(&mut body, events);
    let title = super::text::escape_html(&report.title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n{body}</body>\n</html>\n"
    )
}
