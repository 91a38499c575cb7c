//! Streams that stay open: those of legacy sessions, and subscriptions.

use super::Proxy;
use super::caller::Caller;
use super::client::Client;
use super::exchange::{Exchange, Lane};
use crate::carry::{self, Trace};
use pingora::Result;
use std::sync::Arc;
use tollbridge_filters::Admission;
use tollbridge_filters::auth::Principal;
use tollbridge_filters::era::Era;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::route::{Attach, Listen, Stream};

impl Proxy {
    /// `GET`: a stream of a legacy session.
    pub(super) async fn attach(&self, caller: &mut Caller<'_>, exchange: &mut Exchange, attach: &Attach) -> Result<()> {
        exchange.label(Lane::Carry, "session/stream");
        exchange.era = Some(Era::Legacy);
        let _listening = self.gateway.lifecycle.listen();
        let servers: Vec<ServerId> = match &attach.to {
            Stream::One(server) => vec![server.clone()],
            Stream::Call(mark) => vec![mark.server.clone()],
            Stream::All(_) => Vec::new(),
        };
        let forwarded = self.forwarded(caller.head(), &servers);
        let may_stay = self.readmission(caller, exchange);
        let mut trace = Trace { request_id: exchange.request_id().to_owned(), ..Trace::default() };
        let mut client = Client::new(caller, exchange);
        let done = carry::attach(&self.gateway, attach, &forwarded, &may_stay, &mut client, &mut trace).await;
        self.conclude(caller, exchange, None, done, trace).await
    }

    /// `subscriptions/listen` over several servers.
    pub(super) async fn listen(&self, caller: &mut Caller<'_>, exchange: &mut Exchange, listen: &Listen) -> Result<()> {
        exchange.label(Lane::Carry, "subscriptions/listen");
        exchange.era = Some(Era::Modern);
        let _listening = self.gateway.lifecycle.listen();
        let servers: Vec<ServerId> = listen.parts.iter().map(|part| part.server.clone()).collect();
        let forwarded = self.forwarded(caller.head(), &servers);
        let may_stay = self.readmission(caller, exchange);
        let mut trace = Trace { request_id: exchange.request_id().to_owned(), ..Trace::default() };
        let mut client = Client::new(caller, exchange);
        let done = carry::listen(&self.gateway, listen, &forwarded, &may_stay, &mut client, &mut trace).await;
        self.conclude(caller, exchange, listen.envelope.id(), done, trace).await
    }

    /// Who this client is now: a key that is revoked, or opens less, counts for streams that are open as well.
    pub(super) fn readmission(
        &self,
        caller: &Caller<'_>,
        exchange: &Exchange,
    ) -> impl Fn() -> Option<Principal> + use<> {
        let (gateway, head) = (Arc::clone(&self.gateway), caller.head().clone());
        let principal = exchange.principal.as_ref().map(|principal| principal.id().to_owned());
        move || match gateway.live().filters.on_head(&head, &gateway.registry.snapshot()) {
            Ok(Admission::Mcp(admitted)) => {
                Some(admitted.principal).filter(|now| Some(now.id()) == principal.as_deref())
            }
            _ => None,
        }
    }
}
