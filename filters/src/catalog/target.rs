//! From a name that a client sent to where the call goes: canonical names first, then every spelling that means
//! one tool.

use super::{Entry, Kind, Server, Snapshot};
use crate::auth::Principal;
use crate::era::Era;
use crate::names;
use crate::path::Scope;
use crate::rejection::Rejection;
use std::collections::BTreeSet;

/// Where a call goes: a server, and the name that the server knows.
#[derive(Clone, Debug)]
pub(crate) struct Target<'s> {
    pub server: &'s Server,
    /// `None`: the name that was sent is already the server's own.
    pub rename: Option<String>,
    /// `None`: the catalog does not have it.
    pub entry: Option<&'s Entry>,
}

/// Who asks for what kind of thing, where, and in which era.
pub(super) struct Asking<'a> {
    pub kind: Kind,
    pub era: Era,
    pub principal: &'a Principal,
    pub scope: &'a Scope,
}

impl Snapshot {
    /// Finds the tool or prompt of a name that a client sent. What the principal may not see and
    /// what is not there are the same to it.
    pub(crate) fn resolve(
        &self,
        kind: Kind,
        name: &str,
        era: Era,
        principal: &Principal,
        scope: &Scope,
    ) -> Result<Target<'_>, Rejection> {
        let asking = Asking { kind, era, principal, scope };
        let target = match scope {
            Scope::One(_) => self.resolve_bare(&asking, name)?,
            Scope::All | Scope::Set(_) => self.resolve_public(&asking, name)?,
        };
        match target.server.speaks(era) {
            true => Ok(target),
            false => Err(Rejection::EraUnbridged { server: target.server.id.clone(), era }),
        }
    }

    /// At the endpoint of one server.
    fn resolve_bare<'s>(&'s self, asking: &Asking<'_>, name: &str) -> Result<Target<'s>, Rejection> {
        let Asking { kind, principal, scope, .. } = *asking;
        let one = self.within(scope).iter().find(|server| self.shows(server, principal, scope));
        let server = one.ok_or_else(|| unknown(kind, name))?;
        let entry = server.entry(kind, name);
        let function = if entry.is_some() { None } else { self.function_of(server, kind, name)? };
        Ok(function.unwrap_or(Target { server, rename: None, entry }))
    }

    fn resolve_public<'s>(&'s self, asking: &Asking<'_>, name: &str) -> Result<Target<'s>, Rejection> {
        if let Some(target) = self.canonical(asking, name) {
            return Ok(target);
        }
        let candidates = self.candidates(asking, name);
        // Two servers of different eras may share a spelling; only one of them is meant by this client.
        let callable = |target: &&Target<'s>| target.server.speaks(asking.era);
        let mut meant: Vec<&Target<'s>> = candidates.iter().filter(callable).collect();
        if meant.is_empty() {
            meant = candidates.iter().collect();
        }
        match meant.as_slice() {
            [] => Err(unknown(asking.kind, name)),
            [one] => Ok((*one).clone()),
            several => Err(Rejection::Ambiguous { name: name.to_owned(), candidates: public_names(several, name) }),
        }
    }

    /// What a name may mean that no list shows.
    fn candidates<'s>(&'s self, asking: &Asking<'_>, name: &str) -> Vec<Target<'s>> {
        let functions = self.functions(asking, name);
        if !functions.is_empty() {
            return functions;
        }
        let spelled = |server: &'s Server| {
            let entry = server.spellings(name).find_map(|bare| server.entry(asking.kind, bare))?;
            Some(Target { server, rename: Some(entry.key.clone()), entry: Some(entry) })
        };
        let holding = self.spellings.holding(asking.kind, name).iter().copied();
        let exact: Vec<Target<'s>> =
            self.spelling(name, holding, asking.principal, asking.scope).filter_map(spelled).collect();
        if exact.is_empty() { self.undiscovered(asking, name).into_iter().collect() } else { exact }
    }

    /// The visible servers whose tool a name may spell, by id: those that have one of that name, and those that
    /// it begins with.
    pub(super) fn spelling<'s>(
        &'s self,
        name: &str,
        holding: impl Iterator<Item = usize>,
        principal: &Principal,
        scope: &Scope,
    ) -> impl Iterator<Item = &'s Server> {
        let places: BTreeSet<usize> = match scope {
            Scope::One(id) => self.places.get(id).copied().into_iter().collect(),
            Scope::All | Scope::Set(_) => holding.chain(self.spellings.prefixing(name)).collect(),
        };
        let servers = places.into_iter().filter_map(|at| self.servers.get(at));
        servers.filter(move |server| self.shows(server, principal, scope))
    }

    /// The name as lists show it. They show the first that speaks the caller's era; one that does not explains
    /// itself.
    pub(super) fn canonical(&self, asking: &Asking<'_>, name: &str) -> Option<Target<'_>> {
        let Asking { kind, era, principal, scope } = *asking;
        let found = self.index.find(kind, name).iter().filter_map(|(server, entry)| {
            let server = self.servers.get(*server).filter(|server| self.shows(server, principal, scope))?;
            Some((server, server.offer.as_ref()?.entries(kind).get(*entry)?))
        });
        let (server, entry) = found.min_by_key(|(server, _)| !server.speaks(era))?;
        let rename = (entry.key != name).then(|| entry.key.clone());
        Some(Target { server, rename, entry: Some(entry) })
    }

    /// A canonical name whose tool the catalog does not have (yet): the server itself will say.
    fn undiscovered(&self, asking: &Asking<'_>, name: &str) -> Option<Target<'_>> {
        let (called, bare) = names::split(name)?;
        let is_meant = |known: &&Server| {
            known.id.as_str() == called || known.profile.alias.as_ref().is_some_and(|alias| alias.as_str() == called)
        };
        let mut visible = self.called(called).filter(|server| self.shows(server, asking.principal, asking.scope));
        let server = visible.find(is_meant)?;
        Some(Target { server, rename: Some(bare.to_owned()), entry: None })
    }
}

fn public_names(targets: &[&Target<'_>], name: &str) -> Vec<String> {
    let bare = |target: &Target<'_>| target.rename.clone().unwrap_or_else(|| name.to_owned());
    targets.iter().map(|target| names::public_name(&target.server.id, &bare(target))).collect()
}

fn unknown(kind: Kind, name: &str) -> Rejection {
    match kind {
        Kind::Prompt => Rejection::UnknownPrompt(name.to_owned()),
        _ => Rejection::UnknownTool(name.to_owned()),
    }
}
