//! REST surfaces: a request of one of them, from its head to its answer.

mod call;
mod stream;

pub(super) use call::OUTCOME;

use super::caller::Caller;
use super::client;
use super::exchange::{Exchange, Lane};
use super::{Proxy, body, head_only};
use crate::answer::Telling;
use crate::clock;
use crate::gateway::Live;
use crate::manage;
use bytes::Bytes;
use pingora::Result;
use std::sync::Arc;
use tollbridge_filters::catalog::Snapshot;
use tollbridge_filters::path::Scope;
use tollbridge_filters::rest::Visit;
use tollbridge_filters::route::{Change, Form, Route, Show};
use tollbridge_filters::surface::Surface;
use tollbridge_filters::surface::view::View;
use tollbridge_filters::{Moment, Refused};

impl Proxy {
    pub(super) async fn serve_rest(
        &self,
        caller: &mut Caller<'_>,
        exchange: &mut Exchange,
        live: &Live,
        snapshot: &Arc<Snapshot>,
        visit: &Visit,
    ) -> Result<()> {
        exchange.principal = Some(visit.principal.clone());
        exchange.asks(visit.row.surface, visit.row.operation);
        if let Some(id) = &visit.session
            && let Some(set) = snapshot.set(id, &visit.principal, clock::now())
        {
            set.touch(clock::now());
        }
        let body = if visit.has_body() {
            body::read(caller, &live.conf.limits, &mut exchange.share).await?
        } else {
            Ok(Bytes::new())
        };
        let routed = match body {
            Ok(body) => {
                exchange.request_bytes = body.len();
                if visit.speaks_rpc(&body) {
                    exchange.surface = Surface::Rpc;
                }
                self.route_rest(caller, exchange, live, snapshot, visit, body).await
            }
            Err(rejection) => Err(head_only(rejection)),
        };
        let (snapshot, routed) = match routed {
            Ok((snapshot, route)) => (snapshot, Ok(route)),
            Err(refused) => (Arc::clone(snapshot), Err(refused)),
        };
        self.follow(caller, exchange, &snapshot, routed).await
    }

    async fn route_rest(
        &self,
        caller: &Caller<'_>,
        exchange: &Exchange,
        live: &Live,
        snapshot: &Arc<Snapshot>,
        visit: &Visit,
        body: Bytes,
    ) -> std::result::Result<(Arc<Snapshot>, Route), Refused> {
        let ended = |key| self.gateway.sessions.is_ended(key);
        let request_id = exchange.id.to_string();
        let moment = Moment { now: clock::now(), request_id: &request_id, ended: &ended };
        let head = caller.head();
        let decide = |snapshot: &Snapshot| live.filters.on_rest(head, visit, body.clone(), snapshot, &moment);
        self.gateway.decide(snapshot, decide).await
    }

    pub(super) async fn show(
        &self,
        caller: &mut Caller<'_>,
        exchange: &mut Exchange,
        snapshot: &Snapshot,
        show: &Show,
    ) -> Result<()> {
        exchange.asks(show.surface, show.operation);
        exchange.lane = Lane::Answer;
        let base_url = client::base_url(caller);
        let telling = Telling { gateway: &self.gateway, base_url: &base_url };
        match (telling.tell(snapshot, show).await, show.form) {
            (Err(rejection), _) => self.reject(caller, exchange, show.id.as_deref(), &rejection).await,
            (Ok(text), Form::Json) => {
                let text = wrapped(show.id.as_deref(), text.into());
                client::say(caller, exchange, 200, "application/json", &[], text).await
            }
            (Ok(_), Form::Head { events: true }) => client::begin_events(caller, exchange).await,
            (Ok(text), Form::Head { events: false }) => {
                client::say_head(caller, exchange, "application/json", text.len()).await
            }
            (Ok(text), Form::Events) => self.stream(caller, exchange, show, text, &telling).await,
        }
    }

    pub(super) async fn change(&self, caller: &mut Caller<'_>, exchange: &mut Exchange, change: Change) -> Result<()> {
        exchange.lane = Lane::Manage;
        exchange.surface = change.surface;
        let (surface, id, principal) = (change.surface, change.id.clone(), change.principal.clone());
        match manage::change(&self.gateway, change).await {
            Ok(changed) => {
                let snapshot = self.gateway.registry.snapshot().clone();
                let view = View { snapshot: &snapshot, principal: &principal, scope: &Scope::All };
                let (status, body) = manage::told(&changed, surface, &view);
                let body = wrapped(id.as_deref(), body.to_string().into());
                let status = if id.is_some() { 200 } else { status };
                client::say(caller, exchange, status, "application/json", &[], body).await
            }
            Err(rejection) => self.reject(caller, exchange, id.as_deref(), &rejection).await,
        }
    }
}

/// A result as JSON-RPC says it.
fn wrapped(id: Option<&str>, body: Bytes) -> Vec<Bytes> {
    match id {
        None => vec![body],
        Some(id) => {
            vec![format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"#).into(), body, Bytes::from_static(b"}")]
        }
    }
}
