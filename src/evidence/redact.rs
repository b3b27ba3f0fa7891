//! Redaction: removes secrets and personal data from text before it is stored, sent to a model or exported.
//!
//! Each rule has a kind, a pattern, keywords and a check. The pattern runs only if a keyword occurs in the text (found with one
//! Aho-Corasick pass over all keywords); the check rejects matches where the pattern alone is too broad. The patterns of vendor
//! tokens follow the formats that vendors publish for secret scanning.
//!
//! A match becomes `<redacted:KIND#N>`. Within one document the same value gets the same number, so a reader can see that two
//! lines contain the same secret. Redacting twice changes nothing.
//!
//! A [`Redacted`] value can only be created here. The journal, the LLM client and the notifiers accept nothing else.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::telemetry::names::is_office_address;

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

struct Rule {
    kind: &'static str,
    pattern: &'static str,
    /// Lower-case keywords, at least one of which must occur in the text. Without keywords the rule always runs.
    keywords: &'static [&'static str],
    /// Whether a matched value is a secret.
    accept: fn(&str) -> bool,
}

fn accept_all(_: &str) -> bool {
    true
}

/// Whether an e-mail address may be a person's. The address of an office, such as `support@example.com`, is made to be published.
fn is_personal_address(address: &str) -> bool {
    !is_office_address(address)
}

/// Matches the value after a secret's name: quoted (also with escaped quotes), a list or object on one line, or unquoted text.
macro_rules! secret_value {
    () => {
        r#"(?:\\+"(?P<a>.*?)\\+"|"(?P<b>(?:[^"\\]|\\.)*)"|'(?P<c>(?:[^'\\]|\\.)*)'|(?P<d>(?:\[[^\]\r\n]*\]|\{[^}\r\n]*\})[^\s"'\\,;&})\]]*)|(?P<v>[^\s"'\\,;&})\]][^\s"'\\&})\]]*))"#
    };
}

