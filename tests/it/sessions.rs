//! Legacy sessions: each client's own, at every server behind it, until it ends.

mod ending;
mod loss;
mod opening;

use crate::harness::gateway::{ADMIN_KEY, Gateway, KEY, OTHER_KEY};
use crate::harness::http::{Client, Response};
use crate::harness::messages::{initialize, legacy, legacy_call, legacy_request, start_discovered};
use crate::harness::peer::{Peer, Sdk};
use crate::harness::recorder::{Recorded, Recorder, Speaks, TOOL};
use crate::harness::{eventually, scaled};
use std::collections::BTreeSet;
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

fn deletes(recorder: &Recorder) -> Vec<Recorded> {
    let mut requests = recorder.requests();
    requests.retain(|request| request.verb() == "DELETE");
    requests
}

/// A legacy server behind a gateway, and a client with a session that has reached it.
struct Held {
    recorder: Recorder,
    gateway: Gateway,
    client: Client,
    session: String,
}

impl Held {
    async fn start() -> Held {
        let recorder = Recorder::start(Speaks::Legacy, &[TOOL]).await;
        let gateway = before(&[("rec", recorder.url())]).await;
        let mut client = gateway.client().await;
        let session = initialize(&mut client, "/mcp", KEY).await;
        let mut held = Held { recorder, gateway, client, session };
        let answer = held.say().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        held
    }

    /// Calls the tool in the session.
    async fn say(&mut self) -> Response {
        legacy_call(&mut self.client, "/mcp", KEY, &self.session, "rec__say", "{}").await.expect("an answer")
    }
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
    // The gateway's own probe may have one more; and where the answer to `initialize` came too late, a
    // session that nobody uses is left behind.
    let opened = stats["sessions_opened"].as_u64().expect("a count") - opened_before;
    assert!(opened <= clients as u64 * 101 / 100 + 1, "{opened} sessions for {clients} clients");
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
