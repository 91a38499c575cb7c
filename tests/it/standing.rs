//! The streams of legacy sessions, with one server behind the endpoint and with several.

use crate::harness::eventually;
use crate::harness::gateway::{ADMIN_KEY, Gateway, KEY, OTHER_KEY};
use crate::harness::http::Response;
use crate::harness::messages::{legacy, legacy_call, legacy_request, start_discovered};
use crate::harness::reader::{Event, Next, Reader, open_session};
use crate::harness::recorder::{Recorded, Recorder, Reply, Speaks, TOOL};
use crate::harness::source::{Kind, Source, servers};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const QUIET: &str = "discovery: {interval: 1h, start_wait: 10s}";

/// Two servers, and a session in which both were called.
struct Stage {
    gateway: Gateway,
    sources: Vec<Source>,
    session: String,
}

impl Stage {
    async fn set(kinds: [Kind; 2], more: &str) -> Stage {
        let sources = vec![Source::start("a", kinds[0], 0).await, Source::start("b", kinds[1], 0).await];
        let gateway = start_discovered(&format!("{QUIET}\n{more}\n{}", servers(&sources))).await;
        let session = open_session(gateway.port, "/mcp", KEY).await.unwrap();
        let stage = Stage { gateway, sources, session };
        stage.say().await;
        stage
    }

    /// Calls both servers.
    async fn say(&self) {
        for tool in ["a__say", "b__say"] {
            let mut client = self.gateway.client().await;
            let answer = legacy_call(&mut client, "/mcp", KEY, &self.session, tool, "{}").await.unwrap();
            assert_eq!(answer.status, 200, "{tool}: {}", answer.text());
        }
    }

    async fn attach(&self, last: Option<&str>) -> Result<Reader, Response> {
        Reader::attach(self.gateway.port, "/mcp", KEY, &self.session, last).await
    }

    async fn send(&self, key: &str, message: &str) -> Response {
        let lines = legacy(key, Some(&self.session));
        self.gateway.client().await.post("/mcp", &lines, message.as_bytes()).await.unwrap()
    }

    async fn call(&self, id: &str, tool: &str, arguments: &Value) -> Reader {
        let params = json!({"name": tool, "arguments": arguments}).to_string();
        let body = legacy_request(id, "tools/call", &params);
        Reader::ask(self.gateway.port, "POST", "/mcp", &legacy(KEY, Some(&self.session)), &body).await.unwrap()
    }

    fn emit(&self) {
        self.sources.iter().for_each(Source::emit);
    }
}

/// Which event of which server it is.
fn number(event: &Event) -> (String, u64) {
    let data = &event.data["params"]["data"];
    (data["source"].as_str().expect("a source").to_owned(), data["n"].as_u64().expect("a number"))
}

async fn numbers(reader: &mut Reader, count: usize) -> (Vec<(String, u64)>, String) {
    let (mut seen, mut last) = (Vec::new(), String::new());
    for _ in 0..count {
        let event = reader.message().await;
        seen.push(number(&event));
        last = event.id.expect("an id");
    }
    seen.sort();
    (seen, last)
}

fn both(numbers: &[u64]) -> Vec<(String, u64)> {
    ["a", "b"].iter().flat_map(|source| numbers.iter().map(|n| ((*source).to_owned(), *n))).collect()
}

/// Both ask by the same id at the same time; each gets what is meant for it, by the id that it gave.
#[tokio::test]
async fn questions_and_answers_find_their_way() {
    let stage = Stage::set([Kind::Resumable; 2], "").await;
    for id in [json!(0), json!("x\"y"), json!("a__0")] {
        let mut calls =
            [stage.call("1", "a__ask", &json!({"id": id})).await, stage.call("2", "b__ask", &json!({"id": id})).await];
        let [one, two] = &mut calls;
        let (asked_by_a, asked_by_b) = (one.message().await, two.message().await);
        for (name, asked) in [("a", &asked_by_a), ("b", &asked_by_b)] {
            assert_eq!(asked.data["id"], json!(format!("{name}__{id}")), "{asked:?}");
            assert_eq!(asked.data["params"]["_meta"]["progressToken"], asked.data["id"], "{asked:?}");
            assert!(asked.id.as_ref().is_some_and(|id| id.len() > 54), "sealed: {asked:?}");
        }
        let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": asked_by_b.data["id"], "progress": 1}});
        assert_eq!(stage.send(KEY, &progress.to_string()).await.status, 202);
        for asked in [&asked_by_b, &asked_by_a] {
            let content = json!({"said to": asked.data["params"]["message"]});
            let answer =
                json!({"jsonrpc": "2.0", "id": asked.data["id"], "result": {"action": "accept", "content": content}});
            assert_eq!(stage.send(KEY, &answer.to_string()).await.status, 202);
        }
        for (reader, name) in calls.iter_mut().zip(["a", "b"]) {
            let result = reader.message().await;
            assert_eq!(result.data["result"]["structuredContent"], json!({"said to": name}), "{result:?}");
            assert_eq!(reader.end().await, Next::End);
        }
        let heard =
            |source: &Source| source.answers().iter().filter(|said| said["params"]["progressToken"] == id).count();
        eventually("the server hears of the progress", 5, || async { (heard(&stage.sources[1]) == 1).then_some(()) })
            .await;
        assert_eq!(heard(&stage.sources[0]), 0, "what is meant for one server is not for the other");
    }
}

