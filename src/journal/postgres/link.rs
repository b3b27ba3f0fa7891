//! The connection to a shared store: parses its URL, sets up TLS, and classifies the errors of the driver.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::JournalError;
use crate::telemetry::Failure;
use crate::telemetry::failure::{causes, find_cause};

/// The timeout for connecting.
const CONNECT: Duration = Duration::from_secs(3);

/// Whether a store URL is a PostgreSQL URL.
pub fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// How to reach a shared store.
#[derive(Clone)]
pub(in crate::journal) struct Link {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    /// The URL without its password.
    pub(in crate::journal) shown: String,
}

impl Link {
    /// Parses a URL. Supports libpq's parameters, `sslmode=disable|require|verify-ca|verify-full` and `sslrootcert=FILE`.
    /// Without `sslmode`, connections to this machine do not use TLS, and all others use TLS with certificate verification.
    pub(in crate::journal) fn parse(url: &str, password: Option<&SecretString>) -> Result<Self, JournalError> {
        let shown = without_password(url);
        let bad = |reason: String| JournalError::BadUrl { url: shown.clone(), reason };
        // A password may contain a question mark, so look for parameters after the credentials.
        let host_at = url.find('@').map_or(0, |i| i + 1);
        let (base, query) = match url.get(host_at..).and_then(|rest| rest.find('?')) {
            Some(i) => (url.get(..host_at + i).unwrap_or(url), url.get(host_at + i + 1..).unwrap_or("")),
            None => (url, ""),
        };
        let (mut mode, mut root, mut rest) = (None, None, Vec::new());
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", v)) => mode = Some(v.to_owned()),
                Some(("sslrootcert", v)) => root = Some(v.replace("%2F", "/").replace("%2f", "/")),
                _ => rest.push(pair),
            }
        }
        let plain = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        let mut config: Config = plain.parse().map_err(|e: tokio_postgres::Error| bad(summary(&e)))?;
        if let (Some(secret), None) = (password, config.get_password()) {
            config.password(secret.expose_secret());
        }
        let is_local = config.get_hosts().iter().all(|h| match h {
            tokio_postgres::config::Host::Tcp(name) => ["localhost", "127.0.0.1", "::1"].contains(&name.as_str()),
            #[cfg(unix)]
            tokio_postgres::config::Host::Unix(_) => true,
        });
        let is_encrypted = match mode.as_deref() {
            None => !is_local,
            Some("disable") => false,
            Some("require" | "verify-ca" | "verify-full") => true,
            Some(other) => return Err(bad(format!("sslmode={other} is not one of disable, require, verify-ca and verify-full"))),
        };
        let tls = if is_encrypted { Some(tls(root.as_deref()).map_err(bad)?) } else { None };
        config.ssl_mode(if is_encrypted {
            tokio_postgres::config::SslMode::Require
        } else {
            tokio_postgres::config::SslMode::Disable
        });
        config
            .connect_timeout(CONNECT)
            .tcp_user_timeout(Duration::from_secs(5))
            .keepalives_idle(Duration::from_secs(5))
            .keepalives_interval(Duration::from_secs(2))
            .keepalives_retries(3)
            .application_name("warroom");
        Ok(Self { config, tls, shown })
    }

    /// Host, port and database, which identify the store no matter how the URL is written.
    pub(in crate::journal) fn identity(&self) -> String {
        format!("{:?} {:?} {:?}", self.config.get_hosts(), self.config.get_ports(), self.config.get_dbname())
    }

    /// The error for a server that is unreachable.
    pub(super) fn away(&self, reason: impl Into<String>) -> JournalError {
        JournalError::Unreachable { url: self.shown.clone(), reason: reason.into() }
    }

    /// Connects on the current runtime. `notify` receives a message for each notification from the server.
    pub(in crate::journal) async fn connect(
        &self,
        notify: Option<tokio::sync::mpsc::Sender<()>>,
    ) -> Result<(Client, tokio::task::JoinHandle<()>), JournalError> {
        let opened = match &self.tls {
            None => {
                let connecting = self.config.connect(NoTls);
                tokio::time::timeout(CONNECT, connecting).await.map(|r| r.map(|(c, w)| (c, drive(w, notify))))
            }
            Some(tls) => {
                let connecting = self.config.connect(tls.clone());
                tokio::time::timeout(CONNECT, connecting).await.map(|r| r.map(|(c, w)| (c, drive(w, notify))))
            }
        };
        match opened {
            Err(_late) => Err(self.away(format!("no connection within {} s", CONNECT.as_secs()))),
            Ok(Err(e)) => Err(self.error(&e, "open")),
            Ok(Ok(open)) => Ok(open),
        }
    }

    /// Classifies an error of the driver. `doing` completes "cannot … the store".
    pub(super) fn error(&self, e: &tokio_postgres::Error, doing: &'static str) -> JournalError {
        let rejected =
            |reason: String, remedy: &str| JournalError::Rejected { url: self.shown.clone(), reason, remedy: remedy.to_owned() };
        let Some(db) = e.as_db_error() else {
            // A broken connection may recover. An untrusted certificate, a server without TLS or a missing password does not.
            return if is_tls(e) || !(e.is_closed() || is_io(e)) {
                rejected(summary(e), "Check sslrootcert=FILE and sslmode in the URL, and the password in [store].")
            } else {
                self.away(summary(e))
            };
        };
        let reason = format!("{} (SQLSTATE {})", db.message(), db.code().code());
        let class = db.code().code().get(..2).unwrap_or("").to_owned();
        match (class.as_str(), db.code()) {
            // Lost connections, lack of resources, shutdowns, system errors and read-only replicas. Lock timeouts and
            // deadlocks are temporary as well, and entries are kept in the outbox in the meantime.
            ("08" | "40" | "53" | "55" | "57" | "58", _) | (_, &SqlState::READ_ONLY_SQL_TRANSACTION) => self.away(reason),
            ("28" | "3D", _) => rejected(reason, "Check the user name, the password in [store], and the database name."),
            (_, &SqlState::INSUFFICIENT_PRIVILEGE) => {
                rejected(reason, "Grant the user access to the schema warroom, or permission to create it.")
            }
            _ => JournalError::io(doing, reason),
        }
    }
}

