//! Event streams through nginx and gateways behind it.

use super::fleet::sharing;
use crate::harness::balancer::Balancer;
use crate::harness::gateway::{Gateway, KEY};
use crate::harness::messages::{legacy_call, start_discovered};
use crate::harness::reader::{Event, Next, Reader, open_session};
use crate::harness::recorder::{Recorder, Reply, Speaks, TOOL};
use crate::harness::redis::Redis;
use crate::harness::scaled;
use crate::harness::source::{Kind, Source, servers};
use crate::streams::{delays_beside_each_other, start_nginx};
use serde_json::Value;
use std::time::{Duration, Instant};

async fn pair(redis: &Redis, servers: &str, heartbeat: u64) -> Vec<Gateway> {
    let rest = format!("limits: {{heartbeat: {heartbeat}s}}\n{}{servers}", sharing(&redis.url(), ""));
    vec![start_discovered(&rest).await, start_discovered(&rest).await]
}

fn ports(gateways: &[Gateway]) -> Vec<u16> {
    gateways.iter().map(|gateway| gateway.port).collect()
}

/// Through nginx and one of two gateways, beside nginx alone in the same run.
#[tokio::test]
async fn events_arrive_as_soon_as_through_nginx_alone() {
    let allowed = Duration::from_millis(if cfg!(debug_assertions) { 8 } else { 2 });
    let (windows, rounds) = (scaled(1, 9), scaled(3, 5));
    let (redis, recorder) = (Redis::start().await, Recorder::start(Speaks::Modern, &[TOOL]).await);
    recorder.answers(|_| Reply::Clock(25, Duration::from_millis(50)));
    let gateways = pair(&redis, &format!("servers:\n  rec: {{url: \"{}\"}}\n", recorder.url()), 15).await;
    let balancer = Balancer::start(&ports(&gateways)).await;
    let (_nginx, nginx) = start_nginx(recorder.port).await;
    let ports = [(balancer.port, "/mcp/rec"), (nginx, "/mcp")];
    let [ours, theirs] = delays_beside_each_other(ports, &recorder, windows, rounds).await;
    assert!(ours <= theirs + allowed, "{ours:?} against nginx's {theirs:?}");
}

/// Nothing is said for many times as long as the balancer waits for something.
#[tokio::test]
async fn a_quiet_stream_outlives_the_timeouts_on_its_way() {
    let (heartbeat, patience) = (scaled(1, 15) as u64, scaled(2, 60));
    let quiet = Duration::from_secs(scaled(8, 600) as u64);
    let sources = vec![Source::start("old", Kind::Resumable, 0).await, Source::start("new", Kind::Modern, 0).await];
    let redis = Redis::start().await;
    let gateways = pair(&redis, &servers(&sources), heartbeat).await;
    let balancer = Balancer::start_with(&ports(&gateways), patience).await;
    let port = balancer.port;
    let session = open_session(port, "/mcp", KEY).await.unwrap();
    let mut client = crate::harness::http::Client::connect(port).await.unwrap();
    let answer = legacy_call(&mut client, "/mcp", KEY, &session, "old__say", "{}").await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let own = open_session(port, "/mcp/old", KEY).await.unwrap();
    let wanted = r#""resourceSubscriptions":["test://new"]"#;
    let streams = [
        Reader::attach(port, "/mcp", KEY, &session, None).await.unwrap(),
        Reader::attach(port, "/mcp/old", KEY, &own, None).await.unwrap(),
        Reader::listen(port, "/mcp", KEY, "1", wanted).await.unwrap(),
    ];
    let [one, two, three] = streams.map(|stream| heartbeats_then_an_event(stream, quiet, &sources));
    tokio::join!(one, two, three);
}

async fn heartbeats_then_an_event(mut stream: Reader, quiet: Duration, sources: &[Source]) {
    let (began, mut beats) = (Instant::now(), 0);
    while began.elapsed() < quiet {
        match stream.next().await {
            Next::Event(Event { comment: Some(_), data: Value::Null, .. }) => beats += 1,
            Next::Event(_) => {}
            ended => panic!("it ended after {:?} and {beats} signs of life: {ended:?}", began.elapsed()),
        }
    }
    assert!(beats >= 4, "{beats} signs of life");
    sources.iter().for_each(Source::emit);
    stream.message().await;
}
