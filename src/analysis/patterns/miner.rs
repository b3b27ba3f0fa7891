//! Mines templates from log messages: online, in one pass, in bounded memory, and deterministic.
//!
//! A message becomes a shape (see `mask.rs`); equal shapes share a template. Templates are merged when they turn out to
//! differ only in variables:
//!
//! - templates that differ at one place, where three or more words, or a word and a variable part, occur;
//! - families of templates that share at least half of their words and vary at the other places.
//!
//! Words that name an event (`started`, `stopped`, `FAILED`) are not variables. Templates are merged whenever their number
//! has doubled, and at the end. Ids returned earlier stay valid: [`Mined::pattern_of`] maps them to the merged patterns.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use super::mask::{Masker, Token, VAR, template, tokens};

/// Maximum number of templates. At the limit, families of similar templates are generalised so that rare templates survive.
pub const MAX_TEMPLATES: usize = 20_000;
/// Maximum number of shapes that get an id. Beyond it, lines with an unknown shape go into one rest pattern.
const MAX_NODES: usize = 4 * MAX_TEMPLATES;
/// Number of templates that triggers the first merge.
const FIRST_MERGE: usize = 4096;
/// Number of distinct words that make a place variable.
const MIN_WORDS: usize = 3;
/// Minimum number of similar templates that are generalised together.
const MIN_FAMILY: usize = 8;
/// Number of times that a rejected shape must occur to be accepted.
const MIN_REPEATS: u8 = 3;
/// Number of lines with a source location that are needed to recognise a location as a log wrapper.
const MIN_LOCATED_LINES: u64 = 24;
/// Maximum rounds of one merge, which is the number of variables that a template can gain in it.
const MERGE_ROUNDS: usize = 3;

/// A hasher that passes keys through, because they are hashes already.
#[derive(Default)]
pub(super) struct PassThroughHasher(u64);

impl Hasher for PassThroughHasher {
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

type ByHash<T> = HashMap<u64, T, BuildHasherDefault<PassThroughHasher>>;
type Hashes = HashSet<u64, BuildHasherDefault<PassThroughHasher>>;

/// A fast, non-cryptographic hash of bytes that is the same on every machine.
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

/// A shape, and the node that it was merged into.
#[derive(Clone, Debug)]
struct Node {
    shape: Box<[u8]>,
    /// The node that this one was merged into; its own index while it is a template.
    parent: u32,
    /// Whether it holds all lines of one source location, see [`Miner::add_located`].
    is_location: bool,
}

/// The shape of a message, and its hash.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    key: u64,
    bytes: &'a [u8],
}

impl<'a> Shape<'a> {
    /// A shape that [`Masker`] made.
    fn of(bytes: &'a [u8]) -> Self {
        Self { key: hash(bytes), bytes }
    }
}

/// The shapes of many messages, made without the miner, so that several threads can make them.
#[derive(Debug, Default)]
pub struct Shapes {
    masker: Masker,
    bytes: Vec<u8>,
    /// The hash of each shape and where it ends in `bytes`.
    ends: Vec<(u64, usize)>,
}

impl Shapes {
    /// Removes the shapes and keeps their memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Adds the shape of a message, and returns its number.
    pub fn add(&mut self, message: &[u8]) -> usize {
        let shape = self.masker.shape(message);
        self.bytes.extend_from_slice(shape);
        self.ends.push((hash(shape), self.bytes.len()));
        self.ends.len() - 1
    }

    /// The shape with a number. `None` if there is no such number.
    pub fn get(&self, number: usize) -> Option<Shape<'_>> {
        let (key, end) = *self.ends.get(number)?;
        let start = number.checked_sub(1).map_or(Some(0), |before| Some(self.ends.get(before)?.1))?;
        Some(Shape { key, bytes: self.bytes.get(start..end)? })
    }
}

