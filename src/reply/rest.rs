//! The same reasons in the shapes of the REST surfaces: status, code and body as their own systems
//! say them.

use super::{Refusal, Trouble};
use crate::clock;
use crate::failure::Reason;
use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value, json};
use tollbridge_filters::arguments::Rule;
use tollbridge_filters::era::Era;
use tollbridge_filters::jsonrpc::Invalid;
use tollbridge_filters::redact;
use tollbridge_filters::rejection::{FieldFault, Rejection};
use tollbridge_filters::surface::{Operation, Surface, oliverye};

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// Whose shape a "no" gets.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'s> {
    pub surface: Surface,
    pub verb: &'s Method,
    /// `None`: it was not found out what is asked for.
    pub operation: Option<Operation>,
    /// JSON-RPC: the id of the request, raw.
    pub id: Option<&'s str>,
    pub request_id: &'s str,
}

/// A "no" as a surface says it.
pub struct Shaped {
    pub status: u16,
    pub content_type: &'static str,
    pub header: Option<(&'static str, String)>,
    /// For metrics and the access log.
    pub label: &'static str,
    pub body: Bytes,
}

impl Shape<'_> {
    pub fn put(&self, trouble: Trouble<'_>) -> Shaped {
        let refusal = trouble.refusal(Era::Legacy);
        let (status, content_type, body) = match self.surface {
            Surface::Native => (refusal.status, JSON, refusal.body(self.id, self.request_id)),
            Surface::Rpc => self.rpc(trouble),
            Surface::Early | Surface::Routeiq => self.routeiq(trouble),
            Surface::Litellm => self.litellm(trouble),
            Surface::LitellmRest => self.litellm_rest(trouble),
            Surface::Oliverye => self.oliverye(trouble),
            Surface::RegistryApi => self.registry(trouble),
            Surface::Plain => self.plain(trouble, &refusal),
        };
        let Refusal { header, label, .. } = refusal;
        Shaped { status, content_type, header, label, body }
    }

    /// JSON-RPC errors are answers, and so a 200; what is no JSON-RPC request, or not allowed, is not.
    fn rpc(&self, trouble: Trouble<'_>) -> (u16, &'static str, Bytes) {
        let refusal = trouble.refusal(Era::Legacy);
        let refusal = match trouble {
            Trouble::Rejected(rejection) => refusal.with_compat_code(rejection),
            Trouble::Failed(_) => refusal,
        };
        let status = match trouble {
            Trouble::Rejected(Rejection::InvalidParams(_)) => 400,
            _ => refusal.status,
        };
        (status, JSON, refusal.body(self.id, self.request_id))
    }

    /// FastAPI's shapes: a list of fields, or an object with a code.
    fn routeiq(&self, trouble: Trouble<'_>) -> (u16, &'static str, Bytes) {
        if let Some(fields) = fields(trouble) {
            return written(422, &json!({"detail": fields}));
        }
        let (status, code) = self.routeiq_code(trouble);
        let mut detail = self.detail(code, trouble);
        detail.insert("message".to_owned(), routeiq_message(trouble).into());
        if let Trouble::Rejected(Rejection::Forbidden(permission)) = trouble {
            detail.insert("required_permission".to_owned(), (*permission).into());
        }
        detail.insert("request_id".to_owned(), self.request_id.into());
        written(status, &json!({"detail": detail}))
    }

    fn routeiq_code(&self, trouble: Trouble<'_>) -> (u16, &'static str) {
        let replaces = *self.verb == Method::PUT;
        match trouble {
            Trouble::Rejected(Rejection::Field { fault: FieldFault::BadUrl(_), .. }) if replaces => {
                (400, "invalid_url")
            }
            Trouble::Rejected(Rejection::Field { .. } | Rejection::BadServerId(_) | Rejection::NoProcess) => {
                (400, "invalid_request")
            }
            _ if is_call_trouble(trouble) => (400, "tool_invocation_failed"),
            _ => common(trouble),
        }
    }