#[tokio::test]
async fn made_up_answers_reach_nobody() {
    let stage = Stage::set([Kind::Resumable; 2], "").await;
    for id in [
        json!(0),
        json!("0"),
        json!("a__"),
        json!("c__0"),
        json!("a__0,\"method\":\"x\""),
        json!("A__0"),
        json!("a__{}"),
        json!("a__1.5"),
    ] {
        let answer = json!({"jsonrpc": "2.0", "id": id, "result": {}}).to_string();
        let status = stage.send(KEY, &answer).await.status;
        // A server that is not there has no session; for the rest there is nobody who asked.
        assert_eq!(status, if id == "c__0" { 404 } else { 202 }, "{id}");
        assert_eq!(stage.send(OTHER_KEY, &answer).await.status, 404, "{id}");
    }
    assert_eq!((stage.sources[0].answers(), stage.sources[1].answers()), (vec![], vec![]));
    stage.sources[0].forget_sessions();
    let late = r#"{"jsonrpc":"2.0","id":"a__0","result":{}}"#;
    assert_eq!(stage.send(KEY, late).await.status, 404, "an answer that did not arrive is not acknowledged");
}

/// The client's connection breaks, and each server goes on where the client stood.
#[tokio::test]
async fn a_stream_of_several_servers_is_resumed_at_each() {
    let stage = Stage::set([Kind::Resumable; 2], "").await;
    let mut reader = stage.attach(None).await.unwrap();
    stage.emit();
    let (seen, last) = numbers(&mut reader, 2).await;
    assert_eq!(seen, both(&[1]));
    drop(reader);
    stage.emit();
    stage.emit();
    let mut reader = stage.attach(Some(&last)).await.unwrap();
    assert_eq!(numbers(&mut reader, 4).await.0, both(&[2, 3]));
}

/// The servers' connections break, which the client does not notice.
#[tokio::test]
async fn a_servers_stream_is_resumed_unseen() {
    let stage = Stage::set([Kind::Resumable; 2], "").await;
    let mut reader = stage.attach(None).await.unwrap();
    stage.emit();
    assert_eq!(numbers(&mut reader, 2).await.0, both(&[1]));
    stage.sources[0].cut();
    stage.sources[1].restart(Duration::from_millis(300)).await;
    stage.emit();
    stage.emit();
    assert_eq!(numbers(&mut reader, 4).await.0, both(&[2, 3]));
}

/// Nothing is missing unsaid: the stream ends, and whoever would resume it is told to begin anew.
#[tokio::test]
async fn what_cannot_be_resumed_ends() {
    let stage = Stage::set([Kind::Resumable; 2], "").await;
    let mut reader = stage.attach(None).await.unwrap();
    stage.emit();
    let (_, last) = numbers(&mut reader, 2).await;
    stage.sources[1].forget_sessions();
    assert_eq!(reader.end().await, Next::End);
    assert_eq!(stage.attach(Some(&last)).await.err().map(|answer| answer.status), Some(404));

    let stage = Stage::set([Kind::Resumable, Kind::Forgetful], "").await;
    let mut reader = stage.attach(None).await.unwrap();
    stage.emit();
    reader.message().await;
    reader.message().await;
    stage.sources[1].cut();
    let mut comments = Vec::new();
    let ended = loop {
        match reader.next().await {
            Next::Event(event) => comments.extend(event.comment),
            ended => break ended,
        }
    };
    assert_eq!(ended, Next::End);
    assert!(comments.iter().any(|said| said.contains("the stream of b ended")), "{comments:?}");
}

