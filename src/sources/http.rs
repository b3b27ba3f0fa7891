//! The HTTP layer of all sources: timeouts, a size limit on bodies while they stream, bounded concurrency per host, retries that honour
//! `Retry-After`, TLS with a private authority, and credentials that never follow a redirect to another host.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::StreamExt;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OnceCell, Semaphore};
use tokio_util::sync::CancellationToken;

use super::fault::{FaultKind, SourceError};
use crate::config::{Auth, SourceConfig, TlsConfig};
use crate::telemetry::failure::find_cause;

/// The largest body that is read; a larger one is refused, not cut off.
const MAX_BODY: usize = 64 * 1024 * 1024;
/// Concurrent requests to one host, over all sources.
const PER_HOST: usize = 4;
/// The number of retries, and the wait before the first one, which doubles each time.
const RETRIES: usize = 2;
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest wait that a server may ask for between two attempts.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_REDIRECTS: usize = 5;

static STOP: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);

/// Cancels every pending request and every later one, so that after Ctrl-C a command shows the data it has. This cannot be
/// undone, because the program is about to end.
pub fn stop() {
    STOP.cancel();
}

/// Parameters of a request: names may repeat.
pub type Params<'a> = Vec<(&'a str, String)>;

/// A client for one source.
pub struct Http {
    client: reqwest::Client,
    base: Url,
    auth: Auth,
    headers: HeaderMap,
    secret: OnceCell<Option<SecretString>>,
    timeout: Duration,
    /// The proxy in between, `host:port`.
    proxy: Option<String>,
}

/// A response with its body.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub content_type: String,
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as text; invalid UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON of a shape; the error names the place in the document.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, SourceError> {
        let mut deserializer = serde_json::Deserializer::from_slice(&self.body);
        serde_path_to_error::deserialize(&mut deserializer).map_err(|e| {
            let what =
                if self.content_type.contains("html") { "an HTML page, perhaps a login" } else { "not what this API returns" };
            SourceError::new(FaultKind::Malformed, format!("the answer is {what} (at {}: {})", e.path(), e.inner()))
        })
    }
}

/// What every HTTP client of warroom is built with: TLS by ring with these settings, warroom's name, and no redirects, which could
/// carry a secret to another host.
///
/// # Errors
/// When a certificate or key file cannot be read or used.
pub fn client_builder(tls: &TlsConfig) -> Result<reqwest::ClientBuilder, SourceError> {
    // reqwest is compiled without cryptography and takes that of the process. This fails only if it is selected already.
    let _selected_before = rustls::crypto::ring::default_provider().install_default();
    let read =
        |path: &str| std::fs::read(path).map_err(|e| SourceError::new(FaultKind::Config, format!("cannot read {path}: {e}")));
    let bad =
        |path: &str, e: reqwest::Error| SourceError::new(FaultKind::Config, format!("{path} is not a PEM certificate: {e}"));
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("warroom/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = &tls.ca_file {
        let bundle = reqwest::Certificate::from_pem_bundle(&read(path)?).map_err(|e| bad(path, e))?;
        if bundle.is_empty() {
            return Err(SourceError::new(FaultKind::Config, format!("{path} contains no certificate")));
        }
        builder = builder.tls_certs_merge(bundle);
    }
    if let (Some(cert), Some(key)) = (&tls.cert_file, &tls.key_file) {
        let mut pem = read(cert)?;
        pem.push(b'\n');
        pem.extend(read(key)?);
        builder = builder.identity(reqwest::Identity::from_pem(&pem).map_err(|e| bad(cert, e))?);
    }
    Ok(builder)
}

