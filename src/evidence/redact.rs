//! Redaction: removes secrets and personal data from text before it is stored, sent to a model or exported.
//!
//! The rules are data (`redact/rules.toml`): each has a kind, a reason, a pattern, keywords and a check (`checks`). The pattern
//! runs only if a keyword occurs in the text (found with one Aho-Corasick pass over all keywords); the check rejects matches where
//! the pattern alone is too broad. Only the secret itself is replaced. Code finds what no pattern on one place can: secrets that a
//! structure names at a distance (`structures`), encoded ones (`encoded`), and known ones that occur again.
//!
//! A match becomes `<redacted:KIND#N>`. Within one document the same value gets the same number, so a reader can see that two
//! lines contain the same secret. Redacting twice changes nothing.
//!
//! A `Redacted` value can only be created here. The journal, the LLM client and the notifiers accept nothing else.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use aho_corasick::AhoCorasick;
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod checks;
mod encoded;
mod structures;

use super::mask::Mask;
use super::pattern::in_ascii;
use checks::{Check, Hit};

/// A value that has been redacted. It deliberately cannot be deserialized: only this module creates one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// Returns the value by reference.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// Returns the owned value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// The number of replacements of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedactionCount {
    pub kind: String,
    pub count: u64,
}

/// A rule as it is written in `rules.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    kind: String,
    reason: String,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default)]
    pattern: String,
    #[serde(default)]
    prefixes: Vec<String>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    check: String,
}

impl WrittenRule {
    /// The pattern and the words one of which must occur.
    fn pattern_and_keywords(&self) -> (String, &[String]) {
        let any = |words: &[String]| words.iter().map(|w| regex::escape(w)).collect::<Vec<_>>().join("|");
        if !self.prefixes.is_empty() {
            // A sign of punctuation inside the value has at least six characters behind it: it does not end a sentence.
            let body = r"(?:[A-Za-z0-9_-]|[.~+/:][A-Za-z0-9_-]{6}){8,}={0,2}";
            (format!("(?:^|[^A-Za-z0-9_.])(?P<v>(?P<name>{}){body})", any(&self.prefixes)), &self.prefixes)
        } else if !self.names.is_empty() {
            let name = r"(?:[a-z0-9]+[_.-])*(?:NAMES)[\w.-]{0,30}(?: [a-z]{3,11}){0,2}".replace("NAMES", &any(&self.names));
            let value = r#"(?:["'\]]{0,2}[ \t]*(?:=>|->|[?:]{0,3}==?|:{1,3}|\|\||,|>)|[ ](?:key|token|secret))[ \t]*["'`]{0,2}(?P<v>[A-Za-z0-9_+/=.~-]{16,})"#;
            (format!("(?i)(?:^|[^A-Za-z0-9])(?P<name>{name}){value}"), &self.names)
        } else {
            (self.pattern.clone(), &self.keywords)
        }
    }
}

#[derive(Deserialize)]
struct RuleFile {
    rule: Vec<WrittenRule>,
}

struct Rule {
    kind: String,
    reason: String,
    /// Compiled on first use.
    regex: OnceLock<Option<Regex>>,
    pattern: String,
    check: Check,
}

struct Compiled {
    rules: Vec<Rule>,
    keywords: AhoCorasick,
    /// The index of the rule that each keyword belongs to.
    rule_of_keyword: Vec<usize>,
    /// The indices of the rules without keywords.
    always: Vec<usize>,
}

fn compiled() -> &'static Compiled {
    static COMPILED: OnceLock<Compiled> = OnceLock::new();
    COMPILED.get_or_init(|| {
        // The file is a constant, and the tests read it.
        let file: RuleFile =
            toml::from_str(include_str!("redact/rules.toml")).unwrap_or_else(|e| unreachable!("rules.toml: {e}"));
        let (mut words, mut rule_of_keyword, mut always) = (Vec::new(), Vec::new(), Vec::new());
        for (index, rule) in file.rule.iter().enumerate() {
            let (_, words_of_rule) = rule.pattern_and_keywords();
            if words_of_rule.is_empty() {
                always.push(index);
            }
            for word in words_of_rule {
                words.push(word.clone());
                rule_of_keyword.push(index);
            }
        }
        let keywords = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(words)
            .unwrap_or_else(|e| unreachable!("constant keywords: {e}"));
        let rules = file
            .rule
            .into_iter()
            .map(|r| Rule {
                pattern: r.pattern_and_keywords().0,
                check: checks::find(&r.check).unwrap_or_else(|| unreachable!("there is no check '{}'", r.check)),
                kind: r.kind,
                reason: r.reason,
                regex: OnceLock::new(),
            })
            .collect();
        Compiled { rules, keywords, rule_of_keyword, always }
    })
}

