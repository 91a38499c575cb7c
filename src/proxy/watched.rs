//! The deadline of request heads. Pingora's timer starts anew with every byte, so that one byte a
//! minute holds a connection for ever; this one does not.

use async_trait::async_trait;
use pingora::http::ResponseHeader;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{ALPN, Peek, Shutdown, Ssl, Stream, UniqueID, UniqueIDType};
use pingora::protocols::{GetProxyDigest, GetSocketDigest, GetTimingDigest, SocketDigest, TimingDigest};
use pingora_proxy::Session;
use std::any::Any;
use std::future::Future;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A connection that must deliver each request's head in time.
pub(super) fn watch(stream: Stream, head_timeout: Duration) -> Stream {
    let turn = Arc::new(Turn::default());
    let digest = ResponseHeader::build(200, None).ok().map(|head| {
        let user_data: Box<dyn Any + Send + Sync> = Box::new(Arc::clone(&turn));
        Arc::new(ProxyDigest::new(Box::new(head), Some(user_data)))
    });
    Box::new(Watched { stream, turn, digest, timer: None, head_timeout, is_held: false })
}

/// Whose turn it is on a connection. Only the proxy knows where a request begins and ends, so it says so.
#[derive(Debug, Default)]
pub struct Turn {
    state: AtomicU8,
    /// The next flush may wait for what is written behind it.
    holds: AtomicBool,
}

/// A head is awaited, and some of it may be there.
const HEAD: u8 = 0;
/// From the end of a head to the end of the answer: what arrives is a body, or no HTTP at all.
const REQUEST: u8 = 1;
/// Between two requests: the next byte begins another head.
const IDLE: u8 = 2;

impl Turn {
    /// The head is there.
    pub fn begin(session: &Session) {
        Turn::set(session, REQUEST);
    }

    /// The request is over.
    pub fn end(session: &Session) {
        Turn::set(session, IDLE);
    }

    /// What is written next is sent together with what follows it, or when the client is waited for.
    pub fn hold(session: &Session) {
        if let Some(turn) = Turn::of(session) {
            turn.holds.store(true, Ordering::Relaxed);
        }
    }

    fn set(session: &Session, state: u8) {
        if let Some(turn) = Turn::of(session) {
            turn.state.store(state, Ordering::Relaxed);
        }
    }

    /// Pingora hands on what belongs to a connection in its digest.
    fn of(session: &Session) -> Option<&Turn> {
        let digest = session.digest()?.proxy_digest.as_ref()?;
        digest.user_data.as_ref()?.downcast_ref::<Arc<Turn>>().map(Arc::as_ref)
    }
}

#[derive(Debug)]
struct Watched {
    stream: Stream,
    turn: Arc<Turn>,
    digest: Option<Arc<ProxyDigest>>,
    timer: Option<Pin<Box<Sleep>>>,
    head_timeout: Duration,
    /// Something is written and not flushed.
    is_held: bool,
}

impl Watched {
    /// Sends what was held. Whoever reads waits for the client, who may be waiting for that.
    fn let_go(&mut self, context: &mut Context<'_>) -> Result<()> {
        if !self.is_held {
            return Ok(());
        }
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Ready(flushed) => {
                self.is_held = false;
                flushed
            }
            Poll::Pending => Ok(()),
        }
    }

    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        if self.turn.state.load(Ordering::Relaxed) != HEAD {
            self.timer = None;
            return false;
        }
        let head_timeout = self.head_timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(head_timeout)));
        timer.as_mut().poll(context).is_ready()
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        self.let_go(context)?;
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                // Relaxed is enough: a connection is one task's.
                let turn = &self.turn.state;
                if turn.compare_exchange(IDLE, HEAD, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                    self.timer = None;
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending if self.is_late(context) => {
                Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the head of the request did not arrive in time")))
            }
            other => other,
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        if self.turn.holds.swap(false, Ordering::Relaxed) {
            self.is_held = true;
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.is_held &= flushed.is_pending();
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[async_trait]
impl Shutdown for Watched {
    async fn shutdown(&mut self) {
        self.stream.shutdown().await;
    }
}

#[async_trait]
impl Peek for Watched {
    async fn try_peek(&mut self, buffer: &mut [u8]) -> Result<bool> {
        self.stream.try_peek(buffer).await
    }
}

impl UniqueID for Watched {
    fn id(&self) -> UniqueIDType {
        self.stream.id()
    }
}

impl Ssl for Watched {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream.selected_alpn_proto()
    }
}

impl GetTimingDigest for Watched {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.get_timing_digest()
    }
}

impl GetProxyDigest for Watched {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.digest.clone()
    }
}

impl GetSocketDigest for Watched {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_socket_digest()
    }
}
