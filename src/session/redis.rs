//! The keyspace of sessions that replicas share. What belongs to one session is in one slot of a cluster.

use crate::redis::{Unanswered, Wire};
use redis::{Script, ScriptInvocation};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tollbridge_filters::session::SessionKey;

/// What is said here is about a session: see [`super::shared::News`].
pub const CHANNEL: &str = "tb:{ses}:news";

const USED: &str = "tb:{ses}:used";

/// A replica that lives says so this often, and is taken for gone after that long.
pub const BEAT_EVERY: Duration = Duration::from_millis(500);
const BEAT_LASTS: Duration = Duration::from_secs(2);

/// Whoever comes with a session that is not known here waits for so long at most.
const ANSWER_LAST: Duration = Duration::from_secs(3);

/// Whoever comes with one that is known here goes on after this, and what was to be kept is kept later.
const HINDERED_LAST: Duration = Duration::from_millis(500);

/// Fields of one session: servers, and what its client asked for.
const FIELDS_MAX: usize = 2_000;

/// What tells a store that has lost everything from one that has not.
const MEMORY: &str = "tb:{ses}:memory";

pub struct Keyspace {
    wire: Arc<Wire>,
    /// How long something is kept that nobody asks for.
    seconds: u64,
    load: Script,
    claim: Script,
    note: Script,
    end: Script,
    sit: Script,
    stand_up: Script,
    touch: Script,
    let_go: Script,
    idle: Script,
}

pub type Fields = HashMap<String, String>;

/// What became of the news that a session was opened with a server.
pub enum Claim {
    /// The client's session is no more.
    Ended,
    /// Another replica was faster.
    Taken(String),
    /// It counts; and who reads the client's stream, if anybody does.
    Kept { seat: Option<String> },
}

impl Keyspace {
    pub fn new(wire: Arc<Wire>, lasts: Duration) -> Keyspace {
        Keyspace {
            wire,
            seconds: lasts.as_secs().max(1),
            load: Script::new(include_str!("redis/load.lua")),
            claim: Script::new(include_str!("redis/claim.lua")),
            note: Script::new(include_str!("redis/note.lua")),
            end: Script::new(include_str!("redis/end.lua")),
            sit: Script::new(include_str!("redis/sit.lua")),
            stand_up: Script::new(include_str!("redis/stand_up.lua")),
            touch: Script::new(include_str!("redis/touch.lua")),
            let_go: Script::new(include_str!("redis/let_go.lua")),
            idle: Script::new(include_str!("redis/idle.lua")),
        }
    }

    pub fn wire(&self) -> &Arc<Wire> {
        &self.wire
    }

    /// `None`: it has ended.
    pub async fn load(&self, key: SessionKey) -> Result<Option<Fields>, Unanswered> {
        let (lives, fields): (bool, Fields) = self.wire.run(&of(&self.load, key, 2), ANSWER_LAST).await?;
        Ok(lives.then_some(fields))
    }

    pub async fn claim(
        &self,
        key: SessionKey,
        (field, mark, value): (&str, &str, &str),
        lost: &str,
        news: &str,
    ) -> Result<Claim, Unanswered> {
        let mut script = of(&self.claim, key, 3);
        script.arg(field).arg(mark).arg(value).arg(lost).arg(self.seconds).arg(CHANNEL).arg(news);
        let (verdict, there): (String, String) = self.wire.run(&script, HINDERED_LAST).await?;
        Ok(match verdict.as_str() {
            "ended" => Claim::Ended,
            "taken" => Claim::Taken(there),
            _ => Claim::Kept { seat: (!there.is_empty()).then_some(there) },
        })
    }

    pub async fn note(&self, key: SessionKey, field: &str, value: &str, news: &str) -> Result<(), Unanswered> {
        let mut script = of(&self.note, key, 2);
        script.arg(field).arg(value).arg(self.seconds).arg(CHANNEL).arg(news).arg(FIELDS_MAX);
        self.wire.run(&script, HINDERED_LAST).await
    }

    pub async fn end(&self, key: SessionKey, news: &str) -> Result<Fields, Unanswered> {
        let mut script = of(&self.end, key, 3);
        script.arg(self.seconds).arg(CHANNEL).arg(news);
        let fields = self.wire.run(&script, ANSWER_LAST).await?;
        let mut unused = redis::cmd("ZREM");
        unused.arg(USED).arg(hex(key));
        // Whoever finds it idle later finds that it has ended.
        let _: Result<u64, Unanswered> = self.wire.ask(&unused, ANSWER_LAST).await;
        Ok(fields)
    }