#[tokio::test]
async fn a_session_has_one_stream_and_its_end_is_the_streams() {
    let stage = Stage::set([Kind::Resumable; 2], "").await;
    let mut first = stage.attach(None).await.unwrap();
    assert_eq!(stage.attach(None).await.err().map(|answer| answer.status), Some(409));
    stage.emit();
    let (_, last) = numbers(&mut first, 2).await;
    let mut second = stage.attach(Some(&last)).await.expect("whoever resumes has lost the first one");
    assert_eq!(first.end().await, Next::End);
    // What a client holds of it it can neither make up nor change, nor lend to another session.
    let other = open_session(stage.gateway.port, "/mcp", KEY).await.unwrap();
    let lent = Reader::attach(stage.gateway.port, "/mcp", KEY, &other, Some(&last)).await;
    assert_eq!(lent.err().map(|answer| answer.status), Some(400));
    let changed = if last.ends_with('A') {
        format!("{}B", &last[..last.len() - 1])
    } else {
        format!("{}A", &last[..last.len() - 1])
    };
    for (last, status) in
        [("7", 400), ("get.", 400), ("call.a.00000000.MQ", 400), (changed.as_str(), 400), (last.as_str(), 200)]
    {
        let got = stage.attach(Some(last)).await;
        assert_eq!(got.as_ref().map_or_else(|answer| answer.status, |_| 200), status, "{last}");
        second = got.unwrap_or(second);
    }
    let foreign = Reader::attach(stage.gateway.port, "/mcp", OTHER_KEY, &stage.session, None).await;
    assert_eq!(foreign.err().map(|answer| answer.status), Some(404));
    let opened: Vec<usize> = stage.sources.iter().map(Source::sessions).collect();
    let gone =
        stage.gateway.client().await.request("DELETE", "/mcp", &legacy(KEY, Some(&stage.session))).await.unwrap();
    assert_eq!(gone.status, 200);
    assert_eq!(second.end().await, Next::End);
    assert_eq!(stage.attach(None).await.err().map(|answer| answer.status), Some(404));
    for (source, opened) in stage.sources.iter().zip(opened) {
        eventually("its session is ended", 5, || async { (source.sessions() == opened - 1).then_some(()) }).await;
    }
}

/// With one server behind the endpoint ids and waits are the server's own, and so is the end.
#[tokio::test]
async fn the_stream_of_one_server_is_its_own() {
    let stage = Stage::set([Kind::Resumable; 2], "").await;
    let session = open_session(stage.gateway.port, "/mcp/a", KEY).await.unwrap();
    let attach = |last| Reader::attach(stage.gateway.port, "/a/mcp", KEY, &session, last);
    let mut reader = attach(None).await.unwrap();
    stage.emit();
    let event = reader.message().await;
    assert_eq!((event.id.as_deref(), event.retry.as_deref()), (Some("1"), Some("50")));
    stage.sources[0].cut();
    assert!(matches!(reader.end().await, Next::End | Next::Cut));
    stage.emit();
    let mut reader = attach(Some("1")).await.unwrap();
    assert_eq!(number(&reader.message().await), ("a".to_owned(), 2));
}

/// Quiet streams show that they live; whoever is refused by now hears nothing more.
#[tokio::test]
async fn quiet_streams_beat_and_end_with_their_key() {
    let stage = Stage::set([Kind::Resumable; 2], "limits: {heartbeat: 200ms}").await;
    let session = open_session(stage.gateway.port, "/mcp/b", KEY).await.unwrap();
    let one = Reader::attach(stage.gateway.port, "/mcp/b", KEY, &session, None).await.unwrap();
    let call = stage.call("1", "a__ask", &json!({"id": 0})).await;
    let mut readers = [stage.attach(None).await.unwrap(), one, call];
    for reader in &mut readers {
        let mut beats = 0;
        while beats < 2 {
            match reader.next().await {
                Next::Event(event) => beats += usize::from(event.comment.as_deref() == Some("heartbeat")),
                ended => panic!("{ended:?}"),
            }
        }
    }
    let keys = format!("keys:\n  - {{id: ops, key: {ADMIN_KEY}, role: admin}}");
    stage.gateway.reconfigure(&format!("{keys}\n{QUIET}\nlimits: {{heartbeat: 200ms}}\n{}", servers(&stage.sources)));
    for reader in readers.iter_mut().take(2) {
        assert_eq!(reader.end().await, Next::End);
    }
}

