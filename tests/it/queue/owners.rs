//! Replicas that die, and a Redis that does.

use super::stage::{Stage, call};
use crate::harness::eventually;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::recorder::{Recorder, Reply, Speaks};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// Whoever waits to find out what there is has sent nothing.
#[tokio::test]
async fn what_was_not_sent_is_done_by_another() {
    let stage = Stage::start().await;
    let mute = Recorder::start(Speaks::Modern, &[]).await;
    mute.hangs("server/discover");
    let mut first = Gateway::start(&stage.conf_with("", &mute.url())).await;
    stage.push("agent_queue:normal", &call("job", "rec__say", json!({"nonce": "job"})));
    stage.state("claimed").await;
    first.process.kill();
    let second = stage.gateway().await;
    assert_eq!(stage.answer("job").await.0, "completed");
    assert_eq!((mute.calls().len(), stage.server.calls().len()), (0, 1));
    assert_eq!(second.sample("tollbridge_queue_jobs_total{action=\"call\",outcome=\"completed\"}").await, 1.0);
    assert_eq!(stage.redis.cli(&["ZCARD", "tb:queue:leases"]).trim(), "0");
}

#[tokio::test]
async fn what_was_sent_is_not_sent_again() {
    let stage = Stage::start().await;
    stage.server.hangs("tools/call");
    let mut first = stage.gateway().await;
    stage.push("mcp_requests", &call("job", "rec__say", json!({"nonce": "job"})));
    eventually("the server has it", 10, || async { (stage.server.calls().len() == 1).then_some(()) }).await;
    let second = stage.gateway().await;
    first.process.kill();
    assert!(stage.error("job").await.contains("outcome unknown"));
    assert_eq!((stage.server.calls().len(), stage.list("mcp_responses").len()), (1, 1));
    assert_eq!(second.sample("tollbridge_queue_jobs_total{action=\"call\",outcome=\"unknown\"}").await, 1.0);
}

/// Its lease is over while it is at work. What another has said by then stands.
#[tokio::test]
async fn an_answer_that_comes_too_late_is_not_written() {
    let stage = Stage::start().await;
    stage
        .server
        .answers(|call| Reply::Late(Duration::from_secs(5), call.result(r#"{"content":[],"resultType":"complete"}"#)));
    let first = stage.gateway().await;
    stage.push("mcp_requests", &call("job", "rec__say", json!({})));
    stage.state("sent").await;
    first.process.signal("STOP");
    let _second = stage.gateway().await;
    assert!(stage.error("job").await.contains("outcome unknown"));
    first.process.signal("CONT");
    eventually("the first knows that it is late", 10, || async {
        let lost = first.sample("tollbridge_queue_jobs_total{action=\"call\",outcome=\"lost\"}").await;
        (lost == 1.0).then_some(())
    })
    .await;
    assert!(stage.error("job").await.contains("outcome unknown"));
    assert_eq!((stage.server.calls().len(), stage.list("mcp_responses").len()), (1, 1));
}

/// It is another's, and that one is at work.
#[tokio::test]
async fn whoever_has_lost_a_job_has_no_word_in_it() {
    let stage = Stage::start().await;
    stage
        .server
        .answers(|call| Reply::Late(Duration::from_secs(4), call.result(r#"{"content":[],"resultType":"complete"}"#)));
    let mute = Recorder::start(Speaks::Modern, &[]).await;
    mute.hangs("server/discover");
    let first = Gateway::start(&stage.conf_with("", &mute.url())).await;
    stage.push("mcp_requests", &call("job", "rec__say", json!({})));
    stage.state("claimed").await;
    first.process.signal("STOP");
    let _second = stage.gateway().await;
    stage.state("sent").await;
    first.process.signal("CONT");
    eventually("the first has found no such tool, and that it is late", 10, || async {
        let lost = first.sample("tollbridge_queue_jobs_total{action=\"call\",outcome=\"lost\"}").await;
        (lost == 1.0).then_some(())
    })
    .await;
    assert_eq!(stage.answer("job").await.0, "completed");
    assert_eq!((stage.server.calls().len(), stage.list("mcp_responses").len()), (1, 1));
}

/// What kills whoever takes it up is not taken up for ever.
#[tokio::test]
async fn a_job_that_has_ended_three_gateways_ends_no_more() {
    let stage = Stage::start().await;
    let message = call("deadly", "rec__say", json!({})).to_string();
    let job = json!({"message": message, "list": "mcp_requests", "owner": "x", "tries": 3, "state": "claimed"});
    stage.redis.cli(&["HSET", "tb:queue:jobs", "a", &job.to_string()]);
    stage.redis.cli(&["ZADD", "tb:queue:leases", "1", "a"]);
    let _gateway = stage.gateway().await;
    assert_eq!(stage.error("deadly").await, "it has ended three gateways");
    assert!(stage.list("tb:queue:poison")[0].contains("it has ended three gateways"));
    assert_eq!((stage.server.calls().len(), stage.list("mcp_responses").len()), (0, 1));
}

/// For longer than the lease.
#[tokio::test]
async fn jobs_outlive_redis() {
    let mut stage = Stage::start().await;
    stage.server.answers(|call| {
        Reply::Late(Duration::from_millis(300), call.result(r#"{"content":[],"resultType":"complete"}"#))
    });
    let gateways = [stage.gateway().await, stage.gateway().await];
    for number in 0..120 {
        let nonce = number.to_string();
        stage.push("mcp_requests", &call(&nonce, "rec__say", json!({"nonce": nonce})));
    }
    eventually("some are answered", 10, || async { (stage.list("mcp_responses").len() > 10).then_some(()) }).await;
    stage.redis.kill();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    stage.redis.start_again().await;
    eventually("all are answered", 30, || async { (stage.list("mcp_responses").len() == 120).then_some(()) }).await;
    let mut seen = BTreeMap::<String, usize>::new();
    for call in stage.server.calls() {
        *seen.entry(call.member("/params/arguments/nonce").unwrap()).or_default() += 1;
    }
    assert!(seen.len() == 120 && seen.values().all(|times| *times == 1), "{seen:?}");
    for number in 0..120 {
        assert_eq!(stage.answer(&number.to_string()).await.0, "completed");
    }
    assert_eq!(stage.redis.cli(&["HLEN", "tb:queue:jobs"]).trim(), "0");
    for gateway in gateways {
        assert_eq!(gateway.sample("tollbridge_queue_in_flight").await, 0.0);
    }
}

/// It serves, and does jobs as soon as it can.
#[tokio::test]
async fn a_gateway_starts_without_redis() {
    let mut stage = Stage::start().await;
    stage.redis.kill();
    let gateway = Setup::new(&stage.conf("")).launch();
    gateway.ready().await;
    stage.redis.start_again().await;
    stage.push("agent_queue:normal", &call("late", "say", json!({})));
    assert_eq!(stage.answer("late").await.0, "completed");
}
