//! SIGTERM while jobs are under way.

use super::stage::{Stage, call};
use crate::harness::eventually;
use crate::harness::gateway::Gateway;
use crate::harness::recorder::{Recorder, Reply, Speaks};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn what_is_under_way_is_finished_and_the_rest_is_left() {
    let stage = Stage::start().await;
    stage.server.answers(|call| {
        Reply::Late(Duration::from_millis(1_500), call.result(r#"{"content":[],"resultType":"complete"}"#))
    });
    for number in 0..40 {
        stage.push("mcp_requests", &call(&number.to_string(), "rec__say", json!({})));
    }
    let mut gateway = stage.gateway().await;
    eventually("as many as may be are under way", 10, || async { (stage.server.calls().len() == 16).then_some(()) })
        .await;
    gateway.process.signal("TERM");
    gateway.ended(10).await;
    assert_eq!((stage.list("mcp_responses").len(), stage.list("mcp_requests").len()), (16, 24));
    assert_eq!(stage.redis.cli(&["HLEN", "tb:queue:jobs"]).trim(), "0");
    assert_eq!(stage.server.calls().len(), 16);
    stage.server.answers(|call| Reply::Json(call.result(r#"{"content":[],"resultType":"complete"}"#)));
    gateway.start_again().await;
    eventually("all are answered", 10, || async { (stage.list("mcp_responses").len() == 40).then_some(()) }).await;
    assert_eq!(stage.server.calls().len(), 40);
    assert!(!stage.list("mcp_responses").iter().any(|reply| reply.contains("error")));
}

const SOON: &str = "drain: {accept: 0s, exit: 1500ms}\n";

#[tokio::test]
async fn what_nobody_has_sent_goes_back_to_its_list() {
    let stage = Stage::start().await;
    let mute = Recorder::start(Speaks::Modern, &[]).await;
    mute.hangs("server/discover");
    let mut gateway = Gateway::start(&(stage.conf_with("", &mute.url()) + SOON)).await;
    let message = call("job", "rec__say", json!({}));
    stage.push("agent_queue:low", &message);
    stage.state("claimed").await;
    gateway.process.signal("TERM");
    gateway.ended(5).await;
    assert_eq!(stage.list("agent_queue:low"), [message.to_string()]);
    assert_eq!(stage.redis.cli(&["EXISTS", "tb:queue:jobs", "tb:queue:leases", "request:job"]).trim(), "0");
}

#[tokio::test]
async fn what_was_sent_and_is_cut_off_is_answered() {
    let stage = Stage::start().await;
    stage.server.hangs("tools/call");
    let mut gateway = Gateway::start(&(stage.conf("") + SOON)).await;
    stage.push("agent_queue:low", &call("job", "rec__say", json!({})));
    stage.state("sent").await;
    gateway.process.signal("TERM");
    gateway.ended(5).await;
    assert!(stage.error("job").await.contains("outcome unknown"));
    assert_eq!(stage.redis.cli(&["EXISTS", "tb:queue:jobs"]).trim(), "0");
}
