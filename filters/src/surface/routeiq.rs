//! RouteIQ: its first guide (`/mcp/servers` …) and its management API (`/llmrouter/mcp/…`).
//!
//! What a tool's answer becomes, for both:
//!
//! | the server says | status | body |
//! |---|---|---|
//! | result | 200 | `status: success`, `result`: the content (of the REST dialect: its result) |
//! | result with `isError` | 400 | `tool_invocation_failed`, what the tool said |
//! | JSON-RPC error | 400 | `tool_invocation_failed`, its message |
//! | `input_required` | 400 | `tool_invocation_failed`: REST callers cannot be asked |
//!
//! As JSON or as an event stream upstream: it is the same.

use super::body::Fields;
use super::registration::{self, Registration, Secret};
use super::view::{Tool, View};
use super::{Operation, Reply, Row, Surface};
use crate::catalog::{AuthType, Server, State};
use crate::era::{LEGACY, MODERN};
use crate::json;
use crate::names::ServerId;
use crate::rejection::{FieldFault, Rejection};
use crate::translate::{Said, Told};
use http::Method;
use serde_json::{Map, Value, json};

const WRITE_SERVERS: &str = "mcp.server.write";
const WRITE_TOOLS: &str = "mcp.tool.write";

/// `GET` of an MCP endpoint by somebody who does not want events.
pub static CARD: Row = card_row();

const fn card_row() -> Row {
    Row::any(Surface::Early, Method::GET, "/mcp", Operation::Card)
}

pub const EARLY: &[Row] = &[
    card_row(),
    Row::any(Surface::Early, Method::GET, "/mcp/servers", Operation::Servers),
    Row::admin(Surface::Early, Method::POST, "/mcp/servers", Operation::Register, WRITE_SERVERS),
    Row::any(Surface::Early, Method::GET, "/mcp/servers/{id}", Operation::Server),
    Row::admin(Surface::Early, Method::DELETE, "/mcp/servers/{id}", Operation::Unregister, WRITE_SERVERS),
    Row::any(Surface::Early, Method::GET, "/mcp/tools", Operation::Tools),
    Row::any(Surface::Early, Method::GET, "/mcp/resources", Operation::Resources),
    Row::any(Surface::Early, Method::POST, "/mcp/tools/call", Operation::Call),
    Row::any(Surface::Early, Method::GET, "/mcp/transport", Operation::Transport),
    Row::any(Surface::Early, Method::GET, "/mcp/sse", Operation::NotImplemented),
    Row::any(Surface::Early, Method::GET, "/mcp/sse/messages", Operation::NotImplemented),
    Row::any(Surface::Early, Method::POST, "/mcp/sse/messages", Operation::NotImplemented),
    Row::any(Surface::Early, Method::GET, "/mcp/sse/sessions", Operation::NotImplemented),
    Row::any(Surface::Early, Method::POST, "/mcp/messages", Operation::NotImplemented),
];

/// Served under `/v1` as well.
pub const MANAGEMENT: &[Row] = &[
    Row::any(Surface::Routeiq, Method::GET, "/llmrouter/mcp/servers", Operation::Servers),
    Row::admin(Surface::Routeiq, Method::POST, "/llmrouter/mcp/servers", Operation::Register, WRITE_SERVERS),
    Row::any(Surface::Routeiq, Method::GET, "/llmrouter/mcp/servers/{id}", Operation::Server),
    Row::admin(Surface::Routeiq, Method::PUT, "/llmrouter/mcp/servers/{id}", Operation::Replace, WRITE_SERVERS),
    Row::admin(Surface::Routeiq, Method::DELETE, "/llmrouter/mcp/servers/{id}", Operation::Unregister, WRITE_SERVERS),
    Row::any(Surface::Routeiq, Method::GET, "/llmrouter/mcp/tools", Operation::Tools),
    Row::any(Surface::Routeiq, Method::GET, "/llmrouter/mcp/tools/list", Operation::ToolList),
    Row::any(Surface::Routeiq, Method::GET, "/llmrouter/mcp/tools/{name}", Operation::Tool),
    Row::any(Surface::Routeiq, Method::POST, "/llmrouter/mcp/tools/call", Operation::Call),
    Row::admin(
        Surface::Routeiq,
        Method::POST,
        "/llmrouter/mcp/servers/{id}/tools",
        Operation::DeclareTool,
        WRITE_TOOLS,
    ),
    Row::any(Surface::Routeiq, Method::GET, "/llmrouter/mcp/resources", Operation::Resources),
    Row::any(Surface::Routeiq, Method::GET, "/llmrouter/mcp/server/health", Operation::ServersHealth),
    Row::any(Surface::Routeiq, Method::GET, "/llmrouter/mcp/server/{id}/health", Operation::ServerHealth),
    Row::any(Surface::Routeiq, Method::GET, "/llmrouter/mcp/registry.json", Operation::RegistryJson),
    Row::any(Surface::Routeiq, Method::GET, "/llmrouter/mcp/access_groups", Operation::AccessGroups),
];