/// People take longer to answer than servers.
#[tokio::test]
async fn a_question_may_be_thought_about() {
    let source = Source::start("a", Kind::Resumable, 0).await;
    let server = format!("servers:\n  a: {{url: \"{}\", era: legacy, timeout: {{call: 500ms}}}}", source.url());
    let gateway = start_discovered(&format!("{QUIET}\nlimits: {{heartbeat: 300ms}}\n{server}")).await;
    let session = open_session(gateway.port, "/mcp", KEY).await.unwrap();
    let stage = Stage { gateway, sources: vec![source], session };
    let mut call = stage.call("1", "a__ask", &json!({"id": 5})).await;
    let asked = call.message().await.data;
    // Longer than the server has for a call.
    for _ in 0..4 {
        assert!(matches!(call.next().await, Next::Event(Event { comment: Some(_), .. })));
    }
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"n": 1}}});
    assert_eq!(stage.send(KEY, &answer.to_string()).await.status, 202);
    assert_eq!(call.message().await.data["result"]["structuredContent"], json!({"n": 1}));
}

/// However many first calls come at once, the server is listened to.
#[tokio::test]
async fn a_crowd_of_first_calls_is_heard() {
    for _ in 0..10 {
        let source = Source::start("a", Kind::Forgetful, 0).await;
        let gateway = start_discovered(&format!("{QUIET}\n{}", servers(std::slice::from_ref(&source)))).await;
        let session = open_session(gateway.port, "/mcp", KEY).await.unwrap();
        let stage = Stage { gateway, sources: vec![source], session };
        let mut reader = stage.attach(None).await.unwrap();
        let mut all = JoinSet::new();
        for _ in 0..5 {
            let (mut client, session) = (stage.gateway.client().await, stage.session.clone());
            all.spawn(
                async move { legacy_call(&mut client, "/mcp", KEY, &session, "a__say", "{}").await.unwrap().status },
            );
        }
        assert_eq!(all.join_all().await, [200; 5]);
        stage.emit();
        let event = tokio::time::timeout(Duration::from_secs(3), reader.message()).await.expect("the server is heard");
        assert_eq!(number(&event), ("a".to_owned(), 1));
    }
}

/// A key that opens less by now hears less.
#[tokio::test]
async fn a_narrowed_key_hears_less() {
    let stage = Stage::set([Kind::Resumable; 2], "").await;
    let session = open_session(stage.gateway.port, "/mcp/a", KEY).await.unwrap();
    let mut one = Reader::attach(stage.gateway.port, "/mcp/a", KEY, &session, None).await.unwrap();
    let mut reader = stage.attach(None).await.unwrap();
    stage.emit();
    numbers(&mut reader, 2).await;
    let keys =
        format!("keys:\n  - {{id: app, key: {KEY}, servers: [b]}}\n  - {{id: ops, key: {ADMIN_KEY}, role: admin}}");
    stage.gateway.reconfigure(&format!("{keys}\n{QUIET}\n{}", servers(&stage.sources)));
    // Busy all the time, which must not keep it from noticing.
    let noticed = async { while one.next().await != Next::End {} };
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    let busy = async {
        loop {
            pace.tick().await;
            stage.sources[0].emit();
        }
    };
    let noticed = tokio::time::timeout(Duration::from_secs(10), noticed);
    tokio::select! {
        noticed = noticed => noticed.expect("the stream of a server that the key has lost ends"),
        () = busy => {}
    }
    stage.sources[1].emit();
    loop {
        let event = reader.message().await;
        // What was on its way before does not count; that a list has changed has no number.
        if event.data["params"]["data"]["source"] == "b" {
            break;
        }
    }
    stage.emit();
    assert_eq!(number(&reader.message().await), ("b".to_owned(), 3), "of the other server nothing comes any more");
}

