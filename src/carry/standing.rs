//! The stream of a legacy session over all its servers: what each of them says on its own stream comes
//! together, and beside it what the gateway says itself. A server's stream that ends is resumed unseen,
//! where the server can resume; where it cannot, the client's ends, so that it knows.

use super::attach::is_seen;
use super::event_ids::EventIds;
use super::fan_in::{FanIn, Piece};
use super::follower::Follower;
use super::{Downstream, Gone, MayStay, Stop, Trace, events_head};
use crate::gateway::Gateway;
use crate::server::Stage;
use crate::session::{Seat, Upstreams};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;
use tollbridge_filters::auth::Principal;
use tollbridge_filters::era::Era;
use tollbridge_filters::marks::{Mark, Standing};
use tollbridge_filters::names::ServerId;
use tollbridge_filters::path::Scope;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::route::{Attach, Listed};
use tollbridge_filters::sse::Event;

/// How much later than the gateway a server may say of the same change.
const SAID_LAST: Duration = Duration::from_secs(5);

/// Opens the stream and holds it until one side has enough.
pub(super) async fn stand<D: Downstream>(
    gateway: &Arc<Gateway>,
    attach: &Attach,
    upstreams: &Arc<Upstreams>,
    before: Option<&Standing>,
    may_stay: &MayStay,
    down: &mut D,
    trace: &mut Trace,
) -> Result<(), Stop> {
    if let Some(before) = before {
        check(gateway, attach, upstreams, before).await?;
    }
    let seat = upstreams.sit(before.is_some()).await.ok_or(Stop::Rejected(Rejection::StreamTaken))?;
    let digests = gateway.registry.snapshot().digests(Era::Legacy, &attach.principal, &attach.scope);
    let standing = before.cloned().unwrap_or(Standing { digests, marks: Vec::new() });
    let fan_in = FanIn::new(gateway.live().conf.limits.stream_bytes);
    let (followed, said) = (BTreeMap::new(), BTreeMap::new());
    let principal = attach.principal.clone();
    let ids = EventIds::of(gateway, &principal, attach.session.key);
    let mut stand =
        Stand { gateway, scope: &attach.scope, principal, upstreams, seat, standing, ids, fan_in, followed, said };
    trace.status = 200;
    trace.streamed = true;
    stand.follow_opened();
    // A client that sees the head of its stream may count on it.
    let followed: Vec<ServerId> = stand.followed.keys().cloned().collect();
    upstreams.is_heeded(&followed).await;
    down.begin(events_head()).await?;
    Ok(stand.hold(may_stay, down, trace).await?)
}

/// Whoever resumes must find the sessions that its stream came from.
async fn check(gateway: &Gateway, attach: &Attach, upstreams: &Upstreams, before: &Standing) -> Result<(), Stop> {
    for mark in &before.marks {
        let opened = upstreams.opened_anywhere(&mark.server, |opened| opened.mark == mark.session).await;
        if opened.is_none() && is_seen(gateway, &attach.principal, &attach.scope, &mark.server) {
            return Err(Stop::Rejected(Rejection::SessionNotFound));
        }
    }
    Ok(())
}

struct Stand<'s> {
    gateway: &'s Arc<Gateway>,
    scope: &'s Scope,
    /// As it is now: its key may open less than at the beginning.
    principal: Principal,
    upstreams: &'s Arc<Upstreams>,
    seat: Seat,
    standing: Standing,
    ids: EventIds,
    fan_in: FanIn,
    /// The servers that are read.
    followed: BTreeMap<ServerId, Followed>,
    /// When it was said last that a list has changed.
    said: BTreeMap<Listed, Instant>,
}

/// The session that a server is read in, and who reads.
struct Followed {
    mark: u32,
    task: AbortHandle,
}

