//! Which lines say the same: online, in one pass, in bounded memory, and the same for the same input.
//!
//! A message becomes a shape (see `mask.rs`); equal shapes are one template. Templates that differ in one word only, at a
//! place where three or more words were seen, or a word and a variable part, differ in a variable found later: they become one,
//! and what was counted for them is counted for it. So do many that share at least half of their words and have ever other ones
//! elsewhere. Words that tell what happened (`started`, `stopped`, `FAILED`) are no variables. Merging happens whenever the
//! templates have doubled, and at the end.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::mask::{Masker, Token, VAR, template, tokens};

/// Templates that are kept at most. Beyond, families of templates that look alike are generalised, so that rare ones stay.
pub const MAX_TEMPLATES: usize = 20_000;
/// Shapes that are ever given a number; beyond, lines of unknown shape are one pattern that says so.
const MAX_NODES: usize = 4 * MAX_TEMPLATES;
/// Templates before the first merging in between.
const FIRST_MERGE: usize = 4096;
/// So many words at one place are a variable.
const WORDS: usize = 3;
/// So many templates of one length and first word are a family, when room must be made.
const FAMILY: usize = 8;
/// So often a shape that finds no room must come to be let in.
const KNOCKS: u8 = 3;
/// Lines that name a place before one is known to wrap others.
const WRAPPED: u64 = 24;
/// Rounds of merging: a template may have so many variables found later.
const ROUNDS: usize = 3;

/// Passes hashes through: the keys are hashes already.
#[derive(Default)]
pub(super) struct Passed(u64);

impl Hasher for Passed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(bytes);
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

type ByHash<T> = HashMap<u64, T, BuildHasherDefault<Passed>>;

/// A fast hash of bytes, the same on every machine.
pub(in crate::analysis) fn hash(bytes: &[u8]) -> u64 {
    const K: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut h = K ^ (bytes.len() as u64).wrapping_mul(K);
    let mut mix = |word: u64| {
        h = (h ^ word).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        h ^= h >> 32;
    };
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        mix(u64::from_le_bytes(*word));
    }
    let mut last = [0_u8; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    mix(u64::from_le_bytes(last));
    h ^ (h >> 29)
}

#[derive(Debug)]
struct Node {
    shape: Box<[u8]>,
    /// What it became a part of; itself while it stands.
    parent: u32,
    /// Whether it is all lines of one place in the source, see [`Miner::add_from`].
    is_statement: bool,
}

/// Finds templates in a stream of messages.
#[derive(Debug)]
pub struct Miner {
    masker: Masker,
    nodes: Vec<Node>,
    by_shape: ByHash<u32>,
    /// Templates that were generalised, by length and first word: what a new shape may belong to.
    general: ByHash<Vec<u32>>,
    merge_at: usize,
    /// Templates that stand.
    standing: usize,
    /// The node of lines beyond all bounds.
    rest: Option<u32>,
    /// The node of each place in the source, and the shapes that it has taken in already.
    statements: ByHash<u32>,
    taken_in: ByHash<()>,
    /// Places that all sorts of lines come from.
    wrappers: ByHash<()>,
    /// Places whose lines have no word in common.
    says_nothing: ByHash<()>,
    /// Lines of each place, and of all.
    from_place: ByHash<u64>,
    from_places: u64,
    /// Lines that found no room, and how many of them there are to be before room is made again.
    turned_away: u64,
    try_at: u64,
    /// How often shapes that found no room have come, and how many of them were let in.
    knocks: ByHash<u8>,
    let_in: usize,
    max_templates: usize,
}

impl Default for Miner {
    fn default() -> Self {
        Self::bounded(MAX_TEMPLATES)
    }
}

/// What came of it all.
#[derive(Debug)]
pub struct Mined {
    /// For each number that [`Miner::add`] gave, the place of its pattern in `templates`.
    pub pattern_of: Vec<u32>,
    /// The patterns' templates, in the order in which they first appeared.
    pub templates: Vec<String>,
    /// The pattern of the lines beyond all bounds.
    pub rest: Option<u32>,
    shapes: Vec<Box<[u8]>>,
}

