//! Where a server's addresses come from: the configuration, or DNS, asked in the background.

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
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// The addresses of one server.
pub(super) struct Addresses {
    uris: Vec<Uri>,
    resolver: OnceCell<TokioResolver>,
    /// What each name had last: a name that cannot be asked for the moment keeps its addresses.
    known: Mutex<HashMap<Uri, Vec<IpAddr>>>,
}

impl Addresses {
    pub(super) fn of(server: &Server) -> Addresses {
        let uris = match &server.endpoints {
            Endpoints::Static(uris) => uris.clone(),
            Endpoints::Dns(uri) => vec![uri.clone()],
        };
        Addresses { uris, resolver: OnceCell::new(), known: Mutex::default() }
    }

    /// The addresses of one URL: fresh, or those that it had.
    async fn addresses(&self, uri: &Uri, port: u16) -> Result<Vec<IpAddr>> {
        let resolved = self.resolve(uri.host().unwrap_or_default(), port).await;
        let mut known = self.known.lock().await;
        match resolved {
            Ok(found) => {
                known.insert(uri.clone(), found.clone());
                Ok(found)
            }
            Err(error) => known.get(uri).cloned().ok_or(error),
        }
    }

    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<IpAddr>> {
        let host = host.trim_matches(['[', ']']);
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        if host.eq_ignore_ascii_case("localhost") {
            return Ok(vec![loopback(port).await]);
        }
        let resolver = self.resolver.get_or_try_init(|| TokioResolver::builder_tokio().map(|builder| builder.build()));
        let resolver =
            resolver.or_err(ErrorType::InternalError, "the system's resolver configuration cannot be read")?;
        let found = resolver.lookup_ip(host).await;
        Ok(found.or_err_with(ErrorType::InternalError, || format!("{host} cannot be resolved"))?.iter().collect())
    }
}

#[async_trait]
impl ServiceDiscovery for Addresses {
    async fn discover(&self) -> Result<(BTreeSet<Backend>, HashMap<u64, bool>)> {
        let mut backends = BTreeSet::new();
        let mut unresolved = None;
        for uri in &self.uris {
            let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
            match self.addresses(uri, port).await {
                Ok(addresses) => backends.extend(addresses.into_iter().map(|address| backend(uri, address, port))),
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

fn backend(uri: &Uri, address: IpAddr, port: u16) -> Backend {
    let mut ext = Extensions::new();
    ext.insert(uri.clone());
    Backend { addr: PingoraAddr::Inet(SocketAddr::new(address, port)), weight: 1, ext }
}

/// `localhost` is the one of the two loopback addresses at which somebody listens.
async fn loopback(port: u16) -> IpAddr {
    let (four, six) = (IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST));
    let listens = async |address: IpAddr| TcpStream::connect((address, port)).await.is_ok();
    if !listens(four).await && listens(six).await { six } else { four }
}
