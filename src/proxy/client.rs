//! Writing to the client: answers of our own, and what a conversation hands on.

use super::exchange::Exchange;
use super::watched::Turn;
use crate::answer::Body;
use crate::carry::{AnswerHead, Downstream, Gone};
use crate::reply::{Refusal, Shaped};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method, Version};
use pingora::http::ResponseHeader;
use pingora::{ErrorType, Result};
use pingora_proxy::Session;
use std::time::Duration;
use tollbridge_filters::headers::SESSION_ID;

/// How much, and for how long.
const THROWN_AWAY_BYTES_MAX: usize = 256 * 1024;
const LISTEN_AFTER_REFUSAL: Duration = Duration::from_millis(500);

/// Who was cut because a write to it has blocked for longer than `limits.write_timeout`.
const SLOW_READER: &str = "slow_reader";

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An answer of the gateway's own.
pub(super) async fn answer(
    session: &mut Session,
    exchange: &mut Exchange,
    session_id: Option<&str>,
    body: Body,
) -> Result<()> {
    let mut head = head(exchange, 200)?;
    head.insert_header(CONTENT_TYPE, "application/json")?;
    head.insert_header(CONTENT_LENGTH, body.bytes())?;
    if let Some(id) = session_id {
        head.insert_header(SESSION_ID, id)?;
    }
    exchange.response_bytes = body.bytes();
    write(session, head, body.front, Some(body.rest)).await
}

/// Nothing to say but that it was taken.
pub(super) async fn accept(session: &mut Session, exchange: &mut Exchange, status: u16) -> Result<()> {
    let mut head = head(exchange, status)?;
    head.insert_header(CONTENT_LENGTH, 0)?;
    session.write_response_header(Box::new(head), true).await
}

/// A "no", as a JSON-RPC error.
pub(super) async fn refuse(
    session: &mut Session,
    exchange: &mut Exchange,
    id: Option<&str>,
    refusal: &Refusal,
) -> Result<()> {
    exchange.outcome = refusal.label;
    let body = refusal.body(id, &exchange.request_id());
    let mut head = head(exchange, refusal.status)?;
    head.insert_header(CONTENT_TYPE, "application/json")?;
    head.insert_header(CONTENT_LENGTH, body.len())?;
    if let Some((name, value)) = &refusal.header {
        head.insert_header(*name, value.as_str())?;
    }
    exchange.response_bytes = body.len();
    write(session, head, body, None).await?;
    throw_away(session).await;
    Ok(())
}

/// An answer of a REST surface, in pieces.
pub(super) async fn say(
    session: &mut Session,
    exchange: &mut Exchange,
    status: u16,
    content_type: &'static str,
    headers: &[(&'static str, &'static str)],
    body: Vec<Bytes>,
) -> Result<()> {
    let bytes = body.iter().map(Bytes::len).sum();
    let mut head = head(exchange, status)?;
    head.insert_header(CONTENT_TYPE, content_type)?;
    head.insert_header(CONTENT_LENGTH, bytes)?;
    for (name, value) in headers {
        head.insert_header(*name, *value)?;
    }
    exchange.response_bytes = bytes;
    let mut pieces = body.into_iter();
    let front = pieces.next().unwrap_or_default();
    let rest = match pieces.len() {
        0 => None,
        1 => pieces.next(),
        _ => Some(pieces.collect::<Vec<_>>().concat().into()),
    };
    write(session, head, front, rest).await
}

/// A "no" in the shape of a REST surface.
pub(super) async fn say_no(
    session: &mut Session,
    exchange: &mut Exchange,
    no: Shaped,
    more: Option<(&'static str, &'static str)>,
) -> Result<()> {
    exchange.outcome = no.label;
    let mut head = head(exchange, no.status)?;
    head.insert_header(CONTENT_TYPE, no.content_type)?;
    head.insert_header(CONTENT_LENGTH, no.body.len())?;
    if let Some((name, value)) = &no.header {
        head.insert_header(*name, value.as_str())?;
    }
    if let Some((name, value)) = more {
        head.insert_header(name, value)?;
    }
    exchange.response_bytes = no.body.len();
    if session.req_header().method == Method::HEAD {
        return session.write_response_header(Box::new(head), true).await;
    }
    write(session, head, no.body, None).await?;
    throw_away(session).await;
    Ok(())
}

/// The head of an answer whose body was not asked for.
pub(super) async fn say_head(
    session: &mut Session,
    exchange: &mut Exchange,
    content_type: &'static str,
    bytes: usize,
) -> Result<()> {
    let mut head = head(exchange, 200)?;
    head.insert_header(CONTENT_TYPE, content_type)?;
    head.insert_header(CONTENT_LENGTH, bytes)?;
    session.write_response_header(Box::new(head), true).await
}

