//! Sending a parcel, with as many attempts as are safe.

use std::io::Write;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use base64::Engine as _;
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};

use super::{Authentication, Delivery, Message, Parcel, Request, error_text, file, github, look_up, mail, read_answer, webhook};
use crate::config::{Address, ChannelConfig, SecretRef};
use crate::incident::SendOutcome;
use crate::incident::sending::LONGEST;
use crate::sources::http::{client_builder, innermost, retry_after};

/// The number of attempts after the first one, and the wait before the second, which doubles each time.
const RETRIES: usize = 3;
const FIRST_WAIT: Duration = Duration::from_millis(300);
/// The longest wait that a server may ask for between two attempts.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;
/// How long a look-up may take.
const LOOK_UP: Duration = Duration::from_secs(8);

/// What one attempt showed.
enum Attempt {
    Over(Delivery),
    /// It had no effect; the server may ask for a wait.
    NoEffect(Delivery, Option<Duration>),
    /// It may have had an effect.
    Unclear(Delivery),
}

/// How long a delivery may take, so that it ends before others take it for interrupted.
const MOST: Duration = Duration::from_secs(LONGEST.as_secs() - 30);

/// Sends a parcel. An attempt that may have had an effect is repeated only if that is safe (`is_repeatable`). If an attempt, or an earlier one,
/// may have arrived, and the other system can be asked for the key, it is asked.
pub(crate) async fn deliver(
    channel: &ChannelConfig,
    message: &Message,
    parcel: &Parcel,
    is_repeatable: bool,
    may_have_arrived: bool,
) -> Delivery {
    if may_have_arrived && let Some(found) = arrived(channel, message).await {
        return found;
    }
    let delivered = tokio::time::timeout(MOST, attempt(channel, message, parcel, is_repeatable)).await;
    let delivery =
        delivered.unwrap_or_else(|_late| Delivery::new(SendOutcome::Unknown, format!("no answer within {} s", MOST.as_secs())));
    match delivery.outcome {
        SendOutcome::Unknown => arrived(channel, message).await.unwrap_or(delivery),
        _ => delivery,
    }
}

/// The message in the other system, if it is found there by its key.
async fn arrived(channel: &ChannelConfig, message: &Message) -> Option<Delivery> {
    let request = look_up(channel, message)?;
    let secrets = Secrets::fetch(&request).await.ok()?;
    let timeout = channel.timeout.min(LOOK_UP);
    let client = client_builder(&channel.tls).ok()?.connect_timeout(timeout).timeout(timeout).build().ok()?;
    let answer = addressed(&client, &request, &secrets).send().await.ok().filter(|a| a.status().is_success())?;
    let (bytes, _) = read(answer).await;
    let id = github::find(message, &serde_json::from_slice(&bytes).ok()?)?;
    Some(Delivery { detail: "it had arrived".to_owned(), ..Delivery::sent(Some(id)) })
}

async fn attempt(channel: &ChannelConfig, message: &Message, parcel: &Parcel, is_repeatable: bool) -> Delivery {
    match parcel {
        Parcel::Http(request) => http(channel, message, request, is_repeatable).await,
        Parcel::Mail(mail) => mail::send(channel, mail).await,
        Parcel::File { path, section, marker } => {
            let (path, section, marker) = (path.clone(), section.clone(), marker.clone());
            let written = tokio::task::spawn_blocking(move || file::append(&path, &section, &marker)).await;
            written.unwrap_or_else(|e| Delivery::new(SendOutcome::Unknown, e.to_string()))
        }
        Parcel::Clipboard(text) => copy(text),
    }
}

