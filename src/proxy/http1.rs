//! HTTP/1.1 with clients, read and written by ourselves: requests are nearly always one read, answers one
//! write, and for a connection on which nothing happens little more is held than its last head. HTTP/2 is
//! Pingora's, as is every connection while an application is behind the gateway.

mod answer;
mod head;
#[cfg(test)]
mod tests;

use super::caller::{Head as AnswerHead, Length};
use super::decided::Decided;
use crate::framing::{Framing, Piece};
use answer::{JOINED_BYTES_MAX, Rest};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use head::{Bad, Head, Reading};
use http::request::Parts;
use http::{Method, StatusCode, Version};
use pingora::prelude::fast_timeout::fast_timeout;
use pingora::protocols::l4::ext::get_tcp_info;
use pingora::protocols::{Stream, UniqueIDType};
use pingora::{Error, ErrorType, OrErr, Result};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Sleep, sleep};

/// What is read at once.
const ROOM: usize = 4 * 1024;
const ROOM_MAX: usize = 64 * 1024;

/// A body up to this size is copied, so that it does not keep the buffer that it was read into.
const COPIED_BYTES_MAX: usize = 2 * 1024;

/// How much of what follows a request is read before that is answered.
const AHEAD_BYTES_MAX: usize = 64 * 1024;

/// How often it is looked whether a client is still there that has sent more than that.
const LOOK: Duration = Duration::from_secs(1);

/// Of a connection that the client has closed, or reset (Linux, `tcp_states.h`).
const CLOSE: u8 = 7;
const CLOSE_WAIT: u8 = 8;

/// Reads of what nobody wants any more.
const THROWN_AWAY_READS_MAX: usize = 16;

/// How long a goodbye may take.
const GOODBYE_LAST: Duration = Duration::from_secs(1);

thread_local! {
    // What a thread read into, and wrote from, last. Few connections are read at the same time.
    static SPARE_INPUT: RefCell<BytesMut> = RefCell::default();
    static SPARE_OUTPUT: RefCell<BytesMut> = RefCell::default();
}

/// A connection, between and within its requests.
pub(super) struct Line {
    stream: Stream,
    client: Option<SocketAddr>,
    is_tls: bool,
    /// What has come and was not taken.
    input: BytesMut,
    /// What is written and was not sent.
    output: BytesMut,
    /// The last head, if it can be known again, and what was decided of it.
    last: Option<Arc<Reading>>,
    decided: Option<Decided>,
    /// How much of the input is known to be no whole head.
    seen: usize,
    room: usize,
    /// Rings now and then, to see whether the time for a head is over.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// Why no request comes.
#[derive(Debug)]
pub(super) enum Over {
    /// The client has gone, or took too long.
    Quiet,
    TooLarge,
    Malformed,
}

impl From<Bad> for Over {
    fn from(bad: Bad) -> Over {
        match bad {
            Bad::TooLarge => Over::TooLarge,
            Bad::Malformed(why) => {
                tracing::debug!(%why, "a request was refused");
                Over::Malformed
            }
        }
    }
}

impl Line {
    pub(super) fn new(stream: Stream) -> Line {
        let digest = stream.get_socket_digest();
        let client = digest.and_then(|digest| digest.peer_addr().and_then(|addr| addr.as_inet()).copied());
        let is_tls = stream.get_ssl_digest().is_some();
        let (input, output) = Default::default();
        let (last, decided) = Default::default();
        Line { stream, client, is_tls, input, output, last, decided, seen: 0, room: ROOM, alarm: None }
    }

    /// The next request, if it begins within `idle` and its head is there within `head` after that.
    pub(super) async fn next(&mut self, idle: Duration, head: Duration) -> std::result::Result<Asked<'_>, Over> {
        let mut has_begun = !self.input.is_empty();
        let mut due = Instant::now() + if has_begun { head } else { idle };
        (self.seen, self.room) = (0, ROOM);
        loop {
            if head::skip_empty_lines(&mut self.input) > 0 {
                self.seen = 0;
            }
            if has_begun && head::may_end(&self.input, self.seen) {
                if let Some(head) = Head::take(&mut self.input, self.last.as_ref())? {
                    return Ok(Asked::new(self, head));
                }
            } else if self.input.len() > head::BYTES_MAX {
                return Err(Over::TooLarge);
            }
            self.seen = self.input.len();
            match poll_fn(|context| self.poll_read_before(context, due)).await {
                Some(Ok(1..)) => {}
                Some(Ok(0) | Err(_)) | None => return Err(Over::Quiet),
            }
            if !std::mem::replace(&mut has_begun, true) {
                due = Instant::now() + head;
            }
        }
    }

