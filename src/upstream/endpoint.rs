//! One address of a server: how it is reached and how busy it is.

use super::health::Health;
use crate::conf::{Http, Server};
use http::Uri;
use pingora::protocols::TcpKeepalive;
use pingora::upstreams::peer::HttpPeer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// So many sessions are opened at an endpoint at the same time. For most servers that is far more work
/// than a call; a crowd of clients that comes at once, after a restart say, must not stall it.
const OPENINGS_MAX: usize = 32;

pub struct Endpoint {
    pub addr: SocketAddr,
    /// For `Host`.
    pub authority: String,
    pub path: String,
    /// Whole, for HTTP/2.
    pub uri: Uri,
    peer: Arc<HttpPeer>,
    in_flight: AtomicUsize,
    /// Turns at opening sessions.
    pub openings: Semaphore,
    pub health: Health,
}

impl Endpoint {
    pub fn new(server: &Server, uri: &Uri, addr: SocketAddr) -> Endpoint {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Endpoint {
            addr,
            authority: uri.authority().map(ToString::to_string).unwrap_or_default(),
            path: path.to_owned(),
            uri: uri.clone(),
            peer: Arc::new(peer(server, uri, addr)),
            in_flight: AtomicUsize::new(0),
            openings: Semaphore::new(OPENINGS_MAX),
            health: Health::new(),
        }
    }

    pub(super) fn peer(&self) -> &Arc<HttpPeer> {
        &self.peer
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }
}

/// An endpoint that was chosen for one exchange; counted until it is dropped.
pub struct InFlight(Arc<Endpoint>);

impl InFlight {
    pub fn new(endpoint: Arc<Endpoint>) -> InFlight {
        endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(endpoint)
    }
}

impl std::ops::Deref for InFlight {
    type Target = Arc<Endpoint>;
    fn deref(&self) -> &Arc<Endpoint> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Every timeout is set here: Pingora's defaults are to wait for ever. How long an answer may take
/// is the business of whoever waits for it.
fn peer(server: &Server, uri: &Uri, addr: SocketAddr) -> HttpPeer {
    let tls = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
    let name = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let mut peer = HttpPeer::new(addr, tls, if tls { name } else { String::new() });
    peer.options.connection_timeout = Some(server.timeout.connect);
    peer.options.total_connection_timeout = Some(server.timeout.connect);
    peer.options.write_timeout = Some(server.timeout.call);
    peer.options.max_h2_streams = 100;
    peer.options.tcp_keepalive = Some(TcpKeepalive {
        idle: Duration::from_secs(30),
        interval: Duration::from_secs(10),
        count: 3,
        #[cfg(target_os = "linux")]
        user_timeout: Duration::from_secs(60),
    });
    match server.http {
        Http::Auto if tls => peer.options.set_http_version(2, 1),
        Http::Auto | Http::One => peer.options.set_http_version(1, 1),
        Http::Two => peer.options.set_http_version(2, 2),
    }
    peer
}
