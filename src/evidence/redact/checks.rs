//! Decide whether what a rule's pattern matched is really a secret or personal data.

use std::sync::LazyLock;

use regex::Regex;

use crate::telemetry::names::is_office_address;

/// A match of a rule.
pub(super) struct Hit<'a> {
    /// The name of the value; empty if the rule has no group for it.
    pub name: &'a str,
    /// What would be replaced.
    pub value: &'a str,
    /// The text of the whole match.
    pub whole: &'a str,
    /// The text in front of the value and behind it.
    pub before: &'a str,
    pub after: &'a str,
}

pub(super) type Check = fn(&Hit<'_>) -> bool;

/// The check of this name; `None` if there is none.
pub(super) fn find(name: &str) -> Option<Check> {
    Some(match name {
        "" => |_| true,
        "url_password" => |h| !is_port(h.value) && !is_masked(h.value) && !is_reference(h.value),
        "issued" => issued,
        "prefixed" => prefixed,
        "vendor" => vendor,
        "random" => |h| is_random(h.value) && !is_reference(h.value),
        "credential" => |h| !is_scheme(h.value) && !is_placeholder(h.value) && !is_reference(h.value),
        "token_like" => |h| {
            is_token_like(h.value)
                && !is_reference(h.value)
                && !(h.value.ends_with('=') && h.after.starts_with(|c: char| c.is_alphanumeric()))
        },
        "cookie" => {
            |h| !h.before.ends_with("PublicKeyToken=") && is_mixed(h.value) && !is_placeholder(h.value) && !h.value.contains(' ')
        }
        "named" => named,
        "key_value" => key_value,
        "block" => |h| !is_placeholder(h.value) && !is_reference(h.value) && !h.value.starts_with("-----"),
        "phrase" => phrase,
        "flag" => |h| is_flag_value(h) && !is_plain_word(h.value),
        "user_pass" => |h| {
            !is_reference(h.value) && !h.value.starts_with("//") && !is_masked(h.value.rsplit([':', '%']).next().unwrap_or(""))
        },
        "flag_mixed" => |h| is_flag_value(h) && is_mixed(h.value) && !h.value.contains([':', '=']),
        "named_before" => named_before,
        "quoted_phrase" => |h| is_flag_value(h) && is_mixed(h.value) && h.value.split_whitespace().count() < 8,
        "pair" => pair,
        "labelled_password" => |h| is_flag_value(h) && is_mixed(h.value) && !is_version(h.value) && !h.value.contains('='),
        "mixed" => |h| is_mixed(h.value) && !is_identifier(h.value) && !is_reference(h.value),
        "card_length" => |h| (13..=19).contains(&digits_of(h.value).len()),
        "bare" => |h| {
            is_mixed(h.value)
                && !h.value.trim_end_matches('=').contains('=')
                && !h.value.starts_with('[')
                && !is_placeholder(h.value)
                && !is_reference(h.value)
                && !is_path(h.value)
        },
        "prose" => prose,
        "prose_value" => |h| is_password(h.value),
        "code" => |h| {
            let lead = h.whole.to_lowercase();
            !["status", "exit", "error", "http", "zip", "response", "area", "country"].iter().any(|w| lead.contains(w))
        },
        "labelled_id" => |h| {
            let digits = digits_of(h.value).len();
            (7..=14).contains(&digits) && h.value.len() < 24 && !is_uuid(h.value) && !h.after.starts_with(['.', '-', '/', ':'])
        },
        "words" => |h| h.value.contains(' ') || h.value.bytes().filter(u8::is_ascii_digit).count() >= 3,
        "form" => {
            |h| !is_placeholder(h.value) && !is_reference(h.value) && (is_mixed(h.value) || h.before.ends_with(['\n', '\r']))
        }
        "kubernetes_secret" => |h| h.value.len() >= 8,
        "email" => |h| is_personal_address(h),
        "iban" => |h| is_iban(h.value),
        "card" => |h| is_card(h.value),
        "phone" => is_phone,
        "ssn" => |h| is_ssn(h.value),
        "national_id" => is_national_id,
        "has_digits" => |h| h.value.bytes().filter(u8::is_ascii_digit).count() >= 4,
        "document" => |h| is_document(h.value),
        "public_address" => |h| is_public_address(h.value),
        _ => return None,
    })
}

// Secrets

/// Whether a value is a mask or says that there is none: `***`, `[FILTERED]`, `<redacted>`, `null`.
fn is_masked(value: &str) -> bool {
    let inner = value.trim_matches(['"', '\'', '[', ']', '<', '>', '(', ')', '{', '}', ' ', '\\', ',', ';', '.']).to_lowercase();
    inner.is_empty()
        || inner.chars().all(|c| matches!(c, '*' | 'x' | '•' | '.' | '-' | '_' | '#' | '…' | '?'))
        || [
            "redacted",
            "filtered",
            "masked",
            "hidden",
            "sensitive",
            "removed",
            "secret",
            "protected",
            "omitted",
            "scrubbed",
            "censored",
        ]
        .iter()
        .any(|w| inner.starts_with(w) && inner.len() < w.len() + 8)
}

/// Words that appear in place of a secret and are not one.
const WORDS: &str = " null !!null data+omitted none true false nil undefined redacted empty missing unset yes no on off required optional string text str int number boolean bool object array any hidden expired invalid wrong incorrect changed updated reset set ok failed failure success successful default disabled enabled masked hashed encrypted plain prompt ask auto generated basic bearer digest omit include same-origin md5 scram password passwd secret token key value your changeme-not unknown unavailable denied rejected accepted valid needed forbidden revoked rotated refreshed created deleted removed mismatch unauthorized unauthenticated not-set n/a na tbd todo file env vault here confirmation hash policy length type name id user username test-not unexpected identifier eof id_token access_token refresh_token client_credentials authorization_code ldap kerberos saml oauth oauth2 sha256 aes rsa hs256 rs256 ";

/// Whether a value is a placeholder, a mask or a word.
fn is_placeholder(value: &str) -> bool {
    let plain = value.trim_matches(['"', '\'', ',', ';', '.', '\\', ')', '(', ' ']);
    let lower = plain.to_lowercase();
    plain.is_empty()
        || is_masked(plain)
        || WORDS.contains(&format!(" {lower} "))
        || [">", "|", ">-", "|-", ">+", "|+", "=", "==", "[]", "{}"].contains(&plain)
        || lower.starts_with("your") && (lower.contains('_') || lower.contains('-'))
        || plain.starts_with('<')
            && plain.ends_with('>')
            && plain.matches('<').count() == 1
            && plain.chars().filter(char::is_ascii_digit).count() == 0
            && plain.contains([' ', '_', '-'])
}

static REFERENCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x)^\\?[\x22'\[]*(?:
            \$[\{\(A-Za-z_0-9]+[^\s]*\}?      # $VAR, ${VAR}, $(cat file), $1
          | \{\{.* | \{%.* | %[A-Z_]+% | <%.* | \#\{.*
          | !(?:Ref|Sub|GetAtt|ImportValue|vault|secret|env)\b.*
          | (?:var|local|data|module|each|self|this|process|os|env|req|request|res|ctx|config|cfg|settings|secrets|params|args|opts|options|props|event|session|random_password|aws_\w+|google_\w+|azurerm_\w+|vault_\w+)\.[A-Za-z_].*
          | (?:arn:|op://|vault:|hmac-sha256:|file:|env:|ssm:|secretsmanager:|awssm:|sm://|ref\+|keyring:|projects/).*
          | [A-Za-z_][\w.]*\([^)]*(?:\)(?:\W.*)?)?$  # a call
          | [a-z_]+(?:\.[a-z_]+)+;?\)?$        # a chain of names
          | %\(.* | ENC\[.* | \{\{.* | <[a-z_\ -]+>$
          | @[A-Za-z/.].* | &[a-z].* | (?:await|new|func|function|lambda|return|typeof|async)$
        )",
    )
    .ok()
});

/// Whether a value refers to a secret that is kept elsewhere, or is code that gets it.
fn is_reference(value: &str) -> bool {
    // `$9$…` is an encrypted password of a network device.
    let is_hashed = value.starts_with('$') && (is_hash(value) || value.get(2..3) == Some("$"));
    // A function has no name such as `bI6Rbf1y`.
    let is_value = is_hashed
        || value.split_once('(').is_some_and(|(name, _)| {
            is_cased(name) && name.len() >= 6 && name.chars().any(|c| c.is_ascii_digit()) && !name.contains(['.', '_'])
        });
    REFERENCE.as_ref().is_some_and(|r| r.is_match(value)) && !is_value || value == "$" || value.starts_with("{{")
}

fn is_hash(value: &str) -> bool {
    value.matches('$').count() >= 3 || value.starts_with("$2")
}

fn is_path(value: &str) -> bool {
    value.contains(":/") && !value.contains('@')
        || value.starts_with(['/', '~', '.']) && value.contains('/') && !value.contains(['+', '='])
        || value.get(1..3) == Some(":\\")
        || value.starts_with("@/")
        || value == "-"
        || value.starts_with("http://")
        || value.starts_with("https://")
}

/// Whether a value consists of letters alone, in the case of an English word.
fn is_plain_word(value: &str) -> bool {
    let word = value.trim_matches(|c: char| c.is_ascii_punctuation());
    !word.is_empty()
        && word.chars().all(|c| c.is_alphabetic() || c == '-' || c == '\'')
        && word.chars().skip(1).all(|c| !c.is_uppercase())
}

/// Whether a value that a sentence or a message calls a password may be one: no word, name, version, address or reference.
pub(super) fn is_password(value: &str) -> bool {
    let value = value.trim_end_matches(['.', '!', '?', ':']);
    is_mixed(value)
        && value.len() >= 6
        && !is_identifier(value)
        && !is_version(value)
        && !is_placeholder(value)
        && !is_reference(value)
        && !is_path(value)
        && !value.contains(['=', '('])
        && !is_dated(value.trim_end_matches(char::is_alphabetic))
}

/// Whether a value is unlike a word or a name, so that it is the same secret wherever it occurs.
pub(super) fn is_distinctive(value: &str) -> bool {
    is_mixed(value) && !is_identifier(value) && !is_dated(value) && !value.contains(char::is_whitespace)
}

/// Whether a value has letters and digits, or letters of both cases in disorder.
fn is_mixed(value: &str) -> bool {
    let digits = value.chars().any(|c| c.is_ascii_digit());
    let letters = value.chars().any(char::is_alphabetic);
    let special = value.chars().any(|c| "!#%^&*+~?".contains(c));
    let cased = value.chars().skip(1).any(char::is_uppercase) && value.chars().any(char::is_lowercase);
    letters && (digits || special || cased && value.len() >= 16)
}

/// Whether a value is long and has the disorder of a random one.
fn is_random(value: &str) -> bool {
    if value.chars().count() < 10 || !value.chars().any(|c| c.is_ascii_digit()) {
        return value.len() >= 24
            && value.chars().any(char::is_uppercase)
            && value.chars().any(char::is_lowercase)
            && !value.contains(['.', '-', '_', '/']);
    }
    has_disorder(value)
}

/// Whether a value is a date, a version or a name with a number at its end.
fn is_dated(value: &str) -> bool {
    let words = value.split(['-', '_', '.', '/', ':']);
    let mut alphabetic = 0;
    let mut other = 0;
    for word in words.filter(|w| !w.is_empty()) {
        if word.chars().all(char::is_alphabetic) || word.chars().all(|c| c.is_ascii_digit()) || word.len() <= 3 {
            alphabetic += 1;
        } else {
            other += 1;
        }
    }
    other == 0 && alphabetic > 1 && !is_uuid(value)
}

/// A value that begins with the prefix of an issuer: a random body, which must be longer behind a short prefix.
fn issued(h: &Hit<'_>) -> bool {
    let body = h.value.get(h.name.len()..).unwrap_or("");
    if h.before.ends_with("SHA256:") || h.before.ends_with("sha256-") || h.before.ends_with("sha512-") {
        return false;
    }
    let longest = runs(body).max_by_key(|run| run.len()).unwrap_or("");
    let enough = if h.name.len() > 5 || is_uuid(body) { 8 } else { 20 };
    longest.len() >= enough && (has_disorder(body) || is_cased(longest) && longest.len() >= 20)
}

/// Whether a value can be that of a flag: no path, no reference, no code.
fn is_flag_value(h: &Hit<'_>) -> bool {
    !h.value.starts_with('(') && !is_placeholder(h.value) && !is_reference(h.value) && !is_path(h.value)
}

/// What is said of a password in a name such as `password_length`.
const OF_PASSWORDS: &[&str] = &[
    "age",
    "algorithm",
    "attempts",
    "attribute",
    "auth",
    "change",
    "changed",
    "check",
    "complexity",
    "count",
    "encryption",
    "env",
    "expired",
    "expires",
    "expiry",
    "field",
    "file",
    "format",
    "grace",
    "hash",
    "history",
    "hint",
    "id",
    "key",
    "last",
    "length",
    "max",
    "min",
    "mode",
    "name",
    "path",
    "policy",
    "prompt",
    "protected",
    "quality",
    "ref",
    "regex",
    "required",
    "reset",
    "rotation",
    "rule",
    "salt",
    "secret",
    "source",
    "store",
    "strength",
    "timeout",
    "ttl",
    "type",
    "update",
    "updated",
    "url",
    "valid",
    "version",
];

/// A value behind a name that begins with a word for a password: `PWD_ADMIN`.
fn named_before(h: &Hit<'_>) -> bool {
    !OF_PASSWORDS.contains(&h.name.to_lowercase().as_str())
        && is_mixed(h.value)
        && !is_placeholder(h.value)
        && !is_reference(h.value)
        && !is_path(h.value)
        && !is_identifier(h.value)
        && !is_version(h.value)
}

/// A password behind the name of an account: letters and digits, and signs or letters of both cases.
fn pair(h: &Hit<'_>) -> bool {
    let value = h.value.trim_end_matches(['.', '?']);
    let has_sign = value.chars().any(|c| "!#$%&*+~@?_-".contains(c));
    value.chars().any(|c| c.is_ascii_digit())
        && value.chars().any(char::is_alphabetic)
        && (has_sign && !is_identifier(value) || is_cased(value))
        && value.chars().any(|c| c.is_uppercase() || "!#$%&*+~@?".contains(c))
        && !is_version(value)
        && !is_reference(value)
        && !is_placeholder(value)
        && !value.contains(['(', '=', '<', '|'])
}

/// What words in front of a random value call it a secret.
const SECRET_WORDS: &[&str] = &[
    "apikey",
    "auth",
    "cred",
    "live",
    "oat",
    "pat",
    "prod",
    "production",
    "pw",
    "sandbox",
    "sat",
    "sec",
    "secret",
    "sk",
    "tok",
    "token",
];

/// A value with a prefix that is not listed. The ids of objects look like that too: they have up to 27 characters, or their
/// digits are hexadecimal.
fn prefixed(h: &Hit<'_>) -> bool {
    let Some(body) = runs(h.value).find(|run| run.len() >= 20) else { return false };
    let prefix = h.value.split(body).next().unwrap_or("").to_lowercase();
    // The digest of a resource (`sha512-…`) and other text in base64, which goes on.
    if prefix.starts_with("sha") || prefix.starts_with("md5") || h.after.starts_with(['+', '/', '=']) {
        return false;
    }
    let says_secret = runs(&prefix).any(|word| SECRET_WORDS.contains(&word));
    let is_hex = body.bytes().all(|b| b.is_ascii_hexdigit());
    let digits = body.bytes().filter(u8::is_ascii_digit).count();
    let switches = body.as_bytes().windows(2).filter(|w| matches!(w, [a, b] if a.is_ascii_digit() != b.is_ascii_digit())).count();
    has_disorder(body)
        && switches >= 4
        && (says_secret && (!is_hex || body.len() >= 32) || body.len() >= 30 && is_cased(body) && digits >= 3)
}

/// A random value behind the name of a provider, which must not be the name of an id or a version.
fn vendor(h: &Hit<'_>) -> bool {
    let last = h.name.to_lowercase();
    let last = runs(&last).last().unwrap_or("");
    let names_id = last.ends_with("id")
        || [
            "account", "agent", "app", "build", "checksum", "cluster", "commit", "cursor", "digest", "domain", "endpoint",
            "etag", "event", "hash", "host", "image", "index", "link", "log", "md5", "message", "name", "org", "page", "pod",
            "project", "public", "ref", "region", "release", "request", "revision", "sha", "sha1", "sha256", "site", "span",
            "tag", "team", "trace", "uri", "url", "user", "username", "uuid", "version", "zone",
        ]
        .contains(&last);
    !names_id && is_random(h.value) && !is_reference(h.value) && (is_uuid(h.value) || runs(h.value).any(|run| run.len() >= 16))
}

/// The parts of a value between signs of punctuation.
fn runs(value: &str) -> impl Iterator<Item = &str> {
    value.split(|c: char| !c.is_ascii_alphanumeric()).filter(|run| !run.is_empty())
}

/// Whether letters and digits are mixed as in a random value, and few of them repeat.
fn has_disorder(value: &str) -> bool {
    let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let mut seen: Vec<u8> = value.bytes().collect();
    seen.sort_unstable();
    seen.dedup();
    letters >= 3 && digits >= 2 && seen.len() * 10 >= value.len().min(32) * 3 && !is_dated(value)
}

fn is_cased(value: &str) -> bool {
    value.bytes().any(|b| b.is_ascii_uppercase()) && value.bytes().any(|b| b.is_ascii_lowercase())
}

fn is_uuid(value: &str) -> bool {
    value.len() == 36 && value.matches('-').count() == 4
}

/// Whether the word behind `Bearer` or `Basic` looks like a credential rather than an English word.
fn is_token_like(value: &str) -> bool {
    let digits = value.bytes().any(|b| b.is_ascii_digit());
    let upper = value.bytes().skip(1).any(|b| b.is_ascii_uppercase());
    let lower = value.bytes().any(|b| b.is_ascii_lowercase());
    digits || value.ends_with('=') || (upper && lower)
}

/// Whether the value of an authorization is only the name of a scheme.
fn is_scheme(value: &str) -> bool {
    [
        "basic",
        "bearer",
        "token",
        "digest",
        "apikey",
        "negotiate",
        "ntlm",
        "none",
        "required",
        "header",
        "missing",
        "aws4-hmac-sha256",
        "sharedaccesssignature",
        "ssws",
        "hawk",
        "oauth",
        "sharedkey",
        "splunk",
        "bot",
        "hmac",
        "signature",
    ]
    .iter()
    .any(|w| value.eq_ignore_ascii_case(w))
}

/// Whether the text between `:` and `@` of an address is a port with a path.
fn is_port(value: &str) -> bool {
    value.split_once('/').is_some_and(|(port, _)| port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit()))
}

/// Names that end in a word for a secret and name something else.
fn is_innocent_name(name: &str) -> bool {
    let lower = name.to_lowercase();
    let last = lower.rsplit(['.', '_', '-', ' ']).next().unwrap_or("");
    [
        "oldpwd",
        "max_token",
        "num_token",
        "n_token",
        "csrf_token_name",
        "next_token",
        "nexttoken",
        "page_token",
        "pagetoken",
        "continuation_token",
        "pass_key_name",
        "existingsecret",
        "imagepullsecret",
        "tlssecret",
        "secretkeyref",
        "existingsecretpasswordkey",
        "invalid_token",
        "expiredtoken",
        "expired_token",
        "unexpected_token",
        "syntax_token",
        "eos_token",
        "bos_token",
        "pad_token",
        "prompt_token",
        "completion_token",
        "total_token",
        "publickeytoken",
    ]
    .iter()
    .any(|w| lower == *w || lower.ends_with(&format!(".{w}")))
        || last == "pat" && lower.contains("file")
        || lower.starts_with("checksum")
}

/// A value behind a name for a secret.
fn named(h: &Hit<'_>) -> bool {
    let value = h.value.trim();
    if is_placeholder(value) || is_reference(value) || is_innocent_name(h.name) {
        return false;
    }
    let lower = h.name.to_lowercase();
    let is_quoted = h.before.ends_with(['"', '\'']);
    // `creating Secret: admin_password = …`: the name of the value behind it.
    if !is_quoted && super::names_secret(value) && h.after.trim_start().starts_with(['=', ':']) {
        return false;
    }
    // `"Key": "Password", "Value": …`: so is what a colon follows.
    if is_quoted && h.after.starts_with(['"', '\'']) && h.after.get(1..).is_some_and(|rest| rest.trim_start().starts_with(':')) {
        return false;
    }
    // `{"type": "keyword"}` describes a field, and a sentence is no value.
    if value.contains(' ') && value.split_whitespace().all(is_plain_word) && value.ends_with('.') {
        return false;
    }
    // `PWD` is the working directory; files and addresses of secrets are none.
    if is_path(value) || value.len() < 3 {
        return false;
    }
    // Numbers that a person types have digits; "pin" and "otp" are also words.
    if ["pin", "otp", "cvv", "cvv2", "cvc", "code"].iter().any(|w| lower.ends_with(w))
        && !value.bytes().all(|b| b.is_ascii_digit())
        && !(value.len() >= 20 && is_random(value))
    {
        return false;
    }
    // `kube_secret_info{secret="db-creds"}` names an object, and tokens of a text are words.
    if (lower == "secret" && value.contains('-') || lower == "token")
        && is_plain_word(value)
        && value.chars().all(|c| !c.is_uppercase())
    {
        return false;
    }
    // `pam_unix(passwd:chauthtok)`: a name and a phase.
    if !is_quoted && h.before.ends_with(':') && is_plain_word(value) {
        return false;
    }
    let counts = lower.ends_with("tokens") || lower.ends_with("token") || lower.ends_with("secrets");
    if counts && value.trim_end_matches([',', ';', '.', ')', '}', ']']).parse::<f64>().is_ok() && !is_quoted && value.len() < 9 {
        return false;
    }
    if value.starts_with(['{', '[', '(']) && !is_quoted {
        return false;
    }
    // A word in front makes it another kind of name: `partition key`, `unexpected token`.
    let previous = previous_word(h);
    if [
        "unexpected",
        "expected",
        "invalid",
        "unknown",
        "next",
        "csrf",
        "parse",
        "near",
        "missing",
        "using",
        "imagepull",
        "external",
        "no",
        "of",
        "syntax",
    ]
    .contains(&previous.as_str())
        && is_plain_word(value)
    {
        return false;
    }
    // Behind a colon and a space, plain words are prose: `password: updated successfully`, `using password: YES`.
    let prose = !is_quoted && h.before.ends_with([' ', '\t']) && is_plain_word(value) && next_is_word(h.after);
    let shouts = value.trim_matches(|c: char| c.is_ascii_punctuation()).chars().all(char::is_uppercase)
        && value.len() <= 8
        && value.chars().all(|c| c.is_alphabetic() || c.is_ascii_punctuation());
    // A Kubernetes or Terraform name: `existingSecret: db-creds`.
    let is_key = lower.ends_with("key")
        || lower.ends_with("credentials")
        || lower.ends_with("secret")
        || lower.ends_with("secrets")
        || lower.ends_with("auth");
    let name_like = is_key && is_plain_word(value) && value.len() < 24;
    let same = value.to_lowercase() == lower
        || value.chars().all(|c| c.is_alphabetic() || c == '_')
            && value.to_lowercase().ends_with(&lower)
            && h.before.ends_with([' ', '=']);
    let is_object_name = name_like && !is_quoted && !value.contains(char::is_uppercase) && h.before.ends_with(' ');
    !(prose || shouts || is_object_name || same)
}

fn previous_word(h: &Hit<'_>) -> String {
    let before = h.before;
    let at = before.to_lowercase().rfind(&h.name.to_lowercase()).unwrap_or(before.len());
    before
        .get(..at)
        .unwrap_or("")
        .split_whitespace()
        .next_back()
        .unwrap_or("")
        .trim_matches(|c: char| !c.is_alphanumeric())
        .to_lowercase()
}

fn next_is_word(after: &str) -> bool {
    let next = after.trim_start_matches([' ', ',', '.']);
    after.starts_with([' ', ',', '.'])
        && next.chars().next().is_some_and(char::is_alphabetic)
        && !next.split_whitespace().next().is_some_and(|w| w.contains(['=', ':']))
}

/// What keys are called that open nothing.
const KEYS_OF_DATA: &[&str] = &[
    "partition",
    "cache",
    "primary",
    "foreign",
    "sort",
    "routing",
    "index",
    "dedup",
    "public",
    "idempotency",
    "object",
    "row",
    "hash",
    "range",
    "group",
    "shard",
    "lookup",
    "translation",
    "i18n",
    "message",
    "error",
    "composite",
    "surrogate",
    "natural",
    "unique",
    "candidate",
    "host",
    "project",
    "issue",
    "jira",
    "redis",
    "etcd",
    "s3",
    "map",
    "dict",
    "json",
    "registry",
    "arrow",
    "hot",
    "file",
    "tag",
    "label",
    "metric",
    "config",
    "feature",
    "flag",
    "lock",
    "queue",
    "topic",
    "kafka",
    "kernel",
    "with",
    "from",
    "apt",
    "gpg",
    "signing",
    "record",
    "document",
    "storage_class",
    "entity",
    "aggregation",
    "event",
    "bucket",
    "event_key",
];

/// A value behind `key`, `pass` or `auth`, which name many things: only what looks random is a secret.
fn key_value(h: &Hit<'_>) -> bool {
    let value = h.value.trim();
    let lower = h.name.to_lowercase();
    let previous = previous_word(h);
    if KEYS_OF_DATA.iter().any(|c| {
        lower.starts_with(c)
            || lower.contains(&format!("_{c}_"))
            || lower.contains(&format!(".{c}"))
            || lower.contains(&format!("-{c}"))
            || previous == *c
    }) {
        return false;
    }
    let value = value.trim_matches(['"', '\'', ',', ';', ')']);
    if is_placeholder(value)
        || is_reference(value)
        || is_path(value)
        || value.starts_with(['{', '[', '(', '<'])
        || value.contains("://")
    {
        return false;
    }
    let strong = lower.ends_with("pass") || lower.contains("api") || lower.contains("secret") || lower.contains("access");
    if strong && !value.contains(' ') {
        return is_mixed(value);
    }
    let shape = value.chars().all(|c| c.is_ascii_alphanumeric() || "_+/=.~-".contains(c));
    let word_like = is_dated(value) || value.contains(['/', ':']) && value.len() < 30;
    shape && is_mixed(value) && value.len() >= 6 && !word_like
}

/// Several words behind a name for a password, as in YAML: a passphrase rather than a sentence about one.
fn phrase(h: &Hit<'_>) -> bool {
    let value = h.value.trim();
    let words = value.split_whitespace().count();
    let sentence = [
        "is",
        "was",
        "has",
        "been",
        "must",
        "not",
        "expired",
        "required",
        "for",
        "failed",
        "successfully",
        "changed",
        "updated",
        "incorrect",
        "the",
        "to",
        "too",
        "needs",
        "should",
        "does",
        "did",
        "will",
        "cannot",
        "invalid",
    ];
    words > 1
        && !h.name.to_lowercase().ends_with("passwd")
        && !is_reference(value)
        && !is_placeholder(value)
        && !value.contains('|')
        && !value.contains(['=', ';', '('])
        && !value.split_whitespace().any(|w| sentence.contains(&w.to_lowercase().as_str()))
}

/// A value in a sentence: it must not be an English word.
fn prose(h: &Hit<'_>) -> bool {
    let value = h.value.trim_matches(|c: char| ".,;:!?)('\"`”*]".contains(c));
    if is_placeholder(value)
        || is_reference(value)
        || is_path(value)
        || value.len() < 4
        || value.contains("://")
        || value.starts_with('<')
    {
        return false;
    }
    let quoted = h.before.ends_with(['`', '"', '\'', '“', '«']) && h.after.starts_with(['`', '"', '\'', '”', '»']);
    let digits = value.chars().filter(char::is_ascii_digit).count();
    let letters = value.chars().filter(|c| c.is_alphabetic()).count();
    let special = value.chars().any(|c| "!#$%^&*+~@?".contains(c));
    let lower = h.whole.to_lowercase();
    // Another name and its value, a count, a time, an address or a path.
    if value.contains('=') && !value.ends_with('=') || value.contains(['(', '[', '{']) || value.contains(':') && !special {
        return false;
    }
    let lead = h.before.trim_end_matches(['`', '"', '\'', '“', '«', '(', '[', '*', ' ']).to_lowercase();
    let says = [" is", " was", ":", " to", "=", "→", "->", " ist", " lautet", " es", " est", " é", "は", "'s", " now", " still"]
        .iter()
        .any(|w| lead.ends_with(w));
    if value.chars().all(|c| c.is_ascii_digit()) {
        return says
            && (4..=10).contains(&digits)
            && (lower.contains("pin") || lower.contains("otp") || lower.contains("code") || lower.contains("pass"));
    }
    let about_password = ["pass", "pw", "psk", "kennwort", "contrase", "senha", "wachtwoord", "пароль", "パスワード", "creds"]
        .iter()
        .any(|w| lower.contains(w));
    let inner_case = value.chars().zip(value.chars().skip(1)).any(|(a, b)| a.is_lowercase() && b.is_uppercase());
    if says && about_password && letters >= 3 && (digits > 0 || special || inner_case) && !is_version(value) {
        return true;
    }
    if is_dated(value) && !special && !quoted {
        return false;
    }
    let is_disordered = value.len() >= 16 && is_cased(value) && value.chars().all(char::is_alphanumeric);
    (letters >= 2
        && digits >= 1
        && (says || special || is_disordered || digits >= 2 && value.len() >= 10)
        && !is_identifier(value))
        || (special && letters >= 3 && says)
        || quoted && says && !is_plain_word(value)
        || quoted && lower.contains("pass") && says && value.len() >= 6
}

/// Whether a value is a version, a size, a duration or another plain figure.
fn is_version(value: &str) -> bool {
    let body = value.trim_start_matches('v').trim_end_matches(|c: char| c.is_alphabetic() || c == '%');
    body.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ':' | '/' | '-' | ','))
}

/// Whether a text with digits is a name of a thing rather than a secret: a host, a version, a unit, a status.
fn is_identifier(value: &str) -> bool {
    static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^(?:v?\d+(?:\.\d+)+\S*|[a-z]+-?\d{1,3}|\d+(?:ms|s|m|h|d|%|kb|mb|gb|x|th|st|nd|rd)|[A-Z]{1,4}-?\d{1,6}|HTTP/\S+|\d+-\w+|[a-z]+(?:-[a-z]+)+-?\d{0,3}|sha\d+|rs\d+|hs\d+|utf-?\d+|base64|oauth2?|x509|ed25519|\d+/\d+|#\d+)[.,;:]?$").ok()
    });
    NAME.as_ref().is_some_and(|r| r.is_match(value))
}

