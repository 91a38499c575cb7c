//! The one table from our reasons to the wire: which status, which JSON-RPC code, which words.
//!
//! Codes of our own lie outside -32768..-32000, as JSON-RPC asks; codes in -32099..-32000 are only
//! those that MCP gives a meaning (MCP 2026-07-28, Basic, Error codes).

mod rest;

pub use rest::{Shape, Shaped, of_job};

use crate::failure::{Failure, Outcome, Reason};
use bytes::Bytes;
use jsonrpsee_types::{ErrorCode, ErrorObject};
use serde_json::{Map, Value, json};
use tollbridge_filters::era::{Era, LEGACY, MODERN};
use tollbridge_filters::jsonrpc::Invalid;
use tollbridge_filters::rejection::Rejection;

const UNAVAILABLE: i32 = -31001;
const TIMEOUT: i32 = -31002;
const BAD_REPLY: i32 = -31003;
const OVERLOADED: i32 = -31005;
const FORBIDDEN: i32 = -31006;
const STORE_UNAVAILABLE: i32 = -31008;
const HEADER_MISMATCH: i32 = -32020;
const UNSUPPORTED_VERSION: i32 = -32022;

/// An answer that says no.
#[derive(Debug)]
pub struct Refusal {
    pub status: u16,
    /// For metrics and the access log.
    pub label: &'static str,
    pub header: Option<(&'static str, String)>,
    code: i32,
    message: String,
    data: Map<String, Value>,
}

/// Why there is no other answer.
#[derive(Clone, Copy)]
pub enum Trouble<'t> {
    Rejected(&'t Rejection),
    Failed(&'t Failure),
}

impl Trouble<'_> {
    pub fn refusal(self, era: Era) -> Refusal {
        match self {
            Trouble::Rejected(rejection) => rejected(rejection, era),
            Trouble::Failed(failure) => failed(failure),
        }
    }
}

impl Refusal {
    /// RouteIQ's code beside the one of the specification, for clients that look for it.
    fn with_compat_code(mut self, rejection: &Rejection) -> Refusal {
        let code = match rejection {
            Rejection::UnknownTool(_) => -32001,
            Rejection::UnknownResource(_) => -32002,
            _ => return self,
        };
        self.data.insert("compat_code".to_owned(), code.into());
        self
    }

