//! The requests that the demonstration sends and offers as curl lines, both from the same value: what is
//! printed to be copied is what was tried.

use super::Site;
use serde_json::{Value, json};
use std::fmt;

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

pub(super) struct Request {
    pub(super) verb: &'static str,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    /// None on DELETE alone.
    pub(super) body: Option<Value>,
}

impl Request {
    /// A request that stands alone (MCP 2026-07-28, Streamable HTTP): what it is about is in its headers
    /// too, and who asks is in `_meta`.
    pub(super) fn modern(site: &Site, id: u32, method: &str, mut params: Value) -> Request {
        let mut headers = posted(site);
        headers.push(("MCP-Protocol-Version", MODERN.to_owned()));
        headers.push(("Mcp-Method", method.to_owned()));
        if let Some(name) = params.get("name").and_then(Value::as_str) {
            headers.push(("Mcp-Name", name.to_owned()));
        }
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": {"name": "tollbridge-demo", "version": env!("CARGO_PKG_VERSION")},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        if let Some(params) = params.as_object_mut() {
            params.insert("_meta".to_owned(), meta);
        }
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        Request { verb: "POST", url: site.url(), headers, body: Some(body) }
    }

    /// Asks for progress notifications, which carry the token.
    pub(super) fn with_progress(mut self, token: &str) -> Request {
        let meta = self.body.as_mut().and_then(|body| body.pointer_mut("/params/_meta")?.as_object_mut());
        if let Some(meta) = meta {
            meta.insert("progressToken".to_owned(), token.into());
        }
        self
    }

    pub(super) fn initialize(site: &Site) -> Request {
        let params = json!({
            "protocolVersion": LEGACY,
            "capabilities": {},
            "clientInfo": {"name": "tollbridge-demo", "version": env!("CARGO_PKG_VERSION")},
        });
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
        Request { verb: "POST", url: site.url(), headers: posted(site), body: Some(body) }
    }

    /// A message within a session that `initialize` opened.
    pub(super) fn legacy(site: &Site, session: &str, message: Value) -> Request {
        let mut headers = posted(site);
        headers.extend(within(session));
        Request { verb: "POST", url: site.url(), headers, body: Some(message) }
    }

    pub(super) fn delete(site: &Site, session: &str) -> Request {
        let headers = [authorization(site)].into_iter().chain(within(session)).collect();
        Request { verb: "DELETE", url: site.url(), headers, body: None }
    }

    /// The JSON-RPC method; empty on DELETE.
    pub(super) fn method(&self) -> &str {
        self.body.as_ref().and_then(|body| body.get("method")?.as_str()).unwrap_or_default()
    }
}

fn posted(site: &Site) -> Vec<(&'static str, String)> {
    vec![
        authorization(site),
        ("Content-Type", "application/json".to_owned()),
        ("Accept", "application/json, text/event-stream".to_owned()),
    ]
}

fn authorization(site: &Site) -> (&'static str, String) {
    ("Authorization", format!("Bearer {}", site.key))
}

fn within(session: &str) -> [(&'static str, String); 2] {
    [("MCP-Protocol-Version", LEGACY.to_owned()), ("Mcp-Session-Id", session.to_owned())]
}

/// As a command for a POSIX shell. `-N`: events are shown when they come; `-i` shows a session's id.
pub(super) struct Curl<'a>(pub(super) &'a str, pub(super) &'a Request);

impl fmt::Display for Curl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Curl(options, request) = self;
        write!(f, "curl {options} {}", request.url)?;
        for (name, value) in &request.headers {
            write!(f, " \\\n  -H {}", Quoted(&format!("{name}: {value}")))?;
        }
        match &request.body {
            Some(body) => write!(f, " \\\n  -d {}", Quoted(&body.to_string())),
            None => write!(f, " \\\n  -X {}", request.verb),
        }
    }
}

/// A word of the shell in single quotes, within which nothing but the quote itself is special.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', r"'\''"))
    }
}
