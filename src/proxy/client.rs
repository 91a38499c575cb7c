//! Writing to the client: answers of our own, and what a conversation hands on.

use super::caller::{Caller, Head, Length};
use super::exchange::Exchange;
use crate::answer::Body;
use crate::carry::{AnswerHead, Downstream, Gone};
use crate::reply::{Refusal, Shaped};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method};
use pingora::{ErrorType, OrErr, Result};
use std::time::Duration;
use tollbridge_filters::headers::field::SESSION_ID;

/// How much, and for how long.
const THROWN_AWAY_BYTES_MAX: usize = 256 * 1024;
const LISTEN_AFTER_REFUSAL: Duration = Duration::from_millis(500);

/// Who was cut because a write to it has blocked for longer than `limits.write_timeout`.
const SLOW_READER: &str = "slow_reader";

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_TRANSFORM: HeaderValue = HeaderValue::from_static("no-cache, no-transform");
const NO: HeaderValue = HeaderValue::from_static("no");
const JSON: &str = "application/json";

/// An answer has as many of its own, nearly always.
const FIELDS: usize = 4;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// An answer of the gateway's own.
pub(super) async fn answer(
    caller: &mut Caller<'_>,
    exchange: &mut Exchange,
    session_id: Option<&str>,
    body: Body,
) -> Result<()> {
    let mut head = own(exchange, 200, JSON, body.bytes());
    if let Some(id) = session_id {
        head.put(SESSION_ID.clone(), text(id)?);
    }
    write(caller, head, [body.front, body.rest]).await
}

/// Nothing to say but that it was taken.
pub(super) async fn accept(caller: &mut Caller<'_>, exchange: &mut Exchange, status: u16) -> Result<()> {
    let head = head(exchange, status, Length::Known(0), NO_STORE);
    caller.answer(head, true).await
}

/// A "no", as a JSON-RPC error.
pub(super) async fn refuse(
    caller: &mut Caller<'_>,
    exchange: &mut Exchange,
    id: Option<&str>,
    refusal: &Refusal,
) -> Result<()> {
    exchange.outcome = refusal.label;
    let body = refusal.body(id, exchange.request_id());
    let mut head = own(exchange, refusal.status, JSON, body.len());
    if let Some((name, value)) = &refusal.header {
        put(&mut head, name, value)?;
    }
    write(caller, head, [body]).await?;
    throw_away(caller).await;
    Ok(())
}

/// An answer of a REST surface, in pieces.
pub(super) async fn say(
    caller: &mut Caller<'_>,
    exchange: &mut Exchange,
    status: u16,
    content_type: &'static str,
    headers: &[(&'static str, &'static str)],
    body: Vec<Bytes>,
) -> Result<()> {
    let mut head = own(exchange, status, content_type, body.iter().map(Bytes::len).sum());
    for (name, value) in headers {
        put(&mut head, name, value)?;
    }
    write(caller, head, body).await
}

/// A "no" in the shape of a REST surface.
pub(super) async fn say_no(
    caller: &mut Caller<'_>,
    exchange: &mut Exchange,
    no: Shaped,
    more: Option<(&'static str, &'static str)>,
) -> Result<()> {
    exchange.outcome = no.label;
    let mut head = own(exchange, no.status, no.content_type, no.body.len());
    if let Some((name, value)) = &no.header {
        put(&mut head, name, value)?;
    }
    if let Some((name, value)) = more {
        put(&mut head, name, value)?;
    }
    if caller.head().method == Method::HEAD {
        return caller.answer(head, true).await;
    }
    write(caller, head, [no.body]).await?;
    throw_away(caller).await;
    Ok(())
}

/// The head of an answer whose body was not asked for.
pub(super) async fn say_head(
    caller: &mut Caller<'_>,
    exchange: &mut Exchange,
    content_type: &'static str,
    bytes: usize,
) -> Result<()> {
    let mut head = head(exchange, 200, Length::Known(bytes), NO_STORE);
    head.put(CONTENT_TYPE, HeaderValue::from_static(content_type));
    caller.answer(head, true).await
}

