//! The keyspace of the queue. A job is in exactly one place: in its list, among the jobs that somebody has taken,
//! or answered. Each way from one place to the next is one script.

use super::answer::Answer;
use crate::answer::random;
use crate::conf::Queue;
use crate::redis::{Unanswered, Wire};
use bytes::Bytes;
use redis::{FromRedisValue, Script, ScriptInvocation, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tollbridge_filters::surface::oliverye::JobId;

const JOBS: &str = "tb:queue:jobs";
const LEASES: &str = "tb:queue:leases";
const POISON: &str = "tb:queue:poison";

/// What comes first is done first. Of the last everything is ours.
const LISTS: [&str; 5] = ["agent_queue:urgent", "agent_queue:high", "agent_queue:normal", "agent_queue:low", REQUESTS];

const REQUESTS: &str = "mcp_requests";
const RESPONSES: &str = "mcp_responses";

/// What was put aside last is kept.
const POISON_MAX: usize = 1_000;

/// How long an answer is kept for who asked.
const KEPT_SECONDS: u64 = 24 * 3600;

const STATUS: &str = "gateway:status";
const STATUS_SECONDS: u64 = 60;
const INVENTORY: &str = "gateway:tool_inventory";
const INVENTORY_SECONDS: u64 = 3600;

const ANSWER_LAST: Duration = Duration::from_secs(5);

pub struct Keyspace {
    wire: Arc<Wire>,
    /// This process, in its jobs.
    owner: String,
    lease: Duration,
    claim: Script,
    send: Script,
    renew: Script,
    take_over: Script,
    finish: Script,
    give_back: Script,
}

/// A job in one try: whoever has an older one has lost it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Try {
    pub job: String,
    pub number: u32,
}

/// A job that is this replica's for now.
#[derive(Clone, Debug)]
pub struct Taken {
    pub this: Try,
    pub list: String,
    pub message: Bytes,
    pub state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Claimed,
    /// A server may have got it.
    Sent,
}

/// What was found in the lists.
pub struct Claimed {
    pub jobs: Vec<Taken>,
    /// Messages that were put aside.
    pub poisoned: u64,
}

/// Who waits for an answer.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    pub id: &'a JobId,
    /// A list in place of the usual one.
    pub reply_to: Option<&'a str>,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    Whole,
    /// Some of it was refused, and the message put aside.
    InPart,
    /// The job is another's, or was answered before.
    Not,
}

impl Keyspace {
    pub fn new(wire: Arc<Wire>, conf: &Queue) -> Keyspace {
        Keyspace {
            wire,
            owner: random_hex(),
            lease: conf.lease,
            claim: script(include_str!("redis/claim.lua")),
            send: script(include_str!("redis/send.lua")),
            renew: script(include_str!("redis/renew.lua")),
            take_over: script(include_str!("redis/take_over.lua")),
            finish: script(include_str!("redis/finish.lua")),
            give_back: script(include_str!("redis/give_back.lua")),
        }
    }

    pub fn is_up(&self) -> bool {
        self.wire.is_up()
    }

    pub fn watch(&self) -> watch::Receiver<bool> {
        self.wire.watch()
    }

    pub async fn claim(&self, most: usize, bytes_max: usize) -> Result<Claimed, Unanswered> {
        let mut script = keyed(&self.claim);
        script.key(POISON);
        for list in LISTS {
            script.key(list);
        }
        script.arg(&self.owner).arg(self.lease_ms()).arg(most).arg(random_hex()).arg(bytes_max).arg(POISON_MAX);
        let found: Vec<Value> = self.wire.run(&script, ANSWER_LAST).await?;
        let mut found = found.into_iter();
        let poisoned = found.next().and_then(read).unwrap_or_default();
        let mut jobs = Vec::new();
        while let (Some(job), Some(list), Some(message)) = (next(&mut found), next(&mut found), bytes(&mut found)) {
            let this = Try { job, number: 1 };
            jobs.push(Taken { this, list, message, state: State::Claimed });
        }
        Ok(Claimed { jobs, poisoned })
    }

    /// `false`: it must not be sent, because it is another's.
    pub async fn send(&self, this: &Try) -> Result<bool, Unanswered> {
        let mut script = keyed(&self.send);
        script.arg(&this.job).arg(&self.owner).arg(this.number).arg(self.lease_ms());
        self.wire.run(&script, ANSWER_LAST).await
    }

