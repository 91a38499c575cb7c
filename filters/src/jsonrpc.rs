//! The JSON-RPC 2.0 envelope of one MCP message: scanned once, kept as places in the bytes that
//! came. What is judged is what is sent on.

mod call;

pub use call::{Progress, ToolCall};

use crate::json::{self, Malformed, Scanner, Span, once};
use bytes::Bytes;
use std::borrow::Cow;

const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

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

/// Members of `params` that some method routes by.
#[derive(Debug, Default)]
struct Fields {
    name: Option<Span>,
    uri: Option<Span>,
    cursor: Option<Span>,
    arguments: Option<Span>,
    reference: Option<Reference>,
    request_id: Option<Span>,
    task_id: Option<Span>,
    /// The whole of `params`.
    whole: Option<Span>,
    input_responses: Option<Span>,
    request_state: Option<Span>,
    level: Option<Span>,
    progress_token: Option<Span>,
    notifications: Option<Span>,
    protocol_version: Option<Span>,
    capabilities: Option<Span>,
    client_info: Option<Span>,
    meta: Option<Meta>,
}

/// `params.ref` of `completion/complete`.
#[derive(Debug, Default)]
struct Reference {
    name: Option<Span>,
    uri: Option<Span>,
}

/// Members of `params._meta` (MCP 2026-07-28, Basic, `_meta`).
#[derive(Debug, Default)]
struct Meta {
    whole: Span,
    protocol_version: Option<Span>,
    capabilities: Option<Span>,
    declares_tasks: bool,
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

/// The members of the outermost object, as the scan meets them.
#[derive(Default)]
struct Members {
    version: Option<Span>,
    id: Option<Span>,
    method: Option<Span>,
    params: Option<Params>,
    result: Option<Span>,
    error: Option<Span>,
}

/// `params`, which JSON-RPC lets be an object or an array; MCP knows objects only.
#[derive(Debug)]
enum Params {
    Object(Box<Fields>),
    Other,
}

impl Members {
    fn read(text: &str) -> Result<Members, Invalid> {
        let mut scanner = Scanner::new(text);
        let mut members = Members::default();
        if scanner.peek() != Some(b'{') {
            scanner.value()?;
            scanner.end()?;
            return Err(Invalid::Message("expected one object; batches are not served".to_owned()));
        }
        scanner.object(|scanner, key| members.member(scanner, &key))?;
        scanner.end()?;
        Ok(members)
    }

    fn member(&mut self, scanner: &mut Scanner<'_>, key: &str) -> Result<(), Malformed> {
        match key {
            "jsonrpc" => once(&mut self.version, scanner.value()?, "jsonrpc"),
            "id" => once(&mut self.id, scanner.value()?, "id"),
            "method" => once(&mut self.method, scanner.value()?, "method"),
            "result" => once(&mut self.result, scanner.value()?, "result"),
            "error" => once(&mut self.error, scanner.value()?, "error"),
            "params" => {
                let params = Params::read(scanner)?;
                once(&mut self.params, params, "params")
            }
            _ => scanner.value().map(drop),
        }
    }

