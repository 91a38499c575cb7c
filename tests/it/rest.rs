//! What is the same on all REST surfaces: request ids, verbs, outcomes, and that what is told can be done.

use crate::harness::gateway::{ADMIN_KEY, Gateway, KEY};
use crate::harness::messages::start_discovered;
use crate::harness::recorder::{Recorder, Reply, Speaks, TOOL, event};
use crate::harness::rest::{bearer, post};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

#[tokio::test]
async fn a_fit_request_id_is_taken_and_every_answer_has_one() {
    let fleet = Fleet::start().await;
    let long = "a".repeat(129);
    for path in ["/mcp/servers", "/llmrouter/mcp/servers/nobody", "/v1/mcp/server", "/mcp/a/tools", "/nowhere", "/mcp"]
    {
        for (sent, is_fit) in [("abc-1._X", true), (&long[..128], true), (&long, false), ("a b", false), ("", false)] {
            let headers = [bearer(KEY), format!("X-Request-ID: {sent}")];
            let answer = fleet.gateway.client().await.request("GET", path, &headers).await.unwrap();
            let echoed = answer.header("x-request-id").expect("an id").to_owned();
            assert_eq!((echoed == sent, echoed.is_empty()), (is_fit, false), "{path} {sent:?}: {echoed}");
            let body = answer.json();
            let told = body.pointer("/detail/request_id").or(body.pointer("/error/data/requestId"));
            assert!(told.is_none_or(|told| *told == echoed), "the body says another: {body}");
        }
    }
}

#[tokio::test]
async fn allow_names_each_verb_once() {
    let fleet = Fleet::start().await;
    for (path, verbs) in [
        ("/mcp/servers", "GET, HEAD, POST"),
        ("/mcp/tools", "GET, HEAD"),
        ("/mcp/tools/call", "POST"),
        ("/v1/mcp/server", "GET, HEAD, POST, PUT"),
        ("/mcp/a/tools/say", "POST"),
    ] {
        let answer = fleet.gateway.client().await.request("PATCH", path, &[bearer(ADMIN_KEY)]).await.unwrap();
        let allow: Vec<&str> = answer.header("allow").unwrap_or_default().split(", ").collect();
        let unique: BTreeSet<&str> = allow.iter().copied().collect();
        assert_eq!(answer.status, 405, "{path}");
        assert_eq!((unique.len(), unique), (allow.len(), verbs.split(", ").collect()), "{path}");
    }
}

/// For callers who do not read bodies, also where a surface says 200 to everything.
#[tokio::test]
async fn the_outcome_stands_in_the_head() {
    let fleet = Fleet::start().await;
    let say = |name: &str| json!({"server_id": "a", "tool_name": name, "arguments": {}});
    let rpc = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "a__say", "arguments": {}}});
    let litellm = json!({"server_id": "a", "name": "say", "arguments": {}});
    for (fails, outcome) in [(false, "success"), (true, "error")] {
        fleet.a.answers(move |call| {
            let result = json!({"content": [{"type": "text", "text": "so"}], "isError": fails});
            Reply::Json(call.result(&result.to_string()))
        });
        for (path, body) in [
            ("/mcp/tools/call", &say("say")),
            ("/llmrouter/mcp/tools/call", &say("say")),
            ("/mcp-rest/tools/call", &litellm),
            ("/mcp/execute", &json!({"tool_name": "a__say"})),
            ("/mcp/a/tools/say", &json!({})),
            ("/mcp/tools/call", &rpc),
        ] {
            let answer = post(&fleet.gateway, path, KEY, body).await;
            assert_eq!(answer.header("x-mcp-outcome"), Some(outcome), "{path} {body}: {}", answer.text());
        }
    }
    for (path, body) in [("/mcp/execute", json!({"tool_name": "nothing"})), ("/mcp/tools/call", say("nothing"))] {
        let answer = post(&fleet.gateway, path, KEY, &body).await;
        assert_eq!(answer.header("x-mcp-outcome"), Some("error"), "{path}: {}", answer.text());
    }
}

/// The way of oliverye's clients, with two servers that have a tool of the same name.
#[tokio::test]
async fn what_is_found_and_listed_can_be_executed() {
    let fleet = Fleet::start().await;
    let found = post(&fleet.gateway, "/mcp/search", KEY, &json!({"query": "say"})).await.json();
    let headers = [bearer(KEY), "X-MCP-Compat: oliverye".to_owned()];
    let listed = fleet.gateway.client().await.request("GET", "/mcp/tools", &headers).await.unwrap().json();
    let name = |tool: &Value, key: &str| tool[key].as_str().unwrap().to_owned();
    let found: Vec<String> = found["result"].as_array().unwrap().iter().map(|tool| name(tool, "tool_name")).collect();
    let listed: Vec<String> = listed["tools"].as_array().unwrap().iter().map(|tool| name(tool, "name")).collect();
    assert_eq!((found.len(), listed.len()), (2, 2));
    for tool in found.iter().chain(&listed) {
        let done = post(&fleet.gateway, "/mcp/execute", KEY, &json!({"tool_name": tool, "args": {}})).await.json();
        assert_eq!(done["status"], "completed", "{tool}: {done}");
    }
}

