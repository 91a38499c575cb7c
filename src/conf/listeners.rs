//! The listeners: where clients call, where operators look, and what lies beside. What must not be
//! open to other hosts without a key is refused here.

use super::address;
use super::pem;
use super::place::Place;
use super::section::Section;
use super::{Admin, Listen};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tollbridge_filters::auth::{KeyRecord, Role};

/// Where the gateway listens unless it is told where.
pub(super) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

pub(super) struct Listeners {
    pub(super) listen: Listen,
    pub(super) admin: Admin,
    pub(super) passthrough: Option<SocketAddr>,
}

pub(super) fn read(root: &Section<'_>, keys: &[KeyRecord]) -> Listeners {
    let (listen, listen_place) = listen(root, keys);
    let admin = admin(root, keys);
    let passthrough = root.optional("passthrough", address::passthrough);
    if address::clash(listen.addr, admin.listen) {
        let place = root.child("admin", &["listen"]).find("listen").unwrap_or(listen_place);
        let _: Option<()> = place.refuse(format_args!(
            "`listen` ({}) and `admin.listen` ({}) share a port; give each its own",
            listen.addr, admin.listen
        ));
    }
    if passthrough.is_some_and(|app| address::clash(app, listen.addr)) {
        root.refuse_at("passthrough", "this is where the gateway itself listens; write the address of the application");
    }
    if passthrough.is_some_and(|app| address::clash(app, admin.listen)) {
        root.refuse_at(
            "passthrough",
            "this is where the gateway's operators look, which callers must not; write the address of the application",
        );
    }
    Listeners { listen, admin, passthrough }
}

fn listen<'a>(root: &Section<'a>, keys: &[KeyRecord]) -> (Listen, Place<'a>) {
    let mut listen = Listen { addr: LISTEN, tls: None, hosts: Vec::new(), origins: Vec::new() };
    let Some(place) = root.find("listen") else {
        return (listen, root.place.clone());
    };
    let mut addr = Some(place.clone());
    if !place.is_text() {
        let Some(section) = place.section(&["addr", "tls", "hosts", "origins"]) else {
            return (listen, place);
        };
        addr = section.find("addr");
        listen.tls = section.find("tls").as_ref().and_then(pem::pair);
        listen.hosts = texts(&section, "hosts", host);
        listen.origins = texts(&section, "origins", origin);
    }
    let place = addr.clone().unwrap_or(place);
    listen.addr = addr.as_ref().and_then(address::socket).unwrap_or(listen.addr);
    if keys.is_empty() && !listen.addr.ip().is_loopback() {
        let _: Option<()> = place.refuse(format_args!(
            "{} is open to other hosts and there are no `keys`, so the gateway refuses to start; \
             add a key, or listen on 127.0.0.1",
            listen.addr
        ));
    }
    (listen, place)
}

fn admin(root: &Section<'_>, keys: &[KeyRecord]) -> Admin {
    let default = SocketAddr::from(([127, 0, 0, 1], 9090));
    let section = root.child("admin", &["listen"]);
    let listen = section.or("listen", default, address::socket);
    if !listen.ip().is_loopback() && !keys.iter().any(|key| key.role == Role::Admin) {
        section.refuse_at(
            "listen",
            format_args!(
                "{listen} is open to other hosts and no key has `role: admin`, which its metrics ask for; \
                 add such a key, or listen on 127.0.0.1"
            ),
        );
    }
    Admin { listen }
}

fn texts(section: &Section<'_>, key: &str, read: fn(&Place<'_>) -> Option<String>) -> Vec<String> {
    section.optional(key, Place::items).unwrap_or_default().iter().filter_map(read).collect()
}

fn host(place: &Place<'_>) -> Option<String> {
    let host = place.text()?.to_ascii_lowercase();
    match address::wrong_host(&host) {
        None => Some(host),
        Some(_) => place.refuse(format_args!(
            "{} is no host; write a name or an IP address without scheme and port, as in mcp.example.com",
            place.quoted()
        )),
    }
}

fn origin(place: &Place<'_>) -> Option<String> {
    let origin = place.text()?.to_ascii_lowercase();
    let authority = origin.split_once("://").filter(|(scheme, _)| !scheme.is_empty()).map_or("", |(_, rest)| rest);
    let marks = |c: char| matches!(c, '/' | '?' | '#' | '@' | '*') || c.is_whitespace();
    if authority.is_empty() || authority.contains(marks) {
        let quoted = place.quoted();
        let what =
            format_args!("{quoted} is no origin; write scheme, host and port alone, as in https://app.example.com");
        return place.refuse(what);
    }
    Some(origin)
}