// Personal data

fn is_personal_address(h: &Hit<'_>) -> bool {
    // The id of a mail, and the account of a denied login.
    if h.before.to_lowercase().ends_with("message-id=<") || h.after.starts_with(": Permission denied") {
        return false;
    }
    let address = h.value.replace("%40", "@");
    let local = address.split('@').next().unwrap_or("").to_lowercase();
    // `git@host:path` and `user@host:path` are accounts on machines.
    let is_remote =
        h.after.starts_with(':') && !h.after.starts_with(": ") || h.after.starts_with('/') || h.before.ends_with("//");
    let technical = h.before.ends_with("//")
        || ["git", "root", "ubuntu", "ec2-user", "deploy", "admin", "postgres", "www-data", "hg", "svn"]
            .contains(&local.as_str());
    let unit = address
        .rsplit('.')
        .next()
        .is_some_and(|tld| ["service", "socket", "target", "timer", "mount", "scope", "slice", "path", "git"].contains(&tld));
    !unit && !is_office_address(&address) && !(is_remote && (technical || h.before.ends_with("//"))) && !(technical && is_remote)
}

/// Whether a text is an IBAN: a known length and the check of ISO 13616 (modulo 97).
fn is_iban(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if !(15..=34).contains(&plain.len()) {
        return false;
    }
    let (Some(head), Some(tail)) = (plain.get(..4), plain.get(4..)) else { return false };
    let rest = format!("{tail}{head}").chars().try_fold(0_u32, |rest, c| {
        let value = c.to_digit(36)?;
        Some(if value > 9 { (rest * 100 + value) % 97 } else { (rest * 10 + value) % 97 })
    });
    rest == Some(1)
}

