//! Keeps what is known of the shared registry: reads what others have changed, and changes it, one batch at a
//! time, on what is there at that moment.

use super::Known;
use super::copy::Copy;
use super::saver::Saver;
use crate::answer;
use crate::conf;
use crate::manage::Changed;
use crate::redis::{Heard, Unanswered, Wire};
use crate::registry::disk::Disk;
use crate::registry::ledger::{Ledger, Row};
use crate::registry::redis::{Keyspace, Much, Seen, Write, random_hex};
use crate::registry::store::Act;
use crate::registry::version::Version;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tollbridge_filters::names::ServerId;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::seal::Sealer;

/// Changes that are judged and written together.
const TOGETHER_MAX: usize = 256;

/// How often a batch is judged anew because others were faster.
const TRIES_MAX: u64 = 50;

/// What has changed is written to the disk this much later, with what has changed since.
const SAVE_AFTER: Duration = Duration::from_secs(1);

pub(in crate::registry) struct Job {
    pub act: Act,
    pub done: oneshot::Sender<Result<Changed, Rejection>>,
}

pub(in crate::registry) enum Wanted {
    Change(Job),
    /// A change of what is known here alone.
    Note(Job),
}

type Answer = Result<Changed, Rejection>;

pub(super) struct Keeper {
    keyspace: Keyspace,
    wire: Arc<Wire>,
    saver: Saver,
    known: Arc<Mutex<Known>>,
    /// Whether an empty store is a loss.
    has_replicas: bool,
    resync: Duration,
    version: Option<Version>,
    copy: Copy,
    ledger: Ledger,
    publish: watch::Sender<Arc<Ledger>>,
    /// Why what is there is not adopted.
    left: Option<String>,
}

impl Keeper {
    pub(super) fn new(
        wire: Arc<Wire>,
        sealer: Sealer,
        disk: Option<Disk>,
        known: Arc<Mutex<Known>>,
        conf: &conf::Registry,
    ) -> Keeper {
        Keeper {
            keyspace: Keyspace::new(Arc::clone(&wire)),
            wire,
            saver: Saver::new(disk),
            known,
            has_replicas: conf.replicas,
            resync: conf.resync,
            version: None,
            copy: Copy::new(sealer),
            ledger: Ledger::default(),
            publish: watch::Sender::default(),
            left: None,
        }
    }

    /// Starts from what was seen last, if that is on the disk.
    pub(super) fn begin(&mut self, taken: BTreeSet<ServerId>) -> anyhow::Result<watch::Receiver<Arc<Ledger>>> {
        self.ledger.fix(taken);
        match self.saver.read() {
            Ok(Some((last, seen))) => {
                self.copy.take(last.rows, &[], &mut self.ledger);
                self.version = Some(last.version);
                self.note_seen(Some(seen));
            }
            Ok(None) => {}
            Err(why) => tracing::warn!(%why, "what was seen last of the registry cannot be read"),
        }
        self.publish.send_replace(Arc::new(self.ledger.clone()));
        Ok(self.publish.subscribe())
    }

    pub(super) async fn run(mut self, mut waiting: mpsc::Receiver<Wanted>, first_read: std::sync::mpsc::Sender<()>) {
        let (mut up, mut heard) = (self.wire.watch(), self.wire.hear());
        let mut resync = tokio::time::interval(self.resync);
        let mut save = tokio::time::interval(SAVE_AFTER);
        let mut first_read = Some(first_read);
        up.mark_changed();
        loop {
            tokio::select! {
                wanted = waiting.recv() => match wanted {
                    Some(first) => self.serve_all(first, &mut waiting).await,
                    None => return,
                },
                heard = heard.recv() => if self.is_news(heard) {
                    self.read(Much::Changed).await;
                },
                _ = up.changed() => if *up.borrow_and_update() {
                    self.read(Much::Changed).await;
                    // Whoever starts may have stopped waiting.
                    first_read.take().map(|told| told.send(()));
                },
                _ = resync.tick() => {
                    self.read(Much::All).await;
                    self.reseal().await;
                }
                _ = save.tick() => self.save().await,
            }
        }
    }

