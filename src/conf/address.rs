//! Addresses: where a listener binds, and the URLs of what is behind the gateway.

use super::place::Place;
use http::Uri;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub(super) fn socket(place: &Place<'_>) -> Option<SocketAddr> {
    match place.text()?.parse::<SocketAddr>() {
        Ok(addr) if addr.port() != 0 => Some(addr),
        Ok(_) => place.refuse("port 0 is none; write a port from 1 to 65535"),
        Err(_) => place.refuse(format_args!(
            "{} is no address; write an IP address and a port, as in 127.0.0.1:8080 or \"[::1]:8080\"",
            place.quoted()
        )),
    }
}

/// Two listeners cannot share a port, unless each has an IP address of its own.
pub(super) fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

/// The URL of an MCP server.
pub(super) fn url(place: &Place<'_>) -> Option<Uri> {
    match parse(&place.text()?) {
        Ok(uri) => Some(uri),
        Err(wrong) => place.refuse(format_args!("{wrong}, as in http://127.0.0.1:3100/mcp")),
    }
}

/// A URL, or what is wrong with it; in words that do not repeat it, for it may carry a password where
/// none belongs.
pub(crate) fn parse(text: &str) -> Result<Uri, &'static str> {
    if text.contains('#') {
        return Err("a URL cannot have a fragment here; remove the `#` and what follows");
    }
    let Ok(uri) = text.parse::<Uri>() else {
        return Err("this is no URL; write scheme, host, port and path");
    };
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("a URL starts with http:// or https:// here; write it so");
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err("a URL cannot carry a user or password; leave them out, and give the credential apart");
    }
    let host = uri.host().unwrap_or_default();
    if let Some(wrong) = wrong_host(host) {
        return Err(wrong);
    }
    let port = authority.strip_prefix(host).and_then(|rest| rest.strip_prefix(':'));
    if port.is_some_and(|port| !matches!(port.parse::<u16>(), Ok(1..))) {
        return Err("the port of this URL is none; write one from 1 to 65535, or leave the `:` out");
    }
    Ok(uri)
}

/// The application beside a sidecar: plain HTTP, one address, everything on it.
pub(super) fn passthrough(place: &Place<'_>) -> Option<SocketAddr> {
    let text = place.text()?;
    let authority = text.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let addr = authority.and_then(|authority| match authority.strip_prefix("localhost:") {
        Some(port) => port.parse().ok().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        None => authority.parse().ok(),
    });
    match addr.filter(|addr| addr.port() != 0) {
        Some(addr) => Some(addr),
        None => place.refuse(
            "this is no address to pass on to; write http, an IP address or localhost, a port and no path, \
             as in http://127.0.0.1:8000",
        ),
    }
}

/// Whether a URL names one address that never needs a resolver.
pub(super) fn is_fixed(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    host.eq_ignore_ascii_case("localhost") || ip(host).is_some()
}

fn ip(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    }
}

/// What is wrong with a host, if it is neither an IP address nor a DNS name.
pub(super) fn wrong_host(host: &str) -> Option<&'static str> {
    if ip(host).is_some() {
        return None;
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    let label = |label: &str| {
        let allowed = label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        (1..=63).contains(&label.len()) && allowed && !label.starts_with('-') && !label.ends_with('-')
    };
    match host {
        "" => Some("the host is missing; write a name or an IP address"),
        _ if last.is_empty() => Some("the host ends with a dot; remove it"),
        _ if is_number(last) => Some("the host is no IP address; write all four numbers of it"),
        _ if host.len() > 253 || !host.split('.').all(label) => {
            Some("the host is no DNS name; write letters, digits, - and .")
        }
        _ => None,
    }
}

/// Resolvers read `127.1`, `2130706433` and `0x7f000001` as IP addresses, in ways that surprise.
fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    label.chars().all(|c| c.is_ascii_digit()) || hex.is_some_and(|hex| hex.chars().all(|c| c.is_ascii_hexdigit()))
}