/// Copies a text by OSC 52, through the terminal itself, so that it also works over ssh and with redirected output.
fn copy(text: &str) -> Delivery {
    let encoded = base64::engine::general_purpose::STANDARD.encode(text);
    let terminal = std::fs::OpenOptions::new().write(true).open(if cfg!(windows) { "CONOUT$" } else { "/dev/tty" });
    match terminal.and_then(|mut terminal| write!(terminal, "\x1b]52;c;{encoded}\x07")) {
        Ok(()) => Delivery { detail: "copied".to_owned(), ..Delivery::sent(None) },
        Err(e) => Delivery::new(SendOutcome::Failed, format!("there is no terminal to copy through: {e}")),
    }
}

async fn http(channel: &ChannelConfig, message: &Message, request: &Request, is_repeatable: bool) -> Delivery {
    let failed = |detail: String| Delivery::new(SendOutcome::Failed, detail);
    let secrets = match Secrets::fetch(request).await {
        Ok(secrets) => secrets,
        Err(detail) => return failed(detail),
    };
    let client = client_builder(&channel.tls).map_err(|e| e.message).and_then(|builder| {
        let builder = builder.connect_timeout(Duration::from_secs(5).min(channel.timeout)).timeout(channel.timeout);
        builder.build().map_err(|e| innermost(&e))
    });
    let client = match client {
        Ok(client) => client,
        Err(detail) => return failed(detail),
    };
    let begun = Instant::now();
    let mut waits = ExponentialBuilder::default().with_min_delay(FIRST_WAIT).with_max_times(RETRIES).with_jitter().build();
    // What an attempt that may have had an effect said: a later failure does not make it certain that nothing arrived.
    let mut unclear: Option<String> = None;
    let settle = |delivery: Delivery, unclear: &Option<String>| match unclear {
        Some(why) if delivery.outcome != SendOutcome::Sent => {
            Delivery::new(SendOutcome::Unknown, format!("{why}; then {}", delivery.detail))
        }
        _ => delivery,
    };
    loop {
        let attempt = once(&client, channel, message, request, &secrets).await;
        let (delivery, asked) = match attempt {
            Attempt::Over(delivery) => return settle(delivery, &unclear),
            Attempt::NoEffect(delivery, asked) => (settle(delivery, &unclear), asked),
            Attempt::Unclear(delivery) if is_repeatable => {
                unclear.get_or_insert_with(|| delivery.detail.clone());
                (delivery, None)
            }
            Attempt::Unclear(delivery) => return delivery,
        };
        let Some(wait) = waits.next().map(|wait| asked.unwrap_or(wait)) else { return delivery };
        // Nothing is sent later than a reader of the journal expects.
        if wait > MAX_RETRY_AFTER || begun.elapsed() + wait + channel.timeout > MOST {
            return delivery;
        }
        tokio::time::sleep(wait).await;
    }
}

/// The secrets of a request.
struct Secrets {
    url: Url,
    authorization: Option<String>,
    signing: Option<SecretString>,
}

impl Secrets {
    async fn fetch(request: &Request) -> Result<Self, String> {
        let address = match &request.address {
            Address::Plain(url) => url.clone(),
            Address::Secret(secret) => resolve(secret).await?.expose_secret().to_owned(),
        };
        // The address is a secret: it is not part of the error. A query, as in the addresses of workflows, stays at the end.
        let mut url = Url::parse(&address).map_err(|e| format!("the address of the channel is not a URL: {e}"))?;
        if let Some(query) = request.path.strip_prefix('?') {
            let both = url.query().map_or_else(|| query.to_owned(), |have| format!("{have}&{query}"));
            url.set_query(Some(&both));
        } else if !request.path.is_empty() {
            let path = format!("{}{}", url.path().trim_end_matches('/'), request.path);
            url.set_path(&path);
        }
        let authorization = match &request.authentication {
            Authentication::Authorization(prefix, secret) => Some(format!("{prefix}{}", resolve(secret).await?.expose_secret())),
            Authentication::None | Authentication::Signature(_) => None,
        };
        let signing = match &request.authentication {
            Authentication::Signature(Some(secret)) => Some(resolve(secret).await?),
            _ => None,
        };
        Ok(Self { url, authorization, signing })
    }
}

