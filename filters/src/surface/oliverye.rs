//! oliverye's mcp-gateway: search, execute, servers by UUID, and application sessions
//! (`X-Session-ID`), which are sets of servers and never the sessions of a transport.
//!
//! What a tool's answer becomes at `POST /mcp/execute`, always with HTTP status 200:
//!
//! | the server says | `status` | `result` |
//! |---|---|---|
//! | result | completed | `success`, server, tool, the text parts as `content` |
//! | result with `isError`, JSON-RPC error, `input_required` | error | `error`: what was said |

mod job;

pub use job::{Action, Job, JobId, Misfit};

use super::body::Fields;
use super::registration::{self, Registration};
use super::view::{Tool, View};
use super::{Operation, Reply, Row, Surface};
use crate::catalog::{Server, Set};
use crate::json;
use crate::rejection::{FieldFault, Rejection};
use crate::translate::{Said, Told};
use http::Method;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

const SEARCH: Row = Row::any(Surface::Oliverye, Method::POST, "/mcp/search", Operation::Search);
const EXECUTE: Row = Row::any(Surface::Oliverye, Method::POST, "/mcp/execute", Operation::Call);

pub const ROWS: &[Row] = &[
    SEARCH,
    EXECUTE,
    Row::any(Surface::Oliverye, Method::GET, "/mcp/tools", Operation::Tools),
    Row::any(Surface::Oliverye, Method::GET, "/mcp/servers", Operation::Servers),
    Row::any(Surface::Oliverye, Method::POST, "/mcp/servers/add", Operation::AddServers),
    Row::any(Surface::Oliverye, Method::POST, "/mcp/servers/remove", Operation::RemoveServer),
    Row::any(Surface::Oliverye, Method::POST, "/sessions/create", Operation::CreateScope),
    Row::any(Surface::Oliverye, Method::GET, "/sessions", Operation::Scopes),
    Row::any(Surface::Oliverye, Method::GET, "/sessions/{id}", Operation::Scope),
    Row::any(Surface::Oliverye, Method::DELETE, "/sessions/{id}", Operation::DropScope),
    Row::any(Surface::Oliverye, Method::GET, "/health", Operation::Health),
];

const SERVERS_AT_ONCE_MAX: usize = 100;

/// A server of `servers/add`: its name, and what it asks for or why it cannot be had.
pub type Added = (String, Result<Registration, Rejection>);

/// `{config_data: "<JSON>"}` with `{"mcpServers": {name: {url, …}}}`. One bad server does not keep the
/// others out.
pub fn read_servers(mut fields: Fields) -> Result<Vec<Added>, Rejection> {
    let wrong =
        |what: &str| Rejection::Field { name: "config_data".to_owned(), fault: FieldFault::Value(what.to_owned()) };
    // Clients that do not quote twice mean the same.
    let mut config = if fields.is_object("config_data") {
        Fields::of(fields.object(&["config_data"])?, "config_data.")
    } else {
        let text = fields.required(&["config_data"])?;
        Fields::read(text.as_bytes()).map_err(|_| wrong("is no JSON object"))?
    };
    fields.end()?;
    let servers = config.object(&["mcpServers"])?;
    config.end()?;
    if servers.is_empty() || servers.len() > SERVERS_AT_ONCE_MAX {
        return Err(wrong("needs 1 to 100 servers under mcpServers"));
    }
    Ok(servers.into_iter().map(|(name, server)| (name.clone(), read_server(&name, server))).collect())
}

/// The original takes the URL of an HTTP server from the last of its arguments; its command is never
/// started, there or here.
fn with_url(mut members: Map<String, Value>) -> Map<String, Value> {
    let is_http = members.get("transport").is_some_and(|transport| matches!(transport.as_str(), Some("http" | "sse")));
    let last = members.get("args").and_then(|args| args.as_array()?.last()?.as_str());
    let url = last.filter(|last| is_http && (last.starts_with("http://") || last.starts_with("https://")));
    if let Some(url) = url.map(str::to_owned) {
        members.shift_remove("command");
        members.shift_remove("args");
        members.entry("url").or_insert_with(|| url.into());
    }
    members
}

fn read_server(name: &str, server: Value) -> Result<Registration, Rejection> {
    let Value::Object(members) = server else {
        return Err(Rejection::Field { name: name.to_owned(), fault: FieldFault::Type("object") });
    };
    let mut fields = Fields::of(with_url(members), "");
    registration::refuse_process(&mut fields)?;
    registration::check_transport(&mut fields, &["transport", "type"])?;
    let url = fields.required(&["url", "serverUrl"])?;
    let secret = registration::Secret { headers: fields.object(&["headers"])?, ..Default::default() };
    let description = fields.text(&["description"])?;
    fields.end()?;
    let (auth_type, credentials) = secret.read()?;
    let registration = Registration {
        name: Some(name.to_owned()),
        url,
        description,
        auth_type,
        credentials,
        ..Registration::default()
    };
    registration.check()
}

/// How `servers/remove` names a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    Uuid(String),
    Name(String),
}

pub fn read_removal(mut fields: Fields) -> Result<Named, Rejection> {
    let (uuid, name) = (fields.text(&["server_uuid"])?, fields.text(&["server_name"])?);
    let named = match (uuid, name) {
        (Some(uuid), _) => Named::Uuid(uuid),
        (None, Some(name)) => Named::Name(name),
        (None, None) => return Err(fields.wrong("server_uuid", FieldFault::Missing)),
    };
    fields.end().map(|()| named)
}

