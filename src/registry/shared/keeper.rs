//! Keeps what is known of the shared registry: reads what others have changed, and changes it, one batch at a
//! time, on what is there at that moment.

use super::Known;
use crate::answer;
use crate::conf;
use crate::manage::Changed;
use crate::redis::{Heard, Unanswered, Wire};
use crate::registry::disk::{Disk, LastSeen, Rows};
use crate::registry::ledger::{Ledger, Row};
use crate::registry::redis::{Keyspace, Much, Seen, Write};
use crate::registry::store::Act;
use crate::registry::version::Version;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tollbridge_filters::names::ServerId;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::seal::{Binding, Sealer};

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

pub(super) struct Keeper {
    keyspace: Keyspace,
    wire: Arc<Wire>,
    sealer: Sealer,
    disk: Option<Disk>,
    known: Arc<Mutex<Known>>,
    /// Whether an empty store is a loss.
    has_replicas: bool,
    resync: Duration,
    version: Option<Version>,
    /// As they are in the store.
    rows: Rows,
    unreadable: BTreeSet<String>,
    ledger: Ledger,
    publish: watch::Sender<Arc<Ledger>>,
    /// Why what is there is not adopted.
    left: Option<String>,
    is_saved: bool,
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
            sealer,
            disk,
            known,
            has_replicas: conf.replicas,
            resync: conf.resync,
            version: None,
            rows: Rows::new(),
            unreadable: BTreeSet::new(),
            ledger: Ledger::default(),
            publish: watch::Sender::default(),
            left: None,
            is_saved: true,
        }
    }

    /// Starts from what was seen last, if that is on the disk.
    pub(super) fn begin(&mut self, taken: BTreeSet<ServerId>) -> anyhow::Result<watch::Receiver<Arc<Ledger>>> {
        self.ledger.fix(taken);
        let read = self.disk.as_ref().map(Disk::read).transpose();
        match read.map(Option::flatten) {
            Ok(Some((last, seen))) => {
                self.take(last.rows, &[]);
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
                _ = resync.tick() => self.read(Much::All).await,
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
        let is_same = self.version.as_ref() == Some(&now);
        let generation = self.ledger.generation;
        match seen {
            Seen::Nothing => return,
            Seen::All(_, rows) => {
                let gone: Vec<String> = self.rows.keys().filter(|field| !rows.contains_key(*field)).cloned().collect();
                self.take(rows, &gone);
            }
            Seen::Changed { rows, gone, .. } => self.take(rows, &gone),
        }
        // A replica that can read nothing of a registry knows nothing of it.
        if self.version.is_none() && !self.unreadable.is_empty() {
            return;
        }
        self.version = Some(now);
        self.is_saved &= is_same;
        if self.ledger.generation != generation {
            self.publish.send_replace(Arc::new(self.ledger.clone()));
        }
    }

    /// Takes rows over. What cannot be read is left as it was known, and said.
    fn take(&mut self, rows: Rows, gone: &[String]) {
        for field in gone {
            self.rows.remove(field);
            self.unreadable.remove(field);
            // To be rid of a row of a kind that is not known here is no trouble.
            let _ = self.ledger.absorb(field, None);
        }
        for (field, sealed) in rows {
            if self.rows.get(&field) == Some(&sealed) {
                continue;
            }
            let opened = self.open(&field, &sealed);
            match opened.and_then(|text| self.ledger.absorb(&field, Some(&text))) {
                Ok(()) => drop(self.unreadable.remove(&field)),
                Err(why) => {
                    tracing::error!(row = %field, %why, "a row of the registry cannot be read");
                    self.unreadable.insert(field.clone());
                }
            }
            self.rows.insert(field, sealed);
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
    async fn settle(&mut self, jobs: &[Job]) -> Result<Vec<Result<Changed, Rejection>>, String> {
        for tries in 0..TRIES_MAX {
            self.catch_up(Much::Changed).await.map_err(|why| why.to_string())?;
            self.may_change()?;
            let mut ledger = self.ledger.clone();
            let mut written = BTreeMap::new();
            let judge = |job: &Job| {
                let (changed, rows) = (job.act)(&mut ledger)?;
                written.extend(rows.into_iter().map(|Row { kind, key, value }| (format!("{kind} {key}"), value)));
                Ok(changed)
            };
            let answers = jobs.iter().map(judge).collect();
            if written.is_empty() {
                return Ok(answers);
            }
            let written = self.sealed(written)?;
            match self.keyspace.change(self.version.as_ref(), &written).await {
                Ok(Some(version)) => {
                    self.keep(version, ledger, written);
                    return Ok(answers);
                }
                Ok(None) => tokio::time::sleep(some_of(Duration::from_millis(2 * (tries + 1)))).await,
                Err(why @ Unanswered::Lost(_)) => return Err(format!("{why}; whether it was changed is not known")),
                Err(why) => return Err(why.to_string()),
            }
        }
        Err("others change it all the time; ask again".to_owned())
    }

    fn may_change(&self) -> Result<(), String> {
        if let Some(why) = &self.left {
            return Err(format!("an operator must decide which registry counts: {why}"));
        }
        if self.version.is_none() && !self.unreadable.is_empty() {
            return Err("what is there cannot be read; is it sealed with another key?".to_owned());
        }
        if self.version.is_none() && self.has_replicas {
            return Err("there is no registry yet; run `tollbridge registry init`".to_owned());
        }
        Ok(())
    }

    fn keep(&mut self, version: Version, ledger: Ledger, written: Vec<Write>) {
        for (field, value) in written {
            self.unreadable.remove(&field);
            match value {
                Some(sealed) => drop(self.rows.insert(field, sealed)),
                None => drop(self.rows.remove(&field)),
            }
        }
        self.version = Some(version);
        self.ledger = ledger;
        self.is_saved = false;
        self.publish.send_replace(Arc::new(self.ledger.clone()));
        self.note_seen(Some(SystemTime::now()));
    }

    /// A row holds servers' credentials: none is in the store in clear.
    fn sealed(&self, rows: BTreeMap<String, Option<String>>) -> Result<Vec<Write>, String> {
        let seal = |(field, value): (String, Option<String>)| {
            let sealed = match value {
                Some(text) => Some(
                    self.sealer
                        .seal(&bound_to(&field), &answer::random(|nonce| nonce), text.as_bytes())
                        .ok_or("there is no key to seal it with")?,
                ),
                None => None,
            };
            Ok((field, sealed))
        };
        rows.into_iter().map(seal).collect()
    }

    fn open(&self, field: &str, sealed: &str) -> Result<String, String> {
        let opened =
            self.sealer.open(&bound_to(field), sealed).ok_or("it is sealed with a key that is not known here")?;
        String::from_utf8(opened).map_err(|error| error.to_string())
    }

    fn note_seen(&self, seen: Option<SystemTime>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.epoch = self.version.as_ref().map(|version| version.epoch.clone());
        known.generation = self.version.as_ref().map_or(0, |version| version.generation);
        known.left.clone_from(&self.left);
        known.unreadable = self.unreadable.len();
        known.seen = if self.version.is_none() && !self.unreadable.is_empty() { None } else { seen.or(known.seen) };
    }

    async fn save(&mut self) {
        let Some(version) = self.version.clone() else { return };
        let Some(disk) = self.disk.take() else { return };
        let is_seen = self.wire.is_up() && self.left.is_none();
        let last = (!self.is_saved).then(|| LastSeen { version, rows: self.rows.clone() });
        let saving = tokio::task::spawn_blocking(move || {
            let saved = match &last {
                Some(last) => disk.write(last),
                None if is_seen => disk.touch(),
                None => Ok(()),
            };
            (disk, saved)
        });
        // It cannot be cancelled, and nothing in it panics.
        let Ok((disk, saved)) = saving.await else { return };
        match saved {
            Ok(()) => self.is_saved = true,
            Err(why) => {
                tracing::warn!(%why, "what is known of the registry cannot be kept on disk; a start without Redis will not have it");
                // Said once, not every second.
                self.is_saved = true;
            }
        }
        self.disk = Some(disk);
    }
}

fn bound_to(field: &str) -> Binding<'_> {
    Binding { purpose: "registry", principal: "", scope: field }
}

/// Whoever was slower comes at another moment than the others who were.
fn some_of(span: Duration) -> Duration {
    let random: u32 = answer::random(u32::from_be_bytes);
    span.mul_f64(f64::from(random) / f64::from(u32::MAX))
}
