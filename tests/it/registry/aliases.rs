//! Aliases: another id for a server, and nobody else's.

use crate::harness::gateway::{Gateway, KEY};
use crate::harness::messages::{call, initialize, legacy_call, list};
use crate::harness::recorder::{Recorder, Speaks, TOOL};
use crate::harness::rest::{OPEN, demand, register, rest, servers};
use serde_json::{Value, json};

#[tokio::test]
async fn an_alias_stands_for_its_server_until_that_is_gone() {
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway = Gateway::start(OPEN).await;
    register(&gateway, "files-eu", &server.url(), &json!({"alias": "Archive.1"})).await;
    let used = uses(&gateway, &server).await;
    assert!(used.iter().all(|(_, works)| *works), "{used:?}");

    for path in ["/llmrouter/mcp/servers/files-eu", "/v1/mcp/server", "/mcp/servers/Archive.1"] {
        let told = rest(&gateway, &format!("GET {path}"), &Value::Null).await;
        assert!(told.text().contains("archive-1"), "{path} shows no alias: {}", told.text());
    }
    let listed = list(&mut gateway.client().await, "/mcp", KEY, "tools/list").await;
    assert_eq!(listed["tools"][0]["name"], "files-eu__say", "lists have one name for one tool");

    demand(&rest(&gateway, "DELETE /llmrouter/mcp/servers/files-eu", &Value::Null).await, 200, &json!({}));
    let used = uses(&gateway, &server).await;
    assert!(used.iter().all(|(_, works)| !works), "after it is gone: {used:?}");
    register(&gateway, "archive-1", &server.url(), &json!({})).await;
}

/// Every place where a server can be named, and whether the alias works there.
async fn uses(gateway: &Gateway, server: &Recorder) -> Vec<(&'static str, bool)> {
    let mut client = gateway.client().await;
    let mut used = Vec::new();
    for path in ["/mcp/archive-1", "/archive-1/mcp", "/mcp/Archive.1"] {
        let answer = call(&mut client, path, "say", "{}").await.unwrap();
        used.push((path, answer.status == 200 && answer.error_code().is_none()));
        client = gateway.client().await;
    }
    for name in ["archive-1__say", "archive-1.say", "archive-1-say", "mcp_archive-1__say"] {
        let answer = call(&mut client, "/mcp", name, "{}").await.unwrap();
        used.push((name, answer.error_code().is_none()));
    }
    let rows = [
        ("POST /mcp-rest/tools/call", json!({"server_id": "archive-1", "name": "say"})),
        ("POST /mcp/tools/call", json!({"server_id": "Archive.1", "name": "say"})),
        ("POST /llmrouter/mcp/tools/call", json!({"tool_name": "archive-1__say"})),
        ("POST /mcp/archive-1/tools/say", json!({})),
        ("GET /v1/mcp/server/archive-1", Value::Null),
        ("GET /v1/llmrouter/mcp/server/archive-1/health", Value::Null),
        ("GET /mcp/archive-1/openapi.json", Value::Null),
    ];
    let before = server.calls().len();
    for (line, body) in rows {
        used.push((line, rest(gateway, line, &body).await.status == 200));
    }
    let reached = server.calls().len() - before;
    assert!(matches!(reached, 0 | 4), "{reached} of 4 calls reached the server: {used:?}");
    used
}

#[tokio::test]
async fn an_alias_shadows_nobody() {
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway =
        Gateway::start(&format!("{OPEN}servers:\n  fixed: {{url: \"{}\", alias: nailed}}", server.url())).await;
    register(&gateway, "one", &server.url(), &json!({"alias": "uno"})).await;
    let before = servers(&gateway).await;
    let with = |id: &str, alias: &str| json!({"server_id": id, "name": id, "url": server.url(), "alias": alias});
    let cases = [
        ("the id of another", with("two", "one"), 409),
        ("the alias of another", with("two", "UNO"), 409),
        ("an id of the file", with("two", "fixed"), 409),
        ("an alias of the file", with("two", "nailed"), 409),
        ("a word of ours", with("two", "sessions"), 400),
        ("no id", with("two", "../one"), 400),
        ("as an id", with("uno", "free"), 409),
        ("as an id of the file", with("nailed", "free"), 403),
    ];
    for (what, body, status) in cases {
        let answer = rest(&gateway, "POST /llmrouter/mcp/servers", &body).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert_eq!(servers(&gateway).await, before, "{what}");
    }
    // No transitivity, and its own id is no other's.
    let own = rest(&gateway, "POST /llmrouter/mcp/servers", &with("one", "one")).await;
    assert!(matches!(own.status, 200 | 409), "{}", own.text());
}

/// A session at an alias is one at its server.
#[tokio::test]
async fn a_legacy_session_by_alias() {
    let server = Recorder::start(Speaks::Legacy, &[TOOL]).await;
    let gateway = Gateway::start(OPEN).await;
    register(&gateway, "files-eu", &server.url(), &json!({"alias": "archive"})).await;
    let mut client = gateway.client().await;
    let session = initialize(&mut client, "/mcp/archive", KEY).await;
    for path in ["/mcp/archive", "/archive/mcp", "/mcp/files-eu"] {
        let answer = legacy_call(&mut client, path, KEY, &session, "say", "{}").await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
}
