//! 2025-03-26 to 2025-11-25: `initialize` opens a session, and everything else names it.

use super::Request;
use super::meta::Meant;
use crate::catalog::{Kind, Snapshot};
use crate::era::{Era, negotiate};
use crate::headers;
use crate::json::Span;
use crate::jsonrpc::{self, Envelope};
use crate::marks::{Place, Resume};
use crate::path::Scope;
use crate::rejection::Rejection;
use crate::route::{Attach, Notice, Question, Reach, Route, Splice, Stream};
use crate::session::Session;
use crate::tags;
use crate::{Admitted, Filters, Moment};
use http::request::Parts;
use std::borrow::Cow;
use std::sync::Arc;

pub(super) fn route(
    filters: &Filters,
    head: &Parts,
    admitted: &Admitted,
    envelope: Envelope,
    snapshot: &Snapshot,
    moment: &Moment<'_>,
) -> Result<Route, Rejection> {
    let (meta_tools, validation) = (filters.meta_tools, filters.validation.native);
    let mut request = Request { admitted, snapshot, era: Era::Legacy, envelope, session: None, meta_tools, validation };
    if request.envelope.verb() == "initialize" {
        return initialize(request);
    }
    let session = filters.session(head, admitted, moment)?;
    match request.envelope.kind() {
        jsonrpc::Kind::Request => request.session = Some(session),
        jsonrpc::Kind::Notification => return Ok(notification(request, session)),
        jsonrpc::Kind::Response => return Ok(response(request, session)),
    }
    if let Some(kind) = Kind::of_list_method(request.envelope.verb()) {
        return request.list(kind);
    }
    match request.meta().transpose()? {
        Some(Meant::Search(question)) => return Ok(request.answer(question)),
        Some(Meant::Call(way)) => return Ok(request.carry(*way)),
        None => {}
    }
    match (request.envelope.verb(), request.way()) {
        (_, Some(way)) => way.map(|way| request.carry(way)),
        // Saying it twice is no harm, and it can be said anew where a session was lost.
        ("resources/subscribe" | "resources/unsubscribe", None) => {
            let way = request.resource(request.envelope.uri().as_deref())?;
            Ok(request.carry(way))
        }
        ("ping", None) => Ok(request.answer(Question::Ping)),
        ("logging/setLevel", None) => set_level(request),
        (_, None) => request.unknown(),
    }
}

/// RFC 5424, 6.2.1.
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// Answered from the snapshot; invalid, it leaves nothing behind.
fn initialize(request: Request<'_>) -> Result<Route, Rejection> {
    if request.envelope.kind() != jsonrpc::Kind::Request {
        return Err(Rejection::InvalidParams("`initialize` is a request and needs an id".to_owned()));
    }
    let is_object = |raw: Option<&str>| raw.is_some_and(|raw| raw.starts_with('{'));
    let envelope = &request.envelope;
    let version = envelope.protocol_version().map(|requested| negotiate(&requested));
    match version {
        Some(version) if is_object(envelope.capabilities()) && is_object(envelope.client_info()) => {
            check_server(&request)?;
            Ok(request.answer(Question::Initialize(version)))
        }
        _ => Err(Rejection::InvalidParams(
            "`initialize` needs protocolVersion, capabilities and clientInfo (MCP 2025-11-25, Lifecycle)".to_owned(),
        )),
    }
}

/// A modern server behind an endpoint of its own names its revisions, as the specification asks of
/// modern servers that meet `initialize`.
fn check_server(request: &Request<'_>) -> Result<(), Rejection> {
    match &request.admitted.scope {
        Scope::One(id) if !request.snapshot.server(id).is_some_and(|server| server.speaks(Era::Legacy)) => {
            let requested = request.envelope.protocol_version().unwrap_or_default().into_owned();
            Err(Rejection::UnsupportedVersion { requested, era: Some(Era::Modern) })
        }
        _ => Ok(()),
    }
}

