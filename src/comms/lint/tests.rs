//! The checks against sentences with labels.

use super::phrases::FILES;
use super::*;

fn names() -> Names {
    let set = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect();
    Names {
        machines: set(&["db-prod-1", "checkout-7d9f8c6b5-x2x9k"]),
        services: set(&["checkout", "payment-api", "gateway"]),
        people: set(&["ana", "Ben Okafor", "priya"]),
        ..Names::default()
    }
}

fn names_of(machines: &[&str], services: &[&str], people: &[&str]) -> Names {
    let set = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect();
    Names { machines: set(machines), services: set(services), people: set(people), ..Names::default() }
}

/// Recall and precision over a corpus: a sentence with a label has to have a hit of its kind, and one without has to have none. With
/// what was missed and what was wrong.
fn measure(corpus: &str, check: impl Fn(&str) -> Vec<Hit>) -> (f64, f64, String) {
    let (mut found, mut missed, mut wrong) = (0_u32, Vec::new(), Vec::new());
    for (label, sentence) in corpus.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.split_once('|')) {
        let kinds: Vec<String> = check(sentence)
            .iter()
            .filter(|h| h.kind != HitKind::NoNextUpdate)
            .map(|h| serde_json::to_value(h.kind).unwrap().as_str().unwrap().to_owned())
            .collect();
        // A named person as the cause is blame, too.
        let is_it = |k: &String| k == label || matches!((label, k.as_str()), ("blame", "person") | ("person", "blame"));
        match (label, kinds.iter().any(is_it)) {
            ("ok", _) if kinds.is_empty() => {}
            ("ok", _) => wrong.push(format!("{kinds:?} {sentence}")),
            (_, true) => found += 1,
            (_, false) => missed.push(format!("{label} {sentence} {kinds:?}")),
        }
    }
    let (hits, misses, alarms) = (f64::from(found), missed.len() as f64, wrong.len() as f64);
    let (recall, precision) = (hits / (hits + misses), hits / (hits + alarms));
    (recall, precision, format!("recall {recall:.2}, precision {precision:.2}\nmissed: {missed:#?}\nwrong: {wrong:#?}"))
}

/// These sentences were written without a look at the rules, by many authors, and then used to improve them.
#[test]
fn finds_what_customers_must_not_read() {
    for (corpus, names) in [
        (include_str!("../corpus/customer.txt"), names()),
        (
            include_str!("../corpus/customer-first.txt"),
            names_of(
                &["orders-db-2", "web-7f9c9d6b8-k2l4p", "ams3-rack12"],
                &["checkout", "ledger-api", "search", "notification-worker"],
                &["maria", "Tom Becker", "will"],
            ),
        ),
        (
            include_str!("../corpus/customer-second.txt"),
            names_of(
                &["eu-pay-db3", "session-cache-66c8f7d5c4-9xk2m"],
                &["billing", "auth-service", "pricing-engine"],
                &["ines", "Kofi Mensah", "mark"],
            ),
        ),
        (
            include_str!("../corpus/customer-third.txt"),
            names_of(
                &["lon-app-17", "booking-7d5b9c4f68-m4x2z"],
                &["booking", "seat-map", "fare-engine"],
                &["yuki", "Hannah Weiss", "grace"],
            ),
        ),
    ] {
        let (recall, precision, words) = measure(corpus, |text| customer(text, &names, CustomerRules::default()));
        assert!(recall >= 0.95 && precision >= 0.95, "{words}");
    }
}

#[test]
fn finds_blame_hindsight_and_vague_measures() {
    for (corpus, people) in [
        (include_str!("../corpus/blameless.txt"), ["ana", "Ben Okafor", "priya"]),
        (include_str!("../corpus/blameless-first.txt"), ["maria", "Tom Becker", "will"]),
        (include_str!("../corpus/blameless-second.txt"), ["ines", "Kofi Mensah", "mark"]),
        (include_str!("../corpus/blameless-third.txt"), ["yuki", "Hannah Weiss", "grace"]),
    ] {
        let names = names_of(&[], &[], &people);
        let (recall, precision, words) = measure(corpus, |text| blameless(text, &names));
        assert!(recall >= 0.95 && precision >= 0.95, "{words}");
    }
}

/// A corpus that was written without a look at the rules and is never used to improve them. README has its figures.
#[test]
fn finds_most_of_what_the_rules_were_not_written_for() {
    let names = names();
    let of_customers = |text: &str| customer(text, &names, CustomerRules::default());
    let (recall, precision, words) = measure(include_str!("../corpus/customer-unseen.txt"), of_customers);
    assert!(recall >= 0.95 && precision >= 0.95, "{words}");
    let (recall, precision, words) = measure(include_str!("../corpus/blameless-unseen.txt"), |text| blameless(text, &names));
    assert!(recall >= 0.93 && precision >= 0.95, "{words}");
}

#[test]
fn every_file_of_phrases_is_a_regular_expression() {
    for (file, pattern) in FILES {
        assert!(pattern.is_some(), "{file}");
    }
}

#[test]
fn customers_may_read_names_that_are_public() {
    let internal = names();
    let mut names = names();
    names.public.extend(["eu-west-1".to_owned(), "MeshHome".to_owned()]);
    let rules = CustomerRules { is_last: true, ..CustomerRules::default() };
    let hits = |text: &str, names: &Names| customer(text, names, rules).len();
    let text = "MeshHome in eu-west-1 works. Write to support@example.com.";
    assert_eq!((hits(text, &names), hits(text, &internal)), (0, 2));
    assert_eq!(hits("Write to ana.park@example.com.", &names), 1);
}

#[test]
fn an_update_names_the_next_one_unless_it_is_the_last() {
    let is_missing = |text: &str, is_last| {
        let rules = CustomerRules { is_last, ..CustomerRules::default() };
        customer(text, &names(), rules).iter().any(|h| h.kind == HitKind::NoNextUpdate)
    };
    assert!(is_missing("Some payments fail.", false) && !is_missing("Payments work again.", true));
    assert!(is_missing("Some payments fail. We will post an update soon.", false), "soon is no time");
    for text in ["Next update at 14:30 UTC.", "We will share more within 30 minutes.", "Our next update follows in one hour."] {
        assert!(!is_missing(text, false), "{text}");
    }
}

#[test]
fn a_confirmed_cause_may_be_named_and_hits_do_not_overlap() {
    let rules = CustomerRules { is_cause_known: true, is_last: true };
    assert!(customer("Payments failed due to a faulty update.", &names(), rules).is_empty());
    let text = "db-prod-1 (10.0.0.5:5432) is down; ana fixes the payment-api probably.";
    let hits = customer(text, &names(), rules);
    assert!(hits.windows(2).all(|w| w[0].end <= w[1].start), "{hits:?}");
    assert!(hits.iter().all(|h| text.get(h.start..h.end) == Some(h.text.as_str())));
    assert_eq!(
        hits.iter().map(|h| h.kind).collect::<Vec<_>>(),
        [HitKind::Hostname, HitKind::Address, HitKind::Person, HitKind::Service, HitKind::Cause]
    );
}

proptest::proptest! {
    #[test]
    fn never_panics(text in "\\PC{0,80}") {
        let _hits = customer(&text, &names(), CustomerRules::default());
        let _hits = blameless(&text, &names());
    }
}
