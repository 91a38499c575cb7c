//! One address of a server: how it is reached and how busy it is.

use super::health::Health;
use crate::conf::{Http, Server};
use http::Uri;
use pingora::protocols::TcpKeepalive;
use pingora::upstreams::peer::{HttpPeer, Peer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// What connections to it are kept under.
    key: u64,
    in_flight: Busy,
    /// Turns at opening sessions.
    pub openings: Semaphore,
    pub health: Arc<Health>,
}

impl Endpoint {
    pub fn new(server: &Server, uri: &Uri, addr: SocketAddr, health: Arc<Health>) -> Endpoint {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let peer = peer(server, uri, addr);
        Endpoint {
            addr,
            authority: uri.authority().map(ToString::to_string).unwrap_or_default(),
            path: path.to_owned(),
            uri: uri.clone(),
            key: peer.reuse_hash(),
            peer: Arc::new(peer),
            in_flight: Busy::default(),
            openings: Semaphore::new(OPENINGS_MAX),
            health,
        }
    }

    pub(super) fn peer(&self) -> &Arc<HttpPeer> {
        &self.peer
    }

    pub(super) fn key(&self) -> u64 {
        self.key
    }

    pub(super) fn is_tls(&self) -> bool {
        self.peer.is_tls()
    }

    /// Whether it speaks HTTP/1.1 and nothing else.
    pub(super) fn is_one(&self) -> bool {
        self.peer.options.alpn.get_max_http_version() == 1
    }

    /// Probes failed: it gets nothing more while there are others.
    pub(super) fn eject(&self) {
        self.health.eject();
        self.in_flight.start_anew();
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.count()
    }
}

/// Exchanges under way. Those from before the endpoint was ejected are not counted any more: they may
/// hang until their deadlines, and would keep an endpoint that is well again from its share.
#[derive(Default)]
struct Busy {
    /// Ejections so far in the upper half, the count of those since in the lower one.
    state: AtomicU64,
}

impl Busy {
    fn count(&self) -> usize {
        usize::try_from(self.state.load(Ordering::Relaxed) & u64::from(u32::MAX)).unwrap_or(usize::MAX)
    }

    /// Gives the ejections so far, which [`Busy::end`] wants back.
    fn begin(&self) -> u64 {
        self.state.fetch_add(1, Ordering::Relaxed) >> 32
    }

    fn end(&self, ejections: u64) {
        let one_less = |state: u64| (state >> 32 == ejections).then(|| state.saturating_sub(1));
        // Where it is counted no more, nothing is to be done.
        let _ = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
    }

    fn start_anew(&self) {
        let anew = |state: u64| Some(((state >> 32).wrapping_add(1) & u64::from(u32::MAX)) << 32);
        let _ = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, anew);
    }
}

/// An endpoint that was chosen for one exchange; counted until it is dropped.
pub struct InFlight {
    endpoint: Arc<Endpoint>,
    ejections: u64,
}

impl InFlight {
    pub fn new(endpoint: Arc<Endpoint>) -> InFlight {
        let ejections = endpoint.in_flight.begin();
        InFlight { endpoint, ejections }
    }
}

impl std::ops::Deref for InFlight {
    type Target = Arc<Endpoint>;
    fn deref(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.endpoint.in_flight.end(self.ejections);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hung_when_it_was_ejected_is_counted_no_more() {
        let busy = Busy::default();
        let hung = [busy.begin(), busy.begin()];
        assert_eq!(busy.count(), 2);
        busy.start_anew();
        let fresh = busy.begin();
        hung.into_iter().for_each(|hung| busy.end(hung));
        assert_eq!(busy.count(), 1);
        busy.end(fresh);
        assert_eq!(busy.count(), 0);
    }
}
