//! `Idempotency-Key`: a request that was sent twice is one.

use crate::harness::gateway::{ADMIN_KEY, Gateway, OTHER_KEY};
use crate::harness::http::Response;
use crate::harness::recorder::{Recorder, Speaks, TOOL};
use crate::harness::rest::{OPEN, rest_as, rest_at, servers};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::task::JoinSet;

const KEY: &str = "Idempotency-Key: 7f3c";

async fn register(gateway: &Gateway, header: &str, body: &Value) -> Response {
    rest_as(gateway, ADMIN_KEY, "POST /v1/mcp/server", &[header], body.to_string().as_bytes()).await
}

fn count(listed: &str) -> usize {
    serde_json::from_str::<Value>(listed).unwrap().as_array().unwrap().len()
}

/// Without an id of the caller's own the gateway makes one up: only the key tells that it was asked before.
#[tokio::test]
async fn the_same_request_twice_is_one_also_after_a_restart() {
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let mut gateway = Gateway::start(OPEN).await;
    let body = json!({"server_name": "a server", "url": server.url()});
    let first = register(&gateway, KEY, &body).await;
    assert_eq!(first.status, 201, "{}", first.text());
    let before = servers(&gateway).await;
    for is_restarted in [false, true] {
        if is_restarted {
            gateway.restart().await;
        }
        let again = register(&gateway, KEY, &body).await;
        assert_eq!(again.status, 201, "restarted: {is_restarted}: {}", again.text());
        assert_eq!(again.json(), first.json(), "restarted: {is_restarted}");
        let other = register(&gateway, KEY, &json!({"server_name": "another", "url": server.url()})).await;
        assert_eq!(other.status, 422, "restarted: {is_restarted}: {}", other.text());
        assert_eq!(count(&servers(&gateway).await), count(&before), "restarted: {is_restarted}");
    }
    assert_eq!(register(&gateway, "Idempotency-Key: 7f3d", &body).await.status, 201);
    assert_eq!(count(&servers(&gateway).await), 2, "another key is another request");
}

#[tokio::test]
async fn duplicates_at_once_are_one() {
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway = Gateway::start(OPEN).await;
    let body = json!({"server_name": "a server", "url": server.url()});
    let mut asked = JoinSet::new();
    for _ in 0..20 {
        let (port, body) = (gateway.port, body.to_string());
        asked.spawn(async move {
            let answer =
                rest_at(port, ADMIN_KEY, "POST /v1/mcp/server", &[KEY], body.as_bytes()).await.expect("an answer");
            format!("{} {}", answer.status, answer.json()["server_id"])
        });
    }
    let ids: BTreeSet<String> = asked.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert!(ids.iter().all(|id| id.starts_with("201 \"")), "{ids:?}");
    assert_eq!(count(&servers(&gateway).await), 1);
}

/// The answer, not the change: what was removed since stays removed.
#[tokio::test]
async fn a_repetition_brings_nothing_back() {
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway = Gateway::start(OPEN).await;
    let body = json!({"server_id": "one", "name": "one", "url": server.url()}).to_string();
    let steps = [
        ("POST /llmrouter/mcp/servers", KEY, 200, 1),
        ("DELETE /llmrouter/mcp/servers/one", "X-Other: a", 200, 0),
        ("POST /llmrouter/mcp/servers", KEY, 200, 0),
        // A key that is none is refused rather than ignored.
        ("POST /llmrouter/mcp/servers", "Idempotency-Key: ", 400, 0),
        ("POST /llmrouter/mcp/servers", "X-Other: a", 200, 1),
    ];
    for (line, header, status, servers_then) in steps {
        let body = if line.starts_with("DELETE") { "" } else { &body };
        let answer = rest_as(&gateway, ADMIN_KEY, line, &[header], body.as_bytes()).await;
        assert_eq!(answer.status, status, "{line} {header}: {}", answer.text());
        assert_eq!(count(&servers(&gateway).await), servers_then, "{line} {header}");
    }
}

/// What a repetition asks for is there no more, and that is no reason to answer otherwise.
#[tokio::test]
async fn a_removal_that_is_repeated() {
    let gateway = Gateway::start(OPEN).await;
    for (line, body) in [
        ("POST /mcp/servers/remove", json!({"server_name": "one"})),
        ("DELETE /llmrouter/mcp/servers/one", Value::Null),
        ("DELETE /v1/mcp/server/one", Value::Null),
    ] {
        crate::harness::rest::register(&gateway, "one", "http://127.0.0.1:9/mcp", &json!({})).await;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let header = format!("Idempotency-Key: {line}");
        let first = rest_as(&gateway, ADMIN_KEY, line, &[&header], body.as_bytes()).await;
        assert!(matches!(first.status, 200 | 202), "{line}: {}", first.text());
        let again = rest_as(&gateway, ADMIN_KEY, line, &[&header], body.as_bytes()).await;
        assert_eq!((again.status, again.text()), (first.status, first.text()), "{line}");
    }
}

/// One caller's key is not another's.
#[tokio::test]
async fn keys_belong_to_their_principal() {
    let gateway = Gateway::start(&format!(
        "{OPEN}keys:\n  - {{id: a, key: {ADMIN_KEY}, role: admin}}\n  - {{id: b, key: {OTHER_KEY}, role: admin}}\n"
    ))
    .await;
    let body = json!({"server_name": "a server", "url": "http://127.0.0.1:9/mcp"}).to_string();
    for key in [ADMIN_KEY, OTHER_KEY] {
        let answer = rest_as(&gateway, key, "POST /v1/mcp/server", &[KEY], body.as_bytes()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    assert_eq!(count(&servers(&gateway).await), 2);
}