    fn kind(&self, text: &str) -> Result<Kind, Invalid> {
        let wrong = |what: &str| Err(Invalid::Message(what.to_owned()));
        let raw = |span: &Option<Span>| span.clone().and_then(|span| text.get(span));
        if raw(&self.version).map(json::unquote).as_deref() != Some("2.0") || !is_string(raw(&self.version)) {
            return wrong("\"jsonrpc\" must be \"2.0\"");
        }
        if raw(&self.id).is_some_and(|id| !is_id(id)) {
            return wrong("\"id\" must be a string or an integer");
        }
        let answers = self.result.is_some() || self.error.is_some();
        match (&self.method, &self.id, answers) {
            (Some(_), _, _) if !is_string(raw(&self.method)) => wrong("\"method\" must be a string"),
            (Some(_), _, true) => wrong("\"method\" and \"result\" or \"error\" exclude each other"),
            (Some(_), Some(_), _) => Ok(Kind::Request),
            (Some(_), None, _) => Ok(Kind::Notification),
            (None, Some(_), true) => Ok(Kind::Response),
            (None, _, _) => wrong("\"method\" is missing"),
        }
    }
}

impl Params {
    fn read(scanner: &mut Scanner<'_>) -> Result<Params, Malformed> {
        if scanner.peek() != Some(b'{') {
            return scanner.value().map(|_| Params::Other);
        }
        let mut fields = Box::new(Fields::default());
        let start = scanner.place();
        scanner.object(|scanner, key| fields.member(scanner, &key))?;
        fields.whole = Some(start..scanner.place());
        Ok(Params::Object(fields))
    }
}

impl Fields {
    fn member(&mut self, scanner: &mut Scanner<'_>, key: &str) -> Result<(), Malformed> {
        let slot = match key {
            "name" => &mut self.name,
            "uri" => &mut self.uri,
            "cursor" => &mut self.cursor,
            "arguments" => &mut self.arguments,
            "requestId" => &mut self.request_id,
            "taskId" => &mut self.task_id,
            "inputResponses" => &mut self.input_responses,
            "requestState" => &mut self.request_state,
            "level" => &mut self.level,
            "progressToken" => &mut self.progress_token,
            "notifications" => &mut self.notifications,
            "protocolVersion" => &mut self.protocol_version,
            "capabilities" => &mut self.capabilities,
            "clientInfo" => &mut self.client_info,
            "ref" => {
                let reference = Reference::read(scanner)?;
                return once(&mut self.reference, reference, "ref");
            }
            "_meta" => {
                let meta = Meta::read(scanner)?;
                return once(&mut self.meta, meta, "_meta");
            }
            _ => return scanner.value().map(drop),
        };
        once(slot, scanner.value()?, key)
    }
}

impl Reference {
    fn read(scanner: &mut Scanner<'_>) -> Result<Reference, Malformed> {
        let mut reference = Reference::default();
        if scanner.peek() != Some(b'{') {
            return scanner.value().map(|_| reference);
        }
        scanner.object(|scanner, key| match key.as_ref() {
            "name" => once(&mut reference.name, scanner.value()?, "ref.name"),
            "uri" => once(&mut reference.uri, scanner.value()?, "ref.uri"),
            _ => scanner.value().map(drop),
        })?;
        Ok(reference)
    }
}

impl Meta {
    fn read(scanner: &mut Scanner<'_>) -> Result<Meta, Malformed> {
        let mut meta = Meta::default();
        if scanner.peek() != Some(b'{') {
            return scanner.value().map(|_| meta);
        }
        let start = scanner.place();
        scanner.object(|scanner, key| match key.as_ref() {
            META_VERSION => once(&mut meta.protocol_version, scanner.value()?, META_VERSION),
            META_CAPABILITIES => {
                let (place, declares_tasks) = capabilities(scanner)?;
                meta.declares_tasks = declares_tasks;
                once(&mut meta.capabilities, place, META_CAPABILITIES)
            }
            _ => scanner.value().map(drop),
        })?;
        meta.whole = start..scanner.place();
        Ok(meta)
    }
}

/// Their place, and whether tasks are among their extensions. What stands twice declares nothing: the server
/// may read the other one.
fn capabilities(scanner: &mut Scanner<'_>) -> Result<(Span, bool), Malformed> {
    if scanner.peek() != Some(b'{') {
        return Ok((scanner.value()?, false));
    }
    let (start, mut extensions, mut tasks) = (scanner.place(), 0, 0);
    scanner.object(|scanner, key| {
        if key != "extensions" {
            return scanner.value().map(drop);
        }
        extensions += 1;
        if scanner.peek() != Some(b'{') {
            return scanner.value().map(drop);
        }
        scanner.object(|scanner, key| {
            tasks += usize::from(key == TASKS);
            scanner.value().map(drop)
        })
    })?;
    Ok((start..scanner.place(), extensions == 1 && tasks == 1))
}

/// Whether an id in an answer is the one that was asked with; `1` and `"1"` are two.
pub fn is_answer_to(id: Option<&str>, asked: &str) -> bool {
    id.is_some_and(|id| {
        id == asked || id.starts_with('"') && asked.starts_with('"') && json::unquote(id) == json::unquote(asked)
    })
}

fn is_string(raw: Option<&str>) -> bool {
    raw.is_some_and(|raw| raw.starts_with('"'))
}

/// MCP 2026-07-28, Basic, Requests: a string or an integer, never null. `1.0` and `1e3` are no
/// integers as they are written, and rewriting an id would not be echoing it.
pub(crate) fn is_id(raw: &str) -> bool {
    raw.starts_with('"') || raw.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests;
