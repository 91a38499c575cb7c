//! Reading what one server tells, for a subscription over several.

use super::fan_in::{Feed, Piece};
use crate::gateway::Gateway;
use crate::upstream::{EventStream, Fields, Head, Opening};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tollbridge_filters::era::Era;
use tollbridge_filters::json;
use tollbridge_filters::jsonrpc::is_answer_to;
use tollbridge_filters::names::{self, ServerId};
use tollbridge_filters::route::{Listen, Part};
use tollbridge_filters::sse::Event;
use tollbridge_filters::tags::{self, Tags};

const METHOD: &str = "subscriptions/listen";

/// The first message of a stream that was granted.
pub(super) const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

/// Reads what one server tells.
pub(super) struct Subscriber {
    gateway: Arc<Gateway>,
    server: ServerId,
    /// Of the client's request, and of this one: what servers tell bears it.
    id: String,
    part: Part,
    body: Bytes,
    forwarded: HeaderMap,
}

impl Subscriber {
    pub(super) fn new(gateway: &Arc<Gateway>, listen: &Listen, part: &Part, forwarded: &HeaderMap) -> Subscriber {
        let id = listen.envelope.id().unwrap_or("null").to_owned();
        let mut wanted = Map::new();
        for (member, names) in [("resourceSubscriptions", &part.uris), ("taskIds", &part.tasks)] {
            if !names.is_empty() {
                wanted.insert(member.to_owned(), json!(names));
            }
        }
        let (wanted, meta) = (Value::Object(wanted), listen.envelope.meta().unwrap_or("{}"));
        let params = format!(r#"{{"notifications":{wanted},"_meta":{meta}}}"#);
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{METHOD}","params":{params}}}"#).into();
        let (gateway, server, forwarded) = (Arc::clone(gateway), part.server.clone(), forwarded.clone());
        Subscriber { gateway, server, id, part: part.clone(), body, forwarded }
    }

    pub(super) async fn follow(self, feed: &Feed) -> Result<(), ()> {
        let why = match self.open().await {
            Ok(stream) => self.read(stream, feed).await?,
            Err(why) => why,
        };
        feed.tell(&self.server, Piece::Lost(why)).await
    }

    async fn open(&self) -> Result<EventStream, String> {
        let pool = self.gateway.pool(&self.server).ok_or("it was removed meanwhile")?;
        let endpoint = pool.pick(&[]).ok_or("it has no address")?;
        let (server, path) = (&pool.server, endpoint.path.as_str());
        let fields = Fields {
            era: Era::Modern,
            version: None,
            session: None,
            method: METHOD,
            name: None,
            forwarded: Some(&self.forwarded),
        };
        let body_bytes = self.body.len();
        let head = Head { verb: "POST", server, endpoint: &endpoint, path, fields, body_bytes };
        let limits = self.gateway.live().conf.limits;
        let opening = EventStream::open(&endpoint, &head, self.body.clone(), &limits);
        match tokio::time::timeout(server.timeout.call, opening).await {
            Ok(Ok(Opening::Stream(stream))) => Ok(stream),
            Ok(Ok(Opening::Refused { status, .. })) => Err(format!("HTTP status {status} and no stream")),
            Ok(Err(fault)) => {
                pool.failed(&endpoint);
                Err(fault.to_string())
            }
            Err(_) => Err("no answer in time".to_owned()),
        }
    }

    /// Reads to the end, and says what kind of end that was; one that is proper is told at once.
    async fn read(&self, mut stream: EventStream, feed: &Feed) -> Result<String, ()> {
        let mut is_granted = false;
        loop {
            let data = match stream.next().await {
                Ok(Some(event)) => event.data.unwrap_or_default(),
                Ok(None) => return Ok("its stream ended".to_owned()),
                Err(fault) => return Ok(fault.to_string()),
            };
            let member = |name| json::find(&data, [name]).ok().flatten().and_then(|place| data.get(place));
            let piece = match (member("method").map(json::unquote).as_deref(), member("id")) {
                (Some(ACKNOWLEDGED), _) if !std::mem::replace(&mut is_granted, true) => self.granted(&data),
                (Some("notifications/resources/updated" | "notifications/tasks"), _) => {
                    Piece::Event(Event::message(tags::tag(Tags::Tasks, &self.server, &data).into_owned()), None)
                }
                // Nothing else was asked for.
                (Some(_), _) => continue,
                (None, id) if is_answer_to(id, &self.id) && member("result").is_some() => Piece::Ended,
                (None, Some(_)) => return Ok("it refuses".to_owned()),
                (None, None) => continue,
            };
            feed.tell(&self.server, piece).await?;
        }
    }

    fn granted(&self, acknowledged: &str) -> Piece {
        let message: Value = serde_json::from_str(acknowledged).unwrap_or_default();
        let names = |member: &str, asked: &[String]| {
            let names = message.pointer(&format!("/params/notifications/{member}")).and_then(Value::as_array);
            let names = names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
            names.filter(|name| asked.contains(name)).collect::<Vec<String>>()
        };
        let tasks = names("taskIds", &self.part.tasks);
        let tasks = tasks.iter().map(|task| names::tagged(&self.server, task)).collect();
        Piece::Acknowledged { uris: names("resourceSubscriptions", &self.part.uris), tasks }
    }
}
