//! How a request will be served: what the filters decided, complete, so that nothing is decided
//! again further on.

use crate::auth::Principal;
use crate::catalog::Kind;
use crate::era::Era;
use crate::json::{self, Span};
use crate::jsonrpc::Envelope;
use crate::names::ServerId;
use crate::path::Scope;
use crate::session::Session;
use bytes::{Bytes, BytesMut};

/// One lane each, but that notices and the end of a session are answered at once and carried on
/// to the servers of the session afterwards.
#[derive(Debug)]
pub enum Route {
    Answer(Answer),
    Carry(Box<Carry>),
    /// A legacy notification, or a client's answer to a server's request.
    Notify(Notice),
    /// `DELETE`: the session and what it opened upstream.
    End(Session),
}

/// What the snapshot answers without asking anybody.
#[derive(Debug)]
pub struct Answer {
    pub principal: Principal,
    pub scope: Scope,
    pub era: Era,
    pub envelope: Envelope,
    pub question: Question,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    Discover,
    /// The revision that was settled on.
    Initialize(&'static str),
    Ping,
    List {
        kind: Kind,
        after: Option<String>,
    },
    /// A notification that needs nothing done: 202.
    Nothing,
}

/// One request on its way to a server.
#[derive(Debug)]
pub struct Carry {
    pub principal: Principal,
    pub scope: Scope,
    pub era: Era,
    pub envelope: Envelope,
    /// The server, or several to be asked in this order until one has the resource.
    pub servers: Vec<ServerId>,
    /// What must change in the body, and nothing else does.
    pub splice: Option<Splice>,
    /// The value of `Mcp-Name` upstream.
    pub name: Option<String>,
    pub session: Option<Session>,
    pub effect: Effect,
    /// Whether the catalog lists the tool, so that metrics may name it.
    pub listed: bool,
}

/// What it would mean to send a request twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Reading: it may be sent again.
    Read,
    /// Doing: it is sent once, unless no byte of it was (invariant 9).
    Act,
}

/// Another text at a place of the body.
#[derive(Debug, PartialEq, Eq)]
pub struct Splice {
    pub place: Span,
    pub text: String,
}

#[derive(Debug)]
pub struct Notice {
    pub principal: Principal,
    pub session: Session,
    pub envelope: Envelope,
    pub reach: Reach,
}

/// Which servers of a session a notice goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Every one that the session has opened.
    Opened,
    /// The one that holds the request with this id.
    Holder(String),
    /// `logging/setLevel`: every one, now and when it is opened.
    Level(String),
}

impl Carry {
    /// The body as it goes upstream: the bytes that came, with the splice in them.
    pub fn body(&self) -> Bytes {
        let body = self.envelope.body();
        let Some(Splice { place, text }) = &self.splice else {
            return body.clone();
        };
        let mut spliced = BytesMut::with_capacity(body.len() + text.len());
        spliced.extend_from_slice(body.get(..place.start).unwrap_or_default());
        spliced.extend_from_slice(text.as_bytes());
        spliced.extend_from_slice(body.get(place.end..).unwrap_or_default());
        spliced.freeze()
    }
}

impl Splice {
    pub fn name(place: Span, name: &str) -> Splice {
        Splice { place, text: json::quote(name) }
    }
}
