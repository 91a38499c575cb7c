//! A thread's connections to endpoints: an idle one where there is one, else a new one, and who waits
//! for which. A busy server accepts slowly (Node one connection between two rounds of its work), and a
//! request on a connection that waits to be accepted can neither be answered nor taken back. So only a
//! few are made at a time; whoever else needs one stands in line for what becomes free.

use super::endpoint::Endpoint;
use super::idle;
use once_cell::sync::OnceCell;
use pingora::connectors::http::Connector;
use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::protocols::Stream;
use pingora::protocols::http::client::HttpSession as Negotiated;
use pingora::upstreams::peer::HttpPeer;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Of those that Pingora keeps, over all endpoints.
const IDLE_CONNECTIONS_MAX: usize = 1024;

/// Connections of a thread to one endpoint that have not brought an answer yet.
const UNPROVEN_MAX: usize = 8;

/// A line that will take longer than about so many looks, by what moved since the last one, is no
/// use: the work itself takes long. Then some leave it and connect, and with each look twice as many.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS_MAX: usize = 20;

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

/// Those who wait for a connection to one endpoint.
struct Line {
    unproven: Arc<Semaphore>,
    released: Notify,
    waiting: AtomicUsize,
    served: AtomicUsize,
    tickets: AtomicUsize,
}

/// A connection and, while it is new, its place among the unproven.
pub(super) type Taken = (Stream, Option<OwnedSemaphorePermit>);

/// What standing in line came to.
enum Turn {
    Reuse(Stream),
    Connect(OwnedSemaphorePermit),
    /// Nothing moves.
    Leave,
}

/// An HTTP/1.1 connection: an idle one, else whichever can be had.
pub(super) async fn take(endpoint: &Endpoint) -> pingora::Result<Taken> {
    match idle::take(endpoint.key(), endpoint.is_tls()) {
        Some(idle) => Ok((idle, None)),
        None => CONNECTIONS.with(Arc::clone).have(endpoint).await,
    }
}

/// Keeps a connection for the next message, or for who waits longest.
pub(super) fn keep(key: u64, stream: Stream, idle_max: Duration) {
    idle::keep(key, stream, idle_max);
    CONNECTIONS.with(|connections| connections.tell(key));
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
        let unproven = match Arc::clone(&line.unproven).try_acquire_owned() {
            Ok(unproven) => Some(unproven),
            Err(_) => match Box::pin(self.wait(&line, endpoint)).await {
                Turn::Reuse(idle) => return Ok((idle, None)),
                Turn::Connect(unproven) => Some(unproven),
                Turn::Leave => None,
            },
        };
        // Boxed, and only here: connecting takes so much room that making it for all who wait costs more
        // than their calls.
        Ok((Box::pin(self.one.new_stream(endpoint.peer().as_ref())).await?, unproven))
    }

    /// A connection was given back.
    fn tell(&self, key: u64) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.line(key).released.notify_one();
        }
    }

    async fn wait(&self, line: &Line, endpoint: &Endpoint) -> Turn {
        let _waiting = [Waiting::of(&self.waiting), Waiting::of(&line.waiting)];
        let connect = Arc::clone(&line.unproven).acquire_owned();
        tokio::pin!(connect);
        let ticket = line.tickets.fetch_add(1, Ordering::Relaxed);
        let mut leaving = UNPROVEN_MAX;
        loop {
            let served = line.served.load(Ordering::Relaxed);
            let look = tokio::time::sleep(LOOK);
            tokio::pin!(look);
            loop {
                let turn = tokio::select! {
                    biased;
                    () = line.released.notified() => idle::take(endpoint.key(), endpoint.is_tls()).map(Turn::Reuse),
                    unproven = &mut connect => Some(unproven.map_or(Turn::Leave, Turn::Connect)),
                    () = &mut look => break,
                };
                if let Some(turn) = turn {
                    line.served.fetch_add(1, Ordering::Relaxed);
                    return turn;
                }
            }
            let moved = line.served.load(Ordering::Relaxed).wrapping_sub(served);
            let waiting = line.waiting.load(Ordering::Relaxed);
            if moved * LOOKS_MAX < waiting {
                if ticket.is_multiple_of((waiting / leaving).max(1)) {
                    return Turn::Leave;
                }
                leaving *= 2;
            }
        }
    }

    fn line(&self, key: u64) -> Arc<Line> {
        // Nothing panics while it holds the lock, and if it did, the map would still be whole.
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= LINES_MAX {
            lines.retain(|_, line| line.waiting.load(Ordering::Relaxed) > 0);
        }
        Arc::clone(lines.entry(key).or_default())
    }
}

impl Default for Line {
    fn default() -> Line {
        Line {
            unproven: Arc::new(Semaphore::new(UNPROVEN_MAX)),
            released: Notify::new(),
            waiting: AtomicUsize::new(0),
            served: AtomicUsize::new(0),
            tickets: AtomicUsize::new(0),
        }
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
