//! Native MCP over Streamable HTTP, both eras: from one message to its route.

mod legacy;
mod listen;
pub mod meta;
mod modern;

pub(crate) use legacy::attach;

use crate::arguments::{Complaint, Enforcement};
use crate::auth::Principal;
use crate::catalog::{Entry, Kind, Snapshot, Target};
use crate::era::{Era, MODERN};
use crate::headers;
use crate::json::Span;
use crate::jsonrpc::Envelope;
use crate::names::ServerId;
use crate::path::{self, Scope};
use crate::rejection::Rejection;
use crate::route::{Answer, Carry, Effect, Question, Route, Splice};
use crate::session::Session;
use crate::surface::Spot;
use crate::tags::{self, Tags};
use crate::{Admitted, Filters, Moment};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use http::request::Parts;
use std::sync::Arc;

/// What an endpoint takes at all: `POST` of JSON, and of a legacy session `GET` of its stream and `DELETE`.
/// Modern requests have no session, so that 405 is the answer there (MCP 2026-07-28, Streamable HTTP).
pub(crate) fn check_endpoint(
    head: &Parts,
    scope: &Scope,
    principal: &Principal,
    snapshot: &Snapshot,
) -> Result<(), Rejection> {
    if matches!(scope, Scope::One(_)) && snapshot.visible(principal, scope).next().is_none() {
        return Err(Rejection::NotFound);
    }
    if head.method == Method::POST {
        return headers::check_media(&head.headers);
    }
    let modern = head.headers.get(&headers::field::PROTOCOL_VERSION).is_some_and(|value| value == MODERN);
    let speaks_legacy = |id: &ServerId| snapshot.server(id).is_some_and(|server| server.speaks(Era::Legacy));
    let streams = !modern && !matches!(scope, Scope::One(id) if !speaks_legacy(id));
    match head.method {
        Method::DELETE if !modern => Ok(()),
        Method::GET if streams && headers::names_events(&head.headers) => Ok(()),
        Method::GET if streams => Err(Rejection::NotAcceptable),
        _ => {
            let verbs = [("POST", true), ("GET", streams), ("DELETE", !modern)];
            let allowed = verbs.into_iter().filter_map(|(verb, is_allowed)| is_allowed.then_some(verb));
            Err(Rejection::MethodNotAllowed { allow: allowed.collect::<Vec<&str>>().join(", ") })
        }
    }
}

/// The servers of an application session (`X-Session-ID`) in place of all.
pub(crate) fn narrowed(head: &Parts, scope: Scope) -> Result<Scope, Rejection> {
    match headers::single(&head.headers, &headers::field::SET)? {
        Some(session) if scope == Scope::All => Ok(Scope::Set(session.to_owned())),
        _ => Ok(scope),
    }
}

/// `GET` and `HEAD` of an endpoint by somebody who does not want events.
pub(crate) fn asks_for_card(head: &Parts) -> bool {
    matches!(head.method, Method::GET | Method::HEAD) && !headers::names_events(&head.headers)
}

/// At a path that a server and a REST surface share, everything but `POST` is the server's; of a `POST`
/// the body tells.
pub(crate) fn shared(head: &Parts, spot: &Spot, snapshot: &Snapshot) -> Option<Scope> {
    let segment = head.uri.path().strip_prefix("/mcp/").filter(|segment| path::is_shared(segment))?;
    let server = ServerId::derive(segment).ok().filter(|id| snapshot.server(id).is_some())?;
    (spot.row(&head.method, None).is_none()).then_some(Scope::One(server))
}

pub(crate) fn route(
    filters: &Filters,
    head: &Parts,
    admitted: &Admitted,
    envelope: Envelope,
    snapshot: &Snapshot,
    moment: &Moment<'_>,
) -> Result<Route, Rejection> {
    match era(head, &envelope)? {
        Era::Modern => modern::route(filters, head, admitted, envelope, snapshot),
        Era::Legacy => legacy::route(filters, head, admitted, envelope, snapshot, moment),
    }
}

