//! One job, from the moment it is this replica's until its answer is written.

use super::Consumer;
use super::answer::{Answer, Status};
use super::ask::{Asked, Question, Seen};
use super::held::Hold;
use super::redis::{Asker, State, Taken, Written};
use crate::access_log::Line;
use crate::carry::Trace;
use crate::clock;
use crate::metrics::Observation;
use crate::server::Stage;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tollbridge_filters::names::ServerId;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::surface::oliverye::{Action, Job, Misfit};

/// Whoever ended so many replicas ends no more of them.
const TRIES_MAX: u32 = 3;

/// Between two attempts to write an answer.
const WRITE_AGAIN: Duration = Duration::from_millis(100);

pub struct Work {
    consumer: Arc<Consumer>,
    taken: Taken,
    job: Result<Job, Misfit>,
    seen: Seen,
    began: Instant,
    _hold: Hold,
}

/// How a job ends here.
enum End {
    Answered(Answer),
    /// Others do it, or have done it.
    Lost,
    GivenBack,
}

impl Work {
    pub fn new(consumer: Arc<Consumer>, taken: Taken, hold: Hold) -> Work {
        let job = Job::read(&taken.message);
        let trace = Trace { request_id: taken.this.job.clone(), ..Trace::default() };
        let seen = Seen { trace, tool: None };
        Work { consumer, taken, job, seen, began: Instant::now(), _hold: hold }
    }

    pub async fn run(mut self) {
        let consumer = Arc::clone(&self.consumer);
        let end = tokio::select! {
            biased;
            // It would be cut off; so long before, something sensible can be made of it.
            () = consumer.gateway.lifecycle.reached(Stage::Ending) => None,
            end = self.work() => Some(end),
        };
        let end = match end {
            Some(end) => end,
            None => self.leave().await,
        };
        match end {
            End::Answered(answer) => self.write(answer).await,
            End::Lost => self.note("lost"),
            End::GivenBack => self.note("given_back"),
        }
    }

    async fn work(&mut self) -> End {
        let job = match &self.job {
            Ok(job) => job,
            Err(misfit) => return End::Answered(Answer::misfit(misfit)),
        };
        match self.taken.state {
            State::Sent => return End::Answered(Answer::rejected(&Rejection::OutcomeUnknown)),
            State::Claimed if self.taken.this.number > TRIES_MAX => {
                return End::Answered(Answer::poisoned(&Rejection::EndsGateways));
            }
            State::Claimed => {}
        }
        let Consumer { gateway, keyspace, conf, .. } = self.consumer.as_ref();
        let question = Question { gateway, keyspace, principal: &conf.principal, job, this: &self.taken.this };
        loop {
            match question.ask(&mut self.seen).await {
                Asked::Answered(answer) => return End::Answered(answer),
                Asked::Lost => return End::Lost,
                // Nothing was sent; what holds by then is decided then.
                Asked::Postponed => self.consumer.redis_is_back().await,
            }
        }
    }

    /// The process ends. What nobody has sent, another replica does.
    async fn leave(&self) -> End {
        match self.consumer.keyspace.give_back(&self.taken).await {
            Ok(true) => End::GivenBack,
            // If it is not ours any more, the answer will not be written.
            Ok(false) => End::Answered(Answer::rejected(&Rejection::OutcomeUnknown)),
            // Others take it over when its lease is over.
            Err(_) => End::Lost,
        }
    }

    /// Until it is written, or somebody else has answered.
    async fn write(&self, answer: Answer) {
        let written = loop {
            match self.consumer.keyspace.finish(&self.taken, self.asker(), &answer).await {
                Ok(written) => break written,
                Err(why) => {
                    self.consumer.note_refused(&why);
                    self.consumer.redis_is_back().await;
                }
            }
        };
        let is_put_aside = match written {
            Written::Not => return self.note("lost"),
            Written::Whole => answer.is_poison(),
            Written::InPart => true,
        };
        if is_put_aside {
            self.consumer.gateway.metrics.queue_poison.inc();
            tracing::warn!(list = %self.taken.list, job = %self.taken.this.job, "a message was put aside (tb:queue:poison)");
        }
        self.count(match (answer.label, answer.status) {
            ("poison", _) => "poison",
            ("outcome_unknown", _) => "unknown",
            (_, Status::Completed) => "completed",
            (_, Status::Error) => "error",
        });
        self.tell(&answer);
    }

    fn asker(&self) -> Option<Asker<'_>> {
        match &self.job {
            Ok(job) => Some(Asker { id: &job.id, reply_to: job.reply_to.as_deref() }),
            Err(misfit) => misfit.id.as_ref().map(|id| Asker { id, reply_to: None }),
        }
    }

    fn action(&self) -> Option<Action> {
        self.job.as_ref().ok().map(|job| job.action)
    }

    /// It ends here without an answer of ours.
    fn note(&self, outcome: &str) {
        tracing::info!(job = %self.taken.this.job, outcome, "a job was left to others");
        self.count(outcome);
    }

    fn count(&self, outcome: &str) {
        let action = self.action().map_or("other", Action::name);
        self.consumer.gateway.metrics.queue_jobs.with_label_values(&[action, outcome]).inc();
    }

    /// For the metrics of exchanges, and the access log.
    fn tell(&self, answer: &Answer) {
        let Trace { server, endpoint, upstream, response_bytes, .. } = &self.seen.trace;
        let gateway = &self.consumer.gateway;
        let method = self.action().map_or("", |action| action.operation().name());
        let server = server.as_ref().map_or("", ServerId::as_str);
        let upstream = (!server.is_empty()).then_some(*upstream);
        let total = self.began.elapsed();
        let is_call = self.action() == Some(Action::Call);
        let tool = self.seen.tool.as_deref().unwrap_or(if is_call { "other" } else { "" });
        let outcome = answer.label;
        gateway.metrics.observe(&Observation { surface: "queue", method, server, tool, outcome, total, upstream });
        if gateway.access_log.is_on() {
            gateway.access_log.write(&Line {
                time: clock::now(),
                request_id: self.asker().map_or("", |asker| &asker.id.text),
                client: None,
                principal: &self.consumer.conf.principal,
                lane: "queue",
                verb: "",
                path: &self.taken.list,
                era: "",
                method,
                server,
                tool,
                endpoint: *endpoint,
                status: 0,
                outcome,
                request_bytes: self.taken.message.len(),
                response_bytes: *response_bytes,
                total,
                upstream: upstream.unwrap_or_default(),
            });
        }
    }
}

impl Consumer {
    async fn redis_is_back(&self) {
        tokio::time::sleep(WRITE_AGAIN).await;
        // The sender lives as long as this does.
        let _ = self.keyspace.watch().wait_for(|up| *up).await;
    }
}
