//! Servers that answer before they have read the request. A refusal ends the writing; whoever has begun
//! to answer well may still read on.

use pingora::protocols::Stream;
use std::io::{Error, ErrorKind, Result};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// A body that does not get on for so long may have been refused already.
const STALLED: Duration = Duration::from_millis(200);

/// How long to look for an answer.
const LOOK: Duration = Duration::from_millis(20);

/// From here on a status says that the body is not wanted.
pub(super) const REFUSALS: u16 = 300;

/// Writes a body, and tells whether all of it.
pub(super) async fn write_body(stream: &mut Stream, body: &[u8]) -> Result<bool> {
    let mut rest = body;
    let mut may_be_refused = true;
    while !rest.is_empty() {
        match tokio::time::timeout(STALLED, stream.write(rest)).await {
            Ok(Ok(0)) => return Err(Error::from(ErrorKind::WriteZero)),
            Ok(Ok(written)) => rest = rest.get(written..).unwrap_or_default(),
            Ok(Err(error)) => return status(stream).await.map(|_| false).ok_or(error),
            Err(_) if may_be_refused => match status(stream).await {
                Some(REFUSALS..) => return Ok(false),
                // What follows it cannot be seen without taking it.
                known => may_be_refused = known.is_none(),
            },
            Err(_) => {}
        }
    }
    Ok(true)
}

/// The status in the first line of what is there, which stays there.
async fn status(stream: &mut Stream) -> Option<u16> {
    let (mut first, mut line) = ([0; 1], *b"HTTP/1.1 200");
    let there = tokio::time::timeout(LOOK, stream.try_peek(&mut first)).await;
    // Streams that cannot be looked into say so.
    there.ok()?.ok().filter(|peeked| *peeked)?;
    stream.try_peek(&mut line).await.ok()?;
    std::str::from_utf8(line.get(9..)?).ok()?.parse().ok()
}