fn digits_of(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(10)).collect()
}

/// Luhn's check, as for payment cards.
fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| match (i % 2, d * 2) {
            (1, doubled) if doubled > 9 => doubled - 9,
            (1, doubled) => doubled,
            _ => *d,
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|d| *d != 0)
}

/// Whether a text is a payment card number: 13 to 19 digits in a card range with a valid Luhn checksum.
fn is_card(text: &str) -> bool {
    let digits = digits_of(text);
    let length_fits = match digits.first() {
        Some(4) => matches!(digits.len(), 13 | 16 | 19),
        Some(3) => matches!(digits.len(), 14..=16),
        Some(2 | 5) => digits.len() == 16,
        Some(6) => matches!(digits.len(), 16..=19),
        _ => false,
    };
    length_fits && luhn(&digits)
}

fn is_phone(h: &Hit<'_>) -> bool {
    let value = h.value.replace("%20", " ").replace("%2B", "+").replace("%2b", "+");
    let digits = digits_of(&value).len();
    let international = h.value.starts_with('+') || h.value.starts_with("%2") || h.value.starts_with("00");
    // `081110 002221 4855` is a day, a time and a thread.
    if h.value.starts_with("00") && h.before.trim_end().ends_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let grouped = h.value.contains([' ', '-', '(', '.', '/']);
    let is_date =
        h.value.matches('-').count() == 2 && h.value.get(..4).is_some_and(|y| y.starts_with("20") || y.starts_with("19"));
    let is_address = h.value.matches('.').count() == 3 && !grouped_by(h.value, ' ') && !h.value.starts_with("1.");
    let label = h.whole.get(..h.whole.len().min(24)).unwrap_or("").to_lowercase();
    let keyed = [
        "tel",
        "phone",
        "mobil",
        "handy",
        "fax",
        "sms",
        "msisdn",
        "whatsapp",
        "電話",
        "携帯",
        "móvil",
        "movil",
        "手机",
        "电话",
        "rappel",
        "celular",
        "portable",
        "cell",
        "tél",
        "numero",
        "numéro",
        "mob",
        "ligar",
        "llamar",
        "richiamare",
        "voicemail",
        "wa.me",
        "appel",
    ]
    .iter()
    .any(|w| label.contains(w));
    let unit = h.after.trim_start().split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
    let is_measure = [
        "ms", "s", "sec", "seconds", "bytes", "b", "kb", "mb", "requests", "times", "calls", "rows", "messages", "items",
        "retries",
    ]
    .contains(&unit);
    (8..=15).contains(&digits)
        && !is_date
        && !is_address
        && !is_measure
        && (international || keyed || grouped && digits >= 9 && (h.value.starts_with(['0', '(']) || digits == 10))
}

