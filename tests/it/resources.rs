//! Resources behind `/mcp`: whose they are is known by list or template, or found out by asking.

use crate::harness::gateway::{Gateway, KEY};
use crate::harness::http::{Client, Response};
use crate::harness::messages::{initialize, legacy, legacy_request, modern, request, start_discovered};
use crate::harness::recorder::{Recorded, Recorder, Reply, Speaks, TOOL, event};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const READ: &str = "resources/read";
const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{}},"ttlMs":0,"cacheScope":"public"}"#;
const INITIALIZED: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"resources":{}},"serverInfo":{"name":"r","version":"1"}}"#;

/// A server whose only template is `{id}://{x}`.
async fn holder(speaks: Speaks, id: &str) -> Recorder {
    let recorder = Recorder::start(speaks, &[TOOL]).await;
    recorder.results("server/discover", DISCOVERED);
    recorder.answers_to("initialize", |request| {
        let head = "Content-Type: application/json\r\nMcp-Session-Id: a-session\r\n".to_owned();
        Reply::Status("200 OK", head, request.result(INITIALIZED))
    });
    recorder.results("resources/list", r#"{"resources":[]}"#);
    let templates = format!(r#"{{"resourceTemplates":[{{"name":"t","uriTemplate":"{id}://{{x}}"}}]}}"#);
    recorder.answers_to("resources/templates/list", move |request| Reply::Json(request.result(&templates)));
    recorder
}

async fn before(a: &Recorder, b: &Recorder) -> Gateway {
    let lines = format!("  a: {{url: \"{}\"}}\n  b: {{url: \"{}\"}}", a.url(), b.url());
    start_discovered(&format!("servers:\n{lines}")).await
}

/// Reads a resource, as a legacy client.
async fn legacy_read(client: &mut Client, session: &str, uri: &str) -> Response {
    let body = legacy_request("7", READ, &format!(r#"{{"uri":"{uri}"}}"#));
    client.post("/mcp", &legacy(KEY, Some(session)), body.as_bytes()).await.expect("an answer")
}

async fn read(client: &mut Client, uri: &str) -> Response {
    let body = request("7", READ, &format!(r#""uri":"{uri}","#));
    client.post("/mcp", &modern(KEY, READ, Some(uri)), body.as_bytes()).await.expect("an answer")
}

const NOT_FOUND: &str = r#"{"code":-32602,"message":"not here"}"#;

fn not_found(request: &Recorded) -> Reply {
    Reply::Json(request.error(NOT_FOUND))
}

/// A notification, then the result on two lines.
fn told(request: &Recorded) -> (Vec<u8>, Vec<u8>) {
    let progress = br#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#;
    let result = request.result(r#"{"contents":[]}"#);
    let result = String::from_utf8(result).unwrap().replacen(',', ",\ndata: ", 1);
    (event(progress), event(result.as_bytes()))
}

fn streamed(request: &Recorded) -> Reply {
    let (progress, result) = told(request);
    Reply::Events(vec![(Duration::ZERO, progress), (Duration::from_millis(300), result)])
}

#[tokio::test]
async fn an_answer_passes_as_it_is_whoever_had_to_be_asked() {
    let (a, b) = (holder(Speaks::Modern, "a").await, holder(Speaks::Modern, "b").await);
    let gateway = before(&a, &b).await;
    let mut client = gateway.client().await;

    // One template fits: nobody else is asked, and what the server says is what it is.
    a.answers_to(READ, |request| Reply::Json(request.error(r#"{"code":-32603,"message":"its database is down"}"#)));
    let answer = read(&mut client, "a://1").await;
    assert_eq!(answer.text(), r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"its database is down"}}"#);
    assert_eq!(b.of(READ).len(), 0, "a resource of another server is none of its business");

    // Nobody lists it: the one that has it answers, event by event, whether it is asked first or last.
    for (has_it, other) in [(&a, &b), (&b, &a)] {
        other.answers_to(READ, not_found);
        has_it.answers_to(READ, streamed);
        let answer = read(&mut client, "unlisted://1").await;
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        let (progress, result) = told(has_it.of(READ).last().unwrap());
        assert_eq!(answer.text(), String::from_utf8([progress, result].concat()).unwrap());
    }

    // What comes before an answer decides nothing.
    a.answers_to(READ, |request| {
        let (progress, _) = told(request);
        Reply::Events(vec![(Duration::ZERO, progress), (Duration::ZERO, event(&request.error(NOT_FOUND)))])
    });
    b.results(READ, r#"{"contents":[]}"#);
    assert_eq!(read(&mut client, "unlisted://3").await.json()["result"]["contents"].to_string(), "[]");

    // Input is for the server that asked for it, and who that was is not known.
    let asked = a.of(READ).len() + b.of(READ).len();
    let body = request("7", READ, r#""uri":"unlisted://3","requestState":"s","inputResponses":{},"#);
    let answer = client.post("/mcp", &modern(KEY, READ, Some("unlisted://3")), body.as_bytes()).await.unwrap();
    assert_eq!((answer.error_code(), a.of(READ).len() + b.of(READ).len()), (Some(-32602), asked), "{}", answer.text());

    // Nobody has it: that is the answer.
    a.answers_to(READ, not_found);
    b.answers_to(READ, not_found);
    let answer = read(&mut client, "unlisted://2").await;
    assert_eq!(answer.text(), format!(r#"{{"jsonrpc":"2.0","id":7,"error":{NOT_FOUND}}}"#));
}

#[tokio::test]
async fn who_does_not_answer_hides_no_resource_and_is_not_said_to_lack_it() {
    let (a, b) = (holder(Speaks::Modern, "a").await, holder(Speaks::Modern, "b").await);
    let lines = format!("  a: {{url: \"{}\", timeout: {{call: 5s}}}}\n  b: {{url: \"{}\"}}", a.url(), b.url());
    let gateway = start_discovered(&format!("servers:\n{lines}")).await;
    let mut client = gateway.client().await;
    a.answers_to(READ, |request| Reply::Late(Duration::from_secs(3), request.result(r#"{"contents":["slow"]}"#)));
    b.results(READ, r#"{"contents":[]}"#);
    let began = Instant::now();
    assert_eq!(read(&mut client, "unlisted://1").await.json()["result"]["contents"].to_string(), "[]");
    assert!(began.elapsed() < Duration::from_secs(3), "waited {:?} for another server", began.elapsed());

    // Nobody else has it: it gets the time of any call.
    b.answers_to(READ, not_found);
    let answer = read(&mut client, "unlisted://1").await;
    assert_eq!(answer.json()["result"]["contents"].to_string(), r#"["slow"]"#, "{}", answer.text());

    a.hangs(READ);
    let answer = read(&mut client, "unlisted://2").await;
    assert_eq!((answer.status, answer.json()["error"]["code"].as_i64()), (504, Some(-31002)), "{}", answer.text());
    assert_eq!(answer.json()["error"]["data"]["server"], "a", "{}", answer.text());
}

#[tokio::test]
async fn a_lost_session_is_opened_anew_for_reading_wherever_the_resource_is() {
    let (a, b) = (holder(Speaks::Legacy, "a").await, holder(Speaks::Legacy, "b").await);
    let gateway = before(&a, &b).await;
    b.answers_to(READ, not_found);
    let forgets = Arc::new(AtomicBool::new(false));
    let forgotten = Arc::clone(&forgets);
    a.answers_to(READ, move |request| match forgotten.swap(false, Ordering::Relaxed) {
        true => Reply::Status("404 Not Found", String::new(), Vec::new()),
        false => Reply::Json(request.result(r#"{"contents":[]}"#)),
    });
    let mut client = gateway.client().await;
    let session = initialize(&mut client, "/mcp", KEY).await;
    for uri in ["a://1", "unlisted://1"] {
        for forget in [false, true] {
            forgets.store(forget, Ordering::Relaxed);
            let answer = legacy_read(&mut client, &session, uri).await;
            assert_eq!(answer.json()["result"]["contents"].to_string(), "[]", "{uri}, forgotten: {forget}");
        }
    }
}
