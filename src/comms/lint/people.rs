//! Colleagues in texts: by what the incident knows, by common first names, and by their roles.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::phrases::{Pattern, find, is_match, lines, patterns};
use super::{HitKind, Hits, is_written_as_name, occurrences};
use crate::telemetry::Names;
use crate::telemetry::names::is_office_address;

/// Common first names in lower case.
static FIRST_NAMES: LazyLock<BTreeSet<&str>> =
    LazyLock::new(|| lines(include_str!("../rules/first-names.txt")).flat_map(str::split_whitespace).collect());

patterns! {
    EMAIL = r"(?i)\b[a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+\b|(?:^|[\s(])@[a-z][a-z0-9._-]{2,}\b";
    /// A name after a role or a title.
    TITLED = r"\b(?i:engineer|developer|colleague|manager|technician|teammate|operator|admin|administrator|analyst|specialist|architect|consultant|contractor|dba|sysadmin|officer|director|lead|head|chief|CTO|CEO|COO|CISO|founder|president)s?(?:\s+of\s+(?:\w+\s+){0,2}?\w+)?,?\s+([A-Z][a-z]+(?:\s+[A-Z][a-z]+)?)\b|\b(?:Dr|Mr|Mrs|Ms|Miss|Prof|Herr|Frau|Madame|Monsieur|Mme|Senhor|Senhora|Señor|Señora|Signor|Signora|Shri|Smt)\.?\s+(\p{Lu}\p{Ll}+(?:\s+\p{Lu}\p{Ll}+)?)\b";
    /// A name before the place of a colleague: `Tomasz in our billing team`, `Rahul, one of our developers`.
    OF_OURS = r"\b([A-Z][a-z]+(?:\s+[A-Z][a-z]+)?)(?:,)?\s+(?:in|from|on|of|at)\s+(?:our|the)\s+(?:[A-Za-z-]+\s+){0,3}(?:team|desk|department|crew|group|office|squad|shift)\b|\b([A-Z][a-z]+(?:\s+[A-Z][a-z]+)?),\s+(?:(?:one\s+of\s+)?our|an?|the|who\s+(?:leads|runs|heads|manages|works))\s+(?:[a-z-]+\s+){0,3}(?:engineer|developer|administrator|admin|technician|manager|lead|colleague|analyst|specialist|director|architect|operator|head|team|dba|on-call)s?\b|\b([A-Z][a-z]+(?:-[A-Z][a-z]+)?)\s+(?:from|in)\s+(?:(?i:support|billing|operations|ops|engineering|sales|security|finance|legal|marketing|logistics|infrastructure|platform|networking)|IT)\b";
    /// One colleague by a role.
    BY_ROLE = r"(?x)\b(?i:our|the|an?|one|only\s+one)\s+(?:(?i:[a-z-]+)\s+){0,3}?
        (?i:dba|sysadmin|administrator|architect|developer|programmer|technician\s+(?:who|that|on)|cto|ceo|ciso|incident\s+commander|trainee|apprentice|intern|contractor|colleague|guy|bloke|(?:security|data\s+protection|privacy|compliance|technology|duty)\s+officer|night\s+operator|shift\s+operator|operator\s+on\s+(?:duty|shift)|engineer|(?:database|network|platform|infrastructure|security|operations|engineering|team|tech|technical|shift|night|duty|release|product|project|account|it)\s+(?:lead|manager|head|chief|director|supervisor|operator)|head\s+of\s+(?:\w+\s+)?\w+|director\s+of\s+\w+|person\s+(?:who|that|on|in)|man\s+who|woman\s+who|member\s+of\s+(?:our\s+)?(?:staff|the\s+\w+\s+team)|new\s+(?:hire|starter|joiner))\b";
    /// Roles that customers meet.
    FIELD_ROLE = r"(?i)^(?:'s)?\s+(?:\w+\s+)?(?:will\s+(?:\w+\s+)?(?:visit|call|contact|come|arrive|be\s+with|ring|knock)|visits?|appointments?|is\s+on\s+(?:the|their)\s+way\s+to\s+you|needs?\s+to\s+visit|api|portal|account|console|tools?|docs?|documentation|platform|community|program(?:me)?|plan|licen[cs]e|role|permissions?)\b";
    /// A name after what one does with a colleague, and words for one person.
    ASKED = r"\b(?:[Pp]ing|[Pp]inged|[Pp]aged|[Ee]scalated to|[Aa]ssigned to|[Hh]anded (?:over )?to|[Uu]pdate (?:is |comes |will come )?(?:from|by)|[Oo]n behalf of|[Ss]igned(?: off by)?|[Pp]osted by|[Ww]ritten by)\s+([A-Z](?:[a-z]+|'[A-Z][a-z]+)(?:\s+\p{Lu}\p{Ll}+)?)\b|\b([Ss]he|[Hh]e|him)(?:'s|'ll|'d)?\b";
    /// Words that begin a sentence and are no names.
    NO_NAME = r"^(?:The|This|That|These|Those|Our|Your|Their|We|You|They|It|All|Some|Many|Most|Any|Each|Every|One|Two|Someone|Everyone|Engineers|Developers|Specialists|Technicians|Staff|People|Colleagues|Customers|Users|Members|Anyone|And|But|If|When|While|Since|After|Before|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|Please|Both|Experts|Support|Agents|Representatives|Advisers|Advisors|Orders|Deliveries|Payments|Guests|Passengers|Parents|Patients|Students|Drivers|Clients|Shoppers|Players|Only|Trains|Flights)\b";
    /// What makes a capitalised first name a place or a brand.
    PLACE_AFTER = r"^(?:'s\s+[A-Z]|(?:'s)?\s+(?:[A-Z]\w+\s+)?(?:Street|Road|Avenue|Square|Bank|Hospital|Station|Airport|Park|Stadium|School|College|University|Day|Hall|House|Island|Islands|Bridge|County|Hotel|Inc|Ltd|GmbH|Group|Store|Shop|Kitchen|Airlines?|Arena|Terminal|Line)\b|\s*&)";
    PLACE_BEFORE = r"(?i)\b(?:saint|st\.?|são|san|santa|port|lake|mount|fort|king|queen|prince|princess|pope|hurricane|storm|cyclone|typhoon|of)\s+$";
}