    /// `None`: it is too late.
    fn poll_read_before(&mut self, context: &mut Context<'_>, due: Instant) -> Poll<Option<io::Result<usize>>> {
        if let Poll::Ready(read) = self.poll_read(context) {
            return Poll::Ready(Some(read));
        }
        // An alarm that rings too early is set anew; it is not moved with each request.
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due.into())));
        if alarm.deadline() > due.into() {
            alarm.as_mut().reset(due.into());
        }
        while alarm.as_mut().poll(context).is_ready() {
            if Instant::now() >= due {
                return Poll::Ready(None);
            }
            alarm.as_mut().reset(due.into());
        }
        Poll::Pending
    }

    /// Reads what there is. Room for it is made when something comes.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Line { stream, input, room, .. } = self;
        if input.capacity() == 0 {
            *input = SPARE_INPUT.take();
        }
        input.reserve(*room);
        let read = pin!(stream.read_buf(input)).poll(context);
        if let Poll::Ready(Ok(bytes)) = &read
            && bytes >= room
        {
            *room = (*room * 2).min(ROOM_MAX);
        }
        self.put_back();
        read
    }

    /// Nothing is held while nothing is there.
    fn put_back(&mut self) {
        if self.input.is_empty() && self.input.capacity() > 0 {
            SPARE_INPUT.set(std::mem::take(&mut self.input));
        }
    }

    async fn read(&mut self) -> io::Result<usize> {
        poll_fn(|context| self.poll_read(context)).await
    }

    /// Sends what is written, and two pieces behind it.
    async fn send(&mut self, piece: &[u8], behind: &[u8]) -> io::Result<()> {
        if piece.is_empty() && behind.is_empty() {
            // Whoever waits for the client meanwhile may stop, and begin again.
            while !self.output.is_empty() {
                match self.stream.write(&self.output).await? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    written if written == self.output.len() => self.output.clear(),
                    written => self.output.advance(written),
                }
            }
        } else {
            let mut pieces = [&self.output, piece, behind].map(IoSlice::new);
            let mut left = pieces.as_mut_slice();
            // Nothing is left when what was empty is gone as well.
            IoSlice::advance_slices(&mut left, 0);
            while !left.is_empty() {
                match self.stream.write_vectored(left).await? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    written => IoSlice::advance_slices(&mut left, written),
                }
            }
        }
        self.stream.flush().await?;
        if self.output.capacity() > 0 {
            self.output.clear();
            SPARE_OUTPUT.set(std::mem::take(&mut self.output));
        }
        Ok(())
    }

    /// A head that is none gets its answer.
    pub(super) async fn refuse(&mut self, status: StatusCode) {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        self.output.put_slice(head.as_bytes());
        // Whoever has gone gets nothing.
        let said = async {
            if self.send(b"", b"").await.is_ok() && self.stream.shutdown().await.is_ok() {
                self.throw_away().await;
            }
        };
        let _ = tokio::time::timeout(GOODBYE_LAST, said).await;
    }

    /// What comes and is not read when a connection is closed resets it, and the last answer may be lost with
    /// that (RFC 9112, 9.6).
    async fn throw_away(&mut self) {
        for _ in 0..THROWN_AWAY_READS_MAX {
            self.input.clear();
            if !matches!(self.read().await, Ok(1..)) {
                return;
            }
        }
    }

    pub(super) async fn close(mut self) {
        // Who is no longer there needs no goodbye.
        let _ = tokio::time::timeout(GOODBYE_LAST, self.stream.shutdown()).await;
    }
}

/// One request on a connection, and its answer.
pub(super) struct Asked<'l> {
    line: &'l mut Line,
    read: Arc<Reading>,
    body: Framing,
    keeps: bool,
    rest: Rest,
    /// What is written next goes together with what follows it.
    is_held: bool,
    write_timeout: Duration,
}

impl<'l> Asked<'l> {
    fn new(line: &'l mut Line, head: Head) -> Asked<'l> {
        let Head { read, body } = head;
        let keeps = read.keeps;
        if !line.last.as_ref().is_some_and(|last| Arc::ptr_eq(last, &read)) {
            // What is not known again is not kept: it may be a megabyte.
            (line.last, line.decided) = (read.is_known().then(|| Arc::clone(&read)), None);
        }
        Asked { line, read, body, keeps, rest: Rest::All, is_held: false, write_timeout: Duration::MAX }
    }

    pub(super) fn head(&self) -> &Parts {
        &self.read.parts
    }

    /// What was decided of this head, on this connection.
    pub(super) fn decided(&mut self) -> &mut Option<Decided> {
        &mut self.line.decided
    }

    /// How long the body is said to be.
    pub(super) fn declared(&self) -> Option<u64> {
        match self.body {
            Framing::Sized(bytes) => Some(bytes),
            Framing::Chunked(_) | Framing::UntilClosed => None,
        }
    }

    pub(super) fn client(&self) -> Option<SocketAddr> {
        self.line.client
    }

    pub(super) fn is_tls(&self) -> bool {
        self.line.is_tls
    }

    pub(super) fn socket(&self) -> UniqueIDType {
        self.line.stream.id()
    }

    pub(super) fn set_write_timeout(&mut self, limit: Duration) {
        self.write_timeout = limit;
    }

    /// No other request follows this one.
    pub(super) fn is_last(&mut self) {
        self.keeps = false;
    }

    /// The next piece of the body; `None` at its end.
    pub(super) async fn read_body(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.take_body()? {
                Piece::Data(bytes) => return Ok(Some(bytes)),
                Piece::End => return Ok(None),
                Piece::More => {
                    let read = self.line.read().await.or_err(ErrorType::ReadError, "reading a body")?;
                    if read == 0 {
                        return Error::e_explain(ErrorType::ConnectionClosed, "the body broke off");
                    }
                }
            }
        }
    }

