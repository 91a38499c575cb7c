//! How a request will be served: what the filters decided, complete, so that nothing is decided
//! again further on.

use crate::arguments::Complaint;
use crate::auth::Principal;
use crate::catalog::{Dialect, Kind};
use crate::era::Era;
use crate::json::{self, Span};
use crate::jsonrpc::Envelope;
use crate::marks::{Mark, Standing};
use crate::names::ServerId;
use crate::path::Scope;
use crate::session::Session;
use crate::surface::oliverye::{Added, Named};
use crate::surface::plain::Extent;
use crate::surface::registration::{Registration, Update};
use crate::surface::{Operation, Surface};
use crate::tags::Tags;
use bytes::Bytes;
use serde_json::{Map, Value};
use std::sync::Arc;

/// One lane each, but that notices and the end of a session are answered at once and carried on
/// to the servers of the session afterwards.
#[derive(Debug)]
pub enum Route {
    Answer(Answer),
    Carry(Box<Carry>),
    /// `GET`: the stream of a legacy session that belongs to no request, or one that is resumed.
    Attach(Box<Attach>),
    /// `subscriptions/listen` behind an endpoint of several servers.
    Listen(Box<Listen>),
    /// A legacy notification, or a client's answer to a server's request.
    Notify(Notice),
    /// `DELETE`: the session and what it opened upstream.
    End(Arc<Session>),
    /// What a REST surface tells out of the snapshot.
    Show(Box<Show>),
    /// A change of the registry, or of what else is stored.
    Change(Box<Change>),
}

impl Route {
    /// The legacy session that it goes on in.
    pub fn session(&self) -> Option<&Session> {
        match self {
            Route::Carry(carry) => carry.session.as_deref(),
            Route::Attach(attach) => Some(&attach.session),
            Route::Notify(notice) => Some(&notice.session),
            Route::End(session) => Some(session),
            Route::Answer(answer) => answer.session.as_deref(),
            Route::Listen(_) | Route::Show(_) | Route::Change(_) => None,
        }
    }

    /// The request that it serves, where that is one of MCP's.
    pub fn envelope(&self) -> Option<&Envelope> {
        match self {
            Route::Carry(carry) => Some(&carry.envelope),
            Route::Notify(notice) => Some(&notice.envelope),
            _ => None,
        }
    }
}

/// A REST question that the snapshot answers.
#[derive(Clone, Debug)]
pub struct Show {
    pub principal: Principal,
    pub scope: Scope,
    pub surface: Surface,
    pub operation: Operation,
    /// What stands in the path, in its order.
    pub parameters: Vec<String>,
    pub query: Vec<(String, String)>,
    /// The application session as the caller named it.
    pub session: Option<String>,
    /// `POST /mcp/search`.
    pub search: Option<String>,
    /// JSON-RPC: the id of the request, raw.
    pub id: Option<String>,
    pub form: Form,
}

/// How a REST caller wants its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    /// `text/event-stream` was named in `Accept`.
    Events,
    /// `HEAD`, of either.
    Head {
        events: bool,
    },
}

/// A change that an API asks for.
#[derive(Debug)]
pub struct Change {
    pub principal: Principal,
    pub surface: Surface,
    pub what: What,
    /// Of the request, so that saying it twice does it once.
    pub idempotency: Option<Idempotency>,
    /// JSON-RPC: the id of the request, raw.
    pub id: Option<String>,
}

#[derive(Debug)]
pub enum What {
    Register(Registration),
    /// The id as it stands in the path or the body.
    Replace(String, Registration),
    /// Some of what a registration says.
    Update(String, Update),
    Unregister(String),
    DeclareTool {
        server: String,
        name: String,
        definition: String,
    },
    MakePublic(Vec<String>),
    AddServers {
        set: Option<String>,
        servers: Vec<Added>,
    },
    RemoveServer {
        set: Option<String>,
        named: Named,
    },
    CreateSet(Map<String, Value>),
    DropSet(String),
}

/// `Idempotency-Key`, and what was asked under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    pub key: String,
    pub fingerprint: String,
}

/// What a REST call needs for its answer.
#[derive(Clone, Debug)]
pub struct Calling {
    pub surface: Surface,
    /// The tool as the caller named it.
    pub asked: String,
    pub extent: Extent,
    pub form: Form,
    /// JSON-RPC: the id of the request, raw.
    pub id: Option<String>,
    pub dialect: Dialect,
}

