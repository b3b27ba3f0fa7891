//! Whether values go where a statement says, and whether they have the value that it gives at a time.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::Fault;
use super::facts::Facts;
use super::quantities::{Dimension, Unit, clocks, from_to, quantities};
use super::series::{Course, Direction};
use super::words::{NEGATED, pattern};
use crate::incident::ClaimKind;

static UP: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:rose|rises|risen|rising|increas(?:ed|es|ing)|climb(?:ed|s|ing)|grew|grows|grown|growing|went up|going up|kept going up|jump(?:ed|s)|spik(?:ed|es)|surg(?:ed|es)|soared|doubled|tripled|trebled|quadrupled|multiplied|shot up|ramped up|picked up|crept up|edged up|higher than|exceeded its|worsened|built up|piled up|accumulated|ballooned|exploded|swelled|peaked|skyrocketed|(?:trend|head|mov)(?:ed|ing)? (?:up|upwards?)|on the (?:rise|increase|up)|upwards? trend|(?:a|an|the|another|further|sharp|steep|steady|marked|slight|sudden|strong|continued) (?:rise|increase|jump|spike|surge|growth|climb|uptick|upswing) (?:in|of)|more and more)\b",
    )
});
static DOWN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:fell|falls|fallen|falling|dropp?ed|drops|dropping|decreas(?:ed|es|ing)|declin(?:ed|es|ing)|went down|going down|c(?:ame|ome|oming) down|shrank|shrunk|shrinking|sank|sunk|sinking|plunged|plummeted|halved|dipped|diminished|diminishing|collapsed|slumped|lower than|eased|easing|subsided|subsiding|reced(?:ed|ing)|dwindl(?:ed|ing)|tapered off|tailed off|crept down|edged down|(?:trend|head|mov)(?:ed|ing)? (?:down|downwards?)|on the (?:decline|decrease|wane)|downwards? trend|(?:a|an|the|another|further|sharp|steep|steady|marked|slight|sudden|strong|continued) (?:fall|decrease|drop|dip|decline|reduction|slump|plunge|collapse) (?:in|of)|fewer and fewer|less and less)\b",
    )
});
static FLAT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:(?:stayed|remained|remains|stays|was|were|is|held|kept|ran) (?:\w+ )?(?:\w+ )?(?:flat|stable|constant|unchanged|steady|level|the same|normal|unaffected|at the same level|at its (?:usual|normal) level)|(?:did|does|do) not (?:change|move|vary|rise|fall|increase|decrease|grow|drop|budge)|no (?:change|increase|decrease|rise|drop|growth) (?:in|of)|level(?:l)?ed off|plateaued|flattened|(?:never|hardly|barely|scarcely) (?:changed|moved|rose|fell|varied))\b",
    )
});

/// A fault if every series of the items that decides it goes this way after the time that the statement names.
fn has_gone(direction: Direction, statement: &str, items: &[&Facts]) -> Option<Fault> {
    let times: Vec<f64> = clocks(statement).iter().map(|c| c.secs).collect();
    let found: Vec<Direction> = items.iter().flat_map(|i| i.courses.iter()).filter_map(|c| c.direction(&times)).collect();
    let all = !found.is_empty() && !times.is_empty() && found.iter().all(|d| *d == direction);
    all.then(|| Fault::new(ClaimKind::Direction, "The cited evidence says the opposite."))
}

/// The direction of "improved" and "worsened", which follows from what is measured.
fn better_or_worse(statement: &str) -> Option<Direction> {
    let lower = statement.to_lowercase();
    let any = |words: &[&str]| words.iter().any(|w| lower.contains(w));
    let better = any(&["improved", "got better", "faster", "sped up", "quicker"]);
    if !better && !any(&["worsened", "deteriorated", "got worse", "slower", "slowed", "degraded"]) {
        return None;
    }
    let rises = if any(&[
        "latency", "error", "failure", "lag", "loss", "throttl", "usage", "restarts", "time", "faster", "slow", "sped up",
        "quicker",
    ]) {
        !better
    } else if any(&["hit ratio", "hit rate", "success", "throughput", "conversion", "availability"]) {
        better
    } else {
        return None;
    };
    Some(if rises { Direction::Up } else { Direction::Down })
}

static BACK: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:recover(?:ed|s|ing|y)?|return(?:ed|s|ing)?|back (?:to|at|down|up)|came back|normali[sz]ed|resumed|restored|reset|again|then|before (?:falling|rising|dropping|climbing)|from a peak|after (?:peaking|rising|falling))\b",
    )
});

