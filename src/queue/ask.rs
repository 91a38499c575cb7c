//! Doing a job: the decisions of a request over HTTP, and its answer, without a client.

use super::answer::Answer;
use super::redis::{Keyspace, Try};
use crate::answer::Telling;
use crate::carry::{self, AnswerHead, Downstream, Gone, No, Trace, Translated, said};
use crate::clock;
use crate::gateway::Gateway;
use bytes::Bytes;
use http::HeaderMap;
use tollbridge_filters::Moment;
use tollbridge_filters::auth::Principal;
use tollbridge_filters::catalog::Snapshot;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::route::{Calling, Carry, Route, Show};
use tollbridge_filters::surface::oliverye::Job;

/// What doing it came to.
pub enum Asked {
    Answered(Answer),
    /// It was not sent, because it is another's by now.
    Lost,
    /// It was not sent, because Redis could not be told before.
    Postponed,
}

/// What is to be told of it.
#[derive(Default)]
pub struct Seen {
    pub trace: Trace,
    /// As the catalog has it.
    pub tool: Option<String>,
}

/// Whoever asks, and for what.
pub struct Question<'q> {
    pub gateway: &'q Gateway,
    pub keyspace: &'q Keyspace,
    /// The key that it is done under.
    pub principal: &'q str,
    pub job: &'q Job,
    pub this: &'q Try,
}

impl Question<'_> {
    pub async fn ask(&self, seen: &mut Seen) -> Asked {
        match self.answer(seen).await {
            Ok(asked) => asked,
            Err(rejection) => Asked::Answered(Answer::rejected(&rejection)),
        }
    }

    async fn answer(&self, seen: &mut Seen) -> Result<Asked, Rejection> {
        let live = self.gateway.live().clone();
        let principal = live.filters.keyring.named(self.principal);
        let principal = principal.ok_or_else(|| Rejection::KeyGone(self.principal.to_owned()))?;
        let snapshot = self.gateway.registry.snapshot().clone();
        self.touch(&snapshot, &principal);
        let ended = |key| self.gateway.sessions.is_ended(key);
        let moment = Moment { now: clock::now(), request_id: &self.this.job, ended: &ended };
        let decide = |snapshot: &Snapshot| live.filters.on_job(&principal, self.job, snapshot, &moment);
        let (snapshot, route) = self.gateway.decide(&snapshot, decide).await.map_err(|refused| refused.reason)?;
        match route {
            Route::Show(show) => self.search(&snapshot, &show).await,
            Route::Carry(carry) => match &carry.calling {
                Some(calling) => Ok(self.call(&snapshot, &carry, calling, seen).await),
                None => Err(Rejection::NotFound),
            },
            _ => Err(Rejection::NotFound),
        }
    }

    fn touch(&self, snapshot: &Snapshot, principal: &Principal) {
        let set = self.job.session.as_ref().and_then(|id| snapshot.set(id, principal, clock::now()));
        if let Some(set) = set {
            set.touch(clock::now());
        }
    }

    /// Nothing is changed by it, so it may be done twice.
    async fn search(&self, snapshot: &Snapshot, show: &Show) -> Result<Asked, Rejection> {
        let telling = Telling { gateway: self.gateway, base_url: "" };
        let envelope = telling.tell(snapshot, show).await?;
        Ok(Asked::Answered(Answer::told(&envelope)))
    }

    async fn call(&self, snapshot: &Snapshot, carry: &Carry, calling: &Calling, seen: &mut Seen) -> Asked {
        seen.tool = carry.name.clone();
        carry::complain(self.gateway, carry, &self.this.job);
        let mut headers = HeaderMap::new();
        carry::mirror(carry, &mut headers);
        let bytes_max = self.gateway.live().conf.limits.response_bytes;
        let mut nobody = Nobody { keyspace: self.keyspace, this: self.this, barred: None };
        let id = carry.envelope.id().unwrap_or_default();
        let mut translated = Translated::new(&mut nobody, calling, id, bytes_max);
        let done = carry::carry(self.gateway, carry, &headers, &|| None, &mut translated, &mut seen.trace).await;
        let said = said(done, translated.ending(), carry, calling, snapshot);
        match (nobody.barred, said) {
            (Some(Barred::Lost), _) => Asked::Lost,
            (Some(Barred::Untold), _) => Asked::Postponed,
            (None, Ok(reply)) => Asked::Answered(Answer::told(&String::from_utf8_lossy(&reply.body.concat()))),
            (None, Err(no)) => Asked::Answered(self.failed(&no)),
        }
    }

    fn failed(&self, no: &No) -> Answer {
        if let No::Failed(failure) = no {
            tracing::warn!(%failure, job = %self.this.job, "a call of a job failed");
        }
        Answer::no(no.trouble())
    }
}

/// In place of a client: the answer is kept until it is whole, and nobody goes away. Before anything is sent,
/// Redis hears of it.
struct Nobody<'n> {
    keyspace: &'n Keyspace,
    this: &'n Try,
    barred: Option<Barred>,
}

/// Why it was not sent.
enum Barred {
    Lost,
    Untold,
}

impl Downstream for Nobody<'_> {
    async fn may_send(&mut self) -> Result<(), Gone> {
        self.barred = match self.keyspace.send(self.this).await {
            Ok(true) => return Ok(()),
            Ok(false) => Some(Barred::Lost),
            Err(why) => {
                tracing::debug!(%why, job = %self.this.job, "a job waits for Redis");
                Some(Barred::Untold)
            }
        };
        Err(Gone)
    }

    async fn begin(&mut self, _: AnswerHead) -> Result<(), Gone> {
        Ok(())
    }

    async fn chunk(&mut self, _: Bytes) -> Result<(), Gone> {
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Gone> {
        Ok(())
    }

    async fn beat(&mut self) -> Result<(), Gone> {
        Ok(())
    }

    async fn gone(&mut self) {
        std::future::pending().await
    }
}
