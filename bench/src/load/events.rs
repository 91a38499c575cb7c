//! Streams of events: how long each event is under way from the stub to here.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::BytesMut;
use tokio::time::timeout;

use super::client::Client;
use super::tally::Tally;
use super::ticket::{Verdict, excerpt};
use super::window::Window;
use crate::clock;
use crate::wire::{Framing, Wire};

/// The stub's pace; the streams start spread over it, so that their events do not come in bursts.
const EVENT_INTERVAL: Duration = Duration::from_millis(100);
const STREAM_TIMEOUT: Duration = Duration::from_secs(10);
const EVENT_MARK: &str = "sent_ns=";

/// Opens one stream after the other; `share` (0 to 1) of an interval passes before the first.
pub async fn repeat(mut client: Client, window: Arc<Window>, share: f64) -> Tally {
    let mut tally = Tally::default();
    tokio::time::sleep(EVENT_INTERVAL.mul_f64(share)).await;
    while !window.is_over() {
        let stream = stream(&mut client, &window, &mut tally);
        let outcome = timeout(STREAM_TIMEOUT, stream).await.context("the stream did not end in time");
        match outcome.flatten() {
            Ok(Verdict::Right) => {}
            Ok(Verdict::Crossed) => tally.crossed += 1,
            Err(error) => tally.error(&error).await,
        }
    }
    tally
}

async fn stream(client: &mut Client, window: &Window, tally: &mut Tally) -> Result<Verdict> {
    let ticket = client.next_ticket();
    let mut wire = client.connection().await?;
    wire.send(client.request(&ticket).as_bytes()).await?;
    let (status, head) = wire.response().await?;
    if status != 200 || !head.event_stream {
        let body = wire.body(head.framing).await?;
        anyhow::bail!("no stream but status {status}: {}", excerpt(&body));
    }
    ensure!(matches!(head.framing, Framing::Chunked), "the stream is not chunked: it must be, in HTTP/1.1");
    let response = read_events(&mut wire, window, tally).await?;
    if !head.last_on_connection {
        client.keep(wire);
    }
    ticket.judge(client.template(), &response)
}

/// Notes the delay of every progress event, and returns the response that ends the stream.
async fn read_events(wire: &mut Wire, window: &Window, tally: &mut Tally) -> Result<BytesMut> {
    let mut input = BytesMut::new();
    let mut response = BytesMut::new();
    while let Some(chunk) = wire.chunk().await? {
        let received_ns = clock::now_ns();
        input.extend_from_slice(&chunk);
        while let Some(end) = input.windows(2).position(|pair| pair == b"\n\n") {
            let event = input.split_to(end + 2);
            match sent_ns(&event) {
                Some(sent_ns) if window.is_open() => {
                    tally.delays.push(received_ns.saturating_sub(sent_ns));
                }
                Some(_) => {}
                None => response = event,
            }
        }
    }
    let data = response.windows(6).position(|window| window == b"data: ").context("the stream had no response")?;
    Ok(response.split_off(data + 6))
}

fn sent_ns(event: &[u8]) -> Option<u64> {
    let (_, after) = str::from_utf8(event).ok()?.split_once(EVENT_MARK)?;
    after.split_once(';')?.0.parse().ok()
}