/// The extra headers of a configuration, marked as sensitive so that they are never printed.
pub fn headers(raw: &std::collections::BTreeMap<String, String>) -> Result<HeaderMap, SourceError> {
    let mut headers = HeaderMap::new();
    for (name, value) in raw {
        let parsed = HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::try_from(value.as_str()).ok());
        let (name, mut value) =
            parsed.ok_or_else(|| SourceError::new(FaultKind::Config, format!("'{name}' is not a valid HTTP header")))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The semaphore that limits requests to a host.
fn host_slots(url: &Url) -> Arc<Semaphore> {
    static SLOTS: OnceLock<Mutex<HashMap<String, Arc<Semaphore>>>> = OnceLock::new();
    let key = format!("{}:{}", url.host_str().unwrap_or(""), url.port_or_known_default().unwrap_or(0));
    let mut slots = SLOTS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(slots.entry(key).or_insert_with(|| Arc::new(Semaphore::new(PER_HOST))))
}

impl Http {
    /// A client for a configured source. Reads certificate files, but no secret yet.
    pub fn new(config: &SourceConfig) -> Result<Self, SourceError> {
        let text = config.url.as_deref().unwrap_or_default();
        let mut base =
            Url::parse(text).map_err(|e| SourceError::new(FaultKind::Config, format!("'{text}' is not a URL: {e}")))?;
        // Joining would replace the last part of a path without a trailing slash, and users paste such prefixes.
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let client = client_builder(&config.tls)?
            .connect_timeout(CONNECT_TIMEOUT.min(config.timeout))
            .timeout(config.timeout)
            .build()
            .map_err(|e| SourceError::new(FaultKind::Config, format!("cannot create an HTTP client: {}", innermost(&e))))?;
        let proxy = proxy_of(&base);
        Ok(Self {
            client,
            base,
            auth: config.auth.clone(),
            headers: headers(&config.headers)?,
            secret: OnceCell::new(),
            timeout: config.timeout,
            proxy,
        })
    }

    /// The base URL, without credentials (a configuration cannot hold any).
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// A GET below the base URL.
    pub async fn get(&self, path: &str, params: &Params<'_>) -> Result<Reply, SourceError> {
        self.send(Method::GET, path, params).await
    }

    /// A GET of a JSON document.
    pub async fn get_json<T: serde::de::DeserializeOwned>(&self, path: &str, params: &Params<'_>) -> Result<T, SourceError> {
        let reply = self.get(path, params).await?;
        if status_kind(reply.status).is_some() {
            return Err(refused(&reply, error_text(&reply)));
        }
        reply.json()
    }

    /// A POST with a form body. Only used for queries, so it is retried like a GET.
    pub async fn post_form(&self, path: &str, params: &Params<'_>) -> Result<Reply, SourceError> {
        self.send(Method::POST, path, params).await
    }

    /// Sends a request that changes something, with a body of JSON: once, without retries or redirects, because a repetition could change it
    /// twice.
    pub async fn change(&self, method: Method, path: &str, body: Option<&serde_json::Value>) -> Result<Reply, SourceError> {
        let url = self.url(path)?;
        let mut request = self.authorized(self.client.request(method, url).headers(self.headers.clone())).await?;
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|e| fault(&e, self.timeout, self.proxy.as_deref()))?;
        let status = response.status().as_u16();
        let content_type = response.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
        let body = self.body(response).await?;
        Ok(Reply { status, content_type, body })
    }

    fn url(&self, path: &str) -> Result<Url, SourceError> {
        self.base
            .join(path.trim_start_matches('/'))
            .map_err(|e| SourceError::new(FaultKind::Config, format!("'{path}' does not fit the URL: {e}")))
    }

    /// Sends a request, unless the program is stopping.
    async fn send(&self, method: Method, path: &str, params: &Params<'_>) -> Result<Reply, SourceError> {
        tokio::select! {
            reply = self.ask(method, path, params) => reply,
            () = STOP.cancelled() => Err(SourceError::new(FaultKind::Stopped, "stopped before it answered")),
        }
    }

    async fn ask(&self, method: Method, path: &str, params: &Params<'_>) -> Result<Reply, SourceError> {
        let url = self.url(path)?;
        let slots = host_slots(&url);
        let _slot = slots.acquire().await.map_err(|_closed| SourceError::new(FaultKind::Config, "the program is stopping"))?;
        let mut waits = ExponentialBuilder::default().with_min_delay(FIRST_WAIT).with_max_times(RETRIES).with_jitter().build();
        loop {
            let started = Instant::now();
            let outcome = self.once(method.clone(), url.clone(), params).await;
            tracing::debug!(%method, url = %url, elapsed_ms = started.elapsed().as_millis(), ok = outcome.is_ok(), "request");
            let word = match &outcome {
                Ok((reply, _)) => reply.status.to_string(),
                Err(error) => error.kind.word().to_owned(),
            };
            super::request_log::add(&method, &url, params, word, started.elapsed());
            let wait = match &outcome {
                Ok((reply, retry_after)) if matches!(reply.status, 429 | 502 | 503 | 504) => {
                    waits.next().map(|wait| retry_after.unwrap_or(wait))
                }
                Err(e) if matches!(e.kind, FaultKind::Unreachable) => waits.next(),
                _ => None,
            };
            match (wait, outcome) {
                (Some(wait), _) if wait <= MAX_RETRY_AFTER => tokio::time::sleep(wait).await,
                (_, Ok((reply, _))) => return Ok(reply),
                (_, Err(e)) => return Err(e),
            }
        }
    }

    /// One attempt, redirects followed.
    async fn once(&self, method: Method, url: Url, params: &Params<'_>) -> Result<(Reply, Option<Duration>), SourceError> {
        let (mut method, mut url) = (method, url);
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.client.request(method.clone(), url.clone());
            request = if method == Method::POST { request.form(params) } else { request.query(params) };
            // Credentials and tenant headers go to the configured host only.
            if same_host(&url, &self.base) {
                request = self.authorized(request.headers(self.headers.clone())).await?;
            }
            let response = request.send().await.map_err(|e| fault(&e, self.timeout, self.proxy.as_deref()))?;
            let status = response.status();
            if let Some(next) = redirect(status, response.headers(), &url) {
                if !matches!(status.as_u16(), 307 | 308) {
                    method = Method::GET;
                }
                // The Location often repeats the query, which is added again.
                url = next;
                url.set_query(None);
                continue;
            }
            let retry_after = response.headers().get("retry-after").and_then(|v| v.to_str().ok()).and_then(retry_after);
            let content_type = response.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
            let body = self.body(response).await?;
            return Ok((Reply { status: status.as_u16(), content_type, body }, retry_after));
        }
        Err(SourceError::new(FaultKind::Malformed, format!("more than {MAX_REDIRECTS} redirects")))
    }

    async fn authorized(&self, request: reqwest::RequestBuilder) -> Result<reqwest::RequestBuilder, SourceError> {
        let secret = self.secret.get_or_try_init(|| resolve(&self.auth)).await?;
        Ok(match (&self.auth, secret) {
            (Auth::Bearer(_), Some(secret)) => request.bearer_auth(secret.expose_secret()),
            (Auth::Basic(basic), Some(secret)) => request.basic_auth(&basic.user, Some(secret.expose_secret())),
            (Auth::Header { name, .. }, Some(secret)) => {
                let mut value = HeaderValue::try_from(secret.expose_secret())
                    .map_err(|_invalid| SourceError::new(FaultKind::Config, "the secret is not a valid header value"))?;
                value.set_sensitive(true);
                request.header(name.as_str(), value)
            }
            _ => request,
        })
    }

    async fn body(&self, response: reqwest::Response) -> Result<Vec<u8>, SourceError> {
        let mut body = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|e| fault(&e, self.timeout, self.proxy.as_deref()))?;
            if body.len() + chunk.len() > MAX_BODY {
                return Err(SourceError::new(FaultKind::TooLarge, format!("the answer is larger than {} MiB", MAX_BODY >> 20)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Fetches a secret, on a thread that may block.
async fn resolve(auth: &Auth) -> Result<Option<SecretString>, SourceError> {
    let reference = match auth {
        Auth::None => return Ok(None),
        Auth::Bearer(r) | Auth::Header { value: r, .. } => r.clone(),
        Auth::Basic(basic) => basic.password.clone(),
    };
    tokio::task::spawn_blocking(move || reference.resolve())
        .await
        .map_err(|e| SourceError::new(FaultKind::Config, e.to_string()))?
        .map(Some)
        .map_err(|e| SourceError::new(FaultKind::Config, e.to_string()))
}

fn same_host(a: &Url, b: &Url) -> bool {
    a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
        // A redirect from https to http is not the same host: the connection would be readable by others.
        && (a.scheme() == b.scheme() || a.scheme() == "https")
}

fn redirect(status: reqwest::StatusCode, headers: &HeaderMap, from: &Url) -> Option<Url> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    from.join(headers.get("location")?.to_str().ok()?).ok().filter(|u| matches!(u.scheme(), "http" | "https"))
}

/// `Retry-After` in seconds or as an HTTP date (RFC 9110, section 10.2.3).
pub(crate) fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(secs) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(secs));
    }
    let format =
        time::macros::format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    let at = time::PrimitiveDateTime::parse(value.trim(), format).ok()?.assume_utc();
    Some(Duration::try_from(at - time::OffsetDateTime::now_utc()).unwrap_or(Duration::ZERO))
}

