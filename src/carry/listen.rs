//! `subscriptions/listen` over several servers (MCP 2026-07-28, Subscriptions): what lists show is the
//! gateway's own to tell; of resources and tasks those servers tell that have them.

use super::fan_in::{FanIn, Piece, Told};
use super::subscriber::{ACKNOWLEDGED, Subscriber};
use super::{Downstream, Gone, MayStay, Stop, Trace, events_head};
use crate::failure::{Failure, Reason};
use crate::gateway::Gateway;
use crate::reply;
use crate::server::Stage;
use http::HeaderMap;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tollbridge_filters::auth::Principal;
use tollbridge_filters::era::Era;
use tollbridge_filters::marks::Digests;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::path::Scope;
use tollbridge_filters::route::Listen;
use tollbridge_filters::sse::Event;

/// How long the acknowledgement waits for servers; whoever takes longer is left out of it.
const ACKNOWLEDGED_LAST: Duration = Duration::from_secs(2);

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// The result that ends a subscription properly.
pub(super) fn farewell(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","_meta":{{"{SUBSCRIPTION}":{id}}}}}}}"#)
}

/// Subscribes wherever there is something to tell, and holds the stream until one side has enough.
pub async fn listen<D: Downstream>(
    gateway: &Arc<Gateway>,
    listen: &Listen,
    forwarded: &HeaderMap,
    may_stay: &MayStay,
    down: &mut D,
    trace: &mut Trace,
) -> Result<(), Stop> {
    let principal = listen.principal.clone();
    let digests = digests(gateway, &principal, &listen.scope);
    let mut fan_in = FanIn::new(gateway.live().conf.limits.stream_bytes);
    for part in &listen.parts {
        let subscriber = Subscriber::new(gateway, listen, part, forwarded);
        fan_in.add(|feed| async move {
            // Whether it was heard or not, there is nothing more to say.
            let _ = subscriber.follow(&feed).await;
        });
    }
    let mut listening = Listening { gateway, listen, principal, fan_in, digests, heard: Vec::new() };
    let mut waiting = Vec::new();
    let honoured = tokio::select! {
        biased;
        honoured = listening.acknowledgements(&mut waiting) => honoured,
        () = down.gone() => return Err(Stop::Gone),
    };
    trace.status = 200;
    trace.streamed = true;
    down.begin(events_head()).await?;
    listening.say(down, acknowledged(listening.id(), &honoured)).await?;
    if honoured.is_empty() {
        listening.say(down, farewell(listening.id())).await?;
        return Ok(down.end().await?);
    }
    for (server, piece, _room) in waiting {
        if let Some(Ending(last)) = listening.heard(down, trace, &server, piece).await? {
            return Ok(listening.end(down, last).await?);
        }
    }
    Ok(listening.hold(may_stay, down, trace).await?)
}

fn digests(gateway: &Gateway, principal: &Principal, scope: &Scope) -> Digests {
    gateway.registry.snapshot().digests(Era::Modern, principal, scope)
}

fn acknowledged(id: &str, honoured: &Map<String, Value>) -> String {
    let honoured = Value::Object(honoured.clone());
    format!(
        r#"{{"jsonrpc":"2.0","method":"{ACKNOWLEDGED}","params":{{"notifications":{honoured},"_meta":{{"{SUBSCRIPTION}":{id}}}}}}}"#
    )
}

/// The last message of the stream.
struct Ending(String);

struct Listening<'l> {
    gateway: &'l Arc<Gateway>,
    listen: &'l Listen,
    /// As it is now: its key may open less than at the beginning.
    principal: Principal,
    fan_in: FanIn,
    digests: Digests,
    /// The servers that are in what was acknowledged.
    heard: Vec<ServerId>,
}

