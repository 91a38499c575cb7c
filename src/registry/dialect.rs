//! Discovery of servers of RouteIQ's REST dialect: what they list, as MCP would describe it.

use crate::upstream::{Endpoint, Pool, plain};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tollbridge_filters::catalog::{Dialect, Entry, Kind, Offer};

const ENTRIES_MAX: usize = 10_000;

/// Asks for the lists; `None` where this is no such server.
pub(super) async fn discover(pool: &Pool, endpoint: &Endpoint, timeout: Duration) -> Option<Offer> {
    for base in plain::bases(&endpoint.path) {
        let list = async |name: &str| {
            let answer = plain::get(&pool.server, endpoint, &format!("{base}/{name}"), timeout).await;
            answer.ok().filter(|(status, _)| (200..300).contains(status)).and_then(|(_, body)| read(name, &body))
        };
        let Some(tools) = list("tools").await else {
            continue;
        };
        let resources = list("resources").await.unwrap_or_default();
        let mut offer = Offer::default();
        offer.dialect = Dialect::Rest { base };
        offer.capabilities = Map::from_iter([("tools".to_owned(), json!({}))]);
        if !resources.is_empty() {
            offer.capabilities.insert("resources".to_owned(), json!({}));
        }
        offer.set(Kind::Tool, entries(Kind::Tool, tools.iter().filter_map(tool)));
        offer.set(Kind::Resource, entries(Kind::Resource, resources.iter().filter_map(resource)));
        return Some(offer);
    }
    None
}

/// `{"tools": […]}`, or the list alone.
fn read(name: &str, body: &[u8]) -> Option<Vec<Value>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let list = body.get(name).unwrap_or(&body).as_array()?;
    Some(list.iter().take(ENTRIES_MAX).cloned().collect())
}

fn entries(kind: Kind, described: impl Iterator<Item = Value>) -> Vec<Entry> {
    described.filter_map(|described| Entry::read(kind, &described.to_string())).collect()
}

/// A name, or `{name, description, input_schema}`.
fn tool(listed: &Value) -> Option<Value> {
    let named = || listed.get("name").or(listed.get("tool"))?.as_str();
    let name = listed.as_str().or_else(named)?;
    let schema = ["input_schema", "inputSchema", "parameters"].into_iter().find_map(|key| listed.get(key));
    let schema = schema.filter(|schema| schema.is_object()).cloned().unwrap_or_else(|| json!({"type": "object"}));
    let mut tool = json!({"name": name});
    let members = tool.as_object_mut()?;
    if let Some(description) = listed.get("description").filter(|text| text.is_string()) {
        members.insert("description".to_owned(), description.clone());
    }
    members.insert("inputSchema".to_owned(), schema);
    Some(tool)
}

/// A URI, or `{uri, …}`; these servers say `name` where they mean the URI.
fn resource(listed: &Value) -> Option<Value> {
    let named = || listed.get("uri").or(listed.get("name"))?.as_str();
    let uri = listed.as_str().or_else(named)?;
    let name = listed.get("name").and_then(Value::as_str).unwrap_or(uri);
    let mut resource = json!({"uri": uri, "name": name});
    if let Some(description) = listed.get("description").filter(|text| text.is_string()) {
        resource.as_object_mut()?.insert("description".to_owned(), description.clone());
    }
    Some(resource)
}
