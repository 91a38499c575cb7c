//! What surfaces tell out of the snapshot: one row of the table for each question that needs nothing
//! else.

use super::registry_api::Query;
use super::view::View;
use super::{Operation, Surface, litellm, oliverye, registry_api, routeiq};
use crate::catalog::{Server, Set};
use crate::names::ServerId;
use crate::path::Scope;
use crate::rejection::Rejection;
use crate::route::Show;
use serde_json::{Value, json};
use std::sync::Arc;

/// What an answer depends on besides the snapshot.
pub struct Setting<'s> {
    /// How the caller reaches this gateway, without a slash at its end.
    pub base_url: &'s str,
    pub server_name: &'s str,
    /// Milliseconds since 1970.
    pub millis: u64,
    /// How long the server's last answer to a probe took, in milliseconds.
    pub latency: &'s (dyn Fn(&ServerId) -> Option<f64> + Sync),
}

impl Show {
    /// `None`: this question needs more than the snapshot.
    pub fn tell(&self, view: &View<'_>, setting: &Setting<'_>) -> Option<Result<Value, Rejection>> {
        use Operation as Ask;
        use Surface::{Litellm, LitellmRest, Oliverye};
        let (query, session) = (|name: &str| self.asked(name), self.session.as_deref());
        Some(match (self.surface, self.operation) {
            (Oliverye, Ask::Servers) => Ok(oliverye::servers(view, session)),
            (Litellm, Ask::Servers) => Ok(litellm::servers(view)),
            (_, Ask::Servers) => Ok(routeiq::servers(view)),
            (Litellm, Ask::Server) => self.server(view).map(|server| litellm::server(view, server)),
            (_, Ask::Server) => self.server(view).map(|server| routeiq::server(view, server)),
            (_, Ask::Tools | Ask::ToolList) if query("format").is_some() => return None,
            (Oliverye, Ask::Tools) => Ok(oliverye::tools(view, session)),
            (_, Ask::Tools) => Ok(routeiq::tools(view)),
            (Litellm, Ask::ToolList) => Ok(litellm::tools(view)),
            (LitellmRest, Ask::ToolList) => Ok(litellm::tool_list(view, query("server_id"))),
            (_, Ask::ToolList) => Ok(routeiq::tool_list(view)),
            (_, Ask::Tool) => self.tool(view),
            (_, Ask::Resources) => Ok(routeiq::resources(view)),
            (Litellm, Ask::ServersHealth) => Ok(litellm::servers_health(view, &self.listed("server_ids"))),
            (_, Ask::ServersHealth) => Ok(routeiq::servers_health(view, setting.latency)),
            (_, Ask::ServerHealth) => {
                self.server(view).map(|server| routeiq::server_health(view, server, setting.latency))
            }
            (Litellm, Ask::AccessGroups) => Ok(litellm::access_groups(view)),
            (_, Ask::AccessGroups) => Ok(routeiq::access_groups(view)),
            (Litellm, Ask::RegistryJson) => Ok(litellm::registry_json(view, setting.base_url)),
            (_, Ask::RegistryJson) => Ok(routeiq::registry_json(view, &self.listed("access_groups"))),
            (_, Ask::RegistryList) => {
                Query::read(&self.query).map(|query| registry_api::list(view, &query, setting.base_url))
            }
            (_, Ask::RegistryVersions) => {
                self.registered(view).map(|server| registry_api::versions(view, server, setting.base_url))
            }
            (_, Ask::RegistryVersion) => self.version(view, setting),
            (_, Ask::Card) => self.card(view, setting),
            (_, Ask::Transport) => Ok(routeiq::transport()),
            (_, Ask::Health) => Ok(oliverye::health(view, setting.millis)),
            (_, Ask::Scopes) => Ok(self.sets(view, setting)),
            (_, Ask::Scope) => self.set(view, setting),
            _ => return None,
        })
    }

    fn parameter(&self, at: usize) -> &str {
        self.parameters.get(at).map_or("", String::as_str)
    }

    pub fn asked(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A query parameter that holds several values, once with commas or several times.
    fn listed(&self, name: &str) -> Vec<&str> {
        let values = self.query.iter().filter(|(known, _)| known == name);
        let parts = values.flat_map(|(_, value)| value.split(','));
        parts.map(str::trim).filter(|part| !part.is_empty()).collect()
    }

    fn server<'v>(&self, view: &View<'v>) -> Result<&'v Server, Rejection> {
        let id = self.parameter(0);
        view.server(id).ok_or_else(|| Rejection::UnknownServer(id.to_owned()))
    }

    fn tool(&self, view: &View<'_>) -> Result<Value, Rejection> {
        let name = self.parameter(0);
        let meant = view.snapshot.find(name, view.principal, view.scope)?;
        let found = super::view::Tool { server: meant.server, name: meant.name, entry: meant.entry };
        Ok(routeiq::tool(&found, &view.callable_name(&found)))
    }

    fn registered<'v>(&self, view: &View<'v>) -> Result<&'v Server, Rejection> {
        let name = self.parameter(0);
        registry_api::find(view, name).ok_or_else(|| Rejection::UnknownServer(name.to_owned()))
    }

    fn version(&self, view: &View<'_>, setting: &Setting<'_>) -> Result<Value, Rejection> {
        let server = self.registered(view)?;
        match registry_api::has_version(self.parameter(1)) {
            true => Ok(registry_api::entry(view, server, setting.base_url)),
            false => Err(Rejection::UnknownServer(format!("{} {}", self.parameter(0), self.parameter(1)))),
        }
    }

    fn card(&self, view: &View<'_>, setting: &Setting<'_>) -> Result<Value, Rejection> {
        match self.parameters.first() {
            None => Ok(routeiq::card(view, setting.server_name)),
            Some(_) => {
                let server = self.server(view).map_err(|_| Rejection::NotFound)?;
                let mut card = routeiq::card(view, &server.profile.name);
                if let Some(members) = card.as_object_mut() {
                    members.insert("endpoints".to_owned(), json!({"jsonrpc": format!("/mcp/{}", server.id)}));
                    members.shift_remove("servers");
                }
                Ok(card)
            }
        }
    }

    fn sets(&self, view: &View<'_>, setting: &Setting<'_>) -> Value {
        let own = view.snapshot.sets(view.principal, setting.millis / 1_000);
        let mut lines: Vec<((u64, &str), Value)> = own
            .map(|(id, set)| {
                let scope = Scope::Set(id.to_owned());
                let view = View { scope: &scope, ..*view };
                ((set.created, id), oliverye::session_line(&view, id, set))
            })
            .collect();
        lines.sort_by_key(|(place, _)| *place);
        let sessions: Vec<Value> = lines.into_iter().map(|(_, line)| line).collect();
        json!({"total": sessions.len(), "sessions": sessions})
    }

    fn set(&self, view: &View<'_>, setting: &Setting<'_>) -> Result<Value, Rejection> {
        let id = self.parameter(0);
        let set: Option<&Arc<Set>> = view.snapshot.set(id, view.principal, setting.millis / 1_000);
        let set = set.ok_or_else(|| Rejection::UnknownSet(id.to_owned()))?;
        let scope = Scope::Set(id.to_owned());
        Ok(oliverye::session(&View { scope: &scope, ..*view }, id, set))
    }
}
