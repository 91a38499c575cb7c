//! REST callers who ask for events: lists that go on telling what changes, and calls whose progress comes
//! as it happens.

use crate::guides::CONFIGURATION;
use crate::harness::eventually;
use crate::harness::gateway::{ADMIN_KEY, Gateway, KEY};
use crate::harness::messages::start_discovered;
use crate::harness::peer::{Peer, Sdk};
use crate::harness::recorder::{Recorder, Reply, Speaks, TOOL};
use crate::harness::rest::{bearer, delete, post};
use crate::harness::stream::Stream;
use serde_json::json;
use std::time::{Duration, Instant};

const EVENTS: &str = "Accept: text/event-stream";
const HEARTBEAT: &str = "limits: {heartbeat: 200ms}";
const PACE: Duration = Duration::from_millis(200);
/// How soon a change is told.
const SOON: Duration = Duration::from_secs(1);

#[tokio::test]
async fn servers_are_told_as_they_come_change_and_go() {
    let upstream = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway = Gateway::start(&format!("{CONFIGURATION}\n{HEARTBEAT}")).await;
    let mut stream = Stream::open(&gateway, "/mcp/servers").await;
    assert_eq!(stream.next().await, ("snapshot".into(), json!({"servers": []})));

    let registration = json!({"server_id": "late", "name": "Late", "url": upstream.url()});
    assert_eq!(post(&gateway, "/mcp/servers", ADMIN_KEY, &registration).await.status, 200);
    let (_, server) = stream.within("server.registered", SOON).await;
    assert_eq!((&server["server_id"], &server["name"]), (&json!("late"), &json!("Late")));

    // Its tools are found out right after.
    let mut server = server;
    while server["tools"] != json!(["say"]) {
        server = stream.within("server.updated", SOON).await.1;
    }
    let renamed = json!({"server_id": "late", "name": "Later", "url": upstream.url()});
    assert_eq!(post(&gateway, "/mcp/servers", ADMIN_KEY, &renamed).await.status, 200);
    while server["name"] != json!("Later") {
        server = stream.within("server.updated", SOON).await.1;
    }

    assert_eq!(delete(&gateway, "/mcp/servers/late", ADMIN_KEY).await.status, 200);
    let (_, server) = stream.within("server.removed", SOON).await;
    assert_eq!(server["server_id"], "late");
    stream.heartbeats(3, PACE).await;
}

#[tokio::test]
async fn tools_and_resources_are_told_anew() {
    let upstream = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway = Gateway::start(&format!("{CONFIGURATION}\n{HEARTBEAT}")).await;
    let mut tools = Stream::open(&gateway, "/mcp/tools").await;
    let mut resources = Stream::open(&gateway, "/mcp/resources").await;
    assert_eq!(tools.next().await, ("snapshot".into(), json!({"tools": []})));
    assert_eq!(resources.next().await, ("snapshot".into(), json!({"resources": []})));
    let registration = json!({"server_id": "s", "name": "S", "url": upstream.url(), "resources": ["file:///a"]});
    assert_eq!(post(&gateway, "/mcp/servers", ADMIN_KEY, &registration).await.status, 200);
    let (_, told) = resources.within("resources.changed", SOON).await;
    assert_eq!(told, json!({"resources": [{"server_id": "s", "server_name": "S", "resource": "file:///a"}]}));
    let (_, told) = tools.within("tools.changed", SOON).await;
    assert_eq!(told, json!({"tools": [{"server_id": "s", "server_name": "S", "tool": "say"}]}));
}

/// A load balancer, and a cache, decide by the head.
#[tokio::test]
async fn head_gives_the_same_head() {
    let gateway = Gateway::start(CONFIGURATION).await;
    for path in ["/mcp/servers", "/mcp/tools", "/mcp/resources"] {
        for accept in [EVENTS, "Accept: application/json"] {
            let headers = [bearer(KEY), accept.to_owned()];
            let mut client = gateway.client().await;
            let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{}\r\n\r\n", headers.join("\r\n"));
            client.send(request.as_bytes()).await.unwrap();
            let get = client.head().await.unwrap();
            let mut client = gateway.client().await;
            client.send(request.replacen("GET", "HEAD", 1).as_bytes()).await.unwrap();
            let head = client.head().await.unwrap();
            // A head without a body need not say how one would be framed (RFC 9112, 6.1).
            let differs = ["x-request-id", "date", "transfer-encoding"];
            let fields = |mut headers: Vec<(String, String)>| {
                headers.retain(|(name, _)| !differs.contains(&name.to_lowercase().as_str()));
                headers.sort();
                headers
            };
            assert_eq!((head.status, fields(head.headers)), (get.status, fields(get.headers)), "{accept} {path}");
        }
    }
}

#[tokio::test]
async fn a_drain_ends_the_streams_properly() {
    let mut gateway = Gateway::start(&format!("{CONFIGURATION}\n{HEARTBEAT}\ndrain: {{accept: 1s}}")).await;
    let mut stream = Stream::open(&gateway, "/mcp/servers").await;
    stream.heartbeats(1, PACE).await;
    gateway.process.signal("TERM");
    let began = Instant::now();
    stream.ends().await;
    assert!(began.elapsed() < Duration::from_secs(3), "a stream holds the drain up: {:?}", began.elapsed());
    eventually("the gateway ends", 10, || {
        let ended = gateway.process.ended();
        async move { ended }
    })
    .await;
}

