//! An event stream that is handed on: each piece when it comes, signs of life while none does, and an end
//! that says what it is.

use super::{AnswerHead, Asked, Awaits, Downstream, Relay, Stop, timed_out};
use crate::carry::listen::farewell;
use crate::conf::Limits;
use crate::failure::{Failure, Reason};
use crate::reply;
use crate::server::Stage;
use crate::session::Upstreams;
use crate::upstream::sleep_until;
use futures_util::future::poll_immediate;
use std::pin::pin;
use std::time::Instant;
use tokio::sync::watch;
use tollbridge_filters::era::Era;
use tollbridge_filters::glance::{Watch, Word};
use tollbridge_filters::sse;

impl<D: Downstream> Relay<'_, D> {
    /// An event stream: every chunk goes on when it comes. While none comes, signs of life do.
    pub(super) async fn events(&mut self, head: AnswerHead) -> Result<(), Stop> {
        self.trace.streamed = true;
        // A short answer is here already, and goes with its head.
        let mut there = poll_immediate(pin!(self.piece())).await;
        if there.is_some() {
            self.down.hold();
        }
        self.down.begin(AnswerHead { content_length: None, ..head }).await?;
        let Asked { gateway, awaits, session, .. } = self.asked;
        let Limits { heartbeat, socket_bytes, .. } = gateway.live().conf.limits;
        let is_whole = there.is_some() && self.link.ends_here();
        if !is_whole {
            self.link.bound(socket_bytes);
        }
        let last_stage = if awaits == Awaits::News { Stage::Closed } else { Stage::Ending };
        let stops = async {
            tokio::select! {
                () = gateway.lifecycle.reached(last_stage) => {}
                () = ends(session) => {}
            }
        };
        tokio::pin!(stops);
        let mut published = (awaits == Awaits::News).then(|| gateway.registry.watch());
        let (mut watch, mut changes, mut questions) = (Watch::default(), self.changes(), self.questions());
        let mut beat = Instant::now() + heartbeat;
        // Armed anew when it rings, and not by each event.
        let bell = sleep_until(beat.min(self.deadline.at()));
        tokio::pin!(bell);
        loop {
            let next = tokio::select! {
                biased;
                Some(next) = std::future::ready(there.take()) => next,
                () = &mut stops => return self.stop(&watch).await,
                () = is_published(&mut published) => match (self.asked.may_stay)() {
                    Some(_) => continue,
                    None => return self.stop(&watch).await,
                },
                () = &mut bell => {
                    let is_late = self.deadline.is_over();
                    if !is_late && beat <= Instant::now() {
                        beat = Instant::now() + heartbeat;
                        if awaits == Awaits::News && (self.asked.may_stay)().is_none() {
                            return self.stop(&watch).await;
                        }
                        if watch.is_between_events() || self.down.keeps_halves() {
                            self.down.beat().await?;
                        }
                    }
                    bell.set(sleep_until(beat.min(self.deadline.at())));
                    match is_late {
                        true => Err(Stop::Failed(timed_out(&self.pool.server.id, self.deadline))),
                        false => continue,
                    }
                }
                // The last, because a server may always be ahead of its client.
                next = self.piece() => next,
            };
            match next {
                Ok(Some(chunk)) => {
                    if questions.as_mut().is_some_and(|questions| questions.ends_in(&chunk)) {
                        self.deadline.wait_for_client();
                    }
                    self.deadline.extend();
                    beat = Instant::now() + heartbeat;
                    watch.push(&chunk);
                    self.trace.outcome = watch.outcome();
                    if changes.as_mut().is_some_and(|changes| changes.ends_in(&chunk)) {
                        self.look_anew().await;
                    }
                    if self.link.ends_here() {
                        self.down.hold();
                    }
                    self.pass(chunk).await?;
                }
                Ok(None) if self.may_end(&watch) => return Ok(self.down.end().await?),
                Ok(None) => {
                    let reason = Reason::BadReply("its stream ended without an answer".to_owned());
                    return self.end_stream(Failure::answered(&self.pool.server.id, reason), &watch).await;
                }
                Err(Stop::Failed(failure)) => return self.end_stream(failure, &watch).await,
                Err(stop) => return Err(stop),
            }
        }
    }

    /// A stream holds the answer, or the request is lost (MCP 2026-07-28, Streamable HTTP). In the legacy
    /// era it may end before, and go on where the rest is asked for (MCP 2025-11-25, Resumability).
    fn may_end(&self, watch: &Watch) -> bool {
        match (self.asked.awaits, self.asked.era) {
            (Awaits::News, _) => true,
            (Awaits::Answer, Era::Modern) => watch.has_answer(),
            (Awaits::Answer, Era::Legacy) => watch.has_answer() || watch.has_id(),
        }
    }

    /// Modern streams have no business with lists but those that were asked for.
    fn changes(&self) -> Option<Word> {
        let Asked { awaits, era, .. } = self.asked;
        (era == Era::Legacy || awaits == Awaits::News).then(|| Word::new("/list_changed"))
    }

    /// In the legacy era a server asks its client on the stream of the call (`elicitation/create`,
    /// `sampling/createMessage`).
    fn questions(&self) -> Option<Word> {
        (self.asked.era == Era::Legacy).then(|| Word::new("/create"))
    }

    /// What a client lists when it hears that a list has changed is what is listed then.
    async fn look_anew(&self) {
        let most = self.asked.gateway.live().conf.discovery.timeout;
        self.pool.renewal.look(most).await;
    }

    /// The gateway ends the stream: the process stops, or the client may not listen any more.
    async fn stop(&mut self, watch: &Watch) -> Result<(), Stop> {
        match (self.asked.awaits, self.asked.era, self.asked.id) {
            (Awaits::News, Era::Legacy, _) | (Awaits::News, _, None) if watch.is_between_events() => {}
            (Awaits::News, Era::Modern, Some(id)) if watch.is_between_events() => {
                let event = sse::Event::message(farewell(id)).write();
                self.pass(event.into()).await?;
            }
            _ => return self.end_stream(Failure::stopping(&self.pool.server.id), watch).await,
        }
        Ok(self.down.end().await?)
    }

    /// The stream broke off: the client is told in the stream, if that can be done without making
    /// a whole event out of half a one.
    async fn end_stream(&mut self, failure: Failure, watch: &Watch) -> Result<(), Stop> {
        if !watch.is_between_events() {
            return Err(Stop::Broken(failure));
        }
        // Callers of other surfaces are told in their own words.
        if self.asked.is_shaped {
            return Err(Stop::Failed(failure));
        }
        // Who resumes gets the rest; who hears news hears that there are no more.
        if !(self.asked.era == Era::Legacy && (watch.has_id() || self.asked.awaits == Awaits::News)) {
            let error = reply::failed(&failure).body(self.asked.id, &self.trace.request_id);
            let event = sse::Event::message(String::from_utf8_lossy(&error)).write();
            self.pass(event.into()).await?;
        }
        self.down.end().await?;
        tracing::info!(server = %self.pool.server.id, %failure, "an event stream broke off");
        self.trace.broken_off = true;
        Ok(())
    }
}

/// Waits until another snapshot is published, for whom that matters.
async fn is_published(published: &mut Option<watch::Receiver<u64>>) {
    match published {
        // The sender lives as long as the gateway.
        Some(published) => _ = published.changed().await,
        None => std::future::pending().await,
    }
}

/// Waits until the client ends its session.
async fn ends(session: Option<&Upstreams>) {
    match session {
        // The sender lives as long as the session is held.
        Some(session) => _ = session.news().wait_for(|news| news.ended).await,
        None => std::future::pending().await,
    }
}
