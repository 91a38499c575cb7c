//! Handing an answer on: what is right passes as it came, chunk by chunk; what is wrong becomes an
//! error that says who failed.

mod events;

use super::deadline::Deadline;
use super::legacy::is_gone;
use super::{AnswerHead, Downstream, MayStay, Stop, Trace, timed_out};
use crate::failure::{Failure, Reason};
use crate::gateway::Gateway;
use crate::session::{Opened, Upstreams};
use crate::upstream::{Endpoint, Fault, Link, Pool, sleep_until};
use bytes::Bytes;
use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use memchr::memmem;
use tollbridge_filters::era::Era;
use tollbridge_filters::glance::Outline;
use tollbridge_filters::headers::is_media;
use tollbridge_filters::rejection::Rejection;

/// A JSON answer up to this size is complete before its head goes down, so that half of it is an
/// error and not half an answer. Larger ones are handed on as they come.
pub(super) const HELD_BYTES_MAX: usize = 64 * 1024;

const NO_ANSWER: &str = "its body is no JSON-RPC answer, or not all of one";

enum Form {
    Json,
    Events,
    Other,
}

/// That somebody calls too often, or that we stop, says nothing about the endpoint's health.
fn counts(failure: &Failure) -> bool {
    !matches!(failure.reason, Reason::Overloaded { status: 429, .. } | Reason::Stopping)
}

pub(super) fn status_of(link: &Link) -> u16 {
    link.head().map_or(502, |head| head.status)
}

fn form_of(link: &Link) -> Form {
    let media = link.head().and_then(|head| head.text(CONTENT_TYPE)).filter(|media| media.is_ascii());
    match media.unwrap_or_default() {
        media if is_media(media, "application/json") => Form::Json,
        media if is_media(media, "text/event-stream") => Form::Events,
        _ => Form::Other,
    }
}

fn head_of(link: &Link) -> AnswerHead {
    let field = |name| link.head().and_then(|head| head.value(name));
    AnswerHead {
        status: status_of(link),
        content_type: field(CONTENT_TYPE).unwrap_or_else(|| HeaderValue::from_static("")),
        content_length: link.head().and_then(|head| head.text(CONTENT_LENGTH)?.parse().ok()),
        retry_after: field(RETRY_AFTER),
    }
}

/// What an answer is the answer to.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) gateway: &'a Gateway,
    /// As it was sent.
    pub(super) id: Option<&'a str>,
    pub(super) era: Era,
    pub(super) awaits: Awaits,
    /// Whether the caller hears of failures in words of its own.
    pub(super) is_shaped: bool,
    /// Whether the client may still read what it reads, asked now and then.
    pub(super) may_stay: &'a MayStay,
    /// The session with which a stream of news ends.
    pub(super) session: Option<&'a Upstreams>,
}

/// What a stream is open for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaits {
    Answer,
    /// News, as long as both sides like.
    News,
}

/// An answer on its way from the server to the client.
pub(super) struct Relay<'r, D> {
    pub(super) asked: Asked<'r>,
    pub(super) pool: &'r Pool,
    pub(super) endpoint: &'r Endpoint,
    pub(super) link: Link,
    pub(super) down: &'r mut D,
    pub(super) deadline: &'r mut Deadline,
    pub(super) trace: &'r mut Trace,
    /// The session that it is asked in.
    pub(super) in_session: Option<&'r Opened>,
}

