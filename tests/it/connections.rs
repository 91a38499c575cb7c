//! Connections to servers: few new ones at a time, and nobody waits long for one.

use crate::harness::gateway::Gateway;
use crate::harness::messages::{call, start_discovered};
use crate::harness::recorder::{Recorder, Reply, Speaks, TOOL};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

async fn before(recorder: &Recorder) -> Gateway {
    start_discovered(&format!("servers:\n  rec: {{url: \"{}\"}}", recorder.url())).await
}

/// So many clients begin at the same time; gives the longest that a call of theirs took.
async fn crowd(gateway: &Gateway, clients: usize, calls: usize) -> Duration {
    let mut all = JoinSet::new();
    for _ in 0..clients {
        let mut client = gateway.client().await;
        all.spawn(async move {
            let mut longest = Duration::ZERO;
            for _ in 0..calls {
                let began = Instant::now();
                let answer = call(&mut client, "/mcp", "rec__say", "{}").await.expect("an answer");
                assert_eq!(answer.status, 200, "{}", answer.text());
                longest = longest.max(began.elapsed());
            }
            longest
        });
    }
    all.join_all().await.into_iter().max().unwrap_or_default()
}

/// Node accepts one connection between two rounds of its work. If every client got its own, the last
/// would wait here for 8 s.
#[tokio::test]
async fn a_crowd_does_not_wait_for_a_server_that_accepts_slowly() {
    let recorder = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway = before(&recorder).await;
    recorder.accepts_every(Duration::from_millis(20));
    let longest = crowd(&gateway, 400, 20).await;
    assert!(longest < Duration::from_secs(4), "a call took {longest:?}");
}

#[tokio::test]
async fn calls_that_take_their_time_wait_for_nobody() {
    const WORK: Duration = Duration::from_secs(2);
    let recorder = Recorder::start(Speaks::Modern, &[TOOL]).await;
    recorder.answers(|request| Reply::Late(WORK, request.result(r#"{"content":[],"resultType":"complete"}"#)));
    let gateway = before(&recorder).await;
    let longest = crowd(&gateway, 200, 1).await;
    assert!(longest < WORK + Duration::from_secs(1), "a call took {longest:?}");
}
