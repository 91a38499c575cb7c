//! What the gateway makes of servers that say odd things of themselves.

use crate::harness::eventually;
use crate::harness::gateway::{Gateway, KEY};
use crate::harness::messages::{initialize, legacy, legacy_request, list, start_discovered};
use crate::harness::recorder::{Recorder, Reply, Speaks, TOOL};
use serde_json::Value;
use std::sync::atomic::{AtomicUsize, Ordering};

async fn before(recorder: &Recorder) -> Gateway {
    start_discovered(&format!("servers:\n  rec: {{url: \"{}\"}}", recorder.url())).await
}

fn names(list: &Value) -> Vec<&str> {
    list["tools"].as_array().into_iter().flatten().filter_map(|tool| tool["name"].as_str()).collect()
}

const INITIALIZED: &str =
    r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"r","version":"1"}}"#;

/// 5xx says nothing of the era (MCP 2026-07-28, Versioning).
#[tokio::test]
async fn an_era_that_was_busy_once_is_asked_for_again() {
    let recorder = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let asked = AtomicUsize::new(0);
    recorder.answers_to("initialize", move |request| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::Status("503 Service Unavailable", String::new(), Vec::new()),
        _ => Reply::Json(request.result(INITIALIZED)),
    });
    let gateway = before(&recorder).await;
    let mut client = gateway.client().await;
    assert_eq!(names(&list(&mut client, "/mcp", KEY, "tools/list").await), ["rec__say"], "modern clients reach it");
    let session = initialize(&mut client, "/mcp", KEY).await;
    eventually("legacy clients reach it too", 10, || async {
        let body = legacy_request("1", "tools/list", "{}");
        let answer = gateway.client().await.post("/mcp", &legacy(KEY, Some(&session)), body.as_bytes()).await;
        (names(&answer.ok()?.json()["result"]) == ["rec__say"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_with_one_entry_or_list_hides_no_other() {
    let deep = format!(r#"{{"name":"deep","inputSchema":{}1{}}}"#, "[".repeat(80), "]".repeat(80));
    let surrogate = r#"{"name":"half","description":"\ud83d","inputSchema":{"type":"object"}}"#;
    let recorder = Recorder::start(Speaks::Modern, &[deep.as_str(), surrogate, TOOL]).await;
    recorder.results(
        "server/discover",
        r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"prompts":{}},"ttlMs":0,"cacheScope":"public"}"#,
    );
    recorder.answers_to("prompts/list", |request| Reply::Json(request.error(r#"{"code":-32603,"message":"broken"}"#)));
    let gateway = before(&recorder).await;
    let listed = list(&mut gateway.client().await, "/mcp", KEY, "tools/list").await;
    assert_eq!(names(&listed), ["rec__say"], "{listed}");
    assert_eq!(listed["_meta"]["dev.tollbridge/servers"]["rec"]["state"], "ready", "{listed}");
}

#[tokio::test]
async fn a_list_that_goes_in_circles_ends() {
    let recorder = Recorder::start(Speaks::Modern, &[]).await;
    recorder.results("tools/list", r#"{"tools":[{"name":"say","inputSchema":{}}],"nextCursor":"again"}"#);
    let gateway = before(&recorder).await;
    let listed = list(&mut gateway.client().await, "/mcp", KEY, "tools/list").await;
    assert_eq!(names(&listed), ["rec__say"], "{listed}");
    let pages = recorder.of("tools/list").len();
    assert!(pages < 12, "{pages} pages were asked for");
}
