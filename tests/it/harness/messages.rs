//! Messages and headers of both eras, written out.

use super::gateway::{Gateway, KEY};
use super::http::{Client, Response};

pub const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;

/// Header lines of a modern request.
pub fn modern(key: &str, method: &str, name: Option<&str>) -> Vec<String> {
    let mut lines = common(key);
    lines.push("MCP-Protocol-Version: 2026-07-28".to_owned());
    lines.push(format!("Mcp-Method: {method}"));
    lines.extend(name.map(|name| format!("Mcp-Name: {name}")));
    lines
}

/// Header lines of a legacy request.
pub fn legacy(key: &str, session: Option<&str>) -> Vec<String> {
    let mut lines = common(key);
    lines.extend(session.map(|session| format!("Mcp-Session-Id: {session}")));
    lines.extend(session.map(|_| "MCP-Protocol-Version: 2025-11-25".to_owned()));
    lines
}

fn common(key: &str) -> Vec<String> {
    vec![
        format!("Authorization: Bearer {key}"),
        "Content-Type: application/json".to_owned(),
        "Accept: application/json, text/event-stream".to_owned(),
    ]
}

/// A modern request; `members` are those of `params` besides `_meta`, each with a comma after it.
pub fn request(id: &str, method: &str, members: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{members}{META}}}}}"#)
}

pub fn legacy_request(id: &str, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

/// The head of a modern call with these lines besides; nothing about its framing is added.
pub fn call_head(path: &str, tool: &str, lines: &str) -> String {
    let own = modern(KEY, "tools/call", Some(tool)).join("\r\n");
    format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{own}\r\n{lines}\r\n")
}

/// A modern tool call at an endpoint.
pub async fn call(client: &mut Client, path: &str, tool: &str, arguments: &str) -> std::io::Result<Response> {
    let body = request("1", "tools/call", &format!(r#""name":"{tool}","arguments":{arguments},"#));
    client.post(path, &modern(KEY, "tools/call", Some(tool)), body.as_bytes()).await
}

/// Asks for a list, modern.
pub async fn list(client: &mut Client, path: &str, key: &str, method: &str) -> serde_json::Value {
    let body = request("1", method, "");
    let response = client.post(path, &modern(key, method, None), body.as_bytes()).await.expect("an answer");
    response.json()["result"].clone()
}

/// Starts a gateway and waits until it has looked at each of its servers.
pub async fn start_discovered(rest: &str) -> Gateway {
    let gateway = Gateway::start(rest).await;
    super::eventually("every server was looked at", 10, || async {
        let (headers, body) = (modern(KEY, "tools/list", None), request("1", "tools/list", ""));
        let answer = gateway.client().await.post("/mcp", &headers, body.as_bytes()).await;
        // Read as text: lists may hold numbers that no type of ours does.
        let text = answer.ok()?.text();
        (text.contains("dev.tollbridge/servers") && !text.contains("unprobed")).then_some(())
    })
    .await;
    gateway
}

/// Opens a legacy session and gives its id.
pub async fn initialize(client: &mut Client, path: &str, key: &str) -> String {
    initialize_with(client, path, key, "{}").await.expect("an answer")
}

/// The same for a client with these capabilities.
pub async fn initialize_with(
    client: &mut Client,
    path: &str,
    key: &str,
    capabilities: &str,
) -> std::io::Result<String> {
    let info = r#""clientInfo":{"name":"t","version":"1"}"#;
    let params = format!(r#"{{"protocolVersion":"2025-11-25","capabilities":{capabilities},{info}}}"#);
    let body = legacy_request("0", "initialize", &params);
    let response = client.post(path, &legacy(key, None), body.as_bytes()).await?;
    Ok(response.header("mcp-session-id").unwrap_or_else(|| panic!("no session: {}", response.text())).to_owned())
}

/// A legacy tool call within a session.
pub async fn legacy_call(
    client: &mut Client,
    path: &str,
    key: &str,
    session: &str,
    tool: &str,
    arguments: &str,
) -> std::io::Result<Response> {
    let body = legacy_request("1", "tools/call", &format!(r#"{{"name":"{tool}","arguments":{arguments}}}"#));
    client.post(path, &legacy(key, Some(session)), body.as_bytes()).await
}
