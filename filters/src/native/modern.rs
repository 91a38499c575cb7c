//! 2026-07-28: every request stands for itself and says in `_meta` and headers what it is.

use super::Request;
use super::meta::Meant;
use crate::catalog::{Kind, Snapshot};
use crate::era::Era;
use crate::headers;
use crate::jsonrpc::{self, Envelope};
use crate::path::Scope;
use crate::rejection::Rejection;
use crate::route::{Effect, Question, Route};
use crate::{Admitted, Filters};
use http::request::Parts;

pub(super) fn route(
    filters: &Filters,
    head: &Parts,
    admitted: &Admitted,
    envelope: Envelope,
    snapshot: &Snapshot,
) -> Result<Route, Rejection> {
    let (meta_tools, validation) = (filters.meta_tools, filters.validation.native);
    let request = Request { admitted, snapshot, era: Era::Modern, envelope, session: None, meta_tools, validation };
    match request.envelope.kind() {
        jsonrpc::Kind::Request => {}
        // Streamable HTTP has no use for these; 202 is what the transport says to both.
        jsonrpc::Kind::Notification | jsonrpc::Kind::Response => return Ok(request.answer(Question::Nothing)),
    }
    check(head, &request.envelope)?;
    check_server(admitted, snapshot)?;
    let method = request.envelope.verb();
    if method == "server/discover" {
        return Ok(request.answer(Question::Discover));
    }
    if let Some(kind) = Kind::of_list_method(method) {
        return request.list(kind);
    }
    match request.meta().transpose()? {
        Some(Meant::Search(question)) => return Ok(request.answer(question)),
        Some(Meant::Call(way)) => return Ok(request.carry(*way)),
        None => {}
    }
    let several = !matches!(admitted.scope, Scope::One(_));
    match method {
        "subscriptions/listen" if several => return request.listen(),
        "tasks/get" if several => return request.task(Effect::Read).map(|way| request.carry(way)),
        "tasks/update" | "tasks/cancel" if several => return request.task(Effect::Act).map(|way| request.carry(way)),
        _ => {}
    }
    match request.way() {
        Some(way) => {
            let way = way?;
            let mirrored = way.entry.map_or(&[][..], |tool| &tool.mirrored);
            headers::check_params(&head.headers, &request.envelope, mirrored)?;
            Ok(request.carry(way))
        }
        None if is_removed(method) => Err(Rejection::UnknownMethod(method.to_owned())),
        None => request.unknown(),
    }
}

/// What whoever reads the body must check (MCP 2026-07-28, Streamable HTTP, Server Validation).
fn check(head: &Parts, envelope: &Envelope) -> Result<(), Rejection> {
    let wanting =
        |key: &str| Rejection::InvalidParams(format!("params._meta[\"io.modelcontextprotocol/{key}\"] is missing"));
    if !envelope.has_meta_version() {
        return Err(wanting("protocolVersion"));
    }
    if !envelope.has_meta_capabilities() {
        return Err(wanting("clientCapabilities"));
    }
    headers::check_mirrors(&head.headers, envelope)
}

/// A legacy server behind an endpoint of its own: the revision is what is wrong, and a dual-era
/// client goes on with `initialize`.
fn check_server(admitted: &Admitted, snapshot: &Snapshot) -> Result<(), Rejection> {
    match &admitted.scope {
        Scope::One(id) if !snapshot.server(id).is_some_and(|server| server.speaks(Era::Modern)) => {
            Err(Rejection::UnsupportedVersion { requested: crate::era::MODERN.to_owned(), era: Some(Era::Legacy) })
        }
        _ => Ok(()),
    }
}

/// What the modern era took away.
fn is_removed(method: &str) -> bool {
    matches!(method, "initialize" | "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe")
}
