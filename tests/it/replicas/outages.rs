//! Redis is gone, slow, or not what it was.

use super::fleet::{create, ids, lists, replicas, sharing};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::messages::call;
use crate::harness::recorder::{Recorder, Speaks, TOOL};
use crate::harness::redis::Redis;
use crate::harness::rest::{register, rest};
use crate::harness::{eventually, scaled};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Calls without a pause until the time is over; every one of them succeeds. Gives how many.
async fn call_for(gateway: &Gateway, time: Duration) -> usize {
    let (began, mut calls) = (Instant::now(), 0);
    let mut client = gateway.client().await;
    while began.elapsed() < time {
        let answer = call(&mut client, "/mcp", "rec__say", "{}").await.expect("an answer");
        assert!(answer.status == 200 && answer.error_code().is_none(), "{}", answer.text());
        calls += 1;
    }
    calls
}

#[tokio::test]
async fn what_is_known_goes_on_without_redis() {
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let mut redis = Redis::start().await;
    let gateways = replicas(&redis, 2).await;
    register(&gateways[0], "rec", &server.url(), &json!({})).await;
    lists(&gateways[1], "rec", 1).await;
    for round in 0..scaled(1, 10) {
        redis.kill();
        let away = Duration::from_secs(scaled(5, 60) as u64);
        let (first, second, ()) = tokio::join!(call_for(&gateways[0], away), call_for(&gateways[1], away), async {
            let is_away = || async { (gateways[0].sample("tollbridge_store_up").await == 0.0).then_some(()) };
            eventually("it is noticed", 5, is_away).await;
            refuses_writes(&gateways[0]).await;
        });
        assert!(first > 100 && second > 100, "round {round}: {first} and {second} calls");
        let said = gateways[0].admin("/readyz").await.unwrap();
        assert!(said.status == 200 && said.text().contains("Redis is not there; the registry is"), "{}", said.text());
        assert_eq!(gateways[0].sample("tollbridge_store_up").await, 0.0);
        assert!(gateways[0].sample("tollbridge_registry_age_seconds").await >= away.as_secs_f64() / 2.0);
        redis.start_again().await;
        let id = format!("after-{round}");
        let wrote = || async { (create(&gateways[1], &id).await == 201).then_some(()) };
        eventually("writes are taken again", 5, wrote).await;
        lists(&gateways[0], &id, 2).await;
        assert_eq!(gateways[0].sample("tollbridge_registry_went_back").await, 0.0);
    }
}

/// Every surface says it in its own words.
async fn refuses_writes(gateway: &Gateway) {
    let lines = [
        ("POST /v1/mcp/server", "server_name"),
        ("POST /llmrouter/mcp/servers", "name"),
        ("POST /mcp/servers", "name"),
    ];
    for (line, name) in lines {
        let body = json!({"server_id": "new", name: "new", "url": "http://127.0.0.1:9/mcp"});
        let asked = Instant::now();
        let refused = rest(gateway, line, &body).await;
        assert_eq!(refused.status, 503, "{line}: {}", refused.text());
        assert!(refused.text().contains("nothing can be changed"), "{line}: {}", refused.text());
        assert!(asked.elapsed() < Duration::from_secs(1), "{line} took {:?}", asked.elapsed());
    }
    assert!(!ids(gateway).await.contains("new"));
}

#[tokio::test]
async fn a_start_without_redis_begins_with_what_was_seen_last() {
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let mut redis = Redis::start().await;
    let mut gateway = Gateway::start(&sharing(&redis.url(), "")).await;
    register(&gateway, "rec", &server.url(), &json!({})).await;
    eventually("the snapshot is on the disk", 5, || async {
        std::fs::read_to_string(gateway.file("gateway.snapshot")).ok()?.contains("server rec").then_some(())
    })
    .await;
    redis.kill();
    gateway.restart().await;
    assert!(call_for(&gateway, Duration::from_millis(300)).await > 0);
    // One that has never seen it serves nobody, and lives.
    let setup = Setup::new(&sharing(&redis.url(), ""));
    let fresh = setup.launch();
    let said = eventually("it says why", 10, || async {
        let said = fresh.admin("/readyz").await?;
        (said.status == 503 && said.text().contains("nothing is known of the registry")).then_some(())
    });
    said.await;
    assert_eq!(fresh.admin("/livez").await.unwrap().status, 200);
    redis.start_again().await;
    fresh.ready().await;
    lists(&fresh, "rec", 1).await;
}

#[tokio::test]
async fn what_was_not_seen_for_long_is_not_called_ready() {
    let mut redis = Redis::start().await;
    let gateway = Gateway::start(&sharing(&redis.url(), ", stale_after: 2s, resync: 1s")).await;
    assert_eq!(create(&gateway, "one").await, 201);
    redis.kill();
    eventually("it is not ready", 6, || async { (!gateway.is_ready().await).then_some(()) }).await;
    assert!(gateway.admin("/readyz").await.unwrap().text().contains("the registry was last seen"));
    assert!(ids(&gateway).await.contains("one"), "whoever asks is answered all the same");
    redis.start_again().await;
    gateway.ready().await;
}

/// A start where nothing is, although there are replicas, is no beginning.
#[tokio::test]
async fn with_replicas_a_registry_is_begun_by_an_operator() {
    let redis = Redis::start().await;
    let setup = Setup::new(&sharing(&redis.url(), ", replicas: on"));
    let gateway = setup.launch();
    eventually("it says so", 10, || async {
        gateway.admin("/readyz").await?.text().contains("tollbridge registry init").then_some(())
    })
    .await;
    assert_eq!(create(&gateway, "one").await, 503);
    let begun = super::fleet::operate(&gateway, &["init"]);
    assert!(begun.status.success(), "{begun:?}");
    gateway.ready().await;
    assert_eq!(create(&gateway, "one").await, 201);
    let again = super::fleet::operate(&gateway, &["init"]);
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("there is a registry"));
}

/// Two seconds for each answer: calls do not notice, and a change takes its time.
#[tokio::test]
async fn a_slow_redis_slows_nobody_down() {
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let redis = Redis::start().await;
    let slow = crate::harness::delay::Delay::start(redis.port).await;
    let gateway = Gateway::start(&sharing(&format!("redis://127.0.0.1:{}", slow.port), "")).await;
    register(&gateway, "rec", &server.url(), &json!({})).await;
    slow.by(Duration::from_secs(2));
    let began = Instant::now();
    let (calls, status) = tokio::join!(call_for(&gateway, Duration::from_secs(5)), create(&gateway, "slow"));
    assert_eq!(status, 201);
    assert!(calls > 100, "{calls} calls");
    assert!(began.elapsed() < Duration::from_secs(15));
    assert_eq!(rest(&gateway, "GET /v1/mcp/server", &Value::Null).await.status, 200);
}

/// One that is there and says nothing is as good as none, after a while.
#[tokio::test]
async fn a_redis_that_hangs_hinders_nobody() {
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let redis = Redis::start().await;
    let gateway = Gateway::start(&sharing(&redis.url(), "")).await;
    register(&gateway, "rec", &server.url(), &json!({})).await;
    redis.signal("STOP");
    let (calls, ()) = tokio::join!(call_for(&gateway, Duration::from_secs(7)), async {
        eventually("it is noticed", 6, || async { (gateway.sample("tollbridge_store_up").await == 0.0).then_some(()) })
            .await;
        refuses_writes(&gateway).await;
    });
    assert!(calls > 100, "{calls} calls");
    redis.signal("CONT");
    eventually("writes are taken again", 5, || async { (create(&gateway, "after").await == 201).then_some(()) }).await;
}