fn grouped_by(text: &str, c: char) -> bool {
    text.contains(c)
}

/// Whether a text is written as the number of a passport or a licence.
fn is_document(text: &str) -> bool {
    let digits = digits_of(text).len();
    (digits >= 2 || digits == 1 && text.len() >= 8) && !text.bytes().any(|b| b.is_ascii_lowercase())
}

/// Whether a text is a US social security number: three groups that may be issued.
fn is_ssn(text: &str) -> bool {
    let digits = digits_of(text);
    let group = |range: std::ops::Range<usize>| digits.get(range).map_or(0, |g| g.iter().fold(0, |n, d| n * 10 + d));
    digits.len() == 9 && group(0..3) != 0 && group(0..3) != 666 && group(0..3) < 900 && group(3..5) != 0 && group(5..9) != 0
}

/// Words in front of national identification numbers.
const IDENTITY_WORDS: &[&str] = &[
    "nino",
    "national insurance",
    "nhs",
    "steuer",
    "tax",
    "idnr",
    "nir",
    "insee",
    "secu",
    "dni",
    "nie",
    "fiscal",
    "cpf",
    "aadhaar",
    "aadhar",
    "uid",
    "pan",
    "sin",
    "social insurance",
    "pesel",
    "personn",
    "bsn",
    "personal",
    "codice",
    "id number",
    "identity",
    "citizen",
    "identification",
    "national",
    "ssn",
    "tin",
    "pnr",
    "pno",
    "rijksregister",
    "niss",
    "insz",
    "nrn",
    "burgerservice",
    "hetu",
    "henkil",
    "idcard",
    "id card",
    "身份证",
    "assurance sociale",
    "social",
    "zus",
];

