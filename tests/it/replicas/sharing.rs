//! One registry for all of them.

use super::fleet::{create, ids, lists, lists_no_more, operate, remove, replicas, sharing};
use crate::harness::gateway::{ADMIN_KEY, Gateway};
use crate::harness::messages::call;
use crate::harness::recorder::{Recorder, Speaks, TOOL};
use crate::harness::redis::Redis;
use crate::harness::rest::{register, rest, rest_at};
use crate::harness::{eventually, scaled};
use serde_json::{Value, json};
use std::time::Instant;
use tokio::task::JoinSet;

#[tokio::test]
async fn what_one_is_told_the_others_know_within_a_second() {
    let (redis, server) = (Redis::start().await, Recorder::start(Speaks::Modern, &[TOOL]).await);
    let gateways = replicas(&redis, 3).await;
    register(&gateways[0], "rec", &server.url(), &json!({})).await;
    for other in &gateways[1..] {
        lists(other, "rec", 1).await;
    }
    eventually("a call goes through another replica", 2, || async {
        let answer = call(&mut gateways[2].client().await, "/mcp", "rec__say", "{}").await.unwrap();
        (answer.status == 200 && answer.error_code().is_none()).then_some(())
    })
    .await;
    assert_eq!(remove(&gateways[1], "rec").await, 202);
    for other in [&gateways[0], &gateways[2]] {
        lists_no_more(other, "rec", 1).await;
    }
    // Whoever asks twice is told so, wherever it asks.
    assert_eq!(create(&gateways[0], "once").await, 201);
    assert_eq!(create(&gateways[1], "once").await, 400, "LiteLLM's word for a conflict");
    assert_eq!(remove(&gateways[2], "once").await, 202);
    assert_eq!(remove(&gateways[0], "once").await, 404);
}

/// A replica that may not listen hears of nothing, and finds out.
#[tokio::test]
async fn whoever_hears_nothing_finds_out() {
    let redis = Redis::start().await;
    redis.cli(&["ACL", "SETUSER", "deaf", "on", ">secret", "~*", "+@all", "resetchannels"]);
    let resync = scaled(2, 30);
    let url = format!("redis://deaf:secret@127.0.0.1:{}", redis.port);
    let deaf = Gateway::start(&sharing(&url, &format!(", resync: {resync}s"))).await;
    let teller = Gateway::start(&sharing(&redis.url(), "")).await;
    assert_eq!(create(&teller, "one").await, 201);
    lists(&deaf, "one", resync as u64 + 1).await;
    assert_eq!(remove(&teller, "one").await, 202);
    lists_no_more(&deaf, "one", resync as u64 + 1).await;
}

#[tokio::test]
async fn of_many_that_create_the_same_one_succeeds() {
    let redis = Redis::start().await;
    let gateways = replicas(&redis, 2).await;
    let body = json!({"server_id": "same", "server_name": "same", "url": "http://127.0.0.1:9/mcp"}).to_string();
    let mut asked = JoinSet::new();
    for number in 0..100 {
        let (port, body) = (gateways[number % 2].port, body.clone());
        asked.spawn(async move {
            let answer = rest_at(port, ADMIN_KEY, "POST /v1/mcp/server", &[], body.as_bytes()).await.unwrap();
            (answer.status, answer.text())
        });
    }
    let answers = asked.join_all().await;
    let made = answers.iter().filter(|(status, _)| *status == 201).count();
    // LiteLLM's word for a conflict.
    let conflicts = answers.iter().filter(|(status, text)| *status == 400 && text.contains("already exists")).count();
    assert_eq!((made, conflicts), (1, 99), "{answers:?}");
}

/// RouteIQ's surface takes the later one.
#[tokio::test]
async fn of_many_that_overwrite_the_same_the_last_stays() {
    let redis = Redis::start().await;
    let gateways = replicas(&redis, 2).await;
    let mut asked = JoinSet::new();
    let began = Instant::now();
    for number in 0..100 {
        let port = gateways[number % 2].port;
        asked.spawn(async move {
            let body = json!({"server_id": "same", "name": format!("n{number}"), "url": "http://127.0.0.1:9/mcp"});
            let asked = began.elapsed();
            let line = "POST /llmrouter/mcp/servers";
            let answer = rest_at(port, ADMIN_KEY, line, &[], body.to_string().as_bytes()).await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
            (format!("n{number}"), asked, began.elapsed())
        });
    }
    let acknowledged = asked.join_all().await;
    let name = |gateway| async move {
        let shown = rest(gateway, "GET /llmrouter/mcp/servers/same", &Value::Null).await.json();
        shown["name"].as_str().expect("a name").to_owned()
    };
    eventually("both say the same", 1, || async {
        (name(&gateways[0]).await == name(&gateways[1]).await).then_some(())
    })
    .await;
    let left = name(&gateways[0]).await;
    let (_, _, told) = acknowledged.iter().find(|(name, ..)| *name == left).expect("one of those that were asked for");
    let later = acknowledged.iter().find(|(_, asked, _)| asked > told);
    assert!(later.is_none(), "{left} was acknowledged before {later:?} was asked for");
    assert_eq!(ids(&gateways[1]).await.len(), 1);
}

#[tokio::test]
async fn no_secret_is_in_redis() {
    let redis = Redis::start().await;
    let gateway = &replicas(&redis, 1).await[0];
    let secret = "canary-of-an-upstream-0123456789";
    let more = json!({"auth_type": "bearer_token", "metadata": {"auth_token": secret, "plan": "canary-plan"}});
    register(gateway, "kept", &format!("http://127.0.0.1:9/mcp?token={secret}"), &more).await;
    let dump = redis.dump();
    assert!(dump.contains("server kept"), "{dump}");
    assert!(!dump.contains("canary"), "{dump}");
    let snapshot = eventually("the snapshot is on the disk", 5, || async {
        std::fs::read_to_string(gateway.file("gateway.snapshot")).ok()
    });
    assert!(!snapshot.await.contains("canary"));
}

#[tokio::test]
async fn what_routeiq_has_registered_is_taken_over() {
    let redis = Redis::start().await;
    let server = json!({
        "server_id": "github", "name": "GitHub", "url": "http://127.0.0.1:9/mcp", "transport": "streamable_http",
        "tools": ["search"], "resources": [], "auth_type": "bearer_token", "metadata": {"auth_token": "canary"},
        "tool_definitions": {"search": {"name": "search", "description": "d", "input_schema": {"type": "object"},
            "server_id": "github"}},
    });
    redis.cli(&["SET", "litellm:mcp:servers:github", &server.to_string()]);
    redis.cli(&["SET", "litellm:mcp:servers:broken", "{"]);
    let gateways = replicas(&redis, 2).await;
    assert_eq!(create(&gateways[0], "own").await, 201);
    let imported = operate(&gateways[0], &["import"]);
    let said = String::from_utf8_lossy(&imported.stdout);
    assert!(imported.status.success() && said.contains("1 registered"), "{imported:?}");
    assert!(said.contains("litellm:mcp:servers:broken: left out"), "{said}");
    for gateway in &gateways {
        lists(gateway, "github", 1).await;
    }
    let shown = rest(&gateways[1], "GET /llmrouter/mcp/servers/github", &Value::Null).await.json();
    assert_eq!((&shown["name"], &shown["tools"]), (&json!("GitHub"), &json!(["search"])), "{shown}");
    // What is there stays; RouteIQ's own keys are as they were.
    let again = operate(&gateways[0], &["import"]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("0 registered"), "{again:?}");
    assert_eq!(redis.cli(&["EXISTS", "litellm:mcp:servers:github"]).trim(), "1");
}
