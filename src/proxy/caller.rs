//! Who asks: a client whose HTTP/1.1 we read ourselves, or one behind Pingora's session. What is done for a
//! request is the same for both.

use super::decided::Decided;
use super::http1::Asked;
use super::watched::Turn;
use crate::gateway::Live;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Version};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::protocols::l4::ext::set_snd_buf;
use pingora_proxy::Session;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tollbridge_filters::Admission;
use tollbridge_filters::catalog::Snapshot;

pub(super) enum Caller<'c> {
    Own(Asked<'c>),
    Pingora(&'c mut Session),
}

/// The head of an answer.
pub(super) struct Head {
    pub(super) status: u16,
    /// No other request follows on this connection.
    pub(super) is_last: bool,
    pub(super) length: Length,
    pub(super) fields: Vec<(HeaderName, HeaderValue)>,
}

/// Of the answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Known(usize),
    /// It comes in chunks, or until the connection ends.
    Unknown,
}

impl Caller<'_> {
    pub(super) fn head(&self) -> &Parts {
        match self {
            Caller::Own(asked) => asked.head(),
            Caller::Pingora(session) => session.req_header().as_ref(),
        }
    }

    /// What was decided of this same head before, on this connection.
    pub(super) fn recall(&mut self, live: &Arc<Live>, snapshot: &Arc<Snapshot>) -> Option<Admission> {
        match self {
            Caller::Own(asked) => asked.decided().as_ref()?.under(live, snapshot),
            Caller::Pingora(_) => None,
        }
    }

    pub(super) fn remember(&mut self, decided: impl FnOnce() -> Decided) {
        if let Caller::Own(asked) = self {
            *asked.decided() = Some(decided());
        }
    }

    /// How long the body is said to be.
    pub(super) fn declared(&self) -> Option<u64> {
        match self {
            Caller::Own(asked) => asked.declared(),
            Caller::Pingora(session) => session.req_header().headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok(),
        }
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Caller::Own(asked) => asked.client(),
            Caller::Pingora(session) => session.client_addr().and_then(|addr| addr.as_inet()).copied(),
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        match self {
            Caller::Own(asked) => asked.is_tls(),
            Caller::Pingora(session) => session.digest().is_some_and(|digest| digest.ssl_digest.is_some()),
        }
    }

    /// Its head is there.
    pub(super) fn begin(&mut self, keeps: bool, idle: Duration, write: Duration) {
        match self {
            Caller::Own(asked) => {
                asked.set_write_timeout(write);
                if !keeps {
                    asked.is_last();
                }
            }
            Caller::Pingora(session) => {
                Turn::begin(session);
                // Pingora keeps a connection for ever after its first request; we do for a while, and where
                // Pingora has decided to close it (framing that is ambiguous, HTTP/1.0) that stands.
                let keeps = keeps && session.get_keepalive().is_some();
                session.set_keepalive(keeps.then_some(idle.as_secs()));
                // A next request that comes early waits its turn; it does not end the one under way.
                session.set_pipelining_enabled(true);
                session.set_write_timeout(Some(write));
            }
        }
    }

    /// No other request follows this one.
    pub(super) fn is_last(&mut self) {
        match self {
            Caller::Own(asked) => asked.is_last(),
            Caller::Pingora(session) => session.set_keepalive(None),
        }
    }

    /// It expects to be told that its body is wanted.
    pub(super) async fn go_on(&mut self) -> Result<()> {
        match self {
            Caller::Own(asked) => asked.go_on().await,
            Caller::Pingora(session) => session.write_continue_response().await,
        }
    }

    /// The next piece of the body; `None` at its end.
    pub(super) async fn read(&mut self) -> Result<Option<Bytes>> {
        match self {
            Caller::Own(asked) => asked.read_body().await,
            Caller::Pingora(session) => Box::pin(session.downstream_session.read_request_body()).await,
        }
    }

    /// Whether some of the body is still to be read.
    pub(super) fn has_body(&mut self) -> bool {
        match self {
            Caller::Own(asked) => asked.has_body(),
            Caller::Pingora(session) => !session.downstream_session.is_body_done(),
        }
    }

    /// Writes the head of the answer, which may be all of it.
    pub(super) async fn answer(&mut self, head: Head, is_whole: bool) -> Result<()> {
        if head.is_last {
            self.is_last();
        }
        match self {
            Caller::Own(asked) => asked.begin(&head, is_whole).await,
            Caller::Pingora(session) => {
                let head = head.header(session, is_whole)?;
                Box::pin(session.write_response_header(Box::new(head), is_whole)).await
            }
        }
    }

    pub(super) async fn write(&mut self, piece: Bytes) -> Result<()> {
        match self {
            Caller::Own(asked) => asked.write(piece).await,
            Caller::Pingora(session) => Box::pin(session.write_response_body(Some(piece), false)).await,
        }
    }

    pub(super) async fn end(&mut self) -> Result<()> {
        match self {
            Caller::Own(asked) => asked.end().await,
            Caller::Pingora(session) => Box::pin(session.write_response_body(None, true)).await,
        }
    }

    /// What is written next is sent together with what follows it, or when the client is waited for.
    pub(super) fn hold(&mut self) {
        match self {
            Caller::Own(asked) => asked.hold(),
            Caller::Pingora(session) => Turn::hold(session),
        }
    }

    /// Ends when the client has gone: whatever else comes, it is not listening.
    pub(super) async fn gone(&mut self) {
        match self {
            Caller::Own(asked) => asked.gone().await,
            Caller::Pingora(session) => {
                let _ = Box::pin(session.downstream_session.read_body_or_idle(true)).await;
            }
        }
    }

    /// Bounds what the system holds for a client that does not read: left alone it grows to megabytes. HTTP/2
    /// has windows of its own, and other answers on the same connection.
    pub(super) fn bound(&self, bytes: usize) {
        let socket = match self {
            Caller::Own(asked) => Some(asked.socket()),
            Caller::Pingora(session) => session.downstream_session.stream().map(|stream| stream.id()),
        };
        if let Some(socket) = socket {
            // Where the system does not let us, a stream costs more, and is a stream all the same.
            let _ = set_snd_buf(socket, bytes);
        }
    }
}

impl Head {
    pub(super) fn put(&mut self, name: HeaderName, value: HeaderValue) {
        self.fields.push((name, value));
    }

    /// As Pingora takes it.
    fn header(self, session: &mut Session, is_whole: bool) -> Result<ResponseHeader> {
        // Pingora knows how common fields are written; the case of others is not worth a second map.
        let mut header = ResponseHeader::build_no_case(self.status, Some(8))?;
        for (name, value) in self.fields {
            header.insert_header(name, value)?;
        }
        match self.length {
            Length::Known(bytes) => header.insert_header(CONTENT_LENGTH, bytes)?,
            Length::Unknown if is_whole => {}
            // RFC 9112, 6.1: who speaks HTTP/1.0 takes the end of the connection for the end of the body.
            Length::Unknown if session.req_header().version < Version::HTTP_11 => session.set_keepalive(None),
            Length::Unknown => header.insert_header(TRANSFER_ENCODING, "chunked")?,
        }
        Ok(header)
    }
}
