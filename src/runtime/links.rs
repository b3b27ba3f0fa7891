//! URLs on the screen as hyperlinks (OSC 8), so that the terminal can open them.

use std::io::Write;

use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Position;

/// A URL in a row of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    x: u16,
    y: u16,
    width: u16,
    url: String,
}

/// The URLs that a frame shows in full. One that fills its line to the edge may go on in the next line, and is left out.
fn links(buffer: &Buffer) -> Vec<Link> {
    let area = buffer.area;
    let mut found = Vec::new();
    for y in area.y..area.bottom() {
        let symbol = |x: u16| buffer.cell((x, y)).map_or(" ", Cell::symbol);
        let mut x = area.x;
        while x < area.right() {
            let is_in_url = |x: &u16| matches!(symbol(*x).as_bytes(), [b] if b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(b));
            let run: Vec<u16> = (x..area.right()).take_while(is_in_url).collect();
            let text: String = run.iter().map(|x| symbol(*x)).collect();
            let start = text.find("https://").or_else(|| text.find("http://"));
            if let Some(start) = start {
                let url = text.get(start..).unwrap_or_default().trim_end_matches(['.', ',', ')', ']', ';', ':', '\'']);
                let from = x + u16::try_from(start).unwrap_or(0);
                let width = u16::try_from(url.len()).unwrap_or(0);
                let end = from + width;
                // Two blanks, or further text, show that the line has room left.
                let is_whole =
                    end + 1 < area.right() && (symbol(end) != " " || symbol(end + 1).trim().is_empty() || is_in_url(&(end + 1)));
                let is_cut = symbol(end) == "…" || symbol(end) == "│";
                if url.len() > "https://".len() && is_whole && !is_cut {
                    found.push(Link { x: from, y, width, url: url.to_owned() });
                }
            }
            x += u16::try_from(run.len()).unwrap_or(0) + 1;
        }
    }
    found
}

/// Writes the URLs of a frame again as hyperlinks. The cursor stays where it is.
pub(super) fn write<W: Write>(backend: &mut CrosstermBackend<W>, buffer: &Buffer) -> std::io::Result<()> {
    for link in links(buffer) {
        // The parts of a URL are graphic ASCII, so that it ends no control string.
        write!(backend, "\x1b7\x1b]8;;{}\x1b\\", link.url)?;
        let cells = (link.x..link.x + link.width).filter_map(|x| Some((x, link.y, buffer.cell(Position { x, y: link.y })?)));
        backend.draw(cells)?;
        write!(backend, "\x1b]8;;\x1b\\\x1b8")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rows: &[&str]) -> Vec<String> {
        links(&Buffer::with_lines(rows.iter().map(|r| (*r).to_owned()))).into_iter().map(|l| l.url).collect()
    }

    #[test]
    fn only_whole_urls_are_links() {
        assert_eq!(found(&["│ runbook https://wiki.example.org/x?a=1#b (o to open) │"]), ["https://wiki.example.org/x?a=1#b"]);
        assert_eq!(found(&["│ see (http://a.example/b).   │"]), ["http://a.example/b"]);
        assert_eq!(
            found(&["│ https://wiki.example.org/a-long-p│", "│ ath/of-it                        │"]),
            Vec::<String>::new()
        );
        assert_eq!(found(&["│ https://wiki.example.org/a-lon… │"]), Vec::<String>::new());
        assert_eq!(found(&["https://wiki.example.org/abc"]), Vec::<String>::new(), "it may go on beyond the edge");
        assert_eq!(found(&["│ https://  │", "│ no link   │"]), Vec::<String>::new());
        assert_eq!(found(&["a https://a.example b https://b.example c"]), ["https://a.example", "https://b.example"]);
    }

    #[test]
    fn a_link_is_written_over_its_cells() {
        let mut out = Vec::new();
        let mut backend = CrosstermBackend::new(&mut out);
        write(&mut backend, &Buffer::with_lines(["see https://a.example now"])).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("\x1b]8;;https://a.example\x1b\\") && text.ends_with("\x1b]8;;\x1b\\\x1b8"), "{text:?}");
    }
}