/// `{server_id, name, url, transport, tools, resources, auth_type, metadata}`; without an id the name
/// makes one.
pub fn read_registration(mut fields: Fields, surface: Surface) -> Result<Registration, Rejection> {
    registration::refuse_process(&mut fields)?;
    let external_id = fields.text(&["server_id", "id"])?;
    let name = match surface {
        Surface::Routeiq => Some(fields.required(&["name"])?),
        _ => fields.text(&["name", "server_name"])?,
    };
    if external_id.is_none() && name.is_none() {
        return Err(fields.wrong("name", FieldFault::Missing));
    }
    let url = fields.required(&["url"])?;
    registration::check_transport(&mut fields, &["transport", "transport_type"])?;
    let (tools, definitions) = declared_tools(&mut fields)?;
    let resources = fields.texts(&["resources"])?;
    let metadata = fields.object(&["metadata"])?;
    let mut special = Fields::of(metadata.clone(), "metadata.");
    let secret = take_secret(&mut special, fields.text(&["auth_type"])?)?;
    let access_groups = groups(&mut special)?;
    let alias = special.text(&["alias"])?;
    let alias = fields.text(&["alias"])?.or(alias);
    let metadata = metadata.into_iter().filter(|(name, _)| !SECRETS.contains(&name.as_str())).collect();
    let description = fields.text(&["description"])?;
    fields.end()?;
    let (auth_type, credentials) = secret.read()?;
    Registration {
        external_id,
        name,
        url,
        description,
        alias,
        tools,
        resources,
        definitions,
        access_groups,
        metadata,
        auth_type,
        credentials,
        forward_headers: Vec::new(),
    }
    .check()
}

/// Names, and the objects that describe tools.
fn declared_tools(fields: &mut Fields) -> Result<(Vec<String>, Vec<String>), Rejection> {
    let mut definitions = Vec::new();
    for (name, described) in fields.object(&["tool_definitions"])? {
        let prefix = format!("tool_definitions.{name}");
        let Value::Object(members) = described else {
            return Err(Rejection::Field { name: prefix, fault: FieldFault::Type("object") });
        };
        let mut tool = Fields::of(members, &format!("{prefix}."));
        let description = tool.text(&["description"])?.unwrap_or_default();
        let schema = tool.object(&["input_schema", "inputSchema"])?;
        definitions.push(registration::definition(&name, &description, &schema));
    }
    Ok((fields.texts(&["tools"])?, definitions))
}

/// RouteIQ keeps the credential in the metadata; we take it out, so that no list ever shows it.
const SECRETS: [&str; 3] = ["auth_token", "api_key", "auth_header_name"];

fn take_secret(metadata: &mut Fields, auth_type: Option<String>) -> Result<Secret, Rejection> {
    let token = metadata.text(&["auth_token"])?;
    let (key, header_name) = (metadata.text(&["api_key"])?, metadata.text(&["auth_header_name"])?);
    let kind = auth_type.clone().unwrap_or_default();
    let value = if kind == "api_key" { key.or(token) } else { token.or(key) };
    if value.is_some() && matches!(kind.as_str(), "" | "none") {
        let what = "must be bearer_token or api_key where the metadata hold a credential".to_owned();
        return Err(Rejection::Field { name: "auth_type".to_owned(), fault: FieldFault::Value(what) });
    }
    Ok(Secret { auth_type, value, header_name, headers: Map::new() })
}

