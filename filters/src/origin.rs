//! Host and Origin: the guard against DNS rebinding and cross-site calls, before authentication
//! (MCP 2025-11-25, Transports, Security Warning).

use crate::rejection::Rejection;
use http::header::{HOST, ORIGIN};
use http::request::Parts;

/// Which Hosts and Origins are served.
#[derive(Debug, Default)]
pub struct Doorkeeper {
    pub hosts: Hosts,
    /// Origins beside the listener's own, as browsers send them.
    pub origins: Vec<String>,
}

#[derive(Debug, Default)]
pub enum Hosts {
    /// A loopback listener without a list: the local names.
    #[default]
    Local,
    /// A public listener without a list.
    Any,
    Listed(Vec<String>),
}

impl Doorkeeper {
    pub fn check(&self, head: &Parts) -> Result<(), Rejection> {
        let host = host(head)?;
        if !self.hosts.serve(host) {
            return Err(Rejection::HostNotAllowed);
        }
        let mut origins = head.headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => Ok(()),
            (Some(origin), None) if self.admits(origin.as_bytes(), host) => Ok(()),
            _ => Err(Rejection::OriginNotAllowed),
        }
    }

    fn admits(&self, origin: &[u8], host: &str) -> bool {
        let Ok(origin) = std::str::from_utf8(origin) else {
            return false;
        };
        let same = |scheme: &str| origin.strip_prefix(scheme).is_some_and(|rest| rest.eq_ignore_ascii_case(host));
        same("http://") || same("https://") || self.origins.iter().any(|listed| listed.eq_ignore_ascii_case(origin))
    }
}

impl Hosts {
    fn serve(&self, authority: &str) -> bool {
        match self {
            Hosts::Any => true,
            Hosts::Local => {
                let name = without_port(authority);
                let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
                name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
            }
            Hosts::Listed(listed) => {
                let name = without_port(authority);
                listed.iter().any(|host| host.eq_ignore_ascii_case(name) || host.eq_ignore_ascii_case(authority))
            }
        }
    }
}

/// The one authority of the request: from the target (HTTP/2, absolute form) or from `Host`.
fn host(head: &Parts) -> Result<&str, Rejection> {
    let mut fields = head.headers.get_all(HOST).iter();
    let field = fields.next().map(|value| value.to_str().map_err(|_| Rejection::HostNotAllowed)).transpose()?;
    if fields.next().is_some() {
        return Err(Rejection::HostNotAllowed);
    }
    let authority = head.uri.authority().map(|authority| authority.as_str());
    match (authority, field) {
        (Some(authority), Some(field)) if !authority.eq_ignore_ascii_case(field) => Err(Rejection::HostNotAllowed),
        (Some(host), _) | (None, Some(host)) if is_plain(host) => Ok(host),
        _ => Err(Rejection::HostNotAllowed),
    }
}

fn is_plain(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    !host.is_empty() && host.bytes().all(allowed)
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn check(doorkeeper: &Doorkeeper, host: &str, origin: Option<&str>) -> Result<(), Rejection> {
        let mut request = Request::post("/mcp").header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        doorkeeper.check(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn loopback_serves_local_names_only() {
        let doorkeeper = Doorkeeper::default();
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080", "127.9.9.9"] {
            assert_eq!(check(&doorkeeper, host, None), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:80",
            "127.0.0.1.nip.io",
            "10.0.0.1",
            "a@localhost",
            "localhost/x",
            "",
        ] {
            assert_eq!(check(&doorkeeper, host, None), Err(Rejection::HostNotAllowed), "{host}");
        }
    }

    #[test]
    fn origins_are_the_same_or_listed() {
        let doorkeeper = Doorkeeper { hosts: Hosts::Local, origins: vec!["https://app.example".into()] };
        for origin in [None, Some("http://localhost:8080"), Some("https://app.example")] {
            assert_eq!(check(&doorkeeper, "localhost:8080", origin), Ok(()), "{origin:?}");
        }
        for origin in ["null", "http://evil.example", "https://app.example.evil", "http://localhost:9999"] {
            assert_eq!(
                check(&doorkeeper, "localhost:8080", Some(origin)),
                Err(Rejection::OriginNotAllowed),
                "{origin}"
            );
        }
    }
}