/// The rules, in the order in which they run: specific kinds first. If one of the groups `v`, `a`, `b`, `c` or `d` matches, only
/// that group is replaced; otherwise the whole match is.
const RULES: &[Rule] = &[
    Rule {
        kind: "private-key",
        pattern: r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\z)",
        keywords: &["private key"],
        accept: accept_all,
    },
    Rule {
        kind: "jwt",
        pattern: r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",
        keywords: &["eyj"],
        accept: accept_all,
    },
    Rule {
        kind: "aws-key",
        pattern: r"\b(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z0-9]{16}\b",
        keywords: &["akia", "asia", "abia", "acca", "aroa", "aida"],
        accept: accept_all,
    },
    Rule {
        kind: "github-token",
        pattern: r"\b(?:gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{22,255})\b",
        keywords: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        accept: accept_all,
    },
    Rule {
        kind: "gitlab-token",
        pattern: r"\bgl(?:pat|ptt|dt|rt|cbt|soat|ft|imt|agent)-[A-Za-z0-9_.-]{20,}",
        keywords: &["glpat-", "glptt-", "gldt-", "glrt-", "glcbt-", "glsoat-", "glft-", "glimt-", "glagent-"],
        accept: accept_all,
    },
    Rule {
        kind: "slack-token",
        pattern: r"\bxox[a-z]-[A-Za-z0-9-]{10,}|\bxapp-[0-9]-[A-Za-z0-9-]{10,}",
        keywords: &["xox", "xapp-"],
        accept: accept_all,
    },
    Rule {
        kind: "slack-webhook",
        pattern: r"https://hooks\.slack\.com/(?:services|workflows|triggers)/(?P<v>[A-Za-z0-9/_+-]{10,})",
        keywords: &["hooks.slack.com"],
        accept: accept_all,
    },
    Rule {
        kind: "stripe-key",
        pattern: r"\b(?:sk|rk|pk|whsec)_(?:live_|test_|prod_)?[A-Za-z0-9]{20,}",
        keywords: &["sk_", "rk_", "pk_", "whsec_"],
        accept: accept_all,
    },
    Rule {
        kind: "google-key",
        pattern: r"\bAIza[A-Za-z0-9_-]{35}|\bya29\.[A-Za-z0-9_-]{20,}|\bGOCSPX-[A-Za-z0-9_-]{20,}",
        keywords: &["aiza", "ya29.", "gocspx-"],
        accept: accept_all,
    },
    Rule {
        kind: "llm-key",
        pattern: r"\bsk-(?:proj-|ant-|or-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}|\bhf_[A-Za-z0-9]{30,}|\bgsk_[A-Za-z0-9]{30,}",
        keywords: &["sk-", "hf_", "gsk_"],
        accept: accept_all,
    },
    Rule {
        kind: "vendor-token",
        pattern: r"\b(?:npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{32,}|dop_v1_[a-f0-9]{64}|do[or]_v1_[a-f0-9]{64}|hv[sbr]\.[A-Za-z0-9_-]{20,}|s\.[A-Za-z0-9]{24}\b|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}|dapi[a-h0-9]{32}|lin_api_[A-Za-z0-9]{32,}|ntn_[A-Za-z0-9]{32,}|sntrys_[A-Za-z0-9+/=_-]{32,}|rubygems_[a-f0-9]{48}|key-[0-9a-z]{32}|dckr_pat_[A-Za-z0-9_-]{20,}|tskey-[a-z]+-[A-Za-z0-9-]{10,}|AGE-SECRET-KEY-1[A-Z0-9]{40,})",
        keywords: &[
            "npm_",
            "pypi-",
            "_v1_",
            "hvs.",
            "hvb.",
            "hvr.",
            "s.",
            "sg.",
            "shpat_",
            "shpca_",
            "shppa_",
            "shpss_",
            "glsa_",
            "dapi",
            "lin_api_",
            "ntn_",
            "sntrys_",
            "rubygems_",
            "key-",
            "dckr_pat_",
            "tskey-",
            "age-secret-key",
        ],
        accept: accept_all,
    },
    Rule {
        kind: "azure-key",
        pattern: r"(?i)\b(?:AccountKey|SharedAccessKey|SharedAccessSignature)=(?P<v>[A-Za-z0-9+/=%&_-]{20,})",
        keywords: &["accountkey", "sharedaccess"],
        accept: accept_all,
    },
    Rule {
        kind: "url-password",
        pattern: r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@'<>]{0,100}:(?P<v>[^\s<>][^\s<>]{0,200})@[A-Za-z0-9\[_.-]",
        keywords: &["://"],
        accept: is_not_port,
    },
    Rule {
        kind: "authorization",
        pattern: r#"(?i)\b(?:proxy-)?authorization\\?["']?\s*[:=]\s*\[?\\?["']?(?:(?:basic|bearer|token|apikey|genie[a-z]*|negotiate)\s+)?(?P<v>(?:digest|aws4-hmac-sha256)\s[^\r\n]+|[^\s"'\\,;\]][^\s"'\\,;\]]{2,})"#,
        keywords: &["authorization"],
        accept: is_not_scheme,
    },
    Rule {
        kind: "bearer",
        pattern: r"(?i)\bbearer\s+(?P<v>[A-Za-z0-9._~+/-]{8,}=*)",
        keywords: &["bearer"],
        accept: is_token_like,
    },
    Rule { kind: "basic", pattern: r"(?i)\bbasic\s+(?P<v>[A-Za-z0-9+/]{8,}={0,2})", keywords: &["basic"], accept: is_token_like },
    Rule {
        kind: "cookie",
        pattern: r#"(?i)\b(?:set-)?cookie2?\\?["']?\s*[:=]\s*\\?["']?(?P<v>[^\s"'\\<>=;]{1,80}=[^"'\\\r\n<>]{1,4000})"#,
        keywords: &["cookie"],
        accept: accept_all,
    },
    // key=value, "key": "value", key: value, also escaped inside JSON. A name such as `password`, `secret` or `token` may end
    // any word; `key` and `pass` count only after a separator or in camelCase, so that `monkey` does not match.
    Rule {
        kind: "secret",
        pattern: concat!(
            r#"(?i)[A-Za-z0-9_.-]*(?:password|passwd|passphrase|passcode|pwd|secret|secret_key_base|token|dbpass|userpass|credential|accesskey|apikey|api_key|secretkey|privatekey)\\*["']?\s*(?:=>|[:=])\s*"#,
            secret_value!()
        ),
        keywords: &["pass", "pwd", "secret", "token", "credential", "key"],
        accept: is_secret_value,
    },
    Rule {
        kind: "secret",
        pattern: concat!(r#"(?:^|[^A-Za-z0-9])(?:[A-Za-z0-9_.-]*[_.-])?(?i:pass|key)\\*["']?\s*(?:=>|[:=])\s*"#, secret_value!()),
        keywords: &["pass", "key"],
        accept: is_secret_value,
    },
    Rule {
        kind: "secret",
        pattern: concat!(r#"[a-z0-9](?:Pass|Key|Pwd)\\*["']?\s*(?:=>|[:=])\s*"#, secret_value!()),
        keywords: &["pass", "key", "pwd"],
        accept: is_secret_value,
    },
    // Plural names. A number after `tokens` is a count, not a secret.
    Rule {
        kind: "secret",
        pattern: concat!(
            r#"(?i)[A-Za-z0-9_.-]*(?:passwords|secrets|tokens|credentials|apikeys|api_keys)\\*["']?\s*(?:=>|[:=])\s*"#,
            secret_value!()
        ),
        keywords: &["passwords", "secrets", "tokens", "credentials", "apikeys", "api_keys"],
        accept: is_secret_not_number,
    },
    Rule {
        kind: "secret",
        pattern: r"(?im)^[ \t-]*(?:[A-Za-z0-9_.-]*[_.-])?(?:password|passwd|passphrase|secret|token|key)[ \t]*:[ \t]+(?P<v>[|>][+-]?[ \t]*\r?\n(?:[ \t]+[^\r\n]*(?:\r?\n|\z))+|[^\s|>][^\r\n]*)$",
        keywords: &["pass", "secret", "token", "key"],
        accept: is_secret_value,
    },
    Rule {
        kind: "signature",
        pattern: r"(?i)(?:signature|[?&]sig)=(?P<v>[A-Za-z0-9%+/=_-]{16,})",
        keywords: &["signature", "sig="],
        accept: accept_all,
    },
    Rule {
        kind: "vendor-token",
        pattern: r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{30,}|discord(?:app)?\.com/api/webhooks/(?P<v>[0-9]+/[A-Za-z0-9_-]{20,})",
        keywords: &[":aa", "discord"],
        accept: accept_all,
    },
    Rule {
        kind: "cli-password",
        pattern: r"\b(?:curl|wget)\b[^\r\n|;&]*?\s(?:-u|--user)[ =](?P<v>[^\s:]+:[^\s]+)|\b(?:mysql|mysqldump|mariadb)\b[^\r\n|;&]*?\s-p(?P<a>[^\s-][^\s]*)",
        keywords: &["curl", "wget", "mysql", "mariadb"],
        accept: is_secret_value,
    },
    Rule {
        kind: "email",
        pattern: r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}\b",
        keywords: &["@"],
        accept: is_personal_address,
    },
    Rule {
        kind: "card",
        pattern: r"(?:^|[^0-9A-Za-z_.,-])(?P<v>[2-6][0-9](?:[ \u{a0}-]?[0-9]){11,17})(?:$|[^0-9A-Za-z_])",
        keywords: &[],
        accept: is_card,
    },
];