/// The era, from header and body; if they disagree nobody can say which one policy should believe.
fn era(head: &Parts, envelope: &Envelope) -> Result<Era, Rejection> {
    let header = headers::single(&head.headers, &headers::field::PROTOCOL_VERSION)?;
    let body = envelope.meta_version();
    let is_legacy = |version: &str| Era::Legacy.versions().contains(&version);
    match (header, body.as_deref()) {
        (Some(header), Some(body)) if header != body => {
            Err(Rejection::HeaderMismatch(format!("the header {} differs from _meta", headers::PROTOCOL_VERSION)))
        }
        (None, Some(_)) => {
            Err(Rejection::HeaderMismatch(format!("the header {} is missing", headers::PROTOCOL_VERSION)))
        }
        (Some(MODERN), _) => Ok(Era::Modern),
        (Some(version), None) if is_legacy(version) => Ok(Era::Legacy),
        (Some(version), Some(_)) => {
            Err(Rejection::UnsupportedVersion { requested: version.to_owned(), era: Some(Era::Modern) })
        }
        (Some(version), None) => Err(Rejection::UnsupportedVersion { requested: version.to_owned(), era: None }),
        (None, None) => Ok(Era::Legacy),
    }
}

/// A message with everything that routing it depends on.
struct Request<'r> {
    admitted: &'r Admitted,
    snapshot: &'r Snapshot,
    era: Era,
    envelope: Envelope,
    session: Option<Arc<Session>>,
    /// Whether two tools stand for all of them.
    meta_tools: bool,
    validation: Enforcement,
}

/// Which server, under which name, and what changes in the body for it.
struct Way<'w> {
    servers: Vec<ServerId>,
    splices: [Option<Splice>; 2],
    name: Option<String>,
    listed: bool,
    effect: Effect,
    mirrors: Vec<(String, String)>,
    complaint: Option<Complaint>,
    /// The tool that is called, where the catalog has it.
    entry: Option<&'w Entry>,
}

impl Way<'_> {
    /// With the body as it came.
    fn to(servers: Vec<ServerId>, name: Option<String>, effect: Effect) -> Self {
        let (splices, mirrors) = ([None, None], Vec::new());
        Way { servers, splices, name, listed: false, effect, mirrors, complaint: None, entry: None }
    }
}

impl<'r> Request<'r> {
    fn answer(self, question: Question) -> Route {
        let Admitted { principal, scope } = self.admitted.clone();
        let Request { era, envelope, session, .. } = self;
        Route::Answer(Answer { principal, scope, era, envelope, question, session })
    }

    fn list(self, kind: Kind) -> Result<Route, Rejection> {
        if self.envelope.has_cursor() && self.envelope.cursor().is_none() {
            return Err(Rejection::InvalidParams("params.cursor is no string".to_owned()));
        }
        let after = self.envelope.cursor().map(|cursor| decode_cursor(&cursor)).transpose()?;
        Ok(self.answer(Question::List { kind, after }))
    }

    fn carry(self, way: Way<'_>) -> Route {
        let Admitted { principal, scope } = self.admitted.clone();
        let Request { era, envelope, session, .. } = self;
        let Way { servers, splices, name, listed, effect, mirrors, complaint, .. } = way;
        let tags = match (&scope, era) {
            (Scope::One(_), _) => Tags::Nothing,
            (_, Era::Legacy) => Tags::Session,
            (_, Era::Modern) if envelope.declares_tasks() => Tags::Tasks,
            (_, Era::Modern) => Tags::Nothing,
        };
        Route::Carry(Box::new(Carry {
            principal,
            scope,
            era,
            envelope,
            servers,
            splices,
            name,
            session,
            effect,
            listed,
            mirrors,
            complaint,
            calling: None,
            tags,
        }))
    }

