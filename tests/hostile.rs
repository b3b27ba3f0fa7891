//! Logs that no program wrote: mutated lines in any order, and single lines that are very long, wide or deep. Nothing may panic, and every line
//! counts once.

#[path = "support/mutations.rs"]
mod mutations;

use mutations::Dice;
use warroom::analysis::patterns::filter::LineFilter;
use warroom::analysis::patterns::log_analysis::{LogAnalysis, Side};
use warroom::telemetry::parse::assemble::{Assembler, unfold};
use warroom::telemetry::parse::layout::Layout;
use warroom::telemetry::parse::{Context, Joiner};
use warroom::telemetry::{LogLine, Timestamp};

/// Reads lines in every way, and returns the number of events.
fn read(lines: &[String]) -> usize {
    let context = Context::utc(Timestamp::from_secs(1_795_253_500));
    let mut layout = Layout::default();
    let mut analysis = LogAnalysis::new(context, true);
    analysis.start_stream(context, LineFilter::default());
    let mut assembler = Assembler::default();
    let mut records: Vec<(String, usize)> = Vec::new();
    for chunk in lines.chunks(50) {
        layout.learn_more(chunk.iter().map(String::as_str), context);
        for line in chunk {
            records.extend(assembler.push(line, layout.columns()).map(|(text, n)| (text.into_owned(), n)));
        }
    }
    records.extend(assembler.finish());
    assert_eq!(records.iter().map(|(_, n)| n).sum::<usize>(), lines.len(), "every line is in one record");
    let mut expected = 0;
    for (record, _) in &records {
        let inner = unfold(record).unwrap_or_else(|| vec![record.clone()]);
        expected += inner.len();
        for line in inner {
            analysis.add_line(&line, Some(&layout), Side::Incident);
            let parts = layout.parts(&line, context);
            assert!(parts.iter().all(|part| line.get(part.range.clone()).is_some()), "{line}");
        }
    }
    assert_eq!(analysis.line_count(), expected as u64);
    let found = analysis.finish(false);
    assert!(found.patterns.iter().all(|p| p.count > 0));
    let mut joiner = Joiner::new(context);
    joiner.set_layout(layout);
    let mut events: Vec<LogLine> = lines.iter().flat_map(|line| joiner.push(line)).collect();
    events.extend(joiner.finish());
    events.len()
}

#[test]
fn mutated_lines_are_read() {
    // Longer with WARROOM_FUZZ_ROUNDS, with another seed for each round.
    let rounds: u64 = std::env::var("WARROOM_FUZZ_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    let (mut lines, mut bytes, mut events) = (0, 0, 0);
    for seed in 1..=rounds {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let batch: Vec<String> = (0..200).map(|_| dice.line()).collect();
        events += read(&batch);
        (lines, bytes) = (lines + batch.len(), bytes + batch.iter().map(String::len).sum::<usize>());
    }
    println!("{rounds} logs, {lines} lines, {bytes} bytes, {events} events");
    assert!(events > lines / 10, "{events} events of {lines} lines");
}

#[test]
fn long_wide_and_deep_lines_are_read() {
    let million = 1_000_000;
    let wide: Vec<String> = (0..50_000).map(|n| format!("\"k{n}\":{n}")).collect();
    let pairs: Vec<String> = (0..50_000).map(|n| format!("k{n}=v{n}")).collect();
    for line in [
        "x".repeat(million),
        format!("2026-11-21T09:31:07Z ERROR {}", "word ".repeat(million / 5)),
        format!("2026-11-21T09:31:07Z {}", "a=1 ".repeat(million / 4)),
        format!("{{\"time\":\"2026-11-21T09:31:07Z\",{}}}", wide.join(",")),
        format!("time=2026-11-21T09:31:07Z msg=x {}", pairs.join(" ")),
        "{\"a\":".repeat(100_000) + &"}".repeat(100_000),
        "[".repeat(million),
        "<a>".repeat(100_000),
        "\"".repeat(million - 1),
        "(((".repeat(million / 3),
        "é".repeat(million / 2),
        "2026-11-21T09:31:07Z [".repeat(million / 22),
        "a: ".repeat(million / 3),
        "\0".repeat(million),
        "1.2.".repeat(million / 4),
    ] {
        assert!(read(&[line.clone(), "2026-11-21T09:31:08Z INFO next".to_owned(), line]) > 0);
    }
    // Records that do not end.
    for (first, next) in [
        ("{\"a\": {", "\"b\": \"x\","),
        ("a,\"b", "c"),
        ("<r>", "x"),
        ("__CURSOR=1", "A=b"),
        ("2026-11-21T09:31:07.1Z stdout P a", "2026-11-21T09:31:07.1Z stdout P a"),
    ] {
        let mut lines = vec!["time,level,message".to_owned(), first.to_owned()];
        lines.extend(std::iter::repeat_n(next.to_owned(), 20_000));
        read(&lines);
    }
}
