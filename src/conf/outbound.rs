//! What servers that are registered over an API may be reached at, besides public addresses.

use super::place::Place;
use super::section::Section;
use super::{Outbound, address};
use ipnet::IpNet;
use std::net::IpAddr;

pub(super) fn read(root: &Section<'_>) -> Outbound {
    let mut outbound = Outbound::default();
    let section = root.child("outbound", &["allow"]);
    for place in section.optional("allow", Place::items).unwrap_or_default() {
        match destination(&place) {
            Some(Destination::Range(range)) => outbound.ranges.push(range),
            Some(Destination::Name(name)) => outbound.names.push(name),
            None => {}
        }
    }
    outbound
}

enum Destination {
    Range(IpNet),
    Name(String),
}

fn destination(place: &Place<'_>) -> Option<Destination> {
    let text = place.text()?;
    if let Ok(range) = text.parse::<IpNet>() {
        return Some(Destination::Range(range.trunc()));
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(Destination::Range(ip.into()));
    }
    if address::wrong_host(&text).is_some() {
        return place.refuse(format_args!(
            "{} is no range, no address and no name; write one of them, as in 10.0.0.0/8, 10.1.2.3 or tools.internal",
            place.quoted()
        ));
    }
    Some(Destination::Name(text.to_ascii_lowercase()))
}