    fn litellm(&self, trouble: Trouble<'_>) -> (u16, &'static str, Bytes) {
        if let Some(fields) = fields(trouble) {
            return written(422, &json!({"detail": fields}));
        }
        let (status, code) = common(trouble);
        let said = match trouble {
            Trouble::Rejected(Rejection::UnknownServer(id)) if *self.verb == Method::PUT => {
                format!("MCP Server not found, passed server_id={id}")
            }
            Trouble::Rejected(Rejection::UnknownServer(id)) => format!("MCP Server with id {id} not found"),
            Trouble::Rejected(Rejection::ServerExists(id)) => {
                return written(
                    400,
                    &json!({"detail": {"error": format!("MCP Server with id {id} already exists. Cannot create another.")}}),
                );
            }
            Trouble::Rejected(
                Rejection::MissingKey
                | Rejection::UnknownKey
                | Rejection::AdminKeyRequired
                | Rejection::UnknownAdminKey,
            ) => {
                let message = format!("Authentication Error, {}", message(trouble));
                let error = json!({"message": message, "type": "auth_error", "param": "None", "code": "401"});
                return written(status, &json!({"error": error}));
            }
            _ => message(trouble),
        };
        written(status, &json!({"detail": {"error": said, "code": code}}))
    }

    fn litellm_rest(&self, trouble: Trouble<'_>) -> (u16, &'static str, Bytes) {
        let (status, code) = match trouble {
            Trouble::Rejected(Rejection::Field { fault: FieldFault::Missing, .. }) => (400, "missing_parameter"),
            Trouble::Rejected(Rejection::Field { .. }) => (400, "invalid_parameter"),
            Trouble::Rejected(Rejection::Invalid(_)) => (400, "invalid_json"),
            Trouble::Rejected(Rejection::Forbidden(_)) => (403, "access_denied"),
            Trouble::Rejected(Rejection::OtherServersTool { .. }) => (403, "tool_server_mismatch"),
            _ if is_call_trouble(trouble) => (400, "tool_invocation_failed"),
            _ => common(trouble),
        };
        written(status, &json!({"detail": self.detail(code, trouble)}))
    }

    /// A call that fails is a 200 that says so.
    fn oliverye(&self, trouble: Trouble<'_>) -> (u16, &'static str, Bytes) {
        let is_execution = matches!(self.operation, Some(Operation::Call | Operation::Search));
        let said = oliverye_message(trouble);
        let is_told = matches!(
            trouble,
            Trouble::Rejected(
                Rejection::UnknownTool(_)
                    | Rejection::Ambiguous { .. }
                    | Rejection::UnknownSet(_)
                    | Rejection::UnknownServer(_)
            )
        );
        if is_execution && (is_told || is_call_trouble(trouble)) {
            let envelope = oliverye::envelope("error", &json!({"error": said}), clock::millis());
            return (200, JSON, envelope.into());
        }
        let (status, _) = match fields(trouble) {
            Some(_) => (400, ""),
            None => common(trouble),
        };
        written(status, &json!({"error": said}))
    }

    fn registry(&self, trouble: Trouble<'_>) -> (u16, &'static str, Bytes) {
        let (status, _) = common(trouble);
        let said = match trouble {
            Trouble::Rejected(Rejection::UnknownServer(_)) => "Server not found".to_owned(),
            _ => message(trouble),
        };
        written(status, &json!({"error": said}))
    }

    /// RFC 9457.
    fn plain(&self, trouble: Trouble<'_>, refusal: &Refusal) -> (u16, &'static str, Bytes) {
        let (status, code) = common(trouble);
        let title = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        let mut problem = Map::new();
        problem.insert("type".to_owned(), "about:blank".into());
        problem.insert("title".to_owned(), title.unwrap_or("Error").into());
        problem.insert("status".to_owned(), status.into());
        problem.insert("detail".to_owned(), message(trouble).into());
        problem.insert("code".to_owned(), code.into());
        problem.extend(refusal.data.iter().map(|(name, value)| (name.clone(), value.clone())));
        problem.insert("requestId".to_owned(), self.request_id.into());
        let mut text = Value::Object(problem).to_string();
        if let Trouble::Rejected(Rejection::ToolFailed { result: Some(result), .. }) = trouble {
            let result = std::str::from_utf8(result).unwrap_or("null");
            text.truncate(text.len().saturating_sub(1));
            text.push_str(&format!(",\"result\":{result}}}"));
        }
        (status, PROBLEM, text.into())
    }

    fn detail(&self, code: &str, trouble: Trouble<'_>) -> Map<String, Value> {
        let mut detail = Map::new();
        detail.insert("error".to_owned(), code.into());
        detail.insert("message".to_owned(), message(trouble).into());
        if let Trouble::Rejected(Rejection::Ambiguous { candidates, .. }) = trouble {
            detail.insert("candidates".to_owned(), json!(candidates));
        }
        detail
    }
}

