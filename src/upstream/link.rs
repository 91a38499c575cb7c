//! A link: one way to talk to an endpoint, over Pingora's connectors (HTTP/1.1, TLS, HTTP/2). Sends
//! one message and receives its answer in chunks, as they come.

use super::connections::Connections;
use super::early;
use super::endpoint::Endpoint;
use super::head::Head;
use bytes::{BufMut, Bytes};
use http::Version;
use once_cell::sync::OnceCell;
use pingora::http::ResponseHeader;
use pingora::protocols::http::client::HttpSession as Negotiated;
use pingora::protocols::http::v1::client::HttpSession as One;
use pingora::protocols::l4::ext::set_recv_buf;
use pingora::protocols::{Stream, UniqueID};
use pingora::upstreams::peer::HttpPeer;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::OwnedSemaphorePermit;

/// Below the keep-alive of the common servers (Node and uvicorn close after 5 s), so that a
/// connection is given up by us before the server closes it under a request.
const IDLE_MAX: Duration = Duration::from_secs(4);

/// A body up to this size is copied behind its head, so that both are one write.
const JOINED_BYTES_MAX: usize = 16 * 1024;

static CA_FILE: OnceCell<String> = OnceCell::new();

thread_local! {
    // Data threads do not steal work from each other, so each keeps its connections to itself.
    static CONNECTIONS: Arc<Connections> = Arc::new(Connections::new(CA_FILE.get().cloned()));
}

/// The roots that TLS upstreams are verified against, instead of the system's. Set before the
/// first link is opened.
pub fn set_ca_file(path: String) {
    CA_FILE.get_or_init(|| path);
}

/// What went wrong on the way to an endpoint.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is proven that the server has not got the request.
    #[error("it could not be reached: {0}")]
    NotSent(String),
    /// The server may have got the request; what became of it is unknown.
    #[error("the connection was lost: {0}")]
    Lost(String),
}

pub struct Link {
    wire: Wire,
    peer: Arc<HttpPeer>,
    connections: Arc<Connections>,
    /// Held by a new connection until it has brought an answer.
    unproven: Option<OwnedSemaphorePermit>,
    sent: Sent,
}

/// How much of a request the server is known to have when it answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// All of it, with its head.
    Joined,
    /// All of it is on the way; whether it was read, an answer that refuses it does not say.
    Whole,
    /// Not all: the server has answered before that.
    Part,
}

enum Wire {
    One(Box<One>),
    Negotiated(Box<Negotiated>),
}

impl Link {
    /// Sends a message over a connection, once there is one.
    pub async fn send(endpoint: &Endpoint, head: &Head<'_>, body: Bytes) -> Result<Link, Fault> {
        let connections = CONNECTIONS.with(Arc::clone);
        let peer = Arc::clone(endpoint.peer());
        let (wire, unproven, sent) = if peer.options.alpn.get_max_http_version() == 1 {
            let (stream, unproven) = connections.take(&peer).await.map_err(not_sent)?;
            let (stream, sent) = within(&peer, write_one(stream, head, &body)).await?;
            (Wire::One(Box::new(One::new_with_options(stream, peer.as_ref()))), unproven, sent)
        } else {
            let (session, _reused) = connections.negotiated.get_http_session(peer.as_ref()).await.map_err(not_sent)?;
            (Wire::Negotiated(Box::new(within(&peer, write_negotiated(session, head, body)).await?)), None, Sent::Whole)
        };
        Ok(Link { wire, peer, connections, unproven, sent })
    }

    /// Waits for the head of the answer.
    pub async fn answer(&mut self) -> Result<&ResponseHeader, Fault> {
        match &mut self.wire {
            Wire::One(session) => loop {
                session.read_response().await.map_err(lost)?;
                // Interim answers (RFC 9110, 15.2) say nothing that we could use.
                if session.get_status().is_some_and(|status| !is_interim(status.as_u16())) {
                    break;
                }
            },
            Wire::Negotiated(session) => loop {
                session.read_response_header().await.map_err(lost)?;
                // HTTP/2 keeps interim answers to itself.
                let head = session.response_header().filter(|_| matches!(session.as_ref(), Negotiated::H1(_)));
                if !head.is_some_and(|head| is_interim(head.status.as_u16())) {
                    break;
                }
            },
        }
        self.unproven = None;
        self.head().ok_or_else(|| Fault::Lost("no response head".to_owned()))
    }

    pub fn head(&self) -> Option<&ResponseHeader> {
        match &self.wire {
            Wire::One(session) => session.resp_header(),
            Wire::Negotiated(session) => session.response_header(),
        }
    }