/// Finds templates in a stream of messages.
#[derive(Clone, Debug)]
pub struct Miner {
    masker: Masker,
    nodes: Vec<Node>,
    by_shape: ByHash<u32>,
    /// Generalised templates by length and first word; new shapes are matched against them.
    general: ByHash<Vec<u32>>,
    merge_at: usize,
    /// Number of templates, without those of source locations.
    template_count: usize,
    /// The node of lines that exceed the limits.
    rest: Option<u32>,
    /// The node of each source location, and the shapes that are already merged into it.
    locations: ByHash<u32>,
    merged_shapes: Hashes,
    /// Locations that are log wrappers: unrelated lines come from them.
    wrappers: Hashes,
    /// Locations whose lines have no word in common.
    without_words: Hashes,
    /// Lines of each source location, and of all together.
    lines_by_location: ByHash<u64>,
    located_lines: u64,
    /// Lines rejected for lack of room, and the number of them at which room is made again.
    rejected_lines: u64,
    retry_at: u64,
    /// How often each rejected shape occurred, and how many of these shapes were accepted.
    rejections: ByHash<u8>,
    accepted: usize,
    max_templates: usize,
}

impl Default for Miner {
    fn default() -> Self {
        Self::with_max_templates(MAX_TEMPLATES)
    }
}

/// The result of mining.
#[derive(Debug)]
pub struct Mined {
    /// For each id that [`Miner::add`] returned, the index of its pattern in `templates`.
    pub pattern_of: Vec<u32>,
    /// The templates of the patterns, in order of first appearance.
    pub templates: Vec<String>,
    /// The pattern of the lines that exceeded the limits, if any.
    pub rest: Option<u32>,
    shapes: Vec<Box<[u8]>>,
}

impl Mined {
    /// Returns a regular expression that matches every whole message of a pattern.
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

/// Maximum number of distinct event names at one place; more words than this are values.
const MAX_EVENTS: usize = 12;

/// Whether the words at one place of several templates name events, such as `Started`, `paused` and `stopping`. Templates
/// that differ there have different meanings.
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
    words.len() <= MAX_EVENTS && events * 3 >= words.len() * 2
}

fn is_slot(token: Token) -> bool {
    matches!(token, Token::Word | Token::Var)
}

/// Indices of similar templates, and the places where they vary.
type Family = (Vec<usize>, Vec<usize>);
/// Words with their places.
type PlacedWords<'a> = Vec<(usize, &'a [u8])>;

/// Finds families of templates that share at least half of their words, and the places where each family varies.
/// `candidates` are templates with the same length and punctuation.
fn find_families(parts: &[Vec<(Token, &[u8])>], candidates: &[usize]) -> Vec<Family> {
    let words = |t: usize| {
        parts
            .get(t)
            .into_iter()
            .flatten()
            .enumerate()
            .filter(|(_, (token, _))| *token == Token::Word)
            .map(|(place, (_, word))| (place, *word))
    };
    let mut frequency: HashMap<(usize, &[u8]), usize> = HashMap::new();
    for t in candidates {
        words(*t).for_each(|word| *frequency.entry(word).or_default() += 1);
    }
    // The half of each template's words that most other templates share.
    let mut families: HashMap<PlacedWords<'_>, Vec<usize>> = HashMap::new();
    for t in candidates {
        let mut counts: Vec<usize> = words(*t).map(|word| frequency.get(&word).copied().unwrap_or(0)).collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let Some(least) = counts.get(counts.len().div_ceil(2).max(2) - 1).filter(|n| **n >= MIN_FAMILY) else { continue };
        let common = words(*t).filter(|word| frequency.get(word).is_some_and(|n| n * 10 >= least * 9)).collect();
        families.entry(common).or_default().push(*t);
    }
    let mut families: Vec<(PlacedWords<'_>, Vec<usize>)> = families.into_iter().filter(|(_, f)| f.len() >= MIN_FAMILY).collect();
    families.sort_unstable_by(|a, b| a.1.cmp(&b.1));
    let mut found = Vec::new();
    for (common, family) in families {
        let first = family.first().and_then(|t| parts.get(*t)).map(Vec::as_slice).unwrap_or_default();
        let first_word = first.iter().position(|(token, _)| is_slot(*token));
        // The sorted words at a place, of templates where it is not a variable part yet.
        let words_at = |place: usize| {
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
                let mut distinct = words_at(*place);
                let total = distinct.len();
                distinct.dedup();
                // The first word of a message usually names its subject, so it takes more words to make it variable.
                let enough = if Some(*place) == first_word { 2 * MIN_FAMILY } else { MIN_WORDS };
                let varies = distinct.len() >= enough.max(family.len() / 4)
                    && (distinct.len() > MAX_EVENTS || distinct.iter().filter(|w| is_event(w)).count() * 3 < distinct.len() * 2);
                recombine |= varies && (distinct.len() < total || distinct.len() > MAX_EVENTS);
                varies
            })
            .collect();
        // Values occur in varying combinations. Words that do not are separate messages.
        if open.len() > 1 && !recombine {
            continue;
        }
        if !open.is_empty() {
            found.push((family, open));
        }
    }
    found
}