/// Whether the word after `Bearer` or `Basic` looks like a credential rather than an English word.
fn is_token_like(value: &str) -> bool {
    let digits = value.bytes().any(|b| b.is_ascii_digit());
    let upper = value.bytes().skip(1).any(|b| b.is_ascii_uppercase());
    let lower = value.bytes().any(|b| b.is_ascii_lowercase());
    digits || value.ends_with('=') || (upper && lower)
}

/// Whether the value after `Authorization:` is more than the name of a scheme.
fn is_not_scheme(value: &str) -> bool {
    !["basic", "bearer", "token", "digest", "apikey", "negotiate"].iter().any(|w| value.eq_ignore_ascii_case(w))
}

/// Whether a text consists only of redaction marks and punctuation.
fn is_only_marks(value: &str) -> bool {
    static MARK: OnceLock<Option<Regex>> = OnceLock::new();
    let Some(mark) = MARK.get_or_init(|| Regex::new(r"<redacted:[a-z-]{2,20}#[0-9]+>").ok()) else { return false };
    mark.is_match(value) && !mark.replace_all(value, "").chars().any(char::is_alphanumeric)
}

/// Whether a value is a secret and not a number.
fn is_secret_not_number(value: &str) -> bool {
    is_secret_value(value) && value.trim_end_matches([',', ';', '.']).parse::<f64>().is_err()
}

