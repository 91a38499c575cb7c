//! A registration as it was asked for, whichever surface it came through.

use super::body::Fields;
use crate::catalog::AuthType;
use crate::json;
use crate::rejection::{FieldFault, Rejection};
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

/// Of one registration.
const NAME_CHARACTERS_MAX: usize = 256;
const DECLARED_MAX: usize = 1_000;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registration {
    pub external_id: Option<String>,
    pub name: Option<String>,
    pub url: String,
    pub description: Option<String>,
    pub alias: Option<String>,
    pub tools: Vec<String>,
    pub resources: Vec<String>,
    /// Tools as MCP describes them, each the text of an object.
    pub definitions: Vec<String>,
    pub access_groups: Vec<String>,
    pub metadata: Map<String, Value>,
    pub auth_type: AuthType,
    /// The credential, as the headers that it travels in.
    pub credentials: Vec<(String, String)>,
    /// Headers of callers that are handed on.
    pub forward_headers: Vec<String>,
}

/// Fields that would have the gateway start a process, which no API ever does.
const PROCESS: [&str; 3] = ["command", "args", "env"];

/// What a registration's credential says in the vocabularies of RouteIQ and LiteLLM.
#[derive(Default)]
pub struct Secret {
    pub auth_type: Option<String>,
    pub value: Option<String>,
    pub header_name: Option<String>,
    /// Headers that are sent with every request.
    pub headers: Map<String, Value>,
}

impl Registration {
    /// The checks that do not depend on who asks.
    pub fn check(self) -> Result<Registration, Rejection> {
        let field = |name: &str, what: &str| Rejection::Field {
            name: name.to_owned(),
            fault: FieldFault::Value(what.to_owned()),
        };
        let name = self.name.as_deref().unwrap_or_default();
        if name.chars().count() > NAME_CHARACTERS_MAX || name.chars().any(char::is_control) {
            return Err(field("name", "is longer than 256 characters or holds control characters"));
        }
        if self.tools.len() > DECLARED_MAX || self.resources.len() > DECLARED_MAX {
            return Err(field("tools", "declares more than 1000 names"));
        }
        if bytes(&self.metadata) > METADATA_BYTES_MAX {
            return Err(field("metadata", "is larger than 16 KiB"));
        }
        if self.definitions.len() > DECLARED_MAX
            || self.definitions.iter().map(String::len).sum::<usize>() > DEFINITIONS_BYTES_MAX
        {
            return Err(field("tool_definitions", "is larger than 1 MiB, or more than 1000"));
        }
        Ok(self)
    }
}

/// What is kept of what callers say besides.
pub const METADATA_BYTES_MAX: usize = 16 * 1024;
const DEFINITIONS_BYTES_MAX: usize = 1024 * 1024;

pub fn bytes(metadata: &Map<String, Value>) -> usize {
    serde_json::to_string(metadata).map_or(usize::MAX, |text| text.len())
}

/// What a registration may say again, each by itself; what it does not say stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    pub name: Option<String>,
    pub url: Option<String>,
    pub description: Option<String>,
    pub alias: Option<String>,
    pub tools: Option<Vec<String>>,
    pub resources: Option<Vec<String>>,
    pub access_groups: Option<Vec<String>>,
    pub metadata: Option<Map<String, Value>>,
    pub auth: Option<(AuthType, Vec<(String, String)>)>,
    pub forward_headers: Option<Vec<String>>,
}

/// Refuses whatever asks for a process.
pub fn refuse_process(fields: &mut Fields) -> Result<(), Rejection> {
    if PROCESS.iter().any(|name| fields.has(name)) {
        return Err(Rejection::NoProcess);
    }
    fields.ignore(&PROCESS);
    Ok(())
}

/// The transport, in any of its spellings. What a server really speaks is found out by asking it, so
/// the word is only checked.
pub fn check_transport(fields: &mut Fields, spellings: &[&str]) -> Result<(), Rejection> {
    let Some(transport) = fields.text(spellings)? else {
        return Ok(());
    };
    match transport.to_ascii_lowercase().as_str() {
        "streamable_http" | "streamable-http" | "streamablehttp" | "http" => Ok(()),
        "sse" | "eventsource" | "websocket" | "ws" => Ok(()),
        "stdio" | "process" => Err(Rejection::NoProcess),
        _ => Err(fields.wrong("transport", FieldFault::Value("is no transport; say streamable_http".to_owned()))),
    }
}

