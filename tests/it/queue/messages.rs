//! What producers may say, and what they are answered.

use super::stage::{Stage, call};
use crate::harness::eventually;
use crate::harness::gateway::{Gateway, KEY};
use crate::harness::recorder::Reply;
use crate::harness::rest::post;
use serde_json::{Value, json};

const SAID: &str = r#"{"content":[{"type":"text","text":"so"}],"resultType":"complete"}"#;

/// The same as over HTTP.
#[tokio::test]
async fn jobs_are_answered_like_requests() {
    let stage = Stage::start().await;
    stage.server.answers(|call| Reply::Json(call.result(SAID)));
    let gateway = stage.gateway().await;
    let query = json!({"query": "say"});
    stage.push("agent_queue:normal", &json!({"request_id": "find", "action": "mcp_search", "payload": query}));
    let quoted = json!({"request_id": "quoted", "action": "mcp_search", "payload": query.to_string()});
    stage.push("agent_queue:high", &quoted);
    stage.push("agent_queue:low", &call("call", "rec__say", json!({"n": 1})));
    stage.push("mcp_requests", &call("none", "nothing", json!({})));
    stage.push("mcp_requests", &json!({"request_id": 7, "action": "mcp_search", "payload": {}}));
    let over_http = |path: &'static str, body: Value| {
        let gateway = &gateway;
        async move { post(gateway, path, KEY, &body).await.json() }
    };
    let found = over_http("/mcp/search", query).await;
    assert_eq!(found["result"][0]["tool_name"], "say", "{found}");
    for id in ["find", "quoted"] {
        assert_eq!(stage.answer(id).await, ("completed".to_owned(), found["result"].clone()));
    }
    let called = over_http("/mcp/execute", json!({"tool_name": "rec__say", "args": {"n": 1}})).await;
    assert_eq!(called["result"]["content"], "so", "{called}");
    assert_eq!(stage.answer("call").await, ("completed".to_owned(), called["result"].clone()));
    let [job, request] = &stage.server.calls()[..] else { panic!("one call each") };
    assert_eq!(job.member("/params/name"), request.member("/params/name"));
    let none = over_http("/mcp/execute", json!({"tool_name": "nothing", "args": {}})).await;
    assert_eq!(stage.answer("none").await, ("error".to_owned(), none["result"].clone()));
    assert_eq!(stage.error("7").await, over_http("/mcp/search", json!({})).await["error"]);

    // Whoever asks at the other list is answered in one.
    eventually("both replies are there", 5, || async { (stage.list("mcp_responses").len() == 2).then_some(()) }).await;
    let replies: Vec<Value> =
        stage.list("mcp_responses").iter().map(|reply| serde_json::from_str(reply).unwrap()).collect();
    let none = replies.iter().find(|reply| reply["request_id"] == "none").expect("a reply");
    assert_eq!((&none["status"], &none["result"]["error"]), (&json!("error"), &json!(stage.error("none").await)));
    assert!(none["timestamp"].as_f64().is_some_and(|seconds| seconds > 1e9), "{none}");
    assert!(replies.iter().any(|reply| reply["request_id"] == 7), "{replies:?}");
    let metrics = gateway.metrics().await;
    for line in [
        r#"tollbridge_queue_jobs_total{action="search",outcome="completed"} 2"#,
        r#"tollbridge_queue_jobs_total{action="search",outcome="error"} 1"#,
        r#"tollbridge_queue_jobs_total{action="call",outcome="completed"} 1"#,
        r#"tollbridge_queue_jobs_total{action="call",outcome="error"} 1"#,
        "tollbridge_queue_in_flight 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in\n{metrics}");
    }
    let log = eventually("the access log is written", 5, || async {
        Some(gateway.access_log()).filter(|log| log.contains(r#""request_id":"call""#))
    })
    .await;
    assert!(log.contains(r#""principal":"app","lane":"queue","verb":"","path":"agent_queue:low""#), "{log}");
}

#[tokio::test]
async fn a_tool_that_fails_is_an_error() {
    let stage = Stage::start().await;
    stage.server.answers(|call| {
        let failed = r#"{"content":[{"type":"text","text":"no such city"}],"isError":true,"resultType":"complete"}"#;
        Reply::Json(call.result(failed))
    });
    let _gateway = stage.gateway().await;
    stage.push("agent_queue:urgent", &call("fails", "say", json!({})));
    assert_eq!(stage.error("fails").await, "no such city");
    // What is in the payload makes no other request of it.
    let rpc = json!({"jsonrpc": "2.0", "id": 1, "method": "mcp.servers.list"});
    stage.push("agent_queue:urgent", &json!({"request_id": "rpc", "action": "mcp_tool_call", "payload": rpc}));
    assert!(stage.error("rpc").await.contains("is not known here"));
    stage.push("agent_queue:urgent", &json!({"request_id": "text", "action": "mcp_tool_call", "payload": "so"}));
    stage.error("text").await;
}

#[tokio::test]
async fn a_reply_goes_where_it_is_wanted() {
    let stage = Stage::start().await;
    let _gateway = stage.gateway().await;
    for (id, list) in [("one", "agent_queue:normal"), ("two", "mcp_requests")] {
        let mut message = call(id, "say", json!({}));
        message["reply_to"] = json!("mine");
        stage.push(list, &message);
        stage.answer(id).await;
    }
    assert_eq!((stage.list("mine").len(), stage.list("mcp_responses").len()), (2, 0));
    // Where it cannot be pushed, the message is put aside, and the answer is there.
    stage.redis.cli(&["SET", "text", "x"]);
    let mut message = call("three", "say", json!({}));
    message["reply_to"] = json!("text");
    stage.push("agent_queue:normal", &message);
    assert_eq!(stage.answer("three").await.0, "completed");
    assert!(stage.list("tb:queue:poison")[0].contains("could not be written"));
    assert_eq!(stage.redis.cli(&["GET", "text"]).trim(), "x");
    assert_eq!(stage.redis.cli(&["HLEN", "tb:queue:jobs"]).trim(), "0");
}

#[tokio::test]
async fn a_job_is_done_in_the_session_that_it_names() {
    let stage = Stage::start().await;
    let gateway = stage.gateway().await;
    let session = post(&gateway, "/sessions/create", KEY, &json!({})).await.json()["session_id"].clone();
    for (id, session) in [("in", session), ("nowhere", json!("unknown"))] {
        let mut message = call(id, "say", json!({}));
        message["session_id"] = session;
        stage.push("agent_queue:normal", &message);
    }
    assert_eq!(stage.answer("in").await.0, "completed");
    let unknown = [&b"{\"tool_name\":\"say\"}"[..]];
    let over_http = crate::harness::rest::rest_as(
        &gateway,
        KEY,
        "POST /mcp/execute",
        &["X-Session-ID: unknown"],
        &unknown.concat(),
    )
    .await;
    assert_eq!(stage.error("nowhere").await, over_http.json()["result"]["error"]);
    assert_eq!(stage.server.calls().len(), 1);
}

/// The answer joins what the producer keeps there, and lasts as long.
#[tokio::test]
async fn an_answer_lasts_a_day_unless_its_request_does_not_end() {
    let stage = Stage::start().await;
    let _gateway = stage.gateway().await;
    stage.redis.cli(&["HSET", "request:kept", "query", "mine"]);
    stage.redis.cli(&["HSET", "request:brief", "query", "mine"]);
    stage.redis.cli(&["EXPIRE", "request:brief", "60"]);
    for (id, ttl) in [("kept", -1..=-1), ("brief", 86_000..=86_400), ("new", 86_000..=86_400)] {
        stage.push("agent_queue:normal", &call(id, "say", json!({})));
        stage.answer(id).await;
        let left: i64 = stage.redis.cli(&["TTL", &format!("request:{id}")]).trim().parse().unwrap();
        assert!(ttl.contains(&left), "{id}: {left}");
    }
    assert_eq!(stage.redis.cli(&["HGET", "request:kept", "query"]).trim(), "mine");
    assert!(stage.redis.cli(&["HGET", "request:kept", "response_timestamp"]).trim().parse::<f64>().unwrap() > 1e9);
}

#[tokio::test]
async fn what_there_is_is_told_to_producers() {
    let stage = Stage::start().await;
    let gateway = stage.gateway().await;
    let told = eventually("it is told", 5, || async {
        serde_json::from_str::<Value>(&stage.redis.cli(&["GET", "gateway:status"])).ok()
    })
    .await;
    assert_eq!((&told["status"], &told["servers"]), (&json!("healthy"), &json!(1)), "{told}");
    let headers = [crate::harness::rest::bearer(KEY), "X-MCP-Compat: oliverye".to_owned()];
    let listed = gateway.client().await.request("GET", "/mcp/tools", &headers).await.unwrap().json();
    let inventory: Value = serde_json::from_str(&stage.redis.cli(&["GET", "gateway:tool_inventory"])).unwrap();
    assert_eq!(inventory, listed);
    for (key, most) in [("gateway:status", 60), ("gateway:tool_inventory", 3600)] {
        let left: i64 = stage.redis.cli(&["TTL", key]).trim().parse().unwrap();
        assert!((1..=most).contains(&left), "{key}: {left}");
    }
}

/// As conf/gateway.yaml has them.
const RIGHTS: [&str; 12] = [
    "resetchannels",
    "~tb:queue:*",
    "~agent_queue:*",
    "~mcp_requests",
    "~mcp_responses",
    "~request:*",
    "~gateway:*",
    "+@read",
    "+@write",
    "+@scripting",
    "+@connection",
    "+time",
];

#[tokio::test]
async fn a_user_of_its_own_is_enough() {
    let stage = Stage::start().await;
    let user = ["ACL", "SETUSER", "gate", "on", ">word"].into_iter().chain(RIGHTS);
    assert_eq!(stage.redis.cli(&user.collect::<Vec<_>>()).trim(), "OK");
    let conf = stage.conf("").replace("redis://", "redis://gate:word@");
    let gateway = Gateway::start(&conf).await;
    stage.push("mcp_requests", &call("one", "say", json!({})));
    assert_eq!(stage.answer("one").await.0, "completed");
    eventually("it is told", 5, || async {
        (stage.redis.cli(&["EXISTS", "gateway:status", "gateway:tool_inventory"]).trim() == "2").then_some(())
    })
    .await;
    // A list that this user may not write holds nobody up.
    let mut message = call("two", "say", json!({}));
    message["reply_to"] = json!("elsewhere");
    stage.push("agent_queue:low", &message);
    assert_eq!(stage.answer("two").await.0, "completed");
    assert!(stage.list("tb:queue:poison")[0].contains("could not be written"));
    assert_eq!(stage.list("mcp_responses").len(), 1);
    assert!(!gateway.log().contains("cannot go on"), "{}", gateway.log());
}

#[tokio::test]
async fn jobs_are_done_under_the_permissions_of_their_key() {
    let stage = Stage::start().await;
    let keys = format!("keys: [{{id: app, key: {KEY}, servers: [other]}}]\n");
    let gateway = Gateway::start(&(keys + &stage.conf(""))).await;
    stage.push("agent_queue:normal", &call("before", "rec__say", json!({})));
    assert_eq!(stage.error("before").await, "Tool 'rec__say' not found in any connected server");
    gateway.reconfigure(&(format!("keys: [{{id: app, key: {KEY}}}]\n") + &stage.conf("")));
    gateway.process.signal("HUP");
    eventually("the reload is in force", 5, || async {
        (gateway.sample("tollbridge_config_reload_total{result=\"ok\"}").await == 1.0).then_some(())
    })
    .await;
    stage.push("agent_queue:normal", &call("after", "rec__say", json!({})));
    assert_eq!(stage.answer("after").await.0, "completed");
    // The queue itself needs a restart.
    gateway.reconfigure(&(format!("keys: [{{id: app, key: {KEY}}}]\n") + &stage.conf(", in_flight: 3")));
    gateway.process.signal("HUP");
    eventually("it is refused", 5, || async {
        gateway.log().contains("a change of queue needs a restart").then_some(())
    })
    .await;
}