    /// The JSON-RPC error. Where the request's id could not be read there is none in the answer.
    pub fn body(&self, id: Option<&str>, request_id: &str) -> Bytes {
        let mut data = self.data.clone();
        // These codes have their `data` from the specification.
        if self.code != UNSUPPORTED_VERSION {
            data.insert("requestId".to_owned(), request_id.into());
        }
        let error = ErrorObject::owned(self.code, self.message.as_str(), Some(data));
        let error = serde_json::to_string(&error).unwrap_or_default();
        let id = id.map(|id| format!("\"id\":{id},")).unwrap_or_default();
        Bytes::from(format!(r#"{{"jsonrpc":"2.0",{id}"error":{error}}}"#))
    }
}

/// A rejection on the wire of the native surface. The modern era has statuses of its own for
/// protocol errors; a legacy client reads JSON-RPC errors only from a 200.
pub fn rejected(rejection: &Rejection, era: Era) -> Refusal {
    let protocol_status = match era {
        Era::Modern => 400,
        Era::Legacy => 200,
    };
    let (status, code, label) = match rejection {
        Rejection::HeadTooLarge { .. } => (431, ErrorCode::InvalidRequest.code(), "head_too_large"),
        Rejection::TargetTooLong { .. } => (414, ErrorCode::InvalidRequest.code(), "target_too_long"),
        Rejection::AmbiguousPath => (400, ErrorCode::InvalidRequest.code(), "ambiguous_path"),
        Rejection::NotFound => (404, ErrorCode::InvalidRequest.code(), "not_found"),
        Rejection::HostNotAllowed => (403, FORBIDDEN, "host"),
        Rejection::OriginNotAllowed => (403, FORBIDDEN, "origin"),
        Rejection::MissingKey | Rejection::UnknownKey => (401, FORBIDDEN, "unauthenticated"),
        Rejection::MethodNotAllowed { .. } => (405, ErrorCode::InvalidRequest.code(), "http_method"),
        Rejection::ContentType => (415, ErrorCode::InvalidRequest.code(), "content_type"),
        Rejection::NotAcceptable => (406, ErrorCode::InvalidRequest.code(), "not_acceptable"),
        Rejection::BodyTooLarge { .. } => (413, ErrorCode::InvalidRequest.code(), "body_too_large"),
        Rejection::BodyMalformed => (400, ErrorCode::InvalidRequest.code(), "body_malformed"),
        Rejection::BodyTooSlow => (408, ErrorCode::InvalidRequest.code(), "body_too_slow"),
        Rejection::Overloaded => (503, OVERLOADED, "overloaded"),
        Rejection::Invalid(Invalid::Json(_)) => (400, ErrorCode::ParseError.code(), "json"),
        Rejection::Invalid(Invalid::Message(_)) => (400, ErrorCode::InvalidRequest.code(), "message"),
        Rejection::Invalid(Invalid::Params(_)) => (400, ErrorCode::InvalidParams.code(), "params"),
        Rejection::HeaderMismatch(_) => (400, HEADER_MISMATCH, "header_mismatch"),
        Rejection::UnsupportedVersion { .. } => (400, UNSUPPORTED_VERSION, "version"),
        Rejection::UnknownMethod(_) if era == Era::Modern => (404, ErrorCode::MethodNotFound.code(), "method"),
        Rejection::UnknownMethod(_) => (200, ErrorCode::MethodNotFound.code(), "method"),
        Rejection::InvalidParams(_) => (protocol_status, ErrorCode::InvalidParams.code(), "params"),
        Rejection::SessionRequired => (400, ErrorCode::InvalidRequest.code(), "session_required"),
        Rejection::SessionNotFound => (404, ErrorCode::InvalidRequest.code(), "session_not_found"),
        Rejection::UnknownTool(_) => (200, ErrorCode::InvalidParams.code(), "unknown_tool"),
        Rejection::UnknownPrompt(_) => (200, ErrorCode::InvalidParams.code(), "unknown_prompt"),
        Rejection::UnknownResource(_) => (200, ErrorCode::InvalidParams.code(), "unknown_resource"),
        Rejection::UnknownTask(_) => (200, ErrorCode::InvalidParams.code(), "unknown_task"),
        Rejection::UnknownEvent => (400, ErrorCode::InvalidParams.code(), "unknown_event"),
        Rejection::AnswerRefused(_) => (400, ErrorCode::InvalidRequest.code(), "answer_refused"),
        Rejection::StreamTaken => (409, ErrorCode::InvalidRequest.code(), "stream_taken"),
        Rejection::Ambiguous { .. } => (200, ErrorCode::InvalidParams.code(), "ambiguous"),
        Rejection::EraUnbridged { .. } => (200, UNAVAILABLE, "era_unbridged"),
        Rejection::SurfaceOff => (404, ErrorCode::InvalidRequest.code(), "surface_off"),
        Rejection::Field { .. } => (400, ErrorCode::InvalidParams.code(), "field"),
        Rejection::Query { .. } => (400, ErrorCode::InvalidParams.code(), "query"),
        Rejection::AdminKeyRequired | Rejection::UnknownAdminKey => (401, FORBIDDEN, "unauthenticated"),
        Rejection::NoAdminKeys => (403, FORBIDDEN, "no_admin_keys"),
        Rejection::Forbidden(_) => (403, FORBIDDEN, "forbidden"),
        Rejection::NotImplemented(_) => (501, ErrorCode::MethodNotFound.code(), "not_implemented"),
        Rejection::CallsOff => (501, ErrorCode::MethodNotFound.code(), "calls_off"),
        Rejection::NoProcess => (400, ErrorCode::InvalidParams.code(), "no_process"),
        Rejection::OutboundForbidden => (400, ErrorCode::InvalidParams.code(), "outbound_forbidden"),
        Rejection::NotReached => (502, UNAVAILABLE, "not_reached"),
        Rejection::BadServerId(_) => (400, ErrorCode::InvalidParams.code(), "server_id"),
        Rejection::ServerExists(_) => (409, ErrorCode::InvalidParams.code(), "server_exists"),
        Rejection::ReadOnly(_) => (403, FORBIDDEN, "read_only"),
        Rejection::UnknownServer(_) => (200, ErrorCode::InvalidParams.code(), "unknown_server"),
        Rejection::OtherServersTool { .. } => (200, ErrorCode::InvalidParams.code(), "unknown_tool"),
        Rejection::NotDiscovered { .. } => (502, UNAVAILABLE, "not_discovered"),
        Rejection::UnknownSet(_) => (404, ErrorCode::InvalidParams.code(), "unknown_set"),
        Rejection::IdempotencyMismatch => (422, ErrorCode::InvalidParams.code(), "idempotency"),
        Rejection::TooMany(_) => (429, OVERLOADED, "too_many"),
        Rejection::Store(_) => (503, STORE_UNAVAILABLE, "store"),
        Rejection::Arguments(_) => (200, ErrorCode::InvalidParams.code(), "arguments"),
        Rejection::ToolFailed { .. } => (200, ErrorCode::InternalError.code(), "tool_failed"),
        Rejection::ServerError { .. } => (200, ErrorCode::InternalError.code(), "server_error"),
        Rejection::WantsInput => (200, ErrorCode::InternalError.code(), "wants_input"),
        Rejection::KeyGone(_) => (401, FORBIDDEN, "key_gone"),
        Rejection::OutcomeUnknown => (502, UNAVAILABLE, "outcome_unknown"),
        Rejection::EndsGateways => (500, ErrorCode::InternalError.code(), "ends_gateways"),
    };
    let header = header(rejection);
    Refusal { status, label, header, code, message: rejection.to_string(), data: rejection_data(rejection) }
}

fn header(rejection: &Rejection) -> Option<(&'static str, String)> {
    match rejection {
        Rejection::MissingKey | Rejection::AdminKeyRequired => {
            Some(("WWW-Authenticate", r#"Bearer realm="tollbridge""#.to_owned()))
        }
        Rejection::UnknownKey | Rejection::UnknownAdminKey => {
            Some(("WWW-Authenticate", r#"Bearer realm="tollbridge", error="invalid_token""#.to_owned()))
        }
        Rejection::MethodNotAllowed { allow } => Some(("Allow", allow.clone())),
        Rejection::Overloaded => Some(("Retry-After", "1".to_owned())),
        _ => None,
    }
}

fn rejection_data(rejection: &Rejection) -> Map<String, Value> {
    let data = match rejection {
        Rejection::UnsupportedVersion { requested, era } => {
            let supported = match era {
                Some(era) => era.versions().to_vec(),
                None => [MODERN].into_iter().chain(LEGACY).collect(),
            };
            json!({"supported": supported, "requested": requested})
        }
        Rejection::UnknownResource(uri) => json!({"source": "downstream", "uri": uri}),
        Rejection::Ambiguous { candidates, .. } => json!({"source": "downstream", "candidates": candidates}),
        Rejection::EraUnbridged { server, .. } => {
            json!({"source": "gateway", "server": server.as_str(), "reason": "era_unbridged"})
        }
        Rejection::ToolFailed { .. } | Rejection::WantsInput | Rejection::NotReached => json!({"source": "upstream"}),
        Rejection::ServerError { code, .. } => json!({"source": "upstream", "serverCode": code}),
        Rejection::AnswerRefused(server) | Rejection::NotDiscovered { server } => {
            json!({"source": "upstream", "server": server.as_str()})
        }
        Rejection::Overloaded | Rejection::Store(_) | Rejection::TooMany(_) => json!({"source": "gateway"}),
        _ => json!({"source": "downstream"}),
    };
    into_map(data)
}

/// A failure of an upstream on the wire.
pub fn failed(failure: &Failure) -> Refusal {
    let (status, code, label) = match &failure.reason {
        Reason::Unavailable(_) => (502, UNAVAILABLE, "upstream_unavailable"),
        Reason::Timeout(_) => (504, TIMEOUT, "upstream_timeout"),
        Reason::BadReply(_) => (502, BAD_REPLY, "upstream_bad_reply"),
        Reason::Credential(_) => (502, BAD_REPLY, "upstream_credential"),
        Reason::Stopping => (503, UNAVAILABLE, "stopping"),
        Reason::Overloaded { .. } => (503, OVERLOADED, "upstream_overloaded"),
    };
    let header = match &failure.reason {
        Reason::Overloaded { retry_after: Some(after), .. } => Some(("Retry-After", after.clone())),
        _ => None,
    };
    let source = if matches!(failure.reason, Reason::Stopping) { "gateway" } else { "upstream" };
    let mut data = into_map(json!({"source": source, "server": failure.server.as_str()}));
    let outcome = match failure.outcome {
        Outcome::NotSent => "not_sent",
        Outcome::Unknown => "unknown",
    };
    data.insert("outcome".to_owned(), outcome.into());
    Refusal { status, label, header, code, message: failure.to_string(), data }
}

fn into_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
