//! A link: one way to talk to an endpoint, over Pingora's `Connector` (HTTP/1.1, TLS, HTTP/2).
//! Sends one message and receives its answer in chunks, as they come.

use super::endpoint::Endpoint;
use bytes::Bytes;
use once_cell::sync::OnceCell;
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use std::sync::Arc;
use std::time::Duration;

/// Idle connections that a thread keeps, over all endpoints; fewer than the concurrency would mean
/// connecting for every call.
const IDLE_CONNECTIONS_MAX: usize = 1024;

/// Below the keep-alive of the common servers (Node and uvicorn close after 5 s), so that a
/// connection is given up by us before the server closes it under a request.
const IDLE_MAX: Duration = Duration::from_secs(4);

static CA_FILE: OnceCell<String> = OnceCell::new();

thread_local! {
    // Data threads do not steal work from each other, so each keeps its connections to itself.
    static CONNECTOR: Arc<Connector> = Arc::new(Connector::new(Some(options())));
}

fn options() -> ConnectorOptions {
    let mut options = ConnectorOptions::new(IDLE_CONNECTIONS_MAX);
    options.ca_file = CA_FILE.get().cloned();
    options
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
    session: HttpSession,
    peer: Arc<HttpPeer>,
    connector: Arc<Connector>,
}

impl Link {
    /// Takes an idle connection or makes one; nothing is sent.
    pub async fn open(endpoint: &Endpoint) -> Result<Link, Fault> {
        let connector = CONNECTOR.with(Arc::clone);
        let peer = Arc::clone(endpoint.peer());
        let (session, _reused) = connector.get_http_session(peer.as_ref()).await.map_err(not_sent)?;
        Ok(Link {
            session,
            peer,
            connector,
        })
    }

    pub async fn send(&mut self, head: RequestHeader, body: Bytes) -> Result<(), Fault> {
        // Head and body are two writes: where the first one fails, no byte of the message is out.
        self.session
            .write_request_header(Box::new(head))
            .await
            .map_err(not_sent)?;
        self.session.write_request_body(body, true).await.map_err(lost)?;
        self.session.finish_request_body().await.map_err(lost)
    }

    /// Waits for the head of the answer.
    pub async fn answer(&mut self) -> Result<&ResponseHeader, Fault> {
        self.session.read_response_header().await.map_err(lost)?;
        self.head().ok_or_else(|| Fault::Lost("no response head".to_owned()))
    }

    pub fn head(&self) -> Option<&ResponseHeader> {
        self.session.response_header()
    }

    /// The next piece of the answer's body as it came; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        self.session.read_response_body().await.map_err(lost)
    }

    pub fn is_done(&mut self) -> bool {
        self.session.response_done()
    }

    /// Keeps the connection for the next message if the answer was read whole, else closes it.
    pub async fn close(mut self) {
        if !self.session.response_done() {
            return self.session.shutdown().await;
        }
        let idle = IDLE_MAX.min(self.peer_keep_alive());
        if idle.is_zero() {
            return self.session.shutdown().await;
        }
        if let HttpSession::H1(session) = &mut self.session {
            session.respect_keepalive();
        }
        self.connector
            .release_http_session(self.session, self.peer.as_ref(), Some(idle))
            .await;
    }

    /// What the server announces in `Keep-Alive: timeout=N`, less a second for the way.
    fn peer_keep_alive(&self) -> Duration {
        let value = self
            .head()
            .and_then(|head| head.headers.get("keep-alive")?.to_str().ok());
        let timeout = value.and_then(|value| value.split(',').find_map(|part| part.trim().strip_prefix("timeout=")));
        let seconds = timeout.and_then(|seconds| seconds.parse::<u64>().ok());
        seconds.map_or(IDLE_MAX, |seconds| Duration::from_secs(seconds.saturating_sub(1)))
    }
}

fn not_sent(error: Box<pingora::Error>) -> Fault {
    Fault::NotSent(brief(&error))
}

fn lost(error: Box<pingora::Error>) -> Fault {
    Fault::Lost(brief(&error))
}

/// Pingora's errors name peers and internals; the kind and the cause are what an operator needs.
fn brief(error: &pingora::Error) -> String {
    match &error.cause {
        Some(cause) => format!("{} ({cause})", error.etype().as_str()),
        None => error.etype().as_str().to_owned(),
    }
}
