//! The MCP servers behind the gateway, under any of the three names that files in use have for them.

use super::credential;
use super::duplicates::Duplicates;
use super::headers::forwarded_name;
use super::node::Value;
use super::place::Place;
use super::quantity::{DAY, MILLISECOND, Spelled};
use super::section::Section;
use super::{Endpoints, EraChoice, Health, Http, Server, Timeout, address};
use http::Uri;
use tollbridge_filters::names::ServerId;

const TEXT_CHARACTERS_MAX: usize = 4096;

/// Ours; RouteIQ's and LiteLLM's; that of MCP clients.
pub(super) const SPELLINGS: [&str; 3] = ["servers", "mcp_servers", "mcpServers"];

const SERVER: &[&str] = &[
    "url",
    "endpoints",
    "era",
    "health",
    "timeout",
    "auth",
    "forward_headers",
    "http",
    "name",
    "description",
    "alias",
    "access_groups",
    "tools",
    "resources",
    // Of the foreign spellings:
    "type",
    "transport",
    "headers",
    "auth_type",
    "auth_value",
    "authentication_token",
];

pub(super) fn read(root: &Section<'_>) -> Vec<Server> {
    let mut ids = Duplicates::new();
    let mut aliases = Vec::new();
    let mut servers = Vec::new();
    for spelling in SPELLINGS {
        for (external_id, place) in root.optional(spelling, |place| place.entries()).unwrap_or_default() {
            let id = match ServerId::derive(external_id) {
                Ok(id) => id,
                Err(error) => {
                    let _: Option<()> = place.refuse(error);
                    continue;
                }
            };
            if let Some(first) = ids.first(id.clone(), place.line) {
                let _: Option<()> = place.refuse(format_args!(
                    "the server on line {first} has the id {:?} already; give each server its own",
                    id.as_str()
                ));
            }
            let Some(section) = carried_over_http(&place).and_then(|()| place.section(SERVER)) else {
                continue;
            };
            let server = server(id, external_id, &section);
            aliases.extend(server.profile.alias.clone().zip(section.find("alias")));
            servers.push(server);
        }
    }
    for (alias, place) in aliases {
        if let Some(first) = ids.first(alias.clone(), place.line) {
            let _: Option<()> = place.refuse(format_args!(
                "the server on line {first} has {:?} as its id or alias already; give each server its own",
                alias.as_str()
            ));
        }
    }
    servers.sort_by(|one, other| one.id.cmp(&other.id));
    servers
}

fn server(id: ServerId, external_id: &str, section: &Section<'_>) -> Server {
    let endpoints = endpoints(section).unwrap_or_else(|| Endpoints::Static(Vec::new()));
    let eras = [("auto", EraChoice::Auto), ("modern", EraChoice::Modern), ("legacy", EraChoice::Legacy)];
    let versions = [("auto", Http::Auto), ("1.1", Http::One), ("2", Http::Two)];
    let mut server = Server::at(id, external_id, endpoints);
    server.era = section.or("era", server.era, |place| place.choice(&eras));
    server.health = health(section, server.health);
    server.timeout = timeout(section, server.timeout);
    server.credentials = credential::read(section);
    server.forward_headers = list(section, "forward_headers", forwarded_name);
    server.http = section.or("http", server.http, |place| place.choice(&versions));
    let profile = &mut server.profile;
    profile.name = section.optional("name", text).unwrap_or_else(|| external_id.to_owned());
    profile.description = section.optional("description", text);
    profile.alias = section.optional("alias", alias);
    profile.tools = list(section, "tools", text);
    profile.resources = list(section, "resources", text);
    profile.access_groups = list(section, "access_groups", text);
    profile.auth_type = credential::kind(&server.credentials);
    server
}

fn list<T>(server: &Section<'_>, key: &str, read: fn(&Place<'_>) -> Option<T>) -> Vec<T> {
    server.optional(key, Place::items).unwrap_or_default().iter().filter_map(read).collect()
}