/// The innermost cause of an error, which is the actual reason.
pub fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        last = inner.to_string();
        source = inner.source();
    }
    last
}

/// Classifies a failed request by the types of its causes. `proxy` is the proxy that the request went through.
pub fn fault(error: &reqwest::Error, timeout: Duration, proxy: Option<&str>) -> SourceError {
    let reason = innermost(error);
    let place = error.url().map(|u| format!("{}:{}", u.host_str().unwrap_or("?"), u.port_or_known_default().unwrap_or(0)));
    let place = place.as_deref().unwrap_or("the server");
    let is_late = |e: &std::io::Error| e.kind() == std::io::ErrorKind::TimedOut;
    if let Some(tls) = find_cause::<rustls::Error>(error) {
        let fault = SourceError::new(FaultKind::Tls, format!("{place}: {reason}"));
        return match handshake_remedy(tls) {
            Some(remedy) => fault.advise(remedy),
            None => fault,
        };
    }
    if error.is_timeout() || find_cause::<std::io::Error>(error).is_some_and(is_late) {
        let what = if error.is_connect() { "connecting to" } else { "waiting for" };
        return SourceError::new(FaultKind::Timeout, format!("{what} {place} took longer than {timeout:?}"));
    }
    match proxy.filter(|_| error.is_connect()) {
        Some(proxy) => SourceError::new(FaultKind::Proxy, format!("cannot reach {place} through the proxy {proxy}: {reason}")),
        None => SourceError::new(FaultKind::Unreachable, format!("{place}: {reason}")),
    }
}