impl Mined {
    /// A regular expression that every message of a pattern matches as a whole.
    pub fn regex(&self, pattern: usize) -> String {
        let Some(shape) = self.shapes.get(pattern).filter(|_| self.rest.map(|r| r as usize) != Some(pattern)) else {
            return r"(?s)^.*$".to_owned();
        };
        let mut out = String::from(r"(?s)^\s*");
        for (token, bytes) in tokens(shape) {
            match token {
                Token::Var => out.push_str(".*?"),
                Token::Space => out.push_str(r"[\s\x00-\x20]*"),
                Token::Delimiter(_) | Token::Word if bytes == "…".as_bytes() => out.push_str(".*"),
                Token::Delimiter(_) | Token::Word => out.push_str(&regex_escape(&String::from_utf8_lossy(bytes))),
            }
        }
        out.push_str(r"[\s\x00-\x20]*$");
        out
    }
}

/// Words of one place beyond which they are values, whatever they look like.
const EVENTS: usize = 12;

/// Whether the words that stand at one place of several templates tell what happened, as `Started`, `paused` and `stopping` do:
/// templates that differ there say different things.
fn are_events(parts: &[Vec<(Token, &[u8])>], group: &[(u64, u32, u32, u64)]) -> bool {
    let mut words: Vec<&[u8]> = group
        .iter()
        .filter_map(|(_, template, place, _)| parts.get(*template as usize)?.get(*place as usize))
        .filter(|(token, _)| *token == Token::Word)
        .map(|(_, word)| *word)
        .collect();
    words.sort_unstable();
    words.dedup();
    let events = words.iter().filter(|word| is_event(word)).count();
    words.len() <= EVENTS && events * 3 >= words.len() * 2
}

fn is_slot(token: Token) -> bool {
    matches!(token, Token::Word | Token::Var)
}

/// Templates that say the same, and the places where they have ever other words.
type Kin = (Vec<usize>, Vec<usize>);
/// Words with their places.
type Placed<'a> = Vec<(usize, &'a [u8])>;

