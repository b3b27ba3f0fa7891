//! URLs on the screen as hyperlinks (OSC 8), so that the terminal can open them.

use std::io::Write;

use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::{Buffer, Cell};

/// A URL in a row of the screen, with the cells that show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    x: u16,
    y: u16,
    cells: Vec<Cell>,
    url: String,
}

/// The URLs that a frame shows in full. One that fills its line to the edge may go on in the next line, and is left out.
pub(super) fn found(buffer: &Buffer) -> Vec<Link> {
    let width = usize::from(buffer.area.width);
    let rows = (buffer.area.y..).zip(buffer.content.chunks(width.max(1)));
    rows.flat_map(|(y, row)| links_in(buffer.area.x, y, row)).collect()
}

/// Whether a cell may be part of a URL.
fn is_in_url(cell: &Cell) -> bool {
    matches!(cell.symbol().as_bytes(), [b] if b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(b))
}

fn links_in(left: u16, y: u16, row: &[Cell]) -> Vec<Link> {
    // Most rows have no URL, and they are looked through for each frame.
    let begins = |three: &[Cell]| three.iter().map(Cell::symbol).eq([":", "/", "/"]);
    if !row.windows(3).any(begins) {
        return Vec::new();
    }
    let symbol = |at: usize| row.get(at).map_or(" ", Cell::symbol);
    let mut links = Vec::new();
    let mut at = 0;
    while at < row.len() {
        let run: String = row.iter().skip(at).take_while(|cell| is_in_url(cell)).map(Cell::symbol).collect();
        if let Some(start) = run.find("https://").or_else(|| run.find("http://")) {
            let url = run.get(start..).unwrap_or_default().trim_end_matches(['.', ',', ')', ']', ';', ':', '\'']);
            let from = at + start;
            let end = from + url.len();
            // Two blanks, or further text, show that the line has room left.
            let is_whole = end + 1 < row.len()
                && (symbol(end) != " " || symbol(end + 1).trim().is_empty() || row.get(end + 1).is_some_and(is_in_url));
            let is_cut = symbol(end) == "…" || symbol(end) == "│";
            if let (Some(cells), Ok(x)) = (row.get(from..end), u16::try_from(from))
                && url.len() > "https://".len()
                && is_whole
                && !is_cut
            {
                links.push(Link { x: left + x, y, cells: cells.to_vec(), url: url.to_owned() });
            }
        }
        at += run.len() + 1;
    }
    links
}

/// Writes the URLs of a frame again as hyperlinks. The cursor stays where it is.
pub(super) fn write<W: Write>(backend: &mut CrosstermBackend<W>, links: Vec<Link>) -> std::io::Result<()> {
    for link in links {
        // The parts of a URL are graphic ASCII, so that it ends no control string.
        write!(backend, "\x1b7\x1b]8;;{}\x1b\\", link.url)?;
        backend.draw((link.x..).zip(&link.cells).map(|(x, cell)| (x, link.y, cell)))?;
        write!(backend, "\x1b]8;;\x1b\\\x1b8")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(rows: &[&str]) -> Vec<String> {
        found(&Buffer::with_lines(rows.iter().map(|r| (*r).to_owned()))).into_iter().map(|l| l.url).collect()
    }

    #[test]
    fn only_whole_urls_are_links() {
        assert_eq!(urls(&["│ runbook https://wiki.example.org/x?a=1#b (o to open) │"]), ["https://wiki.example.org/x?a=1#b"]);
        assert_eq!(urls(&["│ see (http://a.example/b).   │"]), ["http://a.example/b"]);
        assert_eq!(urls(&["│ https://wiki.example.org/a-long-p│", "│ ath/of-it                        │"]), Vec::<String>::new());
        assert_eq!(urls(&["│ https://wiki.example.org/a-lon… │"]), Vec::<String>::new());
        assert_eq!(urls(&["https://wiki.example.org/abc"]), Vec::<String>::new(), "it may go on beyond the edge");
        assert_eq!(urls(&["│ https://  │", "│ no link   │"]), Vec::<String>::new());
        assert_eq!(urls(&["a https://a.example b https://b.example c"]), ["https://a.example", "https://b.example"]);
    }

    #[test]
    fn a_link_is_written_over_its_cells() {
        let mut out = Vec::new();
        let mut backend = CrosstermBackend::new(&mut out);
        write(&mut backend, found(&Buffer::with_lines(["see https://a.example now"]))).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("\x1b]8;;https://a.example\x1b\\") && text.ends_with("\x1b]8;;\x1b\\\x1b8"), "{text:?}");
    }
}
