//! E-mail by SMTP. The key is the `Message-ID`, by which mail systems recognise a repetition; later messages answer the first one.

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::ExposeSecret;

use super::{Delivery, Message};
use crate::config::{ChannelConfig, MailConfig, MailSecurity};
use crate::incident::SendOutcome;
use crate::notify::markdown::plain;
use crate::telemetry::{Failure, clean};

/// A message with its server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mail {
    config: MailConfig,
    subject: String,
    text: String,
    /// The key, which is the reference of the message; with the sender's domain it is the `Message-ID`.
    key: String,
    id: String,
    /// The `Message-ID` of the message that it answers.
    answers: Option<String>,
}

pub(super) fn pack(config: &MailConfig, message: &Message) -> Result<Mail, Failure> {
    let outgoing = &message.outgoing;
    let from: Mailbox = mailbox(&config.from)?;
    let label = message.label().map_or_else(String::new, |label| format!("\n\n{label}"));
    Ok(Mail {
        config: config.clone(),
        subject: clean::line(&plain(&outgoing.subject)),
        text: format!("{}{label}\n", plain(&outgoing.text)),
        key: outgoing.key.clone(),
        id: format!("<{}@{}>", outgoing.key, from.email.domain()),
        answers: message.first.as_ref().map(|key| format!("<{key}@{}>", from.email.domain())),
    })
}

fn mailbox(address: &str) -> Result<Mailbox, Failure> {
    address.parse().map_err(|_invalid| Failure::new(format!("'{address}' is not an e-mail address")))
}

impl Mail {
    pub(super) fn preview(&self) -> String {
        let MailConfig { host, port, security, from, to, .. } = &self.config;
        let how = match security {
            MailSecurity::Tls => "TLS",
            MailSecurity::StartTls => "STARTTLS",
            MailSecurity::None => "not encrypted",
        };
        let answers = self.answers.as_ref().map_or_else(String::new, |id| format!("In-Reply-To: {id}\n"));
        format!(
            "Through {host}:{port} ({how}):\n\nFrom: {from}\nTo: {}\nSubject: {}\nMessage-ID: {}\n{answers}\n{}",
            to.join(", "),
            self.subject,
            self.id,
            self.text
        )
    }

    fn message(&self) -> Result<lettre::Message, Failure> {
        let mut builder = lettre::Message::builder()
            .from(mailbox(&self.config.from)?)
            .subject(self.subject.clone())
            .message_id(Some(self.id.clone()))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.config.to {
            builder = builder.to(mailbox(to)?);
        }
        if let Some(first) = &self.answers {
            builder = builder.in_reply_to(first.clone()).references(first.clone());
        }
        builder.body(self.text.clone()).map_err(|e| Failure::new(format!("cannot build the message: {e}")))
    }
}

/// Connects once to see that the server takes the sender, and sends then. Only what was interrupted after that has an unknown outcome.
pub(super) async fn send(channel: &ChannelConfig, mail: &Mail) -> Delivery {
    let failed = |detail: String| Delivery::new(SendOutcome::Failed, detail);
    let message = match mail.message() {
        Ok(message) => message,
        Err(failure) => return failed(failure.message),
    };
    let transport = match transport(channel, &mail.config).await {
        Ok(transport) => transport,
        Err(detail) => return failed(detail),
    };
    let server = format!("{}:{}", mail.config.host, mail.config.port);
    // lettre limits the time to connect, but not the wait for each answer.
    let late = || format!("no answer from {server} within {} s", channel.timeout.as_secs_f64());
    match tokio::time::timeout(channel.timeout, transport.test_connection()).await {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) => return failed(format!("{server} does not respond")),
        Ok(Err(e)) => return failed(format!("cannot connect to {server}: {}", causes(&e))),
        Err(_late) => return failed(late()),
    }
    let sent = match tokio::time::timeout(channel.timeout * 2, transport.send(message)).await {
        Ok(sent) => sent,
        Err(_late) => return Delivery::new(SendOutcome::Unknown, late()),
    };
    match sent {
        Ok(_accepted) => Delivery::sent(Some(mail.key.clone())),
        Err(e) if e.is_permanent() => Delivery::new(SendOutcome::Refused, format!("{server} reports {}", causes(&e))),
        Err(e) if e.is_transient() => failed(format!("{server} reports {}", causes(&e))),
        Err(e) => Delivery::new(SendOutcome::Unknown, format!("{server}: {}", causes(&e))),
    }
}

fn causes(error: &lettre::transport::smtp::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(&format!(": {cause_text}"));
        }
        source = cause.source();
    }
    clean::truncate(&clean::line(&text), 200)
}

async fn transport(channel: &ChannelConfig, config: &MailConfig) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let mut parameters = TlsParameters::builder(config.host.clone());
    if let Some(path) = &channel.tls.ca_file {
        let pem = std::fs::read(path).map_err(|e| format!("cannot read {path}: {e}"))?;
        let certificate = Certificate::from_pem(&pem).map_err(|e| format!("{path} is not a PEM certificate: {e}"))?;
        parameters = parameters.add_root_certificate(certificate);
    }
    let tls = || parameters.build_rustls().map_err(|e| format!("cannot set up TLS: {e}"));
    let tls = match config.security {
        MailSecurity::Tls => Tls::Wrapper(tls()?),
        MailSecurity::StartTls => Tls::Required(tls()?),
        MailSecurity::None => Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
        .port(config.port)
        .tls(tls)
        .timeout(Some(channel.timeout));
    if let Some((user, password)) = config.login.clone() {
        let resolved = tokio::task::spawn_blocking(move || password.resolve()).await.map_err(|e| e.to_string())?;
        let password = resolved.map_err(|e| format!("cannot get the password: {e}"))?;
        builder = builder.credentials(Credentials::new(user, password.expose_secret().to_owned()));
    }
    Ok(builder.build())
}
