//! How readers see the post-mortem: its Markdown through a renderer as code hosts use it, and its HTML in a browser.

#[path = "support/program.rs"]
mod program;
#[path = "support/servers.rs"]
mod servers;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use program::{json, run, stdout};
use serde_json::{Value, json as object};
use servers::{Running, reserve, spawn};

/// What people, logs and models may write into an incident.
const HOSTILE: [&str; 7] = [
    "see ![status](http://198.51.100.7/pixel.png) and [this](javascript:alert(1))",
    "<script>window.pwned = true</script><img src=x onerror=\"window.pwned = true\">",
    "a | b | c and `code | with a bar` and a backslash \\| too",
    "```\nunclosed fence\n<iframe src=\"http://198.51.100.7\"></iframe>",
    "one_very_long_word_without_a_break_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789",
    "mixed scripts: עברית, 日本語, 👩‍👩‍👧, é",
    "# not a heading\n- not a list\n[E999]",
];

/// The exports of a well-run incident (the demo) and of one that is full of hostile text, each as Markdown and HTML.
fn exports(d: &Path) -> Vec<(&'static str, String, PathBuf)> {
    let out = d.join("demo");
    let demo = run(d, &["demo", "--headless", "--out", &out.display().to_string()]);
    assert!(demo.status.success(), "{}", stdout(&demo));
    let mut all = vec![("demo", std::fs::read_to_string(out.join("postmortem.md")).unwrap(), out.join("postmortem.html"))];
    json(d, &["declare", "--title", "<b>pool</b> | [x](javascript:alert(2))", "--severity", "SEV3", "--at", "1h ago"]);
    for text in HOSTILE {
        for kind in ["observation", "went-badly", "factor", "question", "hypothesis"] {
            run(d, &["incident", "note", "INC-1", text, "--kind", kind]);
        }
        run(d, &["action", "add", "INC-1", text, "--owner", "ana", "--due", "2030-01-01"]);
    }
    run(d, &["incident", "impact", "INC-1", "--text", HOSTILE[0], "--users", HOSTILE[1], "--services", HOSTILE[2]]);
    let page = d.join("hostile.html");
    std::fs::write(&page, run(d, &["export", "INC-1", "--format", "html"]).stdout).unwrap();
    all.push(("hostile", stdout(&run(d, &["export", "INC-1"])), page));
    all
}

/// The values of an attribute in HTML that a renderer wrote.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    html.split(start.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn code_hosts_show_the_markdown_as_it_is_meant() {
    let f = tempfile::tempdir().unwrap();
    for (name, markdown, _) in exports(f.path()) {
        let mut options = comrak::Options::default();
        // As on GitHub: tables, bare links, anchors of headings. Raw HTML is let through here so that it would be seen.
        options.extension.table = true;
        options.extension.autolink = true;
        options.extension.strikethrough = true;
        options.extension.header_id_prefix = Some(String::new());
        options.render.r#unsafe = true;
        let html = comrak::markdown_to_html(&markdown, &options);
        for part in ["<script", "<img", "<iframe", "href=\"javascript:"] {
            assert!(!html.to_lowercase().contains(part), "{name}: {part}");
        }
        let ids = attributes(&html, "id");
        let links = attributes(&html, "href");
        let missing: Vec<_> = links.iter().filter_map(|l| l.strip_prefix('#')).filter(|l| !ids.contains(l)).collect();
        assert!(missing.is_empty(), "{name}: {missing:?} of {ids:?}");
        assert!(name != "demo" || links.iter().filter(|l| l.starts_with("#e")).count() > 20, "{name}: {links:?}");
        // Each row of a table has as many cells as its head.
        let tables: Vec<&str> = html.split("<table>").skip(1).filter_map(|t| t.split("</table>").next()).collect();
        assert!(!tables.is_empty(), "{name}");
        for table in tables {
            let columns = table.matches("<th>").count() + table.matches("<th ").count();
            for row in table.split("<tr>").skip(2) {
                assert_eq!(row.matches("<td>").count() + row.matches("<td ").count(), columns, "{name}: {row}");
            }
        }
        // A table that was broken by its contents is shown as text with bars.
        let text = html.split("<pre").map(|part| part.rsplit("</pre>").next().unwrap_or_default());
        let broken: Vec<&str> =
            text.flat_map(str::lines).filter(|line| line.starts_with("<p>|") || line.starts_with("| ")).collect();
        assert!(broken.is_empty(), "{name}: a table is shown as text: {broken:?}");
        assert!(html.matches("<h2>").count() + html.matches("<h2 ").count() >= 9, "{name}");
    }
}

/// A browser behind a WebDriver server (W3C WebDriver, <https://www.w3.org/TR/webdriver2/>).
struct Browser {
    client: reqwest::Client,
    session: String,
    _server: Running,
}

