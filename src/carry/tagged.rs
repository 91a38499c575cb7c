//! The client of several servers: what a server names itself reaches it tagged, so that answers, resumed
//! streams and tasks find their way back. Where nothing is to be tagged everything passes as it came.

use super::{AnswerHead, Downstream, Gone};
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
}

impl Tagger {
    /// An event of the stream of one request.
    fn event(&self, mut event: Event) -> Event {
        event.data = event.data.map(|data| tags::tag(self.tags, &self.server, &data).into_owned());
        if self.tags == Tags::Session {
            event.id = event.id.and_then(|id| self.mark(id).call_id());
        }
        event
    }

    pub(super) fn mark(&self, id: String) -> Mark {
        Mark { server: self.server.clone(), session: self.session, id }
    }
}

pub(super) struct Tagged<'d, D> {
    tagger: Tagger,
    /// Of the request, as it was sent.
    id: Option<String>,
    request_id: String,
    bytes_max: usize,
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
    pub(super) fn new<'d>(
        tagger: Tagger,
        id: Option<&str>,
        request_id: &str,
        bytes_max: usize,
        down: &'d mut D,
    ) -> Tagged<'d, D> {
        let (id, request_id) = (id.map(str::to_owned), request_id.to_owned());
        Tagged { tagger, id, request_id, bytes_max, form: Form::AsItCame, down }
    }

    async fn events(&mut self, complete: Vec<Event>) -> Result<(), Gone> {
        for event in complete {
            self.down.chunk(self.tagger.event(event).write().into()).await?;
        }
        Ok(())
    }

    /// What cannot be held cannot be tagged. The client hears why; for the server it has gone.
    async fn give_up(&mut self) -> Result<(), Gone> {
        let why = format!("an event or answer is larger than limits.response_bytes ({})", self.bytes_max);
        let failure = Failure::answered(&self.tagger.server, Reason::BadReply(why));
        let error = reply::failed(&failure).body(self.id.as_deref(), &self.request_id);
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
        self.down.begin(head).await
    }

    async fn chunk(&mut self, chunk: Bytes) -> Result<(), Gone> {
        match &mut self.form {
            Form::AsItCame => self.down.chunk(chunk).await,
            Form::Json(_, body) if body.len() + chunk.len() > self.bytes_max => self.give_up().await,
            Form::Json(_, body) => {
                body.extend_from_slice(&chunk);
                Ok(())
            }
            Form::Events(events) => match events.push(&chunk, self.bytes_max) {
                Ok(complete) => self.events(complete).await,
                Err(_) => self.give_up().await,
            },
        }
    }

    async fn end(&mut self) -> Result<(), Gone> {
        if let Form::Json(head, body) = std::mem::replace(&mut self.form, Form::AsItCame) {
            let body = match std::str::from_utf8(&body) {
                Ok(text) => Bytes::from(tags::tag(self.tagger.tags, &self.tagger.server, text).into_owned()),
                Err(_) => Bytes::from(body),
            };
            self.down.begin(AnswerHead { content_length: Some(body.len() as u64), ..head }).await?;
            self.down.chunk(body).await?;
        }
        self.down.end().await
    }

    async fn beat(&mut self) -> Result<(), Gone> {
        self.down.beat().await
    }

    async fn gone(&mut self) {
        self.down.gone().await;
    }
}
