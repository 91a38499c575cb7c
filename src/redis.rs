//! The way to Redis: one connection that everybody shares, and one that listens. Both are kept by a
//! thread of their own, so that whoever asks waits for an answer and never for a connection.

mod dial;
mod subscriber;

pub use subscriber::Heard;

use crate::conf::Shared;
use dial::{Dialler, Link};
use redis::{Cmd, FromRedisValue, RedisError, ScriptInvocation};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, broadcast, watch};

/// How often the connection is tried, and how long an answer to that may take.
const PING_EVERY: Duration = Duration::from_secs(1);
const PING_LAST: Duration = Duration::from_secs(3);

const DIAL_LAST: Duration = Duration::from_secs(3);

/// Between two attempts to connect.
const DIAL_AGAIN: Duration = Duration::from_millis(250);

pub struct Wire {
    dialler: Dialler,
    link: Mutex<Option<Link>>,
    up: watch::Sender<bool>,
    /// Rung by whoever finds that the connection is no good.
    doubted: Notify,
    heard: broadcast::Sender<Heard>,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unanswered {
    #[error("Redis is not there")]
    Down,
    /// It may have done what it was asked for.
    #[error("Redis did not answer: {0}")]
    Lost(String),
    #[error("Redis refused: {0}")]
    Refused(String),
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
        let asked = async {
            match &mut link {
                Link::Node(connection) => script.invoke_async(connection).await,
                Link::Cluster(connection) => script.invoke_async(connection).await,
            }
        };
        self.judge(tokio::time::timeout(most, asked).await.ok(), most)
    }

    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd, most: Duration) -> Result<T, Unanswered> {
        let mut link = self.link().ok_or(Unanswered::Down)?;
        let asked = async {
            match &mut link {
                Link::Node(connection) => command.query_async(connection).await,
                Link::Cluster(connection) => command.query_async(connection).await,
            }
        };
        self.judge(tokio::time::timeout(most, asked).await.ok(), most)
    }

    fn link(&self) -> Option<Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn judge<T>(&self, answer: Option<Result<T, RedisError>>, most: Duration) -> Result<T, Unanswered> {
        let error = match answer {
            Some(Ok(answer)) => return Ok(answer),
            Some(Err(error)) => error,
            None => {
                self.doubted.notify_one();
                return Err(Unanswered::Lost(format!("not within {most:?}")));
            }
        };
        // A node that takes no writes any more is not the one to talk to.
        let is_demoted = matches!(error.code(), Some("READONLY" | "MASTERDOWN" | "LOADING"));
        if is_demoted || error.is_io_error() || error.is_unrecoverable_error() {
            self.doubted.notify_one();
        }
        match error.is_io_error() || error.is_connection_dropped() {
            true => Err(Unanswered::Lost(error.to_string())),
            false => Err(Unanswered::Refused(error.to_string())),
        }
    }

    async fn keep(self: Arc<Wire>) {
        let mut said = None;
        loop {
            match tokio::time::timeout(DIAL_LAST, self.dialler.dial()).await {
                Ok(Ok(link)) => {
                    if said.take().is_some() {
                        tracing::info!("Redis is there again");
                    }
                    self.hold(link).await;
                    said = Some("the connection was lost".to_owned());
                    tracing::warn!("the connection to Redis was lost");
                }
                failed => {
                    let why = failed.map_or_else(
                        |_| format!("not within {DIAL_LAST:?}"),
                        |failed| match failed {
                            Err(why) => why.to_string(),
                            Ok(_) => String::new(),
                        },
                    );
                    if said.as_ref() != Some(&why) {
                        tracing::warn!(%why, "Redis cannot be reached");
                    }
                    said = Some(why);
                }
            }
            tokio::time::sleep(DIAL_AGAIN).await;
        }
    }

    /// Keeps a connection for as long as it is good.
    async fn hold(&self, link: Link) {
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
        self.up.send_replace(true);
        loop {
            tokio::select! {
                () = tokio::time::sleep(PING_EVERY) => {}
                () = self.doubted.notified() => {}
            }
            if !tokio::time::timeout(PING_LAST, link.is_good()).await.unwrap_or(false) {
                break;
            }
        }
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.up.send_replace(false);
    }
}
