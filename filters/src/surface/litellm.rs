//! LiteLLM: `/v1/mcp/…` for servers, `/mcp-rest/…` for tools (shapes of LiteLLM 1.109).
//!
//! What a tool's answer becomes at `POST /mcp-rest/tools/call`:
//!
//! | the server says | status | body |
//! |---|---|---|
//! | result, also with `isError` | 200 | the `CallToolResult` as it came |
//! | result of the REST dialect | 200 | a `CallToolResult` around it |
//! | JSON-RPC error | 400 | `tool_invocation_failed`, its message |
//! | `input_required` | 400 | `tool_invocation_failed`: REST callers cannot be asked |

use super::body::Fields;
use super::registration::{self, Registration, Secret, Update};
use super::view::{Tool, View};
use super::{Operation, Reply, Row, Surface};
use crate::catalog::{Server, State};
use crate::names::ServerId;
use crate::rejection::{FieldFault, Rejection};
use crate::translate::{Said, Told, to_result};
use http::Method;
use serde_json::{Map, Value, json};

const WRITE_SERVERS: &str = "mcp.server.write";

/// RouteIQ's protocol proxy.
pub(super) const PROXY: &str = "/mcp/{server_id}/{path}";

/// Whether such a path may be a server's: not where the words are the gateway's own.
pub(super) fn is_proxied(parameters: &[&str]) -> bool {
    let is_server = parameters.first().is_some_and(|id| ServerId::derive(id).is_ok());
    is_server && !parameters.get(1).is_some_and(|path| matches!(*path, "tools" | "openapi.json"))
}

pub const ROWS: &[Row] = &[
    Row::any(Surface::Litellm, Method::GET, "/v1/mcp/server", Operation::Servers),
    Row::admin(Surface::Litellm, Method::POST, "/v1/mcp/server", Operation::Register, WRITE_SERVERS),
    Row::admin(Surface::Litellm, Method::PUT, "/v1/mcp/server", Operation::Replace, WRITE_SERVERS),
    Row::any(Surface::Litellm, Method::GET, "/v1/mcp/server/health", Operation::ServersHealth),
    Row::any(Surface::Litellm, Method::GET, "/v1/mcp/server/{id}", Operation::Server),
    Row::admin(Surface::Litellm, Method::DELETE, "/v1/mcp/server/{id}", Operation::Unregister, WRITE_SERVERS),
    Row::any(Surface::Litellm, Method::GET, "/v1/mcp/tools", Operation::ToolList),
    Row::any(Surface::Litellm, Method::GET, "/v1/mcp/access_groups", Operation::AccessGroups),
    Row::any(Surface::Litellm, Method::GET, "/v1/mcp/registry.json", Operation::RegistryJson),
    Row::admin(Surface::Litellm, Method::POST, "/v1/mcp/make_public", Operation::MakePublic, WRITE_SERVERS),
    Row::any(Surface::Litellm, Method::POST, "/v1/mcp/server/oauth/session", Operation::NotImplemented),
    Row::any(Surface::Litellm, Method::GET, "/v1/mcp/server/oauth/{id}/authorize", Operation::NotImplemented),
    Row::any(Surface::Litellm, Method::POST, "/v1/mcp/server/oauth/{id}/token", Operation::NotImplemented),
    Row::any(Surface::Litellm, Method::GET, "/mcp/oauth/callback", Operation::NotImplemented),
    Row::any(Surface::Litellm, Method::GET, PROXY, Operation::NotImplemented),
    Row::any(Surface::Litellm, Method::POST, PROXY, Operation::NotImplemented),
    Row::any(Surface::Litellm, Method::PUT, PROXY, Operation::NotImplemented),
    Row::any(Surface::Litellm, Method::PATCH, PROXY, Operation::NotImplemented),
    Row::any(Surface::Litellm, Method::DELETE, PROXY, Operation::NotImplemented),
    Row::any(Surface::LitellmRest, Method::GET, "/mcp-rest/tools/list", Operation::ToolList),
    Row::any(Surface::LitellmRest, Method::POST, "/mcp-rest/tools/call", Operation::Call),
];

/// What LiteLLM's clients send besides, of which nothing depends here.
const IGNORED: [&str; 20] = [
    "allow_all_keys",
    "available_on_public_internet",
    "authorization_url",
    "token_url",
    "registration_url",
    "teams",
    "created_by",
    "updated_by",
    "created_at",
    "updated_at",
    "status",
    "last_health_check",
    "health_check_error",
    "spec_path",
    "tool_name_to_display_name",
    "tool_name_to_description",
    "is_byok",
    "byok_description",
    "source_url",
    "approval_status",
];

