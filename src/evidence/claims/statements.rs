//! Takes a Markdown answer apart into statements, each with its place.

/// A sentence, a list item or a table row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// The text on one line, as written.
    pub text: String,
    /// The last heading above it; empty without one.
    pub heading: String,
    /// The line that it begins on, from 1.
    pub line: usize,
    /// Its bytes in the answer.
    pub start: usize,
    pub end: usize,
    pub is_row: bool,
}

/// A stretch of the answer that holds whole statements.
struct Block {
    start: usize,
    end: usize,
    heading: String,
    is_row: bool,
}

/// All statements of an answer, without headings and code. An answer that is fenced as a whole is read inside its fence, and
/// so is text after a fence that is never closed.
pub(super) fn statements(answer: &str) -> Vec<Statement> {
    let mut out = Vec::new();
    // The line at a place, counted on from the place before.
    let (mut line, mut counted) = (1, 0);
    for block in blocks(answer) {
        let Some(text) = answer.get(block.start..block.end) else { continue };
        let pieces = if block.is_row { vec![(0, text.len())] } else { sentences(text) };
        for (from, to) in pieces {
            let Some(raw) = text.get(from..to) else { continue };
            let flat = raw.lines().map(|l| l.trim().trim_start_matches("> ")).collect::<Vec<_>>().join(" ");
            if flat.trim().is_empty() {
                continue;
            }
            let start = block.start + from;
            line += answer.get(counted..start).map_or(0, |t| t.matches('\n').count());
            counted = start;
            out.push(Statement {
                text: flat.trim().to_owned(),
                heading: block.heading.clone(),
                line,
                start,
                end: block.start + to,
                is_row: block.is_row,
            });
        }
    }
    out
}

fn blocks(answer: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut heading, mut open): (String, Option<(usize, usize)>) = (String::new(), None);
    let lines: Vec<&str> = answer.split_inclusive('\n').collect();
    let mut fences = lines.iter().filter(|l| is_fence(l)).count();
    // A fence around the whole answer, as some models write it, is none.
    let is_wrapped = lines.iter().find(|l| !l.trim().is_empty()).is_some_and(|l| ["```markdown", "```md"].contains(&l.trim()));
    let (mut fenced, mut is_first_fence, mut at) = (false, true, 0);
    for line in lines {
        let (start, end) = (at, at + line.len());
        at = end;
        let trimmed = line.trim();
        let indent = line.len() - line.trim_start().len();
        let mut close = |open: &mut Option<(usize, usize)>, heading: &str| {
            if let Some((start, end)) = open.take() {
                blocks.push(Block { start, end, heading: heading.to_owned(), is_row: false });
            }
        };
        if is_fence(trimmed) {
            close(&mut open, &heading);
            fences = fences.saturating_sub(1);
            let is_wrapper = is_wrapped && (is_first_fence || fences == 0);
            is_first_fence = false;
            if !is_wrapper {
                fenced = !fenced && fences > usize::from(is_wrapped);
            }
        } else if fenced {
        } else if trimmed.starts_with('#') {
            close(&mut open, &heading);
            trimmed.trim_start_matches('#').trim().clone_into(&mut heading);
        } else if trimmed.is_empty() || trimmed.starts_with("---") || trimmed.starts_with("_Rule-based") {
            close(&mut open, &heading);
        } else if trimmed.starts_with('|') {
            close(&mut open, &heading);
            if !trimmed.chars().all(|c| matches!(c, '|' | '-' | ':' | ' ')) {
                let from = start + indent;
                blocks.push(Block { start: from, end: from + trimmed.len(), heading: heading.clone(), is_row: true });
            }
        } else if let Some(item) = list_item(trimmed) {
            close(&mut open, &heading);
            open = Some((start + indent + trimmed.len() - item.len(), end));
        } else {
            open = Some((open.map_or(start + indent, |(start, _)| start), end));
        }
    }
    if let Some((start, end)) = open {
        blocks.push(Block { start, end, heading, is_row: false });
    }
    blocks
}

fn is_fence(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("```") || line.starts_with("~~~")
}

/// The text of a bulleted, checkbox or numbered list item; `None` for any other line.
fn list_item(line: &str) -> Option<&str> {
    if let Some(rest) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")).or_else(|| line.strip_prefix("+ ")) {
        return Some(rest.strip_prefix("[ ] ").or_else(|| rest.strip_prefix("[x] ")).unwrap_or(rest));
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = line.get(digits..)?;
    (1..=3).contains(&digits).then(|| rest.strip_prefix(". ").or_else(|| rest.strip_prefix(") "))).flatten()
}