/// Whether a text is a national identification number by its own check, or by its form and a word in front of it.
fn is_national_id(h: &Hit<'_>) -> bool {
    // A fraction of a second.
    let mut before = h.before.chars().rev();
    if before.next() == Some('.') && before.next().is_some_and(|c| c.is_ascii_digit()) {
        return false;
    }
    let value = h.value.trim();
    let compact: String = value.chars().filter(|c| c.is_alphanumeric()).collect();
    let digits = digits_of(value);
    let label = h.before.to_lowercase().replace(['_', '"'], " ");
    let labelled = |words: &[&str]| words.iter().any(|w| label.contains(w));
    let letters = compact.chars().filter(|c| c.is_alphabetic()).count();
    let near = labelled(IDENTITY_WORDS);
    match (compact.len(), letters) {
        (9, 3)
            if compact.chars().next().is_some_and(char::is_alphabetic)
                && compact.chars().nth(1).is_some_and(char::is_alphabetic) =>
        {
            compact.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase()) || near
        }
        (16, _) if letters >= 7 => is_codice_fiscale(&compact),
        (9, 1 | 2) => is_dni(&compact),
        (10, 6) => labelled(&["pan", "income", "tax"]) || value.chars().nth(3) == Some('P'),
        (11, 0) if value.matches('.').count() == 2 && is_cpf(&digits) => true,
        (10, 1) if value.contains(['-', '+']) => is_hetu(&compact),
        (18, _) => is_chinese_id(&compact),
        (11, 0) if value.contains('.') || is_belgian_id(&digits) && near => is_belgian_id(&digits),
        (12, 0) if value.contains(['-', '+']) => luhn(digits.get(2..).unwrap_or_default()) || near,
        (11, 0) => near && (is_cpf(&digits) || is_pesel(&digits) || is_steuer_id(&digits)),
        (15, 0) => is_nir(&digits),
        (12, 0) if near || value.contains(' ') => near && verhoeff(&digits),
        (10 | 12, 0) if value.contains(['-', '+']) => {
            digits.len() >= 10
                && luhn(digits.get(digits.len() - 10..).unwrap_or_default())
                && is_birth(digits.get(digits.len() - 10..).unwrap_or_default())
        }
        (10, 0) if near || value.contains(' ') => is_nhs(&digits) && (near || labelled(&["nhs", "patient"])),
        (9, 0) => near && (luhn(&digits) || is_bsn(&digits)),
        _ => false,
    }
}

