//! The client of another surface: what a server answers is kept until it is whole, and then said in
//! the surface's own words. Whoever wants events hears of progress as it happens.

use super::relay::keep;
use super::{AnswerHead, Downstream, Gone, StandsAt};
use bytes::Bytes;
use http::HeaderValue;
use std::time::Duration;
use tollbridge_filters::catalog::Dialect;
use tollbridge_filters::headers::media_type;
use tollbridge_filters::json;
use tollbridge_filters::route::{Calling, Form};
use tollbridge_filters::sse::{self, Event, Events};
use tollbridge_filters::surface::Surface;
use tollbridge_filters::translate::Told;

pub struct Translated<'d, D> {
    down: &'d mut D,
    /// Raw: what the call was sent with.
    id: String,
    /// Whether the caller hears of what happens on the way.
    tells: bool,
    dialect: Dialect,
    bytes_max: usize,
    status: u16,
    answer: Answer,
    told: Option<Told>,
    bytes: usize,
    streams: bool,
    stands_at: Option<StandsAt>,
}

/// How long to wait before the rest of a stream is asked for, where the server does not say.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MIN: Duration = Duration::from_millis(50);

/// The server's answer so far.
enum Answer {
    Json(Vec<Bytes>),
    Events(Events),
}

/// How it ended.
pub enum Ending {
    Told(Told),
    /// There was no answer in it.
    Nothing,
    /// It is larger than may be held.
    TooLarge,
}

impl<D: Downstream> Translated<'_, D> {
    pub fn new<'d>(down: &'d mut D, calling: &Calling, id: &str, bytes_max: usize) -> Translated<'d, D> {
        Translated {
            down,
            id: id.to_owned(),
            tells: calling.form == Form::Events && calling.surface != Surface::Rpc,
            dialect: calling.dialect.clone(),
            bytes_max,
            status: 0,
            answer: Answer::Json(Vec::new()),
            told: None,
            bytes: 0,
            streams: false,
            stands_at: None,
        }
    }

    /// Whether something has gone down already, so that the end is an event.
    pub fn streams(&self) -> bool {
        self.streams
    }

    pub fn ending(&mut self) -> Ending {
        if self.bytes > self.bytes_max {
            return Ending::TooLarge;
        }
        if let Answer::Json(pieces) = &mut self.answer {
            let whole = join(std::mem::take(pieces));
            self.told = match self.dialect {
                Dialect::Rest { .. } => Told::read_plain(whole, self.status),
                Dialect::Rpc | Dialect::Unknown => Told::read(whole, &self.id),
            };
        }
        self.told.take().map_or(Ending::Nothing, Ending::Told)
    }

    /// One event of our own, as the last or on the way.
    pub async fn event(&mut self, name: &str, data: &[u8]) -> Result<(), Gone> {
        if !std::mem::replace(&mut self.streams, true) {
            self.down.begin(events_head()).await?;
        }
        let data = String::from_utf8_lossy(data);
        self.down.chunk(sse::event(name, &data).into()).await
    }

    pub async fn close(&mut self) -> Result<(), Gone> {
        self.down.end().await
    }

    /// A message of the server's: its answer, or news on the way.
    async fn message(&mut self, data: String) -> Result<(), Gone> {
        let place = json::find(&data, ["method"]).ok().flatten();
        let method = place.and_then(|place| data.get(place)).map(|raw| json::unquote(raw).into_owned());
        match method.as_deref() {
            None => {
                self.told = self.told.take().or_else(|| Told::read(data.into(), &self.id));
                Ok(())
            }
            Some(method) if self.tells => {
                let Some(name) = method.strip_prefix("notifications/") else {
                    return Ok(());
                };
                let params = json::find(&data, ["params"]).ok().flatten();
                let params = params.and_then(|place| data.get(place)).unwrap_or("{}");
                self.event(name, params.as_bytes()).await
            }
            Some(_) => Ok(()),
        }
    }
}

/// The head of a stream of our own.
pub fn events_head() -> AnswerHead {
    let content_type = HeaderValue::from_static("text/event-stream");
    AnswerHead { status: 200, content_type, content_length: None, retry_after: None }
}

fn note(stands_at: &mut Option<StandsAt>, event: &Event) {
    let retry = event.retry.as_ref().and_then(|millis| millis.parse().ok()).map(Duration::from_millis);
    let retry = retry.map(|retry| retry.max(RETRY_MIN)).or(stands_at.as_ref().map(|before| before.retry));
    if let Some(id) = event.id.clone().filter(|id| !id.is_empty()) {
        *stands_at = Some(StandsAt { id, retry: retry.unwrap_or(RETRY) });
    }
}

fn join(mut pieces: Vec<Bytes>) -> Bytes {
    match pieces.len() {
        1 => pieces.pop().unwrap_or_default(),
        _ => pieces.concat().into(),
    }
}

impl<D: Downstream> Downstream for Translated<'_, D> {
    async fn begin(&mut self, head: AnswerHead) -> Result<(), Gone> {
        self.status = head.status;
        if media_type(head.content_type.to_str().unwrap_or_default()) == "text/event-stream" {
            self.answer = Answer::Events(Events::default());
        }
        Ok(())
    }

    async fn chunk(&mut self, chunk: Bytes) -> Result<(), Gone> {
        let messages = match &mut self.answer {
            Answer::Json(pieces) => {
                self.bytes += chunk.len();
                keep(pieces, chunk);
                Vec::new()
            }
            Answer::Events(events) => match events.push(&chunk, self.bytes_max) {
                Ok(events) => {
                    events.iter().for_each(|event| note(&mut self.stands_at, event));
                    // What primes a stream says nothing.
                    events.into_iter().filter_map(|event| event.data).filter(|data| !data.is_empty()).collect()
                }
                Err(too_large) => {
                    self.bytes = too_large.0 + 1;
                    Vec::new()
                }
            },
        };
        // Whoever holds the conversation takes this for the client's end, and stops.
        if self.bytes > self.bytes_max {
            return Err(Gone);
        }
        for data in messages {
            self.message(data).await?;
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Gone> {
        Ok(())
    }

    async fn may_send(&mut self) -> Result<(), Gone> {
        self.down.may_send().await
    }

    fn stands_at(&self) -> Option<StandsAt> {
        self.stands_at.clone()
    }

    fn keeps_halves(&self) -> bool {
        true
    }

    async fn beat(&mut self) -> Result<(), Gone> {
        if self.streams { self.down.beat().await } else { Ok(()) }
    }

    async fn gone(&mut self) {
        self.down.gone().await;
    }
}
