//! The outbound guard: where a server may be that was registered over an API. Whoever may register
//! servers could otherwise have the gateway call what only the gateway reaches: the cloud's metadata,
//! the cluster, its own operators' listener.

use super::dns::{self, Resolver};
use crate::conf::{Conf, Outbound};
use http::Uri;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

const URL_CHARACTERS_MAX: usize = 2048;

/// Refused unless the operator lists them: what is not the public Internet, by IANA's registries of
/// special-purpose addresses (RFC 6890).
const SPECIAL_4: [Ipv4Net; 11] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    // Of this network a host asks its cloud for credentials.
    v4([169, 254, 0, 0], 16),
    // Azure's answer to the same.
    v4([168, 63, 129, 16], 32),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([240, 0, 0, 0], 4),
];

const SPECIAL_6: [Ipv6Net; 6] = [
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128),
    // Where in it an IPv4 address stands is each network's own choice (RFC 8215).
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48),
    v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10),
];

/// Metadata of Amazon's and Google's clouds. They lie among private addresses; who opens those does not
/// mean these, so they need to be listed by themselves.
const METADATA_6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    allow: Outbound,
    /// The gateway's own listeners: a call of itself would go round and round, or reach its operators' side.
    own: Vec<SocketAddr>,
}

/// Why a URL is not taken. To be told to whoever registers, who may not learn from it what is where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// What is wrong with the URL as it is written.
    #[error("{0}")]
    Malformed(&'static str),
    /// The same words whatever the reason.
    #[error("this address may not be reached; list its range under outbound.allow")]
    Forbidden,
}

impl Guard {
    pub fn of(conf: &Conf) -> Guard {
        Guard::new(conf.outbound.clone(), vec![conf.listen.addr, conf.admin.listen])
    }

    pub fn new(allow: Outbound, own: Vec<SocketAddr>) -> Guard {
        Guard { allow, own }
    }

    /// A URL as a stranger wrote it. One with a name in it is not resolved; that is what
    /// [`Guard::check`] is for.
    pub fn url(&self, text: &str) -> Result<Uri, Blocked> {
        if let Some(wrong) = wrong_text(text) {
            return Err(Blocked::Malformed(wrong));
        }
        let uri = crate::conf::parse_url(text).map_err(Blocked::Malformed)?;
        let (host, port) = dns::destination(&uri);
        match host.parse::<IpAddr>() {
            Ok(ip) if !self.admits(SocketAddr::new(ip, port)) => Err(Blocked::Forbidden),
            _ => Ok(uri),
        }
    }

    /// Whether the host of a URL may be reached where it is now. A name that cannot be resolved passes: it
    /// may be registered before it is there, and each time it is resolved it is judged again.
    pub async fn check(&self, uri: &Uri) -> Result<(), Blocked> {
        let (host, port) = dns::destination(uri);
        match Resolver::default().addresses(host).await {
            Ok(found) => self.admit(host, port, found).map(drop).ok_or(Blocked::Forbidden),
            Err(_) => Ok(()),
        }
    }

    pub fn admits(&self, addr: SocketAddr) -> bool {
        let passes = |ip: &IpAddr| self.lists(*ip) || !is_special(*ip);
        !self.is_never(addr) && (self.lists(addr.ip()) || meant(addr.ip()).iter().all(passes))
    }

    /// As [`Guard::admits`], for an address that a name resolved to: the operator may have listed the name.
    pub(super) fn reaches(&self, host: &str, addr: SocketAddr) -> bool {
        let is_listed = self.allow.names.iter().any(|name| name.eq_ignore_ascii_case(host));
        self.admits(addr) || is_listed && !self.is_never(addr)
    }

    /// The addresses of a host, if every one of them may be reached.
    pub(super) fn admit(&self, host: &str, port: u16, mut found: Vec<IpAddr>) -> Option<Vec<IpAddr>> {
        let all = found.len();
        found.retain(|ip| self.reaches(host, SocketAddr::new(*ip, port)));
        // Which of the two `localhost` means is our own choice, and nobody's trick.
        let is_enough = found.len() == all || dns::is_localhost(host);
        (is_enough && !found.is_empty()).then_some(found)
    }

    /// What no list opens.
    fn is_never(&self, addr: SocketAddr) -> bool {
        let is_nobody = |ip: IpAddr| ip.is_unspecified() || ip.is_multicast() || ip == Ipv4Addr::BROADCAST;
        let is_own = |ip: IpAddr| self.own.iter().any(|own| is_same(*own, SocketAddr::new(ip, addr.port())));
        let mut ips = meant(addr.ip()).into_iter().chain([addr.ip()]);
        ips.any(|ip| is_nobody(ip) || is_own(ip))
    }

    fn lists(&self, ip: IpAddr) -> bool {
        let is_metadata = METADATA_6.into_iter().any(|metadata| ip == metadata);
        let covers = |range: &IpNet| range.contains(&ip) && (!is_metadata || range.addr() == ip);
        self.allow.ranges.iter().any(covers)
    }
}

/// What a URL may not have in it, whatever it is; the rest is told of every URL.
fn wrong_text(text: &str) -> Option<&'static str> {
    if text.len() > URL_CHARACTERS_MAX {
        return Some("a URL has 2048 characters at most");
    }
    if text.contains("${") {
        return Some("variables are not expanded in what comes over an API; write the URL itself");
    }
    // Everything else is read one way here and another way there.
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return Some("a URL has visible ASCII characters without \\ only; write others as %XX, and names in xn-- form");
    }
    None
}

/// The addresses that an address stands for: the IPv4 addresses in one of IPv6, on which somebody on the way
/// may act, else itself.
fn meant(ip: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V6(ip) = ip else {
        return vec![ip];
    };
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let embedded = match [a, b, c, d, e, f] {
        // Not of IPv4 are `::` and `::1`.
        [0, 0, 0, 0, 0, 0] if g != 0 || h > 1 => vec![joined(g, h)],
        // Mapped (RFC 4291), translated (RFC 2765), NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => vec![joined(g, h)],
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => vec![joined(high, low)],
        // Teredo (RFC 4380): its server, and its client disguised.
        [0x2001, 0, high, low, ..] => vec![joined(high, low), joined(!g, !h)],
        _ => return vec![ip.into()],
    };
    embedded.into_iter().map(IpAddr::V4).collect()
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

fn is_special(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => SPECIAL_4.iter().any(|range| range.contains(&ip)),
        IpAddr::V6(ip) => SPECIAL_6.iter().any(|range| range.contains(&ip)),
    }
}

/// Whether a connection to an address would reach this listener.
fn is_same(own: SocketAddr, addr: SocketAddr) -> bool {
    own.port() == addr.port() && (own.ip() == addr.ip() || own.ip().is_unspecified() && is_of_this_host(addr.ip()))
}

/// Only an address of this host can be bound.
fn is_of_this_host(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

#[cfg(test)]
mod tests;
