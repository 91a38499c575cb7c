//! Where what is registered over an API is kept.

use super::place::Place;
use super::section::Section;
use super::{Registry, Store};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub(super) fn read(root: &Section<'_>) -> Registry {
    let section = root.child("registry", &["store", "path", "public"]);
    Registry {
        store: section.or("store", Store::Embedded, store),
        path: section.optional("path", path),
        public: section.or("public", false, Place::switch),
    }
}

/// Beside the configuration file: its name with another ending.
pub(super) fn beside(file: &Path) -> PathBuf {
    let path = file.with_extension("db");
    if path == file {
        let mut longer = OsString::from(file);
        longer.push(".db");
        return longer.into();
    }
    path
}

fn store(place: &Place<'_>) -> Option<Store> {
    match place.text()?.as_str() {
        "embedded" => Some(Store::Embedded),
        "redis" => place.refuse("the store redis is not there yet; write embedded"),
        _ => place.refuse(format_args!("{} is no store; write embedded", place.quoted())),
    }
}

fn path(place: &Place<'_>) -> Option<PathBuf> {
    let text = place.text()?;
    if text.is_empty() || text.ends_with('/') {
        return place.refuse("this is no path of a file; write one, as in /var/lib/tollbridge/registry.db");
    }
    Some(text.into())
}
