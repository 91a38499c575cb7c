//! Reading the stream of one server of a session, for a client that reads those of several: asked for
//! again where it ends, from the last event on.

use super::fan_in::{Feed, Piece};
use super::legacy::{forget, is_gone};
use crate::gateway::Gateway;
use crate::session::{Opened, Upstreams};
use crate::upstream::{EventStream, Fields, Head, InFlight, Opening, Pool};
use bytes::Bytes;
use http::HeaderValue;
use std::sync::Arc;
use std::time::Duration;
use tollbridge_filters::headers::LAST_EVENT_ID;
use tollbridge_filters::marks::Mark;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::route::Listed;
use tollbridge_filters::sse::Event;
use tollbridge_filters::tags::{self, Tags};

/// How long to wait before a stream is asked for again, where the server does not say.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// A server that does not know yet that its stream has ended takes no other.
const TAKEN_AGAIN: Duration = Duration::from_millis(100);
const TAKEN_LAST: usize = 10;

pub(super) struct Follower {
    gateway: Arc<Gateway>,
    upstreams: Arc<Upstreams>,
    server: ServerId,
    opened: Opened,
    /// The last event that came.
    last: Option<String>,
    retry: Duration,
}

/// What asking for a stream came to.
enum Asked {
    Stream(Box<EventStream>),
    /// The server has none.
    Nothing,
    /// Somebody else still has it, as far as the server knows.
    Taken,
    /// The session is no more.
    Gone,
    /// The session is there, but nothing that the stream could go on from.
    Unknown,
    /// It cannot be had now.
    Hindered,
}

impl Follower {
    pub(super) fn new(
        gateway: Arc<Gateway>,
        upstreams: Arc<Upstreams>,
        server: ServerId,
        opened: Opened,
        last: Option<String>,
    ) -> Follower {
        Follower { gateway, upstreams, server, opened, last, retry: RETRY }
    }

    /// Reads until nothing more is to be had. `Err`: the client has gone.
    pub(super) async fn follow(mut self, feed: &Feed) -> Result<(), ()> {
        let mut taken = 0;
        let mut wait = self.retry;
        loop {
            let asked = self.ask().await;
            self.upstreams.heed(&self.server);
            match asked {
                Asked::Stream(stream) => {
                    let why = self.read(*stream, feed).await?;
                    (taken, wait) = (0, self.retry);
                    if self.last.is_none() {
                        return feed.tell(&self.server, Piece::Lost(why)).await;
                    }
                }
                Asked::Nothing => return Ok(()),
                Asked::Taken if taken < TAKEN_LAST => (taken, wait) = (taken + 1, TAKEN_AGAIN),
                Asked::Taken => return Ok(()),
                Asked::Gone => {
                    forget(&self.upstreams, &self.server).await;
                    return feed.tell(&self.server, Piece::Lost("its session is gone".to_owned())).await;
                }
                Asked::Unknown => {
                    let why = "it does not know the last event any more".to_owned();
                    return feed.tell(&self.server, Piece::Lost(why)).await;
                }
                Asked::Hindered => wait = (wait * 2).min(RETRY_MAX),
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn ask(&self) -> Asked {
        let Some(pool) = self.gateway.pool(&self.server) else { return Asked::Nothing };
        let Some(endpoint) = pool.at(self.opened.addr) else { return Asked::Gone };
        let mut headers = self.opened.headers.as_ref().clone();
        if let Some(last) = &self.last {
            let Ok(id) = HeaderValue::from_bytes(last.as_bytes()) else { return Asked::Unknown };
            headers.insert(LAST_EVENT_ID, id);
        }
        let fields = Fields { forwarded: Some(&headers), ..self.opened.fields() };
        let (server, path) = (&pool.server, endpoint.path.as_str());
        let head = Head { verb: "GET", server, endpoint: &endpoint, path, fields, body_bytes: 0 };
        let bytes_max = self.gateway.live().conf.limits.event_bytes;
        let asked = EventStream::open(&endpoint, &head, Bytes::new(), bytes_max);
        match tokio::time::timeout(server.timeout.call, asked).await {
            Ok(Ok(Opening::Stream(stream))) => Asked::Stream(Box::new(stream)),
            Ok(Ok(Opening::Refused { status, .. })) => self.refused(status, &pool, &endpoint).await,
            Ok(Err(_)) => {
                pool.failed(&endpoint);
                Asked::Hindered
            }
            Err(_) => Asked::Hindered,
        }
    }

    async fn refused(&self, status: u16, pool: &Pool, endpoint: &InFlight) -> Asked {
        match status {
            409 => Asked::Taken,
            400 if self.last.is_some() && !is_gone(pool, endpoint, &self.opened).await => Asked::Unknown,
            400 | 404 if self.opened.id.is_some() => Asked::Gone,
            408 | 425 | 429 | 500.. => Asked::Hindered,
            _ => Asked::Nothing,
        }
    }

    /// Reads to the end, and says what kind of end that was.
    async fn read(&mut self, mut stream: EventStream, feed: &Feed) -> Result<String, ()> {
        loop {
            match stream.next().await {
                Ok(Some(event)) => self.tell(event, feed).await?,
                Ok(None) => return Ok("it ended".to_owned()),
                Err(fault) => return Ok(fault.to_string()),
            }
        }
    }

    async fn tell(&mut self, mut event: Event, feed: &Feed) -> Result<(), ()> {
        if let Some(retry) = event.retry.take().and_then(|millis| millis.parse().ok()) {
            self.retry = Duration::from_millis(retry).clamp(RETRY_MIN, RETRY_MAX);
        }
        let changed = event.data.as_deref().and_then(Listed::that_changed);
        event.data = event.data.map(|data| tags::tag(Tags::Session, &self.server, &data).into_owned());
        let mark = event.id.take().and_then(|id| self.moved(id));
        let piece = match changed {
            Some(list) => {
                look_anew(&self.gateway, &self.server).await;
                Piece::Changed(list, mark)
            }
            None if event.data.is_none() && mark.is_none() => return Ok(()),
            None => Piece::Event(event, mark),
        };
        feed.tell(&self.server, piece).await
    }

    /// An empty id takes back what was there (WHATWG HTML, 9.2.6): from here on nothing can be resumed.
    fn moved(&mut self, id: String) -> Option<Mark> {
        self.last = Some(id.clone()).filter(|id| !id.is_empty());
        self.last.is_some().then(|| Mark { server: self.server.clone(), session: self.opened.mark, id })
    }
}

/// Has a server looked at again, and waits until that is published.
pub(super) async fn look_anew(gateway: &Gateway, server: &ServerId) {
    let most = gateway.live().conf.discovery.timeout;
    if let Some(pool) = gateway.pool(server) {
        pool.renewal.look(most).await;
    }
}