pub(super) fn wrong_direction(statement: &str, items: &[&Facts]) -> Option<Fault> {
    if let Some(fault) = wrong_way(statement, items) {
        return Some(fault);
    }
    let said: Vec<Direction> = [(&UP, Direction::Up), (&DOWN, Direction::Down), (&FLAT, Direction::Flat)]
        .into_iter()
        .filter(|(words, _)| words.is_match(statement))
        .map(|(_, d)| d)
        .collect();
    let denies = NEGATED.is_match(statement) && !FLAT.is_match(statement);
    let said = match better_or_worse(statement) {
        // What has not improved has not gone the better way.
        Some(better) if said.is_empty() && denies => return has_gone(better, statement, items),
        Some(direction) if said.is_empty() => vec![direction],
        _ => said,
    };
    let said = match said.as_slice() {
        [one] => *one,
        // "did not rise" holds a word of each.
        several if several.contains(&Direction::Flat) && several.len() == 2 => Direction::Flat,
        _ => return None,
    };
    let fault = |is: &str| Some(Fault::new(ClaimKind::Direction, format!("The cited evidence {is}.")));
    // What is said to return went both ways, and what never rose above something may have risen.
    if denies || BACK.is_match(statement) && said != Direction::Flat && clocks(statement).len() < 2 {
        return None;
    }
    // A sentence about many items has many movements.
    if items.len() > 2 {
        return None;
    }
    let said = compared(said, statement);
    if let Some((from, to)) = from_to(statement) {
        if is_reversed(from, to, items) {
            return fault("goes from the second value to the first");
        }
        return match said {
            Direction::Up if to < from => fault("goes down here"),
            Direction::Down if to > from => fault("goes up here"),
            _ => None,
        };
    }
    let figures = quantities(statement);
    let pattern =
        items.iter().flat_map(|i| i.patterns.iter()).find(|(_, count)| figures.iter().any(|q| q.value == *count && *count > 9.0));
    match (pattern.map(|(d, _)| *d), said) {
        (Some(Direction::Up), Direction::Down) => return fault("has more such lines than before"),
        (Some(Direction::Down), Direction::Up) => return fault("has fewer such lines than before"),
        _ => {}
    }
    let mut times: Vec<f64> = clocks(statement).iter().map(|c| c.secs).collect();
    // A value that is the same by a time is so since the start.
    if times.len() == 1 && BY_TIME.is_match(statement) && said == Direction::Flat {
        times.push(f64::NEG_INFINITY);
    }
    let chosen = named_courses(statement, items);
    let directions: Vec<Direction> = match times.as_slice() {
        // A value that fell to something by a time may have risen before.
        [until] if BY_TIME.is_match(statement) && said != Direction::Flat => {
            let opposite = if said == Direction::Up { Direction::Down } else { Direction::Up };
            chosen.iter().filter_map(|c| c.goes_until(said, *until)).map(|goes| if goes { said } else { opposite }).collect()
        }
        times => chosen.iter().filter_map(|c| c.direction(times)).collect(),
    };
    if directions.len() * 2 < chosen.len() || directions.is_empty() || directions.contains(&said) {
        // Without samples that decide it, the summary's change does.
        let change =
            items.iter().find_map(|i| i.change).filter(|_| directions.is_empty() && times.is_empty() && items.len() == 1);
        return match (change, said) {
            (Some((from, to)), Direction::Up) if to < from * 0.9 => fault("goes down"),
            (Some((from, to)), Direction::Down) if to > from * 1.1 => fault("goes up"),
            (Some((from, to)), Direction::Flat) if (to - from).abs() > from.abs().max(to.abs()) * 0.3 && figures.is_empty() => {
                fault("changes")
            }
            _ => None,
        };
    }
    match directions.first() {
        Some(Direction::Up) => fault("goes up there"),
        Some(Direction::Down) => fault("goes down there"),
        Some(Direction::Flat) => fault("does not change there"),
        None => None,
    }
}

/// The series that a statement names first by the value of a label; all of the items if it names none.
fn named_courses<'a>(statement: &str, items: &[&'a Facts]) -> Vec<&'a Course> {
    let lower = statement.to_lowercase();
    let all: Vec<&Course> = items.iter().flat_map(|i| i.courses.iter()).collect();
    let values = |c: &Course| -> Vec<String> {
        c.labels.trim_matches(['{', '}']).split(',').filter_map(|pair| pair.split_once('=')).map(|(_, v)| v.to_owned()).collect()
    };
    let named: Vec<&Course> =
        all.iter().copied().filter(|c| values(c).iter().any(|v| v.len() > 1 && lower.contains(v.as_str()))).collect();
    // The one that is named first is what the sentence is about.
    let first_at = |c: &Course| values(c).iter().filter(|v| v.len() > 1).filter_map(|v| lower.find(v.as_str())).min();
    let first = named.iter().filter_map(|c| first_at(c)).min();
    let named: Vec<&Course> = named.into_iter().filter(|c| first_at(c) == first).collect();
    if named.is_empty() { all } else { named }
}

