//! A resource that several servers may have: they are asked one after the other, which is safe
//! because reading changes nothing. The first that has it answers, as if it had been asked alone.

use super::relay::{HELD_BYTES_MAX, keep};
use super::{AnswerHead, Conversation, Downstream, Gone, Stop, Trace};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tollbridge_filters::glance::{Outcome, Outline, Watch};
use tollbridge_filters::headers::media_type;
use tollbridge_filters::names::ServerId;

/// How long the next one waits for one that does not say whether it has it.
const GUESS_LAST: Duration = Duration::from_secs(2);

/// What comes before an answer, the news of its progress say, is held for so long.
const HELD_LAST: Duration = Duration::from_millis(500);

impl Conversation<'_> {
    pub(super) async fn guess<D: Downstream>(
        &self,
        guesses: &[ServerId],
        down: &mut D,
        trace: &mut Trace,
    ) -> Result<(), Stop> {
        let (mut failed, mut late) = (None, None);
        for (place, server) in guesses.iter().enumerate() {
            let is_last = place + 1 == guesses.len();
            if is_last && failed.is_none() && late.is_none() {
                return self.hold(server, down, trace).await;
            }
            let mut undecided = Undecided::before(down);
            match self.ask(server, &mut undecided, trace).await {
                None => late = late.or(Some(server)),
                Some(Err(Stop::Gone)) => return Err(Stop::Gone),
                Some(done) if undecided.is_decided() => return done,
                Some(Ok(())) => {}
                // Of what broke nothing went down.
                Some(Err(Stop::Broken(failure))) => failed = failed.or(Some((server, Stop::Failed(failure)))),
                Some(Err(stop)) => failed = failed.or(Some((server, stop))),
            }
            *trace = Trace { request_id: std::mem::take(&mut trace.request_id), ..Trace::default() };
        }
        // Nobody else has it; whoever was slow to say so may, and gets the time of any call.
        if let Some(server) = late {
            return self.hold(server, down, trace).await;
        }
        failed.map_or(Ok(()), |(server, stop)| {
            trace.server = Some(server.clone());
            Err(stop)
        })
    }

    /// `None`: it took too long.
    async fn ask<D: Downstream>(
        &self,
        server: &ServerId,
        down: &mut Undecided<'_, D>,
        trace: &mut Trace,
    ) -> Option<Result<(), Stop>> {
        let decided = Arc::clone(&down.decided);
        let too_long = async {
            tokio::time::sleep(GUESS_LAST).await;
            if decided.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            done = self.hold(server, down, trace) => Some(done),
            () = too_long => None,
        }
    }
}

/// A client that gets the answer if it is no error; until that is known it is held.
struct Undecided<'d, D> {
    down: &'d mut D,
    head: Option<AnswerHead>,
    glance: Glance,
    held: Vec<Bytes>,
    decided: Arc<AtomicBool>,
    is_error: bool,
    asked: Instant,
}

enum Glance {
    Json(Outline),
    Events(Watch),
}

impl<D: Downstream> Undecided<'_, D> {
    fn before(down: &mut D) -> Undecided<'_, D> {
        let glance = Glance::Json(Outline::default());
        Undecided {
            down,
            head: None,
            glance,
            held: Vec::new(),
            decided: Arc::default(),
            is_error: false,
            asked: Instant::now(),
        }
    }

    fn is_decided(&self) -> bool {
        self.decided.load(Ordering::Relaxed)
    }

    async fn decide(&mut self) -> Result<(), Gone> {
        self.decided.store(true, Ordering::Relaxed);
        if let Some(head) = self.head.take() {
            self.down.begin(head).await?;
        }
        for chunk in std::mem::take(&mut self.held) {
            self.down.chunk(chunk).await?;
        }
        Ok(())
    }
}

impl<D: Downstream> Downstream for Undecided<'_, D> {
    async fn begin(&mut self, head: AnswerHead) -> Result<(), Gone> {
        if media_type(head.content_type.to_str().unwrap_or_default()) == "text/event-stream" {
            self.glance = Glance::Events(Watch::default());
        }
        self.head = Some(head);
        Ok(())
    }

    async fn chunk(&mut self, chunk: Bytes) -> Result<(), Gone> {
        if self.is_decided() {
            return self.down.chunk(chunk).await;
        }
        let outcome = self.glance.push(&chunk);
        self.is_error |= outcome == Some(Outcome::Error);
        if self.is_error {
            self.held.clear();
            return Ok(());
        }
        keep(&mut self.held, chunk);
        let held: usize = self.held.iter().map(Bytes::len).sum();
        let is_at_work = self.glance.has_spoken() && self.asked.elapsed() > HELD_LAST;
        match outcome.is_some() || is_at_work || held > HELD_BYTES_MAX {
            true => self.decide().await,
            false => Ok(()),
        }
    }

    async fn end(&mut self) -> Result<(), Gone> {
        if self.is_decided() { self.down.end().await } else { Ok(()) }
    }

    async fn beat(&mut self) -> Result<(), Gone> {
        if self.is_decided() { self.down.beat().await } else { Ok(()) }
    }

    async fn gone(&mut self) {
        self.down.gone().await;
    }
}

impl Glance {
    fn push(&mut self, chunk: &[u8]) -> Option<Outcome> {
        match self {
            Glance::Json(outline) => {
                outline.push(chunk);
                outline.outcome()
            }
            Glance::Events(watch) => {
                watch.push(chunk);
                watch.outcome()
            }
        }
    }

    /// Whoever tells of its progress is at work on it.
    fn has_spoken(&self) -> bool {
        matches!(self, Glance::Events(watch) if watch.has_event())
    }
}
