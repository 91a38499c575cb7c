//! A link: one way to talk to an endpoint. HTTP/1.1 goes over the lean leg; HTTP/2, and what TLS settles
//! on, over Pingora's connector. Sends one message and receives its answer in chunks, as they come.

use super::connections;
use super::endpoint::Endpoint;
use super::head::Head;
use super::lean::Lean;
use super::line::Trial;
use super::response::ResponseHead;
use bytes::Bytes;
use futures_util::future::poll_immediate;
use http::Version;
use pingora::protocols::UniqueID;
use pingora::protocols::http::client::HttpSession as Negotiated;
use pingora::protocols::l4::ext::set_recv_buf;
use pingora::upstreams::peer::HttpPeer;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Below the keep-alive of the common servers (Node and uvicorn close after 5 s), so that a
/// connection is given up by us before the server closes it under a request.
const IDLE_MAX: Duration = Duration::from_secs(4);

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
    /// Until the answer comes, where the line wants to know when it does.
    trial: Option<Trial>,
}

enum Wire {
    Lean {
        lean: Box<Lean>,
        /// What its connection is kept under.
        key: u64,
        is_tls: bool,
    },
    /// HTTP/2, or what TLS settles on.
    Negotiated(Box<Shared>),
}

struct Shared {
    session: Negotiated,
    head: Option<ResponseHead>,
    peer: Arc<HttpPeer>,
}

impl Link {
    /// Sends a message over a connection, once there is one.
    pub async fn send(endpoint: &Endpoint, head: &Head<'_>, body: Bytes) -> Result<Link, Fault> {
        if endpoint.is_one() {
            let (stream, trial) = connections::take(endpoint).await.map_err(not_sent)?;
            let lean = within(endpoint, Lean::send(stream, head, &body)).await?;
            let wire = Wire::Lean { lean: Box::new(lean), key: endpoint.key(), is_tls: endpoint.is_tls() };
            return Ok(Link { wire, trial });
        }
        let shared = Box::pin(Shared::send(endpoint, head, body)).await?;
        Ok(Link { wire: Wire::Negotiated(shared), trial: None })
    }

    /// Waits for the head of the answer.
    pub async fn answer(&mut self) -> Result<&ResponseHead, Fault> {
        let head = match &mut self.wire {
            Wire::Lean { lean, .. } => lean.answer().await?,
            Wire::Negotiated(shared) => Box::pin(shared.answer()).await?,
        };
        if let Some(trial) = self.trial.take() {
            trial.answered();
        }
        Ok(head)
    }

    pub fn head(&self) -> Option<&ResponseHead> {
        match &self.wire {
            Wire::Lean { lean, .. } => lean.head(),
            Wire::Negotiated(shared) => shared.head.as_ref(),
        }
    }

    /// The next piece of the answer's body as it came; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        match &mut self.wire {
            Wire::Lean { lean, .. } => lean.chunk().await,
            Wire::Negotiated(shared) => Box::pin(shared.session.read_response_body()).await.map_err(lost),
        }
    }

    /// Whether it is known already that nothing comes behind the last piece.
    pub fn ends_here(&mut self) -> bool {
        match &mut self.wire {
            Wire::Lean { lean, .. } => lean.ends_here(),
            Wire::Negotiated(_) => false,
        }
    }

    /// Bounds what the system holds of an answer that is not read: left alone it grows to megabytes for each.
    pub fn bound(&self, bytes: usize) {
        let socket = match &self.wire {
            Wire::Lean { lean, .. } => lean.id(),
            Wire::Negotiated(shared) => match &shared.session {
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
        match self.wire {
            Wire::Lean { lean, key, is_tls } => {
                let stream = lean.finish().await;
                if let Some(stream) = stream.filter(|_| !idle.is_zero()) {
                    connections::keep(key, stream, is_tls, idle);
                }
            }
            Wire::Negotiated(shared) => Box::pin(shared.close(idle)).await,
        }
    }

    /// What the server announces in `Keep-Alive: timeout=N`, less a second for the way.
    fn peer_keep_alive(&self) -> Duration {
        let value = self.head().and_then(|head| head.text("keep-alive"));
        let timeout = value.and_then(|value| value.split(',').find_map(|part| part.trim().strip_prefix("timeout=")));
        let seconds = timeout.and_then(|seconds| seconds.parse::<u64>().ok());
        seconds.map_or(IDLE_MAX, |seconds| Duration::from_secs(seconds.saturating_sub(1)))
    }
}

impl Shared {
    async fn send(endpoint: &Endpoint, head: &Head<'_>, body: Bytes) -> Result<Box<Shared>, Fault> {
        let peer = Arc::clone(endpoint.peer());
        let session = connections::negotiate(&peer).await.map_err(not_sent)?;
        let session = within(endpoint, write(session, head, body)).await?;
        Ok(Box::new(Shared { session, head: None, peer }))
    }

    async fn answer(&mut self) -> Result<&ResponseHead, Fault> {
        loop {
            self.session.read_response_header().await.map_err(lost)?;
            let head = self.session.response_header().map(ResponseHead::of);
            let head = head.ok_or_else(|| Fault::Lost("no response head".to_owned()))?;
            // HTTP/2 keeps interim answers to itself.
            if !head.is_interim() || self.session.as_http2().is_some() {
                return Ok(self.head.insert(head));
            }
        }
    }

    async fn close(self: Box<Self>, idle: Duration) {
        let Shared { mut session, peer, .. } = *self;
        if !session.response_done() || idle.is_zero() {
            return session.shutdown().await;
        }
        if let Negotiated::H1(session) = &mut session {
            session.respect_keepalive();
        }
        connections::keep_negotiated(session, &peer, idle).await;
    }
}

async fn write(mut session: Negotiated, head: &Head<'_>, body: Bytes) -> Result<Negotiated, Fault> {
    let version = if session.as_http2().is_some() { Version::HTTP_2 } else { Version::HTTP_11 };
    let header = head.header(version).map_err(not_sent)?;
    session.write_request_header(Box::new(header)).await.map_err(not_sent)?;
    session.write_request_body(body, true).await.map_err(lost)?;
    session.finish_request_body().await.map_err(lost)?;
    Ok(session)
}

/// A server that does not read must not hold the gateway.
async fn within<T>(endpoint: &Endpoint, write: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let Some(limit) = endpoint.peer().options.write_timeout else {
        return write.await;
    };
    let mut write = pin!(write);
    // Nearly always it is taken at once, and no timer is needed.
    if let Some(written) = poll_immediate(write.as_mut()).await {
        return written;
    }
    let timed_out = |_| Fault::Lost(format!("it did not read the request within {limit:?}"));
    tokio::time::timeout(limit, write).await.map_err(timed_out)?
}

fn not_sent(error: Box<pingora::Error>) -> Fault {
    Fault::NotSent(brief(&error))
}

fn lost(error: Box<pingora::Error>) -> Fault {
    Fault::Lost(brief(&error))
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
