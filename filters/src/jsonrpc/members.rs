//! The one pass over a message: which members stand where. A member that routing reads stands once; the rest
//! is passed over.

use super::{Invalid, Kind, TASKS, is_id};
use crate::json::{self, Malformed, Scanner, Span, once};

pub(super) const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
pub(super) const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// The members of the outermost object, as the scan meets them.
#[derive(Default)]
pub(super) struct Members {
    pub version: Option<Span>,
    pub id: Option<Span>,
    pub method: Option<Span>,
    pub params: Option<Params>,
    pub result: Option<Span>,
    pub error: Option<Span>,
}

/// `params`, which JSON-RPC lets be an object or an array; MCP knows objects only.
#[derive(Debug)]
pub(super) enum Params {
    Object(Box<Fields>),
    Other,
}

impl Members {
    pub fn read(text: &str) -> Result<Members, Invalid> {
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

    pub fn kind(&self, text: &str) -> Result<Kind, Invalid> {
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

/// Members of `params` that some method routes by.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub name: Option<Span>,
    pub uri: Option<Span>,
    pub cursor: Option<Span>,
    pub arguments: Option<Span>,
    pub reference: Option<Reference>,
    pub request_id: Option<Span>,
    pub task_id: Option<Span>,
    /// The whole of `params`.
    pub whole: Option<Span>,
    pub input_responses: Option<Span>,
    pub request_state: Option<Span>,
    pub level: Option<Span>,
    pub progress_token: Option<Span>,
    pub notifications: Option<Span>,
    pub protocol_version: Option<Span>,
    pub capabilities: Option<Span>,
    pub client_info: Option<Span>,
    pub meta: Option<Meta>,
}

/// `params.ref` of `completion/complete`.
#[derive(Debug, Default)]
pub(super) struct Reference {
    pub name: Option<Span>,
    pub uri: Option<Span>,
}

/// Members of `params._meta` (MCP 2026-07-28, Basic, `_meta`).
#[derive(Debug, Default)]
pub(super) struct Meta {
    pub whole: Span,
    pub protocol_version: Option<Span>,
    pub capabilities: Option<Span>,
    pub declares_tasks: bool,
}

pub(super) fn is_string(raw: Option<&str>) -> bool {
    raw.is_some_and(|raw| raw.starts_with('"'))
}
