//! The words that say where a value goes: verbs in all their forms, verbs of motion with "up" or "down", nouns, comparisons.

use std::sync::LazyLock;

use regex::Regex;

use super::series::Direction;
use super::words::pattern;

/// Verbs whose subject rises. Irregular ones have their past and participle behind slashes; a verb that doubles its last letter
/// ends in an asterisk. The same holds for the other lists.
const RISE: &str = "rise/rose/risen increase climb grow/grew/grown jump spike surge soar double triple treble quadruple multiply balloon mushroom snowball explode swell/swelled/swollen skyrocket rocket accumulate mount widen heighten intensify expand inflate gain leap/leapt/leapt accelerate";
const FALL: &str = "fall/fell/fallen drop* decrease decline shrink/shrank/shrunk sink/sank/sunk plunge plummet halve dip* diminish collapse slump ease subside recede dwindle slip* sag* slacken wane ebb abate lessen weaken tumble contract narrow retreat tank nosedive crater thin* vanish disappear evaporate slide/slid/slid";
/// Verbs that go either way by the word behind them: "up", "down", "higher", "upwards".
const MOVE: &str = "go/went/gone move head trend creep/crept/crept edge inch tick drift nudge shoot/shot/shot ramp push drive/drove/driven pull crawl slide/slid/slid swing/swung/swung step* slope pick build/built/built pile mount stack climb jump leap/leapt/leapt force pump whittle wear/wore/worn grind/ground/ground";
/// Verbs of an end, with "off", "away", "out" or "down".
const FADE: &str =
    "taper tail trail die/died/died/dying ease fade peter fizzle wear/wore/worn cool calm wind/wound/wound come/came/come";
const STAY: &str = "stay remain keep/kept/kept hold/held/held run/ran/run sit/sat/sat hover linger stick/stuck/stuck be/was/been";

/// The forms in which a verb says what happened: past, participle, third person, and with "-ing".
fn forms(entry: &str) -> Vec<String> {
    let doubles = entry.ends_with('*');
    let parts: Vec<&str> = entry.trim_end_matches('*').split('/').collect();
    let base = parts.first().copied().unwrap_or_default();
    let stem = match base.chars().next_back() {
        Some('e') => base.trim_end_matches('e').to_owned(),
        Some(last) if doubles => format!("{base}{last}"),
        _ => base.to_owned(),
    };
    let consonant_y = base.strip_suffix('y').filter(|b| !b.ends_with(['a', 'e', 'o', 'u']));
    let third = match consonant_y {
        Some(body) => format!("{body}ies"),
        None if base.ends_with(['s', 'h', 'x', 'o']) => format!("{base}es"),
        None => format!("{base}s"),
    };
    let past = consonant_y.map_or_else(|| format!("{stem}ed"), |body| format!("{body}ied"));
    let mut forms = vec![third, parts.get(3).map_or_else(|| format!("{stem}ing"), ToString::to_string)];
    match parts.get(1..3) {
        Some(irregular) => forms.extend(irregular.iter().map(ToString::to_string)),
        None => forms.push(past),
    }
    forms
}

/// The forms of all verbs of a list, and their bases behind a verb such as "began to", as a part of a pattern.
fn any_of(list: &str) -> String {
    let all: Vec<String> = list.split(' ').flat_map(forms).collect();
    let bases: Vec<&str> = list.split(' ').filter_map(|v| v.trim_end_matches('*').split('/').next()).collect();
    let begins = "(?:began|begins|started|starts|continued|continues|seemed|tended|did|to)(?: to)?";
    format!("(?:{}|{begins} (?:{}))", all.join("|"), bases.join("|"))
}

const ADJECTIVES: &str =
    "further|sharp|steep|steady|marked|slight|sudden|strong|continued|clear|small|large|big|brief|short|gradual|rapid|massive";

/// A pattern for one direction: its verbs, its word behind verbs of motion, its nouns, its comparatives, and further phrases.
fn towards(verbs: &str, way: &str, nouns: &str, comparatives: &str, others: &str) -> Regex {
    let (verbs, motion) = (any_of(verbs), any_of(MOVE));
    let than = "than (?:it |they |there |that |those )?(?:was|were|had|did|has|at|before|usual|normal|earlier|in|on|when)";
    pattern(&format!(
        r"(?i)\b(?:{verbs}|{motion} (?:\w+ ){{0,2}}?(?:{way})|on the (?:{nouns})|(?:a|an|the|another) (?:(?:{ADJECTIVES}) )*(?:{nouns}) (?:in|of|up|down)|(?:{ADJECTIVES}) (?:{nouns}) (?:in|of)|(?:{comparatives})(?: [\w:-]+){{0,5}} {than}|(?:saw|had|got|received|handled|served) (?:many |far |even |a lot |much )?(?:{comparatives})|{others})\b"
    ))
}