fn written(status: u16, body: &Value) -> (u16, &'static str, Bytes) {
    (status, JSON, body.to_string().into())
}

/// RouteIQ's words for what it checks itself.
fn routeiq_message(trouble: Trouble<'_>) -> String {
    match trouble {
        Trouble::Rejected(Rejection::Arguments(mismatch)) => match &mismatch.rule {
            Rule::Missing(name) => format!("Missing required argument: {name}"),
            Rule::Type { name, expected } => format!("Invalid type for '{name}': expected {expected}"),
            _ => mismatch.to_string(),
        },
        _ => message(trouble),
    }
}

fn oliverye_message(trouble: Trouble<'_>) -> String {
    match trouble {
        Trouble::Rejected(Rejection::UnknownTool(name)) => {
            format!("Tool '{name}' not found in any connected server")
        }
        Trouble::Rejected(Rejection::Field { name, fault: FieldFault::Missing }) => {
            format!("Missing {name} parameter")
        }
        _ => message(trouble),
    }
}

/// The answer to a job that was not done, and its label. A job has no status of HTTP.
pub fn of_job(trouble: Trouble<'_>) -> (Value, &'static str) {
    (json!({"error": oliverye_message(trouble)}), trouble.refusal(Era::Legacy).label)
}

fn message(trouble: Trouble<'_>) -> String {
    match trouble {
        // What servers say of their failures may hold what was shown to them.
        Trouble::Rejected(said @ (Rejection::ToolFailed { .. } | Rejection::ServerError { .. })) => {
            redact::text(&said.to_string())
        }
        Trouble::Rejected(rejection) => rejection.to_string(),
        Trouble::Failed(failure) => redact::text(&failure.to_string()),
    }
}

/// What came back of a call, or did not.
fn is_call_trouble(trouble: Trouble<'_>) -> bool {
    match trouble {
        Trouble::Failed(_) => true,
        Trouble::Rejected(rejection) => matches!(
            rejection,
            Rejection::ToolFailed { .. }
                | Rejection::ServerError { .. }
                | Rejection::WantsInput
                | Rejection::Arguments(_)
                | Rejection::NotDiscovered { .. }
                | Rejection::EraUnbridged { .. }
        ),
    }
}

/// pydantic's list of what is wrong with a body.
fn fields(trouble: Trouble<'_>) -> Option<Value> {
    let (kind, place, said) = match trouble {
        Trouble::Rejected(Rejection::Field { name, fault }) => match fault {
            FieldFault::Missing => ("missing", name.as_str(), "Field required".to_owned()),
            FieldFault::Unknown => ("extra_forbidden", name.as_str(), "Extra inputs are not permitted".to_owned()),
            FieldFault::Type(expected) => {
                let (kind, noun) = type_fault(name, expected);
                (kind, name.as_str(), format!("Input should be a valid {noun}"))
            }
            FieldFault::Value(_) | FieldFault::BadUrl(_) => return None,
        },
        Trouble::Rejected(Rejection::Invalid(Invalid::Json(why))) => {
            ("json_invalid", "", format!("JSON decode error: {why}"))
        }
        _ => return None,
    };
    let place = place.split('.').filter(|part| !part.is_empty());
    let place: Vec<&str> = std::iter::once("body").chain(place).collect();
    Some(json!([{"type": kind, "loc": place, "msg": said}]))
}

/// pydantic's name for a wrong type, and its noun.
fn type_fault(name: &str, expected: &str) -> (&'static str, &'static str) {
    match expected {
        "string" => ("string_type", "string"),
        "boolean" => ("bool_type", "boolean"),
        expected if expected.starts_with("array") => ("list_type", "list"),
        _ if name.is_empty() => ("model_attributes_type", "dictionary or object"),
        _ => ("dict_type", "dictionary"),
    }
}

/// Status and code where a surface has none of its own.
fn common(trouble: Trouble<'_>) -> (u16, &'static str) {
    match trouble {
        Trouble::Failed(failure) => match &failure.reason {
            Reason::Unavailable(_) => (502, "upstream_unavailable"),
            Reason::Timeout(_) => (504, "upstream_timeout"),
            Reason::BadReply(_) => (502, "upstream_bad_reply"),
            Reason::Credential(_) => (502, "upstream_credential"),
            Reason::Stopping => (503, "stopping"),
            Reason::Overloaded { .. } => (503, "upstream_overloaded"),
        },
        Trouble::Rejected(rejection) => rejected(rejection),
    }
}