/// `{server_id, server_name, alias, url, transport, auth_type, credentials, …}`.
pub fn read_registration(fields: Fields) -> Result<Registration, Rejection> {
    let (external_id, update) = read(fields)?;
    let field = |name: &str| Rejection::Field { name: name.to_owned(), fault: FieldFault::Missing };
    let name = update.name.or_else(|| update.alias.clone()).or_else(|| external_id.clone());
    let (auth_type, credentials) = update.auth.unwrap_or_default();
    let registration = Registration {
        name: Some(name.ok_or_else(|| field("server_name"))?),
        external_id,
        url: update.url.ok_or_else(|| field("url"))?,
        description: update.description,
        alias: update.alias,
        tools: update.tools.unwrap_or_default(),
        resources: update.resources.unwrap_or_default(),
        access_groups: update.access_groups.unwrap_or_default(),
        metadata: update.metadata.unwrap_or_default(),
        auth_type,
        credentials,
        forward_headers: update.forward_headers.unwrap_or_default(),
        definitions: Vec::new(),
    };
    registration.check()
}

/// The same, with only what is to be another.
pub fn read_update(fields: Fields) -> Result<(String, Update), Rejection> {
    let (external_id, update) = read(fields)?;
    let missing = || Rejection::Field { name: "server_id".to_owned(), fault: FieldFault::Missing };
    Ok((external_id.ok_or_else(missing)?, update))
}

fn read(mut fields: Fields) -> Result<(Option<String>, Update), Rejection> {
    registration::refuse_process(&mut fields)?;
    if fields.has("spec_path") {
        return Err(Rejection::NotImplemented("OpenAPI services as servers"));
    }
    fields.ignore(&IGNORED);
    registration::check_transport(&mut fields, &["transport", "transport_type"])?;
    let external_id = fields.text(&["server_id"])?;
    let mut credentials = Fields::of(fields.object(&["credentials"])?, "credentials.");
    let value = credentials.text(&["auth_value", "api_key", "token"])?;
    let header_name = credentials.text(&["header_name"])?;
    if credentials.has("client_id") || credentials.has("client_secret") {
        return Err(Rejection::NotImplemented("OAuth towards servers"));
    }
    credentials.ignore(&["client_id", "client_secret", "scopes"]);
    credentials.end()?;
    let says_auth = ["auth_type", "authentication_token", "auth_value", "static_headers"];
    let says_auth = value.is_some() || says_auth.into_iter().any(|name| fields.has(name));
    let secret = Secret {
        auth_type: fields.text(&["auth_type"])?,
        value: fields.text(&["authentication_token", "auth_value"])?.or(value),
        header_name,
        headers: fields.object(&["static_headers"])?,
    };
    let update = Update {
        url: if fields.has("url") { Some(fields.required(&["url"])?) } else { None },
        name: fields.text(&["server_name", "name"])?,
        alias: fields.text(&["alias"])?,
        description: fields.text(&["description"])?,
        tools: fields.texts_if_there(&["allowed_tools", "tools"])?,
        resources: fields.texts_if_there(&["resources"])?,
        access_groups: fields.texts_if_there(&["mcp_access_groups"])?,
        metadata: metadata(&mut fields)?,
        forward_headers: match fields.texts_if_there(&["extra_headers"])? {
            Some(names) => Some(registration::forwarded(names)?),
            None => None,
        },
        auth: if says_auth { Some(secret.read()?) } else { None },
    };
    fields.ignore(&["url", "metadata", "mcp_info"]);
    fields.end().map(|()| (external_id, update))
}

/// What the registration says besides; LiteLLM's `mcp_info` is kept among it.
fn metadata(fields: &mut Fields) -> Result<Option<Map<String, Value>>, Rejection> {
    if !fields.has("metadata") && !fields.has("mcp_info") {
        return Ok(None);
    }
    let mut metadata = fields.object(&["metadata"])?;
    let mcp_info = fields.object(&["mcp_info"])?;
    if !mcp_info.is_empty() {
        metadata.insert("mcp_info".to_owned(), Value::Object(mcp_info));
    }
    Ok(Some(metadata))
}

pub fn read_public(mut fields: Fields) -> Result<Vec<String>, Rejection> {
    if !fields.has("mcp_server_ids") {
        return Err(fields.wrong("mcp_server_ids", FieldFault::Missing));
    }
    let ids = fields.texts(&["mcp_server_ids"])?;
    fields.end().map(|()| ids)
}

pub fn servers(view: &View<'_>) -> Value {
    view.servers().map(|server| brief(view, server)).collect()
}

pub fn brief(view: &View<'_>, server: &Server) -> Value {
    let profile = &server.profile;
    json!({
        "server_id": profile.external_id,
        "server_name": profile.name,
        "alias": profile.alias.as_ref().map(|alias| alias.as_str()),
        "description": profile.description,
        "url": profile.url,
        "transport": "http",
        "auth_type": super::routeiq::auth_type(profile.auth_type),
        "tools": view.tool_names(server),
        "resources": view.resource_names(server),
        "allowed_tools": profile.tools,
        "mcp_access_groups": profile.access_groups,
        "created_at": date(view, profile.registered),
        "updated_at": date(view, profile.updated),
        "mcp_info": mcp_info(server),
        "credentials": Value::Null,
    })
}

