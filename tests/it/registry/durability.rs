//! What outlives the process, however it ends; and what belongs to one process alone.

use crate::harness::gateway::{ADMIN_KEY, Gateway, KEY};
use crate::harness::messages::{initialize, legacy_call};
use crate::harness::process::free_port;
use crate::harness::recorder::{Recorder, Speaks, TOOL};
use crate::harness::rest::{OPEN, register, rest, rest_at, servers};
use crate::harness::{eventually, scaled};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinSet;

const LINE: &str = "POST /v1/mcp/server";

#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill_and_nothing_is_half_there() {
    let (rounds, registrations) = (scaled(2, 20), scaled(50, 200));
    for round in 0..rounds {
        // While most are still on their way: acknowledgements come a little after what is written.
        let until = 1 + round * registrations / (4 * rounds);
        let mut gateway = Gateway::start(OPEN).await;
        let acknowledged = cut_short(&mut gateway, registrations, until).await;
        gateway.restart().await;
        let listed = rest(&gateway, "GET /v1/mcp/server", &Value::Null).await.json();
        let listed: BTreeMap<usize, Value> =
            listed.as_array().unwrap().iter().map(|server| (number(server), server.clone())).collect();
        for number in &acknowledged {
            assert!(listed.contains_key(number), "round {round}: {number} was acknowledged and is lost");
        }
        for (number, server) in &listed {
            is_whole(*number, server);
        }
        // The registration and the answer to it were kept together: to ask again is no conflict.
        for number in 0..registrations {
            let (key, body) = registration(number);
            let answer = rest_at(gateway.port, ADMIN_KEY, LINE, &[&key], body.to_string().as_bytes()).await.unwrap();
            assert_eq!(answer.status, 201, "round {round}: {number}: {}", answer.text());
        }
        let all = rest(&gateway, "GET /v1/mcp/server", &Value::Null).await.json();
        assert_eq!(all.as_array().unwrap().len(), registrations, "round {round}");
    }
}

/// Registers all at once, and kills the gateway when so many were acknowledged; gives those that were.
async fn cut_short(gateway: &mut Gateway, registrations: usize, until: usize) -> Vec<usize> {
    let acknowledgements = Arc::new(AtomicUsize::new(0));
    let mut asked = JoinSet::new();
    for number in 0..registrations {
        let (port, counter) = (gateway.port, Arc::clone(&acknowledgements));
        asked.spawn(async move {
            let (key, body) = registration(number);
            let answer = rest_at(port, ADMIN_KEY, LINE, &[&key], body.to_string().as_bytes()).await.ok()?;
            assert_eq!(answer.status, 201, "{}", answer.text());
            counter.fetch_add(1, Ordering::SeqCst);
            Some(number)
        });
    }
    while acknowledgements.load(Ordering::SeqCst) < until {
        tokio::task::yield_now().await;
    }
    gateway.process.kill();
    asked.join_all().await.into_iter().flatten().collect()
}

/// Nobody listens at its URL; that is found out fast.
fn registration(number: usize) -> (String, Value) {
    let body = json!({
        "server_id": format!("server-{number}"),
        "server_name": format!("Server {number}"),
        "alias": format!("alias-{number}"),
        "description": "x".repeat(number),
        "url": format!("http://127.0.0.1:9/{number}/mcp"),
        "allowed_tools": [format!("tool-{number}")],
    });
    (format!("Idempotency-Key: key-{number}"), body)
}

fn number(server: &Value) -> usize {
    let id = server["server_id"].as_str().expect("an id");
    id.strip_prefix("server-").and_then(|number| number.parse().ok()).expect("an id that was sent")
}

fn is_whole(number: usize, server: &Value) {
    let (_, sent) = registration(number);
    for (name, value) in sent.as_object().unwrap() {
        assert_eq!(&server[name], value, "{name} of {number} is not what was sent: {server}");
    }
}

/// The store keeps what session ids are sealed with.
#[tokio::test]
async fn sessions_of_legacy_clients_outlive_a_kill() {
    let server = Recorder::start(Speaks::Legacy, &[TOOL]).await;
    let mut gateway = Gateway::start(OPEN).await;
    register(&gateway, "rec", &server.url(), &json!({})).await;
    let session = initialize(&mut gateway.client().await, "/mcp", KEY).await;
    gateway.restart().await;
    eventually("the session goes on", 5, || async {
        let mut client = gateway.client().await;
        let answer = legacy_call(&mut client, "/mcp", KEY, &session, "rec__say", "{}").await.ok()?;
        assert_ne!(answer.status, 404, "the session is not known: {}", answer.text());
        (answer.status == 200 && answer.error_code().is_none()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_file_is_its_owners_alone() {
    let gateway = Gateway::start(OPEN).await;
    register(&gateway, "one", "http://127.0.0.1:9/mcp", &json!({})).await;
    let directory = gateway.registry().parent().unwrap().to_owned();
    let mut modes = BTreeMap::new();
    for file in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let name = file.file_name().into_string().unwrap();
        if name.starts_with("gateway.db") {
            modes.insert(name, file.metadata().unwrap().permissions().mode() & 0o777);
        }
    }
    assert!(modes.contains_key("gateway.db") && modes.values().all(|mode| *mode == 0o600), "{modes:?}");
}

#[tokio::test]
async fn a_second_gateway_with_the_same_file_says_so_and_ends() {
    let first = Gateway::start(OPEN).await;
    register(&first, "one", "http://127.0.0.1:9/mcp", &json!({})).await;
    let before = servers(&first).await;
    let ports = (free_port(), free_port());
    let text = format!(
        "listen: 127.0.0.1:{}\nadmin: {{listen: 127.0.0.1:{}}}\nkeys: [{{id: app, key: {KEY}}}]\nregistry: {{path: \"{}\"}}\n",
        ports.0,
        ports.1,
        first.registry().display()
    );
    let second = tokio::sync::Mutex::new(Gateway::launch(&text, ports, &[]));
    let status = eventually("the second one ends", 15, || async { second.lock().await.process.ended() }).await;
    let said = second.into_inner().log();
    assert!(!status.success() && said.contains("gateway.db") && said.contains("another process uses it"), "{said}");
    assert_eq!(servers(&first).await, before, "the first one goes on");
    register(&first, "two", "http://127.0.0.1:9/mcp", &json!({})).await;
}
