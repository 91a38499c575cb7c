//! What REST surfaces are told out of the snapshot, and how it changes.

use super::{definitions, openapi, search};
use crate::clock;
use crate::conf::Llm;
use crate::gateway::Gateway;
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;
use tollbridge_filters::catalog::{Kind, Line, Snapshot};
use tollbridge_filters::names::ServerId;
use tollbridge_filters::path::Scope;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::route::Show;
use tollbridge_filters::sse;
use tollbridge_filters::surface::show::Setting;
use tollbridge_filters::surface::view::View;
use tollbridge_filters::surface::{Operation, oliverye};

/// What an answer depends on besides the snapshot.
pub struct Telling<'t> {
    pub gateway: &'t Gateway,
    /// How the caller reaches this gateway.
    pub base_url: &'t str,
}

impl Telling<'_> {
    pub async fn tell(&self, snapshot: &Snapshot, show: &Show) -> Result<String, Rejection> {
        let live = self.gateway.live().clone();
        let server_name = live.conf.server_name.as_deref().unwrap_or("tollbridge");
        let setting =
            Setting { base_url: self.base_url, server_name, millis: clock::millis(), latency: &|id| self.latency(id) };
        let view = View { snapshot, principal: &show.principal, scope: &show.scope };
        match show.tell(&view, &setting) {
            Some(told) => told.map(|told| told.to_string()),
            None => self.tell_more(&view, show).await,
        }
    }

    /// Of the endpoint that answers best.
    fn latency(&self, id: &ServerId) -> Option<f64> {
        let pool = self.gateway.pool(id)?;
        let millis = pool.endpoints().iter().filter_map(|endpoint| endpoint.health.latency()).min();
        millis.map(|latency| (latency.as_secs_f64() * 1e6).round() / 1e3)
    }

    async fn tell_more(&self, view: &View<'_>, show: &Show) -> Result<String, Rejection> {
        match show.operation {
            Operation::OpenApi => {
                let scope = self.within(view, show)?;
                let lines = view.snapshot.list_every(Kind::Tool, view.principal, &scope);
                Ok(openapi::document(&lines, self.base_url))
            }
            Operation::Definitions | Operation::Tools | Operation::ToolList => self.definitions(view, show),
            Operation::Search => self.search(view, show).await,
            _ => Err(Rejection::NotFound),
        }
    }

    /// The scope of the server that the path names, if it names one.
    fn within(&self, view: &View<'_>, show: &Show) -> Result<Scope, Rejection> {
        let Some(id) = show.parameters.first() else {
            return Ok(show.scope.clone());
        };
        let server = view.server(id).ok_or_else(|| Rejection::UnknownServer(id.clone()))?;
        Ok(Scope::One(server.id.clone()))
    }

    fn definitions(&self, view: &View<'_>, show: &Show) -> Result<String, Rejection> {
        let scope = self.within(view, show)?;
        let lines = view.snapshot.list_every(Kind::Tool, view.principal, &scope);
        match show.asked("format") {
            Some("openai") => Ok(definitions::openai(&lines)),
            Some("anthropic") => Ok(definitions::anthropic(&lines)),
            Some("mcp") | None => Ok(as_they_are(&lines)),
            Some(_) => {
                let what = "must be openai, anthropic or mcp".to_owned();
                Err(Rejection::Query { name: "format".to_owned(), what })
            }
        }
    }

    async fn search(&self, view: &View<'_>, show: &Show) -> Result<String, Rejection> {
        if let Scope::Set(id) = view.scope {
            let known = view.snapshot.set(id, view.principal, clock::now());
            known.ok_or_else(|| Rejection::UnknownSet(id.clone()))?;
        }
        let query = show.search.as_deref().unwrap_or_default();
        let told = match &self.gateway.live().conf.search.llm {
            None => {
                self.gateway.searches.search(view, query, HITS_MAX).iter().map(|hit| search::told(view, hit)).collect()
            }
            Some(llm) => self.ranked(view, query, llm).await,
        };
        Ok(oliverye::envelope("completed", &Value::Array(told), clock::millis()))
    }

    /// More hits than are shown, put in order by a model; in the order of the words, if it cannot.
    async fn ranked(&self, view: &View<'_>, query: &str, llm: &Llm) -> Vec<Value> {
        let hits = self.gateway.searches.search(view, query, CANDIDATES_MAX);
        let mut told: Vec<Value> = hits.iter().map(|hit| search::told(view, hit)).collect();
        if told.is_empty() {
            return told;
        }
        let candidates: Vec<Value> = hits.iter().enumerate().map(search::candidate).collect();
        match self.gateway.reranker.rank(llm, query, &candidates).await {
            Ok(ranked) => {
                ranked.into_iter().take(HITS_MAX).filter_map(|ranked| search::reranked(&told, ranked)).collect()
            }
            Err(why) => {
                tracing::warn!(%why, "search.llm put nothing in order; the order of the words stands");
                told.truncate(HITS_MAX);
                told
            }
        }
    }
}

/// As many as oliverye's gives.
const HITS_MAX: usize = 5;

/// As many as a model puts in order.
const CANDIDATES_MAX: usize = 20;

/// MCP's own descriptions, the bytes of the servers.
fn as_they_are(lines: &[Line<'_>]) -> String {
    let mut text = String::from("{\"tools\":[");
    for (at, line) in lines.iter().filter(|line| !line.hidden).enumerate() {
        if at > 0 {
            text.push(',');
        }
        line.entry.write(line.name, &mut text);
    }
    text.push_str("]}");
    text
}

/// The events that tell what became of one answer on the way to the next.
pub fn differences(show: &Show, before: &str, now: &str) -> Vec<Bytes> {
    if before == now {
        return Vec::new();
    }
    match show.operation {
        Operation::Servers => servers_changed(before, now),
        operation => vec![event(operation.changed(), now)],
    }
}

fn servers_changed(before: &str, now: &str) -> Vec<Bytes> {
    let (before, now) = (by_id(before), by_id(now));
    let mut events = Vec::new();
    for (id, server) in &now {
        match before.get(id) {
            None => events.push(event("server.registered", &server.to_string())),
            Some(known) if known != server => events.push(event("server.updated", &server.to_string())),
            Some(_) => {}
        }
    }
    let gone = before.iter().filter(|(id, _)| !now.contains_key(*id));
    events.extend(gone.map(|(_, server)| event("server.removed", &server.to_string())));
    events
}

fn by_id(text: &str) -> BTreeMap<String, Value> {
    let list: Value = serde_json::from_str(text).unwrap_or_default();
    match list.get("servers").unwrap_or(&list) {
        Value::Array(servers) => servers
            .iter()
            .filter_map(|server| Some((server.get("server_id")?.as_str()?.to_owned(), server.clone())))
            .collect(),
        Value::Object(servers) => servers.iter().map(|(id, server)| (id.clone(), server.clone())).collect(),
        _ => BTreeMap::new(),
    }
}

fn event(name: &str, text: &str) -> Bytes {
    sse::event(name, text).into()
}
