//! The catalog as a value: which server offers what, and under which public name. A snapshot never
//! changes; the registry publishes another one.

mod entry;
mod index;

pub use entry::{Entry, Kind, Offer};

use crate::auth::Principal;
use crate::era::Era;
use crate::names::{Naming, ServerId};
use crate::path::Scope;
use crate::permit;
use crate::rejection::Rejection;
use index::{Index, Listed};
use std::sync::Arc;

/// Everything that requests are answered and routed by, at one moment.
#[derive(Debug)]
pub struct Snapshot {
    pub generation: u64,
    naming: Naming,
    /// Sorted by id.
    servers: Vec<Server>,
    index: Index,
}

/// One registered server and what is known of it.
#[derive(Clone, Debug)]
pub struct Server {
    pub id: ServerId,
    pub state: State,
    /// What it offered when it was last asked; kept when it dies.
    pub offer: Option<Arc<Offer>>,
}

/// How much the offer of a server is worth. Times are seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not asked yet.
    Unprobed,
    Ready,
    /// It does not answer; what it offered before is still listed.
    Stale {
        since: u64,
    },
    /// It has never answered.
    Unreachable {
        since: u64,
    },
}

/// One line of a list.
#[derive(Clone, Copy, Debug)]
pub struct Line<'s> {
    pub name: &'s str,
    pub entry: &'s Entry,
    pub server: &'s ServerId,
    /// Another server, before this one by id, has the name.
    pub hidden: bool,
}

/// Where a call goes: a server, and the name that the server knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub server: ServerId,
    /// `None`: the name that was sent is already the server's own.
    pub rename: Option<String>,
    /// Whether the catalog has it; metrics label nothing else.
    pub listed: bool,
}

impl Snapshot {
    pub fn new(generation: u64, naming: Naming, mut servers: Vec<Server>) -> Snapshot {
        servers.sort_by(|a, b| a.id.cmp(&b.id));
        let index = Index::build(naming, &servers);
        Snapshot { generation, naming, servers, index }
    }

    pub fn naming(&self) -> Naming {
        self.naming
    }

    pub fn server(&self, id: &ServerId) -> Option<&Server> {
        let at = self.servers.binary_search_by(|server| server.id.cmp(id)).ok()?;
        self.servers.get(at)
    }