/// What the snapshot answers without asking anybody.
#[derive(Debug)]
pub struct Answer {
    pub principal: Principal,
    pub scope: Scope,
    pub era: Era,
    pub envelope: Envelope,
    pub question: Question,
    /// The legacy session that it is asked in.
    pub session: Option<Arc<Session>>,
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
    /// One of the two tools that stand for all of them.
    SearchTools {
        query: String,
        most: usize,
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
    /// What must change in the body, and nothing else does: places that do not overlap.
    pub splices: [Option<Splice>; 2],
    /// The value of `Mcp-Name` upstream.
    pub name: Option<String>,
    pub session: Option<Arc<Session>>,
    pub effect: Effect,
    /// Whether the catalog lists the tool, so that metrics may name it.
    pub listed: bool,
    /// Headers that mirror arguments, for whoever did not send them.
    pub mirrors: Vec<(String, String)>,
    /// What is to be said of the call in the log.
    pub complaint: Option<Complaint>,
    /// A caller of a REST surface; `None`: MCP.
    pub calling: Option<Box<Calling>>,
    pub tags: Tags,
}

/// `GET` of a legacy session.
#[derive(Clone, Debug)]
pub struct Attach {
    pub principal: Principal,
    pub scope: Scope,
    pub session: Arc<Session>,
    pub to: Stream,
}

/// Which stream a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Of the one server behind the endpoint; `Last-Event-ID` is that server's business.
    One(ServerId),
    /// The rest of one request's stream.
    Call(Mark),
    /// All servers of the session in one; resumed, where the client had one before.
    All(Option<Standing>),
}

/// `subscriptions/listen` (MCP 2026-07-28, Subscriptions) over several servers.
#[derive(Debug)]
pub struct Listen {
    pub principal: Principal,
    pub scope: Scope,
    pub envelope: Envelope,
    /// The lists whose changes are wanted; what is listed is the gateway's own to tell.
    pub lists: Vec<Listed>,
    /// What servers have to tell.
    pub parts: Vec<Part>,
}

/// The lists that say when they change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listed {
    Tools,
    Prompts,
    Resources,
}

/// What one server is asked to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub server: ServerId,
    pub uris: Vec<String>,
    /// The server's own ids.
    pub tasks: Vec<String>,
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
    pub session: Arc<Session>,
    pub envelope: Envelope,
    /// The server's own name for what it is about, in place of the tagged one.
    pub splice: Option<Splice>,
    pub reach: Reach,
}

/// Which servers of a session a notice goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Every one that the session has opened.
    Opened,
    /// The one that holds the request with this id.
    Holder(String),
    /// The one that asked.
    Asker(ServerId),
    /// `logging/setLevel`: every one, now and when it is opened.
    Level(String),
}

impl Carry {
    /// Whether an upstream session that is lost may be opened anew, unseen: for reading, and for REST
    /// callers, who were never told of one. A server that does not know the session has not done what
    /// was asked in it (MCP 2025-11-25, Session Management); that it does not is asked before.
    pub fn may_reopen(&self) -> bool {
        self.effect == Effect::Read || self.calling.is_some()
    }

    /// The body as it goes upstream: the bytes that came, with the splices in them.
    pub fn body(&self) -> Bytes {
        body(&self.envelope, self.splices.iter().flatten())
    }
}

impl Notice {
    pub fn body(&self) -> Bytes {
        body(&self.envelope, self.splice.iter())
    }
}

impl Listed {
    pub const EVERY: [Listed; 3] = [Listed::Tools, Listed::Prompts, Listed::Resources];

    /// How a client asks for it, and hears that it was heard.
    pub fn filter(self) -> &'static str {
        match self {
            Listed::Tools => "toolsListChanged",
            Listed::Prompts => "promptsListChanged",
            Listed::Resources => "resourcesListChanged",
        }
    }

    pub fn notification(self) -> &'static str {
        match self {
            Listed::Tools => "notifications/tools/list_changed",
            Listed::Prompts => "notifications/prompts/list_changed",
            Listed::Resources => "notifications/resources/list_changed",
        }
    }

    /// The list that a message says has changed.
    pub fn that_changed(message: &str) -> Option<Listed> {
        let method = json::find(message, ["method"]).ok().flatten().and_then(|place| message.get(place));
        let method = json::unquote(method?);
        Listed::EVERY.into_iter().find(|list| list.notification() == method)
    }

    /// The capability without which there is no such list.
    pub fn capability(self) -> &'static str {
        match self {
            Listed::Tools => "tools",
            Listed::Prompts => "prompts",
            Listed::Resources => "resources",
        }
    }
}

fn body<'s>(envelope: &Envelope, splices: impl Iterator<Item = &'s Splice>) -> Bytes {
    let mut splices = splices.peekable();
    match splices.peek() {
        None => envelope.body().clone(),
        Some(_) => spliced(envelope.body(), splices).into(),
    }
}

/// The bytes with other texts at some places, which do not overlap.
pub fn spliced<'s>(bytes: &[u8], splices: impl Iterator<Item = &'s Splice>) -> Vec<u8> {
    let mut splices: Vec<&Splice> = splices.collect();
    splices.sort_by_key(|splice| splice.place.start);
    let longer: usize = splices.iter().map(|splice| splice.text.len()).sum();
    let mut spliced = Vec::with_capacity(bytes.len() + longer);
    let mut taken = 0;
    for Splice { place, text } in splices {
        spliced.extend_from_slice(bytes.get(taken..place.start).unwrap_or_default());
        spliced.extend_from_slice(text.as_bytes());
        taken = place.end;
    }
    spliced.extend_from_slice(bytes.get(taken..).unwrap_or_default());
    spliced
}

impl Splice {
    pub fn name(place: Span, name: &str) -> Splice {
        Splice { place, text: json::quote(name) }
    }
}