impl Secret {
    /// The kind of credential and the headers that it travels in.
    pub fn read(self) -> Result<(AuthType, Vec<(String, String)>), Rejection> {
        let mut headers = Vec::new();
        for (name, value) in self.headers {
            let value = value.as_str().ok_or(wrong("static_headers", FieldFault::Type("object of strings")))?;
            headers.push(header(&name, value)?);
        }
        let auth_type = self.auth_type.unwrap_or_default().to_ascii_lowercase();
        let mut put = |name: &str, value: Option<String>| match value {
            Some(value) => header(name, &value).map(|header| headers.push(header)),
            // The kind alone may be said: the credential follows, or stands in the configuration.
            None => Ok(()),
        };
        let kind = match auth_type.as_str() {
            "" | "none" if self.value.is_none() => AuthType::None,
            "" | "bearer" | "bearer_token" | "token" => {
                put("authorization", self.value.map(|token| format!("Bearer {token}")))?;
                AuthType::Bearer
            }
            "api_key" | "apikey" => {
                let name = self.header_name.as_deref().unwrap_or("X-API-Key");
                put(name, self.value)?;
                AuthType::ApiKey
            }
            "basic" => {
                put("authorization", self.value.map(|value| format!("Basic {value}")))?;
                AuthType::Basic
            }
            "authorization" => {
                put("authorization", self.value)?;
                AuthType::Header
            }
            "none" => {
                return Err(wrong("auth_type", FieldFault::Value("is none, and there is a credential".to_owned())));
            }
            "oauth2" | "oauth" => return Err(Rejection::NotImplemented("OAuth towards servers")),
            _ => {
                let what = "is not known; say none, bearer_token, api_key, basic or authorization";
                return Err(wrong("auth_type", FieldFault::Value(what.to_owned())));
            }
        };
        Ok((kind, headers))
    }
}

/// What must never be set from outside: it frames the message, or is the gateway's to say.
fn is_ours(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("mcp-")
        || matches!(
            name,
            "host"
                | "content-length"
                | "content-type"
                | "transfer-encoding"
                | "connection"
                | "te"
                | "trailer"
                | "upgrade"
                | "expect"
                | "accept"
                | "accept-encoding"
                | "keep-alive"
        )
}

/// What callers show to the gateway, and no server may see.
const CALLERS_CREDENTIALS: [&str; 6] =
    ["authorization", "cookie", "proxy-authorization", "x-admin-api-key", "x-api-key", "x-litellm-api-key"];

/// Names of callers' headers that may be handed on.
pub fn forwarded(names: Vec<String>) -> Result<Vec<String>, Rejection> {
    let checked = names.into_iter().map(|name| {
        let known = HeaderName::from_bytes(name.as_bytes()).ok();
        let known = known.filter(|name| !is_ours(name) && !CALLERS_CREDENTIALS.contains(&name.as_str()));
        let why = "names a header that is not handed on: the gateway's own, or a caller's credential";
        known.map(|name| name.to_string()).ok_or_else(|| wrong("extra_headers", FieldFault::Value(why.to_owned())))
    });
    checked.collect()
}

fn header(name: &str, value: &str) -> Result<(String, String), Rejection> {
    let known = HeaderName::from_bytes(name.as_bytes()).ok().filter(|name| !is_ours(name));
    let Some(known) = known else {
        return Err(wrong("headers", FieldFault::Value("names a header that cannot be set".to_owned())));
    };
    match HeaderValue::from_str(value) {
        Ok(_) if !value.is_empty() => Ok((known.to_string(), value.to_owned())),
        _ => Err(wrong("credentials", FieldFault::Value("cannot stand in a header".to_owned()))),
    }
}

fn wrong(name: &str, fault: FieldFault) -> Rejection {
    Rejection::Field { name: name.to_owned(), fault }
}

/// A tool as MCP describes it.
pub fn definition(name: &str, description: &str, input_schema: &Map<String, Value>) -> String {
    let schema = match input_schema.is_empty() {
        true => r#"{"type":"object"}"#.to_owned(),
        false => Value::Object(input_schema.clone()).to_string(),
    };
    let description = match description {
        "" => String::new(),
        text => format!("\"description\":{},", json::quote(text)),
    };
    format!(r#"{{"name":{},{description}"inputSchema":{schema}}}"#, json::quote(name))
}
