//! A server's event stream that the gateway itself reads, event by event.

use super::endpoint::Endpoint;
use super::head::Head;
use super::link::{Fault, Link};
use crate::conf::Limits;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use std::collections::VecDeque;
use tollbridge_filters::headers::media_type;
use tollbridge_filters::sse::{Event, Events};

/// Of an answer that is no stream.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

pub struct EventStream {
    link: Link,
    event_bytes_max: usize,
    events: Events,
    complete: VecDeque<Event>,
}

/// What a server answers to who wants a stream.
pub enum Opening {
    Stream(EventStream),
    Refused { status: u16, body: Bytes },
}

impl EventStream {
    /// Sends a request, and waits for the head of its answer.
    pub async fn open(endpoint: &Endpoint, head: &Head<'_>, body: Bytes, limits: &Limits) -> Result<Opening, Fault> {
        let mut link = Link::send(endpoint, head, body).await?;
        let answer = link.answer().await?;
        let status = answer.status;
        let media = answer.text(CONTENT_TYPE).map(media_type);
        if status == 200 && media.as_deref() == Some("text/event-stream") {
            link.bound(limits.socket_bytes);
            let (events, complete) = (Events::default(), VecDeque::new());
            let event_bytes_max = limits.event_bytes;
            return Ok(Opening::Stream(EventStream { link, event_bytes_max, events, complete }));
        }
        let mut body = Vec::new();
        while let Some(chunk) = link.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > REFUSAL_BYTES_MAX {
                return Ok(Opening::Refused { status, body: Bytes::new() });
            }
        }
        link.close().await;
        Ok(Opening::Refused { status, body: body.into() })
    }

    /// The next event; `None` at the proper end of the stream.
    pub async fn next(&mut self) -> Result<Option<Event>, Fault> {
        loop {
            if let Some(event) = self.complete.pop_front() {
                return Ok(Some(event));
            }
            let Some(chunk) = self.link.chunk().await? else {
                return Ok(None);
            };
            let complete = self.events.push(&chunk, self.event_bytes_max);
            self.complete = complete.map_err(|too_large| Fault::Lost(too_large.to_string()))?.into();
        }
    }
}