/// Why text of a kind is replaced, in a phrase. Generic for a kind that does not exist.
pub fn reason(kind: &str) -> &'static str {
    compiled().rules.iter().find(|r| r.kind == kind).map_or("it looks like a secret", |r| r.reason.as_str())
}

/// Whether a text begins with a redaction mark, or consists of marks and punctuation: it was redacted before.
fn is_marked(value: &str) -> bool {
    static MARK: OnceLock<Option<Regex>> = OnceLock::new();
    let Some(mark) = MARK.get_or_init(|| Regex::new(r"<redacted:[a-z-]{2,20}#[0-9]+>").ok()) else { return false };
    let first = mark.find(value).map(|m| m.start());
    first == Some(0) || first.is_some() && !mark.replace_all(value, "").chars().any(char::is_alphanumeric)
}

static COLOURS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\x1b\[[0-9;:]*m").ok());

/// Whether a text holds a secret by the rules. Personal data do not count.
fn is_secret_text(text: &str) -> bool {
    let mut redactor = Redactor::new();
    redactor.redact_text(text);
    redactor.counts.keys().any(|kind| kind.contains("secret") || kind.contains("password") || kind.contains("key"))
}

/// Whether a value under a name for a secret is a secret.
fn is_secret_value(value: &str) -> bool {
    checks::find("block").is_some_and(|check| check(&Hit { name: "", value, whole: value, before: "", after: "" }))
}

/// Redacts one document: numbers the values that it replaces and counts them by kind.
#[derive(Debug, Default)]
pub struct Redactor {
    /// The distinct values of each kind, in order of first occurrence.
    values: BTreeMap<String, Vec<String>>,
    counts: BTreeMap<String, u64>,
    /// What is hidden afterwards, and can be put back.
    mask: Mask,
}

impl Redactor {
    /// A redactor for a new document.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hides names as well, after the secrets are replaced.
    pub fn masking(mask: Mask) -> Self {
        Self { mask, ..Self::default() }
    }

    /// Returns the text with secrets and personal data replaced; borrowed if no pattern matches.
    pub fn redact_text<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        let compiled = compiled();
        let mut enabled = vec![false; compiled.rules.len()];
        if enough_digits(text) {
            for index in &compiled.always {
                if let Some(flag) = enabled.get_mut(*index) {
                    *flag = true;
                }
            }
        }
        for found in compiled.keywords.find_overlapping_iter(text) {
            if let Some(flag) = compiled.rule_of_keyword.get(found.pattern().as_usize()).and_then(|rule| enabled.get_mut(*rule)) {
                *flag = true;
            }
        }
        // Colours may stand between a name and its value.
        let mut out = match COLOURS.as_ref() {
            Some(colours) if text.contains('\u{1b}') => colours.replace_all(text, ""),
            _ => Cow::Borrowed(text),
        };
        if compiled.rules.iter().zip(&enabled).any(|(rule, on)| *on && rule.kind == "secret")
            && let Some(replaced) = self.replace_all(&structures::find(&out), &out)
        {
            out = Cow::Owned(replaced);
        }
        for rule in compiled.rules.iter().zip(&enabled).filter(|(_, on)| **on).map(|(rule, _)| rule) {
            let Some(regex) = rule.regex.get_or_init(|| Regex::new(&in_ascii(&rule.pattern)).ok()) else { continue };
            if let Some(replaced) = self.apply(rule, regex, &out) {
                out = Cow::Owned(replaced);
            }
        }
        if let Some(replaced) = self.replace_all(&encoded::find(&out, is_secret_text), &out) {
            out = Cow::Owned(replaced);
        }
        if let Some(replaced) = self.replace_repeated(&out) {
            out = Cow::Owned(replaced);
        }
        if self.mask.is_empty() { out } else { Cow::Owned(self.mask.hide(&out)) }
    }

    /// Replaces what is known to be a secret where it occurs again without its name. `None` if it occurs nowhere.
    fn replace_repeated(&mut self, text: &str) -> Option<String> {
        let known: Vec<String> = ["secret", "cli-password", "url-password", "dsn-password", "authorization"]
            .iter()
            .filter_map(|kind| self.values.get(*kind))
            .flatten()
            .filter(|value| value.len() >= 6 && checks::is_distinctive(value) && text.contains(value.as_str()))
            .cloned()
            .collect();
        let mut places: Vec<Range<usize>> = Vec::new();
        for value in &known {
            let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            places.extend(text.match_indices(value.as_str()).map(|(at, v)| at..at + v.len()).filter(|place| {
                !is_part(text.get(..place.start).and_then(|t| t.chars().next_back()))
                    && !is_part(text.get(place.end..).and_then(|t| t.chars().next()))
            }));
        }
        places.sort_by_key(|place| place.start);
        places.dedup_by(|next, first| next.start < first.end);
        self.replace_all(&places, text)
    }

    /// The text after one rule; `None` if the rule replaces nothing. After a match that is rejected, the search goes on at its
    /// value, which may hold a secret itself.
    fn apply(&mut self, rule: &'static Rule, regex: &Regex, text: &str) -> Option<String> {
        let mut out = String::new();
        let (mut copied, mut from) = (0, 0);
        while let Some(captures) = regex.captures_at(text, from) {
            let whole = captures.get(0)?;
            let part = ["v", "a", "b", "c", "d", "e"].iter().find_map(|n| captures.name(n)).unwrap_or(whole);
            // In `password=X,port=5432` the value ends before the next name.
            let end = part.start() + if captures.name("v").is_some() { value_length(part.as_str()) } else { part.len() };
            let value = text.get(part.start()..end).unwrap_or("");
            let hit = Hit {
                name: captures.name("name").map_or("", |m| m.as_str()),
                value,
                whole: whole.as_str(),
                before: line_before(text, part.start()),
                after: text.get(end..).unwrap_or(""),
            };
            let next = |at: usize| text.get(at..).and_then(|t| t.chars().next()).map_or(text.len() + 1, |c| at + c.len_utf8());
            // The address of a secret is no secret.
            let word = hit.before.rsplit(char::is_whitespace).next().unwrap_or("");
            let is_address = rule.kind == "secret" && word.trim_start_matches(['"', '\'', '[', '=', '(']).contains("arn:aws");
            if value.is_empty() || is_marked(value) || is_address || !(rule.check)(&hit) {
                // What is no secret may hold one, or be the name of one: `creating secret: admin_password = …`.
                let nests = (value.contains(['"', '\'', '=']) || value.contains('_') && names_secret(value))
                    && !value.starts_with(['$', '{', '%', '<'])
                    && part.start() > whole.start();
                let behind = if nests && !is_marked(value) { part.start() } else { end };
                from = if behind > from { behind } else { next(from) };
            } else {
                out.push_str(text.get(copied..part.start()).unwrap_or(""));
                out.push_str(&self.mark(&rule.kind, value));
                copied = end;
                from = if end > from { end } else { next(from) };
            }
            if from > text.len() {
                break;
            }
        }
        if copied == 0 {
            return None;
        }
        out.push_str(text.get(copied..).unwrap_or(""));
        Some(out)
    }

    /// The text with the secrets at these places replaced; `None` if there are none.
    fn replace_all(&mut self, places: &[Range<usize>], text: &str) -> Option<String> {
        let mut out = String::new();
        let mut copied = 0;
        for place in places {
            let value = text.get(place.clone()).filter(|v| !is_marked(v))?;
            out.push_str(text.get(copied..place.start)?);
            out.push_str(&self.mark("secret", value));
            copied = place.end;
        }
        out.push_str(text.get(copied..)?);
        (copied > 0).then_some(out)
    }

    fn mark(&mut self, kind: &str, value: &str) -> String {
        *self.counts.entry(kind.to_owned()).or_default() += 1;
        let values = self.values.entry(kind.to_owned()).or_default();
        let index = values.iter().position(|v| v == value).unwrap_or_else(|| {
            values.push(value.to_owned());
            values.len() - 1
        });
        format!("<redacted:{kind}#{}>", index + 1)
    }

    /// The number of replacements of each kind, sorted by kind.
    pub fn counts(&self) -> Vec<RedactionCount> {
        self.counts.iter().map(|(kind, count)| RedactionCount { kind: kind.clone(), count: *count }).collect()
    }

    /// The total number of replacements.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Like [`Redactor::redact_text`], but returns an owned [`Redacted`] string.
    pub fn redact_string(&mut self, text: &str) -> Redacted<String> {
        Redacted(self.redact_text(text).into_owned())
    }

    /// Redacts every string inside a value that serializes to JSON. Keys of maps are kept; a string under a key that names a
    /// secret is replaced as a whole.
    ///
    /// Fails only if the value cannot be read back from its own JSON, which is a bug in its type.
    pub fn redact_value<T: Serialize + serde::de::DeserializeOwned>(
        &mut self,
        value: &T,
    ) -> Result<Redacted<T>, serde_json::Error> {
        let mut json = serde_json::to_value(value)?;
        self.redact_json(&mut json, None);
        Ok(Redacted(serde_json::from_value(json)?))
    }

    fn redact_json(&mut self, json: &mut Value, key: Option<&str>) {
        match json {
            Value::String(text) => {
                if key.is_some_and(names_secret) && is_secret_value(text) {
                    *text = self.mark("secret", &text.clone());
                } else if let Cow::Owned(redacted) = self.redact_text(text) {
                    *text = redacted;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact_json(item, key)),
            Value::Object(map) => map.iter_mut().for_each(|(k, v)| self.redact_json(v, Some(k))),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Whether a text has the digits that the shortest identifier needs.
fn enough_digits(text: &str) -> bool {
    text.bytes().filter(u8::is_ascii_digit).count() >= 6
}

/// The length of an unquoted value up to the name of the next one, in `X,port=5432`.
fn value_length(value: &str) -> usize {
    let next = value.match_indices(',').find(|(at, _)| {
        let rest = value.get(at + 1..).unwrap_or("");
        let name = rest.split('=').next().unwrap_or("");
        rest.contains('=')
            && !name.is_empty()
            && name.starts_with(|c: char| c.is_alphabetic())
            && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))
    });
    next.map_or(value.len(), |(at, _)| at)
}

/// The text from the start of its line to a position, at most 80 bytes.
fn line_before(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or("");
    let line = before.rfind('\n').map_or(0, |n| n + 1).max(at.saturating_sub(80));
    (line..=at).find_map(|from| before.get(from..)).unwrap_or("")
}

/// Whether a map key names a secret, such as `db_password` or `api_key`.
fn names_secret(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    let last = lower.rsplit(['.', '_', '-']).next().unwrap_or("");
    [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "credential",
        "credentials",
        "pwd",
        "apikey",
        "authorization",
        "cookie",
    ]
    .contains(&last)
        || lower.ends_with("api_key")
        || lower.ends_with("private_key")
        || lower.ends_with("access_key")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redact(text: &str) -> String {
        Redactor::new().redact_text(text).into_owned()
    }

    /// Texts with the secret that each contains. Tokens are assembled at run time so that secret scanners do not flag this file.
    fn planted() -> Vec<(String, String)> {
        let long = "a1B2".repeat(12);
        let upper = "A1B2".repeat(4);
        let mut all: Vec<(String, String)> = vec![
            (format!("key id AKIA{upper} used"), format!("AKIA{upper}")),
            (format!("ghp_{long}"), long.clone()),
            (format!("token glpat-{long}"), long.clone()),
            (format!("xoxb-1234-{long}"), long.clone()),
            (format!("sk_live_{long}"), long.clone()),
            (format!("using sk-proj-{long} now"), long.clone()),
            (format!("eyJhbGciOiJI.{long}.{long}"), long.clone()),
            (format!("-----BEGIN RSA PRIVATE KEY-----\n{long}\n-----END RSA PRIVATE KEY-----"), long.clone()),
            (format!("-----BEGIN PRIVATE KEY-----\n{long} cut off"), long.clone()),
            ("mail ana.b+x@example.co.uk please".into(), "ana.b+x@example.co.uk".into()),
            ("card 4111 1111 1111 1111 declined".into(), "4111 1111 1111 1111".into()),
            ("card=5500-0000-0000-0004".into(), "5500-0000-0000-0004".into()),
        ];
        for (text, secret) in [
            ("postgres://app:hunter2@db:5432/shop", "hunter2"),
            ("redis://:p%40ss@cache:6379", "p%40ss"),
            ("amqp://u:p@ss:word@mq", "p@ss:word"),
            ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
            ("authorization=Bearer abc.def-123", "abc.def-123"),
            (r#"{"Authorization":"Bearer abcdefgh1"}"#, "abcdefgh1"),
            ("curl -H 'Bearer AbCdEfGh1234'", "AbCdEfGh1234"),
            ("Cookie: session=abc123; theme=dark", "abc123"),
            ("set-cookie: sid=s3cr3t; HttpOnly", "s3cr3t"),
            ("password=hunter2 user=ana", "hunter2"),
            ("db_password = 'hunter 2'", "hunter 2"),
            (r#"{"client_secret": "hunter2", "x": 1}"#, "hunter2"),
            (r#"{\"password\":\"hunter2\"}"#, "hunter2"),
            (r#"{"accessToken":"hunter2"}"#, "hunter2"),
            ("  password: my long phrase\nuser: ana", "my long phrase"),
            ("api-key: hunter2", "hunter2"),
            ("DB_PASSWORD=hunter2", "hunter2"),
            ("key=abc123", "abc123"),
            ("token => 'hunter2'", "hunter2"),
            ("?token=hunter2&x=1", "hunter2"),
            ("AccountKey=abcdefghijklmnopqrstuv==;x", "abcdefghijklmnopqrstuv"),
            ("PGPASSWORD=hunter2 psql", "hunter2"),
            ("userpassword=hunter2", "hunter2"),
            ("dbpass=hunter2", "hunter2"),
            ("authtoken=hunter2", "hunter2"),
            ("accesskey=hunter2", "hunter2"),
            ("passwords: hunter2", "hunter2"),
            (r#"tokens=["hunter2","b"]"#, "hunter2"),
            ("secret_key_base: hunter2", "hunter2"),
            (r#"{"password":["hunter2"]}"#, "hunter2"),
            (r#"{"password":{"v":"hunter2"}}"#, "hunter2"),
            ("token: >\n  hunter2\n", "hunter2"),
            ("map[Authorization:[Bearer hunter2hunter]]", "hunter2hunter"),
            (r#"Authorization: Digest username="u", response="hunter2""#, "hunter2"),
            ("Authorization: AWS4-HMAC-SHA256 Credential=a/b, Signature=0123456789abcdef0123", "0123456789abcdef0123"),
            (r#""token":"abc\"tail hunter2""#, "hunter2"),
            (r"password='it\'s hunter2'", "hunter2"),
            ("password=a,hunter2;rest", "hunter2"),
            ("password=<hunter2", "hunter2"),
            ("token=\"<hunter2>\"", "hunter2"),
            ("secret=<redacted:hunter2>", "hunter2"),
            ("postgres://u:p@hunter2/x@db/shop", "hunter2"),
            ("https://user:pw/hunter2@h/", "hunter2"),
            ("curl -u admin:hunter2 http://h", "hunter2"),
            ("mysql -u root -phunter2 shop", "hunter2"),
            ("https://x.blob/y?sv=1&sig=hunter2hunter2hunter2", "hunter2hunter2hunter2"),
            ("card 4111\u{a0}1111\u{a0}1111\u{a0}1111", "4111\u{a0}1111\u{a0}1111\u{a0}1111"),
        ] {
            all.push((text.into(), secret.into()));
        }
        all
    }

    /// Values with signs that end others, and those whose name is elsewhere.
    const ENTANGLED: &[(&str, &str)] = &[
        ("Ich habe das Kennwort auf kestrel-amber-11 gesetzt", "kestrel-amber-11"),
        ("cambié la clave de acceso a L4g0on2021! ayer", "L4g0on2021!"),
        ("hadoop -Dfs.s3a.secret.key=A1BmzWimLVDP5GJtRd8oSJ/lNz5r", "A1BmzWimLVDP5GJtRd8oSJ"),
        ("keystorePassword: >-\n  tango-reef-41\ntype: PKCS12", "tango-reef-41"),
        ("authentication_string=*7F347095BDC5FD403FB4B22A57ED64FDF7702A36", "7F347095BDC5FD403FB4B22A57ED64FDF7702A36"),
        ("Q: PIN of the alarm panel?\nA: 386627", "386627"),
        ("rocommunity HrBbAJjP 10.0.0.0/8", "HrBbAJjP"),
        ("password=Sommer-hunter2 env=prod", "Sommer"),
        ("DB_PASS=a&b=hunter2\nDB_HOST=pg", "a&b=hunter2"),
        ("  sqlPassword: Wren&hunter2\n  sqlDb: erp", "Wren&hunter2"),
        ("PWD_ADMIN := Teal_hunter2", "Teal_hunter2"),
        ("pass=$'aN\\x73i-hunter2' ./go", "hunter2"),
        ("Error: creating Secret: admin_password = \"rQe!hunter2\" is too short", "rQe!hunter2"),
        (r#"{"ParameterKey":"MasterPassword","ParameterValue":"hunter-2x"}"#, "hunter-2x"),
        ("toolx -u admin -p hunter2x list", "hunter2x"),
        ("net use Z: \\\\fs1\\d /user:CORP\\svc Olive.hunter2 /persistent:no", "Olive.hunter2"),
        ("kubectl get secret db -o jsonpath='{.data.p}' | base64 -d\nhunter2Qx\n$", "hunter2Qx"),
        ("machine ftp.corp login mirror password hunterDPDe", "hunterDPDe"),
        ("write(4, \"USER up\\r\\nPASS hunter2-Ft\\r\\n\", 27)", "hunter2-Ft"),
        ("Duplicate entry 'hunter2xyz' for key 'sessions.token_unique'", "hunter2xyz"),
        ("creds for the printer page (admin : Toner_hunter2) are known", "Toner_hunter2"),
        ("password for user backup updated from Old_hunter2 to ***", "Old_hunter2"),
        ("パスワードは hunter2q です", "hunter2q"),
        ("<secret><![CDATA[a<b&c>hunter2]]></secret>", "hunter2"),
        ("ops: whats the pw for grafana?\nkim: Tundra_hunter2!\nops: thx", "Tundra_hunter2"),
        ("NAME      USERNAME   TOKEN             AGE\nrunner-7  ci         hunter2Xq9LmZ4t   4d", "hunter2Xq9LmZ4t"),
    ];

    #[test]
    fn removes_planted_secrets_and_is_idempotent() {
        let entangled = ENTANGLED.iter().map(|(text, secret)| ((*text).to_owned(), (*secret).to_owned()));
        for (text, secret) in planted().into_iter().chain(entangled) {
            let once = redact(&text);
            assert!(!once.contains(&secret), "{text} -> {once}");
            assert!(once.contains("<redacted:"), "{text} -> {once}");
            assert_eq!(redact(&once), once, "{text}");
        }
    }

    #[test]
    fn leaves_ordinary_text_unchanged() {
        for text in [
            "keyboard: works, monkey=7, tokens=512, max_tokens: 100",
            "took 1795253915304442736 ns at 1795253915304",
            "basic authentication failed for bearer of the news",
            "order 4111111111111112 has no valid checksum",
            "http://host:8080/path@2 and 10.0.0.1:5432",
            "password: null",
            "ratio 0.6913043478260869 and 0.4111111111111111, -4111111111111111",
            "token=none, secret=\"\"",
            "password_length=12, PASSWORD_POLICY=v2-strict, secret rotated from version-3 to version-4",
            "ops: is the password policy known?\nkim: checkout-v2.41.0\nops: ok",
            "NAME       TOKENS   AGE\nsession-1  3        4d",
            "listing admin/v2/users and user/12345678 took 3 s",
            "sum by (service) (rate(http_requests_total{code=~\"5..\"}[1m])) > 0.01",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn numbers_the_same_value_the_same_way() {
        let mut r = Redactor::new();
        assert_eq!(r.redact_text("a@b.io c@d.io a@b.io"), "<redacted:email#1> <redacted:email#2> <redacted:email#1>");
        assert_eq!(r.counts(), [RedactionCount { kind: "email".into(), count: 3 }]);
    }

    #[test]
    fn every_rule_compiles() {
        for rule in &compiled().rules {
            let compiled = Regex::new(&in_ascii(&rule.pattern));
            assert!(compiled.is_ok() && !rule.reason.is_empty(), "{}: {:?}", rule.kind, compiled.err());
        }
    }

    #[test]
    fn redacts_strings_inside_values_by_key_and_by_pattern() {
        let value = serde_json::json!({"labels": {"db_password": "hunter2"}, "notes": ["mail a@b.io", 7]});
        let redacted = Redactor::new().redact_value(&value).unwrap();
        assert_eq!(
            redacted.get(),
            &serde_json::json!({"labels": {"db_password": "<redacted:secret#1>"}, "notes": ["mail <redacted:email#1>", 7]})
        );
    }

    proptest::proptest! {
        #[test]
        fn redacting_any_text_is_idempotent(text in "\\PC{0,60}(password|token|key|://|@|Bearer )?[=: ]?\\PC{0,40}") {
            let once = redact(&text);
            proptest::prop_assert_eq!(redact(&once), once.clone());
        }
    }
}
