//! A resource that several servers may have: they are asked one after the other, which is safe
//! because reading changes nothing. The first that has it answers; the last word is the last one's.

use super::deadline::Deadline;
use super::relay::{Form, read_head};
use super::{AnswerHead, Conversation, Downstream, Stop, Trace};
use crate::upstream::Link;
use bytes::Bytes;
use http::HeaderValue;
use tollbridge_filters::json;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::sse::Events;

impl Conversation<'_> {
    pub(super) async fn guess<D: Downstream>(
        &self,
        guesses: &[ServerId],
        down: &mut D,
        trace: &mut Trace,
    ) -> Result<(), Stop> {
        let Some((last, others)) = guesses.split_last() else {
            return Ok(());
        };
        for server in others {
            match self.fetch(server, down, trace).await {
                Ok(Some(message)) => return pass(message, down, trace).await,
                Err(Stop::Gone) => return Err(Stop::Gone),
                // Not here, or not to be had from here: the next one may have it.
                Ok(None) | Err(_) => {}
            }
        }
        self.hold(last, down, trace).await
    }

    /// The server's answer if it has the resource.
    async fn fetch<D: Downstream>(
        &self,
        server: &ServerId,
        down: &mut D,
        trace: &mut Trace,
    ) -> Result<Option<Bytes>, Stop> {
        let pool = self.pool(server)?;
        trace.server = Some(server.clone());
        let deadline = Deadline::start(&pool.server.timeout, "");
        let (endpoint, mut link) = match &self.carry.session {
            None => self.send_to_any(&pool, down, &deadline).await?,
            Some(session) => self.send_in_session(session, &pool, down, &deadline).await?,
        };
        trace.endpoint = Some(endpoint.addr);
        let bytes_max = self.gateway.live().conf.limits.response_bytes;
        let read = tokio::time::timeout_at(deadline.at().into(), read(&mut link, bytes_max)).await;
        link.close().await;
        Ok(read.ok().flatten().filter(|message| has_result(message)))
    }
}

/// The message in an answer; `None` where there is none that could be one.
async fn read(link: &mut Link, bytes_max: usize) -> Option<Bytes> {
    let (_, form) = read_head(link);
    let mut body = Vec::new();
    let mut events = Events::default();
    while let Some(chunk) = link.chunk().await.ok()? {
        match form {
            Form::Json => body.extend_from_slice(&chunk),
            Form::Events => {
                let complete = events.push(&chunk, bytes_max).ok()?;
                if let Some(answer) = complete.into_iter().find(|data| has_result(data.as_bytes())) {
                    return Some(answer.into());
                }
            }
            Form::Other => return None,
        }
        if body.len() > bytes_max {
            return None;
        }
    }
    Some(body.into())
}

fn has_result(message: &[u8]) -> bool {
    let text = std::str::from_utf8(message).unwrap_or_default();
    matches!(json::find(text, ["result"]), Ok(Some(_)))
}

async fn pass<D: Downstream>(message: Bytes, down: &mut D, trace: &mut Trace) -> Result<(), Stop> {
    trace.status = 200;
    trace.response_bytes = message.len();
    let content_type = HeaderValue::from_static("application/json");
    let content_length = Some(message.len() as u64);
    down.begin(AnswerHead { status: 200, content_type, content_length, retry_after: None }).await?;
    down.chunk(message).await?;
    Ok(down.end().await?)
}
