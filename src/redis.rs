//! The way to Redis: one connection that everybody shares, and one that listens. Both are kept by a
//! thread of their own, so that whoever asks waits for an answer and never for a connection.

mod dial;
mod subscriber;

pub use subscriber::Heard;

use crate::clock;
use crate::conf::Shared;
use dial::{Dialler, Link};
use redis::{Cmd, FromRedisValue, RedisError, ScriptInvocation};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, broadcast, watch};

/// How often the connection is tried, and how long an answer to that may take.
const PING_EVERY: Duration = Duration::from_secs(1);
const PING_LAST: Duration = Duration::from_secs(3);

const DIAL_LAST: Duration = Duration::from_secs(3);

/// Between two attempts to connect: what comes and goes is asked less and less often.
const DIAL_AGAIN: Duration = Duration::from_millis(250);
const DIAL_AGAIN_MAX: Duration = Duration::from_secs(2);

/// A connection that lasts for so long was a good one.
const STEADY: Duration = Duration::from_secs(10);

pub struct Wire {
    dialler: Dialler,
    link: Mutex<Option<Link>>,
    up: watch::Sender<bool>,
    /// Rung by whoever finds that the connection is no good.
    doubted: Notify,
    heard: broadcast::Sender<Heard>,
    /// Whether what others publish is heard.
    listens: AtomicBool,
    /// Seconds since 1970; 0: it is up.
    down_since: AtomicU64,
    unanswered: AtomicU64,
    /// What was refused last, for the log.
    refused: Mutex<Option<String>>,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unanswered {
    #[error("Redis is not there")]
    Down,
    /// It may have done what it was asked for.
    #[error("Redis did not answer: {0}")]
    Lost(String),
    /// The log says why. A script may have done a part of what it does.
    #[error("Redis refused it")]
    Refused,
}

impl Wire {
    /// Begins to connect, and to listen where there is something to hear; nothing is waited for.
    pub fn begin(shared: &Shared, channels: &[&'static str]) -> anyhow::Result<Arc<Wire>> {
        let wire = Arc::new(Wire {
            dialler: Dialler::new(shared)?,
            link: Mutex::default(),
            up: watch::Sender::new(false),
            doubted: Notify::new(),
            heard: broadcast::Sender::new(1024),
            listens: AtomicBool::new(false),
            down_since: AtomicU64::new(clock::now()),
            unanswered: AtomicU64::new(0),
            refused: Mutex::default(),
        });
        tokio::spawn(Arc::clone(&wire).keep());
        if !channels.is_empty() {
            tokio::spawn(subscriber::listen(Arc::clone(&wire), channels.to_vec()));
        }
        Ok(wire)
    }

    pub fn is_up(&self) -> bool {
        *self.up.borrow()
    }

    pub fn listens(&self) -> bool {
        self.listens.load(Ordering::Relaxed)
    }

    /// Since when nobody could be told anything; seconds since 1970.
    pub fn down_since(&self) -> Option<u64> {
        Some(self.down_since.load(Ordering::Relaxed)).filter(|since| *since > 0)
    }

    /// How many questions and changes it has not answered, or refused.
    pub fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// Tells when Redis comes and goes.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.up.subscribe()
    }

    /// What others have published from now on.
    pub fn hear(&self) -> broadcast::Receiver<Heard> {
        self.heard.subscribe()
    }

    /// Runs a script as one step.
    pub async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>, most: Duration) -> Result<T, Unanswered> {
        let mut link = self.link().ok_or(Unanswered::Down)?;
        self.judge(tokio::time::timeout(most, script.invoke_async(&mut link)).await.ok(), most)
    }

    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd, most: Duration) -> Result<T, Unanswered> {
        let mut link = self.link().ok_or(Unanswered::Down)?;
        self.judge(tokio::time::timeout(most, command.query_async(&mut link)).await.ok(), most)
    }

    fn link(&self) -> Option<Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn judge<T>(&self, answer: Option<Result<T, RedisError>>, most: Duration) -> Result<T, Unanswered> {
        let answer = match answer {
            Some(Ok(answer)) => return Ok(answer),
            Some(Err(error)) => Some(error),
            None => None,
        };
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        let Some(error) = answer else {
            self.doubted.notify_one();
            return Err(Unanswered::Lost(format!("not within {most:?}")));
        };
        // A node that takes no writes any more is not the one to talk to.
        let is_demoted = matches!(error.code(), Some("READONLY" | "MASTERDOWN" | "LOADING"));
        if is_demoted || error.is_io_error() || error.is_unrecoverable_error() {
            self.doubted.notify_one();
        }
        if error.is_io_error() || error.is_connection_dropped() {
            return Err(Unanswered::Lost(error.to_string()));
        }
        self.say_refused(&error);
        Err(Unanswered::Refused)
    }

    /// Once, and again when it is something else.
    fn say_refused(&self, error: &RedisError) {
        let code = error.code().unwrap_or_default().to_owned();
        let mut said = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if said.as_ref() != Some(&code) {
            tracing::warn!(%error, "Redis refused something; are the user's rights and its memory enough?");
            *said = Some(code);
        }
    }

    async fn keep(self: Arc<Wire>) {
        let (mut said, mut again): (Option<String>, _) = (None, DIAL_AGAIN);
        loop {
            let why = match self.dial().await {
                Ok(link) => {
                    if said.take().is_some() {
                        tracing::info!("Redis is there again");
                    }
                    let began = Instant::now();
                    self.hold(link).await;
                    again = if began.elapsed() > STEADY { DIAL_AGAIN } else { again };
                    "the connection was lost".to_owned()
                }
                Err(why) => why,
            };
            if said.as_ref() != Some(&why) {
                tracing::warn!(%why, "Redis is not there");
            }
            said = Some(why);
            tokio::time::sleep(again).await;
            again = (again * 2).min(DIAL_AGAIN_MAX);
        }
    }

    /// A connection to somebody who takes changes.
    async fn dial(&self) -> Result<Link, String> {
        let dialled = async {
            let link = self.dialler.dial().await.map_err(|why| why.to_string())?;
            link.check().await?;
            Ok(link)
        };
        tokio::time::timeout(DIAL_LAST, dialled).await.unwrap_or_else(|_| Err(format!("not within {DIAL_LAST:?}")))
    }

    /// Keeps a connection for as long as it is good.
    async fn hold(&self, link: Link) {
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
        self.down_since.store(0, Ordering::Relaxed);
        self.up.send_replace(true);
        loop {
            tokio::select! {
                () = tokio::time::sleep(PING_EVERY) => {}
                () = self.doubted.notified() => {}
            }
            if !tokio::time::timeout(PING_LAST, link.check()).await.is_ok_and(|checked| checked.is_ok()) {
                break;
            }
        }
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.down_since.store(clock::now(), Ordering::Relaxed);
        self.up.send_replace(false);
    }
}