/// A fault if a statement says that a value went from one to another at its times, and the series with these values go the
/// other way then.
fn wrong_way(statement: &str, items: &[&Facts]) -> Option<Fault> {
    let times: Vec<f64> = clocks(statement).iter().map(|c| c.secs).collect();
    if times.is_empty() || times.len() > 2 || NEGATED.is_match(statement) {
        return None;
    }
    let (from, to) = from_to(statement).filter(|(from, to)| from != to)?;
    let said = if to > from { Direction::Up } else { Direction::Down };
    let has_both = |c: &&Course| SCALES.iter().any(|s| c.goes_from_to(from * s, to * s) || c.goes_from_to(to * s, from * s));
    let courses = items.iter().flat_map(|i| i.courses.iter()).filter(has_both);
    let until = times.len() == 1 && BY_TIME.is_match(statement);
    let ways: Vec<bool> = courses
        .filter_map(|c| match times.as_slice() {
            [secs] if until => c.goes_until(said, *secs),
            times => c.direction(times).map(|direction| direction == said),
        })
        .collect();
    (!ways.is_empty() && !ways.contains(&true))
        .then(|| Fault::new(ClaimKind::Direction, "The cited evidence goes the other way then."))
}

/// What is between a value and its time: `4.6 s at 16:49`, `412 running threads by 15:30`.
static AT_TIME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)^(?: [a-z][\w-]*){0,3} (?:at|(?P<until>by)|as of) (?:about |around |roughly )?$"));

/// A fault if a statement gives a value at a time at which every series that has this value has another one.
pub(super) fn at_another_time(statement: &str, items: &[&Facts]) -> Option<Fault> {
    let times = clocks(statement);
    let said = if times.is_empty() { Vec::new() } else { quantities(statement) };
    said.iter().find_map(|figure| {
        let (clock, until) = times.iter().find_map(|clock| {
            let between = AT_TIME.captures(statement.get(figure.at.end..clock.at.start)?)?;
            Some((clock, between.name("until").is_some()))
        })?;
        let scale = |unit: Option<Unit>| match (figure.unit, unit) {
            (Some(a), Some(b)) => ((a.dimension, a.is_rate) == (b.dimension, b.is_rate)).then_some(a.factor / b.factor),
            // Samples without a unit may be shares and counts.
            (Some(a), None) => matches!(a.dimension, Dimension::Share | Dimension::Count).then_some(1.0),
            (None, _) => Some(1.0),
        };
        let scaled = items.iter().filter_map(|i| Some((scale(i.unit)?, &i.courses)));
        let found: Vec<(bool, bool)> = scaled
            .flat_map(|(scale, courses)| courses.iter().filter_map(move |c| c.has_value(figure.value * scale, clock.secs, until)))
            .collect();
        let is_elsewhere = found.iter().any(|(anywhere, _)| *anywhere) && !found.iter().any(|(_, then)| *then);
        is_elsewhere.then(|| {
            let written = |at: &Range<usize>| statement.get(at.clone()).unwrap_or("").trim().to_owned();
            let (value, time) = (written(&figure.at), written(&clock.at));
            Fault::new(ClaimKind::Time, format!("The cited evidence has {value} at another time than {time}."))
        })
    })
}

/// A statement may have another unit than the samples.
const SCALES: [f64; 5] = [1.0, 1000.0, 0.001, 100.0, 0.01];

/// Whether a series of the items goes from the second value to the first, and none goes the way of the statement.
fn is_reversed(from: f64, to: f64, items: &[&Facts]) -> bool {
    let courses = || items.iter().flat_map(|i| i.courses.iter());
    from != to
        && SCALES.iter().any(|s| courses().any(|c| c.goes_from_to(to * s, from * s)))
        && !SCALES.iter().any(|s| courses().any(|c| c.goes_from_to(from * s, to * s)))
}

static COMPARED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?P<a>\d{1,2}:\d{2}(?::\d{2})?)\D.{0,60}\b(?:higher|lower|more|fewer|less|larger|smaller)\b.{0,30}?\bthan (?:it (?:was|had been) )?(?:at |around |about )*(?P<b>\d{1,2}:\d{2}(?::\d{2})?)",
    )
});

/// The direction that a comparison of two times says. "At 09:10 it was higher than at 09:20" says that it fell.
fn compared(said: Direction, statement: &str) -> Direction {
    let at = |c: &regex::Captures<'_>, name: &str| c.name(name).and_then(|m| clocks(m.as_str()).first().map(|k| k.secs));
    let is_backwards =
        COMPARED.captures(statement).is_some_and(|c| at(&c, "a").zip(at(&c, "b")).is_some_and(|(first, second)| first < second));
    match said {
        Direction::Up if is_backwards => Direction::Down,
        Direction::Down if is_backwards => Direction::Up,
        other => other,
    }
}

static BY_TIME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:(?:to|at) [\d.,]+ ?[%\p{L}/]*(?: \w+){0,3} (?:at|by|until)|by|until|stood at [\d.,]+ ?%? at) (?:about |around )?\d{1,2}:\d{2}",
    )
});