    pub async fn renew(&self, held: &[Try]) -> Result<(), Unanswered> {
        let mut script = keyed(&self.renew);
        script.arg(&self.owner).arg(self.lease_ms());
        for this in held {
            script.arg(&this.job).arg(this.number);
        }
        self.wire.run(&script, ANSWER_LAST).await
    }

    pub async fn take_over(&self, most: usize) -> Result<Vec<Taken>, Unanswered> {
        let mut script = keyed(&self.take_over);
        script.arg(&self.owner).arg(self.lease_ms()).arg(most);
        let taken: Vec<Value> = self.wire.run(&script, ANSWER_LAST).await?;
        let mut taken = taken.into_iter();
        let mut jobs = Vec::new();
        while let (Some(job), Some(list), Some(message)) = (next(&mut taken), next(&mut taken), bytes(&mut taken)) {
            let state: Option<String> = next(&mut taken);
            let state = if state.as_deref() == Some("sent") { State::Sent } else { State::Claimed };
            let this = Try { job, number: next(&mut taken).unwrap_or(u32::MAX) };
            jobs.push(Taken { this, list, message, state });
        }
        Ok(jobs)
    }

    /// Nobody may wait for it: then the job is gone, and that is all.
    pub async fn finish(
        &self,
        taken: &Taken,
        asker: Option<Asker<'_>>,
        answer: &Answer,
    ) -> Result<Written, Unanswered> {
        let request = asker.map(|asker| format!("request:{}", asker.id.text)).unwrap_or_default();
        // Agents look at their requests; who asks at the other list, or names one, waits there.
        let usual = (taken.list == REQUESTS).then_some(RESPONSES);
        let replies = asker.and_then(|asker| asker.reply_to.or(usual)).unwrap_or_default();
        let mut script = keyed(&self.finish);
        script.key(POISON);
        script.arg(&taken.this.job).arg(&self.owner).arg(taken.this.number).arg(POISON_MAX);
        script.arg(answer.poison(taken).unwrap_or_default());
        script.arg(replies).arg(asker.map(|asker| answer.envelope(asker.id)).unwrap_or_default());
        script.arg(request).arg(KEPT_SECONDS);
        script.arg("status").arg(answer.status.name()).arg("result").arg(&answer.result);
        script.arg("response_timestamp").arg(answer.timestamp());
        let written: u8 = self.wire.run(&script, ANSWER_LAST).await?;
        Ok(match written {
            0 => Written::Not,
            1 => Written::Whole,
            _ => Written::InPart,
        })
    }

    /// `false`: it was sent, or is another's.
    pub async fn give_back(&self, taken: &Taken) -> Result<bool, Unanswered> {
        let mut script = keyed(&self.give_back);
        script.key(&taken.list);
        script.arg(&taken.this.job).arg(&self.owner).arg(taken.this.number);
        self.wire.run(&script, ANSWER_LAST).await
    }

    /// What whoever pushes jobs may read of the gateway.
    pub async fn tell(&self, status: &str, inventory: &str) -> Result<(), Unanswered> {
        for (key, text, seconds) in [(STATUS, status, STATUS_SECONDS), (INVENTORY, inventory, INVENTORY_SECONDS)] {
            let mut set = redis::cmd("SET");
            set.arg(key).arg(text).arg("EX").arg(seconds);
            self.wire.ask::<()>(&set, ANSWER_LAST).await?;
        }
        Ok(())
    }

    fn lease_ms(&self) -> u64 {
        u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX)
    }
}

fn script(text: &str) -> Script {
    Script::new(&format!("{}{text}", include_str!("redis/job.lua")))
}

fn keyed(script: &Script) -> ScriptInvocation<'_> {
    let mut invocation = script.key(JOBS);
    invocation.key(LEASES);
    invocation
}

fn read<T: FromRedisValue>(value: Value) -> Option<T> {
    T::from_redis_value(value).ok()
}

fn next<T: FromRedisValue>(from: &mut impl Iterator<Item = Value>) -> Option<T> {
    from.next().and_then(read)
}

/// A message is whatever its producer has pushed, UTF-8 or not.
fn bytes(from: &mut impl Iterator<Item = Value>) -> Option<Bytes> {
    next::<Vec<u8>>(from).map(Bytes::from)
}

fn random_hex() -> String {
    random(|bytes: [u8; 8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
