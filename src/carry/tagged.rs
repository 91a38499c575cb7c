//! The client of several servers: what a server names itself reaches it tagged, so that answers, resumed
//! streams and tasks find their way back. Where nothing is to be tagged everything passes as it came.

use super::event_ids::EventIds;
use super::{AnswerHead, Downstream, Gone, StandsAt};
use crate::failure::{Failure, Reason};
use crate::reply;
use bytes::Bytes;
use tollbridge_filters::headers::media_type;
use tollbridge_filters::marks::Mark;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::sse::{Event, Events};
use tollbridge_filters::tags::{self, Tags};

/// Whose messages are tagged, and how.
pub(super) struct Tagger {
    pub(super) tags: Tags,
    pub(super) server: ServerId,
    /// Which of the server's sessions it is.
    pub(super) session: u32,
    /// `None`: no client resumes it.
    pub(super) ids: Option<EventIds>,
    /// Of the request, as it was sent.
    pub(super) id: Option<String>,
    pub(super) request_id: String,
    pub(super) bytes_max: usize,
}

impl Tagger {
    /// An event of the stream of one request.
    fn event(&self, mut event: Event) -> Event {
        event.data = event.data.map(|data| tags::tag(self.tags, &self.server, &data).into_owned());
        if self.tags == Tags::Session {
            let mark = |id| Mark { server: self.server.clone(), session: self.session, id };
            let sealed = |id: String| self.ids.as_ref()?.seal(&mark(id).call_id()?);
            event.id = event.id.and_then(sealed);
        }
        event
    }

    fn too_large(&self) -> Bytes {
        let why = format!("an event or answer is larger than limits.response_bytes ({})", self.bytes_max);
        let failure = Failure::answered(&self.server, Reason::BadReply(why));
        reply::failed(&failure).body(self.id.as_deref(), &self.request_id)
    }
}

pub(super) struct Tagged<'d, D> {
    /// `None`: nothing is to be tagged, as with most calls; they should not have room for it.
    tagging: Option<Box<Tagging>>,
    down: &'d mut D,
}

struct Tagging {
    tagger: Tagger,
    form: Form,
}

enum Form {
    /// Nothing of it is tagged.
    AsItCame,
    Events(Events),
    /// Kept until it is whole.
    Json(AnswerHead, Vec<u8>),
}

impl<D> Tagged<'_, D> {
    pub(super) fn new(tagger: Option<Tagger>, down: &mut D) -> Tagged<'_, D> {
        let tagging = |tagger| Box::new(Tagging { tagger, form: Form::AsItCame });
        Tagged { tagging: tagger.map(tagging), down }
    }
}

impl Tagging {
    async fn begin<D: Downstream>(&mut self, head: AnswerHead, down: &mut D) -> Result<(), Gone> {
        let media = media_type(head.content_type.to_str().unwrap_or_default());
        match (self.tagger.tags, media.as_str()) {
            (Tags::Session | Tags::Tasks, "text/event-stream") => self.form = Form::Events(Events::default()),
            (Tags::Tasks, "application/json") => {
                self.form = Form::Json(head, Vec::new());
                return Ok(());
            }
            // A legacy answer in JSON brings no request of the server's.
            _ => {}
        }
        down.begin(head).await
    }

    async fn chunk<D: Downstream>(&mut self, chunk: Bytes, down: &mut D) -> Result<(), Gone> {
        let tagger = &self.tagger;
        match &mut self.form {
            Form::AsItCame => down.chunk(chunk).await,
            Form::Json(_, body) if body.len() + chunk.len() > tagger.bytes_max => self.give_up(down).await,
            Form::Json(_, body) => {
                body.extend_from_slice(&chunk);
                Ok(())
            }
            Form::Events(events) => match events.push(&chunk, tagger.bytes_max) {
                Ok(complete) => {
                    for event in complete {
                        down.chunk(tagger.event(event).write().into()).await?;
                    }
                    Ok(())
                }
                Err(_) => self.give_up(down).await,
            },
        }
    }

    /// What cannot be held cannot be tagged. The client hears why; for the server it has gone.
    async fn give_up<D: Downstream>(&mut self, down: &mut D) -> Result<(), Gone> {
        let error = self.tagger.too_large();
        match std::mem::replace(&mut self.form, Form::AsItCame) {
            Form::Json(head, _) => {
                down.begin(AnswerHead { content_length: Some(error.len() as u64), ..head }).await?;
                down.chunk(error).await?;
            }
            Form::Events(_) | Form::AsItCame => {
                let event = Event::message(String::from_utf8_lossy(&error)).write();
                down.chunk(event.into()).await?;
            }
        }
        down.end().await?;
        Err(Gone)
    }

    async fn end<D: Downstream>(&mut self, down: &mut D) -> Result<(), Gone> {
        if let Form::Json(head, body) = std::mem::replace(&mut self.form, Form::AsItCame) {
            let tagger = &self.tagger;
            let body = match std::str::from_utf8(&body) {
                Ok(text) => Bytes::from(tags::tag(tagger.tags, &tagger.server, text).into_owned()),
                Err(_) => Bytes::from(body),
            };
            down.begin(AnswerHead { content_length: Some(body.len() as u64), ..head }).await?;
            down.chunk(body).await?;
        }
        down.end().await
    }
}

impl<D: Downstream> Downstream for Tagged<'_, D> {
    fn begin(&mut self, head: AnswerHead) -> impl Future<Output = Result<(), Gone>> {
        let Tagged { tagging, down } = self;
        async move {
            match tagging {
                None => down.begin(head).await,
                Some(tagging) => Box::pin(tagging.begin(head, *down)).await,
            }
        }
    }

    async fn chunk(&mut self, chunk: Bytes) -> Result<(), Gone> {
        match &mut self.tagging {
            None => self.down.chunk(chunk).await,
            Some(tagging) => Box::pin(tagging.chunk(chunk, self.down)).await,
        }
    }

    async fn end(&mut self) -> Result<(), Gone> {
        match &mut self.tagging {
            None => self.down.end().await,
            Some(tagging) => Box::pin(tagging.end(self.down)).await,
        }
    }

    async fn may_send(&mut self) -> Result<(), Gone> {
        self.down.may_send().await
    }

    fn stands_at(&self) -> Option<StandsAt> {
        self.down.stands_at()
    }

    fn hold(&mut self) {
        // What is tagged may be half an event, which is not written.
        if self.tagging.is_none() {
            self.down.hold();
        }
    }

    fn keeps_halves(&self) -> bool {
        let is_reading = self.tagging.as_ref().is_some_and(|tagging| matches!(tagging.form, Form::Events(_)));
        is_reading || self.down.keeps_halves()
    }

    async fn beat(&mut self) -> Result<(), Gone> {
        self.down.beat().await
    }

    async fn gone(&mut self) {
        self.down.gone().await;
    }
}
