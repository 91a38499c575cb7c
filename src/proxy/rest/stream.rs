//! A list as a stream: first all of it, then what changes, and signs of life between.

use super::super::Proxy;
use super::super::caller::Caller;
use super::super::client::Client;
use super::super::exchange::Exchange;
use crate::answer::{self, Telling};
use crate::carry::{self, Downstream, Gone};
use crate::clock;
use http::request::Parts;
use pingora::{Error, ErrorType, Result};
use std::sync::Arc;
use std::time::Duration;
use tollbridge_filters::Admission;
use tollbridge_filters::catalog::Snapshot;
use tollbridge_filters::route::Show;
use tollbridge_filters::sse;

/// How soon a stream ends when the process drains.
const DRAIN_LOOK: Duration = Duration::from_secs(1);

impl Proxy {
    /// The question as it would be admitted now: a key that is revoked, a grant that is another, a surface
    /// that is switched off and a session that has ended count for streams that are open as well.
    fn still(&self, head: &Parts, snapshot: &Snapshot, show: &Show) -> Option<Show> {
        let Ok(Admission::Rest(visit)) = self.gateway.live().filters.on_head(head, snapshot) else {
            return None;
        };
        let is_same = visit.principal.id() == show.principal.id() && visit.row.operation == show.operation;
        let has_ended =
            show.session.as_ref().is_some_and(|set| snapshot.set(set, &visit.principal, clock::now()).is_none());
        (is_same && !has_ended).then(|| Show { principal: visit.principal.clone(), ..show.clone() })
    }

    /// First all of it, then what changes, and signs of life between.
    pub(super) async fn stream(
        &self,
        caller: &mut Caller<'_>,
        exchange: &mut Exchange,
        show: &Show,
        text: String,
        telling: &Telling<'_>,
    ) -> Result<()> {
        let mut changes = self.gateway.registry.watch();
        let head = caller.head().clone();
        let mut client = Client::new(caller, exchange);
        let streamed = async {
            client.begin(carry::events_head()).await?;
            client.chunk(sse::event("snapshot", &text).into()).await?;
            let mut shown = text;
            let mut live = Arc::clone(&self.gateway.live());
            let mut beat = tokio::time::interval(self.gateway.live().conf.limits.heartbeat);
            beat.reset();
            while !self.gateway.lifecycle.is_draining() {
                tokio::select! {
                    biased;
                    () = client.gone() => return Err(Gone),
                    changed = changes.changed() => if changed.is_err() { break },
                    _ = beat.tick() => {
                        client.beat().await?;
                        if Arc::ptr_eq(&live, &self.gateway.live()) {
                            continue;
                        }
                    }
                    () = tokio::time::sleep(DRAIN_LOOK) => if Arc::ptr_eq(&live, &self.gateway.live()) {
                        continue;
                    },
                }
                live = Arc::clone(&self.gateway.live());
                let snapshot = self.gateway.registry.snapshot().clone();
                let Some(show) = self.still(&head, &snapshot, show) else { break };
                let Ok(next) = telling.tell(&snapshot, &show).await else { break };
                for event in answer::differences(&show, &shown, &next) {
                    client.chunk(event).await?;
                }
                shown = next;
            }
            client.end().await
        };
        match streamed.await {
            Ok(()) => Ok(()),
            Err(Gone) => {
                exchange.has_gone();
                Error::e_explain(ErrorType::ConnectionClosed, "the client went away")
            }
        }
    }
}
