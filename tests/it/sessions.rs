//! Legacy sessions: each client's own, at every server behind it, until it ends.

use crate::harness::gateway::{ADMIN_KEY, Gateway, KEY, OTHER_KEY};
use crate::harness::http::{Client, Response};
use crate::harness::messages::{initialize, legacy, legacy_call, legacy_request, start_discovered};
use crate::harness::peer::{Peer, Sdk};
use crate::harness::recorder::{Recorded, Recorder, Reply, Speaks, TOOL};
use crate::harness::{eventually, scaled};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The gateway asks nothing on its own account while sessions are counted.
const QUIET: &str = "discovery: {interval: 1h}";

async fn before(servers: &[(&str, String)]) -> Gateway {
    let lines: String =
        servers.iter().map(|(id, url)| format!("  {id}: {{url: \"{url}\", health: {{interval: 1h}}}}\n")).collect();
    start_discovered(&format!("{QUIET}\nservers:\n{lines}")).await
}

async fn echo(client: &mut Client, path: &str, session: &str, tool: &str, text: &str) -> (u16, String) {
    let arguments = format!(r#"{{"text":"{text}"}}"#);
    said(&legacy_call(client, path, KEY, session, tool, &arguments).await.expect("an answer"))
}

/// The status, and what was echoed.
fn said(answer: &Response) -> (u16, String) {
    let said = (answer.status == 200).then(|| answer.json()["result"]["structuredContent"]["text"].to_string());
    (answer.status, said.unwrap_or_else(|| answer.text()))
}

/// Every client sends the same ids.
#[tokio::test]
async fn clients_get_their_own_answers_from_their_own_sessions() {
    let (clients, calls) = (scaled(100, 1000), scaled(50, 100));
    let peer = Peer::start(Sdk::TypeScriptV1);
    let gateway = before(&[("ts", peer.url())]).await;
    let opened_before = peer.stats().await["sessions_opened"].as_u64().expect("a count");
    let mut all = JoinSet::new();
    for number in 0..clients {
        let mut client = gateway.client().await;
        all.spawn(async move {
            let session = initialize(&mut client, "/mcp", KEY).await;
            for turn in 0..calls {
                let text = format!("{number}-{turn}");
                let arguments = format!(r#"{{"text":"{text}","nonce":"{number}"}}"#);
                let answer = legacy_call(&mut client, "/mcp", KEY, &session, "ts__echo", &arguments).await.unwrap();
                assert_eq!(said(&answer), (200, format!("{text:?}")), "a crossed or lost answer");
            }
            session
        });
    }
    let sessions = all.join_all().await;
    let stats = peer.stats().await;
    let mut upstream = BTreeSet::new();
    for number in 0..clients {
        let number = number.to_string();
        let [session] = stats["sessions_of"][&number].as_array().expect("sessions").as_slice() else {
            panic!("client {number} was in several sessions: {}", stats["sessions_of"][&number]);
        };
        assert!(upstream.insert(session.to_string()), "client {number} shares its session at the server");
        assert_eq!(stats["calls"][&number], calls, "calls of client {number}");
    }
    // The gateway's own probe may have one more.
    let opened = stats["sessions_opened"].as_u64().expect("a count") - opened_before;
    assert!(opened <= clients as u64 + 1, "{opened} sessions for {clients} clients");
    let mut client = gateway.client().await;
    let closed_before = peer.stats().await["sessions_closed"].as_u64();
    for session in &sessions {
        assert_eq!(client.request("DELETE", "/mcp", &legacy(KEY, Some(session))).await.unwrap().status, 200);
    }
    eventually("every session has ended at the server", 20, || async {
        let closed = peer.stats().await["sessions_closed"].as_u64();
        (closed == closed_before.map(|before| before + clients as u64)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_session_is_good_for_its_client_and_its_endpoint_alone() {
    let (one, two) = (Recorder::start(Speaks::Legacy, &[TOOL]).await, Recorder::start(Speaks::Legacy, &[TOOL]).await);
    let gateway = before(&[("one", one.url()), ("two", two.url())]).await;
    let mut client = gateway.client().await;
    let session = initialize(&mut client, "/mcp", KEY).await;
    let narrow = initialize(&mut client, "/mcp/one", KEY).await;
    let call = async |client: &mut Client, path: &str, key: &str, session: Option<&str>| {
        let tool = if path == "/mcp" { "one__say" } else { "say" };
        let body = legacy_request("1", "tools/call", &format!(r#"{{"name":"{tool}"}}"#));
        client.post(path, &legacy(key, session), body.as_bytes()).await.unwrap().status
    };
    assert_eq!(call(&mut client, "/mcp", KEY, Some(&session)).await, 200);
    assert_eq!(call(&mut client, "/mcp/one", KEY, Some(&narrow)).await, 200);
    assert_eq!(call(&mut client, "/one/mcp", KEY, Some(&narrow)).await, 200, "the other spelling of its endpoint");

    let calls = one.calls().len();
    let middle = session.len() / 2;
    let tampered = format!(
        "{}{}{}",
        &session[..middle],
        if &session[middle..=middle] == "A" { "B" } else { "A" },
        &session[middle + 1..]
    );
    let (unknown, shortened) = ("0b5c1f6e-8f0a-4a2b-9a55-5a3f6f2d1c11", &session[..middle]);
    #[rustfmt::skip]
    let table = [
        ("another key's", "/mcp", OTHER_KEY, Some(session.as_str()), 404),
        ("an admin's", "/mcp", ADMIN_KEY, Some(session.as_str()), 404),
        ("tampered with", "/mcp", KEY, Some(tampered.as_str()), 404),
        ("shortened", "/mcp", KEY, Some(shortened), 404),
        ("unknown", "/mcp", KEY, Some(unknown), 404),
        ("the server's own", "/mcp", KEY, Some("session-1"), 404),
        ("of the aggregate, at one server", "/mcp/one", KEY, Some(session.as_str()), 404),
        ("of one server, at the aggregate", "/mcp", KEY, Some(narrow.as_str()), 404),
        ("of one server, at another", "/mcp/two", KEY, Some(narrow.as_str()), 404),
        ("missing", "/mcp", KEY, None, 400),
    ];
    for (what, path, key, id, want) in table {
        assert_eq!(call(&mut client, path, key, id).await, want, "POST, a session that is {what}");
        let delete = client.request("DELETE", path, &legacy(key, id)).await.unwrap();
        assert_eq!(delete.status, want, "DELETE, a session that is {what}: {}", delete.text());
    }
    assert_eq!((one.calls().len(), two.calls().len()), (calls, 0), "nothing of that went upstream");
    assert_eq!(call(&mut client, "/mcp", KEY, Some(&session)).await, 200, "the session is undisturbed");
    assert_eq!(call(&mut client, "/mcp/one", KEY, Some(&narrow)).await, 200, "the session is undisturbed");

    let upstream = one.last_call().header("mcp-session-id").map(str::to_owned);
    assert_eq!(client.request("DELETE", "/mcp/one", &legacy(KEY, Some(&narrow))).await.unwrap().status, 200);
    assert_eq!(call(&mut client, "/mcp/one", KEY, Some(&narrow)).await, 404, "an ended session");
    assert_eq!(client.request("DELETE", "/mcp/one", &legacy(KEY, Some(&narrow))).await.unwrap().status, 404);
    eventually("the session has ended upstream", 5, || async {
        deletes(&one).into_iter().find(|request| request.header("mcp-session-id") == upstream.as_deref())
    })
    .await;
    assert_eq!(call(&mut client, "/mcp", KEY, Some(&session)).await, 200, "another session of the same client");
}

#[tokio::test]
async fn a_restarted_server_costs_a_new_initialize_at_most() {
    let mut peer = Peer::start(Sdk::TypeScriptV1);
    let gateway = before(&[("ts", peer.url())]).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = gateway.client().await;
        let session = initialize(&mut client, "/mcp", KEY).await;
        assert_eq!(echo(&mut client, "/mcp", &session, "ts__echo", "a").await.0, 200);
        clients.push((client, session));
    }
    peer.restart();
    for (number, (client, session)) in clients.iter_mut().enumerate() {
        // Reading goes on unseen; it has opened a new session upstream, so that calls work as well.
        let reads = number % 2 == 0;
        if reads {
            let body = legacy_request("7", "resources/read", r#"{"uri":"test://static"}"#);
            let answer = client.post("/mcp", &legacy(KEY, Some(session)), body.as_bytes()).await.unwrap();
            assert_eq!(answer.json()["result"]["contents"][0]["text"], "static text", "{}", answer.text());
        }
        let (status, said) = echo(client, "/mcp", session, "ts__echo", "b").await;
        assert_eq!(status, if reads { 200 } else { 404 }, "{said}");
        let session = initialize(client, "/mcp", KEY).await;
        assert_eq!(echo(client, "/mcp", &session, "ts__echo", "c").await, (200, r#""c""#.to_owned()));
    }
}

/// A busy server may close a connection that it takes for idle, with a request on it.
#[tokio::test]
async fn a_lost_handshake_leaves_no_second_session() {
    let recorder = Recorder::start(Speaks::Legacy, &[TOOL]).await;
    let gateway = before(&[("rec", recorder.url())]).await;
    let mut client = gateway.client().await;
    // The gateway's own probes introduce themselves as what they are.
    let for_clients = || {
        let mut opened = recorder.of("initialize");
        opened.retain(|request| request.member("/params/clientInfo/name").as_deref() != Some("tollbridge"));
        opened.len()
    };
    for (lost, opened) in [(0, 1), (1, 1), (2, 2)] {
        let (opened_before, ended_before) = (for_clients(), deletes(&recorder).len());
        let session = initialize(&mut client, "/mcp", KEY).await;
        recorder.loses("notifications/initialized", lost);
        let answer = legacy_call(&mut client, "/mcp", KEY, &session, "rec__say", "{}").await.unwrap();
        assert_eq!(answer.status, 200, "{lost} lost: {}", answer.text());
        assert_eq!(for_clients() - opened_before, opened, "{lost} lost");
        let ended = deletes(&recorder).split_off(ended_before);
        assert_eq!(ended.len(), opened - 1, "{lost} lost: all but the one in use are ended");
        let used = recorder.last_call().header("mcp-session-id").map(str::to_owned);
        assert!(used.is_some() && ended.iter().all(|ended| ended.header("mcp-session-id") != used.as_deref()));
    }
}

#[tokio::test]
async fn a_lost_goodbye_is_said_again() {
    let recorder = Recorder::start(Speaks::Legacy, &[TOOL]).await;
    let gateway = before(&[("rec", recorder.url())]).await;
    let mut client = gateway.client().await;
    let session = initialize(&mut client, "/mcp", KEY).await;
    assert_eq!(legacy_call(&mut client, "/mcp", KEY, &session, "rec__say", "{}").await.unwrap().status, 200);
    let used = recorder.last_call().header("mcp-session-id").map(str::to_owned);
    // A DELETE has no body, and so no method.
    recorder.loses("", 1);
    assert_eq!(client.request("DELETE", "/mcp", &legacy(KEY, Some(&session))).await.unwrap().status, 200);
    let goodbyes = || deletes(&recorder).into_iter().filter(|end| end.header("mcp-session-id") == used.as_deref());
    eventually("it is said twice", 5, || async { (goodbyes().count() == 2).then_some(()) }).await;
}

/// Others of the session wait for the opening, and nobody waits longer than a call may take.
#[tokio::test]
async fn a_server_that_opens_no_session_costs_the_time_of_one_call() {
    let recorder = Recorder::start(Speaks::Legacy, &[TOOL]).await;
    let conf = format!("{QUIET}\nservers:\n  rec: {{url: \"{}\", timeout: {{call: 1s}}}}", recorder.url());
    let gateway = start_discovered(&conf).await;
    let mut client = gateway.client().await;
    let session = initialize(&mut client, "/mcp", KEY).await;
    recorder.hangs("initialize");
    let mut all = JoinSet::new();
    for _ in 0..4 {
        let (mut client, session) = (gateway.client().await, session.clone());
        all.spawn(async move {
            let began = Instant::now();
            let answer = legacy_call(&mut client, "/mcp", KEY, &session, "rec__say", "{}").await.unwrap();
            (began.elapsed(), answer)
        });
    }
    for (took, answer) in all.join_all().await {
        assert!(took < Duration::from_millis(1800), "{took:?}");
        assert_eq!((answer.status, answer.error_code()), (504, Some(-31002)), "{}", answer.text());
        assert_eq!(answer.json()["error"]["data"]["outcome"], "not_sent", "{}", answer.text());
    }
    assert!(recorder.calls().is_empty());
}

/// Such servers refuse any other revision than the one that they have settled on.
#[tokio::test]
async fn probes_stay_in_one_session() {
    let recorder = Recorder::start(Speaks::Legacy, &[TOOL]).await;
    recorder.settles_on("2025-03-26");
    let servers = format!("servers:\n  rec: {{url: \"{}\", health: {{interval: 200ms}}}}", recorder.url());
    let gateway = start_discovered(&format!("{QUIET}\n{servers}")).await;
    eventually("several probes", 10, || async { (recorder.of("ping").len() > 5).then_some(()) }).await;
    let opened = recorder.of("initialize").len();
    assert!(opened <= 2, "{opened} sessions for discovery and probes");
    drop(gateway);
}

fn deletes(recorder: &Recorder) -> Vec<Recorded> {
    let mut requests = recorder.requests();
    requests.retain(|request| request.verb() == "DELETE");
    requests
}

#[tokio::test]
async fn an_initialize_that_is_wrong_or_given_up_leaves_nothing() {
    let (workers, turns) = (16, scaled(10_000, 1_000_000) / 16);
    let recorder = Recorder::start(Speaks::Legacy, &[TOOL]).await;
    let gateway = before(&[("rec", recorder.url())]).await;
    let upstream_before = recorder.of("initialize").len();
    let good = legacy_request(
        "0",
        "initialize",
        r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}"#,
    );
    let wrong = [
        legacy_request("0", "initialize", "{}"),
        legacy_request("0", "initialize", r#"{"protocolVersion":"2025-11-25","capabilities":[],"clientInfo":{}}"#),
        legacy_request("0", "initialize", r#"{"protocolVersion":25,"capabilities":{},"clientInfo":{}}"#),
        good.replacen(r#""id":0,"#, "", 1),
        good.replacen(r#""id":0,"#, r#""id":null,"#, 1),
        good[..good.len() - 1].to_owned(),
    ];
    let mut all = JoinSet::new();
    for _ in 0..workers {
        let (port, good, wrong) = (gateway.port, good.clone(), wrong.clone());
        all.spawn(async move {
            let mut kept = Client::connect(port).await.unwrap();
            for turn in 0..turns {
                if let Some(body) = wrong.get(turn % 8) {
                    let answer = kept.post("/mcp", &legacy(KEY, None), body.as_bytes()).await.unwrap();
                    assert_eq!(answer.header("mcp-session-id"), None, "{body}: {}", answer.text());
                    assert!(answer.error_code().is_some(), "{body}: {}", answer.text());
                    continue;
                }
                // Given up in the middle of the body, or before the answer.
                let cut = if turn % 2 == 0 { good.len() / 2 } else { good.len() };
                let lines = legacy(KEY, None).join("\r\n");
                let head = format!(
                    "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n{lines}\r\n\r\n",
                    good.len()
                );
                let mut given_up = Client::connect(port).await.unwrap();
                given_up.send((head + &good[..cut]).as_bytes()).await.unwrap();
            }
        });
    }
    all.join_all().await;
    let sessions = async |count: usize| {
        eventually(&format!("{count} sessions are counted"), 10, || async {
            let metrics = gateway.metrics().await;
            metrics.contains(&format!("\ntollbridge_sessions {count}\n")).then_some(())
        })
        .await;
    };
    assert_eq!(recorder.of("initialize").len(), upstream_before, "nobody needed a session upstream");
    let mut client = gateway.client().await;
    let session = initialize(&mut client, "/mcp", KEY).await;
    assert_eq!(legacy_call(&mut client, "/mcp", KEY, &session, "rec__say", "{}").await.unwrap().status, 200);
    sessions(1).await;
    assert_eq!(client.request("DELETE", "/mcp", &legacy(KEY, Some(&session))).await.unwrap().status, 200);
    sessions(0).await;
}

#[tokio::test]
async fn a_cancellation_reaches_the_server_that_runs_the_call() {
    let (peer, other) = (Peer::start(Sdk::TypeScriptV1), Recorder::start(Speaks::Legacy, &[TOOL]).await);
    let gateway = before(&[("ts", peer.url()), ("rec", other.url())]).await;
    for (path, tool) in [("/mcp", "ts__slow"), ("/mcp/ts", "slow")] {
        let (mut client, mut calling) = (gateway.client().await, gateway.client().await);
        let session = initialize(&mut client, path, KEY).await;
        if path == "/mcp" {
            assert_eq!(legacy_call(&mut client, path, KEY, &session, "rec__say", "{}").await.unwrap().status, 200);
        }
        let cancelled = async || peer.stats().await["cancelled"].as_u64().expect("a count");
        let before = cancelled().await;
        let (id, nonce) = (r#""c\u0061ll""#, format!("nonce of {path}"));
        let params = format!(r#"{{"name":"{tool}","arguments":{{"ms":30000,"nonce":"{nonce}"}}}}"#);
        let body = legacy_request(id, "tools/call", &params);
        let headers = legacy(KEY, Some(&session));
        let under_way = tokio::spawn(async move { calling.post(path, &headers, body.as_bytes()).await });
        eventually("the call has begun", 5, || async { peer.stats().await["calls"][&nonce].as_u64() }).await;
        let note = format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#);
        let taken = client.post(path, &legacy(KEY, Some(&session)), note.as_bytes()).await.unwrap();
        assert_eq!(taken.status, 202, "{}", taken.text());
        eventually("the server has cancelled it", 5, || async { (cancelled().await > before).then_some(()) }).await;
        under_way.abort();
    }
    assert!(other.of("notifications/cancelled").is_empty(), "the other server has nothing to cancel");
}

const MEANT_FOR_ONE: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"action":"accept","content":{"secret":"s"}}}"#;
const WITHOUT_AN_ID: &str = r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"one__say"}}"#;

/// What a client sends without asking anything reaches nobody whom it is not meant for.
#[tokio::test]
async fn answers_of_clients_and_calls_without_an_id_are_spread_to_nobody() {
    let (one, two) = (Recorder::start(Speaks::Legacy, &[TOOL]).await, Recorder::start(Speaks::Legacy, &[TOOL]).await);
    let gateway = before(&[("one", one.url()), ("two", two.url())]).await;
    let mut client = gateway.client().await;
    let session = initialize(&mut client, "/mcp", KEY).await;
    for tool in ["one__say", "two__say"] {
        assert_eq!(legacy_call(&mut client, "/mcp", KEY, &session, tool, "{}").await.unwrap().status, 200);
    }
    let roots = r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#;
    for body in [MEANT_FOR_ONE, WITHOUT_AN_ID, roots] {
        assert_eq!(client.post("/mcp", &legacy(KEY, Some(&session)), body.as_bytes()).await.unwrap().status, 202);
    }
    for recorder in [&one, &two] {
        eventually("what came last arrived", 5, || async { recorder.of("notifications/roots/list_changed").pop() })
            .await;
        let bodies: Vec<String> = recorder.requests().iter().map(Recorded::text).collect();
        assert!(!bodies.iter().any(|body| body == MEANT_FOR_ONE || body == WITHOUT_AN_ID), "{bodies:?}");
    }
    // At an endpoint of its own there is no doubt whose question it answers.
    let session = initialize(&mut client, "/mcp/one", KEY).await;
    assert_eq!(legacy_call(&mut client, "/mcp/one", KEY, &session, "say", "{}").await.unwrap().status, 200);
    client.post("/mcp/one", &legacy(KEY, Some(&session)), MEANT_FOR_ONE.as_bytes()).await.unwrap();
    eventually("the answer arrived", 5, || async {
        one.requests().into_iter().find(|request| request.text() == MEANT_FOR_ONE)
    })
    .await;
}

#[tokio::test]
async fn headers_for_a_server_go_with_everything_of_a_session() {
    let recorder = Recorder::start(Speaks::Legacy, &[TOOL]).await;
    let more = format!(
        "servers:\n  rec: {{url: \"{}\", health: {{interval: 1h}}, forward_headers: [x-tenant]}}",
        recorder.url()
    );
    let gateway = start_discovered(&format!("{QUIET}\n{more}")).await;
    let mut client = gateway.client().await;
    let session = initialize(&mut client, "/mcp", KEY).await;
    let quiet = recorder.requests().len();
    let lines = [legacy(KEY, Some(&session)), vec!["X-Tenant: t1".to_owned()]].concat();
    let body = legacy_request("1", "tools/call", r#"{"name":"rec__say","arguments":{}}"#);
    assert_eq!(client.post("/mcp", &lines, body.as_bytes()).await.unwrap().status, 200);
    client.request("DELETE", "/mcp", &legacy(KEY, Some(&session))).await.unwrap();
    let sent = eventually("the session was ended", 5, || async {
        let sent = recorder.requests().split_off(quiet);
        (sent.last()?.verb() == "DELETE").then_some(sent)
    })
    .await;
    assert_eq!(sent.len(), 4, "initialize, initialized, the call, the end");
    assert!(sent.iter().all(|request| request.header("x-tenant") == Some("t1")), "{sent:?}");
}

/// What a server says of a request is not what it would say of a session, and a refused credential
/// is not an absence.
#[tokio::test]
async fn a_refusal_is_told_from_a_lost_session() {
    let recorder = Recorder::start(Speaks::Legacy, &[TOOL]).await;
    let gateway = before(&[("rec", recorder.url())]).await;
    let mut client = gateway.client().await;
    let session = initialize(&mut client, "/mcp", KEY).await;
    let json = || "Content-Type: application/json\r\n".to_owned();
    recorder.answers(move |request| {
        Reply::Status("404 Not Found", json(), request.error(r#"{"code":-32601,"message":"no such tool"}"#))
    });
    let answer = legacy_call(&mut client, "/mcp", KEY, &session, "rec__say", "{}").await.unwrap();
    assert_eq!((answer.status, answer.json()["error"]["code"].as_i64()), (200, Some(-32601)), "{}", answer.text());
    recorder.answers(|_| Reply::Status("400 Bad Request", "Content-Type: text/html\r\n".to_owned(), "<p>no".into()));
    let answer = legacy_call(&mut client, "/mcp", KEY, &session, "rec__say", "{}").await.unwrap();
    assert_eq!((answer.status, answer.json()["error"]["code"].as_i64()), (502, Some(-31003)), "{}", answer.text());
    recorder.answers(|_| Reply::Status("404 Not Found", String::new(), Vec::new()));
    let answer = legacy_call(&mut client, "/mcp", KEY, &session, "rec__say", "{}").await.unwrap();
    assert_eq!(answer.status, 404, "{}", answer.text());

    recorder.answers_to("initialize", |_| Reply::Status("401 Unauthorized", String::new(), Vec::new()));
    let session = initialize(&mut client, "/mcp", KEY).await;
    let answer = legacy_call(&mut client, "/mcp", KEY, &session, "rec__say", "{}").await.unwrap();
    assert_eq!((answer.status, answer.json()["error"]["code"].as_i64()), (502, Some(-31003)), "{}", answer.text());
}

/// What the client built up at an endpoint is gone with it, whoever took it away.
#[tokio::test]
async fn a_session_does_not_move_unseen_when_its_endpoint_is_removed() {
    let (one, two) = (Recorder::start(Speaks::Legacy, &[TOOL]).await, Recorder::start(Speaks::Legacy, &[TOOL]).await);
    let servers =
        |urls: &[String]| format!("{QUIET}\nservers:\n  rec: {{endpoints: {urls:?}, health: {{interval: 1h}}}}");
    let gateway = start_discovered(&servers(&[one.url(), two.url()])).await;
    let mut client = gateway.client().await;
    let mut sessions = Vec::new();
    for _ in 0..4 {
        let session = initialize(&mut client, "/mcp", KEY).await;
        assert_eq!(legacy_call(&mut client, "/mcp", KEY, &session, "rec__say", "{}").await.unwrap().status, 200);
        sessions.push(session);
    }
    let moved = two.calls().len();
    assert!((1..4).contains(&moved), "both endpoints have sessions: {moved}");
    gateway.reconfigure(&servers(&[one.url()]));
    gateway.process.signal("HUP");
    eventually("the endpoint is removed", 5, || async {
        let port = format!("127.0.0.1:{}", two.port);
        (!gateway.metrics().await.contains(&port)).then_some(())
    })
    .await;
    let mut gone = 0;
    for session in &sessions {
        let answer = legacy_call(&mut client, "/mcp", KEY, session, "rec__say", "{}").await.unwrap();
        assert!(matches!(answer.status, 200 | 404), "{}", answer.text());
        gone += usize::from(answer.status == 404);
    }
    assert_eq!(gone, moved, "every session that was there is said to be gone");
}

/// Idle sessions are closed upstream in the background: a server that hangs holds up nothing else.
#[tokio::test]
async fn a_server_that_does_not_say_goodbye_holds_up_no_reload() {
    let recorder = Recorder::start(Speaks::Legacy, &[TOOL]).await;
    let servers = format!("servers:\n  rec: {{url: \"{}\", health: {{interval: 1h}}}}", recorder.url());
    let start = format!("session: {{idle: 1s}}\n{QUIET}\n{servers}");
    let gateway = start_discovered(&start).await;
    let mut client = gateway.client().await;
    for _ in 0..4 {
        let session = initialize(&mut client, "/mcp", KEY).await;
        assert_eq!(legacy_call(&mut client, "/mcp", KEY, &session, "rec__say", "{}").await.unwrap().status, 200);
    }
    recorder.hangs("");
    eventually("idle sessions are being closed", 10, || async {
        recorder.requests().into_iter().find(|request| request.verb() == "DELETE")
    })
    .await;
    gateway.reconfigure(&format!("{start}\n  other: {{url: \"{}\"}}", recorder.url()));
    let asked = Instant::now();
    gateway.process.signal("HUP");
    let reloaded =
        || async { (gateway.sample("tollbridge_config_reload_total{result=\"ok\"}").await > 0.0).then_some(()) };
    eventually("the configuration is reloaded", 10, reloaded).await;
    assert!(asked.elapsed() < Duration::from_secs(2), "it took {:?}", asked.elapsed());
}