    /// The servers that a principal may use at an endpoint.
    pub fn visible<'s>(&'s self, principal: &'s Principal, scope: &'s Scope) -> impl Iterator<Item = &'s Server> {
        let inside = move |server: &&Server| match scope {
            Scope::All => true,
            Scope::One(id) => server.id == *id,
        };
        self.servers.iter().filter(inside).filter(|server| permit::execute(principal, &server.id))
    }

    /// What a list shows, sorted by public name. Of two entries with the same one (URIs, or
    /// `naming: never`) the first by server id is shown, and the others are said to be hidden.
    pub fn list<'s>(&'s self, kind: Kind, era: Era, principal: &Principal, scope: &Scope) -> Vec<Line<'s>> {
        let visible: Vec<bool> = self.servers.iter().map(|server| self.shows(server, era, principal, scope)).collect();
        let shown = |listed: &&Listed| visible.get(listed.server).copied().unwrap_or_default();
        let mut lines: Vec<Line<'s>> = Vec::new();
        for listed in self.index.listed(kind, scope).iter().filter(shown) {
            let server = self.servers.get(listed.server);
            let offer = server.and_then(|server| server.offer.as_ref());
            if let Some((server, entry)) = server.zip(offer.and_then(|offer| offer.entries(kind).get(listed.entry))) {
                let name = listed.name(entry);
                let hidden = lines.last().is_some_and(|before| before.name == name);
                lines.push(Line { name, entry, server: &server.id, hidden });
            }
        }
        lines
    }

    fn shows(&self, server: &Server, era: Era, principal: &Principal, scope: &Scope) -> bool {
        let inside = *scope == Scope::All || *scope == Scope::One(server.id.clone());
        inside && server.speaks(era) && permit::execute(principal, &server.id)
    }

    /// The entry that a server lists under its own name.
    pub fn entry(&self, server: &ServerId, kind: Kind, name: &str) -> Option<&Entry> {
        self.server(server)?.offer.as_ref()?.entry(kind, name)
    }

    /// Finds the tool or prompt of a name that a client sent. What the principal may not see and
    /// what is not there are the same to it.
    pub fn resolve(
        &self,
        kind: Kind,
        name: &str,
        era: Era,
        principal: &Principal,
        scope: &Scope,
    ) -> Result<Target, Rejection> {
        let target = match scope {
            Scope::One(server) => {
                self.visible(principal, scope).next().ok_or_else(|| unknown(kind, name))?;
                let listed = self.entry(server, kind, name).is_some();
                Target { server: server.clone(), rename: None, listed }
            }
            Scope::All => self.resolve_public(kind, name, era, principal)?,
        };
        let speaks = self.server(&target.server).is_some_and(|server| server.speaks(era));
        if speaks { Ok(target) } else { Err(Rejection::EraUnbridged { server: target.server, era }) }
    }

    fn resolve_public(&self, kind: Kind, name: &str, era: Era, principal: &Principal) -> Result<Target, Rejection> {
        let candidates = self.candidates(kind, name, era, principal);
        // Two servers of different eras may share a spelling; only one of them is meant by this client.
        let callable = |target: &&Target| self.server(&target.server).is_some_and(|server| server.speaks(era));
        let mut meant: Vec<&Target> = candidates.iter().filter(callable).collect();
        if meant.is_empty() {
            meant = candidates.iter().collect();
        }
        match meant.as_slice() {
            [] => Err(unknown(kind, name)),
            [one] => Ok((*one).clone()),
            several => {
                Err(Rejection::Ambiguous { name: name.to_owned(), candidates: self.public_names(several, name) })
            }
        }
    }

    fn candidates(&self, kind: Kind, name: &str, era: Era, principal: &Principal) -> Vec<Target> {
        if let Some(target) = self.canonical(kind, name, era, principal) {
            return vec![target];
        }
        let spelled = |server: &Server| {
            let bare = crate::names::foreign_spelling(name, &server.id).into_iter().chain([name]);
            let mut known = bare.filter(|bare| self.entry(&server.id, kind, bare).is_some());
            known.next().map(|bare| Target { server: server.id.clone(), rename: Some(bare.to_owned()), listed: true })
        };
        let exact: Vec<Target> = self.visible(principal, &Scope::All).filter_map(spelled).collect();
        if exact.is_empty() { self.undiscovered(name, principal).into_iter().collect() } else { exact }
    }

    /// The name as lists show it.
    fn canonical(&self, kind: Kind, name: &str, era: Era, principal: &Principal) -> Option<Target> {
        let places = self.index.find(kind, name).iter();
        let found = places.filter_map(|(server, entry)| {
            let server = self.servers.get(*server).filter(|server| permit::execute(principal, &server.id))?;
            Some((server, server.offer.as_ref()?.entries(kind).get(*entry)?))
        });
        let mut found: Vec<_> = found.collect();
        // Lists show the first one that speaks the caller's era; one that does not explains itself.
        found.sort_by_key(|(server, _)| !server.speaks(era));
        let (server, entry) = found.first()?;
        let rename = (entry.key != name).then(|| entry.key.clone());
        Some(Target { server: server.id.clone(), rename, listed: true })
    }

    /// A canonical name whose tool the catalog does not have (yet): the server itself will say.
    fn undiscovered(&self, name: &str, principal: &Principal) -> Option<Target> {
        let (server, bare) = crate::names::split(name)?;
        let server = self.visible(principal, &Scope::All).find(|known| known.id.as_str() == server)?;
        Some(Target { server: server.id.clone(), rename: Some(bare.to_owned()), listed: false })
    }

    fn public_names(&self, targets: &[&Target], name: &str) -> Vec<String> {
        let bare = |target: &Target| target.rename.clone().unwrap_or_else(|| name.to_owned());
        targets.iter().map(|target| crate::names::public_name(&target.server, &bare(target))).collect()
    }

    /// The servers that may have a resource, best guess first: those that list its URI, those with
    /// a template that it fits, then every other one with resources. URIs are never rewritten.
    pub fn holders(
        &self,
        uri: &str,
        era: Era,
        principal: &Principal,
        scope: &Scope,
    ) -> Result<Vec<ServerId>, Rejection> {
        let visible: Vec<&Server> = self.visible(principal, scope).collect();
        let speaking: Vec<&&Server> = visible.iter().filter(|server| server.speaks(era)).collect();
        if let (Scope::One(id), [], [_]) = (scope, speaking.as_slice(), visible.as_slice()) {
            return Err(Rejection::EraUnbridged { server: id.clone(), era });
        }
        let mut ranked: Vec<(u8, ServerId)> =
            speaking.iter().filter_map(|server| Some((server.offer.as_ref()?.rank(uri)?, server.id.clone()))).collect();
        ranked.sort();
        let with = |wanted: u8| ranked.iter().filter(|(rank, _)| *rank == wanted).count();
        // A listed URI has one holder: the first by id. So has one that fits the template of one
        // server alone. Guesses are asked one after the other.
        let is_certain = with(entry::LISTED) > 0 || with(entry::FITS_TEMPLATE) == 1;
        let asked = if is_certain { 1 } else { ranked.len() };
        match ranked.len() {
            0 => Err(Rejection::UnknownResource(uri.to_owned())),
            _ => Ok(ranked.into_iter().take(asked).map(|(_, id)| id).collect()),
        }
    }
}

impl Server {
    /// Whether clients of an era reach it. Until it has answered once, nobody knows, and the
    /// attempt will tell.
    pub fn speaks(&self, era: Era) -> bool {
        self.offer.as_ref().is_none_or(|offer| offer.eras.speak(era))
    }
}

fn unknown(kind: Kind, name: &str) -> Rejection {
    match kind {
        Kind::Prompt => Rejection::UnknownPrompt(name.to_owned()),
        _ => Rejection::UnknownTool(name.to_owned()),
    }
}

#[cfg(test)]
mod tests;