    /// The way of the methods that both eras have.
    fn way(&self) -> Option<Result<Way<'r>, Rejection>> {
        Some(match self.envelope.verb() {
            "tools/call" => self.named(Kind::Tool, Effect::Act),
            "prompts/get" => self.named(Kind::Prompt, Effect::Read),
            "resources/read" => self.resource(self.envelope.uri().as_deref()),
            "completion/complete" => self.completion(),
            _ => return None,
        })
    }

    fn named(&self, kind: Kind, effect: Effect) -> Result<Way<'r>, Rejection> {
        let (name, place) =
            self.envelope.name().zip(self.envelope.name_place()).ok_or_else(|| missing("params.name"))?;
        self.target(kind, &name, place, effect)
    }

    fn target(&self, kind: Kind, name: &str, place: Span, effect: Effect) -> Result<Way<'r>, Rejection> {
        let Admitted { principal, scope } = self.admitted;
        let Target { server, rename, entry } = self.snapshot.resolve(kind, name, self.era, principal, scope)?;
        let splice = rename.as_deref().map(|bare| Splice::name(place, bare));
        let tool = entry.filter(|_| kind == Kind::Tool);
        let complaint = self.judge(tool, || self.envelope.arguments().unwrap_or("{}"))?;
        let name = Some(rename.unwrap_or_else(|| name.to_owned()));
        let (splices, mirrors, listed) = ([splice, None], Vec::new(), entry.is_some());
        Ok(Way { servers: vec![server.id.clone()], splices, name, listed, effect, mirrors, complaint, entry: tool })
    }

    /// The arguments against the tool's schema, where the configuration wants that.
    fn judge<'a>(&self, tool: Option<&Entry>, arguments: impl Fn() -> &'a str) -> Result<Option<Complaint>, Rejection> {
        let tool = tool.filter(|_| self.validation != Enforcement::Off);
        let judged = tool.map(|tool| self.validation.judge(tool, arguments())).transpose();
        judged.map(Option::flatten).map_err(Box::new).map_err(Rejection::Arguments)
    }

    fn resource(&self, uri: Option<&str>) -> Result<Way<'r>, Rejection> {
        let uri = uri.ok_or_else(|| missing("params.uri"))?;
        let Admitted { principal, scope } = self.admitted;
        let servers = self.snapshot.holders(uri, self.era, principal, scope)?;
        // What is meant for the one that asked is not for the others.
        if servers.len() > 1 && self.envelope.brings_input() {
            let why = "which server asked for this input is not known; go on at /mcp/{server} from the start";
            return Err(Rejection::InvalidParams(why.to_owned()));
        }
        Ok(Way::to(servers, Some(uri.to_owned()), Effect::Read))
    }

    fn completion(&self) -> Result<Way<'r>, Rejection> {
        let way = match (self.envelope.reference_name(), self.envelope.reference_uri()) {
            (Some((name, place)), _) => self.target(Kind::Prompt, &name, place, Effect::Read)?,
            (None, uri) => self.resource(uri.as_deref()).map_err(|_| missing("params.ref.name or params.ref.uri"))?,
        };
        // `completion/complete` has no Mcp-Name, and is not asked of several servers.
        let servers = way.servers.into_iter().take(1).collect();
        Ok(Way { servers, name: None, ..way })
    }

    /// A task, whose id leads to its server.
    fn task(&self, effect: Effect) -> Result<Way<'r>, Rejection> {
        let (tagged, place) =
            self.envelope.task_id().zip(self.envelope.task_place()).ok_or_else(|| missing("params.taskId"))?;
        let unknown = || Rejection::UnknownTask(tagged.clone().into_owned());
        let (server, task) = tags::untag(&tagged).ok_or_else(unknown)?;
        let Admitted { principal, scope } = self.admitted;
        if !self.snapshot.seen(&server, principal, scope).is_some_and(|known| known.speaks(self.era)) {
            return Err(unknown());
        }
        let splices = [Some(Splice::name(place, task)), None];
        Ok(Way { splices, ..Way::to(vec![server], Some(task.to_owned()), effect) })
    }

    /// At an endpoint of one server, a method that we do not know is that server's business.
    fn unknown(self) -> Result<Route, Rejection> {
        let Scope::One(server) = &self.admitted.scope else {
            return Err(Rejection::UnknownMethod(self.envelope.method().into_owned()));
        };
        let (server, era) = (server.clone(), self.era);
        if !self.snapshot.server(&server).is_some_and(|known| known.speaks(era)) {
            return Err(Rejection::EraUnbridged { server, era });
        }
        let name = self.envelope.task_id().map(|id| id.into_owned());
        let name = name.filter(|_| headers::mirrored_name(&self.envelope.method()).is_some());
        Ok(self.carry(Way::to(vec![server], name, Effect::Act)))
    }
}

fn missing(what: &str) -> Rejection {
    Rejection::InvalidParams(format!("{what} is missing or no string"))
}

/// Cursors are plain keysets: the last name of the page before, in base64url.
pub(crate) fn decode_cursor(cursor: &str) -> Result<String, Rejection> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Rejection::InvalidParams("this cursor is not one of ours; list from the start".to_owned()))
}

/// The cursor of the page after this name.
pub fn encode_cursor(last: &str) -> String {
    URL_SAFE_NO_PAD.encode(last)
}
