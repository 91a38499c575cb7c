//! What is taken from the lists, and in which order.

use super::stage::{Stage, call};
use crate::harness::eventually;
use crate::harness::gateway::Gateway;
use serde_json::{Value, json};

#[tokio::test]
async fn what_is_meant_for_others_is_left_to_them() {
    let stage = Stage::start().await;
    let foreign = [
        json!({"request_id": "x", "action": "think", "payload": {}}).to_string(),
        "no JSON at all".to_owned(),
        r#"["mcp_search"]"#.to_owned(),
        json!({"request_id": "y", "action": {"mcp_search": true}}).to_string(),
    ];
    for (number, message) in foreign.iter().enumerate() {
        stage.redis.cli(&["LPUSH", "agent_queue:normal", message]);
        stage.push("agent_queue:normal", &call(&format!("ours-{number}"), "say", json!({})));
    }
    let _gateway = stage.gateway().await;
    for number in 0..foreign.len() {
        stage.answer(&format!("ours-{number}")).await;
    }
    let mut left = stage.list("agent_queue:normal");
    left.reverse();
    assert_eq!(left, foreign);
    assert_eq!(stage.list("tb:queue:poison").len(), 0);
}

#[tokio::test]
async fn what_is_urgent_comes_first_and_then_the_oldest() {
    let stage = Stage::start().await;
    let lists = ["mcp_requests", "agent_queue:low", "agent_queue:normal", "agent_queue:high", "agent_queue:urgent"];
    for list in lists {
        for number in 1..=2 {
            stage.push(list, &call(&format!("{list}-{number}"), "say", json!({"nonce": format!("{list}-{number}")})));
        }
    }
    let _gateway = Gateway::start(&stage.conf(", in_flight: 1")).await;
    eventually("all are done", 10, || async { (stage.server.calls().len() == 10).then_some(()) }).await;
    let done: Vec<_> = stage.server.calls().iter().filter_map(|call| call.member("/params/arguments/nonce")).collect();
    let wanted: Vec<String> = lists.iter().rev().flat_map(|list| [format!("{list}-1"), format!("{list}-2")]).collect();
    assert_eq!(done, wanted);
}

#[tokio::test]
async fn what_is_no_job_is_put_aside() {
    let stage = Stage::start().await;
    stage.redis.cli(&["LPUSH", "mcp_requests", "no JSON"]);
    stage.push("mcp_requests", &json!({"request_id": "dance", "action": "dance"}));
    stage.push("agent_queue:high", &json!({"action": "mcp_search", "payload": {"query": "x"}}));
    stage.push("mcp_requests", &json!({"request_id": "large", "action": "mcp_search", "pad": "x".repeat(2_000)}));
    let gateway = Gateway::start(&(stage.conf("") + "limits: {body_bytes: 1KiB}\n")).await;
    assert!(stage.error("dance").await.contains("must be mcp_search or mcp_tool_call"));
    eventually("all are put aside", 5, || async { (stage.list("tb:queue:poison").len() == 4).then_some(()) }).await;
    let aside: Vec<Value> =
        stage.list("tb:queue:poison").iter().map(|entry| serde_json::from_str(entry).unwrap()).collect();
    for (list, message, reason) in [
        ("mcp_requests", "no JSON", "at byte 0"),
        ("mcp_requests", "\"dance\"", "must be mcp_search"),
        ("agent_queue:high", "mcp_search", "\"request_id\" is missing"),
        ("mcp_requests", "\"large\"", "larger than limits.body_bytes"),
    ] {
        let found = aside.iter().any(|entry| {
            let has = |key: &str, part: &str| entry[key].as_str().is_some_and(|text| text.contains(part));
            has("list", list) && has("message", message) && has("reason", reason) && entry["at"].as_f64() > Some(1e9)
        });
        assert!(found, "{message}: {reason} in {aside:?}");
    }
    let replies = stage.list("mcp_responses");
    assert!(replies.len() == 1 && replies[0].contains("\"request_id\":\"dance\""), "{replies:?}");
    assert_eq!(gateway.sample("tollbridge_queue_poison_total").await, 4.0);
    // As many are kept as are looked at by somebody.
    let more: Vec<String> = (0..1_100).map(|number| format!("no JSON {number}")).collect();
    let push: Vec<&str> = ["LPUSH", "mcp_requests"].into_iter().chain(more.iter().map(String::as_str)).collect();
    stage.redis.cli(&push);
    eventually("they are put aside", 20, || async {
        (gateway.sample("tollbridge_queue_poison_total").await == 1_104.0).then_some(())
    })
    .await;
    assert_eq!(stage.redis.cli(&["LLEN", "tb:queue:poison"]).trim(), "1000");
}