/// Who guards paths in front of the gateway relies on what they name.
#[tokio::test]
async fn a_body_does_not_lead_away_from_the_server_of_its_path() {
    let fleet = Fleet::start().await;
    let rpc = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "b__say", "arguments": {}}});
    let answer = post(&fleet.gateway, "/mcp/a/tools/say", KEY, &rpc).await;
    assert_eq!(fleet.b.calls().len(), 0, "it was led to another server: {}", answer.text());
}

/// Clients that list both media everywhere would wait for the end of an answer that has none.
#[tokio::test]
async fn only_lists_that_are_promised_as_streams_stream() {
    let fleet = Fleet::start().await;
    let headers = [bearer(KEY), "Accept: application/json, text/event-stream".to_owned()];
    for path in ["/mcp/openapi.json", "/v1/mcp/server", "/health", "/v0.1/servers", "/llmrouter/mcp/servers"] {
        let mut client = fleet.gateway.client().await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{}\r\n\r\n", headers.join("\r\n"));
        client.send(request.as_bytes()).await.unwrap();
        let head = client.head().await.unwrap();
        assert_eq!(head.header("content-type"), Some("application/json"), "{path}");
    }
    let none = [bearer(KEY), "Accept: application/json, text/event-stream;q=0".to_owned()];
    let mut client = fleet.gateway.client().await;
    client
        .send(format!("GET /mcp/servers HTTP/1.1\r\nHost: 127.0.0.1\r\n{}\r\n\r\n", none.join("\r\n")).as_bytes())
        .await
        .unwrap();
    assert_eq!(client.head().await.unwrap().header("content-type"), Some("application/json"), "q=0 means never");
}

#[tokio::test]
async fn fifty_callers_at_once_get_their_own_answers() {
    let fleet = Fleet::start().await;
    fleet.a.answers(|call| {
        let said = call.member("/params/arguments/nonce").expect("a nonce");
        Reply::Json(call.result(&json!({"content": [], "structuredContent": {"nonce": said}}).to_string()))
    });
    let fleet = Arc::new(fleet);
    let mut callers = JoinSet::new();
    for caller in 0..50 {
        let fleet = Arc::clone(&fleet);
        callers.spawn(async move {
            for round in 0..10 {
                let body = json!({"nonce": format!("{caller}-{round}")});
                let answer = post(&fleet.gateway, "/mcp/a/tools/say", KEY, &body).await;
                assert_eq!((answer.status, answer.json()), (200, body));
            }
        });
    }
    callers.join_all().await;
    assert_eq!(fleet.a.calls().len(), 500, "each call arrived once");
}

/// Two servers with the same tool.
struct Fleet {
    a: Recorder,
    b: Recorder,
    gateway: Gateway,
}

impl Fleet {
    async fn start() -> Fleet {
        let (a, b) = (Recorder::start(Speaks::Modern, &[TOOL]).await, Recorder::start(Speaks::Modern, &[TOOL]).await);
        let servers = format!("servers:\n  a: {{url: \"{}\"}}\n  b: {{url: \"{}\"}}", a.url(), b.url());
        Fleet { a, b, gateway: start_discovered(&servers).await }
    }
}

/// A refusal proves that nothing was done only where the session is really gone.
#[tokio::test]
async fn a_call_that_was_carried_out_is_not_sent_again() {
    let recorder = Recorder::start(Speaks::Legacy, &[TOOL]).await;
    let gateway = start_discovered(&format!("servers:\n  rec: {{url: \"{}\"}}", recorder.url())).await;
    recorder.answers(|_| Reply::Status("404 Not Found", String::new(), Vec::new()));
    let answer = post(&gateway, "/mcp/rec/tools/say", KEY, &json!({})).await;
    assert_eq!((answer.status, recorder.take_calls().len()), (502, 1), "{}", answer.text());
    assert_eq!(answer.json()["source"], "upstream");
}

/// A server may close the stream of a call and answer on another one (SEP-1699), of which REST knows nothing.
#[tokio::test]
async fn the_rest_of_an_answer_is_asked_for() {
    let server = Recorder::start(Speaks::Legacy, &[TOOL]).await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let call = Arc::clone(&asked);
    server.answers(move |request| {
        call.lock().unwrap().push(request.clone());
        Reply::Events(vec![(Duration::ZERO, b"id: 1\nretry: 50\ndata: \n\n".to_vec())])
    });
    // What has no body has no method of JSON-RPC.
    server.answers_to("", move |request| {
        if request.verb() == "DELETE" {
            return Reply::Status("200 OK", String::new(), Vec::new());
        }
        let answer = asked.lock().unwrap()[0].result(r#"{"content":[],"structuredContent":{"n":1}}"#);
        match request.header("last-event-id") {
            Some("1") => Reply::Events(vec![(Duration::ZERO, b"id: 2\nretry: 50\ndata: \n\n".to_vec())]),
            Some("2") => Reply::Events(vec![(Duration::ZERO, event(&answer))]),
            _ => Reply::Status("405 Method Not Allowed", String::new(), Vec::new()),
        }
    });
    let gateway = start_discovered(&format!("servers:\n  s: {{url: \"{}\"}}", server.url())).await;
    let answer = post(&gateway, "/mcp/s/tools/say", KEY, &json!({})).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"n": 1})), "{}", answer.text());
    assert_eq!(server.calls().len(), 1, "the call was sent once");
}