/// Templates of one build that share at least half of their words, and the places where they have ever other ones.
fn kin(parts: &[Vec<(Token, &[u8])>], build: &[usize]) -> Vec<Kin> {
    let words = |t: usize| {
        parts
            .get(t)
            .into_iter()
            .flatten()
            .enumerate()
            .filter(|(_, (token, _))| *token == Token::Word)
            .map(|(place, (_, word))| (place, *word))
    };
    let mut had: HashMap<(usize, &[u8]), usize> = HashMap::new();
    for t in build {
        words(*t).for_each(|at| *had.entry(at).or_default() += 1);
    }
    // What each has in common with the most others.
    let mut families: HashMap<Placed<'_>, Vec<usize>> = HashMap::new();
    for t in build {
        let mut counts: Vec<usize> = words(*t).map(|at| had.get(&at).copied().unwrap_or(0)).collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let Some(least) = counts.get(counts.len().div_ceil(2).max(2) - 1).filter(|n| **n >= FAMILY) else { continue };
        let common = words(*t).filter(|at| had.get(at).is_some_and(|n| n * 10 >= least * 9)).collect();
        families.entry(common).or_default().push(*t);
    }
    let mut families: Vec<(Placed<'_>, Vec<usize>)> = families.into_iter().filter(|(_, f)| f.len() >= FAMILY).collect();
    families.sort_unstable_by(|a, b| a.1.cmp(&b.1));
    let mut found = Vec::new();
    for (common, family) in families {
        let first = family.first().and_then(|t| parts.get(*t)).map(Vec::as_slice).unwrap_or_default();
        let begins = first.iter().position(|(token, _)| is_slot(*token));
        // The words at a place, sorted, of templates where it is no variable part yet.
        let at = |place: usize| {
            let mut words: Vec<&[u8]> = family
                .iter()
                .filter_map(|t| parts.get(*t)?.get(place))
                .filter(|(token, _)| *token == Token::Word)
                .map(|(_, word)| *word)
                .collect();
            words.sort_unstable();
            words
        };
        let mut recombine = false;
        let open: Vec<usize> = (0..first.len())
            .filter(|place| !common.iter().any(|(p, _)| p == place))
            .filter(|place| {
                let mut seen = at(*place);
                let all = seen.len();
                seen.dedup();
                // The first word of a message names what it is about, unless that is ever another.
                let enough = if Some(*place) == begins { 2 * FAMILY } else { WORDS };
                let varies = seen.len() >= enough.max(family.len() / 4)
                    && (seen.len() > EVENTS || seen.iter().filter(|w| is_event(w)).count() * 3 < seen.len() * 2);
                recombine |= varies && (seen.len() < all || seen.len() > EVENTS);
                varies
            })
            .collect();
        // Values come with different others; a few words that never do are statements of their own.
        if open.len() > 1 && !recombine {
            continue;
        }
        if !open.is_empty() {
            found.push((family, open));
        }
    }
    found
}

/// A past participle, a gerund, or a state's name in capitals.
fn is_event(word: &[u8]) -> bool {
    let rest = word.get(1..).unwrap_or(&[]);
    let is_verb = word.len() > 4
        && word.first().is_some_and(u8::is_ascii_alphabetic)
        && rest.iter().all(u8::is_ascii_lowercase)
        && (word.ends_with(b"ed") || word.ends_with(b"ing"));
    is_verb || word.len() > 2 && word.iter().all(|b| b.is_ascii_uppercase() || *b == b'_')
}

/// Escapes what has a meaning in a regular expression.
fn regex_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

impl Miner {
    /// With room for so many templates.
    pub fn bounded(max_templates: usize) -> Self {
        Self {
            masker: Masker::default(),
            nodes: Vec::new(),
            by_shape: HashMap::default(),
            general: HashMap::default(),
            merge_at: FIRST_MERGE.min(max_templates),
            standing: 0,
            rest: None,
            statements: HashMap::default(),
            taken_in: HashMap::default(),
            wrappers: HashMap::default(),
            says_nothing: HashMap::default(),
            from_place: HashMap::default(),
            from_places: 0,
            turned_away: 0,
            try_at: 0,
            knocks: HashMap::default(),
            let_in: 0,
            max_templates,
        }
    }

    /// Numbers given so far.
    pub fn numbers(&self) -> usize {
        self.nodes.len()
    }

    /// The number of a message's template for now; [`Self::finish`] tells which pattern it belongs to in the end.
    pub fn add(&mut self, message: &[u8]) -> u32 {
        let shape = self.masker.shape(message);
        let key = hash(shape);
        if let Some(&node) = self.by_shape.get(&key)
            && self.nodes.get(node as usize).is_some_and(|n| *n.shape == *shape)
        {
            return node;
        }
        self.unseen(key)
    }

    /// The same for a line that names the place in the source where it was written: all lines of one place are one pattern,
    /// whatever they say, and lines of two places are two, even when they say the same.
    pub fn add_from(&mut self, message: &[u8], place: &[u8]) -> u32 {
        let place = hash(place);
        if self.wrappers.contains_key(&place) {
            return self.add(message);
        }
        let known = self.statements.get(&place).copied();
        if known.is_none() && (self.statements.len() >= self.max_templates || self.nodes.len() >= MAX_NODES) {
            return self.add(message);
        }
        self.from_places += 1;
        let own = self.from_place.entry(place).or_default();
        *own += 1;
        let own = *own;
        let shape = self.masker.shape(message);
        let key = hash(shape) ^ place.rotate_left(23);
        let Some(node) = known else {
            let shape: Box<[u8]> = shape.into();
            let node = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
            self.nodes.push(Node { shape, parent: node, is_statement: true });
            self.statements.insert(place, node);
            self.taken_in.insert(key, ());
            return node;
        };
        // Where a large part of all lines has nothing in common they go through one place: a logger of one's own. It tells
        // nothing.
        if self.says_nothing.contains_key(&place) && self.from_places >= WRAPPED && own * 3 >= self.from_places {
            self.wrappers.insert(place, ());
            return self.add(message);
        }
        if self.taken_in.contains_key(&key) {
            return node;
        }
        if let Some(n) = self.nodes.get_mut(node as usize)
            && let Some(both) = both(&n.shape, shape)
        {
            if !tokens(&both).iter().any(|(token, _)| *token == Token::Word) {
                self.says_nothing.insert(place, ());
            }
            n.shape = both;
        }
        if self.taken_in.len() < MAX_NODES {
            self.taken_in.insert(key, ());
        }
        node
    }

    #[cold]
    fn unseen(&mut self, key: u64) -> u32 {
        // The masker still holds the shape.
        let shape: Box<[u8]> = self.masker.last().into();
        let parent = self.matching(&shape);
        if self.nodes.len() >= MAX_NODES.min(4 * self.max_templates) {
            return match parent {
                Some(parent) => parent,
                None if self.knocks_again(key) => self.insert(shape, key),
                None => self.rest(),
            };
        }
        if let Some(parent) = parent {
            // It will be seen again: then it is found at once.
            let node = self.insert(shape, key);
            if let Some(n) = self.nodes.get_mut(node as usize) {
                n.parent = parent;
                self.standing -= 1;
            }
            return node;
        }
        if self.standing >= self.max_templates {
            // Where no room can be made another try for each line would take for ever: the next comes after as many lines again.
            self.turned_away += 1;
            if self.turned_away < self.try_at {
                return if self.knocks_again(key) { self.insert(shape, key) } else { self.rest() };
            }
            self.make_room();
            if self.standing >= self.max_templates * 99 / 100 {
                self.try_at = 2 * self.turned_away.max(self.max_templates as u64);
            }
            if self.standing >= self.max_templates {
                return self.rest();
            }
            if let Some(parent) = self.matching(&shape) {
                return parent;
            }
        }
        let node = self.insert(shape, key);
        if self.standing >= self.merge_at {
            self.merge(WORDS);
            self.merge_at = (self.standing * 2).clamp(FIRST_MERGE.min(self.max_templates), self.max_templates);
        }
        node
    }

    /// Whether a shape that found no room has come often enough to be let in all the same: what begins late and comes again and
    /// again, as errors of an incident do, is not to drown in what never comes again. A tenth of all room is kept for it.
    fn knocks_again(&mut self, key: u64) -> bool {
        if self.let_in >= self.max_templates / 10 {
            return false;
        }
        if self.knocks.len() >= self.max_templates {
            self.knocks.clear();
        }
        let times = self.knocks.entry(key).or_default();
        *times += 1;
        if *times < KNOCKS {
            return false;
        }
        self.knocks.remove(&key);
        self.let_in += 1;
        true
    }

    fn insert(&mut self, shape: Box<[u8]>, key: u64) -> u32 {
        let node = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.push(Node { shape, parent: node, is_statement: false });
        self.by_shape.insert(key, node);
        self.standing += 1;
        node
    }

    fn rest(&mut self) -> u32 {
        if let Some(rest) = self.rest {
            return rest;
        }
        let node = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.push(Node { shape: Box::from(&[VAR][..]), parent: node, is_statement: false });
        self.rest = Some(node);
        node
    }

    /// A generalised template that a shape belongs to.
    fn matching(&self, shape: &[u8]) -> Option<u32> {
        if self.general.is_empty() {
            return None;
        }
        let parts = tokens(shape);
        let candidates = self.general.get(&bucket(&parts))?;
        candidates.iter().copied().find(|c| {
            self.nodes.get(*c as usize).is_some_and(|n| {
                let theirs = tokens(&n.shape);
                theirs.len() == parts.len()
                    && theirs.iter().zip(&parts).all(|(t, p)| t == p || (t.0 == Token::Var && p.0 == Token::Word))
            })
        })
    }

    fn root(&self, node: u32) -> u32 {
        let mut at = node;
        while let Some(n) = self.nodes.get(at as usize).filter(|n| n.parent != at) {
            at = n.parent;
        }
        at
    }

    /// The templates that stand, in the order in which they came.
    fn roots(&self) -> Vec<u32> {
        let all = self
            .nodes
            .iter()
            .enumerate()
            .filter_map(|(i, n)| u32::try_from(i).ok().filter(|i| n.parent == *i && !n.is_statement));
        all.filter(|i| Some(*i) != self.rest).collect()
    }

    /// Merges templates that differ at one place, where `words` or more words were seen or a variable part stands; then those that
    /// differ at several.
    fn merge(&mut self, words: usize) {
        self.merge_by_place(words);
        if self.merge_kin() {
            self.merge_by_place(words);
        }
    }

    fn merge_by_place(&mut self, words: usize) {
        for _ in 0..ROUNDS {
            if !self.merge_once(words) {
                break;
            }
        }
    }

    /// Merges templates that share at least half of their words and have ever other words at the same places: `user a deleted
    /// project b`, with so many users and projects that hardly two lines differ in one word alone.
    fn merge_kin(&mut self) -> bool {
        let roots = self.roots();
        let parts: Vec<Vec<(Token, &[u8])>> =
            roots.iter().map(|r| self.nodes.get(*r as usize).map_or_else(Vec::new, |n| tokens(&n.shape))).collect();
        // Of one build: as long, with the same punctuation.
        let mut builds: HashMap<u64, Vec<usize>> = HashMap::new();
        for (t, part) in parts.iter().enumerate() {
            let build: Vec<u8> = part
                .iter()
                .map(|(token, bytes)| if is_slot(*token) { b'w' } else { bytes.first().copied().unwrap_or(0) })
                .collect();
            builds.entry(hash(&build)).or_default().push(t);
        }
        let mut builds: Vec<Vec<usize>> = builds.into_values().filter(|b| b.len() >= FAMILY).collect();
        builds.sort_unstable();
        let mut shapes: Vec<(u32, Box<[u8]>)> = Vec::new();
        for build in &builds {
            for (kin, open) in kin(&parts, build) {
                for t in kin {
                    let (Some(root), Some(part)) = (roots.get(t), parts.get(t)) else { continue };
                    let shape: Vec<u8> = part
                        .iter()
                        .enumerate()
                        .flat_map(|(place, (_, bytes))| if open.contains(&place) { vec![VAR] } else { bytes.to_vec() })
                        .collect();
                    shapes.push((*root, shape.into_boxed_slice()));
                }
            }
        }
        let mut changed = false;
        for (root, shape) in shapes {
            changed |= self.become_part(root, shape);
        }
        changed
    }

    fn merge_once(&mut self, words: usize) -> bool {
        let roots = self.roots();
        let parts: Vec<Vec<(Token, &[u8])>> =
            roots.iter().map(|r| self.nodes.get(*r as usize).map_or_else(Vec::new, |n| tokens(&n.shape))).collect();
        // A key for each template and place: its hash with the place left out.
        let mut keys: Vec<(u64, u32, u32, u64)> = Vec::new();
        for (t, part) in parts.iter().enumerate() {
            let (mut whole, mut power) = (0_u64, 1_u64);
            let mut at_place = Vec::with_capacity(part.len());
            for (_, bytes) in part {
                let own = hash(bytes);
                whole = whole.wrapping_add(own.wrapping_mul(power));
                at_place.push((own, power));
                power = power.wrapping_mul(0x5851_F42D_4C95_7F2D);
            }
            // The first word of a message names what it is about.
            let first = part.iter().position(|(t, _)| matches!(t, Token::Word | Token::Var));
            for (place, (own, power)) in at_place.iter().enumerate() {
                if Some(place) == first || !matches!(part.get(place), Some((Token::Word | Token::Var, _))) {
                    continue;
                }
                let without = whole.wrapping_sub(own.wrapping_mul(*power)) ^ power.rotate_left(17) ^ (part.len() as u64);
                keys.push((without, u32::try_from(t).unwrap_or(u32::MAX), u32::try_from(place).unwrap_or(u32::MAX), *own));
            }
        }
        keys.sort_unstable();
        let var = hash(&[VAR]);
        let mut groups: Vec<(usize, u32, u32, std::ops::Range<usize>)> = Vec::new();
        let mut from = 0;
        while let Some((key, first, place, _)) = keys.get(from).copied() {
            let length = keys.iter().skip(from).take_while(|k| k.0 == key).count();
            let group = keys.get(from..from + length).unwrap_or(&[]);
            if length > 1 {
                let has_var = group.iter().any(|g| g.3 == var);
                let mut seen: Vec<u64> = group.iter().map(|g| g.3).filter(|h| *h != var).collect();
                seen.sort_unstable();
                seen.dedup();
                if (seen.len() >= words && !are_events(&parts, group)) || (has_var && !seen.is_empty()) {
                    groups.push((length, first, place, from..from + length));
                }
            }
            from += length;
        }
        // The largest first; of equals the one that came first.
        groups.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let mut joined: Vec<Option<(u32, u32)>> = vec![None; roots.len()];
        for (_, first, place, range) in &groups {
            for (_, t, _, _) in keys.get(range.clone()).unwrap_or(&[]) {
                if let Some(slot) = joined.get_mut(*t as usize).filter(|s| s.is_none()) {
                    *slot = Some((*first, *place));
                }
            }
        }
        // What each becomes: its own shape with the place left open. Members of one group become the same.
        let shapes: Vec<(u32, Box<[u8]>)> = joined
            .iter()
            .enumerate()
            .filter_map(|(t, j)| {
                let (_, place) = (*j)?;
                let shape: Vec<u8> = parts
                    .get(t)?
                    .iter()
                    .enumerate()
                    .flat_map(|(k, (_, bytes))| if k == place as usize { vec![VAR] } else { bytes.to_vec() })
                    .collect();
                Some((*roots.get(t)?, shape.into_boxed_slice()))
            })
            .collect();
        let mut changed = false;
        for (root, shape) in shapes {
            changed |= self.become_part(root, shape);
        }
        changed
    }

    /// A template becomes a part of the one with this shape, which is made where it is not there.
    fn become_part(&mut self, root: u32, shape: Box<[u8]>) -> bool {
        let key = hash(&shape);
        let found = self.by_shape.get(&key).copied().filter(|n| self.nodes.get(*n as usize).is_some_and(|n| n.shape == shape));
        let whole = match found {
            Some(node) => self.root(node),
            None => self.insert(shape, key),
        };
        if whole == root {
            return false;
        }
        if let Some(n) = self.nodes.get_mut(root as usize) {
            n.parent = whole;
            self.standing -= 1;
        }
        let bucket = self.nodes.get(whole as usize).map(|n| bucket(&tokens(&n.shape)));
        if let Some(bucket) = bucket {
            let list = self.general.entry(bucket).or_default();
            if !list.contains(&whole) {
                list.push(whole);
            }
        }
        true
    }

    /// Makes room: merges more readily, then generalises the families of templates of one length and first word, the largest
    /// first. Rare templates stay as they are.
    fn make_room(&mut self) {
        self.merge(WORDS);
        if self.standing < self.max_templates * 9 / 10 {
            return;
        }
        self.merge(2);
        let mut families: HashMap<u64, Vec<u32>> = HashMap::new();
        for root in self.roots() {
            if let Some(n) = self.nodes.get(root as usize) {
                families.entry(bucket(&tokens(&n.shape))).or_default().push(root);
            }
        }
        let mut families: Vec<Vec<u32>> = families.into_values().filter(|f| f.len() >= FAMILY).collect();
        families.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        for family in families {
            if self.standing <= self.max_templates / 2 {
                break;
            }
            if let Some(shape) = self.common(&family) {
                for root in family {
                    self.become_part(root, shape.clone());
                }
            }
        }
    }

    /// The shape that all of a family have when what differs is left open.
    fn common(&self, family: &[u32]) -> Option<Box<[u8]>> {
        let all: Vec<Vec<(Token, &[u8])>> =
            family.iter().filter_map(|r| self.nodes.get(*r as usize)).map(|n| tokens(&n.shape)).collect();
        let first = all.first()?;
        let shape: Vec<u8> = first
            .iter()
            .enumerate()
            .flat_map(|(k, part)| if all.iter().all(|o| o.get(k) == Some(part)) { part.1.to_vec() } else { vec![VAR] })
            .collect();
        Some(shape.into_boxed_slice())
    }

    /// Merges for the last time and tells which number belongs to which pattern.
    pub fn finish(mut self) -> Mined {
        self.merge(WORDS);
        let mut place: Vec<Option<u32>> = vec![None; self.nodes.len()];
        let (mut pattern_of, mut templates, mut shapes, mut rest) = (Vec::new(), Vec::new(), Vec::new(), None);
        for node in 0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX) {
            let root = self.root(node);
            let Some(slot) = place.get_mut(root as usize) else { continue };
            let pattern = *slot.get_or_insert_with(|| {
                let shape = self.nodes.get(root as usize).map(|n| n.shape.clone()).unwrap_or_default();
                let next = u32::try_from(templates.len()).unwrap_or(u32::MAX);
                if self.rest == Some(root) {
                    rest = Some(next);
                    templates.push("(lines of further patterns, beyond those kept)".to_owned());
                } else {
                    templates.push(template(&shape));
                }
                shapes.push(shape);
                next
            });
            pattern_of.push(pattern);
        }
        Mined { pattern_of, templates, rest, shapes }
    }
}

