//! The headers that mirror the body (MCP 2026-07-28, Streamable HTTP, Request Metadata): checked
//! against it, because policy further on may read either.

use crate::json;
use crate::jsonrpc::Envelope;
use crate::rejection::Rejection;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, GetAll};
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memchr;
use std::borrow::Cow;

pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
pub const SESSION_ID: &str = "mcp-session-id";
pub const METHOD: &str = "mcp-method";
pub const NAME: &str = "mcp-name";
pub const LAST_EVENT_ID: &str = "last-event-id";

/// The same and others, ready to be looked up: a name that is text is read and lowered each time.
pub mod field {
    use http::HeaderName;

    pub static PROTOCOL_VERSION: HeaderName = HeaderName::from_static(super::PROTOCOL_VERSION);
    pub static SESSION_ID: HeaderName = HeaderName::from_static(super::SESSION_ID);
    pub static METHOD: HeaderName = HeaderName::from_static(super::METHOD);
    pub static NAME: HeaderName = HeaderName::from_static(super::NAME);
    pub static LAST_EVENT_ID: HeaderName = HeaderName::from_static(super::LAST_EVENT_ID);
    pub static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
    /// Names an application session.
    pub static SET: HeaderName = HeaderName::from_static("x-session-id");
    /// Whose vocabulary a REST caller expects.
    pub static COMPAT: HeaderName = HeaderName::from_static("x-mcp-compat");
}

/// How nearly every client of MCP writes that it takes JSON and events.
const JSON_AND_EVENTS: &str = "application/json, text/event-stream";

const SENTINEL: (&str, &str) = ("=?base64?", "?=");

/// A tool argument that its schema mirrors into a header (`x-mcp-header`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirroredParam {
    /// Lower case, with `mcp-param-`.
    pub header: String,
    /// The keys that lead to the value in `arguments`.
    pub path: Vec<String>,
}

/// JSON in, JSON or an event stream out.
pub fn check_media(headers: &HeaderMap) -> Result<(), Rejection> {
    let json = single(headers, &CONTENT_TYPE)?.is_some_and(|value| is_media(value, "application/json"));
    if !json || headers.contains_key(CONTENT_ENCODING) {
        return Err(Rejection::ContentType);
    }
    let accept = Accept::read(headers);
    if accept.json && accept.events { Ok(()) } else { Err(Rejection::NotAcceptable) }
}

/// `Mcp-Method` and `Mcp-Name` against what the body says.
pub fn check_mirrors(headers: &HeaderMap, envelope: &Envelope) -> Result<(), Rejection> {
    let method = envelope.verb();
    expect(headers.get_all(&field::METHOD), METHOD, Some(method))?;
    let names = || headers.get_all(&field::NAME);
    match mirrored_name(method) {
        Some(Mirrored::Name) => expect(names(), NAME, envelope.name().as_deref()),
        Some(Mirrored::Uri) => expect(names(), NAME, envelope.uri().as_deref()),
        Some(Mirrored::TaskId) => expect(names(), NAME, envelope.task_id().as_deref()),
        None => Ok(()),
    }
}

/// Which member of `params` the `Mcp-Name` of a method mirrors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mirrored {
    Name,
    Uri,
    TaskId,
}

pub fn mirrored_name(method: &str) -> Option<Mirrored> {
    match method {
        "tools/call" | "prompts/get" => Some(Mirrored::Name),
        "resources/read" => Some(Mirrored::Uri),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some(Mirrored::TaskId),
        _ => None,
    }
}

/// Each `Mcp-Param-*` that the tool's schema asks for: there with the argument's value, absent
/// where the argument is absent or null.
pub fn check_params(headers: &HeaderMap, envelope: &Envelope, mirrored: &[MirroredParam]) -> Result<(), Rejection> {
    for param in mirrored {
        let value = envelope.arguments().map(|arguments| argument(arguments, &param.path)).transpose()?.flatten();
        match (value, headers.contains_key(&param.header)) {
            (None, false) => {}
            (None, true) => return Err(mismatch(&param.header, "is there although the argument is not")),
            (Some(value), _) => expect(headers.get_all(&param.header), &param.header, Some(&value))?,
        }
    }
    Ok(())
}

/// The headers that a tool's schema asks for, from the arguments of a caller who knows nothing of them.
pub fn mirror(arguments: &str, mirrored: &[MirroredParam]) -> Result<Vec<(String, String)>, Rejection> {
    let mut headers = Vec::new();
    for param in mirrored {
        let value = argument(arguments, &param.path)?;
        let encoded = value.map(|value| encode(&value).into_owned());
        headers.extend(encoded.map(|value| (param.header.clone(), value)));
    }
    Ok(headers)
}

