//! The queue: lists of jobs in a Redis that are done here.

use super::place::Place;
use super::section::Section;
use super::{Queue, Redis, Registry, Shared, Store, Topology, pem};
use std::time::Duration;
use tollbridge_filters::auth::KeyRecord;

const QUEUE: &[&str] = &["principal", "url", "ca", "in_flight", "lease"];

const IN_FLIGHT: usize = 16;
const LEASE: Duration = Duration::from_secs(5);

pub(super) fn read(root: &Section<'_>, keys: &[KeyRecord], registry: &Registry) -> Option<Queue> {
    let place = root.find("queue")?;
    if place.is_text() {
        return match place.text()?.as_str() {
            "off" | "false" => None,
            _ => place.refuse(format_args!("{} is no queue; write off, or keys: {}", place.quoted(), QUEUE.join(", "))),
        };
    }
    let section = place.section(QUEUE)?;
    let principal = section.required("principal", "principal: app", |place| principal(place, keys));
    let store = store(&section, registry);
    let in_flight = section.or("in_flight", IN_FLIGHT, |place| place.count(1..=1_000));
    let seconds = Duration::from_secs;
    let lease = section.or("lease", LEASE, |place| place.duration(seconds(1)..=seconds(60)));
    Some(Queue { principal: principal?, store: store?, in_flight, lease })
}

fn principal(place: &Place<'_>, keys: &[KeyRecord]) -> Option<String> {
    let id = place.text()?;
    if keys.iter().any(|key| key.id == id) {
        return Some(id);
    }
    place.refuse(format_args!("no key has the id {}; jobs are done under the permissions of a key", place.quoted()))
}

/// Its own Redis, or the registry's.
fn store(section: &Section<'_>, registry: &Registry) -> Option<Shared> {
    let shared = match &registry.store {
        Store::Redis(shared) => Some(shared),
        Store::Embedded => None,
    };
    let redis = match (section.find("url"), shared) {
        (Some(place), _) => super::redis::read(&place)?,
        (None, Some(shared)) => shared.redis.clone(),
        (None, None) => {
            return section
                .place
                .refuse("`url` is missing, and the registry has no Redis; write `url: redis://host:6379/0`");
        }
    };
    if is_cluster(&redis) {
        section.refuse_at("url", "a cluster keeps the lists in several slots, and a job would not move in one step; name one Redis, or Sentinels");
        return None;
    }
    let ca = section.optional("ca", pem::roots).or_else(|| shared.and_then(|shared| shared.ca.clone()));
    Some(Shared { redis, ca })
}

fn is_cluster(redis: &Redis) -> bool {
    matches!(redis.topology, Topology::Cluster(_))
}
