//! Measures the check of claims and the redaction on labelled corpora, written without knowing the rules. Each test prints what
//! it measured and fails if it falls below the figures that README gives.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use warroom::evidence::Redactor;
use warroom::evidence::claims::check_claims;
use warroom::incident::{ClaimState, EvidenceId};

/// Reads a compressed fixture. They are compressed so that secret scanners do not stop at planted secrets.
fn fixture<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let bytes = zstd::stream::decode_all(std::fs::File::open(path).unwrap()).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[derive(Deserialize)]
struct Scenario {
    evidence: BTreeMap<EvidenceId, String>,
    claims: Vec<Labelled>,
}

#[derive(Deserialize)]
struct Labelled {
    heading: String,
    text: String,
    label: String,
    kind: Option<String>,
}

/// Right verdicts and all claims, by label and kind.
fn measure(set: &str) -> BTreeMap<String, (u32, u32)> {
    let scenarios: Vec<Scenario> = fixture(&format!("claims/{set}.json.zst"));
    let mut counts: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for scenario in &scenarios {
        for claim in &scenario.claims {
            let is_block = claim.text.trim_start().starts_with(['|', '-', '*', '1']);
            let answer = format!("## {}\n\n{}{}\n", claim.heading, if is_block { "" } else { "- " }, claim.text);
            let checked = check_claims(&answer, &scenario.evidence);
            let flagged = checked.claims.iter().find(|c| c.is_flagged()).map(|c| c.state);
            let right = match claim.label.as_str() {
                "supported" | "plan" | "not_checkable" => flagged.is_none(),
                "uncited" => flagged == Some(ClaimState::Uncited),
                "unknown_evidence" => flagged == Some(ClaimState::UnknownEvidence),
                _ => flagged.is_some(),
            };
            let key = claim.kind.clone().unwrap_or_else(|| claim.label.clone());
            let count = counts.entry(key).or_default();
            count.0 += u32::from(right);
            count.1 += 1;
        }
    }
    counts
}

#[test]
fn claims_are_judged_as_readers_judged_them() {
    let mut all: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for set in ["a", "b", "c"] {
        let counts = measure(set);
        for (kind, (right, of)) in counts {
            println!("set {set}: {kind:18} {right} of {of}");
            let total = all.entry(kind).or_default();
            total.0 += right;
            total.1 += of;
        }
    }
    for (kind, (right, of)) in &all {
        println!("all: {kind:18} {right} of {of} = {:.3}", f64::from(*right) / f64::from(*of));
    }
    let share = |kinds: &[&str]| {
        let (right, of) = kinds.iter().filter_map(|k| all.get(*k)).fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
        f64::from(right) / f64::from(of)
    };
    let found = share(&["number", "unit", "time", "name", "quotation", "direction", "subject", "uncited", "unknown_evidence"]);
    let untouched = share(&["supported", "plan", "not_checkable"]);
    println!("planted errors found: {found:.3}; honest statements left alone: {untouched:.3}");
    assert!(found >= 0.92, "planted errors found: {found:.3}");
    assert!(untouched >= 0.95, "honest statements left alone: {untouched:.3}");
}

/// Evidence in the words and forms of other tools, and claims about it that avoid the usual verbs, most of them about directions
/// and times.
#[test]
fn loosely_phrased_claims_about_the_evidence_of_other_tools() {
    for set in ["d", "e", "f"] {
        let counts = measure(set);
        let share = |kinds: &[&str]| {
            let (right, of) = kinds.iter().filter_map(|k| counts.get(*k)).fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
            println!("set {set}: {kinds:?} {right} of {of}");
            f64::from(right) / f64::from(of)
        };
        assert!(share(&["direction"]) >= 0.6);
        assert!(share(&["time"]) >= 0.5);
        assert!(share(&["number", "unit", "name", "quotation", "subject", "uncited", "unknown_evidence"]) >= 0.85);
        assert!(share(&["supported", "plan", "not_checkable"]) >= 0.95);
    }
}

#[derive(Deserialize)]
struct Secrets {
    /// Kind, text and the secret in it.
    planted: Vec<(String, String, String)>,
    harmless: Vec<String>,
}

#[test]
fn secrets_are_found_and_ordinary_text_is_left_alone() {
    let (mut leaks, mut usual, mut hard_leaks, mut hard, mut touched, mut harmless) = (0_u32, 0_u32, 0_u32, 0_u32, 0_u32, 0_u32);
    for set in ["a", "b", "c", "d", "e"] {
        let secrets: Secrets = fixture(&format!("redaction/{set}.json.zst"));
        for (kind, text, secret) in &secrets.planted {
            let once = Redactor::new().redact_text(text).into_owned();
            assert_eq!(Redactor::new().redact_text(&once), once, "redacting twice changes {text}");
            let leaked = u32::from(once.contains(secret.as_str()));
            if kind.starts_with("hard") {
                hard += 1;
                hard_leaks += leaked;
            } else {
                usual += 1;
                leaks += leaked;
            }
        }
        harmless += u32::try_from(secrets.harmless.len()).unwrap();
        touched += u32::try_from(secrets.harmless.iter().filter(|t| Redactor::new().redact_text(t) != **t).count()).unwrap();
    }
    println!(
        "usual kinds: {leaks} of {usual} leak; hard kinds: {hard_leaks} of {hard}; harmless lines touched: {touched} of {harmless}"
    );
    let share = |part: u32, of: u32| f64::from(part) / f64::from(of);
    assert!(share(leaks, usual) <= 0.005, "{leaks} of {usual} usual secrets leak");
    assert!(share(hard_leaks, hard) <= 0.04, "{hard_leaks} of {hard} hard secrets leak");
    assert!(share(touched, harmless) <= 0.01, "{touched} of {harmless} harmless lines are touched");
}
