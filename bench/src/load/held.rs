//! Streams that are open and quiet, and sessions that are open and idle: what do they cost in memory?

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::calls::call;
use super::client::{Client, open_session};
use super::request::{Shape, Template};
use super::ticket::{Verdict, excerpt};
use crate::wire::{Framing, Wire};

/// Opened at the same time; more would overflow the backlog of a listener.
const TOGETHER: usize = 32;
const OPENING: Duration = Duration::from_secs(20);

/// Opens `count` streams: modern ones by a call that stays unanswered, legacy ones by a `GET` in a
/// session of their own. They stay open until the connections are dropped.
pub async fn streams(template: &Arc<Template>, count: usize) -> Result<Vec<Wire>> {
    let mut wires = Vec::with_capacity(count);
    let mut opening = JoinSet::new();
    for number in 0..count {
        if opening.len() == TOGETHER {
            wires.push(opening.join_next().await.context("there are some")???);
        }
        let template = template.clone();
        opening.spawn(async move { timeout(OPENING, stream(template, number)).await.context("no stream in time")? });
    }
    while let Some(wire) = opening.join_next().await {
        wires.push(wire??);
    }
    Ok(wires)
}

/// Opens `count` legacy sessions over one connection, makes one call in each, and leaves them: a
/// session in which nothing was called may not even be known upstream.
pub async fn sessions(template: &Arc<Template>, count: usize) -> Result<()> {
    let mut client = Client::new(template.clone(), 0);
    for _ in 0..count {
        client.begin_session();
        let verdict = timeout(OPENING, call(&mut client)).await.context("no session in time")??;
        ensure!(verdict == Verdict::Right, "the answer to another call");
    }
    Ok(())
}

async fn stream(template: Arc<Template>, number: usize) -> Result<Wire> {
    let mut wire = template.target.connect().await?;
    let legacy = template.shape == Shape::Legacy;
    let request = if legacy {
        let session = open_session(&template, &mut wire).await?;
        template.attach(session.as_deref())
    } else {
        let mut client = Client::new(template, u32::try_from(number)?);
        let ticket = client.next_ticket();
        client.request(&ticket)
    };
    wire.send(request.as_bytes()).await?;
    let (status, head) = wire.response().await?;
    if status != 200 || !head.event_stream {
        let body = wire.body(head.framing).await?;
        anyhow::bail!("no stream but status {status}: {}", excerpt(&body));
    }
    ensure!(matches!(head.framing, Framing::Chunked), "the stream is not chunked: it must be, in HTTP/1.1");
    if !legacy {
        // The first event has come all the way: both sides of the proxy are open.
        wire.chunk().await?.context("the stream ended at once")?;
    }
    Ok(wire)
}

/// The list of tools, which must be whole: `count` of them and no further page.
pub async fn list(template: &Template, count: usize) -> Result<Vec<u8>> {
    let mut client = Client::new(Arc::new(template.clone()), 0);
    let ticket = client.next_ticket();
    let mut wire = client.connection().await?;
    wire.send(client.request(&ticket).as_bytes()).await?;
    let (_, head) = wire.response().await?;
    let body = wire.body(head.framing).await?;
    let list: serde_json::Value = serde_json::from_slice(&body)?;
    let tools = list["result"]["tools"].as_array().map_or(0, Vec::len);
    let further = list["result"].get("nextCursor").is_some();
    ensure!(tools == count && !further, "a list of {tools} tools where {count} were expected: {}", excerpt(&body));
    Ok(body.to_vec())
}
