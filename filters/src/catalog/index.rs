//! Public names, worked out once for each snapshot.

use super::{Entry, Kind, Server};
use crate::names::{Naming, ServerId, function_name, public_name};
use crate::path::Scope;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// A server and one of its entries.
type Place = (usize, usize);

/// One line of a list.
#[derive(Debug)]
pub(super) struct Listed {
    /// `None`: the entry's own name.
    public: Option<String>,
    pub(super) server: usize,
    pub(super) entry: usize,
}

impl Listed {
    pub(super) fn name<'n>(&'n self, entry: &'n Entry) -> &'n str {
        self.public.as_deref().unwrap_or(&entry.key)
    }
}

/// The lists of the aggregated endpoint and of the single ones, each sorted by name.
#[derive(Debug, Default)]
pub(super) struct Index {
    merged: [Vec<Listed>; 4],
    bare: [Vec<Listed>; 4],
    by_public_name: [HashMap<String, Vec<Place>>; 4],
    /// Names of tools, public and the servers' own, that model APIs do not take, by the one that they do.
    by_function_name: HashMap<String, Vec<String>>,
}

impl Index {
    pub(super) fn build(naming: Naming, servers: &[Server]) -> Index {
        let mut index = Index::default();
        for kind in Kind::EVERY {
            let shared = shared_names(kind, servers);
            for (server, entry, found) in every(kind, servers) {
                let id = &servers.get(server).map(|server| &server.id);
                let public = id.filter(|_| is_prefixed(kind, naming, shared.contains(found.key.as_str())));
                let public = public.map(|id| public_name(id, &found.key));
                index.add(kind, found, Listed { public, server, entry });
            }
            index.sort(kind, servers);
        }
        index
    }

    fn add(&mut self, kind: Kind, entry: &Entry, listed: Listed) {
        let (server, at) = (listed.server, listed.entry);
        if kind == Kind::Tool {
            self.add_function(listed.name(entry));
            self.add_function(&entry.key);
        }
        if let Some(bare) = self.bare.get_mut(kind as usize) {
            bare.push(Listed { public: None, server, entry: at });
        }
        if let Some(names) = self.by_public_name.get_mut(kind as usize) {
            names.entry(listed.name(entry).to_owned()).or_default().push((server, at));
        }
        if let Some(merged) = self.merged.get_mut(kind as usize) {
            merged.push(listed);
        }
    }

    fn add_function(&mut self, name: &str) {
        if let Cow::Owned(function) = function_name(name) {
            let names = self.by_function_name.entry(function).or_default();
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }

    fn sort(&mut self, kind: Kind, servers: &[Server]) {
        let name = |listed: &Listed| {
            let offer = servers.get(listed.server).and_then(|server| server.offer.as_ref());
            let entry = offer.and_then(|offer| offer.entries(kind).get(listed.entry));
            entry.map(|entry| listed.name(entry).to_owned())
        };
        for lists in [&mut self.merged, &mut self.bare] {
            if let Some(list) = lists.get_mut(kind as usize) {
                list.sort_by_cached_key(name);
            }
        }
    }

    pub(super) fn listed(&self, kind: Kind, scope: &Scope) -> &[Listed] {
        let lists = match scope {
            Scope::All | Scope::Set(_) => &self.merged,
            Scope::One(_) => &self.bare,
        };
        lists.get(kind as usize).map_or(&[], Vec::as_slice)
    }

    /// The public name of a server's tool.
    pub(super) fn public_name(&self, servers: &[Server], server: &ServerId, name: &str) -> String {
        let is_meant = |places: &Vec<(usize, usize)>| {
            places.iter().any(|(at, entry)| {
                let known = servers.get(*at).filter(|known| known.id == *server);
                let entries = known.and_then(|known| known.offer.as_ref()).map(|offer| offer.entries(Kind::Tool));
                entries.and_then(|entries| entries.get(*entry)).is_some_and(|entry| entry.key == name)
            })
        };
        let full = public_name(server, name);
        let names = self.by_public_name.get(Kind::Tool as usize);
        let is_listed = |name: &str| names.and_then(|names| names.get(name)).is_some_and(is_meant);
        if is_listed(&full) || !is_listed(name) { full } else { name.to_owned() }
    }

    /// Everything with this public name, by server id.
    pub(super) fn find(&self, kind: Kind, public: &str) -> &[Place] {
        self.by_public_name.get(kind as usize).and_then(|names| names.get(public)).map_or(&[], Vec::as_slice)
    }

    /// The names that become this function name; without the name itself.
    pub(super) fn function_names(&self, function: &str) -> &[String] {
        self.by_function_name.get(function).map_or(&[], Vec::as_slice)
    }
}

fn every(kind: Kind, servers: &[Server]) -> impl Iterator<Item = (usize, usize, &Entry)> {
    servers.iter().enumerate().flat_map(move |(server, known)| {
        let entries = known.offer.as_ref().map_or(&[][..], |offer| offer.entries(kind));
        entries.iter().enumerate().map(move |(at, entry)| (server, at, entry))
    })
}

/// Names that more than one server has.
fn shared_names(kind: Kind, servers: &[Server]) -> HashSet<&str> {
    let mut seen = HashSet::new();
    every(kind, servers)
        .filter_map(|(_, _, entry)| (!seen.insert(entry.key.as_str())).then_some(entry.key.as_str()))
        .collect()
}

fn is_prefixed(kind: Kind, naming: Naming, shared: bool) -> bool {
    kind.is_renamed()
        && match naming {
            Naming::Always => true,
            Naming::Conditional => shared,
            Naming::Never => false,
        }
}