fn mcp_info(server: &Server) -> Value {
    let profile = &server.profile;
    let own = || json!({"server_name": profile.name, "description": profile.description});
    profile.metadata.get("mcp_info").cloned().unwrap_or_else(own)
}

fn date(view: &View<'_>, seconds: u64) -> Value {
    if seconds == 0 { Value::Null } else { view.date(seconds).into() }
}

pub fn server(view: &View<'_>, server: &Server) -> Value {
    let mut shown = brief(view, server);
    if let Some(members) = shown.as_object_mut() {
        members.insert("status".to_owned(), status(server).into());
        members.insert("state".to_owned(), server.state.name().into());
    }
    shown
}

/// LiteLLM's three words.
fn status(server: &Server) -> &'static str {
    match server.state {
        State::Ready => "healthy",
        State::Unprobed => "unknown",
        State::Stale { .. } | State::Unreachable { .. } => "unhealthy",
    }
}

/// `ids`: these servers only, if any is named.
pub fn servers_health(view: &View<'_>, ids: &[&str]) -> Value {
    let is_meant = |server: &&Server| ids.is_empty() || ids.contains(&server.profile.external_id.as_str());
    let line = |server: &Server| json!({"server_id": server.profile.external_id, "status": status(server)});
    view.servers().filter(is_meant).map(line).collect()
}

/// The tools as the servers describe them, under their public names.
pub fn tools(view: &View<'_>) -> Value {
    let tools: Vec<Value> = view.tools().map(|found| tool(&found, &view.public_name(&found))).collect();
    json!({"tools": tools})
}

fn tool(tool: &Tool<'_>, name: &str) -> Value {
    let described = serde_json::from_str(tool.entry.raw()).ok();
    let mut members: Map<String, Value> = described.unwrap_or_default();
    members.insert("name".to_owned(), name.into());
    members.entry("description").or_insert(Value::Null);
    members.entry("inputSchema").or_insert_with(|| json!({"type": "object"}));
    Value::Object(members)
}

/// `GET /mcp-rest/tools/list`: what goes wrong is said in a 200.
pub fn tool_list(view: &View<'_>, server: Option<&str>) -> Value {
    let meant = server.map(|id| view.server(id));
    if let Some(None) = meant {
        let message = format!("Server {} not found or not accessible", server.unwrap_or_default());
        return json!({"tools": [], "error": "server_not_found", "message": message});
    }
    let is_meant = |tool: &Tool<'_>| meant.flatten().is_none_or(|server| server.id == tool.server.id);
    let line = |found: Tool<'_>| {
        let mut shown = tool(&found, found.name);
        if let Some(members) = shown.as_object_mut() {
            let profile = &found.server.profile;
            let about = json!({
                "server_id": profile.external_id,
                "server_name": profile.name,
                "alias": profile.alias.as_ref().map(|alias| alias.as_str()),
            });
            members.insert("mcp_info".to_owned(), about);
        }
        shown
    };
    let tools: Vec<Value> = view.tools().filter(is_meant).map(line).collect();
    json!({"tools": tools, "error": Value::Null, "message": "Successfully retrieved tools"})
}

pub fn access_groups(view: &View<'_>) -> Value {
    json!({"access_groups": view.access_groups()})
}

/// The gateway first, then each server, all of them where this gateway serves them.
pub fn registry_json(view: &View<'_>, base_url: &str) -> Value {
    let entry = |name: String, title: &str, description: &str, url: String| {
        json!({"server": {
            "name": name,
            "title": title,
            "description": description,
            "version": "1.0.0",
            "remotes": [{"type": "streamable-http", "url": url}],
        }})
    };
    let own = entry(
        "tollbridge".to_owned(),
        "Tollbridge",
        "Every server behind this gateway, as one",
        format!("{base_url}/mcp"),
    );
    let line = |server: &Server| {
        let profile = &server.profile;
        let description = profile.description.as_deref().unwrap_or(&profile.name);
        entry(profile.name.clone(), &profile.name, description, format!("{base_url}/{}/mcp", server.id))
    };
    json!({"servers": std::iter::once(own).chain(view.servers().map(line)).collect::<Vec<_>>()})
}

/// What a tool said.
pub fn called(told: &Told, _: &Server, _: &str) -> Result<Reply, Rejection> {
    match &told.said {
        Said::Plain(_) | Said::Failed { .. } => Ok(Reply::whole(to_result(told).into()).of(told)),
        Said::Result(outline) if outline.wants_input => Err(Rejection::WantsInput),
        Said::Result(outline) => Ok(Reply::whole(told.raw(&outline.whole)).of(told)),
        Said::Error { code, message, .. } => Err(Rejection::server_error(*code, message)),
    }
}