/// `metadata.access_groups`: a list, or names with commas between them.
fn groups(metadata: &mut Fields) -> Result<Vec<String>, Rejection> {
    if !metadata.is_text("access_groups") {
        return metadata.texts(&["access_groups"]);
    }
    let names = metadata.text(&["access_groups"])?.unwrap_or_default();
    Ok(names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// `{name, description, input_schema}` of a tool that is declared.
pub fn read_declaration(mut fields: Fields) -> Result<(String, String), Rejection> {
    let name = fields.required(&["name"])?;
    let description = fields.text(&["description"])?.unwrap_or_default();
    let schema = fields.object(&["input_schema", "inputSchema"])?;
    fields.end()?;
    let definition = registration::definition(&name, &description, &schema);
    Ok((name, definition))
}

pub fn servers(view: &View<'_>) -> Value {
    json!({"servers": view.servers().map(|server| brief(view, server)).collect::<Vec<_>>()})
}

/// The six fields of a list.
pub fn brief(view: &View<'_>, server: &Server) -> Value {
    let profile = &server.profile;
    json!({
        "server_id": profile.external_id,
        "name": profile.name,
        "url": profile.url,
        "transport": "streamable_http",
        "tools": view.tool_names(server),
        "resources": view.resource_names(server),
    })
}

/// One server, with what a list leaves out; never its credential.
pub fn server(view: &View<'_>, server: &Server) -> Value {
    let mut shown = brief(view, server);
    if let Some(members) = shown.as_object_mut() {
        members.insert("auth_type".to_owned(), auth_type(server.profile.auth_type).into());
        members.insert("metadata".to_owned(), Value::Object(server.profile.metadata.clone()));
        members.insert("alias".to_owned(), json!(server.profile.alias.as_ref().map(|alias| alias.as_str())));
        members.insert("origin".to_owned(), server.profile.origin.name().into());
        members.insert("state".to_owned(), server.state.name().into());
        if let State::Stale { since } | State::Unreachable { since } = server.state {
            members.insert("since".to_owned(), view.date(since).into());
        }
    }
    shown
}

pub fn auth_type(auth_type: AuthType) -> &'static str {
    match auth_type {
        AuthType::None => "none",
        AuthType::Bearer => "bearer_token",
        AuthType::ApiKey => "api_key",
        AuthType::Basic => "basic",
        AuthType::Header => "authorization",
    }
}

pub fn tools(view: &View<'_>) -> Value {
    let line = |tool: Tool<'_>| json!({"server_id": tool.server.profile.external_id, "server_name": tool.server.profile.name, "tool": tool.name});
    json!({"tools": view.tools().map(line).collect::<Vec<_>>()})
}

pub fn tool_list(view: &View<'_>) -> Value {
    let tools: Vec<Value> = view.callable().iter().map(|(found, name)| tool(found, name)).collect();
    json!({"count": tools.len(), "tools": tools})
}

/// A tool, under the name that it is called by.
pub fn tool(tool: &Tool<'_>, name: &str) -> Value {
    let fallback = || format!("Tool from {}", tool.server.profile.name);
    json!({
        "name": name,
        "server_id": tool.server.profile.external_id,
        "server_name": tool.server.profile.name,
        "description": tool.description().unwrap_or_else(fallback),
        "input_schema": tool.schema(),
    })
}

pub fn resources(view: &View<'_>) -> Value {
    let line = |(server, resource): (&Server, &str)| json!({"server_id": server.profile.external_id, "server_name": server.profile.name, "resource": resource});
    json!({"resources": view.resources().map(line).collect::<Vec<_>>()})
}

pub fn servers_health(view: &View<'_>, latency: &dyn Fn(&ServerId) -> Option<f64>) -> Value {
    let servers: Vec<Value> = view.servers().map(|server| server_health(view, server, latency)).collect();
    let healthy =
        servers.iter().filter(|server| server.get("status").is_some_and(|status| status == "healthy")).count();
    let summary = json!({"total": servers.len(), "healthy": healthy, "unhealthy": servers.len() - healthy});
    json!({"servers": servers, "summary": summary})
}

/// `status` tells what probes have shown, and not, as RouteIQ's does, what the URL looks like.
pub fn server_health(view: &View<'_>, server: &Server, latency: &dyn Fn(&ServerId) -> Option<f64>) -> Value {
    json!({
        "server_id": server.profile.external_id,
        "name": server.profile.name,
        "url": server.profile.url,
        "status": if server.state == State::Ready { "healthy" } else { "unhealthy" },
        "state": server.state.name(),
        "latency_ms": latency(&server.id),
        "transport": "streamable_http",
        "tool_count": view.tool_names(server).len(),
        "resource_count": view.resource_names(server).len(),
    })
}

/// `groups`: only servers with one of them, if any is named.
pub fn registry_json(view: &View<'_>, groups: &[&str]) -> Value {
    let is_meant = |server: &&Server| {
        groups.is_empty() || server.profile.access_groups.iter().any(|group| groups.contains(&group.as_str()))
    };
    let line = |server: &Server| {
        json!({
            "id": server.profile.external_id,
            "name": server.profile.name,
            "url": server.profile.url,
            "transport": "streamable_http",
            "tools": view.tool_names(server),
            "resources": view.resource_names(server),
            "auth_type": auth_type(server.profile.auth_type),
        })
    };
    let servers: Vec<Value> = view.servers().filter(is_meant).map(line).collect();
    json!({"version": "1.0", "server_count": servers.len(), "servers": servers})
}

pub fn access_groups(view: &View<'_>) -> Value {
    let groups = view.access_groups();
    json!({"count": groups.len(), "access_groups": groups})
}

/// `GET /mcp`, and of one server at its own endpoint.
pub fn card(view: &View<'_>, name: &str) -> Value {
    let capabilities = json!({"tools": {}, "resources": {}, "prompts": {}});
    let endpoints = json!({
        "jsonrpc": "/mcp",
        "servers": "/mcp/servers",
        "tools": "/mcp/tools",
        "resources": "/mcp/resources",
        "openapi": "/mcp/openapi.json",
    });
    json!({
        "name": name,
        "version": env!("CARGO_PKG_VERSION"),
        "protocolVersion": LEGACY[0],
        "supportedVersions": [MODERN, LEGACY[0], LEGACY[1], LEGACY[2]],
        "transport": "streamable-http",
        "endpoints": endpoints,
        "capabilities": capabilities,
        "status": "active",
        "sseSupport": false,
        "servers": view.servers().count(),
    })
}

/// `GET /mcp/transport`.
pub fn transport() -> Value {
    json!({"transports": {
        "streamable-http": {"enabled": true, "endpoint": "/mcp", "methods": ["POST", "DELETE"]},
        "sse": {"enabled": false, "endpoint": "/mcp/sse", "messages": "/mcp/messages"},
    }})
}

/// What a tool said.
pub fn called(told: &Told, server: &Server, tool: &str) -> Result<Reply, Rejection> {
    let result = match &told.said {
        Said::Plain(place) => told.raw(place),
        Said::Result(outline) if outline.wants_input => return Err(Rejection::WantsInput),
        Said::Result(outline) if outline.is_error => return Err(told.tool_failed(outline)),
        Said::Result(outline) => told.raw(outline.content.as_ref().unwrap_or(&outline.whole)),
        Said::Error { code, message, .. } => return Err(Rejection::server_error(*code, message)),
        Said::Failed { why, .. } => return Err(Rejection::tool_said(why)),
    };
    let (tool, id) = (json::quote(tool), json::quote(&server.profile.external_id));
    let front = format!(r#"{{"status":"success","tool_name":{tool},"server_id":{id},"result":"#);
    Ok(Reply::around(front, result, "}"))
}
