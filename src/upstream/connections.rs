//! A thread's connections to endpoints: an idle one where there is one, else a new one, and a line where many are
//! wanted at a time.

use super::endpoint::Endpoint;
use super::idle;
use super::line::{Line, Trial, Turn};
use once_cell::sync::OnceCell;
use pingora::connectors::http::Connector;
use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::protocols::Stream;
use pingora::protocols::http::client::HttpSession as Negotiated;
use pingora::upstreams::peer::HttpPeer;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Of those that Pingora keeps, over all endpoints.
const IDLE_CONNECTIONS_MAX: usize = 1024;

/// So many endpoints may have a line; what is beyond is forgotten and begun anew.
const LINES_MAX: usize = 4096;

static CA_FILE: OnceCell<String> = OnceCell::new();

thread_local! {
    static CONNECTIONS: Arc<Connections> = Arc::new(Connections::new());
}

/// The roots that TLS upstreams are verified against, instead of the system's. Set before the
/// first link is opened.
pub fn set_ca_file(path: String) {
    CA_FILE.get_or_init(|| path);
}

struct Connections {
    /// HTTP/1.1 and nothing else.
    one: TransportConnector,
    /// HTTP/2, or what TLS settles on; there, many messages share a connection.
    negotiated: Connector,
    lines: Mutex<HashMap<u64, Arc<Line>>>,
    waiting: AtomicUsize,
}

/// A connection and, if it was waited for or is new, what the line wants to know of it.
pub(super) type Taken = (Stream, Option<Trial>);

/// An HTTP/1.1 connection: an idle one, else whichever can be had.
pub(super) async fn take(endpoint: &Endpoint) -> pingora::Result<Taken> {
    match idle::take(endpoint.key(), endpoint.is_tls()) {
        Some(idle) => Ok((idle, None)),
        None => CONNECTIONS.with(Arc::clone).have(endpoint).await,
    }
}

/// Keeps a connection for the next message, or for who waits longest.
pub(super) fn keep(key: u64, stream: Stream, is_tls: bool, idle_max: Duration) {
    idle::keep(key, stream, idle_max);
    CONNECTIONS.with(|connections| connections.tell(key, is_tls));
}

/// A connection as Pingora makes it.
pub(super) async fn negotiate(peer: &HttpPeer) -> pingora::Result<Negotiated> {
    let connections = CONNECTIONS.with(Arc::clone);
    connections.negotiated.get_http_session(peer).await.map(|(session, _reused)| session)
}

pub(super) async fn keep_negotiated(session: Negotiated, peer: &HttpPeer, idle_max: Duration) {
    let connections = CONNECTIONS.with(Arc::clone);
    connections.negotiated.release_http_session(session, peer, Some(idle_max)).await;
}

impl Connections {
    fn new() -> Connections {
        let mut options = ConnectorOptions::new(IDLE_CONNECTIONS_MAX);
        options.ca_file = CA_FILE.get().cloned();
        Connections {
            one: TransportConnector::new(Some(options.clone())),
            negotiated: Connector::new(Some(options)),
            lines: Mutex::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// A new connection, unless one is given back before its turn comes.
    async fn have(&self, endpoint: &Endpoint) -> pingora::Result<Taken> {
        let line = self.line(endpoint.key());
        let trial = match line.begin() {
            Some(trial) => Some(trial),
            None => {
                let _waiting = Waiting::of(&self.waiting);
                match line.wait().await {
                    Turn::Reuse(stream, trial) => return Ok((stream, Some(trial))),
                    Turn::Connect(trial) => Some(trial),
                    Turn::Leave => None,
                }
            }
        };
        // Boxed, and only here: connecting takes so much room that making it for all who wait costs more
        // than their calls.
        Ok((Box::pin(self.one.new_stream(endpoint.peer().as_ref())).await?, trial))
    }

    /// A connection was given back.
    fn tell(&self, key: u64, is_tls: bool) {
        if self.waiting.load(Ordering::Relaxed) > 0
            && let Some(line) = self.lines().get(&key)
        {
            line.serve(|| idle::take(key, is_tls));
        }
    }

    fn line(&self, key: u64) -> Arc<Line> {
        let mut lines = self.lines();
        if lines.len() >= LINES_MAX {
            // Whoever waits, or is on trial, has it as well.
            lines.retain(|_, line| Arc::strong_count(line) > 1);
        }
        Arc::clone(lines.entry(key).or_default())
    }

    // Nothing panics while it holds the lock, and if it did, the map would still be whole.
    fn lines(&self) -> MutexGuard<'_, HashMap<u64, Arc<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits, until this is dropped.
struct Waiting<'w>(&'w AtomicUsize);

impl Waiting<'_> {
    fn of(count: &AtomicUsize) -> Waiting<'_> {
        count.fetch_add(1, Ordering::Relaxed);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
