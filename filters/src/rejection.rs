//! Our "no", with its reason. What a reason looks like on the wire is known to the binary's
//! `reply.rs` alone.

use crate::arguments::Mismatch;
use crate::era::Era;
use crate::jsonrpc::Invalid;
use crate::names::ServerId;
use bytes::Bytes;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    // The head.
    #[error("the request's head is larger than {bytes_max} bytes or has more than {fields_max} fields")]
    HeadTooLarge { bytes_max: usize, fields_max: usize },
    #[error("the request's target is longer than {bytes_max} bytes")]
    TargetTooLong { bytes_max: usize },
    #[error("the path is ambiguous: send it without //, encoded slashes or dot segments")]
    AmbiguousPath,
    #[error("nothing is served at this path; MCP is served at /mcp, /mcp/{{server}} and /{{server}}/mcp")]
    NotFound,
    #[error("this Host is not served here")]
    HostNotAllowed,
    #[error("this Origin may not call the gateway; list it under listen.origins")]
    OriginNotAllowed,
    #[error("send one key as `Authorization: Bearer KEY`")]
    MissingKey,
    #[error("this key is not known here")]
    UnknownKey,
    #[error("this method is not served here; allowed: {allow}")]
    MethodNotAllowed { allow: String },
    #[error("the body must be `Content-Type: application/json`, without a Content-Encoding")]
    ContentType,
    #[error("`Accept` must admit both application/json and text/event-stream")]
    NotAcceptable,

    // The body.
    #[error("the body is larger than {bytes_max} bytes")]
    BodyTooLarge { bytes_max: usize },
    #[error("the body's chunks are not those of HTTP/1.1")]
    BodyMalformed,
    #[error("the body did not arrive in time")]
    BodyTooSlow,
    #[error("the gateway holds as many bodies as it may; try again in a moment")]
    Overloaded,
    #[error(transparent)]
    Invalid(#[from] Invalid),

    // The protocol.
    #[error("{0}")]
    HeaderMismatch(String),
    #[error("the revision {requested:?} is not spoken here")]
    UnsupportedVersion { requested: String, era: Option<Era> },
    #[error("there is no method {0:?} here")]
    UnknownMethod(String),
    #[error("{0}")]
    InvalidParams(String),
    #[error("`Mcp-Session-Id` is missing: begin with `initialize`")]
    SessionRequired,
    #[error("this session is not known here; begin anew with `initialize`")]
    SessionNotFound,

    // REST.
    #[error("this API is switched off here (surfaces)")]
    SurfaceOff,
    #[error("{}", fault.about(name))]
    Field { name: String, fault: FieldFault },
    #[error("the query parameter {name} {what}")]
    Query { name: String, what: String },
    #[error("send an admin key as `X-Admin-API-Key: KEY` or `Authorization: Bearer KEY`")]
    AdminKeyRequired,
    #[error("this admin key is not known here")]
    UnknownAdminKey,
    #[error("no key with `role: admin` is configured, so nothing can be changed over an API")]
    NoAdminKeys,
    #[error("this key may not do that; it needs the permission {0}")]
    Forbidden(&'static str),
    #[error("{0} is not there yet")]
    NotImplemented(&'static str),
    #[error("tool calls over this surface are switched off (surfaces.tool_calls)")]
    CallsOff,
    #[error("no process is ever started from an API; run the server yourself and register its URL")]
    NoProcess,
    #[error("this address may not be reached; list its range under outbound.allow")]
    OutboundForbidden,
    #[error("no MCP server answered at this URL, so nothing was stored; say probe=false to store it all the same")]
    NotReached,
    #[error("{0}")]
    BadServerId(String),
    #[error("a server {0:?} exists already")]
    ServerExists(String),
    #[error("server {0} is defined in the configuration file and can be changed only there")]
    ReadOnly(String),
    #[error("Server '{0}' not found")]
    UnknownServer(String),
    #[error("Tool '{tool}' does not belong to server '{server}'")]
    OtherServersTool { tool: String, server: String },
    #[error("server {server} has not answered yet, so nobody knows how to call it")]
    NotDiscovered { server: ServerId },
    #[error("Session '{0}' not found")]
    UnknownSet(String),
    #[error("this Idempotency-Key was used for another request")]
    IdempotencyMismatch,
    #[error("there are {0} registrations already, which is as many as may be")]
    TooMany(usize),
    #[error("the store cannot be asked: {0}")]
    Store(String),
    #[error("{0}")]
    Arguments(Box<Mismatch>),

    // What a server said, where a surface has no place for it.
    #[error("{}", if message.is_empty() { "the tool says that it failed" } else { message })]
    ToolFailed { message: String, result: Option<Bytes> },
    #[error("{message}")]
    ServerError { code: i64, message: String },
    #[error("the tool asks for input, which a REST caller cannot give; call it over MCP at /mcp")]
    WantsInput,

    // Jobs.
    #[error("the key {0:?}, under which jobs are done, is no more")]
    KeyGone(String),
    #[error(
        "outcome unknown: the call was sent, and the gateway that had sent it ended; nobody knows whether the server did it"
    )]
    OutcomeUnknown,
    #[error("it has ended three gateways")]
    EndsGateways,

    // The catalog.
    #[error("Unknown tool: {0}")]
    UnknownTool(String),
    #[error("Unknown prompt: {0}")]
    UnknownPrompt(String),
    #[error("Resource not found: {0}")]
    UnknownResource(String),
    #[error("Unknown task: {0}")]
    UnknownTask(String),
    #[error("this Last-Event-ID leads nowhere; open the stream without it, and expect that something was missed")]
    UnknownEvent,
    #[error("server {0} does not take this answer (HTTP status 400)")]
    AnswerRefused(ServerId),
    #[error("this session has a stream of this kind already; a second one would take its messages")]
    StreamTaken,
    #[error("{name:?} is ambiguous; say one of: {}", candidates.join(", "))]
    Ambiguous { name: String, candidates: Vec<String> },
    #[error(
        "server {server} speaks only {} MCP and this client speaks {}; the gateway does not bridge the eras yet",
        other(*.era).name(), era.name()
    )]
    EraUnbridged { server: ServerId, era: Era },
}

impl Rejection {
    pub fn server_error(code: i64, message: &str) -> Rejection {
        Rejection::ServerError { code, message: message.to_owned() }
    }

    pub fn tool_said(why: &str) -> Rejection {
        Rejection::ToolFailed { message: why.to_owned(), result: None }
    }
}

/// What is wrong with a field of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldFault {
    Missing,
    /// Not of this type.
    Type(&'static str),
    /// Nobody knows it.
    Unknown,
    Value(String),
    /// A URL that is none, or that no server can have.
    BadUrl(String),
}

impl FieldFault {
    fn about(&self, name: &str) -> String {
        let place = if name.is_empty() { "the body".to_owned() } else { format!("the field {name:?}") };
        match self {
            FieldFault::Missing => format!("{place} is missing"),
            FieldFault::Type(expected) => format!("{place} must be of type {expected}"),
            FieldFault::Unknown => format!("{place} is not known here"),
            FieldFault::Value(what) => format!("{place} {what}"),
            FieldFault::BadUrl(what) => format!("{place} is no URL of a server: {what}"),
        }
    }
}

fn other(era: Era) -> Era {
    match era {
        Era::Legacy => Era::Modern,
        Era::Modern => Era::Legacy,
    }
}