pub fn read_metadata(mut fields: Fields) -> Result<Map<String, Value>, Rejection> {
    let metadata = fields.object(&["metadata"])?;
    if registration::bytes(&metadata) > registration::METADATA_BYTES_MAX {
        return Err(fields.wrong("metadata", FieldFault::Value("is larger than 16 KiB".to_owned())));
    }
    fields.end().map(|()| metadata)
}

/// The UUID of a server: the same for ever, because it is made of the id (RFC 9562, version 8).
pub fn uuid(server: &Server) -> String {
    let digest = Sha256::digest(format!("tollbridge server {}", server.id));
    let mut bytes = [0u8; 16];
    bytes.iter_mut().zip(digest.iter()).for_each(|(byte, hashed)| *byte = *hashed);
    format_uuid(bytes, 8)
}

/// Sixteen bytes as a UUID of this version.
pub fn format_uuid(mut bytes: [u8; 16], version: u8) -> String {
    let [_, _, _, _, _, _, sixth, _, eighth, ..] = &mut bytes;
    *sixth = *sixth & 0x0f | version << 4;
    *eighth = *eighth & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

pub fn server<'v>(view: &View<'v>, named: &Named) -> Option<&'v Server> {
    match named {
        Named::Uuid(wanted) => view.servers().find(|server| uuid(server).eq_ignore_ascii_case(wanted)),
        Named::Name(name) => {
            let by_name = view.servers().find(|server| server.profile.name == *name);
            by_name.or_else(|| view.server(name))
        }
    }
}

pub fn servers(view: &View<'_>, session: Option<&str>) -> Value {
    let line = |server: &Server| {
        let tools = view.tool_names(server);
        let shown =
            json!({"name": server.profile.name, "transport": "http", "tool_count": tools.len(), "tools": tools});
        (uuid(server), shown)
    };
    let servers: Map<String, Value> = view.servers().map(line).collect();
    with_session(json!({"servers": servers}), session)
}

pub fn tools(view: &View<'_>, session: Option<&str>) -> Value {
    let line = |(tool, name): (Tool<'_>, Cow<'_, str>)| {
        json!({
            "mcp_server": tool.server.profile.name,
            "mcp_server_uuid": uuid(tool.server),
            "name": name,
            "description": tool.description().unwrap_or_default(),
            "inputSchema": tool.schema(),
        })
    };
    let tools: Vec<Value> = view.callable().into_iter().map(line).collect();
    with_session(json!({"total": tools.len(), "tools": tools}), session)
}

fn with_session(mut body: Value, session: Option<&str>) -> Value {
    if let (Some(session), Some(members)) = (session, body.as_object_mut()) {
        members.insert("session_id".to_owned(), session.into());
    }
    body
}

/// UUIDs and names of what a view shows.
pub fn names(view: &View<'_>) -> Value {
    Value::Object(view.servers().map(|server| (uuid(server), server.profile.name.clone().into())).collect())
}

/// A session, for the list of them.
pub fn session_line(view: &View<'_>, id: &str, set: &Set) -> Value {
    json!({
        "session_id": id,
        "created_at": view.date(set.created),
        "last_accessed": view.date(set.last_used()),
        "expires_at": view.date(set.expires),
        "connections_count": view.servers().count(),
        "tools_count": view.tools().count(),
        "metadata": set.metadata,
    })
}

pub fn session(view: &View<'_>, id: &str, set: &Set) -> Value {
    let connection = |server: &Server| {
        let tools = view.tool_names(server);
        json!({
            "uuid": uuid(server),
            "name": server.profile.name,
            "transport": "http",
            "tools_count": tools.len(),
            "tools": tools,
        })
    };
    json!({
        "session_id": id,
        "created_at": view.date(set.created),
        "last_accessed": view.date(set.last_used()),
        "expires_at": view.date(set.expires),
        "active": true,
        "metadata": set.metadata,
        "connections": view.servers().map(connection).collect::<Vec<_>>(),
        "total_tools": view.tools().count(),
    })
}

/// `millis`: since 1970.
pub fn health(view: &View<'_>, millis: u64) -> Value {
    let connected = view.servers().filter(|server| server.state == crate::catalog::State::Ready).count();
    json!({
        "status": "healthy",
        "connected_servers": connected,
        "total_tools": view.tools().count(),
        "timestamp": seconds(millis),
    })
}

fn seconds(millis: u64) -> f64 {
    millis as f64 / 1e3
}

/// The envelope of search and execute.
pub fn envelope(status: &str, result: &Value, millis: u64) -> String {
    let request = format!("http_{millis}");
    json!({"request_id": request, "status": status, "timestamp": seconds(millis), "result": result}).to_string()
}

/// What a tool said.
pub fn called(told: &Told, server: &Server, tool: &str, millis: u64) -> Result<Reply, Rejection> {
    let spoken = match &told.said {
        Said::Plain(place) => match told.text(place) {
            raw if raw.starts_with('"') => json::unquote(raw).into_owned(),
            raw => raw.to_owned(),
        },
        Said::Result(outline) if outline.wants_input => return Err(Rejection::WantsInput),
        Said::Result(outline) if outline.is_error => return Err(told.tool_failed(outline)),
        Said::Result(outline) => told.spoken(outline),
        Said::Error { code, message, .. } => return Err(Rejection::server_error(*code, message)),
        Said::Failed { why, .. } => return Err(Rejection::tool_said(why)),
    };
    let result = json!({
        "success": true,
        "server": server.profile.name,
        "server_uuid": uuid(server),
        "tool": tool,
        "content": spoken,
    });
    Ok(Reply::whole(envelope("completed", &result, millis).into()))
}