/// Whether a word is a past participle, a gerund, or the name of a state in capitals.
fn is_event(word: &[u8]) -> bool {
    let rest = word.get(1..).unwrap_or(&[]);
    let is_verb = word.len() > 4
        && word.first().is_some_and(u8::is_ascii_alphabetic)
        && rest.iter().all(u8::is_ascii_lowercase)
        && (word.ends_with(b"ed") || word.ends_with(b"ing"));
    is_verb || word.len() > 2 && word.iter().all(|b| b.is_ascii_uppercase() || *b == b'_')
}

/// Escapes the special characters of a regular expression.
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
    /// Creates a miner with a limit on the number of templates.
    pub fn with_max_templates(max_templates: usize) -> Self {
        Self {
            masker: Masker::default(),
            nodes: Vec::new(),
            by_shape: HashMap::default(),
            general: HashMap::default(),
            merge_at: FIRST_MERGE.min(max_templates),
            template_count: 0,
            rest: None,
            locations: HashMap::default(),
            merged_shapes: HashSet::default(),
            wrappers: HashSet::default(),
            without_words: HashSet::default(),
            lines_by_location: HashMap::default(),
            located_lines: 0,
            rejected_lines: 0,
            retry_at: 0,
            rejections: HashMap::default(),
            accepted: 0,
            max_templates,
        }
    }

    /// The number of ids returned so far.
    pub fn id_count(&self) -> usize {
        self.nodes.len()
    }

    /// Adds a message and returns the id of its template. [`Mined::pattern_of`] maps the id to the final pattern.
    pub fn add(&mut self, message: &[u8]) -> u32 {
        let mut masker = std::mem::take(&mut self.masker);
        let id = self.add_shape(Shape::of(masker.shape(message)));
        self.masker = masker;
        id
    }

    /// Like [`Self::add`], for a message whose shape is known.
    pub fn add_shape(&mut self, shape: Shape<'_>) -> u32 {
        if let Some(&node) = self.by_shape.get(&shape.key)
            && self.nodes.get(node as usize).is_some_and(|n| *n.shape == *shape.bytes)
        {
            return node;
        }
        self.add_new_shape(shape)
    }

    /// Like [`Self::add`], for a line that names the source location that wrote it. All lines of one location are one
    /// pattern, whatever their text, and lines of two locations are two patterns even when their text is the same. The
    /// location of a log wrapper is ignored.
    pub fn add_located(&mut self, message: &[u8], location: &[u8]) -> u32 {
        let mut masker = std::mem::take(&mut self.masker);
        let id = self.add_located_shape(Shape::of(masker.shape(message)), location);
        self.masker = masker;
        id
    }

    /// Like [`Self::add_located`], for a message whose shape is known.
    pub fn add_located_shape(&mut self, shape: Shape<'_>, location: &[u8]) -> u32 {
        let location = hash(location);
        if self.wrappers.contains(&location) {
            return self.add_shape(shape);
        }
        let existing = self.locations.get(&location).copied();
        if existing.is_none() && (self.locations.len() >= self.max_templates || self.nodes.len() >= MAX_NODES) {
            return self.add_shape(shape);
        }
        self.located_lines += 1;
        let lines = self.lines_by_location.entry(location).or_default();
        *lines += 1;
        let lines = *lines;
        let key = shape.key ^ location.rotate_left(23);
        let Some(node) = existing else {
            let node = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
            self.nodes.push(Node { shape: shape.bytes.into(), parent: node, is_location: true });
            self.locations.insert(location, node);
            self.merged_shapes.insert(key);
            return node;
        };
        // A location that writes at least a third of all lines, without a word in common, is a log wrapper: it says nothing
        // about the message.
        if self.without_words.contains(&location) && self.located_lines >= MIN_LOCATED_LINES && lines * 3 >= self.located_lines {
            self.wrappers.insert(location);
            return self.add_shape(shape);
        }
        if self.merged_shapes.contains(&key) {
            return node;
        }
        if let Some(n) = self.nodes.get_mut(node as usize)
            && let Some(common) = generalise(&n.shape, shape.bytes)
        {
            if !tokens(&common).iter().any(|(token, _)| *token == Token::Word) {
                self.without_words.insert(location);
            }
            n.shape = common;
        }
        if self.merged_shapes.len() < MAX_NODES {
            self.merged_shapes.insert(key);
        }
        node
    }

    #[cold]
    fn add_new_shape(&mut self, shape: Shape<'_>) -> u32 {
        let (key, shape): (u64, Box<[u8]>) = (shape.key, shape.bytes.into());
        let parent = self.find_general(&shape);
        if self.nodes.len() >= MAX_NODES.min(4 * self.max_templates) {
            return match parent {
                Some(parent) => parent,
                None if self.accept_repeated(key) => self.insert(shape, key),
                None => self.rest_node(),
            };
        }
        if let Some(parent) = parent {
            // Store the shape so that its next line is found at once.
            let node = self.insert(shape, key);
            if let Some(n) = self.nodes.get_mut(node as usize) {
                n.parent = parent;
                self.template_count -= 1;
            }
            return node;
        }
        if self.template_count >= self.max_templates {
            // Making room is slow. If it does not help, wait until the number of rejected lines has doubled.
            self.rejected_lines += 1;
            if self.rejected_lines < self.retry_at {
                return if self.accept_repeated(key) { self.insert(shape, key) } else { self.rest_node() };
            }
            self.make_room();
            if self.template_count >= self.max_templates * 99 / 100 {
                self.retry_at = 2 * self.rejected_lines.max(self.max_templates as u64);
            }
            if self.template_count >= self.max_templates {
                return self.rest_node();
            }
            if let Some(parent) = self.find_general(&shape) {
                return parent;
            }
        }
        let node = self.insert(shape, key);
        if self.template_count >= self.merge_at {
            self.merge(MIN_WORDS);
            self.merge_at = (self.template_count * 2).clamp(FIRST_MERGE.min(self.max_templates), self.max_templates);
        }
        node
    }

    /// Counts a rejected shape and returns whether it has occurred often enough to be accepted anyway. This keeps lines that
    /// start late and repeat, such as the errors of an incident, apart from lines that never repeat. A tenth of the template
    /// limit is reserved for them.
    fn accept_repeated(&mut self, key: u64) -> bool {
        if self.accepted >= self.max_templates / 10 {
            return false;
        }
        if self.rejections.len() >= self.max_templates {
            self.rejections.clear();
        }
        let times = self.rejections.entry(key).or_default();
        *times += 1;
        if *times < MIN_REPEATS {
            return false;
        }
        self.rejections.remove(&key);
        self.accepted += 1;
        true
    }

    fn insert(&mut self, shape: Box<[u8]>, key: u64) -> u32 {
        let node = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.push(Node { shape, parent: node, is_location: false });
        self.by_shape.insert(key, node);
        self.template_count += 1;
        node
    }

    /// The node of lines that exceed the limits, created when needed.
    fn rest_node(&mut self) -> u32 {
        if let Some(rest) = self.rest {
            return rest;
        }
        let node = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.push(Node { shape: Box::from(&[VAR][..]), parent: node, is_location: false });
        self.rest = Some(node);
        node
    }

    /// The generalised template that a shape matches, if any.
    fn find_general(&self, shape: &[u8]) -> Option<u32> {
        if self.general.is_empty() {
            return None;
        }
        let parts = tokens(shape);
        let candidates = self.general.get(&bucket(&parts))?;
        candidates.iter().copied().find(|c| {
            self.nodes.get(*c as usize).is_some_and(|n| {
                let general = tokens(&n.shape);
                general.len() == parts.len()
                    && general.iter().zip(&parts).all(|(t, p)| t == p || (t.0 == Token::Var && p.0 == Token::Word))
            })
        })
    }

    /// The template that a node was merged into.
    fn root(&self, node: u32) -> u32 {
        let mut at = node;
        while let Some(n) = self.nodes.get(at as usize).filter(|n| n.parent != at) {
            at = n.parent;
        }
        at
    }

    /// The current templates in order of first appearance, without source locations and the rest.
    fn roots(&self) -> Vec<u32> {
        let all =
            self.nodes.iter().enumerate().filter_map(|(i, n)| u32::try_from(i).ok().filter(|i| n.parent == *i && !n.is_location));
        all.filter(|i| Some(*i) != self.rest).collect()
    }

    /// Merges templates that differ at one place, where `words` or more distinct words or a variable part occur, and then
    /// those that differ at several places.
    fn merge(&mut self, words: usize) {
        self.merge_by_place(words);
        if self.merge_families() {
            self.merge_by_place(words);
        }
    }

    fn merge_by_place(&mut self, words: usize) {
        for _ in 0..MERGE_ROUNDS {
            if !self.merge_once(words) {
                break;
            }
        }
    }

    /// Merges templates that share at least half of their words and vary at the same places, such as
    /// `user a deleted project b` with so many users and projects that hardly any two lines differ in only one word.
    fn merge_families(&mut self) -> bool {
        let roots = self.roots();
        let parts: Vec<Vec<(Token, &[u8])>> =
            roots.iter().map(|r| self.nodes.get(*r as usize).map_or_else(Vec::new, |n| tokens(&n.shape))).collect();
        // Compare only templates with the same structure: the same length and punctuation.
        let mut by_structure: HashMap<u64, Vec<usize>> = HashMap::new();
        for (t, part) in parts.iter().enumerate() {
            let structure: Vec<u8> = part
                .iter()
                .map(|(token, bytes)| if is_slot(*token) { b'w' } else { bytes.first().copied().unwrap_or(0) })
                .collect();
            by_structure.entry(hash(&structure)).or_default().push(t);
        }
        let mut groups: Vec<Vec<usize>> = by_structure.into_values().filter(|group| group.len() >= MIN_FAMILY).collect();
        groups.sort_unstable();
        let mut shapes: Vec<(u32, Box<[u8]>)> = Vec::new();
        for candidates in &groups {
            for (family, open) in find_families(&parts, candidates) {
                for t in family {
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
            changed |= self.merge_into(root, shape);
        }
        changed
    }

    fn merge_once(&mut self, words: usize) -> bool {
        let roots = self.roots();
        let parts: Vec<Vec<(Token, &[u8])>> =
            roots.iter().map(|r| self.nodes.get(*r as usize).map_or_else(Vec::new, |n| tokens(&n.shape))).collect();
        // A key for each template and place: the hash of the template without that place.
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
            // The first word of a message names its subject and is kept.
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
                let mut distinct: Vec<u64> = group.iter().map(|g| g.3).filter(|h| *h != var).collect();
                distinct.sort_unstable();
                distinct.dedup();
                if (distinct.len() >= words && !are_events(&parts, group)) || (has_var && !distinct.is_empty()) {
                    groups.push((length, first, place, from..from + length));
                }
            }
            from += length;
        }
        // Largest group first; ties in order of appearance.
        groups.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let mut assigned: Vec<Option<(u32, u32)>> = vec![None; roots.len()];
        for (_, first, place, range) in &groups {
            for (_, t, _, _) in keys.get(range.clone()).unwrap_or(&[]) {
                if let Some(slot) = assigned.get_mut(*t as usize).filter(|s| s.is_none()) {
                    *slot = Some((*first, *place));
                }
            }
        }
        // The new shape of each template is its own with the place left open, which is the same for all members of a group.
        let shapes: Vec<(u32, Box<[u8]>)> = assigned
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
            changed |= self.merge_into(root, shape);
        }
        changed
    }

    /// Merges a template into the one with this shape, which is created if needed. Returns whether anything changed.
    fn merge_into(&mut self, root: u32, shape: Box<[u8]>) -> bool {
        let key = hash(&shape);
        let found = self.by_shape.get(&key).copied().filter(|n| self.nodes.get(*n as usize).is_some_and(|n| n.shape == shape));
        let target = match found {
            Some(node) => self.root(node),
            None => self.insert(shape, key),
        };
        if target == root {
            return false;
        }
        if let Some(n) = self.nodes.get_mut(root as usize) {
            n.parent = target;
            self.template_count -= 1;
        }
        let bucket = self.nodes.get(target as usize).map(|n| bucket(&tokens(&n.shape)));
        if let Some(bucket) = bucket {
            let list = self.general.entry(bucket).or_default();
            if !list.contains(&target) {
                list.push(target);
            }
        }
        true
    }

    /// Makes room for new templates: merges with lower thresholds, then generalises families of templates with the same
    /// length and first word, largest first. Rare templates are kept.
    fn make_room(&mut self) {
        self.merge(MIN_WORDS);
        if self.template_count < self.max_templates * 9 / 10 {
            return;
        }
        self.merge(2);
        let mut families: HashMap<u64, Vec<u32>> = HashMap::new();
        for root in self.roots() {
            if let Some(n) = self.nodes.get(root as usize) {
                families.entry(bucket(&tokens(&n.shape))).or_default().push(root);
            }
        }
        let mut families: Vec<Vec<u32>> = families.into_values().filter(|f| f.len() >= MIN_FAMILY).collect();
        families.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        for family in families {
            if self.template_count <= self.max_templates / 2 {
                break;
            }
            if let Some(shape) = self.common_shape(&family) {
                for root in family {
                    self.merge_into(root, shape.clone());
                }
            }
        }
    }

    /// The shape that a family has in common, with differences left open.
    fn common_shape(&self, family: &[u32]) -> Option<Box<[u8]>> {
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

    /// Merges one last time and maps each id to its pattern.
    pub fn finish(mut self) -> Mined {
        self.merge(MIN_WORDS);
        let mut pattern_of_root: Vec<Option<u32>> = vec![None; self.nodes.len()];
        let (mut pattern_of, mut templates, mut shapes, mut rest) = (Vec::new(), Vec::new(), Vec::new(), None);
        for node in 0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX) {
            let root = self.root(node);
            let Some(slot) = pattern_of_root.get_mut(root as usize) else { continue };
            let pattern = *slot.get_or_insert_with(|| {
                let shape = self.nodes.get(root as usize).map(|n| n.shape.clone()).unwrap_or_default();
                let next = u32::try_from(templates.len()).unwrap_or(u32::MAX);
                if self.rest == Some(root) {
                    rest = Some(next);
                    templates.push("(other lines: pattern limit reached)".to_owned());
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

/// The shape that two shapes have in common, with differences left open: word by word when they have the same length,
/// otherwise their common start and end. `None` when `a` already covers `b`.
fn generalise(a: &[u8], b: &[u8]) -> Option<Box<[u8]>> {
    let (left, right) = (tokens(a), tokens(b));
    let is_var = |part: &(Token, &[u8])| part.0 == Token::Var;
    let mut shape: Vec<u8> = Vec::with_capacity(a.len());
    if left.len() == right.len() {
        for (x, y) in left.iter().zip(&right) {
            shape.extend_from_slice(if x == y { x.1 } else { &[VAR] });
        }
    } else {
        let head = left.iter().zip(&right).take_while(|(x, y)| x == y && !is_var(x)).count();
        let most = left.len().min(right.len()) - head;
        let tail = left.iter().rev().zip(right.iter().rev()).take(most).take_while(|(x, y)| x == y && !is_var(x)).count();
        left.iter().take(head).for_each(|(_, bytes)| shape.extend_from_slice(bytes));
        shape.push(VAR);
        left.iter().skip(left.len() - tail).for_each(|(_, bytes)| shape.extend_from_slice(bytes));
    }
    (*shape != *a).then(|| shape.into_boxed_slice())
}

/// A hash of the length and the first word of a shape.
fn bucket(parts: &[(Token, &[u8])]) -> u64 {
    let first = parts.iter().find(|(t, _)| matches!(t, Token::Word | Token::Var)).map_or(0, |(_, b)| hash(b));
    first ^ (parts.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_templates_that_vary_at_several_places() {
        let name = |n: usize| {
            ["ka", "lo", "mi", "ne", "ru"].map(str::to_owned)[n % 5].clone() + ["an", "er", "il", "os", "ut"][n / 5 % 5]
        };
        let mut miner = Miner::default();
        let ids: Vec<u32> =
            (0..20).map(|n| miner.add(format!("user {} deleted project {}", name(n), name(n * 7 + 3)).as_bytes())).collect();
        let first: Vec<u32> =
            (0..20).map(|n| miner.add(format!("{} was let in by {}", name(n), name(n * 7 + 3)).as_bytes())).collect();
        // The same length but other words: three different messages.
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
        .map(|task| miner.add(format!("failed to {task}").as_bytes()))
        .to_vec();
        let mined = miner.finish();
        let patterns = |ids: &[u32]| {
            let places: std::collections::BTreeSet<u32> = ids.iter().map(|n| mined.pattern_of[*n as usize]).collect();
            places.into_iter().map(|p| mined.templates[p as usize].as_str()).collect::<Vec<_>>()
        };
        assert_eq!(patterns(&ids), ["user <*> deleted project <*>"]);
        assert_eq!(patterns(&first), ["<*> was let in by <*>"]);
        assert_eq!(patterns(&others).len(), 3);
        assert_eq!(patterns(&once).len(), once.len(), "words that do not recombine are not values");
        assert!(patterns(&states).len() > 4, "{:?}", patterns(&states));
    }

    #[test]
    fn keeps_templates_of_different_events_apart() {
        let mut miner = Miner::default();
        let add = |miner: &mut Miner, words: &[&str], rest: &str| -> Vec<u32> {
            words.iter().map(|w| miner.add(format!("machine {w} {rest}").as_bytes())).collect()
        };
        let events = add(&mut miner, &["Started", "paused", "resuming", "halted"], "by operator");
        let values = add(&mut miner, &["alice", "bob", "carol", "red"], "is gone");
        let many: Vec<String> = (0..26_u8).map(|n| format!("{}ed", char::from(b'a' + n).to_string().repeat(4))).collect();
        let many = add(&mut miner, &many.iter().map(String::as_str).collect::<Vec<_>>(), "was there");
        let mined = miner.finish();
        let patterns =
            |ids: &[u32]| ids.iter().map(|n| mined.pattern_of[*n as usize]).collect::<std::collections::BTreeSet<_>>().len();
        assert_eq!((patterns(&events), patterns(&values), patterns(&many)), (4, 1, 1));
    }

    #[test]
    fn groups_lines_by_source_location_and_matches_them() {
        let mut miner = Miner::default();
        let lines = [
            ("seats [nanjing, shanghai] of train 7", "a.b.Seat#137"),
            ("seats [suzhou] of train 8", "a.b.Seat#137"),
            ("seats none of train 9 today", "a.b.Seat#137"),
            ("seats [suzhou] of train 8", "a.b.Other#12"),
            ("seats [suzhou] of train 8", ""),
        ];
        let ids: Vec<u32> = lines
            .iter()
            .map(|(m, at)| if at.is_empty() { miner.add(m.as_bytes()) } else { miner.add_located(m.as_bytes(), at.as_bytes()) })
            .collect();
        let mined = miner.finish();
        let patterns: Vec<u32> = ids.iter().map(|i| mined.pattern_of[*i as usize]).collect();
        assert_eq!((patterns[0], patterns[1], patterns[2]), (patterns[0], patterns[0], patterns[0]));
        assert!(patterns[3] != patterns[0] && patterns[4] != patterns[3] && patterns[4] != patterns[0], "{patterns:?}");
        for ((message, _), pattern) in lines.iter().zip(&patterns) {
            let regex = regex::bytes::Regex::new(&mined.regex(*pattern as usize)).unwrap();
            assert!(regex.is_match(message.as_bytes()), "{message}: {}", mined.templates[*pattern as usize]);
        }
    }

    #[test]
    fn ignores_the_location_of_a_log_wrapper() {
        let mut miner = Miner::default();
        let messages = ["payment failed for 7", "listening on port 80", "connection refused", "order 12 placed"];
        let ids: Vec<u32> = (0..400).map(|n| miner.add_located(messages[n % 4].as_bytes(), b"logger/logger.go:57")).collect();
        let mined = miner.finish();
        let kinds: std::collections::BTreeSet<u32> = ids.iter().skip(32).map(|i| mined.pattern_of[*i as usize]).collect();
        assert_eq!(kinds.len(), 4, "{:?}", mined.templates);
    }

    fn mine(messages: &[&str]) -> (Vec<String>, Mined) {
        let mut miner = Miner::default();
        let ids: Vec<u32> = messages.iter().map(|m| miner.add(m.as_bytes())).collect();
        let mined = miner.finish();
        let templates = ids.iter().map(|i| mined.templates[mined.pattern_of[*i as usize] as usize].clone()).collect();
        (templates, mined)
    }

    #[test]
    fn merges_templates_when_a_variable_is_found_later() {
        let (templates, _) = mine(&[
            "session opened for user news by (uid=0)",
            "session opened for user cyrus by (uid=0)",
            "session opened for user test by (uid=509)",
            "session closed for user test",
            "cupsd startup succeeded",
            "syslogd startup succeeded",
            "klogd startup succeeded",
        ]);
        assert!(templates[..3].iter().all(|t| t == "session opened for user <*> by (uid=<*>)"), "{templates:?}");
        assert_eq!(templates[3], "session closed for user test");
        assert_eq!(templates[4], "cupsd startup succeeded", "the first word names the subject");
    }

    #[test]
    fn bounds_memory_and_keeps_rare_templates() {
        let mut miner = Miner::with_max_templates(500);
        let rare = miner.add(b"disk quota exceeded on home");
        // Many lines that do not repeat, made of words and not of numbers.
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
        assert!(miner.id_count() <= 2001, "{}", miner.id_count());
        // A message that starts late and repeats still gets its own template.
        let late: Vec<u32> = (0..40).map(|_| miner.add(b"pool exhausted, giving up")).collect();
        let mined = miner.finish();
        assert_eq!(mined.templates[mined.pattern_of[late[39] as usize] as usize], "pool exhausted, giving up");
        assert_eq!(mined.templates[mined.pattern_of[rare as usize] as usize], "disk quota exceeded on home");
        assert!(mined.templates.iter().any(|t| t == "fetched <*> from <*> as <*>"), "{:?}", &mined.templates[..10]);
        assert!(mined.rest.is_some(), "the lines over the limit have a rest pattern");
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