/// `GET`: the stream of the session that belongs to no request, or one that broke off before.
pub(crate) fn attach(
    filters: &Filters,
    head: &Parts,
    admitted: &Admitted,
    moment: &Moment<'_>,
) -> Result<Route, Rejection> {
    let session = filters.session(head, admitted, moment)?;
    let Admitted { principal, scope } = admitted.clone();
    let last = headers::single(&head.headers, &headers::field::LAST_EVENT_ID)?;
    let place = Place::new(principal.id(), session.key);
    let to = match (&scope, last.map(|last| place.open(&filters.sealer, last))) {
        (Scope::One(server), _) => Stream::One(server.clone()),
        (_, None) => Stream::All(None),
        (_, Some(Some(Resume::Call(mark)))) => Stream::Call(mark),
        (_, Some(Some(Resume::Standing(standing)))) => Stream::All(Some(standing)),
        (_, Some(None)) => return Err(Rejection::UnknownEvent),
    };
    Ok(Route::Attach(Box::new(Attach { principal, scope, session, to })))
}

/// A client's answer to what a server asked. Behind an endpoint of several its id says which one that was.
fn response(request: Request<'_>, session: Arc<Session>) -> Route {
    if let Scope::One(_) = request.admitted.scope {
        return notice(request, session, Reach::Opened);
    }
    let asked = request.envelope.text_id().map(Cow::into_owned);
    to_asker(request, session, asked.as_deref(), |envelope| envelope.id_place())
}

/// To the server whose tag a value bears, in that server's own words; without one it is nobody's.
fn to_asker(
    request: Request<'_>,
    session: Arc<Session>,
    tagged: Option<&str>,
    place: impl Fn(&Envelope) -> Option<Span>,
) -> Route {
    let asker = tagged.and_then(tags::untag_raw).zip(place(&request.envelope));
    let Some(((server, raw), place)) = asker else {
        return request.answer(Question::Nothing);
    };
    let splice = Splice { place, text: raw.to_owned() };
    let principal = request.admitted.principal.clone();
    let (envelope, splice, reach) = (request.envelope, Some(splice), Reach::Asker(server));
    Route::Notify(Notice { principal, session, envelope, splice, reach })
}

fn notification(request: Request<'_>, session: Arc<Session>) -> Route {
    let method = request.envelope.verb();
    // A request without an id would pass by everything that requests are checked for.
    if !method.starts_with("notifications/") {
        return request.answer(Question::Nothing);
    }
    match (method, request.envelope.request_id().map(str::to_owned)) {
        // The gateway has said this to each server itself when it opened its session there.
        ("notifications/initialized", _) => request.answer(Question::Nothing),
        ("notifications/cancelled", Some(id)) => notice(request, session, Reach::Holder(id)),
        ("notifications/progress", _) if !matches!(request.admitted.scope, Scope::One(_)) => {
            let token = request.envelope.progress_token().map(|(token, _)| token.into_owned());
            to_asker(request, session, token.as_deref(), |envelope| Some(envelope.progress_token()?.1))
        }
        _ => notice(request, session, Reach::Opened),
    }
}

fn set_level(request: Request<'_>) -> Result<Route, Rejection> {
    let level = request.envelope.level().map(|level| level.into_owned());
    let level = level.ok_or_else(|| super::missing("params.level"))?;
    if !LEVELS.contains(&level.as_str()) {
        return Err(Rejection::InvalidParams(format!("{level:?} is no level; say one of {}", LEVELS.join(", "))));
    }
    match request.session.clone() {
        Some(session) => Ok(notice(request, session, Reach::Level(level))),
        None => Err(Rejection::SessionRequired),
    }
}

fn notice(request: Request<'_>, session: Arc<Session>, reach: Reach) -> Route {
    let principal = request.admitted.principal.clone();
    Route::Notify(Notice { principal, session, envelope: request.envelope, splice: None, reach })
}