/// Words before a full stop that end no sentence.
const ABBREVIATIONS: [&str; 10] = ["e.g", "i.e", "etc", "vs", "approx", "ca", "resp", "no", "incl", "cf"];

/// Splits a paragraph into sentences, as byte ranges. A citation after the full stop stays with the sentence before it.
fn sentences(text: &str) -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = Vec::new();
    let (mut start, mut in_quote) = (0, false);
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    for (i, (at, c)) in chars.iter().enumerate() {
        match c {
            '"' => in_quote = !in_quote,
            '“' | '«' => in_quote = true,
            '”' | '»' => in_quote = false,
            _ => {}
        }
        let next = chars.get(i + 1).map(|(_, c)| *c);
        // Closing marks belong to the sentence: `It broke.** Then`.
        let closing = chars.iter().skip(i + 1).take_while(|(_, c)| matches!(c, '*' | '_' | '"' | '”' | ')')).count();
        let after = chars.get(i + 1 + closing).map(|(_, c)| *c);
        let begins = chars.get(i + 2 + closing).map(|(_, c)| *c);
        let is_end = matches!(c, '.' | '!' | '?')
            && (!in_quote || matches!(next, Some('"' | '”')))
            && after.is_none_or(char::is_whitespace)
            && begins.is_none_or(|a| !a.is_lowercase())
            && !ends_in_abbreviation(text.get(start..*at).unwrap_or(""));
        if is_end {
            let end = chars.get(i + 1 + closing).map_or(text.len(), |(at, _)| *at);
            out.push((start, end));
            start = end;
            in_quote = false;
        }
    }
    out.push((start, text.len()));
    let mut joined: Vec<(usize, usize)> = Vec::new();
    for (from, to) in out {
        let piece = text.get(from..to).unwrap_or("");
        let from = from + piece.len() - piece.trim_start().len();
        let piece = piece.trim();
        if piece.is_empty() {
            continue;
        }
        let to = from + piece.len();
        // In `It broke. [E3] Then …` the citation belongs to the first sentence.
        let cited = super::leading_citations(piece);
        match joined.last_mut().filter(|_| cited > 0) {
            Some(last) => {
                last.1 = from + cited;
                let rest = piece.get(cited..).unwrap_or("");
                let skipped = rest.len() - rest.trim_start().len();
                if !rest.trim().is_empty() {
                    joined.push((from + cited + skipped, to));
                }
            }
            None => joined.push((from, to)),
        }
    }
    joined
}

fn ends_in_abbreviation(text: &str) -> bool {
    let word = text.rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or("").to_lowercase();
    ABBREVIATIONS.contains(&word.as_str()) || word.chars().count() == 1 && word.chars().all(char::is_alphabetic) && word != "s"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(answer: &str) -> Vec<String> {
        statements(answer).into_iter().map(|s| s.text).collect()
    }

    #[test]
    fn takes_an_answer_apart() {
        for (answer, expected) in [
            ("It broke at checkout. [E1] The pool was full. [E3]", vec!["It broke at checkout. [E1]", "The pool was full. [E3]"]),
            ("# A\n\nOne\ntwo. Three\n\n- four\n  five\n1. six\n", vec!["One two.", "Three", "four five", "six"]),
            ("```\ncode\n```\ntext", vec!["text"]),
            ("```markdown\nA is down.\n```", vec!["A is down."]),
            ("```\nThe database lost 40000 orders", vec!["The database lost 40000 orders"]),
            ("| a | b |\n|---|---|\n| c. | D. |", vec!["| a | b |", "| c. | D. |"]),
            (
                "**It broke.** Then it said \"Fail. Now\" twice, e.g. Here.",
                vec!["**It broke.**", "Then it said \"Fail. Now\" twice, e.g. Here."],
            ),
        ] {
            assert_eq!(texts(answer), expected, "{answer}");
        }
        let answer = "# Why\n\n- First. Second [E2].";
        let second = &statements(answer)[1];
        assert_eq!((&answer[second.start..second.end], second.line, second.heading.as_str()), ("Second [E2].", 3, "Why"));
    }
}