async fn resolve(secret: &SecretRef) -> Result<SecretString, String> {
    let secret = secret.clone();
    let resolved = tokio::task::spawn_blocking(move || secret.resolve()).await.map_err(|e| e.to_string())?;
    resolved.map_err(|e| e.to_string())
}

/// A request with its headers, without a body.
fn addressed(client: &reqwest::Client, request: &Request, secrets: &Secrets) -> reqwest::RequestBuilder {
    let method = Method::from_bytes(request.method.as_bytes()).unwrap_or(Method::POST);
    let mut outgoing = client.request(method, secrets.url.clone());
    for (name, value) in &request.headers {
        outgoing = outgoing.header(*name, value);
    }
    match &secrets.authorization {
        Some(value) => outgoing.header("authorization", value),
        None => outgoing,
    }
}

/// The body of an answer up to the longest that is read, and whether that is all of it.
async fn read(mut answer: reqwest::Response) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= MAX_ANSWER => bytes.extend_from_slice(&chunk),
            Ok(None) => return (bytes, true),
            Ok(Some(_)) | Err(_) => return (bytes, false),
        }
    }
}

async fn once(
    client: &reqwest::Client,
    channel: &ChannelConfig,
    message: &Message,
    request: &Request,
    secrets: &Secrets,
) -> Attempt {
    let body = serde_json::to_vec(&request.body).unwrap_or_default();
    let mut outgoing = addressed(client, request, secrets).header("content-type", "application/json; charset=utf-8");
    if let Some(secret) = &secrets.signing {
        let at = i64::try_from(std::time::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_secs())).unwrap_or(0);
        for (name, value) in webhook::signature(secret.expose_secret(), &message.outgoing.key, at, &body) {
            outgoing = outgoing.header(name, value);
        }
    }
    let unknown = |detail: String| Attempt::Unclear(Delivery::new(SendOutcome::Unknown, detail));
    let answer = match outgoing.body(body).send().await {
        Ok(answer) => answer,
        // Before there is a connection, nothing was sent. The address may be a secret, so it is not part of the message.
        Err(e) if e.is_connect() || e.is_builder() => {
            let detail = format!("cannot connect: {}", innermost(&e.without_url()));
            return Attempt::NoEffect(Delivery::new(SendOutcome::Failed, detail), None);
        }
        Err(e) if e.is_timeout() => return unknown(format!("no answer within {} s", channel.timeout.as_secs_f64())),
        Err(e) => return unknown(format!("the connection broke: {}", innermost(&e.without_url()))),
    };
    let status = answer.status();
    let asked = answer.headers().get("retry-after").and_then(|v| v.to_str().ok()).and_then(retry_after);
    let (bytes, is_whole) = read(answer).await;
    let said = || format!("the server responded with {status} {}", error_text(&bytes)).trim_end().to_owned();
    match status.as_u16() {
        200..=299 if is_whole => match read_answer(channel, message, &bytes) {
            delivery if delivery.outcome == SendOutcome::Unknown => Attempt::Unclear(delivery),
            delivery => Attempt::Over(delivery),
        },
        200..=299 => unknown(format!("the answer ({status}) is not complete")),
        // The server did not take it; 420 is how Statuspage says so, and 403 with a time how GitHub does. A 503 without a time may come from
        // a proxy, after the server took it.
        403 | 503 if asked.is_some() => Attempt::NoEffect(Delivery::new(SendOutcome::Failed, said()), asked),
        420 | 429 => Attempt::NoEffect(Delivery::new(SendOutcome::Failed, said()), asked),
        500..=599 => unknown(said()),
        300..=399 => Attempt::Over(Delivery::new(
            SendOutcome::Refused,
            format!("the server responded with {status}; redirects are not followed"),
        )),
        _ => Attempt::Over(Delivery::new(SendOutcome::Refused, said())),
    }
}
