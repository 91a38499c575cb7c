//! What a principal sees of the snapshot, as surfaces list it.

use crate::auth::Principal;
use crate::catalog::{Entry, Kind, Server, Snapshot};
use crate::date;
use crate::names::SEPARATOR;
use crate::path::Scope;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

pub struct View<'v> {
    pub snapshot: &'v Snapshot,
    pub principal: &'v Principal,
    pub scope: &'v Scope,
}

/// A tool of a server.
pub struct Tool<'v> {
    pub server: &'v Server,
    pub name: &'v str,
    pub entry: &'v Entry,
}

impl<'v> View<'v> {
    pub fn servers(&self) -> impl Iterator<Item = &'v Server> {
        self.snapshot.visible(self.principal, self.scope).filter(|server| self.is_shown(server))
    }

    fn is_shown(&self, server: &Server) -> bool {
        !self.principal.is_public() || server.profile.public
    }

    /// By the id as it was given, by ours, by its alias; or by its name, if no other has that.
    pub fn server(&self, id: &str) -> Option<&'v Server> {
        let known = self.snapshot.named(id);
        let seen = |known: &Server| self.snapshot.seen(&known.id, self.principal, self.scope);
        let is_shown = |server: &&Server| self.is_shown(server);
        let by_id = known.and_then(seen).filter(is_shown);
        by_id.or_else(|| {
            let named = self.snapshot.called(id).filter(|server| server.profile.name == id);
            let mut named = named.filter_map(seen).filter(is_shown);
            named.next().filter(|_| named.next().is_none())
        })
    }

    pub fn tools(&self) -> impl Iterator<Item = Tool<'v>> {
        self.servers().flat_map(tools_of)
    }

    /// The tools with the names that a call finds them by where it names no server: their own, unless
    /// another tool has the same one.
    pub fn callable(&self) -> Vec<(Tool<'v>, Cow<'v, str>)> {
        let mut times: HashMap<&str, usize> = HashMap::new();
        for tool in self.tools() {
            *times.entry(tool.name).or_default() += 1;
        }
        let named = |tool: Tool<'v>| {
            let alone = times.get(tool.name) == Some(&1);
            let name = if alone { Cow::Borrowed(tool.name) } else { self.public_name(&tool).into() };
            (tool, name)
        };
        self.tools().map(named).collect()
    }

    /// The name that a call finds one tool by.
    pub fn callable_name(&self, tool: &Tool<'v>) -> Cow<'v, str> {
        let is_alone = self.tools().filter(|other| other.name == tool.name).nth(1).is_none();
        if is_alone { Cow::Borrowed(tool.name) } else { self.public_name(tool).into() }
    }

    /// Ids of servers of an application session are nobody's words; their names are.
    pub fn public_name(&self, tool: &Tool<'_>) -> String {
        let profile = &tool.server.profile;
        if profile.set.is_some() {
            return format!("{}{SEPARATOR}{}", profile.name, tool.name);
        }
        self.snapshot.public_name(&tool.server.id, tool.name)
    }

    pub fn tool_names(&self, server: &'v Server) -> Vec<&'v str> {
        tools_of(server).map(|tool| tool.name).collect()
    }

    pub fn resources(&self) -> impl Iterator<Item = (&'v Server, &'v str)> {
        self.servers().flat_map(|server| resources_of(server).map(move |resource| (server, resource)))
    }

    pub fn resource_names(&self, server: &'v Server) -> Vec<&'v str> {
        resources_of(server).collect()
    }

    pub fn access_groups(&self) -> BTreeSet<&'v str> {
        self.servers().flat_map(|server| server.profile.access_groups.iter().map(String::as_str)).collect()
    }

    pub fn date(&self, seconds: u64) -> String {
        date::rfc3339(seconds)
    }
}

fn tools_of(server: &Server) -> impl Iterator<Item = Tool<'_>> {
    entries(server, Kind::Tool).map(move |entry| Tool { server, name: &entry.key, entry })
}

fn resources_of(server: &Server) -> impl Iterator<Item = &str> {
    entries(server, Kind::Resource).map(|entry| entry.key.as_str())
}

fn entries(server: &Server, kind: Kind) -> impl Iterator<Item = &Entry> {
    server.offer.iter().flat_map(move |offer| offer.entries(kind))
}

impl Tool<'_> {
    pub fn description(&self) -> Option<String> {
        let described = self.member("description").or_else(|| self.member("title"))?;
        described.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// What the tool takes.
    pub fn schema(&self) -> Value {
        self.member("inputSchema").unwrap_or_else(|| Value::Object(Map::new()))
    }

    fn member(&self, key: &str) -> Option<Value> {
        serde_json::from_str(self.entry.member(key)?).ok()
    }
}