/// The last character of a Finnish identity code: the number modulo 31.
fn is_hetu(text: &str) -> bool {
    let number: String = text.chars().take(9).filter(char::is_ascii_digit).collect();
    number.parse::<usize>().ok().and_then(|n| "0123456789ABCDEFHJKLMNPRSTUVWXY".chars().nth(n % 31)) == text.chars().last()
}

/// The check of ISO 7064 (modulo 11, 2) of a Chinese resident identity number, with a plausible date of birth.
fn is_chinese_id(text: &str) -> bool {
    let value = |c: char| if c == 'X' { Some(10) } else { c.to_digit(10) };
    let sum = text.chars().take(17).try_fold(0_u32, |sum, c| Some((sum + value(c)?) * 2 % 11));
    let is_year = text.get(6..8).is_some_and(|y| ["19", "20"].contains(&y));
    is_year && sum.zip(text.chars().last().and_then(value)).is_some_and(|(sum, last)| (sum + last) % 11 == 1)
}

/// A Belgian register number: 97 minus the first nine digits modulo 97, with a 2 in front for births since 2000.
fn is_belgian_id(digits: &[u32]) -> bool {
    let number = |range: std::ops::Range<usize>| digits.get(range).map(|g| g.iter().fold(0_u64, |n, d| n * 10 + u64::from(*d)));
    let Some((body, check)) = number(0..9).zip(number(9..11)) else { return false };
    digits.len() == 11 && (97 - body % 97 == check || 97 - (2_000_000_000 + body) % 97 == check)
}

