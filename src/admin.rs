//! The operators' listener: `/livez`, `/readyz`, `/metrics`, and `/servers` for registrations.

mod servers;

use crate::gateway::Gateway;
use crate::registry::Standing;
use async_trait::async_trait;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use pingora::apps::http_app::ServeHttp;
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use std::net::IpAddr;
use std::sync::Arc;
use tollbridge_filters::auth::Role;

const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

pub struct Admin {
    gateway: Arc<Gateway>,
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        if is_local_name(session.req_header()) && servers::is_here(session.req_header().uri.path()) {
            return servers::answer(&self.gateway, session).await;
        }
        self.answer(session.req_header())
    }
}

impl Admin {
    pub fn new(gateway: Arc<Gateway>) -> Admin {
        Admin { gateway }
    }

    fn answer(&self, head: &RequestHeader) -> Response<Vec<u8>> {
        if !is_local_name(head) {
            return text(StatusCode::FORBIDDEN, "this Host is not served here; call the listener by its address");
        }
        if !matches!(head.method, http::Method::GET | http::Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here");
        }
        match head.uri.path() {
            "/livez" => text(StatusCode::OK, "alive"),
            "/readyz" => self.readiness(),
            "/metrics" if self.may_scrape(head) => respond(StatusCode::OK, METRICS, self.gateway.metrics.render()),
            "/metrics" => unauthenticated(),
            _ => text(StatusCode::NOT_FOUND, "served here: /livez, /readyz, /metrics, /servers"),
        }
    }

    fn readiness(&self) -> Response<Vec<u8>> {
        let lifecycle = &self.gateway.lifecycle;
        let standing = self.gateway.store.standing();
        let trouble = standing.as_ref().and_then(Standing::trouble);
        let unready = |line: &str| text(StatusCode::SERVICE_UNAVAILABLE, line);
        match (lifecycle.is_ready(), lifecycle.is_draining(), trouble) {
            (true, _, None) => match standing.and_then(|standing| standing.doubt()) {
                Some(doubt) => text(StatusCode::OK, &format!("ready; {doubt}")),
                None => text(StatusCode::OK, "ready"),
            },
            (true, _, Some(trouble)) => unready(&trouble),
            (_, true, _) => unready("draining"),
            _ => unready("starting"),
        }
    }

    /// Open on loopback; elsewhere for admin keys.
    fn may_scrape(&self, head: &RequestHeader) -> bool {
        let live = self.gateway.live();
        let principal = || live.filters.keyring.authenticate(&head.headers).ok();
        live.conf.admin.listen.ip().is_loopback() || principal().is_some_and(|caller| caller.role() == Role::Admin)
    }
}

/// The guard against DNS rebinding: an address, or a name that is always this machine. Probes and
/// scrapers use addresses.
fn is_local_name(head: &RequestHeader) -> bool {
    let host = head.headers.get(HOST).and_then(|value| value.to_str().ok()).or(head.uri.host()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost") || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

fn text(status: StatusCode, line: &str) -> Response<Vec<u8>> {
    respond(status, TEXT, format!("{line}\n").into_bytes())
}

fn unauthenticated() -> Response<Vec<u8>> {
    let mut response = text(StatusCode::UNAUTHORIZED, "send an admin key as `Authorization: Bearer KEY`");
    response.headers_mut().insert(WWW_AUTHENTICATE, http::HeaderValue::from_static(r#"Bearer realm="tollbridge""#));
    response
}

fn respond(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Vec<u8>> {
    let length = http::HeaderValue::from(body.len());
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    headers.insert(http::header::CONTENT_LENGTH, length);
    response
}
