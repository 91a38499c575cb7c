//! Sessions that a server has lost, or that went with it: the client works on or is told to begin anew.

use super::{Held, QUIET, before, echo};
use crate::harness::eventually;
use crate::harness::gateway::KEY;
use crate::harness::messages::{initialize, legacy, legacy_call, legacy_request, start_discovered};
use crate::harness::peer::{Peer, Sdk};
use crate::harness::recorder::{Recorder, Reply, Speaks, TOOL};

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

/// What a server says of a request is not what it would say of a session, and a refused credential
/// is not an absence.
#[tokio::test]
async fn a_refusal_is_told_from_a_lost_session() {
    let mut held = Held::start().await;
    let json = || "Content-Type: application/json\r\n".to_owned();
    held.recorder.answers(move |request| {
        Reply::Status("404 Not Found", json(), request.error(r#"{"code":-32601,"message":"no such tool"}"#))
    });
    let answer = held.say().await;
    assert_eq!((answer.status, answer.error_code()), (200, Some(-32601)), "{}", answer.text());
    held.recorder
        .answers(|_| Reply::Status("400 Bad Request", "Content-Type: text/html\r\n".to_owned(), "<p>no".into()));
    let answer = held.say().await;
    assert_eq!((answer.status, answer.error_code()), (502, Some(-31003)), "{}", answer.text());
    held.recorder.answers(|_| Reply::Status("404 Not Found", String::new(), Vec::new()));
    let answer = held.say().await;
    assert_eq!(answer.status, 404, "{}", answer.text());

    held.recorder.answers_to("initialize", |_| Reply::Status("401 Unauthorized", String::new(), Vec::new()));
    held.session = initialize(&mut held.client, "/mcp", KEY).await;
    let answer = held.say().await;
    assert_eq!((answer.status, answer.error_code()), (502, Some(-31003)), "{}", answer.text());
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