    fn take_body(&mut self) -> Result<Piece> {
        let taken = self.body.take(&mut self.line.input).or_err(ErrorType::InvalidHTTPHeader, "a body that is none");
        let taken = match taken? {
            Piece::Data(bytes) if bytes.len() <= COPIED_BYTES_MAX => Piece::Data(Bytes::copy_from_slice(&bytes)),
            taken => taken,
        };
        self.line.put_back();
        Ok(taken)
    }

    pub(super) fn has_body(&mut self) -> bool {
        // What is wrong behind it the next reader will say.
        !self.body.ends_here(&mut self.line.input).unwrap_or(false)
    }

    pub(super) async fn go_on(&mut self) -> Result<()> {
        self.line.output.put_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        self.send(b"", b"").await
    }

    /// Writes the head. It is sent with the body, and alone where none follows, or nobody knows when.
    pub(super) async fn begin(&mut self, head: &AnswerHead, is_whole: bool) -> Result<()> {
        // A body that is here already is no reason to end the connection.
        while !self.body.is_over() && matches!(self.take_body(), Ok(Piece::Data(_))) {}
        self.keeps &= self.body.is_over();
        if self.line.output.capacity() == 0 {
            self.line.output = SPARE_OUTPUT.take();
        }
        let asked = (&self.read.parts.method, self.read.parts.version);
        self.keeps &= head.length != Length::Unknown || asked.1 > Version::HTTP_10;
        self.rest = Rest::begin(&mut self.line.output, head, asked, self.keeps);
        if is_whole {
            self.rest = Rest::Sized(0);
        }
        let is_held = std::mem::take(&mut self.is_held) || matches!(self.rest, Rest::Sized(1..));
        if is_held { Ok(()) } else { self.send(b"", b"").await }
    }

    /// Writes a piece of the body, where one was asked for.
    pub(super) async fn write(&mut self, piece: Bytes) -> Result<()> {
        if self.head().method == Method::HEAD {
            return Ok(());
        }
        if self.line.output.capacity() == 0 {
            self.line.output = SPARE_OUTPUT.take();
        }
        let framed = self.rest.frame(&mut self.line.output, &piece);
        let behind = framed.or_err(ErrorType::WriteError, "writing an answer")?;
        if self.line.output.len() + piece.len() > JOINED_BYTES_MAX {
            return self.send(&piece, behind).await;
        }
        self.line.output.put_slice(&piece);
        self.line.output.put_slice(behind);
        if std::mem::take(&mut self.is_held) { Ok(()) } else { self.send(b"", b"").await }
    }

    pub(super) fn hold(&mut self) {
        self.is_held = true;
    }

    pub(super) async fn end(&mut self) -> Result<()> {
        self.keeps &= self.rest.end(&mut self.line.output);
        self.flush().await
    }

    async fn flush(&mut self) -> Result<()> {
        if self.line.output.is_empty() { Ok(()) } else { self.send(b"", b"").await }
    }

    async fn send(&mut self, piece: &[u8], behind: &[u8]) -> Result<()> {
        let sent = fast_timeout(self.write_timeout, self.line.send(piece, behind)).await;
        let sent = sent.or_err(ErrorType::WriteTimedout, "the client does not read")?;
        sent.or_err(ErrorType::WriteError, "writing an answer")
    }

    /// Ends when the client has gone. A next request that comes early waits its turn.
    pub(super) async fn gone(&mut self) {
        // Boxed: what is nearly never held back should not have room wherever a client is waited for.
        if !self.line.output.is_empty() && Box::pin(self.flush()).await.is_err() {
            return;
        }
        while self.line.input.len() < AHEAD_BYTES_MAX {
            if !matches!(self.line.read().await, Ok(1..)) {
                return;
            }
        }
        // What it sent before it went is not read, and would be in the way of its end.
        while !get_tcp_info(self.socket()).is_ok_and(|info| matches!(info.tcpi_state, CLOSE | CLOSE_WAIT)) {
            sleep(LOOK).await;
        }
    }

    /// Whether the connection can be used for another request.
    pub(super) async fn finish(&mut self) -> bool {
        let is_whole = self.flush().await.is_ok() && self.rest == Rest::Sized(0);
        is_whole && self.keeps && self.body.is_over()
    }
}