static UP: LazyLock<Regex> = LazyLock::new(|| {
    towards(
        RISE,
        "up|upwards?|higher",
        "rise|increase|jump|spike|surge|growth|climb|uptick|upswing|leap|upwards? trend|build-up|buildup",
        "higher|larger|greater|bigger|more|longer",
        "(?:higher|greater|larger) than|exceeded (?:its|that|those)|surpassed|peaked|took off|more and more|upwards? trend|went through the roof",
    )
});
static DOWN: LazyLock<Regex> = LazyLock::new(|| {
    let fade = any_of(FADE);
    towards(
        FALL,
        "down|downwards?|lower",
        "fall|decrease|drop|dip|decline|reduction|slump|plunge|collapse|wane|downwards? trend",
        "lower|smaller|fewer|less|shorter|rarer",
        &format!(
            r"(?:lower|smaller) than|{fade} (?:\w+ )?(?:off|away|out|down)|cut (?:in|by) half|fewer and fewer|less and less|downwards? trend|(?:being|was|were|is) worked off|became (?:rarer|fewer|less frequent|scarcer)|dried up"
        ),
    )
});
static FLAT: LazyLock<Regex> = LazyLock::new(|| {
    let stay = any_of(STAY);
    pattern(&format!(
        r"(?i)\b(?:(?:{stay}|is|are|were) (?:(?:very|quite|almost|nearly|roughly|largely|mostly|more|or|less|perfectly|completely|entirely|virtually|remarkably|fairly|all|close|near|within|around|about|at|to|on|in) ){{0,3}}(?:flat|stable|constant|unchanged|steady|level|the same|normal|unaffected|unmoved|put|at the same level|(?:at |to |around )?(?:its|their) (?:usual|normal|baseline)(?: level)?)|(?:did|does|do) not (?:change|move|vary|rise|fall|increase|decrease|grow|drop|budge)|no (?:change|increase|decrease|rise|drop|growth) (?:in|of)|(?:a|an) (?:constant|steady|stable|unchanged) (?:load|level|rate|value|pace|number|share|amount|latency|throughput)|with no (?:dip|change|rise|increase|drop)|without (?:a|any) (?:dip|change|rise|increase|drop)|level(?:l)?ed off|plateaued|flattened|(?:never|hardly|barely|scarcely) (?:changed|moved|rose|fell|varied|budged|dipped|dropped|climbed|increased|decreased))\b"
    ))
});

/// What a text says of a value: up, down or flat, in this order, each if a word for it is there.
pub(super) fn directions(text: &str) -> Vec<Direction> {
    let words = [(&UP, Direction::Up), (&DOWN, Direction::Down), (&FLAT, Direction::Flat)];
    words.into_iter().filter(|(words, _)| words.is_match(text)).map(|(_, direction)| direction).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_forms_of_verbs() {
        for (entry, expected) in [
            ("rise/rose/risen", ["rises", "rising", "rose", "risen"].as_slice()),
            ("drop*", &["drops", "dropping", "dropped"]),
            ("ease", &["eases", "easing", "eased"]),
            ("multiply", &["multiplies", "multiplying", "multiplied"]),
            ("diminish", &["diminishes", "diminishing", "diminished"]),
            ("go/went/gone", &["goes", "going", "went", "gone"]),
            ("die/died/died/dying", &["dies", "dying", "died", "died"]),
        ] {
            assert_eq!(forms(entry), expected);
        }
    }

    #[test]
    fn reads_directions_from_verbs_nouns_and_comparisons() {
        use Direction::{Down, Flat, Up};
        for (text, expected) in [
            ("Evictions took off", vec![Up]),
            ("CPU was driven up to its limit", vec![Up]),
            ("The lag slackened", vec![Down]),
            ("Kills were dying away", vec![Down]),
            ("Latency began to climb", vec![Up]),
            ("There was a sharp drop in orders", vec![Down]),
            ("A larger share of uploads succeeded than at 17:45", vec![Up]),
            ("Fewer queries than before reached it", vec![Down]),
            ("Throughput sat at its usual level", vec![Flat]),
            ("Availability hardly moved", vec![Flat]),
            ("The pool has more than 20 connections", vec![]),
            ("The alert went off, and the deploy went out", vec![]),
        ] {
            assert_eq!(directions(text), expected, "{text}");
        }
    }
}