fn rejected(rejection: &Rejection) -> (u16, &'static str) {
    match rejection {
        Rejection::HeadTooLarge { .. } => (431, "head_too_large"),
        Rejection::TargetTooLong { .. } => (414, "target_too_long"),
        Rejection::AmbiguousPath => (400, "ambiguous_path"),
        Rejection::NotFound => (404, "not_found"),
        Rejection::SurfaceOff => (404, "mcp_gateway_disabled"),
        Rejection::HostNotAllowed => (403, "host_not_allowed"),
        Rejection::OriginNotAllowed => (403, "origin_not_allowed"),
        Rejection::MissingKey => (401, "authentication_required"),
        Rejection::UnknownKey => (401, "invalid_key"),
        Rejection::AdminKeyRequired => (401, "admin_key_required"),
        Rejection::UnknownAdminKey => (401, "invalid_admin_key"),
        Rejection::NoAdminKeys => (403, "control_plane_not_configured"),
        Rejection::Forbidden(_) => (403, "permission_denied"),
        Rejection::MethodNotAllowed { .. } => (405, "method_not_allowed"),
        Rejection::ContentType => (415, "unsupported_media_type"),
        Rejection::NotAcceptable => (406, "not_acceptable"),
        Rejection::BodyTooLarge { .. } => (413, "request_too_large"),
        Rejection::BodyMalformed => (400, "bad_request"),
        Rejection::BodyTooSlow => (408, "request_timeout"),
        Rejection::Overloaded => (503, "overloaded"),
        Rejection::Invalid(_) => (400, "invalid_json"),
        Rejection::HeaderMismatch(_) | Rejection::UnsupportedVersion { .. } => (400, "invalid_request"),
        Rejection::UnknownMethod(_) => (404, "method_not_found"),
        Rejection::InvalidParams(_) | Rejection::Field { .. } | Rejection::Query { .. } => (400, "invalid_request"),
        Rejection::SessionRequired => (400, "session_required"),
        Rejection::SessionNotFound | Rejection::UnknownSet(_) => (404, "session_not_found"),
        Rejection::NotImplemented(_) => (501, "not_implemented"),
        Rejection::CallsOff => (501, "tool_invocation_disabled"),
        Rejection::NoProcess => (400, "process_not_allowed"),
        Rejection::OutboundForbidden => (400, "ssrf_blocked"),
        Rejection::NotReached => (502, "probe_failed"),
        Rejection::BadServerId(_) => (400, "invalid_server_id"),
        Rejection::ServerExists(_) => (409, "server_exists"),
        Rejection::ReadOnly(_) => (403, "server_read_only"),
        Rejection::UnknownServer(_) => (404, "server_not_found"),
        Rejection::OtherServersTool { .. } => (404, "tool_not_found"),
        Rejection::NotDiscovered { .. } => (502, "upstream_unavailable"),
        Rejection::IdempotencyMismatch => (422, "idempotency_key_reused"),
        Rejection::TooMany(_) => (429, "too_many"),
        Rejection::Store(_) => (503, "registry_unavailable"),
        Rejection::Arguments(_) => (400, "invalid_arguments"),
        Rejection::ToolFailed { .. } => (422, "tool_failed"),
        Rejection::ServerError { code: -32602, .. } => (400, "upstream_invalid_params"),
        Rejection::ServerError { code: -32601, .. } => (404, "upstream_method_not_found"),
        Rejection::ServerError { .. } => (502, "upstream_error"),
        Rejection::WantsInput => (409, "input_required"),
        Rejection::KeyGone(_) => (401, "key_gone"),
        Rejection::OutcomeUnknown => (502, "outcome_unknown"),
        Rejection::EndsGateways => (500, "ends_gateways"),
        Rejection::UnknownTool(_) => (404, "tool_not_found"),
        Rejection::UnknownPrompt(_) => (404, "prompt_not_found"),
        Rejection::UnknownResource(_) => (404, "resource_not_found"),
        Rejection::UnknownTask(_) => (404, "task_not_found"),
        Rejection::UnknownEvent => (400, "unknown_event"),
        Rejection::AnswerRefused(_) => (400, "answer_refused"),
        Rejection::StreamTaken => (409, "stream_taken"),
        Rejection::Ambiguous { .. } => (409, "ambiguous_tool"),
        Rejection::EraUnbridged { .. } => (502, "era_unbridged"),
    }
}
