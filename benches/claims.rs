//! Benchmark of the check of an answer against its evidence. Prints the times together with the size of the data and the time
//! that it takes to read the answer once; asserts nothing. Run it with `cargo bench --bench claims`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use warroom::evidence::claims::check_claims;
use warroom::incident::EvidenceId;

/// The length of the answer, in bytes.
const LENGTH: usize = 50_000;

/// Evidence and claims about it.
#[derive(serde::Deserialize)]
struct Scenario {
    evidence: BTreeMap<EvidenceId, String>,
    claims: Vec<Labelled>,
}

#[derive(serde::Deserialize)]
struct Labelled {
    heading: String,
    text: String,
}

fn median(runs: usize, mut job: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            job();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[runs / 2]
}

fn main() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/claims/a.json.zst");
    let bytes = std::fs::File::open(&path).and_then(zstd::stream::decode_all).expect("the fixture can be read");
    let scenarios: Vec<Scenario> = serde_json::from_slice(&bytes).expect("the fixture is as expected");
    let scenario = scenarios.first().expect("the fixture has a scenario");
    let mut answer = String::new();
    while answer.len() < LENGTH {
        for claim in &scenario.claims {
            answer.push_str(&format!("## {}\n\n- {}\n\n", claim.heading, claim.text));
        }
    }
    let evidence: usize = scenario.evidence.values().map(String::len).sum();
    let start = Instant::now();
    let claims = check_claims(&answer, &scenario.evidence).claims.len();
    let first = start.elapsed();
    let check = median(21, || {
        std::hint::black_box(check_claims(&answer, &scenario.evidence));
    });
    let read = median(21, || {
        std::hint::black_box(answer.split_whitespace().map(|w| w.trim_matches('.').to_lowercase()).collect::<Vec<_>>());
    });
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    println!(
        "checking {claims} claims in an answer of {} kB against {} items of evidence of {} kB: {:.1} ms, {:.1} ms the first time (splitting the answer into words: {:.2} ms, {:.0}×)",
        answer.len() / 1000,
        scenario.evidence.len(),
        evidence / 1000,
        ms(check),
        ms(first),
        ms(read),
        check.as_secs_f64() / read.as_secs_f64()
    );
}
