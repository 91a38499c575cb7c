//! A caller of REST surfaces: one request over a connection of its own, and what is demanded of the answer.

use super::gateway::{ADMIN_KEY, Gateway};
use super::http::{Client, Response};
use super::subset::differs;
use serde_json::{Value, json};
use std::io::Result;

/// Registrations come over the surfaces, and the tests' servers are on loopback.
pub const OPEN: &str = "outbound: {allow: [\"127.0.0.0/8\"]}\n";

/// `line` as in `PUT /v1/mcp/server`; an operator asks.
pub async fn rest(gateway: &Gateway, line: &str, body: &Value) -> Response {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    rest_as(gateway, ADMIN_KEY, line, &[], body.as_bytes()).await
}

/// With this key, these header lines besides, and these bytes as the body.
pub async fn rest_as(gateway: &Gateway, key: &str, line: &str, headers: &[&str], body: &[u8]) -> Response {
    let answer = rest_at(gateway.port, key, line, headers, body).await;
    answer.unwrap_or_else(|error| panic!("no answer to {line}: {error}"))
}

/// The same of a gateway that may be gone.
pub async fn rest_at(port: u16, key: &str, line: &str, headers: &[&str], body: &[u8]) -> Result<Response> {
    let mut lines = vec![format!("Authorization: Bearer {key}"), "Content-Type: application/json".to_owned()];
    lines.extend(headers.iter().map(|line| (*line).to_owned()));
    Client::connect(port).await?.ask(line, &lines, body).await
}

/// Registers a server by RouteIQ's surface; `more` are fields besides the id, the name and the URL.
pub async fn register(gateway: &Gateway, id: &str, url: &str, more: &Value) {
    let mut body = json!({"server_id": id, "name": id, "url": url});
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let answer = rest(gateway, "POST /llmrouter/mcp/servers", &body).await;
    demand(&answer, 200, &json!({"status": "registered", "server_id": id}));
}

pub fn demand(response: &Response, status: u16, wanted: &Value) {
    assert_eq!(response.status, status, "{}", response.text());
    assert_eq!(differs(wanted, &response.json()), None, "{}", response.text());
}

/// The servers with everything that is told of them, as they are.
pub async fn servers(gateway: &Gateway) -> String {
    rest(gateway, "GET /v1/mcp/server", &Value::Null).await.text()
}

pub fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}")
}

pub async fn get(gateway: &Gateway, path: &str, key: &str) -> Response {
    bare(gateway, "GET", path, key).await
}

pub async fn delete(gateway: &Gateway, path: &str, key: &str) -> Response {
    bare(gateway, "DELETE", path, key).await
}

pub async fn post(gateway: &Gateway, path: &str, key: &str, body: &Value) -> Response {
    let mut headers = headers(gateway, key);
    headers.push("Content-Type: application/json".to_owned());
    gateway.client().await.post(path, &headers, body.to_string().as_bytes()).await.expect("an answer")
}

async fn bare(gateway: &Gateway, verb: &str, path: &str, key: &str) -> Response {
    gateway.client().await.request(verb, path, &headers(gateway, key)).await.expect("an answer")
}

/// The Host has its port, as clients send it: answers with URLs in them lead there.
fn headers(gateway: &Gateway, key: &str) -> Vec<String> {
    vec![format!("Host: 127.0.0.1:{}", gateway.port), bearer(key)]
}
