//! Where what is registered over an API is kept.

use super::place::Place;
use super::section::Section;
use super::{Registry, Shared, Store, pem, redis};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A replica that has heard nothing of the store for so long does not call itself ready.
const STALE_AFTER: Duration = Duration::from_secs(15 * 60);

/// How often a replica compares what it knows with the store, whether it was told of changes or not.
const RESYNC: Duration = Duration::from_secs(30);

pub(super) fn read(root: &Section<'_>) -> Registry {
    let known = &["store", "url", "ca", "path", "public", "replicas", "resync", "stale_after"];
    let section = root.child("registry", known);
    let seconds = Duration::from_secs;
    let store = section.or("store", Store::Embedded, |place| store(place, &section));
    if section.find("url").is_some() && section.find("store").is_none() {
        section.refuse_at("url", "only the store redis has an address; write `store: redis` beside it");
    }
    Registry {
        store,
        path: section.optional("path", path),
        public: section.or("public", false, Place::switch),
        replicas: section.or("replicas", false, Place::switch),
        resync: section.or("resync", RESYNC, |place| place.duration(seconds(1)..=RESYNC)),
        stale_after: section
            .or("stale_after", STALE_AFTER, |place| place.duration(seconds(1)..=seconds(7 * 24 * 3600))),
    }
}

/// Beside the configuration file: its name with another ending.
pub(super) fn beside(file: &Path, store: &Store) -> PathBuf {
    let ending = match store {
        Store::Embedded => "db",
        Store::Redis(_) => "snapshot",
    };
    let path = file.with_extension(ending);
    if path == file {
        let mut longer = OsString::from(file);
        longer.push(format!(".{ending}"));
        return longer.into();
    }
    path
}

fn store(place: &Place<'_>, section: &Section<'_>) -> Option<Store> {
    match place.text()?.as_str() {
        "embedded" => Some(Store::Embedded),
        "redis" => {
            let redis = section.required("url", "url: redis://127.0.0.1:6379/0", redis::read)?;
            let ca = section.optional("ca", pem::roots);
            Some(Store::Redis(Shared { redis, ca }))
        }
        _ => place.refuse(format_args!("{} is no store; write embedded or redis", place.quoted())),
    }
}

/// What replicas share must be sealed with what they share.
pub(super) fn check(root: &Section<'_>, registry: &Registry, seal: &[[u8; 32]]) {
    if matches!(registry.store, Store::Redis(_)) && seal.is_empty() {
        let message = "the store redis needs `seal.keys`, the same for every replica; `openssl rand -hex 32` makes one";
        root.refuse_at("registry", message);
    }
}

fn path(place: &Place<'_>) -> Option<PathBuf> {
    let text = place.text()?;
    if text.is_empty() || text.ends_with('/') {
        return place.refuse("this is no path of a file; write one, as in /var/lib/tollbridge/registry.db");
    }
    Some(text.into())
}
