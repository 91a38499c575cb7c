//! The catalog as a value: which server offers what, and under which public name. A snapshot never
//! changes; the registry publishes another one.

mod digest;
mod entry;
mod function;
mod index;
mod meant;
mod profile;
mod set;
mod spelling;
mod target;

pub use entry::{Dialect, Entry, Kind, Offer};
pub use meant::Meant;
pub use profile::{AuthType, Origin, Profile};
pub use set::Set;
pub(crate) use target::Target;

use crate::auth::Principal;
use crate::era::Era;
use crate::names::{Naming, ServerId};
use crate::path::Scope;
use crate::permit;
use crate::rejection::Rejection;
use index::{Index, Listed};
use spelling::Spellings;
use std::collections::HashMap;
use std::sync::Arc;

/// Everything that requests are answered and routed by, at one moment.
#[derive(Debug)]
pub struct Snapshot {
    pub generation: u64,
    naming: Naming,
    /// Sorted by id.
    servers: Vec<Server>,
    places: HashMap<ServerId, usize>,
    index: Index,
    spellings: Spellings,
    /// Other ids of servers.
    aliases: HashMap<ServerId, ServerId>,
    sets: Sets,
}

/// The application sessions, by id.
pub type Sets = Arc<HashMap<String, Arc<Set>>>;

/// One registered server and what is known of it.
#[derive(Clone, Debug)]
pub struct Server {
    pub id: ServerId,
    pub state: State,
    /// What it offered when it was last asked; kept when it dies.
    pub offer: Option<Arc<Offer>>,
    pub profile: Arc<Profile>,
    /// How often it has said of each list that it has changed, in the order of [`crate::route::Listed::EVERY`].
    pub announced: [u32; 3],
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

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Unprobed => "unprobed",
            State::Ready => "ready",
            State::Stale { .. } => "stale",
            State::Unreachable { .. } => "unreachable",
        }
    }
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

impl Snapshot {
    pub fn new(generation: u64, naming: Naming, mut servers: Vec<Server>, sets: Sets) -> Snapshot {
        servers.sort_by(|a, b| a.id.cmp(&b.id));
        let index = Index::build(naming, &servers);
        let spellings = Spellings::build(&servers);
        let places = servers.iter().enumerate().map(|(at, server)| (server.id.clone(), at)).collect();
        let alias = |server: &Server| Some((server.profile.alias.clone()?, server.id.clone()));
        let aliases = servers.iter().filter_map(alias).collect();
        Snapshot { generation, naming, servers, places, index, spellings, aliases, sets }
    }

    pub fn sets_by_id(&self) -> &HashMap<String, Arc<Set>> {
        &self.sets
    }

