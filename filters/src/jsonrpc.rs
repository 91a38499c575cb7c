//! The JSON-RPC 2.0 envelope of one MCP message: scanned once, kept as places in the bytes that
//! came. What is judged is what is sent on.

mod call;
mod members;

pub use call::{Progress, ToolCall};

use crate::json::{self, Malformed, Span};
use bytes::Bytes;
use members::{Fields, Members, Params, is_string};
use std::borrow::Cow;

/// The extension by which a server answers with a task.
pub const TASKS: &str = "io.modelcontextprotocol/tasks";

/// One JSON-RPC message and the places in it that routing needs.
#[derive(Debug)]
pub struct Envelope {
    body: Bytes,
    kind: Kind,
    id: Option<Span>,
    method: Method,
    fields: Box<Fields>,
}

/// The methods that nearly every message names.
const KNOWN: [&str; 10] = [
    "tools/call",
    "tools/list",
    "initialize",
    "notifications/initialized",
    "server/discover",
    "ping",
    "resources/read",
    "resources/list",
    "prompts/get",
    "prompts/list",
];

/// The method's name: one that we know, in the body or, where it is written with escapes, apart from it.
#[derive(Clone, Debug, Default)]
enum Method {
    #[default]
    Missing,
    Known(&'static str),
    Plain(Span),
    Unescaped(Box<str>),
}

/// What an answer repeats of its request, for when that is refused.
pub(crate) struct Echo {
    body: Bytes,
    id: Option<Span>,
    method: Method,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Request,
    Notification,
    /// An answer to a server's request.
    Response,
}

/// Why a body is no JSON-RPC message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// `-32700`
    #[error("the body is not JSON: {0}")]
    Json(String),
    /// `-32600`
    #[error("the body is no JSON-RPC 2.0 message: {0}")]
    Message(String),
    /// `-32602`
    #[error("the parameters are not right: {0}")]
    Params(String),
}

/// A message that could not be read, and its id, if at least that could.
#[derive(Debug)]
pub struct Unread {
    pub id: Option<String>,
    pub invalid: Invalid,
}

impl From<Invalid> for Unread {
    fn from(invalid: Invalid) -> Unread {
        Unread { id: None, invalid }
    }
}

impl From<Malformed> for Unread {
    fn from(malformed: Malformed) -> Unread {
        Invalid::from(malformed).into()
    }
}

impl From<Malformed> for Invalid {
    fn from(malformed: Malformed) -> Invalid {
        match malformed {
            Malformed::Duplicate(_) => Invalid::Message(malformed.to_string()),
            Malformed::Syntax(..) | Malformed::TooDeep => Invalid::Json(malformed.to_string()),
        }
    }
}

impl Envelope {
    pub fn scan(body: Bytes) -> Result<Envelope, Unread> {
        let text = std::str::from_utf8(&body).map_err(|error| Invalid::Json(error.to_string()))?;
        let members = Members::read(text)?;
        let readable = members.id.clone().and_then(|place| text.get(place)).filter(|id| is_id(id));
        let unread = |invalid| Unread { id: readable.map(str::to_owned), invalid };
        let kind = members.kind(text).map_err(unread)?;
        let method = Method::read(text, members.method.as_ref());
        let Members { id, params, .. } = members;
        let fields = match params {
            Some(Params::Object(fields)) => fields,
            Some(Params::Other) => return Err(unread(Invalid::Params("\"params\" must be an object".to_owned()))),
            None => Box::default(),
        };
        Ok(Envelope { kind, id, method, fields, body })
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The id exactly as it was sent.
    pub fn id(&self) -> Option<&str> {
        self.id.as_ref().map(|span| self.raw(span))
    }

    /// The place of the id, for splicing another one in.
    pub fn id_place(&self) -> Option<Span> {
        self.id.clone()
    }

    /// The id, if it is a string.
    pub fn text_id(&self) -> Option<Cow<'_, str>> {
        self.text(&self.id)
    }

