//! How a server stands: what is declared of it, and what it shows by itself.

use crate::harness::eventually;
use crate::harness::gateway::{Gateway, KEY};
use crate::harness::messages::list;
use crate::harness::process::free_port;
use crate::harness::recorder::{Recorder, Speaks, TOOL};
use crate::harness::rest::{OPEN, demand, register, rest};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const HASTE: &str = "discovery: {interval: 200ms}\n";

async fn state(gateway: &Gateway, id: &str) -> Value {
    rest(gateway, &format!("GET /llmrouter/mcp/servers/{id}"), &Value::Null).await.json()
}

async fn tools(gateway: &Gateway) -> BTreeSet<String> {
    let listed = list(&mut gateway.client().await, "/mcp", KEY, "tools/list").await;
    listed["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_server_that_is_not_there_is_stored_and_comes_with_its_tools() {
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/mcp");
    let gateway = Gateway::start(&format!("{OPEN}{HASTE}")).await;
    register(&gateway, "late", &url, &json!({})).await;
    let told = state(&gateway, "late").await;
    assert_eq!((told["state"].as_str(), told["since"].is_string()), (Some("unreachable"), true), "{told}");
    assert!(tools(&gateway).await.is_empty());
    let _server = Recorder::start_at(port, Speaks::Modern, &[TOOL]).await;
    eventually("its tools come", 10, || async { tools(&gateway).await.contains("late__say").then_some(()) }).await;
    assert_eq!(state(&gateway, "late").await["state"], "ready");
}

/// What was found elsewhere says nothing of where the server is now.
#[tokio::test]
async fn a_put_to_where_nobody_is() {
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway = Gateway::start(&format!("{OPEN}{HASTE}")).await;
    register(&gateway, "moved", &server.url(), &json!({})).await;
    assert!(tools(&gateway).await.contains("moved__say"));
    let body = json!({"name": "moved", "url": "http://127.0.0.1:9/mcp"});
    let replaced = rest(&gateway, "PUT /llmrouter/mcp/servers/moved", &body).await;
    demand(&replaced, 200, &json!({"status": "updated"}));
    let told = state(&gateway, "moved").await;
    assert_eq!((&told["url"], &told["state"]), (&json!("http://127.0.0.1:9/mcp"), &json!("unreachable")), "{told}");
    assert!(tools(&gateway).await.is_empty(), "these were another server's");
}

/// What is declared limits what a server shows, and stands for it while it is away.
#[tokio::test]
async fn declared_tools_are_a_list_to_be_on() {
    let other = TOOL.replace("say", "shout");
    let server = Recorder::start(Speaks::Modern, &[TOOL, &other]).await;
    let mut gateway = Gateway::start(&format!("{OPEN}{HASTE}")).await;
    register(&gateway, "rec", &server.url(), &json!({"tools": ["say", "absent"]})).await;
    register(&gateway, "gone", "http://127.0.0.1:9/mcp", &json!({"tools": ["first", "second"]})).await;
    for is_restarted in [false, true] {
        if is_restarted {
            gateway.restart().await;
        }
        let wanted = ["gone__first", "gone__second", "rec__say"].map(str::to_owned);
        eventually("what is declared and there is listed", 5, || async {
            let listed = tools(&gateway).await;
            (listed.contains("rec__say") && !listed.contains("rec__absent")).then_some(())
        })
        .await;
        assert_eq!(tools(&gateway).await, BTreeSet::from(wanted), "restarted: {is_restarted}");
        for (tool, status) in [("say", 200), ("shout", 404), ("absent", 404)] {
            let body = json!({"server_id": "rec", "name": tool});
            let answer = rest(&gateway, "POST /mcp/tools/call", &body).await;
            assert_eq!(answer.status, status, "{tool}: {}", answer.text());
        }
        let away = rest(&gateway, "POST /mcp/tools/call", &json!({"server_id": "gone", "name": "first"})).await;
        demand(&away, 400, &json!({"detail": {"error": "tool_invocation_failed", "message": "<string>"}}));
    }
    assert!(server.calls().iter().all(|call| call.member("/params/name").as_deref() == Some("say")));
}