/// Whether `text/event-stream` is named in `Accept`: `*/*` means JSON to a REST surface.
pub fn names_events(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| is_media(range, "text/event-stream") && !is_unwanted(range))
}

/// Whether JSON is welcome where `Accept` names events.
pub fn names_json(headers: &HeaderMap) -> bool {
    Accept::read(headers).json
}

/// RFC 9110, 12.4.2: a weight of 0 means "not acceptable".
fn is_unwanted(range: &str) -> bool {
    let weight = range.split(';').skip(1).find_map(|part| part.trim().strip_prefix("q="));
    weight.is_some_and(|weight| weight.trim().parse() == Ok(0.0))
}

/// A body of a REST surface is JSON, whatever kind of it.
pub fn check_rest_media(headers: &HeaderMap) -> Result<(), Rejection> {
    let media = single(headers, &CONTENT_TYPE).map_err(|_| Rejection::ContentType)?;
    let json = media.is_none_or(|media| is_media(media, "application/json") || media_type(media).ends_with("+json"));
    if json && !headers.contains_key(CONTENT_ENCODING) { Ok(()) } else { Err(Rejection::ContentType) }
}

fn argument(arguments: &str, path: &[String]) -> Result<Option<String>, Rejection> {
    let place = json::find(arguments, path.iter().map(String::as_str));
    let place = place.map_err(|malformed| Rejection::InvalidParams(malformed.to_string()))?;
    let raw = place.and_then(|span| arguments.get(span));
    Ok(raw.filter(|raw| *raw != "null").map(|raw| json::unquote(raw).into_owned()))
}

fn expect(values: GetAll<'_, HeaderValue>, name: &str, body: Option<&str>) -> Result<(), Rejection> {
    let Some(value) = only(values, name)? else {
        return Err(mismatch(name, "is missing"));
    };
    let decoded = decode(value).ok_or_else(|| mismatch(name, "holds bad base64"))?;
    if body == Some(decoded.as_ref()) { Ok(()) } else { Err(mismatch(name, "differs from the body")) }
}

/// The one value of a header, as text; twice or not visible ASCII is a mismatch.
pub fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Rejection> {
    only(headers.get_all(name), name.as_str())
}

fn only<'h>(values: GetAll<'h, HeaderValue>, name: &str) -> Result<Option<&'h str>, Rejection> {
    let mut values = values.iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(mismatch(name, "stands twice"));
    }
    value.to_str().map(|text| Some(text.trim())).map_err(|_| mismatch(name, "is not visible ASCII"))
}

fn mismatch(name: &str, what: &str) -> Rejection {
    Rejection::HeaderMismatch(format!("the header {name} {what}"))
}

/// `=?base64?…?=` stands for text that a header cannot carry; half a sentinel is a literal.
fn decode(value: &str) -> Option<Cow<'_, str>> {
    match value.strip_prefix(SENTINEL.0).and_then(|rest| rest.strip_suffix(SENTINEL.1)) {
        None => Some(Cow::Borrowed(value)),
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok().map(Cow::Owned),
    }
}

/// A header value for any text: plain where that is possible, else in the sentinel.
pub fn encode(text: &str) -> Cow<'_, str> {
    let plain = text.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) && text.trim() == text;
    let sentinel = text.starts_with(SENTINEL.0) && text.ends_with(SENTINEL.1);
    if plain && !sentinel {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}{}{}", SENTINEL.0, STANDARD.encode(text), SENTINEL.1))
}

/// What a client takes (RFC 9110, 12.5.1); no `Accept` takes everything.
struct Accept {
    json: bool,
    events: bool,
}

impl Accept {
    fn read(headers: &HeaderMap) -> Accept {
        let mut values = headers.get_all(ACCEPT).iter().peekable();
        let any = values.peek().is_none();
        let mut accept = Accept { json: any, events: any };
        for value in values.filter_map(|value| value.to_str().ok()) {
            if value == JSON_AND_EVENTS {
                return Accept { json: true, events: true };
            }
            value.split(',').for_each(|range| accept.admit(range));
        }
        accept
    }

    fn admit(&mut self, range: &str) {
        let is = |media| is_media(range, media);
        self.json |= is("application/json") || is("application/*") || is("*/*");
        self.events |= is("text/event-stream") || is("text/*") || is("*/*");
    }
}

pub fn media_type(value: &str) -> String {
    essence(value).to_ascii_lowercase()
}

pub fn is_media(value: &str, media: &str) -> bool {
    essence(value).eq_ignore_ascii_case(media)
}

/// Without parameters.
fn essence(value: &str) -> &str {
    let end = memchr(b';', value.as_bytes()).unwrap_or(value.len());
    value.get(..end).unwrap_or_default().trim()
}

#[cfg(test)]
mod tests;
