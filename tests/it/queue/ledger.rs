//! The ledger of jobs: two replicas, of which one is killed every second. Nothing is lost, and nothing done twice.

use super::stage::{Stage, call};
use crate::harness::recorder::Reply;
use crate::harness::{eventually, scaled};
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What the server takes for a call: so long that each kill meets some.
const PAUSE: Duration = Duration::from_millis(100);

/// Between two kills.
const KILL_EVERY: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_job_is_answered_once_and_no_call_is_made_twice() {
    let jobs = scaled(300, 10_000);
    let pace = Duration::from_millis(10);
    let stage = Stage::start().await;
    stage.server.answers(|call| Reply::Late(PAUSE, call.result(r#"{"content":[],"resultType":"complete"}"#)));
    let mut gateways = [stage.gateway().await, stage.gateway().await];
    let mut connection = stage.redis.connection().await;
    let (pushed, kills) = (AtomicBool::new(false), tokio::sync::Mutex::new(0));
    tokio::join!(
        async {
            push(&mut connection.clone(), jobs, pace).await;
            pushed.store(true, Ordering::Relaxed);
        },
        async {
            let mut pace = tokio::time::interval_at(tokio::time::Instant::now() + KILL_EVERY, KILL_EVERY);
            pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while !pushed.load(Ordering::Relaxed) {
                for gateway in &mut gateways {
                    pace.tick().await;
                    gateway.restart().await;
                    *kills.lock().await += 1;
                }
            }
        },
    );
    eventually("all are answered", 60, || async {
        (replies(&mut connection.clone()).await.len() >= jobs).then_some(())
    })
    .await;
    // Whoever has something to say still has it in flight.
    eventually("nothing is under way any more", 30, || async {
        let under_way = gateways[0].sample("tollbridge_queue_in_flight").await
            + gateways[1].sample("tollbridge_queue_in_flight").await;
        (under_way == 0.0 && stage.redis.cli(&["HLEN", "tb:queue:jobs"]).trim() == "0").then_some(())
    })
    .await;
    let tally = count(&stage, &mut connection, jobs).await;
    let kills = kills.into_inner();
    println!("{jobs} jobs, {kills} kills: {tally:?}");
    assert_eq!((tally.lost, tally.doubled, tally.crossed, tally.called_twice, tally.left), (0, 0, 0, 0, 0));
    assert_eq!(tally.completed + tally.unknown, jobs);
    assert!((1..=kills * 16).contains(&tally.unknown), "kills meet calls, and those alone: {tally:?}");
}

#[derive(Debug, Default)]
struct Tally {
    completed: usize,
    unknown: usize,
    /// Without an answer, in either place.
    lost: usize,
    /// Answers beyond the first.
    doubled: usize,
    /// The two places say different things, or the server has not seen what is said to be done.
    crossed: usize,
    called_twice: usize,
    /// What is in Redis although all is answered.
    left: usize,
}

async fn push(connection: &mut MultiplexedConnection, jobs: usize, pace: Duration) {
    let lists = ["mcp_requests", "agent_queue:urgent", "agent_queue:normal"];
    let mut pace = tokio::time::interval(pace);
    for number in 0..jobs {
        pace.tick().await;
        let id = number.to_string();
        let mut message = call(&id, "rec__say", json!({"nonce": id}));
        // All replies come together.
        message["reply_to"] = json!("mcp_responses");
        let list = lists[number % lists.len()];
        let _: i64 = redis::cmd("LPUSH").arg(list).arg(message.to_string()).query_async(connection).await.unwrap();
    }
}

async fn replies(connection: &mut MultiplexedConnection) -> Vec<String> {
    redis::cmd("LRANGE").arg("mcp_responses").arg(0).arg(-1).query_async(connection).await.unwrap()
}

async fn count(stage: &Stage, connection: &mut MultiplexedConnection, jobs: usize) -> Tally {
    let mut tally = Tally::default();
    let mut told = HashMap::<String, Vec<Value>>::new();
    for reply in replies(connection).await {
        let reply: Value = serde_json::from_str(&reply).unwrap();
        told.entry(reply["request_id"].as_str().unwrap().to_owned()).or_default().push(reply);
    }
    let mut seen = HashMap::<String, usize>::new();
    for call in stage.server.calls() {
        *seen.entry(call.member("/params/arguments/nonce").unwrap()).or_default() += 1;
    }
    tally.called_twice = seen.values().filter(|times| **times > 1).count();
    for number in 0..jobs {
        let id = number.to_string();
        let key = format!("request:{id}");
        let (status, result): (Option<String>, Option<String>) =
            redis::cmd("HMGET").arg(&key).arg("status").arg("result").query_async(connection).await.unwrap();
        let told = told.get(&id).map(Vec::as_slice).unwrap_or_default();
        let (Some(status), Some(result), [reply, more @ ..]) = (status, result, told) else {
            tally.lost += 1;
            continue;
        };
        tally.doubled += more.len();
        let result: Value = serde_json::from_str(&result).unwrap();
        let is_same = reply["status"] == status && reply["result"] == result;
        let is_done = seen.contains_key(&id);
        match status.as_str() {
            "completed" if is_same && is_done => tally.completed += 1,
            "error" if is_same && result["error"].as_str().unwrap().contains("outcome unknown") => tally.unknown += 1,
            _ => tally.crossed += 1,
        }
    }
    for (command, key) in [("HLEN", "tb:queue:jobs"), ("ZCARD", "tb:queue:leases"), ("LLEN", "tb:queue:poison")] {
        tally.left += redis::cmd(command).arg(key).query_async::<usize>(connection).await.unwrap();
    }
    tally
}