/// What to do about an alert with which the server ended the handshake; `None` for a fault that warroom found itself.
fn handshake_remedy(error: &rustls::Error) -> Option<&'static str> {
    use rustls::AlertDescription as A;
    let rustls::Error::AlertReceived(alert) = error else { return None };
    match alert {
        A::CertificateRequired
        | A::BadCertificate
        | A::UnknownCA
        | A::AccessDenied
        | A::CertificateUnknown
        | A::UnsupportedCertificate => Some("The server asks for a client certificate: set tls.cert_file and tls.key_file."),
        // With TLS 1.2, some servers answer a missing client certificate like this.
        A::HandshakeFailure | A::ProtocolVersion | A::InsufficientSecurity => Some(
            "The server and warroom have no TLS parameters in common. It may ask for a client certificate (set tls.cert_file and \
             tls.key_file), or need more than TLS 1.2 and 1.3 with RSA, P-256, P-384 or Ed25519 keys.",
        ),
        _ => None,
    }
}

/// The proxy that requests to a URL go through: `host:port`. From the environment and the system, as the client itself decides.
pub fn proxy_of(url: &Url) -> Option<String> {
    let target = url.as_str().parse::<http::Uri>().ok()?;
    let proxy = hyper_util::client::proxy::matcher::Matcher::from_system().intercept(&target)?;
    let uri = proxy.uri();
    Some(format!("{}:{}", uri.host()?, uri.port_u16().unwrap_or(80)))
}

/// The kind of failure of an HTTP status; `None` for success.
pub fn status_kind(status: u16) -> Option<FaultKind> {
    Some(match status {
        200..300 => return None,
        401 => FaultKind::Unauthenticated,
        403 => FaultKind::Denied,
        404 | 405 => FaultKind::NotFound,
        407 => FaultKind::Proxy,
        408 | 504 => FaultKind::Timeout,
        413 => FaultKind::TooLarge,
        429 => FaultKind::RateLimited,
        400 | 406 | 411..=428 => FaultKind::BadQuery,
        300..400 => FaultKind::Malformed,
        _ => FaultKind::Server,
    })
}

/// The text of an error body: `"text"`, or `{"message": …}`.
fn error_text(reply: &Reply) -> Option<String> {
    match serde_json::from_slice(&reply.body).ok()? {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Object(map) => map.get("message").or_else(|| map.get("error"))?.as_str().map(str::to_owned),
        _ => None,
    }
}

/// An error response as a failure, with the vendor's message, else the beginning of the body.
pub fn refused(reply: &Reply, message: Option<String>) -> SourceError {
    let kind = status_kind(reply.status).unwrap_or(FaultKind::Malformed);
    let text = message.unwrap_or_else(|| {
        let text = reply.text();
        if reply.content_type.contains("html") { "an HTML page".to_owned() } else { text.chars().take(2048).collect() }
    });
    let text = text.trim();
    SourceError::new(
        kind,
        if text.is_empty() { format!("HTTP {}", reply.status) } else { format!("HTTP {}: {text}", reply.status) },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(retry_after("soon"), None);
    }

    #[test]
    fn credentials_stay_with_their_host() {
        let base = Url::parse("http://a:9090/x/").unwrap();
        for (url, same) in [("http://a:9090/y", true), ("http://a:9091/", false), ("http://b:9090/", false)] {
            assert_eq!(same_host(&Url::parse(url).unwrap(), &base), same, "{url}");
        }
        assert!(!same_host(&Url::parse("http://a:443/").unwrap(), &Url::parse("https://a/").unwrap()));
    }
}
