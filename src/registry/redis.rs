//! The keyspace of a shared registry. Each question and each change is one script, so that nobody ever sees
//! half of one.

use super::disk::{LastSeen, Rows};
use super::version::{Found, HEADS_KEPT, Version};
use crate::answer::random;
use crate::redis::{Unanswered, Wire};
use redis::{FromRedisValue, Script, ScriptInvocation, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What is said here is a generation that is there.
pub const CHANNEL: &str = "tb:{reg}:news";

const KEYS: [&str; 5] = ["tb:{reg}:meta", "tb:{reg}:rows", "tb:{reg}:log", "tb:{reg}:dead", "tb:{reg}:heads"];

/// Deletions that whoever was away can still be told of one by one.
const TOMBSTONES_KEPT: usize = 10_000;

/// A slow store is waited for: nobody calls a server through here.
const ANSWER_LAST: Duration = Duration::from_secs(5);

pub struct Keyspace {
    wire: Arc<Wire>,
    read: Script,
    change: Script,
    decide: Script,
}

/// How much is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Much {
    All,
    /// What has changed since, where the store can tell.
    Changed,
}

/// What was read.
pub enum Seen {
    Nothing,
    All(Found, Rows),
    Changed { found: Found, rows: Rows, gone: Vec<String> },
}

/// A row to be written; `None`: it is to go.
pub type Write = (String, Option<String>);

/// Whose registry counts.
pub enum Decision<'d> {
    /// The one that is in the store.
    Adopt,
    /// The one that was seen last.
    Restore(&'d LastSeen),
}

impl Keyspace {
    pub fn new(wire: Arc<Wire>) -> Keyspace {
        let script = |text: &str| Script::new(text);
        Keyspace {
            wire,
            read: script(include_str!("redis/read.lua")),
            change: script(include_str!("redis/change.lua")),
            decide: script(include_str!("redis/decide.lua")),
        }
    }

    pub async fn read(&self, mine: Option<&Version>, much: Much) -> Result<Seen, Unanswered> {
        let mut script = keyed(&self.read);
        match mine {
            Some(Version { epoch, decided, generation, .. }) => script.arg(epoch).arg(*decided).arg(*generation),
            None => script.arg("").arg(0).arg(0),
        };
        script.arg(if much == Much::All { "all" } else { "changed" });
        let answer: Vec<Value> = self.wire.run(&script, ANSWER_LAST).await?;
        if answer.is_empty() {
            return Ok(Seen::Nothing);
        }
        seen(answer).ok_or_else(|| Unanswered::Lost("what is there was not written by Tollbridge".to_owned()))
    }

    /// `None`: others were faster, and it must be judged again. Whoever knows of no registry begins one. `head`
    /// is what the change is known by.
    pub async fn change(
        &self,
        mine: Option<&Version>,
        rows: &[Write],
        head: String,
    ) -> Result<Option<Version>, Unanswered> {
        let begun = || Version { epoch: random_hex(), decided: 0, generation: 0, head: String::new() };
        let version = mine.cloned().unwrap_or_else(begun);
        let mut script = keyed(&self.change);
        script
            .arg(&version.epoch)
            .arg(version.decided)
            .arg(version.generation)
            .arg(&version.head)
            .arg(&head)
            .arg(CHANNEL);
        script.arg(HEADS_KEPT).arg(TOMBSTONES_KEPT);
        for (field, value) in rows {
            let value = value.as_ref().map_or_else(|| "-".to_owned(), |value| format!("={value}"));
            script.arg(field).arg(value);
        }
        let generation: u64 = self.wire.run(&script, ANSWER_LAST).await?;
        Ok((generation > 0).then_some(Version { generation, head, ..version }))
    }

