//! The stub upstream: an MCP server that does next to nothing, so that the proxies are measured.
//!
//! It owns connections and streams; what to answer is decided in [`answer`]. It keeps no sessions
//! and checks no headers.

mod answer;

use std::io;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, interval_at};

use crate::flags::Flags;
use crate::wire::Wire;
use answer::{Answer, Call, Form};

const EVENTS_PER_STREAM: u32 = 10;
const EVENT_INTERVAL: Duration = Duration::from_millis(100);

pub async fn run(mut flags: Flags) -> Result<()> {
    let listen: String = flags.required("--listen")?;
    let form = if flags.switch("--sse") { Form::EventStream } else { Form::Json };
    flags.finish()?;
    let listener = TcpListener::bind(&listen)
        .await
        .with_context(|| format!("cannot listen on {listen}: choose a free address"))?;
    println!("stub upstream on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        // A proxy that leaves in mid-stream is no event of interest.
        tokio::spawn(async move { serve(stream, form).await.ok() });
    }
}

async fn serve(stream: TcpStream, form: Form) -> io::Result<()> {
    let mut wire = Wire::new(stream)?;
    while let Some((method, head)) = wire.request().await? {
        let body = wire.body(head.framing).await?;
        let answer = if method == "POST" { answer::to_post(&body, form) } else { answer::not_allowed() };
        match answer {
            Answer::Whole(bytes) => wire.send(bytes.as_bytes()).await?,
            Answer::Stream(call) => stream_events(&mut wire, &call).await?,
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
