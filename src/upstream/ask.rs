//! Asking a server something on the gateway's own account (discovery, health, opening sessions):
//! one request, its answer read whole, within a limit and a deadline.

use super::endpoint::Endpoint;
use super::events::{EventStream, Opening};
use super::head::{Fields, Head};
use super::link::{Fault, Link};
use crate::conf::{Limits, Server};
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::{Duration, Instant};
use tollbridge_filters::era::Era;
use tollbridge_filters::headers::{SESSION_ID, media_type};
use tollbridge_filters::sse::Events;

/// An answer that must be buffered may be this large (`limits.response_bytes` is for clients' calls).
const RESPONSE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What is asked. A question without an id is a notification.
pub struct Question<'q> {
    pub era: Era,
    pub version: Option<&'q str>,
    pub session: Option<&'q str>,
    pub id: Option<u32>,
    pub method: &'q str,
    /// An object.
    pub params: String,
    /// Headers of the client on whose behalf it is asked.
    pub headers: Option<&'q HeaderMap>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// `Mcp-Session-Id`, if there is one.
    pub session: Option<String>,
    pub reply: Reply,
}

#[derive(Debug)]
pub enum Reply {
    Result(Box<RawValue>),
    Error {
        code: i64,
        message: String,
        /// `data.supported`, which comes with a revision that is refused.
        supported: Vec<String>,
    },
    /// No JSON-RPC answer to what was asked.
    Nothing,
}

impl Reply {
    /// What an answer without a result says.
    pub fn refusal(&self, method: &str, status: u16) -> String {
        match self {
            Reply::Error { code, message, .. } => format!("{method} was answered with error {code} ({message})"),
            _ => format!("{method} was answered with HTTP status {status} and no result"),
        }
    }
}

/// Why there is no answer, as text for operators.
pub type Asked = Result<Answer, String>;

impl Question<'_> {
    fn body(&self) -> Bytes {
        let id = self.id.map(|id| format!("\"id\":{id},")).unwrap_or_default();
        let method = tollbridge_filters::json::quote(self.method);
        Bytes::from(format!(r#"{{"jsonrpc":"2.0",{id}"method":{method},"params":{}}}"#, self.params))
    }

    pub async fn ask(&self, server: &Server, endpoint: &Endpoint, timeout: Duration) -> Asked {
        match tokio::time::timeout(timeout, self.exchange(server, endpoint)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {timeout:?}")),
        }
    }

    fn fields(&self) -> Fields<'_> {
        Fields {
            era: self.era,
            version: self.version,
            session: self.session,
            method: self.method,
            name: None,
            forwarded: self.headers,
        }
    }

    /// The same, where the answer is a stream that is read as it comes.
    pub async fn open(&self, server: &Server, endpoint: &Endpoint, limits: &Limits) -> Result<Opening, Fault> {
        let (body, fields) = (self.body(), self.fields());
        let head = Head { verb: "POST", server, endpoint, path: &endpoint.path, fields, body_bytes: body.len() };
        EventStream::open(endpoint, &head, body, limits).await
    }

    async fn exchange(&self, server: &Server, endpoint: &Endpoint) -> Asked {
        let (body, fields) = (self.body(), self.fields());
        let head = Head { verb: "POST", server, endpoint, path: &endpoint.path, fields, body_bytes: body.len() };
        let began = Instant::now();
        let mut link = Link::send(endpoint, &head, body).await.map_err(|fault| fault.to_string())?;
        let answer = self.read(&mut link).await?;
        endpoint.health.answered_within(began.elapsed());
        endpoint.health.lives();
        link.close().await;
        Ok(answer)
    }

    async fn read(&self, link: &mut Link) -> Asked {
        let head = link.answer().await.map_err(|fault| fault.to_string())?;
        let status = head.status;
        let text = |name: &str| head.text(name).map(str::to_owned);
        let session = text(SESSION_ID);
        let events = text(CONTENT_TYPE.as_str()).is_some_and(|value| media_type(&value) == "text/event-stream");
        let reply = if events { self.read_events(link).await? } else { self.read_json(link).await? };
        Ok(Answer { status, session, reply })
    }

    async fn read_json(&self, link: &mut Link) -> Result<Reply, String> {
        let mut body = Vec::new();
        while let Some(chunk) = link.chunk().await.map_err(|fault| fault.to_string())? {
            body.extend_from_slice(&chunk);
            if body.len() > RESPONSE_BYTES_MAX {
                return Err(format!("its answer is larger than {RESPONSE_BYTES_MAX} bytes"));
            }
        }
        Ok(self.reply(&body).unwrap_or(Reply::Nothing))
    }

    async fn read_events(&self, link: &mut Link) -> Result<Reply, String> {
        let mut events = Events::default();
        while let Some(chunk) = link.chunk().await.map_err(|fault| fault.to_string())? {
            let complete = events.push(&chunk, RESPONSE_BYTES_MAX).map_err(|error| error.to_string())?;
            for data in complete.into_iter().filter_map(|event| event.data) {
                if let Some(reply) = self.reply(data.as_bytes()) {
                    return Ok(reply);
                }
            }
        }
        Ok(Reply::Nothing)
    }

    /// The answer to this question, if that is what the message is. Errors of the transport come
    /// with a null id or none.
    fn reply(&self, message: &[u8]) -> Option<Reply> {
        let message: Message = serde_json::from_slice(message).ok()?;
        match (message.result, message.error) {
            (Some(result), None) if message.id == self.id.map(serde_json::Value::from) => Some(Reply::Result(result)),
            (None, Some(error)) => Some(error.into()),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct Message {
    id: Option<serde_json::Value>,
    result: Option<Box<RawValue>>,
    error: Option<ErrorObject>,
}

#[derive(Deserialize)]
struct ErrorObject {
    code: i64,
    #[serde(default)]
    message: String,
    data: Option<serde_json::Value>,
}

impl From<ErrorObject> for Reply {
    fn from(error: ErrorObject) -> Reply {
        let supported = error.data.as_ref().and_then(|data| data.get("supported")?.as_array());
        let supported = supported.into_iter().flatten().filter_map(|version| version.as_str());
        let supported = supported.map(str::to_owned).collect();
        Reply::Error { code: error.code, message: error.message, supported }
    }
}