impl Stand<'_> {
    async fn hold<D: Downstream>(&mut self, may_stay: &MayStay, down: &mut D, trace: &mut Trace) -> Result<(), Gone> {
        let (mut news, mut changes) = (self.upstreams.news(), self.gateway.registry.watch());
        let heartbeat = self.gateway.live().conf.limits.heartbeat;
        let closed = self.gateway.lifecycle.reached(Stage::Closed);
        tokio::pin!(closed);
        let mut beat = Instant::now() + heartbeat;
        self.follow_opened();
        self.say_changes(down).await?;
        loop {
            tokio::select! {
                biased;
                () = down.gone() => return Err(Gone),
                () = &mut closed => break,
                // Both senders live as long as what is borrowed here.
                _ = news.changed() => {
                    if !self.seat.is_taken(*news.borrow_and_update()) {
                        break;
                    }
                    self.follow_opened();
                }
                _ = changes.changed() => {
                    let Some(now) = may_stay() else { break };
                    self.principal = now;
                    self.leave_unseen();
                    self.say_changes(down).await?;
                }
                (server, piece, _room) = self.fan_in.next() => match piece {
                    Piece::Event(mut event, mark) => {
                        if !self.sees(&server) {
                            continue;
                        }
                        event.id = self.moved(mark);
                        let event = event.write();
                        trace.response_bytes += event.len();
                        down.chunk(event.into()).await?;
                    }
                    Piece::Changed(list) => {
                        self.say_changes(down).await?;
                        if !self.was_said(list) {
                            say_change(list, self.id(), down).await?;
                        }
                    }
                    Piece::Lost(why) => {
                        tracing::info!(%server, %why, "a stream cannot be resumed; its client's ends");
                        down.chunk(format!(": the stream of {server} ended and cannot be resumed\n\n").into()).await?;
                        break;
                    }
                    Piece::Acknowledged { .. } | Piece::Ended => continue,
                },
                () = tokio::time::sleep_until(beat.into()) => {
                    if may_stay().is_none() {
                        break;
                    }
                    down.beat().await?;
                }
            }
            beat = Instant::now() + heartbeat;
        }
        down.end().await
    }

    /// Every server with which the session is open has its stream read; a server that is not asked for
    /// anything has nothing to say.
    fn follow_opened(&mut self) {
        for (server, place) in self.upstreams.servers() {
            let Some(opened) = place.opened() else { continue };
            let mark = opened.mark;
            let is_new = self.followed.get(&server).is_none_or(|followed| followed.mark != mark);
            if !is_new || !self.sees(&server) {
                continue;
            }
            let followed = server.clone();
            let gateway = Arc::clone(self.gateway);
            let upstreams = Arc::clone(self.upstreams);
            let last = self.standing.of(&server).filter(|known| known.session == mark).map(|mark| mark.id.clone());
            let task = self.fan_in.add(|feed| async move {
                let follower = Follower::new(gateway, upstreams, server, opened, last);
                // Whether it was heard or not, there is nothing more to say.
                let _ = follower.follow(&feed).await;
            });
            self.followed.insert(followed, Followed { mark, task });
        }
    }

    fn sees(&self, server: &ServerId) -> bool {
        is_seen(self.gateway, &self.principal, self.scope, server)
    }

    /// Servers that are no more for this client are read no more for it.
    fn leave_unseen(&mut self) {
        let (gateway, principal, scope) = (self.gateway, &self.principal, self.scope);
        self.followed.retain(|server, followed| {
            let is_seen = is_seen(gateway, principal, scope, server);
            if !is_seen {
                followed.task.abort();
            }
            is_seen
        });
    }

    async fn say_changes<D: Downstream>(&mut self, down: &mut D) -> Result<(), Gone> {
        let digests = self.gateway.registry.snapshot().digests(Era::Legacy, &self.principal, self.scope);
        let before = std::mem::replace(&mut self.standing.digests, digests);
        for list in digests.changed_since(before) {
            self.said.insert(list, Instant::now());
            say_change(list, self.id(), down).await?;
        }
        Ok(())
    }

    /// Whether the gateway has said it before the server: then it shows in what is listed.
    fn was_said(&self, list: Listed) -> bool {
        self.said.get(&list).is_some_and(|at| at.elapsed() < SAID_LAST)
    }

    /// Where the client stands after another event.
    fn moved(&mut self, mark: Option<Mark>) -> Option<String> {
        self.standing.move_to(mark?);
        self.id()
    }

    fn id(&self) -> Option<String> {
        self.ids.seal(&self.standing.id()?)
    }
}

async fn say_change<D: Downstream>(list: Listed, id: Option<String>, down: &mut D) -> Result<(), Gone> {
    let message = format!(r#"{{"jsonrpc":"2.0","method":"{}"}}"#, list.notification());
    down.chunk(Event { id, ..Event::message(message) }.write().into()).await
}
