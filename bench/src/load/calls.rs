//! One call after the other on one connection: as soon as the last is answered, or when it is due.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use tokio::time::timeout;

use super::client::Client;
use super::schedule::{Alarm, Schedule};
use super::tally::Tally;
use super::ticket::{Verdict, excerpt};
use super::window::Window;
use crate::clock;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The closed loop: the next request leaves when the answer to the last one is here.
pub async fn repeat(mut client: Client, window: Arc<Window>) -> Tally {
    let mut tally = Tally::default();
    while !window.is_over() {
        let start = Instant::now();
        match answered(&mut client).await {
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

/// The open loop: takes the next request of the schedule, waits until it is due, sends it. What
/// falls due while every connection waits for an answer is sent late, and its delay says so.
pub async fn follow(mut client: Client, schedule: Arc<Schedule>) -> Tally {
    let mut tally = Tally::default();
    let mut alarm = match Alarm::new() {
        Ok(alarm) => alarm,
        Err(error) => {
            tally.error(&error.into()).await;
            return tally;
        }
    };
    while let Some(due) = schedule.take() {
        if schedule.is_hopeless(clock::now_ns()) {
            tally.error(&anyhow!("the server cannot follow this rate: ask less of it")).await;
            break;
        }
        let outcome = async {
            alarm.at(due.ns).await?;
            answered(&mut client).await
        };
        match outcome.await {
            Ok(Verdict::Right) if due.counts => tally.delays.push(due.delay_ns(clock::now_ns())),
            Ok(Verdict::Right) => {}
            Ok(Verdict::Crossed) => tally.crossed += 1,
            Err(error) => tally.error(&error).await,
        }
    }
    tally
}

async fn answered(client: &mut Client) -> Result<Verdict> {
    timeout(ANSWER_TIMEOUT, call(client)).await.context("no answer in time").flatten()
}

pub async fn call(client: &mut Client) -> Result<Verdict> {
    let ticket = client.next_ticket();
    let mut wire = client.connection().await?;
    wire.send(client.request(&ticket).as_bytes()).await?;
    let (status, head) = wire.response().await?;
    let body = wire.body(head.framing).await?;
    if !head.last_on_connection {
        client.keep(wire);
    }
    ensure!(status == 200, "status {status}: {}", excerpt(&body));
    let json = if head.event_stream { last_data(&body) } else { &body };
    ticket.judge(client.template(), json)
}

/// The data of the last event, which is the response. Each event has one data line.
fn last_data(body: &[u8]) -> &[u8] {
    let lines = body.rsplit(|byte| *byte == b'\n');
    lines.filter_map(|line| line.strip_prefix(b"data: ")).next().unwrap_or_default()
}