    pub fn method(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.verb())
    }

    /// The method, as text that the envelope owns.
    pub(crate) fn verb(&self) -> &str {
        self.method.name(&self.body)
    }

    pub(crate) fn echo(&self) -> Echo {
        Echo { body: self.body.clone(), id: self.id.clone(), method: self.method.clone() }
    }

    pub fn name(&self) -> Option<Cow<'_, str>> {
        self.text(&self.fields.name)
    }

    /// The place of `params.name` with its quotes, for splicing another name in.
    pub fn name_place(&self) -> Option<Span> {
        self.fields.name.clone()
    }

    pub fn uri(&self) -> Option<Cow<'_, str>> {
        self.text(&self.fields.uri)
    }

    pub fn cursor(&self) -> Option<Cow<'_, str>> {
        self.text(&self.fields.cursor)
    }

    /// Whether there is a cursor at all, string or not; null is none.
    pub fn has_cursor(&self) -> bool {
        self.fields.cursor.as_ref().is_some_and(|span| self.raw(span) != "null")
    }

    /// Whether it goes on with a request for which a server wanted more input.
    pub fn brings_input(&self) -> bool {
        self.fields.input_responses.is_some() || self.fields.request_state.is_some()
    }

    pub fn task_id(&self) -> Option<Cow<'_, str>> {
        self.text(&self.fields.task_id)
    }

    pub fn task_place(&self) -> Option<Span> {
        self.fields.task_id.clone()
    }

    /// What `notifications/progress` refers to, if it is a string.
    pub fn progress_token(&self) -> Option<(Cow<'_, str>, Span)> {
        Some((self.text(&self.fields.progress_token)?, self.fields.progress_token.clone()?))
    }

    /// `subscriptions/listen`: what is asked for, as it was sent.
    pub fn notifications(&self) -> Option<&str> {
        self.fields.notifications.as_ref().map(|span| self.raw(span))
    }

    pub fn level(&self) -> Option<Cow<'_, str>> {
        self.text(&self.fields.level)
    }

    /// All parameters, as they were sent.
    pub fn params(&self) -> Option<&str> {
        self.fields.whole.as_ref().map(|span| self.raw(span))
    }

    pub fn arguments(&self) -> Option<&str> {
        self.fields.arguments.as_ref().map(|span| self.raw(span))
    }

    /// The place of `params.arguments`.
    pub fn arguments_place(&self) -> Option<Span> {
        self.fields.arguments.clone()
    }

    /// The prompt that `completion/complete` refers to.
    pub fn reference_name(&self) -> Option<(Cow<'_, str>, Span)> {
        let place = &self.fields.reference.as_ref()?.name;
        Some((self.text(place)?, place.clone()?))
    }

    /// The resource or template that `completion/complete` refers to.
    pub fn reference_uri(&self) -> Option<Cow<'_, str>> {
        self.text(&self.fields.reference.as_ref()?.uri)
    }

    /// What `notifications/cancelled` names.
    pub fn request_id(&self) -> Option<&str> {
        self.fields.request_id.as_ref().map(|span| self.raw(span))
    }

    /// `initialize`: the revision that the client asks for.
    pub fn protocol_version(&self) -> Option<Cow<'_, str>> {
        self.text(&self.fields.protocol_version)
    }

    /// `initialize`: what the client can do, as it was sent.
    pub fn capabilities(&self) -> Option<&str> {
        self.fields.capabilities.as_ref().map(|span| self.raw(span))
    }

    /// `initialize`: the client's name and version, as it was sent.
    pub fn client_info(&self) -> Option<&str> {
        self.fields.client_info.as_ref().map(|span| self.raw(span))
    }

    /// Modern: the revision in `_meta`.
    pub fn meta_version(&self) -> Option<Cow<'_, str>> {
        self.text(&self.fields.meta.as_ref()?.protocol_version)
    }

    /// Whether that is there, as a string.
    pub(crate) fn has_meta_version(&self) -> bool {
        let place = self.fields.meta.as_ref().and_then(|meta| meta.protocol_version.as_ref());
        place.is_some_and(|place| self.begins(place, b'"'))
    }

    /// Whether the capabilities in `_meta` are there, as an object.
    pub(crate) fn has_meta_capabilities(&self) -> bool {
        let place = self.fields.meta.as_ref().and_then(|meta| meta.capabilities.as_ref());
        place.is_some_and(|place| self.begins(place, b'{'))
    }

    fn begins(&self, place: &Span, byte: u8) -> bool {
        self.body.get(place.start) == Some(&byte)
    }

    /// Modern: all of `_meta`, as it was sent.
    pub fn meta(&self) -> Option<&str> {
        Some(self.raw(&self.fields.meta.as_ref()?.whole))
    }

    /// Modern: whether this request may be answered with a task (extension `io.modelcontextprotocol/tasks`).
    pub fn declares_tasks(&self) -> bool {
        self.fields.meta.as_ref().is_some_and(|meta| meta.declares_tasks)
    }

    /// Modern: the client's capabilities in `_meta`, as they were sent.
    pub fn meta_capabilities(&self) -> Option<&str> {
        let place = self.fields.meta.as_ref()?.capabilities.as_ref()?;
        Some(self.raw(place))
    }

    pub fn body(&self) -> &Bytes {
        &self.body
    }

    fn text(&self, place: &Option<Span>) -> Option<Cow<'_, str>> {
        let raw = self.raw(place.as_ref()?);
        is_string(Some(raw)).then(|| json::unquote(raw))
    }

    fn raw(&self, span: &Span) -> &str {
        raw(&self.body, span)
    }
}

fn raw<'b>(body: &'b Bytes, span: &Span) -> &'b str {
    body.get(span.clone()).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
}

impl Method {
    fn read(text: &str, place: Option<&Span>) -> Method {
        let quoted = place.and_then(|place| Some((place, text.get(place.clone())?)));
        match quoted.map(|(place, quoted)| (place, json::unquote(quoted))) {
            None => Method::Missing,
            Some((place, Cow::Borrowed(name))) => match KNOWN.into_iter().find(|known| *known == name) {
                Some(known) => Method::Known(known),
                None => Method::Plain(place.start + 1..place.end - 1),
            },
            Some((_, Cow::Owned(name))) => Method::Unescaped(name.into()),
        }
    }

    fn name<'n>(&'n self, body: &'n Bytes) -> &'n str {
        match self {
            Method::Missing => "",
            Method::Known(name) => name,
            Method::Plain(place) => raw(body, place),
            Method::Unescaped(name) => name,
        }
    }
}

impl Echo {
    pub fn id(&self) -> Option<&str> {
        self.id.as_ref().map(|place| raw(&self.body, place))
    }

    pub fn method(&self) -> &str {
        self.method.name(&self.body)
    }
}

/// Whether an id in an answer is the one that was asked with; `1` and `"1"` are two.
pub fn is_answer_to(id: Option<&str>, asked: &str) -> bool {
    id.is_some_and(|id| {
        id == asked || id.starts_with('"') && asked.starts_with('"') && json::unquote(id) == json::unquote(asked)
    })
}

/// MCP 2026-07-28, Basic, Requests: a string or an integer, never null. `1.0` and `1e3` are no
/// integers as they are written, and rewriting an id would not be echoing it.
pub(crate) fn is_id(raw: &str) -> bool {
    raw.starts_with('"') || raw.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests;
