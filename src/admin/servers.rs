//! Registrations over the operators' listener: `GET` and `POST /servers`, `GET`, `PUT` and `DELETE
//! /servers/{id}`. A server is asked before it is stored, unless `probe=false` says not to. Errors are
//! problem details (RFC 9457).

use crate::gateway::Gateway;
use crate::manage;
use crate::reply::{Shape, Trouble};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use serde_json::{Value, json};
use tollbridge_filters::auth::{Principal, Role};
use tollbridge_filters::path::Scope;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::route::{Change, What};
use tollbridge_filters::surface::body::Fields;
use tollbridge_filters::surface::view::View;
use tollbridge_filters::surface::{Surface, routeiq};

/// Whether a path is one of these.
pub(super) fn is_here(path: &str) -> bool {
    path == "/servers" || path.starts_with("/servers/")
}

pub(super) async fn answer(gateway: &Gateway, session: &mut ServerSession) -> Response<Vec<u8>> {
    let head = session.req_header().clone();
    let answered = match admin(gateway, &head) {
        Ok(principal) => act(gateway, &head, session, principal).await,
        Err(rejection) => Err(rejection),
    };
    match answered {
        Ok((status, body)) => respond(status, "application/json", body.to_string().into()),
        Err(rejection) => {
            let request_id = format!("{:016x}", crate::answer::random(u64::from_be_bytes));
            let shape = Shape {
                surface: Surface::Plain,
                verb: &head.method,
                operation: None,
                id: None,
                request_id: &request_id,
            };
            let shaped = shape.put(Trouble::Rejected(&rejection));
            respond(shaped.status, shaped.content_type, shaped.body)
        }
    }
}

/// Always with a key, also on loopback: every process of the machine reaches that.
fn admin(gateway: &Gateway, head: &RequestHeader) -> Result<Principal, Rejection> {
    let live = gateway.live();
    let principal = live.filters.keyring.authenticate_admin(&head.headers)?;
    if principal.role() == Role::Admin { Ok(principal) } else { Err(Rejection::Forbidden("mcp.server.write")) }
}

async fn act(
    gateway: &Gateway,
    head: &RequestHeader,
    session: &mut ServerSession,
    principal: Principal,
) -> Result<(u16, Value), Rejection> {
    let id = head.uri.path().strip_prefix("/servers/").filter(|id| !id.is_empty()).map(str::to_owned);
    let what = match (&head.method, id) {
        (&Method::GET, None) => return Ok((200, list(gateway, &principal))),
        (&Method::GET, Some(id)) => return show(gateway, &principal, &id).map(|server| (200, server)),
        (&Method::DELETE, Some(id)) => What::Unregister(id),
        (&Method::POST, None) => {
            let registration = routeiq::read_registration(body(gateway, session).await?, Surface::Plain)?;
            probe(gateway, head, &registration).await?;
            What::Register(registration)
        }
        (&Method::PUT, Some(id)) => {
            let registration = routeiq::read_registration(body(gateway, session).await?, Surface::Plain)?;
            probe(gateway, head, &registration).await?;
            What::Replace(id, registration)
        }
        (_, None) => return Err(Rejection::MethodNotAllowed { allow: "GET, POST".to_owned() }),
        (_, Some(_)) => return Err(Rejection::MethodNotAllowed { allow: "GET, PUT, DELETE".to_owned() }),
    };
    let change = Change { principal: principal.clone(), surface: Surface::Plain, what, idempotency: None, id: None };
    let changed = manage::change(gateway, change).await?;
    match changed.external_id() {
        Some(id) => Ok((if changed.is_new() { 201 } else { 200 }, show(gateway, &principal, id)?)),
        None => Ok((200, json!({"status": "unregistered"}))),
    }
}

async fn probe(
    gateway: &Gateway,
    head: &RequestHeader,
    registration: &tollbridge_filters::surface::registration::Registration,
) -> Result<(), Rejection> {
    let unwanted = head.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "probe=false"));
    if unwanted { Ok(()) } else { manage::probe(gateway, registration).await }
}

async fn body(gateway: &Gateway, session: &mut ServerSession) -> Result<Fields, Rejection> {
    let limits = gateway.live().conf.limits;
    let whole = async {
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = session.read_request_body().await {
            body.extend_from_slice(&chunk);
            if body.len() > limits.body_bytes {
                return Err(Rejection::BodyTooLarge { bytes_max: limits.body_bytes });
            }
        }
        Ok(body)
    };
    let body = tokio::time::timeout(limits.body_timeout, whole).await.map_err(|_| Rejection::BodyTooSlow)??;
    Fields::read(&body)
}

fn list(gateway: &Gateway, principal: &Principal) -> Value {
    let snapshot = gateway.registry.snapshot();
    let view = View { snapshot: &snapshot, principal, scope: &Scope::All };
    json!({"servers": view.servers().map(|server| routeiq::server(&view, server)).collect::<Vec<_>>()})
}

fn show(gateway: &Gateway, principal: &Principal, id: &str) -> Result<Value, Rejection> {
    let snapshot = gateway.registry.snapshot();
    let view = View { snapshot: &snapshot, principal, scope: &Scope::All };
    let server = view.server(id).ok_or_else(|| Rejection::UnknownServer(id.to_owned()))?;
    Ok(routeiq::server(&view, server))
}

fn respond(status: u16, content_type: &'static str, body: Bytes) -> Response<Vec<u8>> {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_LENGTH, length);
    response
}