    /// The next piece of the answer's body as it came; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        match &mut self.wire {
            Wire::One(session) => session.read_body_bytes().await.map_err(lost),
            Wire::Negotiated(session) => session.read_response_body().await.map_err(lost),
        }
    }

    /// Bounds what the system holds of an answer that is not read: left alone it grows to megabytes for each.
    pub fn bound(&self, bytes: usize) {
        let socket = match &self.wire {
            Wire::One(session) => session.id(),
            Wire::Negotiated(session) => match session.as_ref() {
                Negotiated::H1(session) => session.id(),
                // Has windows of its own, and other answers on the same connection.
                Negotiated::H2(_) | Negotiated::Custom(_) => return,
            },
        };
        // Where the system does not let us, a stream costs more, and is a stream all the same.
        let _ = set_recv_buf(socket, bytes);
    }

    /// Keeps the connection for the next message if the answer was read whole, else closes it.
    pub async fn close(self) {
        let idle = IDLE_MAX.min(self.peer_keep_alive());
        let takes_more = self.takes_more();
        let Link { wire, peer, connections, .. } = self;
        match wire {
            Wire::One(mut session) => {
                if !takes_more || !session.is_body_done() || idle.is_zero() {
                    return session.shutdown().await;
                }
                session.respect_keepalive();
                if let Some(stream) = session.reuse().await {
                    connections.release(stream, &peer, idle);
                }
            }
            Wire::Negotiated(mut session) => {
                if !session.response_done() || idle.is_zero() {
                    return session.shutdown().await;
                }
                if let Negotiated::H1(session) = session.as_mut() {
                    session.respect_keepalive();
                }
                connections.negotiated.release_http_session(*session, peer.as_ref(), Some(idle)).await;
            }
        }
    }

    /// Whether another message may follow on this connection. Who refuses a body and stays may not have
    /// read it, and would not read the next one either.
    fn takes_more(&self) -> bool {
        match self.sent {
            Sent::Joined => true,
            Sent::Whole => self.head().is_some_and(|head| head.status.as_u16() < early::REFUSALS),
            Sent::Part => false,
        }
    }

    /// What the server announces in `Keep-Alive: timeout=N`, less a second for the way.
    fn peer_keep_alive(&self) -> Duration {
        let value = self.head().and_then(|head| head.headers.get("keep-alive")?.to_str().ok());
        let timeout = value.and_then(|value| value.split(',').find_map(|part| part.trim().strip_prefix("timeout=")));
        let seconds = timeout.and_then(|seconds| seconds.parse::<u64>().ok());
        seconds.map_or(IDLE_MAX, |seconds| Duration::from_secs(seconds.saturating_sub(1)))
    }
}

/// Writes a request, and tells how much of it: a server may answer, and not read on.
async fn write_one(mut stream: Stream, head: &Head<'_>, body: &Bytes) -> Result<(Stream, Sent), Fault> {
    let joined = body.len() <= JOINED_BYTES_MAX;
    let mut wire = head.wire(if joined { body.len() } else { 0 });
    if joined {
        wire.put_slice(body);
    }
    // Where not even the first byte could be written, the server has got none.
    let first = stream.write(&wire).await.map_err(|error| Fault::NotSent(error.to_string()))?;
    let rest = wire.get(first..).unwrap_or_default();
    stream.write_all(rest).await.map_err(cut)?;
    if !joined && !early::write_body(&mut stream, body).await.map_err(cut)? {
        return Ok((stream, Sent::Part));
    }
    stream.flush().await.map_err(cut)?;
    Ok((stream, if joined { Sent::Joined } else { Sent::Whole }))
}

async fn write_negotiated(mut session: Negotiated, head: &Head<'_>, body: Bytes) -> Result<Negotiated, Fault> {
    let version = if session.as_http2().is_some() { Version::HTTP_2 } else { Version::HTTP_11 };
    let header = head.header(version).map_err(not_sent)?;
    session.write_request_header(Box::new(header)).await.map_err(not_sent)?;
    session.write_request_body(body, true).await.map_err(lost)?;
    session.finish_request_body().await.map_err(lost)?;
    Ok(session)
}

/// Nobody asked to switch protocols, so 101 is an answer, if a wrong one.
fn is_interim(status: u16) -> bool {
    matches!(status, 100 | 102..=199)
}

/// A server that does not read must not hold the gateway.
async fn within<T>(peer: &HttpPeer, write: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let Some(limit) = peer.options.write_timeout else {
        return write.await;
    };
    let timed_out = |_| Fault::Lost(format!("it did not read the request within {limit:?}"));
    tokio::time::timeout(limit, write).await.map_err(timed_out)?
}

fn not_sent(error: Box<pingora::Error>) -> Fault {
    Fault::NotSent(brief(&error))
}

fn lost(error: Box<pingora::Error>) -> Fault {
    Fault::Lost(brief(&error))
}

fn cut(error: std::io::Error) -> Fault {
    Fault::Lost(error.to_string())
}

/// Pingora's errors name peers and internals; the kind and the first cause are what can be told.
fn brief(error: &pingora::Error) -> String {
    let kind = error.etype().as_str();
    let Some(cause) = &error.cause else {
        return kind.to_owned();
    };
    let cause = cause.to_string();
    match cause.rsplit_once("cause: ") {
        Some((_, first)) => format!("{kind} ({})", first.trim()),
        None if cause.contains("context:") => kind.to_owned(),
        None => format!("{kind} ({cause})"),
    }
}
