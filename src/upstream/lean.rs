//! The lean leg: HTTP/1.1 as a proxy needs it. A request is one write, an answer is read into one buffer,
//! and the pieces of its body are slices of that.

#[cfg(test)]
mod tests;

use super::early;
use super::head::Head;
use super::link::Fault;
use super::response::ResponseHead;
use crate::framing::{Framing, Malformed, Piece};
use bytes::{BufMut, Bytes, BytesMut};
use pingora::protocols::{Stream, UniqueIDType};
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A body up to this size is copied behind its head, so that both are one write.
const JOINED_BYTES_MAX: usize = 16 * 1024;

/// What is read at once: at first, and when a body proves to be long.
const ROOM: usize = 4 * 1024;
const ROOM_MAX: usize = 64 * 1024;

/// How long a goodbye over TLS may take.
const GOODBYE_LAST: Duration = Duration::from_secs(1);

/// Interim answers before the answer.
const INTERIM_MAX: usize = 16;

thread_local! {
    /// What the thread read into last. Few answers are read at the same time, however many are awaited.
    static SPARE: RefCell<BytesMut> = RefCell::default();
}

/// One request and its answer on a connection.
pub(super) struct Lean {
    stream: Stream,
    sent: Sent,
    /// What has come and was not taken; nothing is held while nothing is there.
    buffer: BytesMut,
    room: usize,
    head: Option<ResponseHead>,
    body: Framing,
}

/// How much of a request the server is known to have when it answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// All of it, with its head.
    Joined,
    /// All of it is on the way; whether it was read, an answer that refuses it does not say.
    Whole,
    /// Not all: the server has answered before that.
    Part,
}

impl Lean {
    /// Writes a request, and sees how much of it: a server may answer, and not read on.
    pub(super) async fn send(mut stream: Stream, head: &Head<'_>, body: &Bytes) -> Result<Lean, Fault> {
        let sent = write(&mut stream, head, body).await?;
        let (buffer, room, body) = (BytesMut::new(), ROOM, Framing::UntilClosed);
        Ok(Lean { stream, sent, buffer, room, head: None, body })
    }

    /// Waits for the head of the answer.
    pub(super) async fn answer(&mut self) -> Result<&ResponseHead, Fault> {
        let mut interim = 0;
        let head = loop {
            match ResponseHead::take(&mut self.buffer).map_err(malformed)? {
                Some(head) if !head.is_interim() => break head,
                Some(_) if interim == INTERIM_MAX => {
                    return Err(malformed(Malformed("it has too many interim answers")));
                }
                Some(_) => interim += 1,
                None => {
                    if self.fill().await? == 0 {
                        return Err(Fault::Lost("it was closed before an answer came".to_owned()));
                    }
                }
            }
        };
        self.body = head.framing().map_err(malformed)?;
        Ok(self.head.insert(head))
    }

    pub(super) fn head(&self) -> Option<&ResponseHead> {
        self.head.as_ref()
    }

    /// The next piece of the body as it came; `None` at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            match self.body.take(&mut self.buffer).map_err(malformed)? {
                Piece::Data(bytes) => return Ok(Some(bytes)),
                Piece::End => return Ok(None),
                Piece::More if self.fill().await? > 0 => {}
                Piece::More if self.body == Framing::UntilClosed => {
                    self.body = Framing::Sized(0);
                    self.sent = Sent::Part;
                    return Ok(None);
                }
                Piece::More => return Err(Fault::Lost("it was closed within its answer".to_owned())),
            }
        }
    }

    /// Whether it is known that the piece that came last is the last one; what is wrong behind it the next
    /// one will say.
    pub(super) fn ends_here(&mut self) -> bool {
        self.body.ends_here(&mut self.buffer).unwrap_or(false)
    }

    pub(super) fn id(&self) -> UniqueIDType {
        self.stream.id()
    }

    /// The connection, if another message may follow on it; else it is closed.
    pub(super) async fn finish(self) -> Option<Stream> {
        let keeps = self.body.is_over() && self.buffer.is_empty() && self.takes_more() && !self.says_close();
        let Lean { mut stream, buffer, .. } = self;
        if keeps {
            SPARE.set(buffer);
            return Some(stream);
        }
        // Who is no longer there needs no goodbye.
        let _ = tokio::time::timeout(GOODBYE_LAST, stream.shutdown()).await;
        None
    }

    /// Who refuses a body and stays may not have read it, and would not read the next one either.
    fn takes_more(&self) -> bool {
        let status = self.head().map_or(0, |head| head.status);
        match self.sent {
            // It has not switched protocols, or else it has.
            _ if status == 101 => false,
            Sent::Joined => true,
            Sent::Whole => status < early::REFUSALS,
            Sent::Part => false,
        }
    }

    /// RFC 9112, 9.3. HTTP/1.0 would have to say that it does not.
    fn says_close(&self) -> bool {
        let closes = |value: &[u8]| {
            let mut options = value.split(|byte| *byte == b',');
            options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
        };
        self.head().is_none_or(|head| head.is_old || head.all("connection").any(closes))
    }

    /// Reads what there is. Room for it is made when something comes: most of its time a stream is quiet.
    async fn fill(&mut self) -> Result<usize, Fault> {
        let Lean { stream, buffer, room, .. } = self;
        let read = poll_fn(|context| {
            if buffer.capacity() == 0 {
                *buffer = SPARE.take();
            }
            buffer.reserve(*room);
            let read = pin!(stream.read_buf(buffer)).poll(context);
            if read.is_pending() && buffer.is_empty() {
                SPARE.set(std::mem::take(buffer));
            }
            read
        });
        let bytes = read.await.map_err(cut)?;
        #[cfg(test)]
        note_read(buffer, bytes);
        if bytes >= *room {
            *room = (*room * 2).min(ROOM_MAX);
        }
        Ok(bytes)
    }
}

async fn write(stream: &mut Stream, head: &Head<'_>, body: &Bytes) -> Result<Sent, Fault> {
    let joined = body.len() <= JOINED_BYTES_MAX;
    let mut wire = head.wire(if joined { body.len() } else { 0 });
    if joined {
        wire.put_slice(body);
    }
    // Where not even the first byte could be written, the server has got none.
    let first = stream.write(&wire).await.map_err(|error| Fault::NotSent(error.to_string()))?;
    let rest = wire.get(first..).unwrap_or_default();
    stream.write_all(rest).await.map_err(cut)?;
    if !joined && !Box::pin(early::write_body(stream, body)).await.map_err(cut)? {
        return Ok(Sent::Part);
    }
    stream.flush().await.map_err(cut)?;
    Ok(if joined { Sent::Joined } else { Sent::Whole })
}

#[cfg(test)]
thread_local! {
    static READS: RefCell<Vec<std::ops::Range<*const u8>>> = RefCell::default();
}

/// Where this thread's answers were read to.
#[cfg(test)]
pub fn reads() -> Vec<std::ops::Range<*const u8>> {
    READS.with_borrow(Clone::clone)
}

#[cfg(test)]
fn note_read(buffer: &[u8], bytes: usize) {
    let read = &buffer[buffer.len() - bytes..];
    READS.with_borrow_mut(|reads| reads.push(read.as_ptr_range()));
}

fn malformed(malformed: Malformed) -> Fault {
    Fault::Lost(malformed.to_string())
}

fn cut(error: std::io::Error) -> Fault {
    Fault::Lost(error.to_string())
}
