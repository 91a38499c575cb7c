//! The shared store: a registry in Redis that replicas read and change. What is known here stays good while
//! the store is away, and what the store holds is adopted only where it goes on from here.

mod copy;
mod keeper;
mod saver;

use super::disk::Disk;
use super::ledger::Ledger;
use super::store::{Act, gone};
use crate::conf::{self, Conf};
use crate::manage::Changed;
use crate::redis::Wire;
use anyhow::Context;
use keeper::{Job, Keeper, Wanted};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, oneshot, watch};
use tollbridge_filters::names::ServerId;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::seal::Sealer;

/// How long a start waits for the store.
const FIRST_READ_LAST: Duration = Duration::from_secs(3);

/// How long a change may take, with those before it.
const CHANGE_LAST: Duration = Duration::from_secs(20);

/// Changes that wait for their turn; beyond that the store has too much to do.
const WAITING_MAX: usize = 4_096;

/// The way to the thread that has the connections.
pub struct Shared {
    jobs: mpsc::Sender<Wanted>,
    ledger: watch::Receiver<Arc<Ledger>>,
    wire: Arc<Wire>,
    known: Arc<Mutex<Known>>,
    stale_after: Duration,
}

/// What is known of the shared registry.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub epoch: Option<String>,
    pub generation: u64,
    /// When what is known was last found to be what is there.
    pub seen: Option<SystemTime>,
    /// Why what is there is not adopted.
    pub left: Option<String>,
    /// Rows that cannot be read here.
    pub unreadable: usize,
    /// Whether nothing of it can be.
    pub is_closed: bool,
}

/// How far what is known here is what is in the store.
#[derive(Clone, Debug)]
pub struct Standing {
    pub is_up: bool,
    pub epoch: Option<String>,
    pub generation: u64,
    /// Since when nobody knows whether it is what is there; `None`: nothing is known.
    pub age: Option<Duration>,
    pub left: Option<String>,
    pub unreadable: usize,
    /// Questions and changes that Redis has not answered, or refused.
    pub unanswered: u64,
    is_closed: bool,
    /// Whether what other replicas say is heard.
    listens: bool,
    stale_after: Duration,
}

impl Standing {
    /// Why nobody should be sent here.
    pub fn trouble(&self) -> Option<String> {
        match self.age {
            _ if self.is_closed => {
                Some("the registry cannot be read; are `seal.keys` those of the other replicas?".to_owned())
            }
            None => Some(
                "nothing is known of the registry yet; is Redis there, and was `tollbridge registry init` run?"
                    .to_owned(),
            ),
            Some(age) if age > self.stale_after => Some(format!("the registry was last seen {} s ago", age.as_secs())),
            Some(_) => None,
        }
    }

    /// What operators should know, although it serves.
    pub fn doubt(&self) -> Option<String> {
        if let Some(left) = &self.left {
            return Some(format!("the registry in Redis is not adopted: {left}; see `tollbridge registry`"));
        }
        let age = self.age.unwrap_or_default().as_secs();
        if self.is_up && !self.listens {
            return Some("what other replicas say is not heard; what they change is known later".to_owned());
        }
        (!self.is_up).then(|| format!("Redis is not there; the registry is {age} s old"))
    }
}

impl Shared {
    pub fn open(
        shared: &conf::Shared,
        conf: &Conf,
        path: Option<&Path>,
        taken: BTreeSet<ServerId>,
    ) -> anyhow::Result<Shared> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // What is spawned here runs on the thread below.
        let entered = runtime.enter();
        let wire = Wire::begin(shared, &[super::redis::CHANNEL, crate::session::CHANNEL])?;
        drop(entered);
        let (first_read, is_read) = std::sync::mpsc::channel();
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let known = Arc::new(Mutex::new(Known::default()));
        let sealer = Sealer::new(&conf.seal);
        let mut keeper = Keeper::new(Arc::clone(&wire), sealer, path.map(Disk::at), Arc::clone(&known), &conf.registry);
        let ledger = keeper.begin(taken)?;
        let thread = std::thread::Builder::new().name("redis".to_owned());
        let run = move || runtime.block_on(keeper.run(waiting, first_read));
        thread.spawn(run).context("no thread for the registry")?;
        // Whatever comes of it: readiness says whether something is known.
        let _ = is_read.recv_timeout(FIRST_READ_LAST);
        Ok(Shared { jobs, ledger, wire, known, stale_after: conf.registry.stale_after })
    }

    pub fn ledger(&self) -> watch::Receiver<Arc<Ledger>> {
        self.ledger.clone()
    }

    pub fn wire(&self) -> Arc<Wire> {
        Arc::clone(&self.wire)
    }

    pub fn standing(&self) -> Standing {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Standing {
            is_up: self.wire.is_up(),
            age: known.seen.map(|seen| seen.elapsed().unwrap_or_default()),
            epoch: known.epoch,
            generation: known.generation,
            left: known.left,
            unreadable: known.unreadable,
            unanswered: self.wire.unanswered(),
            is_closed: known.is_closed,
            listens: self.wire.listens(),
            stale_after: self.stale_after,
        }
    }

    /// Makes a change in the store, and here.
    pub async fn change(&self, act: Act) -> Result<Changed, Rejection> {
        if !self.wire.is_up() {
            return Err(Rejection::Store(
                "Redis is not there; what is known goes on, nothing can be changed".to_owned(),
            ));
        }
        let (done, result) = oneshot::channel();
        let sent = self.jobs.try_send(Wanted::Change(Job { act, done }));
        sent.map_err(|_| Rejection::Store("too many changes wait for it; ask again".to_owned()))?;
        let late =
            |_| Rejection::Store(format!("no answer within {CHANGE_LAST:?}; whether it was changed is not known"));
        tokio::time::timeout(CHANGE_LAST, result).await.map_err(late)?.map_err(|_| gone())?
    }

    /// Changes what is known here alone.
    pub async fn note(&self, act: Act) -> Result<Changed, Rejection> {
        let (done, result) = oneshot::channel();
        self.jobs.send(Wanted::Note(Job { act, done })).await.map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}
