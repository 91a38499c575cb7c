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
    /// `None`: nothing is to be tagged.
    tagger: Option<Tagger>,
    form: Form,
    down: &'d mut D,
}

enum Form {
    /// Nothing of it is tagged.
    AsItCame,
    Events(Events),
    /// Kept until it is whole.
    Json(AnswerHead, Vec<u8>),
}

impl<D: Downstream> Tagged<'_, D> {
    pub(super) fn new(tagger: Option<Tagger>, down: &mut D) -> Tagged<'_, D> {
        Tagged { tagger, form: Form::AsItCame, down }
    }

    /// What cannot be held cannot be tagged. The client hears why; for the server it has gone.
    async fn give_up(&mut self, error: Bytes) -> Result<(), Gone> {
        match std::mem::replace(&mut self.form, Form::AsItCame) {
            Form::Json(head, _) => {
                self.down.begin(AnswerHead { content_length: Some(error.len() as u64), ..head }).await?;
                self.down.chunk(error).await?;
            }
            Form::Events(_) | Form::AsItCame => {
                let event = Event::message(String::from_utf8_lossy(&error)).write();
                self.down.chunk(event.into()).await?;
            }
        }
        self.down.end().await?;
        Err(Gone)
    }
}

impl<D: Downstream> Downstream for Tagged<'_, D> {
    async fn begin(&mut self, head: AnswerHead) -> Result<(), Gone> {
        let Some(tagger) = &self.tagger else {
            return self.down.begin(head).await;
        };
        let media = media_type(head.content_type.to_str().unwrap_or_default());
        match (tagger.tags, media.as_str()) {
            (Tags::Session | Tags::Tasks, "text/event-stream") => self.form = Form::Events(Events::default()),
            (Tags::Tasks, "application/json") => {
                self.form = Form::Json(head, Vec::new());
                return Ok(());
            }
            // A legacy answer in JSON brings no request of the server's.
            _ => {}
        }
        self.down.begin(head).await
    }

    async fn chunk(&mut self, chunk: Bytes) -> Result<(), Gone> {
        let Some(tagger) = &self.tagger else {
            return self.down.chunk(chunk).await;
        };
        match &mut self.form {
            Form::AsItCame => self.down.chunk(chunk).await,
            Form::Json(_, body) if body.len() + chunk.len() > tagger.bytes_max => {
                let error = tagger.too_large();
                self.give_up(error).await
            }
            Form::Json(_, body) => {
                body.extend_from_slice(&chunk);
                Ok(())
            }
            Form::Events(events) => match events.push(&chunk, tagger.bytes_max) {
                Ok(complete) => {
                    for event in complete {
                        self.down.chunk(tagger.event(event).write().into()).await?;
                    }
                    Ok(())
                }
                Err(_) => {
                    let error = tagger.too_large();
                    self.give_up(error).await
                }
            },
        }
    }

    async fn end(&mut self) -> Result<(), Gone> {
        let form = std::mem::replace(&mut self.form, Form::AsItCame);
        if let (Form::Json(head, body), Some(tagger)) = (form, &self.tagger) {
            let body = match std::str::from_utf8(&body) {
                Ok(text) => Bytes::from(tags::tag(tagger.tags, &tagger.server, text).into_owned()),
                Err(_) => Bytes::from(body),
            };
            self.down.begin(AnswerHead { content_length: Some(body.len() as u64), ..head }).await?;
            self.down.chunk(body).await?;
        }
        self.down.end().await
    }

    async fn may_send(&mut self) -> Result<(), Gone> {
        self.down.may_send().await
    }

    fn stands_at(&self) -> Option<StandsAt> {
        self.down.stands_at()
    }

    fn hold(&mut self) {
        // What is tagged may be half an event, which is not written.
        if self.tagger.is_none() {
            self.down.hold();
        }
    }

    fn keeps_halves(&self) -> bool {
        matches!(self.form, Form::Events(_)) || self.down.keeps_halves()
    }

    async fn beat(&mut self) -> Result<(), Gone> {
        self.down.beat().await
    }

    async fn gone(&mut self) {
        self.down.gone().await;
    }
}