    fn is_news(&self, heard: Result<Heard, broadcast::error::RecvError>) -> bool {
        match heard {
            Ok(Heard::Message { channel, text }) => {
                *channel == *crate::registry::redis::CHANNEL && Keyspace::is_news(self.version.as_ref(), &text)
            }
            Ok(Heard::Begun) | Err(broadcast::error::RecvError::Lagged(_)) => true,
            Err(broadcast::error::RecvError::Closed) => false,
        }
    }

    /// Reads, where there is somebody to ask; what comes of it shows in what is known.
    async fn read(&mut self, much: Much) {
        if self.wire.is_up()
            && let Err(why) = self.catch_up(much).await
        {
            tracing::warn!(%why, "the registry could not be read");
        }
    }

    /// Brings what is known to where the store is.
    async fn catch_up(&mut self, much: Much) -> Result<(), Unanswered> {
        let seen = self.keyspace.read(self.version.as_ref(), much).await?;
        let left = match &self.version {
            Some(version) => version.is_left_by(seen.found()),
            None => None,
        };
        if left != self.left {
            match &left {
                Some(why) => {
                    tracing::error!(%why, "THE REGISTRY WENT BACKWARDS: it is not adopted, and nothing can be changed; decide with `tollbridge registry adopt` or `restore`")
                }
                None => tracing::info!("the registry in Redis goes on from what is known here"),
            }
            self.left = left;
        }
        if self.left.is_none() {
            self.adopt(seen);
        }
        let is_known = self.version.is_some() || !self.has_replicas;
        self.note_seen(is_known.then(SystemTime::now));
        Ok(())
    }

    fn adopt(&mut self, seen: Seen) {
        let Some(now) = seen.version().cloned() else { return };
        let generation = self.ledger.generation;
        match seen {
            Seen::Nothing => return,
            Seen::All(_, rows) => self.copy.take_all(rows, &mut self.ledger),
            Seen::Changed { rows, gone, .. } => self.copy.take(rows, &gone, &mut self.ledger),
        }
        // A replica that can read nothing of a registry knows nothing of it.
        if self.version.is_none() && self.copy.is_closed() {
            return;
        }
        let before = self.version.replace(now);
        self.saver.changed(before.as_ref(), self.version.as_ref());
        if self.ledger.generation != generation {
            self.publish.send_replace(Arc::new(self.ledger.clone()));
        }
    }

    /// Rows that an older key has sealed are sealed with the first one, so that the older can be dropped.
    async fn reseal(&mut self) {
        let rows = self.copy.resealed();
        if rows.is_empty() || !self.wire.is_up() || self.may_change().is_err() {
            return;
        }
        // Where others are faster, another time will do.
        if let Ok(Some(version)) = self.keyspace.change(self.version.as_ref(), &rows, random_hex()).await {
            tracing::info!(rows = rows.len(), "rows of the registry were sealed with the first key");
            self.keep(version, self.ledger.clone(), rows);
        }
    }

    async fn serve_all(&mut self, first: Wanted, waiting: &mut mpsc::Receiver<Wanted>) {
        let mut jobs = Vec::new();
        let mut next = Some(first);
        while let Some(wanted) = next {
            match wanted {
                Wanted::Change(job) => jobs.push(job),
                Wanted::Note(Job { act, done }) => {
                    let noted = act(&mut self.ledger).map(|(changed, _)| changed);
                    self.publish.send_replace(Arc::new(self.ledger.clone()));
                    // Whoever asked may be gone.
                    let _ = done.send(noted);
                }
            }
            next = if jobs.len() < TOGETHER_MAX { waiting.try_recv().ok() } else { None };
        }
        if !jobs.is_empty() {
            self.serve(jobs).await;
        }
    }

    async fn serve(&mut self, jobs: Vec<Job>) {
        let answers = match self.settle(&jobs).await {
            Ok(answers) => answers,
            Err(why) => jobs.iter().map(|_| Err(Rejection::Store(why.clone()))).collect(),
        };
        for (job, answer) in jobs.into_iter().zip(answers) {
            // Whoever asked may be gone; what was written stays.
            let _ = job.done.send(answer);
        }
    }

