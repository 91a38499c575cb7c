//! Our "no", with its reason. What a reason looks like on the wire is known to the binary's
//! `reply.rs` alone.

use crate::era::Era;
use crate::jsonrpc::Invalid;
use crate::names::ServerId;

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
    MethodNotAllowed { allow: &'static str },
    #[error("the body must be `Content-Type: application/json`, without a Content-Encoding")]
    ContentType,
    #[error("`Accept` must admit both application/json and text/event-stream")]
    NotAcceptable,

    // The body.
    #[error("the body is larger than {bytes_max} bytes")]
    BodyTooLarge { bytes_max: usize },
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

    // The catalog.
    #[error("Unknown tool: {0}")]
    UnknownTool(String),
    #[error("Unknown prompt: {0}")]
    UnknownPrompt(String),
    #[error("Resource not found: {0}")]
    UnknownResource(String),
    #[error("{name:?} is ambiguous; say one of: {}", candidates.join(", "))]
    Ambiguous { name: String, candidates: Vec<String> },
    #[error(
        "server {server} speaks only {} MCP and this client speaks {}; the gateway does not bridge the eras yet",
        other(*.era).name(), era.name()
    )]
    EraUnbridged { server: ServerId, era: Era },
}

fn other(era: Era) -> Era {
    match era {
        Era::Legacy => Era::Modern,
        Era::Modern => Era::Legacy,
    }
}
