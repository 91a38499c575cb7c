//! The stub upstream: an MCP server that does next to nothing, so that the proxies are measured.
//!
//! It owns connections and streams; what to answer is decided in [`answer`], what tools it has in
//! [`tools`]. It keeps no sessions and checks no headers.

mod answer;
mod tools;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, interval_at};

use crate::flags::Flags;
use crate::wire::Wire;
use answer::{Answer, Call, Character, Form};

const EVENTS_PER_STREAM: u32 = 10;
const EVENT_INTERVAL: Duration = Duration::from_millis(100);

pub async fn run(mut flags: Flags) -> Result<()> {
    let listen: String = flags.required("--listen")?;
    let form = if flags.switch("--sse") { Form::EventStream } else { Form::Json };
    let tools = tools::list(flags.optional("--tools")?.unwrap_or_default());
    flags.finish()?;
    let character = Arc::new(Character { form, tools, sessions: AtomicU64::new(0) });
    let listener = TcpListener::bind(&listen)
        .await
        .with_context(|| format!("cannot listen on {listen}: choose a free address"))?;
    println!("stub upstream on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let character = character.clone();
        // A proxy that leaves in mid-stream is no event of interest.
        tokio::spawn(async move { serve(stream, &character).await.ok() });
    }
}

async fn serve(stream: TcpStream, character: &Character) -> io::Result<()> {
    let mut wire = Wire::new(stream)?;
    while let Some((method, head)) = wire.request().await? {
        let body = wire.body(head.framing).await?;
        let answer = match method.as_str() {
            "POST" => answer::to_post(&body, character),
            method => answer::to_other(method, head.event_stream),
        };
        match answer {
            Answer::Whole(bytes) => wire.send(bytes.as_bytes()).await?,
            Answer::Stream(call) => stream_events(&mut wire, &call).await?,
            Answer::QuietCall(call) => {
                let first = format!("{}{}", answer::STREAM_HEAD, answer::chunk(&call.progress(1)));
                wire.send(first.as_bytes()).await?;
                wire.closed().await;
                break;
            }
            Answer::QuietSession => {
                wire.send(answer::STREAM_HEAD.as_bytes()).await?;
                wire.closed().await;
                break;
            }
        }
        if head.last_on_connection {
            break;
        }
    }
    Ok(())
}

/// Sends the progress notifications at their pace, each with its time of sending, then the result.
async fn stream_events(wire: &mut Wire, call: &Call) -> io::Result<()> {
    wire.send(answer::STREAM_HEAD.as_bytes()).await?;
    let mut ticks = interval_at(Instant::now(), EVENT_INTERVAL);
    for step in 1..=EVENTS_PER_STREAM {
        ticks.tick().await;
        wire.send(answer::chunk(&call.progress(step)).as_bytes()).await?;
    }
    let last = answer::chunk(&call.result()) + answer::LAST_CHUNK;
    wire.send(last.as_bytes()).await
}