impl Browser {
    async fn start(folder: &Path) -> Self {
        let port = reserve();
        let server = spawn("chromedriver", &[format!("--port={port}")], &folder.join("chromedriver.log"));
        let address = format!("http://127.0.0.1:{port}");
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let status = format!("{address}/status");
        let started = Instant::now();
        while !client.get(&status).send().await.is_ok_and(|r| r.status().is_success()) {
            assert!(started.elapsed() < Duration::from_mins(1), "chromedriver does not answer");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // No name is resolved, so that nothing outside can be reached; as root, Chromium runs without its sandbox only.
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--host-resolver-rules=MAP * ~NOTFOUND".to_owned(),
            format!("--user-data-dir={}", folder.join("profile").display()),
        ];
        let wanted = object!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}});
        let answer: Value = client.post(format!("{address}/session")).json(&wanted).send().await.unwrap().json().await.unwrap();
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no browser: {answer}"));
        Self { session: format!("{address}/session/{id}"), client, _server: server }
    }

    async fn post(&self, command: &str, body: Value) -> Value {
        let response = self.client.post(format!("{}/{command}", self.session)).json(&body).send().await.unwrap();
        let answer: Value = response.json().await.unwrap();
        assert!(answer["value"]["error"].is_null(), "{command}: {answer}");
        answer["value"].clone()
    }

    async fn open(&self, page: &Path, width: u32) {
        self.post("window/rect", object!({"width": width, "height": 900})).await;
        self.post("url", object!({"url": format!("file://{}", page.display())})).await;
    }

    async fn run(&self, script: &str) -> Value {
        self.post("execute/sync", object!({"script": script, "args": []})).await
    }

    async fn close(self) {
        let _closed = self.client.delete(&self.session).send().await;
    }
}

/// What is wrong with a page as the browser shows it.
const INSPECT: &str = r#"
    const wrong = [];
    const root = document.documentElement;
    if (root.scrollWidth > root.clientWidth + 1) wrong.push(`it is ${root.scrollWidth} wide in ${root.clientWidth}`);
    for (const link of document.querySelectorAll("a[href^='#']"))
        if (!document.getElementById(link.getAttribute("href").slice(1))) wrong.push(`no ${link.getAttribute("href")}`);
    for (const link of document.querySelectorAll("a[href]"))
        if (!/^(#|https?:|mailto:)/.test(link.getAttribute("href"))) wrong.push(`link ${link.getAttribute("href")}`);
    if (document.querySelector("script, iframe, object, embed, img, link[rel=stylesheet]")) wrong.push("an active or remote element");
    for (const element of document.querySelectorAll("*"))
        for (const attribute of element.attributes)
            if (attribute.name.startsWith("on")) wrong.push(attribute.name);
    if (window.pwned) wrong.push("a script of the text ran");
    const loaded = performance.getEntriesByType("resource").map(entry => entry.name);
    if (loaded.length) wrong.push(`loaded ${loaded}`);
    for (const drawing of document.querySelectorAll("svg")) {
        const box = drawing.getBoundingClientRect();
        if (box.width < 50 || box.height < 20) wrong.push(`a chart of ${box.width}x${box.height}`);
    }
    for (const table of document.querySelectorAll("table"))
        for (const row of table.rows)
            if (row.cells.length !== table.rows[0].cells.length) wrong.push(`a row with ${row.cells.length} cells`);
    for (const heading of document.querySelectorAll("th")) if (!heading.textContent.trim()) wrong.push("an empty table head");
    return {wrong, charts: document.querySelectorAll("svg").length, text: document.body.innerText, title: document.title};
"#;

#[tokio::test]
async fn a_browser_shows_the_page_without_scripts_and_without_overflow() {
    let f = tempfile::tempdir().unwrap();
    let pages = exports(f.path());
    let browser = Browser::start(f.path()).await;
    for (name, _, page) in &pages {
        for width in [1280, 500] {
            browser.open(page, width).await;
            let seen = browser.run(INSPECT).await;
            assert_eq!(seen["wrong"], object!([]), "{name} at {width}");
            let text = seen["text"].as_str().unwrap();
            assert!(
                text.contains("Summary") && text.contains("Timeline") && !seen["title"].as_str().unwrap().is_empty(),
                "{text}"
            );
            assert!(*name != "demo" || seen["charts"].as_u64() >= Some(3), "{seen}");
            assert!(!text.contains("](#"), "Markdown is shown as text in {name}");
        }
        // What a reader prints or keeps as PDF.
        let printed = browser.post("print", object!({"background": true})).await;
        assert!(printed.as_str().unwrap().starts_with("JVBERi0"), "{name}: no PDF");
    }
    browser.close().await;
}
