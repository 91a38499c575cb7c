//! What a script needs around servers: ports that are free, and waiting until one answers.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep, timeout};

use crate::flags::Flags;
use crate::target::Target;

const BETWEEN_TRIES: Duration = Duration::from_millis(50);
const ONE_TRY: Duration = Duration::from_secs(2);

/// Returns when the URL answers a GET, with `--status` if given, with any status otherwise.
pub async fn wait(mut flags: Flags) -> Result<()> {
    let target: Target = flags.required("--url")?;
    let wanted: Option<u16> = flags.optional("--status")?;
    let seconds: f64 = flags.optional("--seconds")?.unwrap_or(10.0);
    flags.finish()?;
    let deadline = Instant::now() + Duration::from_secs_f64(seconds);
    let Target { authority, path } = &target;
    loop {
        let last = match timeout(ONE_TRY, status(&target)).await {
            Ok(Ok(status)) if wanted.is_none_or(|wanted| wanted == status) => return Ok(()),
            Ok(Ok(status)) => format!("status {status}"),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "no answer".to_owned(),
        };
        if Instant::now() > deadline {
            bail!("http://{authority}{path} was not ready after {seconds} s ({last}): look at the server's log");
        }
        sleep(BETWEEN_TRIES).await;
    }
}

/// Whether a GET is answered, and not by an error of the server.
pub async fn is_served(target: &Target) -> bool {
    matches!(timeout(ONE_TRY, status(target)).await, Ok(Ok(status)) if status < 500)
}

async fn status(target: &Target) -> Result<u16> {
    let Target { authority, path } = target;
    let mut wire = target.connect().await?;
    let get = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    wire.send(get.as_bytes()).await?;
    Ok(wire.response().await?.0)
}

/// Prints `--count` different free loopback ports, one a line.
pub fn free_ports(mut flags: Flags) -> Result<()> {
    let count: usize = flags.optional("--count")?.unwrap_or(1);
    flags.finish()?;
    // All are held until the last is known, so that none is named twice.
    let held: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    for listener in &held {
        println!("{}", listener.local_addr()?.port());
    }
    Ok(())
}