/// Whether the text between `:` and `@` in a URL is a password rather than a port with a path.
fn is_not_port(value: &str) -> bool {
    !value.split_once('/').is_some_and(|(port, _)| port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether the value after a secret's name is a secret, not a placeholder and not a word for "no value".
fn is_secret_value(value: &str) -> bool {
    let plain = value.trim_matches(['"', '\'', '*', '.', '…', ',', ';', '\\']);
    // `>` or `|` starts a YAML block, which has its own rule.
    !plain.is_empty()
        && ![">", "|", ">-", "|-", ">+", "|+"].contains(&plain)
        && !["null", "none", "true", "false", "nil", "undefined", "redacted", "empty", "missing", "unset"]
            .iter()
            .any(|w| plain.eq_ignore_ascii_case(w))
}

/// Whether a text is a payment card number: 13 to 19 digits in a card range with a valid Luhn checksum.
fn is_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let length_fits = match digits.first() {
        Some(4) => matches!(digits.len(), 13 | 16 | 19),
        Some(3) => matches!(digits.len(), 14..=16),
        Some(2 | 5) => digits.len() == 16,
        Some(6) => matches!(digits.len(), 16..=19),
        _ => false,
    };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| {
            if i % 2 == 1 {
                let d = d * 2;
                if d > 9 { d - 9 } else { d }
            } else {
                *d
            }
        })
        .sum();
    length_fits && sum.is_multiple_of(10) && digits.iter().any(|d| *d != 0)
}

/// Why text of a kind is replaced, in a phrase. Generic for a kind that does not exist.
pub fn reason(kind: &str) -> &'static str {
    RULES.iter().find(|r| r.kind == kind).map_or("it looks like a secret", |r| r.kind)
}

struct Compiled {
    keywords: AhoCorasick,
    /// The index of the rule that each keyword belongs to.
    rule_of_keyword: Vec<usize>,
    /// The indices of the rules without keywords.
    always: Vec<usize>,
    /// One regex for each rule, compiled on first use.
    regexes: Vec<OnceLock<Option<Regex>>>,
}

fn compiled() -> &'static Compiled {
    static COMPILED: OnceLock<Compiled> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let (mut words, mut rule_of_keyword) = (Vec::new(), Vec::new());
        for (index, rule) in RULES.iter().enumerate() {
            for word in rule.keywords {
                words.push(*word);
                rule_of_keyword.push(index);
            }
        }
        let keywords = AhoCorasick::builder().ascii_case_insensitive(true).build(words).unwrap_or_else(|e| {
            // The keywords are constants, and the tests build them.
            unreachable!("constant keywords: {e}")
        });
        let always = RULES.iter().enumerate().filter(|(_, r)| r.keywords.is_empty()).map(|(i, _)| i).collect();
        Compiled { keywords, rule_of_keyword, always, regexes: RULES.iter().map(|_| OnceLock::new()).collect() }
    })
}

