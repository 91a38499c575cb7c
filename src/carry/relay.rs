//! Handing an answer on: what is right passes as it came, chunk by chunk; what is wrong becomes an
//! error that says who failed.

use super::deadline::Deadline;
use super::{AnswerHead, Downstream, MayStay, Stop, Trace, timed_out};
use crate::failure::{Failure, Reason};
use crate::gateway::Gateway;
use crate::reply;
use crate::server::Stage;
use crate::session::Upstreams;
use crate::upstream::{Endpoint, Fault, Link, Pool};
use bytes::Bytes;
use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use memchr::memmem;
use std::time::Instant;
use tollbridge_filters::era::Era;
use tollbridge_filters::glance::{Outline, Watch, Word};
use tollbridge_filters::headers::media_type;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::sse;

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

fn read_head(link: &Link) -> (AnswerHead, Form) {
    let field = |name| link.head().and_then(|head| head.headers.get(name)).cloned();
    let content_type = field(CONTENT_TYPE).unwrap_or_else(|| HeaderValue::from_static(""));
    let form = match media_type(content_type.to_str().unwrap_or_default()).as_str() {
        "application/json" => Form::Json,
        "text/event-stream" => Form::Events,
        _ => Form::Other,
    };
    let length = field(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let status = link.head().map_or(502, |head| head.status.as_u16());
    (AnswerHead { status, content_type, content_length: length, retry_after: field(RETRY_AFTER) }, form)
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
    /// Whether the server gave a session id, and so can have lost the session.
    pub(super) in_session: bool,
}

impl<D: Downstream> Relay<'_, D> {
    pub(super) async fn run(mut self) -> Result<(), Stop> {
        let done = self.answer().await;
        if self.trace.broken_off {
            self.pool.failed(self.endpoint);
        } else if done.is_ok() && self.trace.status < 500 {
            self.endpoint.health.answered();
        } else if matches!(&done, Err(Stop::Failed(failure) | Stop::Broken(failure)) if counts(failure)) {
            self.pool.failed(self.endpoint);
        }
        if self.trace.status == 429 {
            let after = self.link.head().and_then(|head| head.headers.get(RETRY_AFTER)?.to_str().ok());
            self.pool.overloaded(self.endpoint, after);
        }
        self.link.close().await;
        done
    }

    async fn answer(&mut self) -> Result<(), Stop> {
        let (head, form) = read_head(&self.link);
        self.trace.status = head.status;
        let encoded = self.link.head().is_some_and(|head| {
            head.headers.get(CONTENT_ENCODING).is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
        });
        match (head.status, form) {
            _ if encoded => Err(self.bad_reply("it is encoded although identity was asked for")),
            (200, Form::Events) => self.events(head).await,
            (200, Form::Json) => self.json(head).await,
            (_, form) => self.refused(head, form).await,
        }
    }

    /// An event stream: every chunk goes on when it comes. While none comes, signs of life do.
    async fn events(&mut self, head: AnswerHead) -> Result<(), Stop> {
        self.trace.streamed = true;
        self.down.begin(AnswerHead { content_length: None, ..head }).await?;
        let Asked { gateway, awaits, session, .. } = self.asked;
        let heartbeat = gateway.live().conf.limits.heartbeat;
        let last_stage = if awaits == Awaits::News { Stage::Closed } else { Stage::Ending };
        let stops = async {
            tokio::select! {
                () = gateway.lifecycle.reached(last_stage) => {}
                () = ends(session) => {}
            }
        };
        tokio::pin!(stops);
        let (mut watch, mut changes, mut questions) = (Watch::default(), self.changes(), self.questions());
        let mut beat = Instant::now() + heartbeat;
        loop {
            let next = tokio::select! {
                biased;
                () = &mut stops => return self.stop(&watch).await,
                next = self.next() => next,
                () = tokio::time::sleep_until(beat.into()) => {
                    beat = Instant::now() + heartbeat;
                    if awaits == Awaits::News && !(self.asked.may_stay)() {
                        return self.stop(&watch).await;
                    }
                    if watch.is_between_events() {
                        self.down.beat().await?;
                    }
                    continue;
                }
            };
            match next {
                Ok(Some(chunk)) => {
                    if questions.as_mut().is_some_and(|questions| questions.ends_in(&chunk)) {
                        self.deadline.wait_for_client();
                    }
                    self.deadline.extend();
                    beat = Instant::now() + heartbeat;
                    watch.push(&chunk);
                    self.trace.outcome = watch.outcome();
                    if changes.as_mut().is_some_and(|changes| changes.ends_in(&chunk)) {
                        self.look_anew().await;
                    }
                    self.pass(chunk).await?;
                }
                Ok(None) if self.may_end(&watch) => return Ok(self.down.end().await?),
                Ok(None) => {
                    let reason = Reason::BadReply("its stream ended without an answer".to_owned());
                    return self.end_stream(Failure::answered(&self.pool.server.id, reason), &watch).await;
                }
                Err(Stop::Failed(failure)) => return self.end_stream(failure, &watch).await,
                Err(stop) => return Err(stop),
            }
        }
    }

    /// A stream holds the answer, or the request is lost (MCP 2026-07-28, Streamable HTTP). In the legacy
    /// era it may end before, and go on where the rest is asked for (MCP 2025-11-25, Resumability).
    fn may_end(&self, watch: &Watch) -> bool {
        match (self.asked.awaits, self.asked.era) {
            (Awaits::News, _) => true,
            (Awaits::Answer, Era::Modern) => watch.has_answer(),
            (Awaits::Answer, Era::Legacy) => watch.has_answer() || watch.has_id(),
        }
    }

    /// Modern streams have no business with lists but those that were asked for.
    fn changes(&self) -> Option<Word> {
        let Asked { awaits, era, .. } = self.asked;
        (era == Era::Legacy || awaits == Awaits::News).then(|| Word::new("/list_changed"))
    }

    /// In the legacy era a server asks its client on the stream of the call (`elicitation/create`,
    /// `sampling/createMessage`).
    fn questions(&self) -> Option<Word> {
        (self.asked.era == Era::Legacy).then(|| Word::new("/create"))
    }

    /// What a client lists when it hears that a list has changed is what is listed then.
    async fn look_anew(&self) {
        let most = self.asked.gateway.live().conf.discovery.timeout;
        self.pool.renewal.look(most).await;
    }

    /// The gateway ends the stream: the process stops, or the client may not listen any more.
    async fn stop(&mut self, watch: &Watch) -> Result<(), Stop> {
        match (self.asked.awaits, self.asked.era, self.asked.id) {
            (Awaits::News, Era::Legacy, _) | (Awaits::News, _, None) if watch.is_between_events() => {}
            (Awaits::News, Era::Modern, Some(id)) if watch.is_between_events() => {
                let event = sse::Event::message(super::listen::farewell(id)).write();
                self.pass(event.into()).await?;
            }
            _ => return self.end_stream(Failure::stopping(&self.pool.server.id), watch).await,
        }
        Ok(self.down.end().await?)
    }

    /// The stream broke off: the client is told in the stream, if that can be done without making
    /// a whole event out of half a one.
    async fn end_stream(&mut self, failure: Failure, watch: &Watch) -> Result<(), Stop> {
        if !watch.is_between_events() {
            return Err(Stop::Broken(failure));
        }
        // Callers of other surfaces are told in their own words.
        if self.asked.is_shaped {
            return Err(Stop::Failed(failure));
        }
        // Who resumes gets the rest; who hears news hears that there are no more.
        if !(self.asked.era == Era::Legacy && (watch.has_id() || self.asked.awaits == Awaits::News)) {
            let error = reply::failed(&failure).body(self.asked.id, &self.trace.request_id);
            let event = sse::Event::message(String::from_utf8_lossy(&error)).write();
            self.pass(event.into()).await?;
        }
        self.down.end().await?;
        tracing::info!(server = %self.pool.server.id, %failure, "an event stream broke off");
        self.trace.broken_off = true;
        Ok(())
    }

    /// A JSON answer: held while it is small and incomplete, then handed on.
    async fn json(&mut self, head: AnswerHead) -> Result<(), Stop> {
        let mut outline = Outline::default();
        let mut held = Vec::new();
        let mut bytes = 0;
        let complete = loop {
            match self.next().await? {
                None => break true,
                Some(chunk) => {
                    bytes += chunk.len();
                    outline.push(&chunk);
                    held.push(chunk);
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
        self.down
            .begin(AnswerHead { content_length: head.content_length.or(complete.then_some(bytes as u64)), ..head })
            .await?;
        for chunk in held {
            self.pass(chunk).await?;
        }
        if !complete {
            self.rest(outline).await?;
        }
        Ok(self.down.end().await?)
    }

    async fn rest(&mut self, mut outline: Outline) -> Result<(), Stop> {
        loop {
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
        if self.in_session && !is_answer && (status == 404 || status == 400 && speaks) {
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
            _ => Err(self.bad_reply(&format!("HTTP status {status}, {}", describe(&head.content_type)))),
        }
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
        let server = &self.pool.server.id;
        tokio::select! {
            biased;
            chunk = self.link.chunk() => chunk.map_err(|fault| Stop::Failed(broke_off(server, fault))),
            () = self.down.gone() => Err(Stop::Gone),
            () = tokio::time::sleep_until(self.deadline.at().into()) => {
                Err(Stop::Failed(timed_out(server, self.deadline)))
            }
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

/// Waits until the client ends its session.
async fn ends(session: Option<&Upstreams>) {
    match session {
        // The sender lives as long as the session is held.
        Some(session) => _ = session.news().wait_for(|news| news.ended).await,
        None => std::future::pending().await,
    }
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
