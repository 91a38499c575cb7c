//! Names and values of HTTP headers in the file, and which of them nobody may set.

use super::place::Place;
use http::{HeaderName, HeaderValue};

/// What the gateway itself writes, or what belongs to one connection alone.
const OWN: [&str; 16] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "last-event-id",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// What a client shows to the gateway and no upstream may see.
const CLIENT_CREDENTIALS: [&str; 6] =
    ["authorization", "cookie", "proxy-authorization", "x-admin-api-key", "x-api-key", "x-litellm-api-key"];

/// A header that the gateway is to send with a credential in it.
pub(super) fn credential_name(place: &Place<'_>, text: &str) -> Option<HeaderName> {
    let name = name(place, text)?;
    if is_own(&name) {
        return place.refuse(format_args!("the gateway writes the header {name} itself; leave it out"));
    }
    Some(name)
}

/// A client's header that is to be handed on.
pub(super) fn forwarded_name(place: &Place<'_>) -> Option<HeaderName> {
    let name = name(place, &place.text()?)?;
    if CLIENT_CREDENTIALS.contains(&name.as_str()) {
        return place.refuse(format_args!(
            "{name} carries the client's credential, which no server may see; remove it, and write the server's own under `auth`"
        ));
    }
    if is_own(&name) {
        return place.refuse(format_args!("the gateway writes the header {name} itself; remove it"));
    }
    Some(name)
}

/// Never repeated in a message, and marked so that it is not printed either.
pub(super) fn secret_value(place: &Place<'_>, text: &str) -> Option<HeaderValue> {
    match HeaderValue::from_str(text) {
        Ok(value) if text.trim() == text && !text.is_empty() => Some(sensitive(value)),
        _ => place.refuse(
            "this value is empty or has characters that no header carries (a line break, a space at an end, \
             a letter outside ASCII); write it without them",
        ),
    }
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

fn name(place: &Place<'_>, text: &str) -> Option<HeaderName> {
    match HeaderName::from_bytes(text.as_bytes()) {
        Ok(name) => Some(name),
        Err(_) => place.refuse(format_args!("{text:?} is no name of a header; write one, as in x-tenant")),
    }
}

fn is_own(name: &HeaderName) -> bool {
    let name = name.as_str();
    OWN.contains(&name) || name.starts_with("mcp-") || name.starts_with("x-forwarded-")
}