#[tokio::test]
async fn progress_comes_as_it_happens_and_then_the_result() {
    let peer = Peer::start(Sdk::TypeScriptV2);
    let gateway = start_discovered(&format!("servers:\n  ts: {{url: \"{}\"}}", peer.url())).await;
    for (path, body) in [
        ("/mcp/tools/call", json!({"name": "ts__count", "arguments": {"n": 5}})),
        ("/llmrouter/mcp/tools/call", json!({"tool_name": "count", "arguments": {"n": 5}})),
        ("/mcp-rest/tools/call", json!({"server_id": "ts", "name": "count", "arguments": {"n": 5}})),
        ("/mcp/execute", json!({"tool_name": "count", "args": {"n": 5}})),
        ("/mcp/ts/tools/count", json!({"n": 5})),
    ] {
        let mut stream = Stream::call(&gateway, path, &body).await;
        for step in 1..=5 {
            let (name, said) = stream.next().await;
            assert_eq!(
                (name.as_str(), &said["progress"], &said["total"]),
                ("progress", &json!(step), &json!(5)),
                "{path}"
            );
        }
        let (name, said) = stream.next().await;
        assert_eq!(name, "result", "{path}: {said}");
        assert!(said.to_string().contains("counted 5"), "{path}: {said}");
        stream.ends().await;
    }
}

/// By the clock of the server, which stamps each event with the time it was sent at.
#[tokio::test]
async fn progress_is_not_held_back() {
    let upstream = Recorder::start(Speaks::Modern, &[TOOL]).await;
    upstream.answers(|_| Reply::Clock(10, Duration::from_millis(100)));
    let gateway = start_discovered(&format!("servers:\n  s: {{url: \"{}\"}}", upstream.url())).await;
    let mut stream = Stream::call(&gateway, "/mcp/tools/call", &json!({"name": "s__say", "arguments": {}})).await;
    for _ in 0..10 {
        let (_, said) = stream.next().await;
        let late = Duration::from_nanos(upstream.now() - said["progress"].as_u64().expect("a time"));
        assert!(late < Duration::from_millis(50), "an event took {late:?}");
    }
    assert_eq!(stream.next().await.0, "result");
    stream.ends().await;
}

#[tokio::test]
async fn a_failure_is_the_last_event() {
    let upstream = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway = start_discovered(&format!("servers:\n  s: {{url: \"{}\"}}", upstream.url())).await;
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#;
    upstream.answers(move |call| {
        let error = call.error(r#"{"code":-32000,"message":"no more"}"#);
        let event = crate::harness::recorder::event;
        Reply::Events(vec![(Duration::ZERO, event(progress.as_bytes())), (Duration::ZERO, event(&error))])
    });
    let mut stream = Stream::call(&gateway, "/mcp/tools/call", &json!({"name": "s__say", "arguments": {}})).await;
    assert_eq!(stream.next().await.0, "progress");
    let (name, said) = stream.next().await;
    assert_eq!((name.as_str(), &said["detail"]["error"]), ("error", &json!("tool_invocation_failed")), "{said}");
    stream.ends().await;
}

/// In this era the end of the connection is the cancellation.
#[tokio::test]
async fn a_caller_that_leaves_cancels_the_call() {
    let peer = Peer::start(Sdk::TypeScriptV2);
    let gateway = start_discovered(&format!("servers:\n  ts: {{url: \"{}\"}}", peer.url())).await;
    for (accept, cancelled) in [(EVENTS, 1), ("Accept: application/json", 2)] {
        let body = json!({"ms": 60_000, "nonce": accept}).to_string();
        let lines = [bearer(KEY), accept.to_owned(), format!("Content-Length: {}", body.len())].join("\r\n");
        let request = format!(
            "POST /mcp/ts/tools/slow HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{lines}\r\n\r\n{body}"
        );
        let mut client = gateway.client().await;
        client.send(request.as_bytes()).await.unwrap();
        eventually("the call is under way", 10, || async { (peer.stats().await["calls"][accept] == 1).then_some(()) })
            .await;
        drop(client);
        eventually("it is cancelled", 5, || async { (peer.stats().await["cancelled"] == cancelled).then_some(()) })
            .await;
    }
}

/// Whoever is refused by now hears nothing more.
#[tokio::test]
async fn a_stream_ends_with_its_key() {
    let upstream = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway = Gateway::start(&format!("{CONFIGURATION}\n{HEARTBEAT}")).await;
    let mut stream = Stream::open(&gateway, "/mcp/servers").await;
    assert_eq!(stream.next().await, ("snapshot".into(), json!({"servers": []})));
    let keys = format!("keys:\n  - {{id: ops, key: {ADMIN_KEY}, role: admin}}");
    gateway.reconfigure(&format!("{keys}\n{CONFIGURATION}\n{HEARTBEAT}"));
    stream.ends().await;
    let registration = json!({"server_id": "late", "name": "Late", "url": upstream.url()});
    assert_eq!(post(&gateway, "/mcp/servers", ADMIN_KEY, &registration).await.status, 200);
}
