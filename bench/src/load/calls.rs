//! The closed loop of calls: the next request leaves when the answer to the last one is here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::time::timeout;

use super::client::{Client, Shape, Verdict, excerpt};
use super::tally::Tally;
use super::window::Window;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

pub async fn repeat(mut client: Client, window: Arc<Window>) -> Tally {
    let mut tally = Tally::default();
    while !window.is_over() {
        let start = Instant::now();
        let outcome = timeout(ANSWER_TIMEOUT, call(&mut client)).await.context("no answer in time");
        match outcome.flatten() {
            Ok(Verdict::Right) if window.is_open() => {
                let ns = start.elapsed().as_nanos();
                tally.delays.push(u64::try_from(ns).expect("a timeout of seconds bounds it"));
            }
            Ok(Verdict::Right) => {}
            Ok(Verdict::Crossed) => tally.crossed += 1,
            Err(error) => tally.error(&error).await,
        }
    }
    tally
}

async fn call(client: &mut Client) -> Result<Verdict> {
    let ticket = client.next_ticket();
    let request = client.request(&ticket);
    let mut wire = client.connection().await?;
    wire.send(request.as_bytes()).await?;
    let (status, head) = wire.response().await?;
    let body = wire.body(head.framing).await?;
    if !head.last_on_connection {
        client.keep(wire);
    }
    ensure!(status == 200, "status {status}: {}", excerpt(&body));
    let json = if head.event_stream { last_data(&body) } else { &body };
    match client.shape() {
        Shape::Rpc => ticket.judge(json),
        Shape::Plain | Shape::Named => ticket.judge_rest(json),
    }
}

/// The data of the last event, which is the response. Each event has one data line.
fn last_data(body: &[u8]) -> &[u8] {
    let lines = body.rsplit(|byte| *byte == b'\n');
    lines.filter_map(|line| line.strip_prefix(b"data: ")).next().unwrap_or_default()
}