/// The head of an event stream, and nothing of it.
pub(super) async fn begin_events(session: &mut Session, exchange: &mut Exchange) -> Result<()> {
    let mut head = head(exchange, 200)?;
    head.insert_header(CONTENT_TYPE, "text/event-stream")?;
    head.insert_header(CACHE_CONTROL, "no-cache, no-transform")?;
    head.insert_header("X-Accel-Buffering", "no")?;
    session.write_response_header(Box::new(head), true).await
}

/// How the client reaches this gateway, as it says itself.
pub(super) fn base_url(session: &Session) -> String {
    let head = session.req_header();
    let host = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or(head.uri.authority().map(http::uri::Authority::as_str)).unwrap_or("localhost");
    let is_tls = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
    format!("{}://{host}", if is_tls { "https" } else { "http" })
}

/// Closing a connection with unread bytes in it resets it, and the refusal may be lost with that.
/// So what the client is sending is thrown away for a moment.
async fn throw_away(session: &mut Session) {
    let rest = async {
        let mut bytes = 0;
        while let Ok(Some(chunk)) = session.downstream_session.read_request_body().await {
            bytes += chunk.len();
            if bytes > THROWN_AWAY_BYTES_MAX {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(LISTEN_AFTER_REFUSAL, rest).await;
}

fn head(exchange: &mut Exchange, status: u16) -> Result<ResponseHeader> {
    exchange.status = status;
    // Pingora knows how common fields are written; the case of others is not worth a second map.
    let mut head = ResponseHeader::build_no_case(status, Some(8))?;
    head.insert_header(CACHE_CONTROL, NO_STORE)?;
    head.insert_header(&REQUEST_ID, exchange.request_id())?;
    Ok(head)
}

async fn write(session: &mut Session, head: ResponseHeader, front: Bytes, rest: Option<Bytes>) -> Result<()> {
    session.write_response_header(Box::new(head), false).await?;
    // A short answer is one write; a long list is not copied for the sake of it.
    const JOINED_BYTES_MAX: usize = 16 * 1024;
    match rest {
        None => session.write_response_body(Some(front), true).await,
        Some(rest) if front.len() + rest.len() <= JOINED_BYTES_MAX => {
            let joined = [front, rest].concat();
            session.write_response_body(Some(joined.into()), true).await
        }
        Some(rest) => {
            session.write_response_body(Some(front), false).await?;
            session.write_response_body(Some(rest), true).await
        }
    }
}

/// The client of a conversation.
pub(super) struct Client<'c> {
    session: &'c mut Session,
    exchange: &'c mut Exchange,
}

impl Client<'_> {
    pub(super) fn new<'c>(session: &'c mut Session, exchange: &'c mut Exchange) -> Client<'c> {
        Client { session, exchange }
    }

    fn head(&mut self, answer: AnswerHead) -> Result<ResponseHeader> {
        let mut head = head(self.exchange, answer.status)?;
        let streams = answer.content_type.as_bytes().starts_with(b"text/event-stream");
        head.insert_header(CONTENT_TYPE, answer.content_type)?;
        match answer.content_length {
            Some(bytes) => head.insert_header(CONTENT_LENGTH, bytes)?,
            // RFC 9112, 6.1: who speaks HTTP/1.0 takes the end of the connection for the end of the body.
            None if self.session.req_header().version < Version::HTTP_11 => self.session.set_keepalive(None),
            None => head.insert_header(TRANSFER_ENCODING, "chunked")?,
        }
        if streams {
            head.insert_header(CACHE_CONTROL, "no-cache, no-transform")?;
            head.insert_header("X-Accel-Buffering", "no")?;
            self.exchange.stream_begins(self.session);
        }
        if let Some(after) = answer.retry_after {
            head.insert_header(RETRY_AFTER, after)?;
        }
        Ok(head)
    }
}

impl Downstream for Client<'_> {
    async fn begin(&mut self, answer: AnswerHead) -> std::result::Result<(), Gone> {
        let head = self.head(answer).map_err(|_| Gone)?;
        self.session.write_response_header(Box::new(head), false).await.map_err(|_| Gone)
    }

    async fn chunk(&mut self, chunk: Bytes) -> std::result::Result<(), Gone> {
        let written = self.session.write_response_body(Some(chunk), false).await;
        written.map_err(|error| {
            if matches!(error.etype(), ErrorType::WriteTimedout) {
                self.exchange.outcome = SLOW_READER;
            }
            Gone
        })
    }

    fn hold(&mut self) {
        Turn::hold(self.session);
    }

    async fn end(&mut self) -> std::result::Result<(), Gone> {
        self.session.write_response_body(None, true).await.map_err(|_| Gone)
    }

    async fn beat(&mut self) -> std::result::Result<(), Gone> {
        self.chunk(Bytes::from_static(b": heartbeat\n\n")).await
    }

    async fn gone(&mut self) {
        // Whatever it says, end of stream, an error or more bytes, this client is not listening.
        let _ = self.session.downstream_session.read_body_or_idle(true).await;
    }
}