fn is_birth(digits: &[u32]) -> bool {
    let two = |at: usize| digits.get(at).zip(digits.get(at + 1)).map_or(0, |(a, b)| a * 10 + b);
    (1..=12).contains(&two(2)) && (1..=31).contains(&(two(4) % 60))
}

fn is_dni(text: &str) -> bool {
    let upper = text.to_uppercase();
    let number = upper
        .replacen('X', "0", usize::from(upper.starts_with('X')))
        .replacen('Y', "1", usize::from(upper.starts_with('Y')))
        .replacen('Z', "2", usize::from(upper.starts_with('Z')));
    let (Some(body), Some(last)) = (number.get(..8), number.chars().nth(8)) else { return false };
    body.parse::<usize>().ok().and_then(|n| "TRWAGMYFPDXBNJZSQVHLCKE".chars().nth(n % 23)) == Some(last)
}

fn is_codice_fiscale(text: &str) -> bool {
    const ODD: [u32; 36] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25,
        24, 23,
    ];
    let sum = text.chars().take(15).enumerate().try_fold(0, |sum, (i, c)| {
        let value = c.to_digit(36)?;
        let even = if value > 9 { value - 10 } else { value };
        Some(sum + if i % 2 == 0 { *ODD.get(value as usize)? } else { even })
    });
    sum.and_then(|s| char::from_u32(u32::from('A') + s % 26)) == text.chars().nth(15)
}