    /// Every server, whoever may see it.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter()
    }

    /// A set that this principal may use, if it has not expired.
    pub fn set(&self, id: &str, principal: &Principal, now: u64) -> Option<&Arc<Set>> {
        self.sets.get(id).filter(|set| set.principal == principal.id() && set.expires > now)
    }

    pub fn sets<'s>(&'s self, principal: &'s Principal, now: u64) -> impl Iterator<Item = (&'s str, &'s Arc<Set>)> {
        let own = move |(_, set): &(&String, &Arc<Set>)| set.principal == principal.id() && set.expires > now;
        self.sets.iter().filter(own).map(|(id, set)| (id.as_str(), set))
    }

    /// A server by its id as it was given, by ours, or by its alias.
    pub fn named(&self, name: &str) -> Option<&Server> {
        let id = ServerId::derive(name).ok()?;
        self.server(&id).or_else(|| self.server(self.aliases.get(&id)?))
    }

    /// The server that an alias stands for.
    pub fn behind_alias(&self, id: &ServerId) -> Option<&ServerId> {
        self.aliases.get(id)
    }

    /// A tool's name as lists at `/mcp` show it.
    pub fn public_name(&self, server: &ServerId, name: &str) -> String {
        self.index.public_name(&self.servers, server, name)
    }

    pub fn naming(&self) -> Naming {
        self.naming
    }

    pub fn server(&self, id: &ServerId) -> Option<&Server> {
        self.servers.get(*self.places.get(id)?)
    }

    /// The servers that a principal may use at an endpoint.
    pub fn visible<'s>(&'s self, principal: &'s Principal, scope: &'s Scope) -> impl Iterator<Item = &'s Server> {
        self.within(scope).iter().filter(|server| self.shows(server, principal, scope))
    }

    /// No more than these may be inside a scope.
    fn within(&self, scope: &Scope) -> &[Server] {
        match scope {
            Scope::One(id) => self.server(id).map_or(&[], std::slice::from_ref),
            Scope::All | Scope::Set(_) => &self.servers,
        }
    }

    /// Servers that are called so: by their ids as they were given, by ours, by their names and aliases.
    pub fn called(&self, text: &str) -> impl Iterator<Item = &Server> {
        self.spellings.called(text).iter().filter_map(|at| self.servers.get(*at))
    }

    /// A server, if a principal may use it at an endpoint.
    pub fn seen(&self, id: &ServerId, principal: &Principal, scope: &Scope) -> Option<&Server> {
        self.server(id).filter(|server| self.shows(server, principal, scope))
    }

    /// What a list shows, sorted by public name. Of two entries with the same one (URIs, or
    /// `naming: never`) the first by server id is shown, and the others are said to be hidden.
    pub fn list<'s>(&'s self, kind: Kind, era: Era, principal: &Principal, scope: &Scope) -> Vec<Line<'s>> {
        self.lines(kind, scope, |server| server.speaks(era) && self.shows(server, principal, scope))
    }

    /// The same for callers who speak no MCP, and so reach servers of every era.
    pub fn list_every<'s>(&'s self, kind: Kind, principal: &Principal, scope: &Scope) -> Vec<Line<'s>> {
        self.lines(kind, scope, |server| self.shows(server, principal, scope))
    }

    fn lines<'s>(&'s self, kind: Kind, scope: &Scope, shows: impl Fn(&Server) -> bool) -> Vec<Line<'s>> {
        let visible: Vec<bool> = self.servers.iter().map(shows).collect();
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

    fn shows(&self, server: &Server, principal: &Principal, scope: &Scope) -> bool {
        self.is_inside(server, principal, scope) && permit::execute(principal, server)
    }

    /// What belongs to a set is for whoever made the set.
    fn is_for(&self, server: &Server, principal: &Principal) -> bool {
        let Some(set) = &server.profile.set else {
            return true;
        };
        self.sets.get(set).is_some_and(|set| set.principal == principal.id())
    }

    /// What belongs to a set is there for the set alone.
    fn is_inside(&self, server: &Server, principal: &Principal, scope: &Scope) -> bool {
        match scope {
            Scope::All => server.profile.set.is_none(),
            Scope::One(id) => server.id == *id && self.is_for(server, principal),
            Scope::Set(id) => {
                let own = self.sets.get(id).filter(|set| set.principal == principal.id());
                own.is_some_and(|set| server.profile.set.as_deref() == Some(id) || set.members.contains(&server.id))
            }
        }
    }

    /// The entry that a server lists under its own name.
    pub fn entry(&self, server: &ServerId, kind: Kind, name: &str) -> Option<&Entry> {
        self.server(server)?.entry(kind, name)
    }

    /// Whether a server tells of changes of its resources (MCP, Resources, Capabilities).
    pub fn takes_subscriptions(&self, server: &ServerId) -> bool {
        let offer = self.server(server).and_then(|server| server.offer.as_ref());
        let resources = offer.and_then(|offer| offer.capabilities.get("resources"));
        resources.and_then(|resources| resources.get("subscribe")).is_some_and(|subscribe| subscribe == true)
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
    /// What a name may mean as one of this server's: the name without a prefix of any known spelling,
    /// and the name itself.
    fn spellings<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'n str> {
        self.called().filter_map(move |prefix| crate::names::foreign_spelling(name, prefix)).chain([name])
    }

    /// Everything that the server is called.
    fn called(&self) -> impl Iterator<Item = &str> {
        let profile = &self.profile;
        let alias = profile.alias.as_ref().map(ServerId::as_str);
        let names = [self.id.as_str(), &profile.external_id, &profile.name].into_iter().chain(alias);
        names.filter(|name| !name.is_empty())
    }

    fn entry(&self, kind: Kind, name: &str) -> Option<&Entry> {
        self.offer.as_ref()?.entry(kind, name)
    }

    pub fn tool(&self, name: &str) -> Option<&Entry> {
        self.offer.as_ref()?.entry(Kind::Tool, name)
    }

    /// Whether clients of an era reach it. Until it has answered once, nobody knows, and the
    /// attempt will tell.
    pub fn speaks(&self, era: Era) -> bool {
        self.offer.as_ref().is_none_or(|offer| offer.eras.speak(era))
    }
}

#[cfg(test)]
mod tests;
