//! The report as one HTML page, generated from the Markdown.
//!
//! The page has no scripts and loads nothing from elsewhere. Raw HTML in the Markdown is shown as text, and ammonia removes what is left that
//! could act, such as `javascript:` links. Charts are drawn here as SVG.

use std::collections::BTreeSet;

use ammonia::Builder;
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

use super::markdown::Part;
use super::story::Chart;
use super::text::escape_html;
use super::{Report, markdown, prose};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c1f24;background:#fff;overflow-wrap:break-word}\
table{border-collapse:collapse;margin:1rem 0;display:block;max-width:100%;overflow-x:auto}th,td{border:1px solid #c8ccd4;padding:.25rem .6rem;text-align:left;vertical-align:top}\
pre,code{font:14px/1.4 ui-monospace,monospace;background:#f3f4f6}pre{padding:.6rem;overflow-x:auto}a{color:#0a58ca}\
blockquote{border-left:.25rem solid #b58900;margin:1rem 0;padding:.1rem 1rem;background:#fdf6e3}\
figure{margin:1rem 0}figcaption{font-size:.9rem}svg{width:100%;height:auto;color:#1c1f24}svg text{font:12px system-ui,sans-serif;fill:currentColor}\
@media(prefers-color-scheme:dark){body,svg{color:#d7dae0}body{background:#16181d}a{color:#7db3ff}pre,code{background:#22252c}\
th,td{border-color:#3b4048}blockquote{background:#2a261a}}\
@media print{body{margin:0;max-width:none;color:#000;background:#fff}pre{white-space:pre-wrap}table{display:table}td{overflow-wrap:anywhere}h2,figure{break-after:avoid}}";

/// The size of a chart, in its own units, and the space for its labels.
const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 24.0;

/// A complete HTML document.
pub(super) fn render(report: &Report) -> String {
    let body: String = markdown::parts(report)
        .iter()
        .map(|part| match part {
            Part::Markdown(text) => page(report, text),
            Part::Chart(chart) => figure(chart),
        })
        .collect();
    document(&report.title, &body)
}

/// A page around a body of safe HTML.
pub(super) fn document(title: &str, body: &str) -> String {
    let title = escape_html(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n{body}</body>\n</html>\n"
    )
}

/// Markdown as safe HTML, in which headings have ids and evidence tags are links.
pub(super) fn page(report: &Report, text: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let linked = markdown::linked(report, text);
    let mut events: Vec<Event<'_>> = Parser::new_ext(&linked, options)
        .map(|event| match event {
            // The text quotes logs and model answers, so raw HTML in it is shown as text.
            Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
            // An image would be loaded from elsewhere.
            Event::Start(Tag::Image { .. }) => Event::Text("(image left out: ".into()),
            Event::End(TagEnd::Image) => Event::Text(")".into()),
            other => other,
        })
        .collect();
    add_ids(&mut events);
    let mut body = String::new();
    html::push_html(&mut body, events.into_iter());
    Builder::default()
        .add_generic_attributes(["id"])
        .add_tags(["figure", "figcaption"])
        .url_schemes(BTreeSet::from(["http", "https", "mailto"]).into_iter().collect())
        .link_rel(Some("noopener noreferrer nofollow"))
        .clean(&body)
        .to_string()
}

/// Gives each heading an id from its text, as code hosts do: `## Open questions` is `open-questions`.
fn add_ids(events: &mut [Event<'_>]) {
    let mut texts: Vec<String> = Vec::new();
    let mut current: Option<String> = None;
    for event in events.iter() {
        match event {
            Event::Start(Tag::Heading { .. }) => current = Some(String::new()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut current {
                    heading.push_str(text);
                }
            }
            Event::End(TagEnd::Heading(_)) => texts.extend(current.take()),
            _ => {}
        }
    }
    let mut slugs = texts.iter().map(|text| slug(text));
    for event in events.iter_mut() {
        if let Event::Start(Tag::Heading { level, id, .. }) = event {
            let slug = slugs.next().unwrap_or_default();
            *id = Some(CowStr::from(slug)).filter(|s| !s.is_empty() && *level != HeadingLevel::H1);
        }
    }
}

fn slug(text: &str) -> String {
    let lower = text.to_lowercase();
    let kept = lower.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// A chart as a figure with a caption that links to its evidence.
fn figure(chart: &Chart) -> String {
    let finite = || chart.samples.iter().filter(|s| s.value.is_finite() && chart.window.contains(s.at));
    let high = finite().map(|s| s.value).fold(chart.threshold.unwrap_or(0.0), f64::max);
    let low = finite().map(|s| s.value).fold(0.0, f64::min);
    let length = chart.window.length().as_secs_f64();
    if finite().count() < 2 || length <= 0.0 || high <= low {
        return String::new();
    }
    let x = |at: crate::telemetry::Timestamp| LEFT + at.secs_since(chart.window.start) / length * (WIDTH - LEFT - 10.0);
    let y = |value: f64| TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escape_html(&chart.title));
    for value in [low, high] {
        let (at, label) = (y(value), escape_html(&prose::amount(value, &chart.unit)));
        svg.push_str(&format!(
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{:.0}\" y2=\"{at:.1}\" stroke=\"currentColor\" stroke-opacity=\".25\"/>\
             <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            WIDTH - 10.0,
            LEFT - 6.0,
            at + 4.0
        ));
    }
    if let Some(threshold) = chart.threshold.filter(|t| *t > low && *t < high) {
        let at = y(threshold);
        svg.push_str(&format!(
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{:.0}\" y2=\"{at:.1}\" stroke=\"#b58900\" stroke-dasharray=\"4 4\"/>",
            WIDTH - 10.0
        ));
    }
    for (n, (at, word)) in chart.marks.iter().enumerate() {
        // Marks that are close to each other are written below each other.
        let row = 12.0 + if n % 2 == 1 { 14.0 } else { 0.0 };
        svg.push_str(&format!(
            "<line x1=\"{0:.1}\" y1=\"{TOP}\" x2=\"{0:.1}\" y2=\"{1:.0}\" stroke=\"#d33682\" stroke-opacity=\".7\"/>\
             <text x=\"{2:.1}\" y=\"{row:.0}\">{word} {3}</text>",
            x(*at),
            HEIGHT - BOTTOM,
            (x(*at) + 3.0).min(WIDTH - 110.0),
            prose::minute(*at)
        ));
    }
    let points: Vec<String> = finite().map(|s| format!("{:.1},{:.1}", x(s.at), y(s.value))).collect();
    svg.push_str(&format!("<polyline points=\"{}\" fill=\"none\" stroke=\"#268bd2\" stroke-width=\"2\"/>", points.join(" ")));
    for (at, anchor) in [(chart.window.start, "start"), (chart.window.end, "end")] {
        svg.push_str(&format!(
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"{anchor}\">{}</text>",
            x(at),
            HEIGHT - 6.0,
            prose::minute(at)
        ));
    }
    svg.push_str("</svg>");
    let id = chart.evidence;
    format!(
        "<figure>{svg}<figcaption>{}, {} <a href=\"#{}\">[{id}]</a></figcaption></figure>\n",
        escape_html(&chart.title),
        prose::from_to(chart.window.start, chart.window.end),
        id.to_string().to_lowercase()
    )
}
