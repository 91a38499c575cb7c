//! What operators see of the traffic: bounded labels, and nothing that must stay secret.

use crate::harness::eventually;
use crate::harness::gateway::{KEY, OTHER_KEY};
use crate::harness::http::Client;
use crate::harness::messages::{initialize, legacy_call, list, modern, request, start_discovered};
use crate::harness::peer::{Peer, Sdk};

/// Anything with this in it must not come out where operators look.
const CANARY: &str = "canary-7c1f";

#[tokio::test]
async fn metrics_and_logs_tell_of_calls_and_keep_secrets() {
    let (peer, legacy_peer) = (Peer::start(Sdk::TypeScriptV2), Peer::start(Sdk::TypeScriptV1));
    let key = format!("{CANARY}-of-the-key");
    let gateway = start_discovered(&format!(
        "keys: [{{id: app, key: {key}}}, {{id: other, key: {KEY}}}]\n\
         servers:\n  new: {{url: \"{}\", auth: {{type: bearer, token: {CANARY}-of-the-server}}}}\n  old: {{url: \"{}\"}}",
        peer.url(),
        legacy_peer.url(),
    ))
    .await;
    let mut client = gateway.client().await;
    list(&mut client, "/mcp", &key, "prompts/list").await;
    let secret = format!(r#"{{"text":"{CANARY}-of-the-arguments"}}"#);
    for _ in 0..3 {
        let answer = ask(&mut client, &key, "tools/call", "new__echo", &secret).await;
        assert!(answer.contains("structuredContent"), "{answer}");
    }
    for name in ["new__made-up", "made-up", "made-up-too"] {
        let answer = ask(&mut client, &key, "tools/call", name, &secret).await;
        assert!(answer.contains("-32602"), "{answer}");
    }
    let answer = ask(&mut client, &key, "prompts/get", "new__greet", &format!(r#"{{"name":"{CANARY}"}}"#)).await;
    assert!(answer.contains("Hello"), "{answer}");
    ask(&mut client, &key, "made-up/method", "x", &secret).await;
    let session = initialize(&mut client, "/mcp", &key).await;
    let answer = legacy_call(&mut client, "/mcp", &key, &session, "old__echo", &secret).await.unwrap();
    assert!(answer.text().contains("structuredContent"), "{}", answer.text());
    assert_eq!(client.get(&format!("/mcp?key={CANARY}")).await.unwrap().status, 401, "a key in the query");
    let unknown = modern(OTHER_KEY, "tools/list", None);
    let refused = client.post("/mcp", &unknown, request("1", "tools/list", "").as_bytes()).await.unwrap();
    assert_eq!(refused.status, 401, "a key that this gateway does not know");
    // A server that is gone, so that failures are told of as well.
    drop(peer);
    let mut client = gateway.client().await;
    let failed = ask(&mut client, &key, "tools/call", "new__echo", &secret).await;
    assert!(failed.contains("-31001"), "{failed}");

    let tells = |outcome: &str| format!("outcome=\"{outcome}\"");
    let metrics = eventually("the last call is counted", 5, || async {
        Some(gateway.metrics().await).filter(|metrics| metrics.contains(&tells("upstream_unavailable")))
    })
    .await;
    for (method, outcome, server, tool, count) in [
        ("tools/call", "ok", "new", "echo", 3),
        ("tools/call", "ok", "old", "echo", 1),
        ("tools/call", "upstream_unavailable", "new", "echo", 1),
        // Only the server knows that it has no such tool; its answer is handed on.
        ("tools/call", "ok", "new", "other", 1),
        ("prompts/get", "ok", "new", "greet", 1),
        ("prompts/list", "ok", "", "", 1),
    ] {
        let labels = format!(r#"method="{method}",{},server="{server}",surface="mcp",tool="{tool}""#, tells(outcome));
        let line = format!("tollbridge_requests_total{{{labels}}} {count}");
        assert!(metrics.lines().any(|found| found == line), "{line} in\n{metrics}");
    }
    for (reason, count) in [("unauthenticated", 2), ("unknown_tool", 2)] {
        let line = format!("tollbridge_rejections_total{{reason=\"{reason}\"}} {count}");
        assert!(metrics.lines().any(|found| found == line), "{line} in\n{metrics}");
    }
    for line in metrics.lines() {
        let name = line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
        assert!(name.starts_with("tollbridge_"), "{line}");
        assert!(!line.contains("made-up"), "what a client makes up is no label: {line}");
    }

    let log = eventually("the access log is written", 5, || async {
        Some(gateway.access_log()).filter(|log| log.contains("upstream_unavailable"))
    })
    .await;
    let line = log.lines().find(|line| line.contains(r#""tool":"echo""#)).expect("the line of a call");
    let line: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
    for (field, value) in [
        ("principal", "app"),
        ("method", "tools/call"),
        ("server", "new"),
        ("tool", "echo"),
        ("outcome", "ok"),
        ("era", "modern"),
    ] {
        assert_eq!(line[field], value, "{field} in {line}");
    }
    for (place, text) in [("the metrics", &metrics), ("the access log", &log), ("the log", &gateway.log())] {
        for secret in [CANARY, KEY, OTHER_KEY, &session] {
            let shown = text.lines().find(|line| line.contains(secret));
            assert_eq!(shown, None, "{secret} in {place}");
        }
    }
}

async fn ask(client: &mut Client, key: &str, method: &str, name: &str, arguments: &str) -> String {
    let body = request("1", method, &format!(r#""name":"{name}","arguments":{arguments},"#));
    let headers = modern(key, method, Some(name));
    client.post("/mcp", &headers, body.as_bytes()).await.expect("an answer").text()
}
