//! The official registry's API (`/v0.1`, OpenAPI of 2025-12-01): this gateway as a sub-registry, whose
//! servers are reached through it.

use super::view::View;
use super::{Operation, Row, Surface};
use crate::catalog::Server;
use crate::rejection::Rejection;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::{Value, json};

pub const ROWS: &[Row] = &[
    Row::any(Surface::RegistryApi, Method::GET, "/v0.1/servers", Operation::RegistryList),
    Row::any(Surface::RegistryApi, Method::GET, "/v0.1/servers/{name}/versions", Operation::RegistryVersions),
    Row::any(Surface::RegistryApi, Method::GET, "/v0.1/servers/{name}/versions/{version}", Operation::RegistryVersion),
    Row::any(Surface::RegistryApi, Method::POST, "/v0.1/publish", Operation::NotImplemented),
];

const SCHEMA: &str = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json";
const VERSION: &str = "1.0.0";
const PAGE: usize = 30;
const PAGE_MAX: usize = 100;
const DESCRIPTION_CHARACTERS_MAX: usize = 100;

/// What `GET /v0.1/servers` may be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pub after: Option<String>,
    pub limit: usize,
    pub search: Option<String>,
    /// Seconds since 1970.
    pub updated_since: Option<u64>,
    pub version: Option<String>,
}

impl Query {
    pub fn read(parameters: &[(String, String)]) -> Result<Query, Rejection> {
        let mut query = Query { limit: PAGE, ..Query::default() };
        let wrong = |name: &str, what: &str| Rejection::Query { name: name.to_owned(), what: what.to_owned() };
        for (name, value) in parameters {
            match name.as_str() {
                "cursor" if value.is_empty() => {}
                "cursor" => {
                    let after = URL_SAFE_NO_PAD.decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                    query.after = Some(after.ok_or_else(|| wrong(name, "is not one of ours"))?);
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
                    query.limit = limit.ok_or_else(|| wrong(name, "must be 1 to 100"))?;
                }
                "search" => query.search = Some(value.to_lowercase()),
                "updated_since" => {
                    let since = crate::date::parse(value);
                    query.updated_since = Some(since.ok_or_else(|| wrong(name, "must be a date of RFC 3339"))?);
                }
                "version" => query.version = Some(value.clone()),
                "include_deleted" => {}
                _ => return Err(wrong(name, "is not known")),
            }
        }
        Ok(query)
    }

    fn wants(&self, server: &Server) -> bool {
        let profile = &server.profile;
        let has = |text: &str| self.search.as_ref().is_none_or(|search| text.to_lowercase().contains(search.as_str()));
        let description = profile.description.as_deref().unwrap_or_default();
        (has(&name(server)) || self.search.is_some() && has(description))
            && self.updated_since.is_none_or(|since| profile.updated >= since)
            && self.version.as_deref().is_none_or(|version| matches!(version, "latest" | VERSION))
    }
}

/// `namespace/name`, as the schema wants it.
pub fn name(server: &Server) -> String {
    format!("dev.tollbridge/{}", server.id)
}

pub fn list(view: &View<'_>, query: &Query, base_url: &str) -> Value {
    let behind = |server: &&Server| query.after.as_deref().is_none_or(|after| name(server).as_str() > after);
    let mut rest = view.servers().filter(|server| query.wants(server)).filter(behind).peekable();
    let page: Vec<&Server> = rest.by_ref().take(query.limit).collect();
    let mut metadata = json!({"count": page.len()});
    if let (Some(last), Some(_), Some(members)) = (page.last(), rest.peek(), metadata.as_object_mut()) {
        members.insert("nextCursor".to_owned(), URL_SAFE_NO_PAD.encode(name(last)).into());
    }
    let servers: Vec<Value> = page.into_iter().map(|server| entry(view, server, base_url)).collect();
    json!({"servers": servers, "metadata": metadata})
}

/// A server by its name in the registry, its slash escaped or not.
pub fn find<'v>(view: &View<'v>, wanted: &str) -> Option<&'v Server> {
    let wanted = wanted.replace("%2F", "/").replace("%2f", "/");
    view.servers().find(|server| name(server) == wanted)
}

pub fn versions(view: &View<'_>, server: &Server, base_url: &str) -> Value {
    json!({"servers": [entry(view, server, base_url)], "metadata": {"count": 1}})
}

pub fn has_version(version: &str) -> bool {
    matches!(version, "latest" | VERSION)
}

pub fn entry(view: &View<'_>, server: &Server, base_url: &str) -> Value {
    let profile = &server.profile;
    let described = profile.description.as_deref().filter(|text| !text.is_empty()).unwrap_or(&profile.name);
    let description: String = described.chars().take(DESCRIPTION_CHARACTERS_MAX).collect();
    let title: String = profile.name.chars().take(DESCRIPTION_CHARACTERS_MAX).collect();
    let updated = view.date(profile.updated);
    json!({
        "server": {
            "$schema": SCHEMA,
            "name": name(server),
            "title": title,
            "description": description,
            "version": VERSION,
            "remotes": [{
                "type": "streamable-http",
                "url": format!("{base_url}/mcp/{}", server.id),
                "headers": [{
                    "name": "Authorization",
                    "description": "Bearer and the gateway's key",
                    "isRequired": true,
                    "isSecret": true,
                }],
            }],
        },
        "_meta": {
            "io.modelcontextprotocol.registry/official": {
                "status": "active",
                "publishedAt": view.date(profile.registered),
                "updatedAt": updated,
                "isLatest": true,
            },
            "dev.tollbridge/registry": {
                "serverId": profile.external_id,
                "state": server.state.name(),
                "origin": profile.origin.name(),
            },
        },
    })
}
