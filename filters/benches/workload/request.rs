//! Requests as the SDKs and curl send them.

use super::{KEY, World, world::NOW};
use bytes::Bytes;
use http::request::{Builder, Parts};
use serde_json::{Value, json};
use tollbridge_filters::auth::Principal;
use tollbridge_filters::names::public_name;
use tollbridge_filters::path::Scope;
use tollbridge_filters::session::Session;

pub struct Request {
    pub head: Parts,
    pub body: Bytes,
}

impl Request {
    pub fn modern_call_at_one(world: &World) -> Request {
        modern(&at_one(world), "tools/call", Some(&world.tool), call(&world.tool))
    }

    pub fn modern_call_at_all(world: &World) -> Request {
        let name = public_name(&world.server, &world.tool);
        modern("/mcp", "tools/call", Some(&name), call(&name))
    }

    /// At the endpoint of all, by a name that no list shows there.
    pub fn modern_call_of_bare_name(world: &World) -> Request {
        modern("/mcp", "tools/call", Some(&world.tool), call(&world.tool))
    }

    pub fn modern_list_at_one(world: &World) -> Request {
        modern(&at_one(world), "tools/list", None, json!({}))
    }

    pub fn modern_list_at_all(_: &World) -> Request {
        modern("/mcp", "tools/list", None, json!({}))
    }

    pub fn legacy_call_at_one(world: &World) -> Request {
        let params = call(&world.tool);
        legacy(world, &at_one(world), Scope::One(world.server.clone()), params)
    }

    pub fn legacy_call_at_all(world: &World) -> Request {
        let params = call(&public_name(&world.server, &world.tool));
        legacy(world, "/mcp", Scope::All, params)
    }

    pub fn rest_plain(world: &World) -> Request {
        let World { server, tool, .. } = world;
        rest(&format!("/mcp/{server}/tools/{tool}"), arguments())
    }

    pub fn rest_routeiq(world: &World) -> Request {
        let name = public_name(&world.server, &world.tool);
        rest("/mcp/tools/call", json!({"tool_name": name, "arguments": arguments()}))
    }

    /// As callers do whose lists show bare names.
    pub fn rest_bare(world: &World) -> Request {
        rest("/mcp/tools/call", json!({"tool_name": world.tool, "arguments": arguments()}))
    }

    pub fn rest_litellm(world: &World) -> Request {
        let server = world.server.as_str();
        rest("/mcp-rest/tools/call", json!({"server_id": server, "name": world.tool, "arguments": arguments()}))
    }

    fn new(head: Builder, body: Value) -> Request {
        let body = Bytes::from(body.to_string());
        let head = head.header("content-length", body.len()).body(()).unwrap().into_parts().0;
        Request { head, body }
    }
}

/// 300 bytes.
fn arguments() -> Value {
    json!({
        "query": "how are deployments rolled back when a \"canary\" has failed, and who is told of it before the next \
                  one is tried? In which order do the regions go, and what is written down about it afterwards?",
        "spaces": ["engineering", "operations", "handbook"],
        "limit": 20,
        "archived": false,
    })
}

fn call(name: &str) -> Value {
    json!({"name": name, "arguments": arguments()})
}

fn at_one(world: &World) -> String {
    format!("/mcp/{}", world.server)
}

fn head(path: &str, accept: &str) -> Builder {
    http::Request::post(path)
        .header("host", "gateway.example.com")
        .header("user-agent", "python-httpx/0.28.1")
        .header("accept", accept)
        .header("accept-encoding", "gzip, deflate")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {KEY}"))
}

fn modern(path: &str, method: &str, name: Option<&str>, mut params: Value) -> Request {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "assistant", "version": "1.4.2"},
        "io.modelcontextprotocol/clientCapabilities": {"sampling": {}, "elicitation": {"form": {}, "url": {}}},
    });
    let head = head(path, "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", method);
    let head = name.into_iter().fold(head, |head, name| head.header("mcp-name", name));
    Request::new(head, json!({"jsonrpc": "2.0", "id": 17, "method": method, "params": params}))
}

fn legacy(world: &World, path: &str, scope: Scope, params: Value) -> Request {
    let session = Session {
        key: 0x5f0c_6a2e_9b7d_4e13,
        scope,
        version: "2025-11-25".to_owned(),
        capabilities: r#"{"roots":{"listChanged":true},"sampling":{},"elicitation":{}}"#.to_owned(),
        client_info: r#"{"name":"assistant","version":"1.4.2"}"#.to_owned(),
        issued: NOW - 60,
    };
    let sealed = session.seal(&world.filters.sealer, &principal(world), &[3; 24]).unwrap();
    let head = head(path, "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-11-25")
        .header("mcp-session-id", sealed);
    Request::new(head, json!({"jsonrpc": "2.0", "id": 17, "method": "tools/call", "params": params}))
}

fn rest(path: &str, body: Value) -> Request {
    Request::new(head(path, "*/*"), body)
}

fn principal(world: &World) -> Principal {
    let head = head("/mcp", "*/*").body(()).unwrap().into_parts().0;
    world.filters.keyring.authenticate(&head.headers).unwrap()
}