fn text(place: &Place<'_>) -> Option<String> {
    let text = place.text()?;
    if (1..=TEXT_CHARACTERS_MAX).contains(&text.chars().count()) {
        return Some(text);
    }
    place.refuse("this text is empty or longer than 4096 characters; write a shorter one, or leave it out")
}

fn alias(place: &Place<'_>) -> Option<ServerId> {
    match ServerId::derive(&place.text()?) {
        Ok(alias) => Some(alias),
        Err(error) => place.refuse(error),
    }
}

/// A server over another transport cannot be reached yet; its other keys would only be unknown.
fn carried_over_http(server: &Place<'_>) -> Option<()> {
    if !matches!(server.node.value, Value::Map(_)) {
        return Some(());
    }
    for (key, place) in server.entries()? {
        let transport = match (key, place.is_text()) {
            ("command", _) => "stdio".to_owned(),
            ("type" | "transport", true) => place.text()?,
            _ => continue,
        };
        match transport.as_str() {
            "http" | "streamable-http" | "streamable_http" | "streamableHttp" => {}
            "stdio" | "sse" | "websocket" | "ws" => {
                return place.refuse(format_args!(
                    "the transport {transport} is not there yet; offer the server over Streamable HTTP and write its `url`"
                ));
            }
            _ => {
                return place.refuse(format_args!("{} is no transport; write streamable-http", place.quoted()));
            }
        }
    }
    Some(())
}

fn endpoints(server: &Section<'_>) -> Option<Endpoints> {
    match (server.find("url"), server.find("endpoints")) {
        (Some(place), None) => address::url(&place).map(Endpoints::at),
        (None, Some(place)) => several(&place).map(Endpoints::Static),
        (Some(_), Some(place)) => place.refuse("there is a `url` as well; write `url` or `endpoints`"),
        (None, None) => server.place.refuse("`url` is missing; write it, as in `url: http://127.0.0.1:3100/mcp`"),
    }
}

fn several(place: &Place<'_>) -> Option<Vec<Uri>> {
    let mut uris: Vec<Uri> = Vec::new();
    let places = place.items()?;
    if places.is_empty() {
        return place.refuse("the list is empty; write at least one, as in [http://127.0.0.1:3100/mcp]");
    }
    for place in &places {
        let Some(uri) = address::url(place) else {
            continue;
        };
        if uris.contains(&uri) {
            let _: Option<()> = place.refuse("this endpoint stands in the list already; remove it");
        } else if uris.iter().any(|other| other.authority() == uri.authority()) {
            let _: Option<()> = place.refuse(
                "an endpoint of this host and port stands in the list already; endpoints are replicas of one \
                 server, and what differs by its path alone is another server",
            );
        }
        if uris.first().is_some_and(|first| first.scheme() != uri.scheme()) {
            let _: Option<()> = place.refuse("the endpoints of a server share http or https; write the same scheme");
        }
        uris.push(uri);
    }
    Some(uris)
}

fn health(server: &Section<'_>, default: Health) -> Health {
    let section = server.child("health", &["interval", "timeout"]);
    let duration = |key, default| section.or(key, default, |place| place.duration(MILLISECOND..=DAY));
    Health { interval: duration("interval", default.interval), timeout: duration("timeout", default.timeout) }
}

fn timeout(server: &Section<'_>, default: Timeout) -> Timeout {
    let section = server.child("timeout", &["connect", "call", "call_max"]);
    let duration = |key, default| section.or(key, default, |place| place.duration(MILLISECOND..=DAY));
    let timeout = Timeout {
        connect: duration("connect", default.connect),
        call: duration("call", default.call),
        call_max: duration("call_max", default.call_max),
    };
    if timeout.call > timeout.call_max {
        let key = if section.find("call").is_some() { "call" } else { "call_max" };
        let (call, call_max) = (Spelled(timeout.call), Spelled(timeout.call_max));
        section
            .refuse_at(key, format_args!("`call` ({call}) is longer than `call_max` ({call_max}); raise `call_max`"));
    }
    timeout
}