/// Whether TLS caused an error.
fn is_tls(e: &tokio_postgres::Error) -> bool {
    find_cause::<rustls::Error>(e).is_some()
}

/// Whether an I/O error caused an error.
fn is_io(e: &tokio_postgres::Error) -> bool {
    find_cause::<std::io::Error>(e).is_some()
}

/// Drives a connection until it closes. Forwards each notification as an empty message, unless the queue is full.
fn drive<S, T>(
    mut connection: tokio_postgres::Connection<S, T>,
    notify: Option<tokio::sync::mpsc::Sender<()>>,
) -> tokio::task::JoinHandle<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        loop {
            match std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                Some(Ok(tokio_postgres::AsyncMessage::Notification(_))) => {
                    if let Some(notify) = &notify {
                        let _queue_full = notify.try_send(());
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            }
        }
    })
}

/// An error with its causes, on one line.
pub(super) fn summary(e: &(dyn std::error::Error + 'static)) -> String {
    Failure { message: e.to_string(), causes: causes(e), remedy: None }.summary()
}

/// The TLS configuration. `root` is a PEM file with the certificates to trust; without it, those of this machine are trusted.
fn tls(root: Option<&str>) -> Result<MakeRustlsConnect, String> {
    use rustls_platform_verifier::BuilderVerifierExt;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("cannot use TLS: {e}"))?;
    let config = match root {
        None => builder
            .with_platform_verifier()
            .map_err(|e| format!("cannot read this machine's certificates: {e}"))?
            .with_no_client_auth(),
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            let found = rustls::pki_types::CertificateDer::pem_file_iter(path)
                .map_err(|e| format!("cannot read sslrootcert {path}: {e}"))?;
            for cert in found {
                let cert = cert.map_err(|e| format!("cannot read sslrootcert {path}: {e}"))?;
                roots.add(cert).map_err(|e| format!("sslrootcert {path}: {e}"))?;
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

/// A URL without its password.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    // As in the parser of the URL, everything up to the first `@` is the credentials.
    let (credentials, rest) = rest.split_once('@').map_or((None, rest), |(c, rest)| (Some(c), rest));
    let rest = rest.split_once('?').map_or(rest.to_owned(), |(before, query)| {
        let kept: Vec<&str> = query.split('&').filter(|p| !p.starts_with("password=")).collect();
        if kept.is_empty() { before.to_owned() } else { format!("{before}?{}", kept.join("&")) }
    });
    match credentials {
        Some(c) => format!("{scheme}://{}@{rest}", c.split(':').next().unwrap_or("")),
        None => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_passwords_from_urls() {
        for (url, shown) in [
            ("postgres://ana:secret@db.example/warroom", "postgres://ana@db.example/warroom"),
            ("postgres://ana:p%40ss@db:5433/w?sslmode=disable&password=x", "postgres://ana@db:5433/w?sslmode=disable"),
            ("postgres://db/w", "postgres://db/w"),
            ("postgres://ana:pa/ss?x@db/w?sslmode=disable", "postgres://ana@db/w?sslmode=disable"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn uses_tls_for_other_machines() {
        let tls = |url: &str| Link::parse(url, None).unwrap().tls.is_some();
        assert!(!tls("postgres://ana@127.0.0.1:5433/w") && !tls("postgres://ana@localhost/w"));
        assert!(tls("postgres://ana@db.example/w") && !tls("postgres://ana@db.example/w?sslmode=disable"));
        assert!(tls("postgres://ana@127.0.0.1/w?sslmode=verify-full"));
        let odd = Link::parse("postgres://ana:pa/ss?x@127.0.0.1/w?sslmode=disable", None).unwrap();
        assert_eq!(odd.config.get_password(), Some("pa/ss?x".as_bytes()));
        let (a, b) = ("postgres://ana@127.0.0.1/w", "postgresql://ben:x@127.0.0.1/w?sslmode=disable");
        assert_eq!(Link::parse(a, None).unwrap().identity(), Link::parse(b, None).unwrap().identity());
        assert!(Link::parse("postgres://ana@db/w?sslmode=prefer", None).is_err());
        assert!(Link::parse("postgres://ana@db/w?sslrootcert=/nowhere.pem", None).is_err());
        assert!(Link::parse("postgres://ana@db/w?nonsense=1", None).is_err());
    }
}