/// The shape that two shapes have in common, what differs left open: word by word where they are as long, else their common
/// beginning and end. `None` when the first has the second within it already.
fn both(a: &[u8], b: &[u8]) -> Option<Box<[u8]>> {
    let (left, right) = (tokens(a), tokens(b));
    let open = |part: &(Token, &[u8])| part.0 == Token::Var;
    let mut shape: Vec<u8> = Vec::with_capacity(a.len());
    if left.len() == right.len() {
        for (x, y) in left.iter().zip(&right) {
            shape.extend_from_slice(if x == y { x.1 } else { &[VAR] });
        }
    } else {
        let head = left.iter().zip(&right).take_while(|(x, y)| x == y && !open(x)).count();
        let most = left.len().min(right.len()) - head;
        let tail = left.iter().rev().zip(right.iter().rev()).take(most).take_while(|(x, y)| x == y && !open(x)).count();
        left.iter().take(head).for_each(|(_, bytes)| shape.extend_from_slice(bytes));
        shape.push(VAR);
        left.iter().skip(left.len() - tail).for_each(|(_, bytes)| shape.extend_from_slice(bytes));
    }
    (*shape != *a).then(|| shape.into_boxed_slice())
}

/// Length and first word of a shape, as one number.
fn bucket(parts: &[(Token, &[u8])]) -> u64 {
    let first = parts.iter().find(|(t, _)| matches!(t, Token::Word | Token::Var)).map_or(0, |(_, b)| hash(b));
    first ^ (parts.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_words_that_are_ever_others_are_variables_though_no_two_lines_differ_in_one_alone() {
        let name = |n: usize| {
            ["ka", "lo", "mi", "ne", "ru"].map(str::to_owned)[n % 5].clone() + ["an", "er", "il", "os", "ut"][n / 5 % 5]
        };
        let mut miner = Miner::default();
        let numbers: Vec<u32> =
            (0..20).map(|n| miner.add(format!("user {} deleted project {}", name(n), name(n * 7 + 3)).as_bytes())).collect();
        let first: Vec<u32> =
            (0..20).map(|n| miner.add(format!("{} was let in by {}", name(n), name(n * 7 + 3)).as_bytes())).collect();
        // As long, and of other words: each says something else.
        let others =
            ["order of items was kept", "could not open the door", "pool ran out of room"].map(|m| miner.add(m.as_bytes()));
        let states: Vec<u32> = (0..10)
            .map(|n| {
                let state = |n: usize| ["NEW", "QUEUED", "RUNNING", "DONE", "LOST", "KILLED", "FAILED"][n % 7];
                miner.add(format!("task moved from {} to {}", state(n), state(n * 3 + 1)).as_bytes())
            })
            .collect();
        let once: Vec<u32> = [
            "open the config",
            "close the socket",
            "parse the manifest",
            "lock the mutex",
            "read the header",
            "write the footer",
            "find the index",
            "load the plugin",
            "send the mail",
        ]
        .map(|said| miner.add(format!("failed to {said}").as_bytes()))
        .to_vec();
        let mined = miner.finish();
        let patterns = |numbers: &[u32]| {
            let places: std::collections::BTreeSet<u32> = numbers.iter().map(|n| mined.pattern_of[*n as usize]).collect();
            places.into_iter().map(|p| mined.templates[p as usize].as_str()).collect::<Vec<_>>()
        };
        assert_eq!(patterns(&numbers), ["user <*> deleted project <*>"]);
        assert_eq!(patterns(&first), ["<*> was let in by <*>"]);
        assert_eq!(patterns(&others).len(), 3);
        assert_eq!(patterns(&once).len(), once.len(), "words that never come with others are no values");
        assert!(patterns(&states).len() > 4, "{:?}", patterns(&states));
    }

    #[test]
    fn templates_that_tell_of_different_events_stay_apart() {
        let mut miner = Miner::default();
        let add = |miner: &mut Miner, words: &[&str], rest: &str| -> Vec<u32> {
            words.iter().map(|w| miner.add(format!("machine {w} {rest}").as_bytes())).collect()
        };
        let events = add(&mut miner, &["Started", "paused", "resuming", "halted"], "by operator");
        let values = add(&mut miner, &["alice", "bob", "carol", "red"], "is gone");
        let many: Vec<String> = (0..26_u8).map(|n| format!("{}ed", char::from(b'a' + n).to_string().repeat(4))).collect();
        let many = add(&mut miner, &many.iter().map(String::as_str).collect::<Vec<_>>(), "was there");
        let mined = miner.finish();
        let patterns = |numbers: &[u32]| {
            numbers.iter().map(|n| mined.pattern_of[*n as usize]).collect::<std::collections::BTreeSet<_>>().len()
        };
        assert_eq!((patterns(&events), patterns(&values), patterns(&many)), (4, 1, 1));
    }

    #[test]
    fn lines_of_one_place_in_the_source_are_one_pattern_and_match_its_regex() {
        let mut miner = Miner::default();
        let said = [
            ("seats [nanjing, shanghai] of train 7", "a.b.Seat#137"),
            ("seats [suzhou] of train 8", "a.b.Seat#137"),
            ("seats none of train 9 today", "a.b.Seat#137"),
            ("seats [suzhou] of train 8", "a.b.Other#12"),
            ("seats [suzhou] of train 8", ""),
        ];
        let ids: Vec<u32> = said
            .iter()
            .map(|(m, at)| if at.is_empty() { miner.add(m.as_bytes()) } else { miner.add_from(m.as_bytes(), at.as_bytes()) })
            .collect();
        let mined = miner.finish();
        let of: Vec<u32> = ids.iter().map(|i| mined.pattern_of[*i as usize]).collect();
        assert_eq!((of[0], of[1], of[2]), (of[0], of[0], of[0]));
        assert!(of[3] != of[0] && of[4] != of[3] && of[4] != of[0], "{of:?}");
        for ((message, _), pattern) in said.iter().zip(&of) {
            let regex = regex::bytes::Regex::new(&mined.regex(*pattern as usize)).unwrap();
            assert!(regex.is_match(message.as_bytes()), "{message}: {}", mined.templates[*pattern as usize]);
        }
    }

    #[test]
    fn a_logger_through_which_all_lines_go_is_no_place() {
        let mut miner = Miner::default();
        let said = ["payment failed for 7", "listening on port 80", "connection refused", "order 12 placed"];
        let ids: Vec<u32> = (0..400).map(|n| miner.add_from(said[n % 4].as_bytes(), b"logger/logger.go:57")).collect();
        let mined = miner.finish();
        let kinds: std::collections::BTreeSet<u32> = ids.iter().skip(32).map(|i| mined.pattern_of[*i as usize]).collect();
        assert_eq!(kinds.len(), 4, "{:?}", mined.templates);
    }

    fn mined(messages: &[&str]) -> (Vec<String>, Mined) {
        let mut miner = Miner::default();
        let ids: Vec<u32> = messages.iter().map(|m| miner.add(m.as_bytes())).collect();
        let mined = miner.finish();
        let of = ids.iter().map(|i| mined.templates[mined.pattern_of[*i as usize] as usize].clone()).collect();
        (of, mined)
    }

    #[test]
    fn a_variable_found_later_joins_what_it_kept_apart() {
        let (of, _) = mined(&[
            "session opened for user news by (uid=0)",
            "session opened for user cyrus by (uid=0)",
            "session opened for user test by (uid=509)",
            "session closed for user test",
            "cupsd startup succeeded",
            "syslogd startup succeeded",
            "klogd startup succeeded",
        ]);
        assert!(of[..3].iter().all(|t| t == "session opened for user <*> by (uid=<*>)"), "{of:?}");
        assert_eq!(of[3], "session closed for user test");
        assert_eq!(of[4], "cupsd startup succeeded", "the first word names what it is about");
    }

    #[test]
    fn the_memory_is_bounded_and_what_is_rare_stays() {
        let mut miner = Miner::bounded(500);
        let rare = miner.add(b"disk quota exceeded on home");
        // Endless lines that do not repeat, of words and not of numbers.
        let word = |mut n: u64| {
            let mut w = String::new();
            for _ in 0..6 {
                w.push(char::from(b'a' + u8::try_from(n % 26).unwrap()));
                n /= 26;
            }
            w
        };
        for n in 0..60_000_u64 {
            let n = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
            miner.add(format!("fetched {} from {} as {}", word(n), word(n >> 7), word(n >> 13)).as_bytes());
            miner.add(format!("{} {} {}", word(n), word(n >> 5), word(n >> 9)).as_bytes());
        }
        assert!(miner.numbers() <= 2001, "{}", miner.numbers());
        // What begins late and comes again is seen all the same.
        let late: Vec<u32> = (0..40).map(|_| miner.add(b"pool exhausted, giving up")).collect();
        let mined = miner.finish();
        assert_eq!(mined.templates[mined.pattern_of[late[39] as usize] as usize], "pool exhausted, giving up");
        assert_eq!(mined.templates[mined.pattern_of[rare as usize] as usize], "disk quota exceeded on home");
        assert!(mined.templates.iter().any(|t| t == "fetched <*> from <*> as <*>"), "{:?}", &mined.templates[..10]);
        assert!(mined.rest.is_some(), "what was too much is told");
    }

    proptest::proptest! {
        #[test]
        fn every_message_matches_the_regex_of_its_pattern(messages in proptest::collection::vec("[a-c1 .,:=()\"</\\[\\]{}é|-]{0,24}", 1..60)) {
            let mut miner = Miner::default();
            let ids: Vec<u32> = messages.iter().map(|m| miner.add(m.as_bytes())).collect();
            let mined = miner.finish();
            for (message, id) in messages.iter().zip(ids) {
                let regex = mined.regex(mined.pattern_of[id as usize] as usize);
                proptest::prop_assert!(regex::Regex::new(&regex).unwrap().is_match(message), "{message:?} {regex}");
            }
        }
    }
}