/// What a server says of a message is not what it would say of a session.
#[tokio::test]
async fn a_refused_message_costs_no_session() {
    let server = Recorder::start(Speaks::Legacy, &[TOOL]).await;
    let gateway = start_discovered(&format!("{QUIET}\nservers:\n  s: {{url: \"{}\"}}", server.url())).await;
    let session = open_session(gateway.port, "/mcp", KEY).await.unwrap();
    let refusal = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}"#;
    let json = "Content-Type: application/json\r\n";
    let mut client = gateway.client().await;
    let mut said = Vec::new();
    for refuses in [false, true, false] {
        server.answers(move |request| match refuses {
            true => Reply::Status("400 Bad Request", json.to_owned(), refusal.into()),
            false => Reply::Json(request.result(r#"{"content":[]}"#)),
        });
        said.push(legacy_call(&mut client, "/mcp", KEY, &session, "s__say", "{}").await.unwrap().status);
    }
    assert_eq!(said, [200, 400, 200]);
    // The same to an answer, and to who wants a stream where there is none.
    server.answers_to("", move |request| match request.verb() {
        "GET" => Reply::Status("404 Not Found", "Content-Type: text/html\r\n".to_owned(), b"<p>no".to_vec()),
        "DELETE" => Reply::Status("200 OK", String::new(), Vec::new()),
        _ => Reply::Status("400 Bad Request", json.to_owned(), refusal.into()),
    });
    let answer = client
        .post("/mcp", &legacy(KEY, Some(&session)), br#"{"jsonrpc":"2.0","id":"s__0","result":7}"#)
        .await
        .unwrap();
    assert_eq!(answer.status, 400, "{}", answer.text());
    drop(Reader::attach(gateway.port, "/mcp", KEY, &session, None).await.unwrap());
    legacy_call(&mut client, "/mcp", KEY, &session, "s__say", "{}").await.unwrap();
    let sessions: BTreeSet<_> =
        server.calls().iter().map(|call| call.header("mcp-session-id").map(str::to_owned)).collect();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
}

/// Some servers begin a stream with its first event: whoever opens one waits for them once, and no more.
#[tokio::test]
async fn a_server_that_begins_late_holds_nobody_up() {
    let server = Recorder::start(Speaks::Legacy, &[TOOL]).await;
    server.hangs("");
    let gateway = start_discovered(&format!("{QUIET}\nservers:\n  s: {{url: \"{}\"}}", server.url())).await;
    let mut took = Vec::new();
    for _ in 0..3 {
        let session = open_session(gateway.port, "/mcp", KEY).await.unwrap();
        let mut client = gateway.client().await;
        assert_eq!(legacy_call(&mut client, "/mcp", KEY, &session, "s__say", "{}").await.unwrap().status, 200);
        let began = Instant::now();
        drop(Reader::attach(gateway.port, "/mcp", KEY, &session, None).await.unwrap());
        took.push(began.elapsed());
    }
    assert!(took.iter().skip(1).all(|took| *took < Duration::from_millis(500)), "{took:?}");
}

/// Whoever asks for its stream and then calls hears there what the server says to the call, although the
/// gateway must open the session with the server before either.
#[tokio::test]
async fn a_call_follows_the_stream_that_was_asked_for_before() {
    let server = Recorder::start(Speaks::Legacy, &[TOOL]).await;
    server.answers_to("", |request| match request.verb() {
        "GET" => Reply::Events(vec![(Duration::from_secs(5), b": late\n\n".to_vec())]),
        _ => Reply::Status("202 Accepted", String::new(), Vec::new()),
    });
    let gateway = start_discovered(&format!("{QUIET}\nservers:\n  s: {{url: \"{}\"}}", server.url())).await;
    let count = |method: &str| server.requests().iter().filter(|request| request.method() == method).count();
    for _ in 0..20 {
        let session = open_session(gateway.port, "/mcp/s", KEY).await.unwrap();
        let (mut streaming, mut calling) = (gateway.client().await, gateway.client().await);
        let lines = legacy(KEY, Some(&session)).join("\r\n").replace("application/json, ", "");
        let opened = count("initialize");
        let request = format!("GET /mcp/s HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n\r\n");
        streaming.send(request.as_bytes()).await.unwrap();
        while count("initialize") == opened {
            tokio::task::yield_now().await;
        }
        assert_eq!(legacy_call(&mut calling, "/mcp/s", KEY, &session, "say", "{}").await.unwrap().status, 200);
        let requests = server.requests();
        let last = |wanted: fn(&Recorded) -> bool| requests.iter().rposition(wanted);
        let [stream, call] =
            [last(|request| request.verb() == "GET"), last(|request| request.method() == "tools/call")];
        assert!(stream < call, "the call came first");
    }
}
