//! Opening a session at a server: once, in time, and for nobody who did not mean it.

use super::{QUIET, before, deletes};
use crate::harness::gateway::KEY;
use crate::harness::http::Client;
use crate::harness::messages::{initialize, legacy, legacy_call, legacy_request, start_discovered};
use crate::harness::recorder::{Recorder, Speaks, TOOL};
use crate::harness::{eventually, scaled};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

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