/// Redacts one document: numbers the values that it replaces and counts them by kind.
#[derive(Debug, Default)]
pub struct Redactor {
    /// The distinct values of each kind, in order of first occurrence.
    values: BTreeMap<&'static str, Vec<String>>,
    counts: BTreeMap<&'static str, u64>,
}

impl Redactor {
    /// A redactor for a new document.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the text with secrets and personal data replaced; borrowed if no pattern matches.
    pub fn redact_text<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        let compiled = compiled();
        let mut enabled = [false; RULES.len()];
        for index in &compiled.always {
            if let Some(flag) = enabled.get_mut(*index) {
                *flag = true;
            }
        }
        for found in compiled.keywords.find_overlapping_iter(text) {
            if let Some(flag) = compiled.rule_of_keyword.get(found.pattern().as_usize()).and_then(|rule| enabled.get_mut(*rule)) {
                *flag = true;
            }
        }
        let mut out = Cow::Borrowed(text);
        for (index, rule) in RULES.iter().enumerate() {
            if enabled.get(index) != Some(&true) || (rule.keywords.is_empty() && !enough_digits(&out)) {
                continue;
            }
            let Some(Some(regex)) = compiled.regexes.get(index).map(|r| r.get_or_init(|| Regex::new(rule.pattern).ok())) else {
                continue;
            };
            if !regex.is_match(&out) {
                continue;
            }
            let replaced = regex.replace_all(&out, |c: &Captures<'_>| self.replacement(rule, c)).into_owned();
            out = Cow::Owned(replaced);
        }
        out
    }

    fn replacement(&mut self, rule: &Rule, captures: &Captures<'_>) -> String {
        let whole = captures.get(0).map_or("", |m| m.as_str());
        let start = captures.get(0).map_or(0, |m| m.start());
        let part = ["v", "a", "b", "c", "d"].iter().find_map(|n| captures.name(n));
        let value = part.map_or(whole, |m| m.as_str());
        if !(rule.accept)(value) || is_only_marks(value) {
            return whole.to_owned();
        }
        let mark = self.mark(rule.kind, value);
        match part {
            Some(m) => {
                let (from, to) = (m.start() - start, m.end() - start);
                format!("{}{mark}{}", whole.get(..from).unwrap_or(""), whole.get(to..).unwrap_or(""))
            }
            None => mark,
        }
    }

    fn mark(&mut self, kind: &'static str, value: &str) -> String {
        *self.counts.entry(kind).or_default() += 1;
        let values = self.values.entry(kind).or_default();
        let index = values.iter().position(|v| v == value).unwrap_or_else(|| {
            values.push(value.to_owned());
            values.len() - 1
        });
        format!("<redacted:{kind}#{}>", index + 1)
    }

    /// The number of replacements of each kind, sorted by kind.
    pub fn counts(&self) -> Vec<RedactionCount> {
        self.counts.iter().map(|(kind, count)| RedactionCount { kind: (*kind).to_owned(), count: *count }).collect()
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

/// Whether a text has the 13 digits that the shortest card number needs.
fn enough_digits(text: &str) -> bool {
    text.bytes().filter(u8::is_ascii_digit).count() >= 13
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

    #[test]
    fn removes_planted_secrets_and_is_idempotent() {
        for (text, secret) in planted() {
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
    fn every_pattern_compiles() {
        for rule in RULES {
            let compiled = Regex::new(rule.pattern);
            assert!(compiled.is_ok(), "{}: {:?}", rule.kind, compiled.err());
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