impl Listening<'_> {
    fn sees(&self, server: &ServerId) -> bool {
        let snapshot = self.gateway.registry.snapshot();
        snapshot.seen(server, &self.principal, &self.listen.scope).is_some()
    }

    fn id(&self) -> &str {
        self.listen.envelope.id().unwrap_or("null")
    }

    /// What is granted, as the specification spells it. What comes meanwhile waits.
    async fn acknowledgements(&mut self, waiting: &mut Vec<Told>) -> Map<String, Value> {
        let (mut uris, mut tasks) = (Vec::new(), Vec::new());
        let mut open = self.listen.parts.len();
        let all = async {
            while open > 0 {
                match self.fan_in.next().await {
                    (server, Piece::Acknowledged { uris: granted, tasks: followed }, _) => {
                        open -= 1;
                        uris.extend(granted);
                        tasks.extend(followed);
                        self.heard.push(server);
                    }
                    (server, Piece::Lost(why), _) if !self.heard.contains(&server) => {
                        open -= 1;
                        tracing::info!(%server, %why, "a server takes no subscription");
                    }
                    told => waiting.push(told),
                }
            }
        };
        // One slow server must not keep the others' news from the client.
        let _ = tokio::time::timeout(ACKNOWLEDGED_LAST, all).await;
        let lists = self.listen.lists.iter().map(|list| (list.filter().to_owned(), Value::Bool(true)));
        let mut honoured: Map<String, Value> = lists.collect();
        uris.sort();
        uris.dedup();
        for (member, names) in [("resourceSubscriptions", uris), ("taskIds", tasks)] {
            if !names.is_empty() {
                honoured.insert(member.to_owned(), json!(names));
            }
        }
        honoured
    }

    async fn hold<D: Downstream>(&mut self, may_stay: &MayStay, down: &mut D, trace: &mut Trace) -> Result<(), Gone> {
        let mut changes = self.gateway.registry.watch();
        let heartbeat = self.gateway.live().conf.limits.heartbeat;
        let closed = self.gateway.lifecycle.reached(Stage::Closed);
        tokio::pin!(closed);
        let mut beat = Instant::now() + heartbeat;
        self.say_changes(down).await?;
        loop {
            tokio::select! {
                biased;
                () = down.gone() => return Err(Gone),
                () = &mut closed => break,
                // The sender lives as long as what is borrowed here.
                _ = changes.changed() => {
                    let Some(now) = may_stay() else { break };
                    self.principal = now;
                    // It hears from servers that are no more for it; it may subscribe to the rest.
                    if !self.heard.iter().all(|server| self.sees(server)) {
                        break;
                    }
                    self.say_changes(down).await?;
                }
                (server, piece, _room) = self.fan_in.next() => {
                    if let Some(Ending(last)) = self.heard(down, trace, &server, piece).await? {
                        return self.end(down, last).await;
                    }
                }
                () = tokio::time::sleep_until(beat.into()) => {
                    if may_stay().is_none() {
                        break;
                    }
                    down.beat().await?;
                }
            }
            beat = Instant::now() + heartbeat;
        }
        self.end(down, farewell(self.id())).await
    }

    /// What a server's task says.
    async fn heard<D: Downstream>(
        &self,
        down: &mut D,
        trace: &mut Trace,
        server: &ServerId,
        piece: Piece,
    ) -> Result<Option<Ending>, Gone> {
        if !self.heard.contains(server) {
            return Ok(None);
        }
        match piece {
            Piece::Event(event, _) => {
                let event = event.write();
                trace.response_bytes += event.len();
                down.chunk(event.into()).await?;
                Ok(None)
            }
            Piece::Changed(..) | Piece::Acknowledged { .. } => Ok(None),
            Piece::Ended => Ok(Some(Ending(farewell(self.id())))),
            Piece::Lost(why) => {
                tracing::info!(%server, %why, "a subscription was lost; its client's ends");
                let failure = Failure::answered(server, Reason::Unavailable(why));
                let error = reply::failed(&failure).body(Some(self.id()), &trace.request_id);
                trace.broken_off = true;
                Ok(Some(Ending(String::from_utf8_lossy(&error).into_owned())))
            }
        }
    }

    async fn say_changes<D: Downstream>(&mut self, down: &mut D) -> Result<(), Gone> {
        let digests = digests(self.gateway, &self.principal, &self.listen.scope);
        let before = std::mem::replace(&mut self.digests, digests);
        for list in digests.changed_since(before).filter(|list| self.listen.lists.contains(list)) {
            let (method, id) = (list.notification(), self.id());
            let params = format!(r#"{{"_meta":{{"{SUBSCRIPTION}":{id}}}}}"#);
            self.say(down, format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#)).await?;
        }
        Ok(())
    }

    async fn say<D: Downstream>(&self, down: &mut D, message: String) -> Result<(), Gone> {
        down.chunk(Event::message(message).write().into()).await
    }

    async fn end<D: Downstream>(&self, down: &mut D, last: String) -> Result<(), Gone> {
        self.say(down, last).await?;
        down.end().await
    }
}