    /// Judges a batch on what is there, and writes what comes of it; anew where others were faster.
    async fn settle(&mut self, jobs: &[Job]) -> Result<Vec<Answer>, String> {
        // What was tried, by the mark that it would be known by.
        let mut tried: Option<(String, Vec<Answer>)> = None;
        for tries in 0..TRIES_MAX {
            self.catch_up(Much::Changed).await.map_err(|why| why.to_string())?;
            let head = self.version.as_ref().map(|version| version.head.as_str());
            if let Some((_, answers)) = tried.take_if(|(mark, _)| head == Some(mark)) {
                // It was made, and only the answer to that was lost.
                return Ok(answers);
            }
            self.may_change()?;
            let (ledger, written, answers) = self.judge(jobs);
            if written.is_empty() {
                return Ok(answers);
            }
            let (written, mark) = (self.copy.sealed(written)?, random_hex());
            match self.keyspace.change(self.version.as_ref(), &written, mark.clone()).await {
                Ok(Some(version)) => {
                    self.keep(version, ledger, written);
                    return Ok(answers);
                }
                Ok(None) => {
                    tried = Some((mark, answers));
                    tokio::time::sleep(some_of(Duration::from_millis(2 * (tries + 1)))).await;
                }
                Err(Unanswered::Down) => return Err(Unanswered::Down.to_string()),
                Err(why) => return Err(format!("{why}; whether it was changed is not known")),
            }
        }
        Err("others change it all the time; ask again".to_owned())
    }

    /// What comes of each change, on what is known at this moment.
    fn judge(&self, jobs: &[Job]) -> (Ledger, BTreeMap<String, Option<String>>, Vec<Answer>) {
        let mut ledger = self.ledger.clone();
        let mut written = BTreeMap::new();
        let mut judge = |job: &Job| {
            // What stands there and cannot be read is nobody's to overwrite.
            let before = (self.copy.unreadable() > 0).then(|| ledger.clone());
            let (changed, rows) = (job.act)(&mut ledger)?;
            let rows = rows.into_iter().map(|Row { kind, key, value }| (format!("{kind} {key}"), value));
            let rows: Vec<_> = rows.collect();
            if let Some(before) = before.filter(|_| rows.iter().any(|(field, _)| self.copy.cannot_read(field))) {
                ledger = before;
                return Err(Rejection::Store("what is there under this name cannot be read here".to_owned()));
            }
            written.extend(rows);
            Ok(changed)
        };
        let answers = jobs.iter().map(&mut judge).collect();
        (ledger, written, answers)
    }

    fn may_change(&self) -> Result<(), String> {
        if let Some(why) = &self.left {
            return Err(format!("an operator must decide which registry counts: {why}"));
        }
        if self.copy.is_closed() {
            return Err("what is there cannot be read; is it sealed with another key?".to_owned());
        }
        if self.version.is_none() && self.has_replicas {
            return Err("there is no registry yet; run `tollbridge registry init`".to_owned());
        }
        Ok(())
    }

    fn keep(&mut self, version: Version, ledger: Ledger, written: Vec<Write>) {
        self.copy.keep(written);
        self.version = Some(version);
        self.ledger = ledger;
        self.saver.changed(self.version.as_ref(), self.version.as_ref());
        self.publish.send_replace(Arc::new(self.ledger.clone()));
        self.note_seen(Some(SystemTime::now()));
    }

    fn note_seen(&self, seen: Option<SystemTime>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.epoch = self.version.as_ref().map(|version| version.epoch.clone());
        known.generation = self.version.as_ref().map_or(0, |version| version.generation);
        known.left.clone_from(&self.left);
        known.unreadable = self.copy.unreadable();
        known.is_closed = self.copy.is_closed();
        known.seen = seen.or(known.seen);
    }

    async fn save(&mut self) {
        let Some(version) = &self.version else { return };
        let is_seen = self.wire.is_up() && self.left.is_none();
        self.saver.save(version, self.copy.rows(), is_seen).await;
    }
}

/// Whoever was slower comes at another moment than the others who were.
fn some_of(span: Duration) -> Duration {
    let random: u32 = answer::random(u32::from_be_bytes);
    span.mul_f64(f64::from(random) / f64::from(u32::MAX))
}