/// The head of an event stream, and nothing of it.
pub(super) async fn begin_events(caller: &mut Caller<'_>, exchange: &mut Exchange) -> Result<()> {
    let mut head = head(exchange, 200, Length::Unknown, NO_TRANSFORM);
    head.put(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    head.put(ACCEL_BUFFERING.clone(), NO);
    caller.answer(head, true).await
}

/// How the client reaches this gateway, as it says itself.
pub(super) fn base_url(caller: &Caller<'_>) -> String {
    let head = caller.head();
    let host = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or(head.uri.authority().map(http::uri::Authority::as_str)).unwrap_or("localhost");
    format!("{}://{host}", if caller.is_tls() { "https" } else { "http" })
}

/// Closing a connection with unread bytes in it resets it, and the refusal may be lost with that.
/// So what the client is sending is thrown away for a moment.
async fn throw_away(caller: &mut Caller<'_>) {
    let rest = async {
        let mut bytes = 0;
        while let Ok(Some(chunk)) = caller.read().await {
            bytes += chunk.len();
            if bytes > THROWN_AWAY_BYTES_MAX {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(LISTEN_AFTER_REFUSAL, rest).await;
}

fn head(exchange: &mut Exchange, status: u16, length: Length, cache: HeaderValue) -> Head {
    exchange.status = status;
    let mut fields = Vec::with_capacity(FIELDS);
    fields.push((CACHE_CONTROL, cache));
    fields.push((REQUEST_ID.clone(), exchange.name.clone()));
    Head { status, is_last: exchange.is_draining(), length, fields }
}

/// The head of an answer that is the gateway's own, whatever it is made of.
fn own(exchange: &mut Exchange, status: u16, content_type: &'static str, bytes: usize) -> Head {
    exchange.response_bytes = bytes;
    let mut head = head(exchange, status, Length::Known(bytes), NO_STORE);
    head.put(CONTENT_TYPE, HeaderValue::from_static(content_type));
    head
}

fn put(head: &mut Head, name: &str, value: &str) -> Result<()> {
    let name = HeaderName::from_bytes(name.as_bytes()).or_err(ErrorType::InternalError, "a field's name")?;
    head.put(name, text(value)?);
    Ok(())
}

fn text(value: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(value).or_err(ErrorType::InternalError, "a field's value")
}

async fn write(caller: &mut Caller<'_>, head: Head, pieces: impl IntoIterator<Item = Bytes>) -> Result<()> {
    caller.answer(head, false).await?;
    let mut pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_some() {
            caller.hold();
        }
        caller.write(piece).await?;
    }
    caller.end().await
}

/// The client of a conversation.
pub(super) struct Client<'c, 'l> {
    caller: &'c mut Caller<'l>,
    exchange: &'c mut Exchange,
}

impl Client<'_, '_> {
    pub(super) fn new<'c, 'l>(caller: &'c mut Caller<'l>, exchange: &'c mut Exchange) -> Client<'c, 'l> {
        Client { caller, exchange }
    }

    fn head(&mut self, answer: AnswerHead) -> Head {
        let length = answer.content_length.and_then(|bytes| usize::try_from(bytes).ok());
        let is_stream = answer.content_type.as_bytes().starts_with(b"text/event-stream");
        let cache = if is_stream { NO_TRANSFORM } else { NO_STORE };
        let mut head = head(self.exchange, answer.status, length.map_or(Length::Unknown, Length::Known), cache);
        if is_stream {
            head.put(ACCEL_BUFFERING.clone(), NO);
            self.exchange.stream_begins(self.caller);
        }
        head.put(CONTENT_TYPE, answer.content_type);
        if let Some(after) = answer.retry_after {
            head.put(RETRY_AFTER, after);
        }
        head
    }
}

impl Downstream for Client<'_, '_> {
    fn begin(&mut self, answer: AnswerHead) -> impl Future<Output = std::result::Result<(), Gone>> {
        let head = self.head(answer);
        async move { self.caller.answer(head, false).await.map_err(|_| Gone) }
    }

    async fn chunk(&mut self, chunk: Bytes) -> std::result::Result<(), Gone> {
        let written = self.caller.write(chunk).await;
        written.map_err(|error| {
            if matches!(error.etype(), ErrorType::WriteTimedout) {
                self.exchange.outcome = SLOW_READER;
            }
            Gone
        })
    }

    fn hold(&mut self) {
        self.caller.hold();
    }

    async fn end(&mut self) -> std::result::Result<(), Gone> {
        self.caller.end().await.map_err(|_| Gone)
    }

    async fn beat(&mut self) -> std::result::Result<(), Gone> {
        self.chunk(Bytes::from_static(b": heartbeat\n\n")).await
    }

    async fn gone(&mut self) {
        self.caller.gone().await;
    }
}