/// The last two digits of a Brazilian CPF.
fn is_cpf(digits: &[u32]) -> bool {
    let check = |n: usize| {
        let sum: u32 = digits.iter().take(n).enumerate().map(|(i, d)| d * (n as u32 + 1 - i as u32)).sum();
        (sum * 10 % 11) % 10
    };
    digits.len() == 11
        && digits.iter().any(|d| Some(d) != digits.first())
        && digits.get(9) == Some(&check(9))
        && digits.get(10) == Some(&check(10))
}

fn is_pesel(digits: &[u32]) -> bool {
    let sum: u32 = digits.iter().zip([1, 3, 7, 9, 1, 3, 7, 9, 1, 3]).map(|(d, w)| d * w).sum();
    digits.len() == 11 && digits.get(10) == Some(&((10 - sum % 10) % 10))
}

/// The check of ISO 7064 (modulo 11, 10) of a German tax id.
fn is_steuer_id(digits: &[u32]) -> bool {
    let product = digits.iter().take(10).fold(10, |product, d| {
        let sum = match (d + product) % 10 {
            0 => 10,
            n => n,
        };
        sum * 2 % 11
    });
    digits.len() == 11 && digits.first() != Some(&0) && digits.get(10) == Some(&((11 - product) % 10))
}

/// The key of a French NIR: 97 minus the number modulo 97.
fn is_nir(digits: &[u32]) -> bool {
    let number = |range: std::ops::Range<usize>| digits.get(range).map(|g| g.iter().fold(0_u64, |n, d| n * 10 + u64::from(*d)));
    number(0..13).zip(number(13..15)).is_some_and(|(n, key)| 97 - n % 97 == key)
}

fn is_nhs(digits: &[u32]) -> bool {
    let sum: u32 = digits.iter().take(9).enumerate().map(|(i, d)| d * (10 - i as u32)).sum();
    digits.len() == 10 && digits.get(9) == Some(&((11 - sum % 11) % 11))
}

/// The check of a Dutch BSN.
fn is_bsn(digits: &[u32]) -> bool {
    let sum: i64 = digits.iter().take(8).enumerate().map(|(i, d)| i64::from(*d) * (9 - i as i64)).sum::<i64>()
        - i64::from(digits.get(8).copied().unwrap_or(0));
    digits.len() == 9 && sum % 11 == 0
}

/// Verhoeff's check of an Indian Aadhaar number.
fn verhoeff(digits: &[u32]) -> bool {
    const D: [[usize; 10]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ];
    const P: [[usize; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let check = digits.iter().rev().enumerate().try_fold(0, |c, (i, d)| {
        let p = *P.get(i % 8)?.get(*d as usize)?;
        D.get(c)?.get(p).copied()
    });
    digits.len() == 12 && check == Some(0)
}

/// Whether an address is one of the public internet, which may be a person's. Private, loopback and link-local ones are machines.
fn is_public_address(text: &str) -> bool {
    match text.parse::<core::net::IpAddr>() {
        Ok(core::net::IpAddr::V4(v4)) => {
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.octets()[0] == 100 && (64..128).contains(&v4.octets()[1]))
        }
        Ok(core::net::IpAddr::V6(v6)) => {
            !(v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local())
        }
        Err(_) => false,
    }
}