    /// Forgets what was kept of a session; its id stays good.
    pub async fn drop(&self, key: SessionKey) -> Result<(), Unanswered> {
        let mut drop = redis::cmd("DEL");
        drop.arg(name(key, 0));
        self.wire.ask(&drop, ANSWER_LAST).await
    }

    pub async fn sitter(&self, key: SessionKey) -> Result<Option<String>, Unanswered> {
        let mut seat = redis::cmd("GET");
        seat.arg(name(key, 2));
        self.wire.ask(&seat, HINDERED_LAST).await
    }

    /// Whether the seat is taken now: nobody else has come between.
    pub async fn sit(&self, key: SessionKey, seen: Option<&str>, owner: &str, news: &str) -> Result<bool, Unanswered> {
        let mut script = self.sit.prepare_invoke();
        script.key(name(key, 2)).arg(seen.unwrap_or_default()).arg(owner).arg(self.seconds).arg(CHANNEL).arg(news);
        self.wire.run(&script, HINDERED_LAST).await
    }

    pub async fn stand_up(&self, key: SessionKey, owner: &str) -> Result<(), Unanswered> {
        let mut script = self.stand_up.prepare_invoke();
        script.key(name(key, 2)).arg(owner);
        self.wire.run(&script, ANSWER_LAST).await
    }

    pub async fn beat(&self, replica: &str) -> Result<(), Unanswered> {
        let mut beat = redis::cmd("SET");
        beat.arg(pulse(replica)).arg(1).arg("PX").arg(BEAT_LASTS.as_millis() as u64);
        self.wire.ask(&beat, ANSWER_LAST).await
    }

    /// What the store remembers itself by; this, if it remembers nothing.
    pub async fn memory(&self, spare: &str) -> Result<String, Unanswered> {
        let mut set = redis::cmd("SET");
        set.arg(MEMORY).arg(spare).arg("NX");
        let _: Option<String> = self.wire.ask(&set, ANSWER_LAST).await?;
        let mut get = redis::cmd("GET");
        get.arg(MEMORY);
        self.wire.ask(&get, ANSWER_LAST).await
    }

    pub async fn lives(&self, replica: &str) -> Result<bool, Unanswered> {
        let mut lives = redis::cmd("EXISTS");
        lives.arg(pulse(replica));
        self.wire.ask(&lives, HINDERED_LAST).await
    }

    pub async fn publish(&self, news: &str) -> Result<(), Unanswered> {
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(CHANNEL).arg(news);
        self.wire.ask(&publish, ANSWER_LAST).await
    }

    pub async fn touch(&self, keys: &[SessionKey]) -> Result<(), Unanswered> {
        let mut script = self.touch.prepare_invoke();
        script.key(USED);
        for key in keys {
            script.arg(hex(*key));
        }
        self.wire.run(&script, ANSWER_LAST).await
    }

    pub async fn let_go(&self, key: SessionKey, idle: Duration) -> Result<bool, Unanswered> {
        let mut script = self.let_go.prepare_invoke();
        script.key(USED).arg(hex(key)).arg(idle.as_secs());
        self.wire.run(&script, ANSWER_LAST).await
    }

    pub async fn idle(&self, idle: Duration, most: usize) -> Result<Vec<SessionKey>, Unanswered> {
        let mut script = self.idle.prepare_invoke();
        script.key(USED).arg(idle.as_secs()).arg(most);
        let found: Vec<String> = self.wire.run(&script, ANSWER_LAST).await?;
        Ok(found.iter().filter_map(|text| unhex(text)).collect())
    }
}

pub fn hex(key: SessionKey) -> String {
    format!("{key:032x}")
}

pub fn unhex(text: &str) -> Option<SessionKey> {
    SessionKey::from_str_radix(text, 16).ok()
}

/// The session, whether it has ended, and the seat of its stream.
fn name(key: SessionKey, which: usize) -> String {
    let ending = ["", ":ended", ":seat"].get(which).copied().unwrap_or_default();
    format!("tb:{{s:{}}}{ending}", hex(key))
}

fn of(script: &Script, key: SessionKey, names: usize) -> ScriptInvocation<'_> {
    let mut invocation = script.prepare_invoke();
    for which in 0..names {
        invocation.key(name(key, which));
    }
    invocation
}

fn pulse(replica: &str) -> String {
    format!("tb:replica:{replica}")
}
