//! `subscriptions/listen` over several servers.

use crate::harness::gateway::{ADMIN_KEY, Gateway, KEY};
use crate::harness::messages::{list, start_discovered};
use crate::harness::reader::{Next, Reader};
use crate::harness::recorder::{Recorder, Reply, Speaks, TOOL};
use crate::harness::source::{Kind, Source, servers};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

async fn two() -> (Vec<Source>, Gateway) {
    let sources = vec![Source::start("a", Kind::Modern, 0).await, Source::start("b", Kind::Modern, 0).await];
    let gateway = start_discovered(&servers(&sources)).await;
    (sources, gateway)
}

async fn listen(gateway: &Gateway, id: &str, wanted: &str) -> Reader {
    Reader::listen(gateway.port, "/mcp", KEY, id, wanted).await.expect("a stream")
}

/// What is granted stands at the beginning, and everything bears the request's id as it was written.
#[tokio::test]
async fn what_servers_tell_comes_together() {
    let (sources, gateway) = two().await;
    for id in ["7", r#""a\"b""#] {
        let wanted = r#""toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["test://a","test://nobody","test://b"],"taskIds":["a__t","x__t"]"#;
        let mut reader = listen(&gateway, id, wanted).await;
        let id: Value = serde_json::from_str(id).unwrap();
        let granted = reader.message().await.data;
        assert_eq!(granted["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(granted["params"]["_meta"][SUBSCRIPTION], id, "{granted}");
        let expected =
            json!({"toolsListChanged": true, "resourceSubscriptions": ["test://a", "test://b", "test://nobody"]});
        let mut got = granted["params"]["notifications"].clone();
        // Nobody lists it, so whoever may have it is asked, and both take it.
        assert_eq!(
            got.as_object_mut().map(|got| got.len()),
            expected.as_object().map(|expected| expected.len()),
            "{got}"
        );
        assert_eq!(got, expected);
        sources.iter().for_each(Source::emit);
        let mut told = [reader.message().await.data, reader.message().await.data];
        told.sort_by_key(|message| message["params"]["uri"].to_string());
        for (message, uri) in told.iter().zip(["test://a", "test://b"]) {
            assert_eq!(
                (&message["params"]["uri"], &message["params"]["_meta"][SUBSCRIPTION]),
                (&json!(uri), &id),
                "{message}"
            );
        }
    }
}

/// What is not granted to anything ends at once, as it should.
#[tokio::test]
async fn a_subscription_to_nothing_ends() {
    let (_sources, gateway) = two().await;
    let mut reader = listen(&gateway, "1", r#""promptsListChanged":true"#).await;
    assert_eq!(reader.message().await.data["params"]["notifications"], json!({}));
    let last = reader.message().await.data;
    assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!(1), &json!("complete")));
    assert_eq!(reader.end().await, Next::End);
    let refused = Reader::listen(gateway.port, "/mcp", KEY, "1", r#""resourceSubscriptions":7"#).await.err();
    assert_eq!(refused.map(|answer| (answer.status, answer.error_code())), Some((400, Some(-32602))));
}

/// A server that says nothing keeps nobody's news from the client.
#[tokio::test]
async fn one_slow_server_delays_no_other() {
    let sources = [Source::start("a", Kind::Modern, 0).await];
    let slow = Recorder::start(Speaks::Modern, &[TOOL]).await;
    slow.results("server/discover", r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"resources":{"subscribe":true}},"ttlMs":0,"cacheScope":"public"}"#);
    slow.results("resources/list", r#"{"resources":[{"uri":"test://slow","name":"slow"}],"resultType":"complete"}"#);
    slow.results("resources/templates/list", r#"{"resourceTemplates":[],"resultType":"complete"}"#);
    slow.hangs("subscriptions/listen");
    let gateway = start_discovered(&format!("{}  slow: {{url: \"{}\"}}", servers(&sources), slow.url())).await;
    let began = Instant::now();
    let mut reader = listen(&gateway, "1", r#""resourceSubscriptions":["test://slow","test://a"]"#).await;
    let granted = reader.message().await.data;
    assert_eq!(granted["params"]["notifications"], json!({"resourceSubscriptions": ["test://a"]}));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    sources[0].emit();
    assert_eq!(reader.message().await.data["params"]["uri"], "test://a");
}

/// A subscription cannot be resumed, so its end must be seen, and who it was.
#[tokio::test]
async fn a_lost_subscription_says_so() {
    let (sources, gateway) = two().await;
    let mut reader = listen(&gateway, r#""x""#, r#""resourceSubscriptions":["test://a","test://b"]"#).await;
    reader.message().await;
    sources[1].cut();
    let last = reader.message().await.data;
    assert_eq!(
        (&last["id"], &last["error"]["code"], &last["error"]["data"]["server"]),
        (&json!("x"), &json!(-31001), &json!("b")),
        "{last}"
    );
    assert_eq!(reader.end().await, Next::End);
}

/// That a list has changed is said when it is listed so.
#[tokio::test]
async fn a_changed_list_is_told_after_it_is_listed() {
    let (mut sources, gateway) = two().await;
    let mut reader = listen(&gateway, "1", r#""toolsListChanged":true"#).await;
    reader.message().await;
    sources.push(Source::start("c", Kind::Modern, 0).await);
    gateway.reconfigure(&servers(&sources));
    let told = reader.message().await.data;
    assert_eq!(told["method"], "notifications/tools/list_changed");
    assert_eq!(told["params"]["_meta"][SUBSCRIPTION], 1);
    let tools = list(&mut gateway.client().await, "/mcp", KEY, "tools/list").await;
    assert!(tools["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "c__say"), "{tools}");
    let keys = format!("keys:\n  - {{id: ops, key: {ADMIN_KEY}, role: admin}}");
    gateway.reconfigure(&format!("{keys}\nlimits: {{heartbeat: 200ms}}\n{}", servers(&sources)));
    while reader.next().await != Next::End {}
}

/// One server behind the endpoint: its stream, as it comes, and a proper end with the process.
#[tokio::test]
async fn the_subscription_of_one_server_ends_with_the_process() {
    let (sources, gateway) = two().await;
    let one = Reader::listen(gateway.port, "/mcp/a", KEY, "5", r#""resourceSubscriptions":["test://a"]"#).await;
    let mut readers = [one.unwrap(), listen(&gateway, "5", r#""resourceSubscriptions":["test://b"]"#).await];
    for reader in &mut readers {
        reader.message().await;
    }
    sources.iter().for_each(Source::emit);
    for reader in &mut readers {
        assert_eq!(reader.message().await.data["method"], "notifications/resources/updated");
    }
    gateway.process.signal("TERM");
    for reader in &mut readers {
        let last = reader.message().await.data;
        assert_eq!((&last["id"], &last["result"]["_meta"][SUBSCRIPTION]), (&json!(5), &json!(5)), "{last}");
        assert_eq!(reader.end().await, Next::End);
    }
}

/// A hostile server tells more than fits.
#[tokio::test]
async fn an_event_has_a_bound() {
    let huge = Recorder::start(Speaks::Modern, &[TOOL]).await;
    huge.results("server/discover", r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"resources":{"subscribe":true}},"ttlMs":0,"cacheScope":"public"}"#);
    huge.results("resources/list", r#"{"resources":[{"uri":"test://huge","name":"huge"}],"resultType":"complete"}"#);
    huge.results("resources/templates/list", r#"{"resourceTemplates":[],"resultType":"complete"}"#);
    huge.answers_to("subscriptions/listen", |_| {
        let granted = r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"resourceSubscriptions":["test://huge"]}}}"#;
        Reply::Events(vec![
            (Duration::ZERO, format!("data: {granted}\n\n").into_bytes()),
            (Duration::from_millis(50), vec![b'x'; 3 << 20]),
        ])
    });
    let gateway = start_discovered(&format!("servers:\n  huge: {{url: \"{}\"}}", huge.url())).await;
    let mut reader = listen(&gateway, "1", r#""resourceSubscriptions":["test://huge"]"#).await;
    reader.message().await;
    assert_eq!(reader.message().await.data["error"]["code"], -31001);
    assert_eq!(reader.end().await, Next::End);
}