/// The names of people: whole, and their parts, because colleagues go by one of them.
pub(super) fn known(names: &Names) -> Vec<String> {
    let parts = names.people.iter().flat_map(|n| n.split_whitespace()).filter(|part| part.chars().count() >= 3);
    let mut all: Vec<String> = names.people.iter().map(String::as_str).chain(parts).map(str::to_owned).collect();
    // The whole name first, so that it is one hit.
    all.sort_by_key(|n| std::cmp::Reverse(n.len()));
    all.dedup();
    all
}

/// The places of people's names in a text: those that are known, and common first names with a second name behind them.
pub(super) fn named(text: &str, names: &Names) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for name in &known(names) {
        for (start, end) in occurrences(text, name) {
            let is_place = is_match(&PLACE_AFTER, text.get(end..).unwrap_or_default());
            if is_written_as_name(text, start, end) && !is_place && !found.iter().any(|(from, to)| start < *to && *from < end) {
                found.push((start, end));
            }
        }
    }
    for captures in TITLED.iter().flat_map(|p| p.captures_iter(text)) {
        let name = (1..=2).find_map(|n| captures.get(n)).filter(|f| !is_match(&NO_NAME, f.as_str()));
        found.extend(name.map(|f| (f.start(), f.end())).filter(|(from, to)| !found.iter().any(|(a, b)| from < b && a < to)));
    }
    let mut from = 0;
    while let Some(token) = CAPITALISED.iter().find_map(|p| p.find_at(text, from)) {
        let (start, end) = (token.start(), token.end());
        let first = token.as_str().split([' ', '-']).next().unwrap_or_default();
        let before = text.get(..start).unwrap_or_default();
        // A place may be the second word: `Ana Airport`.
        let after = text.get(start + first.len()..).unwrap_or_default();
        let is_name = (FIRST_NAMES.contains(first.to_lowercase().as_str()) || first.ends_with('.'))
            && !is_match(&PLACE_AFTER, after)
            && !is_match(&PLACE_BEFORE, before)
            && !before.ends_with(['.', '@', '/', '-', '_']);
        if is_name && !found.iter().any(|(from, to)| start < *to && *from < end) {
            found.push((start, end));
        }
        // Without a name, the next word may be one: `As Luis`.
        from = if is_name { end } else { start + first.len().max(1) };
    }
    found.sort_unstable();
    found
}

patterns! {
    /// A name with or without a second one, or an initial with one: `Tomasz Wilk`, `J. Castellanos`.
    CAPITALISED = r"\b\p{Lu}\p{Ll}{1,15}(?:-\p{Lu}\p{Ll}+)?(?:\s+\p{Lu}\p{Ll}{2,20})?\b|\b[A-Z]\.\s?\p{Lu}\p{Ll}{2,20}\b";
}

/// Colleagues by their addresses, names or roles. Customers must not read who it was.
pub(super) fn colleagues(hits: &mut Hits<'_>, names: &Names) {
    let text = hits.text;
    for found in find(&EMAIL, text) {
        if !is_office_address(found.as_str().trim()) {
            let start = found.end() - found.as_str().trim_start_matches(|c: char| c.is_whitespace() || c == '(').len();
            let reason = "An address of a person. Name a contact that is meant for customers.";
            hits.push(HitKind::Person, start, found.end(), reason);
        }
    }
    let reason = "A colleague by name. Write \"our engineers\" or leave it out.";
    for pattern in [&TITLED, &OF_OURS, &ASKED] {
        for captures in pattern.iter().flat_map(|p| p.captures_iter(text)) {
            let found = (1..=3).find_map(|n| captures.get(n)).filter(|f| !is_match(&NO_NAME, f.as_str()));
            if let Some(found) = found {
                hits.push(HitKind::Person, found.start(), found.end(), reason);
            }
        }
    }
    for (start, end) in named(text, names) {
        // `Ana's Kitchen` is a place.
        let owned = text.get(end..).unwrap_or_default().strip_prefix("'s ");
        if !owned.is_some_and(|t| t.starts_with(char::is_uppercase)) {
            hits.push(HitKind::Person, start, end, reason);
        }
    }
    for found in find(&BY_ROLE, text) {
        if !is_match(&FIELD_ROLE, text.get(found.end()..).unwrap_or_default()) {
            let reason = "One colleague. Write \"our engineers\" or leave it out.";
            hits.push(HitKind::Person, found.start(), found.end(), reason);
        }
    }
}