impl<D: Downstream> Relay<'_, D> {
    /// No `async fn`: on the way of every call, that would have room twice for what it is given.
    pub(super) fn run(self) -> impl Future<Output = Result<(), Stop>> {
        let mut relay = self;
        async move {
            let done = relay.answer().await;
            relay.judge(&done);
            relay.link.close().await;
            done
        }
    }

    /// What the answer says of the endpoint.
    fn judge(&self, done: &Result<(), Stop>) {
        if self.trace.broken_off {
            self.pool.failed(self.endpoint);
        } else if done.is_ok() && self.trace.status < 500 {
            self.endpoint.health.answered();
        } else if matches!(done, Err(Stop::Failed(failure) | Stop::Broken(failure)) if counts(failure)) {
            self.pool.failed(self.endpoint);
        }
        if self.trace.status == 429 {
            let after = self.link.head().and_then(|head| head.text(RETRY_AFTER));
            self.pool.overloaded(self.endpoint, after);
        }
    }

    async fn answer(&mut self) -> Result<(), Stop> {
        self.trace.status = status_of(&self.link);
        let encoding = self.link.head().and_then(|head| head.value(CONTENT_ENCODING));
        let encoded = encoding.is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
        match (self.trace.status, form_of(&self.link)) {
            _ if encoded => Err(self.bad_reply("it is encoded although identity was asked for")),
            (200, Form::Events) => Box::pin(self.events(head_of(&self.link))).await,
            (200, Form::Json) => self.json().await,
            (_, form) => Box::pin(self.refused(head_of(&self.link), form)).await,
        }
    }

    /// A JSON answer: held while it is small and incomplete, then handed on.
    async fn json(&mut self) -> Result<(), Stop> {
        let mut outline = Outline::default();
        let mut held = Vec::new();
        let mut bytes = 0;
        let complete = loop {
            match self.next().await? {
                None => break true,
                Some(chunk) => {
                    bytes += chunk.len();
                    outline.push(&chunk);
                    keep(&mut held, chunk);
                    self.trace.outcome = outline.outcome();
                }
            }
            if bytes > HELD_BYTES_MAX {
                break false;
            }
        };
        if complete && !outline.is_answer() || outline.is_broken() {
            return Err(self.bad_reply(NO_ANSWER));
        }
        let head = head_of(&self.link);
        let content_length = head.content_length.or(complete.then_some(bytes as u64));
        self.down.begin(AnswerHead { content_length, ..head }).await?;
        for chunk in held {
            self.pass(chunk).await?;
        }
        if !complete {
            Box::pin(self.rest(outline)).await?;
        }
        Ok(self.down.end().await?)
    }

    async fn rest(&mut self, mut outline: Outline) -> Result<(), Stop> {
        loop {
            // A server that is always ahead of its client is late as well.
            if self.deadline.is_over() {
                return Err(Stop::Broken(timed_out(&self.pool.server.id, self.deadline)));
            }
            match self.next().await {
                Ok(Some(chunk)) => {
                    outline.push(&chunk);
                    self.pass(chunk).await?;
                }
                Ok(None) if outline.is_answer() => return Ok(()),
                Ok(None) => {
                    let reason = Reason::BadReply(NO_ANSWER.to_owned());
                    return Err(Stop::Broken(Failure::answered(&self.pool.server.id, reason)));
                }
                Err(Stop::Failed(failure)) => return Err(Stop::Broken(failure)),
                Err(stop) => return Err(stop),
            }
        }
    }

    /// Everything but 200 with JSON or events.
    async fn refused(&mut self, head: AnswerHead, form: Form) -> Result<(), Stop> {
        let status = head.status;
        if let 401 | 403 = status {
            return Err(self.failed(Reason::Credential(status)));
        }
        let body = match form {
            Form::Json => self.whole(self.asked.gateway.live().conf.limits.response_bytes).await?,
            Form::Events | Form::Other => Bytes::new(),
        };
        let speaks = memmem::find(&body, b"\"jsonrpc\"").is_some() && memmem::find(&body, b"\"error\"").is_some();
        let is_answer = speaks && !is_transport_error(&body);
        if !is_answer && (status == 404 || status == 400 && speaks) && self.has_lost_session(status).await {
            return Err(Stop::Rejected(Rejection::SessionNotFound));
        }
        match status {
            400..=599 if speaks => {
                if status >= 500 {
                    self.pool.failed(self.endpoint);
                }
                // In a session 404 says that the session is gone, and it is not.
                let is_legacy = self.asked.era == Era::Legacy;
                let status = if is_legacy && status == 404 { 200 } else { status };
                self.down.begin(AnswerHead { status, content_length: Some(body.len() as u64), ..head }).await?;
                self.pass(body).await?;
                Ok(self.down.end().await?)
            }
            429 | 503 => {
                let retry_after = head.retry_after.and_then(|value| value.to_str().map(str::to_owned).ok());
                Err(self.failed(Reason::Overloaded { status, retry_after }))
            }
            404 | 405 if self.asked.awaits == Awaits::News && self.asked.era == Era::Legacy => {
                Err(Stop::Rejected(Rejection::MethodNotAllowed { allow: "POST, DELETE".to_owned() }))
            }
            _ => Err(self.bad_reply(&format!("HTTP status {status}, {}", describe(&head.content_type)))),
        }
    }

    /// Whether the session is no more. 404 says so to a request (MCP 2025-11-25, Session Management); 400, or
    /// 404 to who wants a stream, may say something else, and then the session answers a ping.
    async fn has_lost_session(&self, status: u16) -> bool {
        let Some(opened) = self.in_session.filter(|opened| opened.id.is_some()) else {
            return false;
        };
        let is_said = status == 404 && self.asked.awaits == Awaits::Answer;
        is_said || is_gone(self.pool, self.endpoint, opened).await
    }

    /// The whole of a short body.
    pub(super) async fn whole(&mut self, bytes_max: usize) -> Result<Bytes, Stop> {
        let mut body = Vec::new();
        while let Some(chunk) = self.next().await? {
            body.extend_from_slice(&chunk);
            if body.len() > bytes_max {
                return Err(self.bad_reply(&format!("its error is longer than {bytes_max} bytes")));
            }
        }
        Ok(body.into())
    }

    /// The next piece; the client may go and the time may run out meanwhile.
    async fn next(&mut self) -> Result<Option<Bytes>, Stop> {
        let until = self.deadline.at();
        tokio::select! {
            biased;
            next = self.piece() => next,
            () = sleep_until(until) => Err(Stop::Failed(timed_out(&self.pool.server.id, self.deadline))),
        }
    }

    /// The next piece, however long it takes; the client may go meanwhile.
    async fn piece(&mut self) -> Result<Option<Bytes>, Stop> {
        tokio::select! {
            biased;
            chunk = self.link.chunk() => chunk.map_err(|fault| Stop::Failed(broke_off(&self.pool.server.id, fault))),
            () = self.down.gone() => Err(Stop::Gone),
        }
    }

    pub(super) async fn pass(&mut self, chunk: Bytes) -> Result<(), Stop> {
        // HTTP/2 may end with an empty frame; written as a chunk it would end the body.
        if chunk.is_empty() {
            return Ok(());
        }
        self.trace.response_bytes += chunk.len();
        Ok(self.down.chunk(chunk).await?)
    }

    pub(super) fn bad_reply(&self, why: &str) -> Stop {
        self.failed(Reason::BadReply(why.to_owned()))
    }

    pub(super) fn failed(&self, reason: Reason) -> Stop {
        Stop::Failed(Failure::answered(&self.pool.server.id, reason))
    }
}

/// Puts a piece to those that are held. A small one would keep all of the buffer that it was read into, so
/// that a server which sends byte by byte could fill the memory.
pub(super) fn keep(held: &mut Vec<Bytes>, chunk: Bytes) {
    const SMALL: usize = 1024;
    let is_small = !held.is_empty() && chunk.len() < SMALL;
    held.push(if is_small { Bytes::copy_from_slice(&chunk) } else { chunk });
}

fn broke_off(server: &tollbridge_filters::names::ServerId, fault: Fault) -> Failure {
    Failure::answered(server, Reason::BadReply(format!("it broke off ({fault})")))
}

/// Servers of the legacy era say 400 to a session that they do not know any more, with an error that
/// belongs to no request: its id is null, missing or made up.
fn is_transport_error(body: &[u8]) -> bool {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let id = tollbridge_filters::json::find(text, ["id"]).ok().flatten();
    !matches!(id.and_then(|place| text.get(place)), Some(id) if id != "null" && id != "\"server-error\"")
}

fn describe(content_type: &HeaderValue) -> String {
    match content_type.to_str() {
        Ok("") | Err(_) => "no content type".to_owned(),
        Ok(text) => format!("content type {text}"),
    }
}
