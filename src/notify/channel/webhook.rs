//! Any server that takes JSON. The headers follow the Standard Webhooks specification: `webhook-id` is the key, by which the receiver can
//! drop repetitions, and `webhook-signature` signs `id.timestamp.body`. `x-signature-256: sha256=HEX` signs the body alone, for receivers
//! that know only that form.

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use super::{Authentication, Message, Request, letter};
use crate::config::{Address, SecretRef};
use crate::incident::Audience;

pub(super) fn pack(address: &Address, secret: Option<&SecretRef>, message: &Message) -> Request {
    let outgoing = &message.outgoing;
    let audience = match outgoing.audience {
        Audience::Internal => "technical",
        Audience::Executive => "executive",
        Audience::External => "customer",
    };
    let mut incident = json!({"id": message.incident, "severity": message.severity, "status": message.status});
    // The title is written for responders, and may name what customers must not read.
    if let (true, Some(fields)) = (outgoing.audience != Audience::External, incident.as_object_mut()) {
        fields.insert("title".to_owned(), json!(message.title));
    }
    Request {
        method: "POST",
        address: address.clone(),
        path: String::new(),
        headers: vec![("webhook-id", outgoing.key.clone()), ("idempotency-key", outgoing.key.clone())],
        authentication: Authentication::Signature(secret.cloned()),
        body: json!({
            "type": format!("incident.{}", letter(message)),
            "key": outgoing.key,
            "incident": incident,
            "audience": audience,
            "stage": message.stage.word(),
            "subject": outgoing.subject,
            "text": outgoing.text,
            "next_update_at": outgoing.next_due,
        }),
    }
}

/// The headers that sign a body, with the time in seconds since 1970.
pub(super) fn signature(secret: &str, id: &str, at: i64, body: &[u8]) -> Vec<(&'static str, String)> {
    // Standard Webhooks writes secrets as `whsec_` and Base64; any other text is used as it is.
    let decoded = secret.strip_prefix("whsec_").and_then(|s| base64::engine::general_purpose::STANDARD.decode(s).ok());
    let key = decoded.unwrap_or_else(|| secret.as_bytes().to_vec());
    let sign = |parts: &[&[u8]]| {
        // HMAC takes keys of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        for part in parts {
            mac.update(part);
        }
        Some(mac.finalize().into_bytes())
    };
    let mut headers = vec![("webhook-timestamp", at.to_string())];
    if let Some(signed) = sign(&[format!("{id}.{at}.").as_bytes(), body]) {
        headers.push(("webhook-signature", format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(signed))));
    }
    if let Some(signed) = sign(&[body]) {
        let hex: String = signed.iter().map(|byte| format!("{byte:02x}")).collect();
        headers.push(("x-signature-256", format!("sha256={hex}")));
    }
    headers
}

#[cfg(test)]
mod tests {
    #[test]
    fn signatures_are_those_of_the_published_examples() {
        // The example of the Standard Webhooks specification.
        let body = br#"{"test": 2432232314}"#;
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let headers = super::signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(headers[0], ("webhook-timestamp", "1614265330".to_owned()));
        assert_eq!(headers[1].1, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        // The example of GitHub's "Validating webhook deliveries".
        let headers = super::signature("It's a Secret to Everybody", "x", 0, b"Hello, World!");
        let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(headers[2], ("x-signature-256", expected.to_owned()));
    }
}
