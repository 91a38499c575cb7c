//! Where a server's addresses come from: the configuration, or DNS, asked in the background.

use super::guard::Guard;
use crate::conf::{Endpoints, Server};
use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use http::Uri;
use once_cell::sync::OnceCell;
use pingora::protocols::l4::socket::SocketAddr as PingoraAddr;
use pingora::{ErrorType, OrErr, Result};
use pingora_load_balancing::discovery::ServiceDiscovery;
use pingora_load_balancing::{Backend, Extensions};
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// The addresses of one server.
pub(super) struct Addresses {
    uris: Vec<Uri>,
    guard: Option<Arc<Guard>>,
    resolver: Resolver,
    /// What each name had last: a name that cannot be asked for the moment keeps its addresses.
    known: Mutex<HashMap<Uri, Vec<IpAddr>>>,
}

impl Addresses {
    pub(super) fn of(server: &Server) -> Addresses {
        let uris = match &server.endpoints {
            Endpoints::Static(uris) => uris.clone(),
            Endpoints::Dns(uri) => vec![uri.clone()],
        };
        Addresses { uris, guard: server.guard.clone(), resolver: Resolver::default(), known: Mutex::default() }
    }

    /// The addresses of one URL: fresh, or those that it had. `None` where the guard refuses one of them,
    /// and then those that it had are forgotten as well.
    async fn addresses(&self, uri: &Uri) -> Result<Option<Vec<IpAddr>>> {
        let (host, port) = destination(uri);
        let resolved = self.resolver.addresses(host).await;
        let mut known = self.known.lock().await;
        let found = match resolved {
            Ok(found) => found,
            Err(error) => return known.get(uri).cloned().map(Some).ok_or(error),
        };
        let admitted = match &self.guard {
            Some(guard) => guard.admit(host, port, found),
            None => Some(found),
        };
        match &admitted {
            Some(addresses) => known.insert(uri.clone(), addresses.clone()),
            None => known.remove(uri),
        };
        Ok(admitted)
    }
}

#[async_trait]
impl ServiceDiscovery for Addresses {
    /// Nothing at all is found where the guard refuses an address.
    async fn discover(&self) -> Result<(BTreeSet<Backend>, HashMap<u64, bool>)> {
        let mut backends = BTreeSet::new();
        let mut unresolved = None;
        for uri in &self.uris {
            let (host, port) = destination(uri);
            match self.addresses(uri).await {
                Ok(Some(addresses)) if is_localhost(host) => {
                    backends.extend(listening(&addresses, port).await.map(|address| backend(uri, address, port)));
                }
                Ok(Some(addresses)) => {
                    backends.extend(addresses.into_iter().map(|address| backend(uri, address, port)));
                }
                Ok(None) => return Ok((BTreeSet::new(), HashMap::new())),
                Err(error) => {
                    tracing::warn!(%uri, %error, "one of the endpoints has no address");
                    unresolved = Some(error);
                }
            }
        }
        match unresolved {
            Some(error) if backends.is_empty() => return Err(error),
            _ => {}
        }
        Ok((backends, HashMap::new()))
    }
}

/// Asks the system's resolver, and it only for what needs one.
#[derive(Default)]
pub(super) struct Resolver(OnceCell<TokioResolver>);

impl Resolver {
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        if is_localhost(host) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let resolver = self.0.get_or_try_init(|| TokioResolver::builder_tokio().map(|builder| builder.build()));
        let resolver =
            resolver.or_err(ErrorType::InternalError, "the system's resolver configuration cannot be read")?;
        let found = resolver.lookup_ip(host).await;
        Ok(found.or_err_with(ErrorType::InternalError, || format!("{host} cannot be resolved"))?.iter().collect())
    }
}

/// Host and port; an IPv6 address without its brackets.
pub(super) fn destination(uri: &Uri) -> (&str, u16) {
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    (uri.host().unwrap_or_default().trim_matches(['[', ']']), port)
}

pub(super) fn is_localhost(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
}

/// `localhost` is the one of the loopback addresses at which somebody listens; where nobody does, the first.
async fn listening(addresses: &[IpAddr], port: u16) -> Option<IpAddr> {
    if let [_, _, ..] = addresses {
        for address in addresses {
            if TcpStream::connect((*address, port)).await.is_ok() {
                return Some(*address);
            }
        }
    }
    addresses.first().copied()
}

fn backend(uri: &Uri, address: IpAddr, port: u16) -> Backend {
    let mut ext = Extensions::new();
    ext.insert(uri.clone());
    Backend { addr: PingoraAddr::Inet(SocketAddr::new(address, port)), weight: 1, ext }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::Outbound;
    use tollbridge_filters::names::ServerId;

    /// As when a name that was public turns to the cloud's metadata.
    #[tokio::test]
    async fn an_address_that_is_refused_takes_those_from_before_with_it() {
        let uri = Uri::from_static("http://169.254.169.254/latest");
        let id = ServerId::derive("s").unwrap();
        let mut server =
            Server::at(id, "s", Endpoints::Static(vec![Uri::from_static("http://192.88.99.1/"), uri.clone()]));
        server.guard = Some(Arc::new(Guard::new(Outbound::default(), Vec::new())));
        let addresses = Addresses::of(&server);
        addresses.known.lock().await.insert(uri.clone(), vec![[192, 88, 99, 1].into()]);

        assert!(addresses.discover().await.unwrap().0.is_empty(), "not even the other endpoint");
        assert!(addresses.known.lock().await.get(&uri).is_none());
    }
}
