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
use std::net::{IpAddr, SocketAddr};

/// The addresses of one server.
pub(super) struct Addresses {
    uris: Vec<Uri>,
    resolver: OnceCell<TokioResolver>,
}

impl Addresses {
    pub(super) fn of(server: &Server) -> Addresses {
        let uris = match &server.endpoints {
            Endpoints::Static(uris) => uris.clone(),
            Endpoints::Dns(uri) => vec![uri.clone()],
        };
        Addresses { uris, resolver: OnceCell::new() }
    }

    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>> {
        let host = host.trim_matches(['[', ']']);
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        if host.eq_ignore_ascii_case("localhost") {
            return Ok(vec![IpAddr::from([127, 0, 0, 1])]);
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
        for uri in &self.uris {
            let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
            for address in self.resolve(uri.host().unwrap_or_default()).await? {
                let mut ext = Extensions::new();
                ext.insert(uri.clone());
                backends.insert(Backend { addr: PingoraAddr::Inet(SocketAddr::new(address, port)), weight: 1, ext });
            }
        }
        Ok((backends, HashMap::new()))
    }
}