    /// Makes what is decided newer than everything that anybody knows. Gives the generation.
    pub async fn decide(&self, decision: Decision<'_>, now_ms: u64) -> Result<u64, Unanswered> {
        let found = self.read(None, Much::Changed).await?;
        let found = found.version();
        let before = found.map_or(0, |found| found.decided);
        let (verb, known) = match decision {
            Decision::Adopt => ("adopt", None),
            Decision::Restore(last) => ("restore", Some(last)),
        };
        let before = before.max(known.map_or(0, |last| last.version.decided));
        let generation =
            found.map_or(0, |found| found.generation).max(known.map_or(0, |last| last.version.generation)) + 1;
        let mut script = keyed(&self.decide);
        script.arg(verb).arg(random_hex()).arg(now_ms.max(before + 1)).arg(generation).arg(random_hex()).arg(CHANNEL);
        for (field, value) in known.iter().flat_map(|last| &last.rows) {
            script.arg(field).arg(value);
        }
        self.wire.run(&script, ANSWER_LAST).await
    }

    /// Whether what was said on the channel is news to whoever stands there.
    pub fn is_news(mine: Option<&Version>, text: &str) -> bool {
        let said = text.split_once(' ').and_then(|(epoch, number)| Some((epoch, number.parse::<u64>().ok()?)));
        match (mine, said) {
            (Some(mine), Some((epoch, generation))) => mine.epoch != epoch || mine.generation < generation,
            _ => true,
        }
    }
}

impl Seen {
    pub fn found(&self) -> Option<&Found> {
        match self {
            Seen::Nothing => None,
            Seen::All(found, _) | Seen::Changed { found, .. } => Some(found),
        }
    }

    pub fn version(&self) -> Option<&Version> {
        self.found().map(|found| &found.now)
    }
}

fn keyed(script: &Script) -> ScriptInvocation<'_> {
    let mut invocation = script.prepare_invoke();
    for key in KEYS {
        invocation.key(key);
    }
    invocation
}

fn seen(answer: Vec<Value>) -> Option<Seen> {
    fn take<T: FromRedisValue>(from: &mut impl Iterator<Item = Value>) -> Option<T> {
        T::from_redis_value(from.next()?).ok()
    }
    let mut answer = answer.into_iter();
    let (epoch, decided, generation) = (take(&mut answer)?, take(&mut answer)?, take(&mut answer)?);
    let (head, head_then): (String, String) = (take(&mut answer)?, take(&mut answer)?);
    let much: String = take(&mut answer)?;
    let rows: Vec<(Vec<u8>, Vec<u8>)> = take(&mut answer)?;
    let gone: Vec<Vec<u8>> = take(&mut answer)?;
    let now = Version { epoch, decided, generation, head };
    let found = Found { now, head_then: (!head_then.is_empty()).then_some(head_then) };
    // What is no text was not written by us; as something like it, it is found to be unreadable.
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    let rows: Rows = rows.iter().map(|(field, value)| (text(field), text(value))).collect();
    let gone = gone.iter().map(text).collect();
    Some(if much == "all" { Seen::All(found, rows) } else { Seen::Changed { found, rows, gone } })
}

pub fn random_hex() -> String {
    random(|bytes: [u8; 16]| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The registry of a RouteIQ: read, and nothing else.
pub struct Foreign(Arc<Wire>);

const FOREIGN_KEYS: &str = "litellm:mcp:servers:*";

/// As many as a registry has.
const FOREIGN_MAX: usize = 10_000;

impl Foreign {
    pub fn new(wire: Arc<Wire>) -> Foreign {
        Foreign(wire)
    }

    /// Keys and what they hold, in order.
    pub async fn servers(&self) -> Result<Vec<(String, String)>, Unanswered> {
        let mut keys = BTreeSet::new();
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(FOREIGN_KEYS).arg("COUNT").arg(500);
            let (next, some): (u64, Vec<String>) = self.0.ask(&scan, ANSWER_LAST).await?;
            keys.extend(some);
            cursor = next;
            if cursor == 0 || keys.len() > FOREIGN_MAX {
                break;
            }
        }
        let mut servers = Vec::new();
        for key in keys {
            let mut get = redis::cmd("GET");
            get.arg(&key);
            // A key of another kind is none of RouteIQ's; it is left out by whoever reads it.
            match self.0.ask::<Option<String>>(&get, ANSWER_LAST).await {
                Ok(value) => servers.extend(value.map(|value| (key, value))),
                Err(Unanswered::Refused) => servers.push((key, String::new())),
                Err(why) => return Err(why),
            }
        }
        Ok(servers)
    }
}
