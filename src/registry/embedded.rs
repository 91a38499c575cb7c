//! The embedded store: one SQLite file, on a thread of its own. Changes that come together are
//! written together, and are acknowledged when they are on the disk.

use super::ledger::{Ledger, Row};
use super::store::{Act, gone};
use crate::answer::random;
use crate::manage::Changed;
use rusqlite::{Connection, OpenFlags, params};
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tollbridge_filters::names::ServerId;
use tollbridge_filters::rejection::Rejection;

/// Changes that are written in one transaction.
const TOGETHER_MAX: usize = 256;

/// How long a process that is just ending may still hold the file.
const BUSY: Duration = Duration::from_secs(3);

/// The layout of the file; a newer one is not touched.
const LAYOUT: i64 = 1;

struct Job {
    act: Act,
    done: oneshot::Sender<Result<Changed, Rejection>>,
}

enum Wanted {
    Change(Job),
    /// Another process is to have the file.
    Release(oneshot::Sender<()>),
}

/// The way to the thread that writes.
pub struct Embedded {
    jobs: Sender<Wanted>,
    ledger: watch::Receiver<Arc<Ledger>>,
    /// What seals sessions where the configuration has no key: kept, so that they outlive the process.
    pub seal: [u8; 32],
}

#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("the registry {path} cannot be used: {why}")]
    File { path: PathBuf, why: String },
    /// There is no such file and there cannot be one.
    #[error("the registry {path} cannot be written: {why}")]
    NotMade { path: PathBuf, why: String },
    #[error("the registry cannot be used: {0}")]
    Memory(String),
}

impl Embedded {
    /// `taken`: ids that the configuration file has.
    pub fn open(path: &Path, taken: BTreeSet<ServerId>) -> Result<Embedded, Unusable> {
        let unusable = |why: String| Unusable::File { path: path.to_owned(), why };
        // Made here so that nobody else can read it, not even for a moment.
        let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
        made.map_err(|error| Unusable::NotMade { path: path.to_owned(), why: error.to_string() })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| unusable(error.to_string()))?;
        Embedded::start(connection, taken).map_err(unusable)
    }

    /// What is registered ends with the process.
    pub fn in_memory(taken: BTreeSet<ServerId>) -> Result<Embedded, Unusable> {
        let connection = Connection::open_in_memory().map_err(|error| Unusable::Memory(error.to_string()))?;
        Embedded::start(connection, taken).map_err(Unusable::Memory)
    }

    fn start(connection: Connection, taken: BTreeSet<ServerId>) -> Result<Embedded, String> {
        prepare(&connection).map_err(explain)?;
        let seal = kept_seal(&connection, random(|bytes| bytes)).map_err(explain)?;
        let mut ledger = Ledger::restore(rows(&connection).map_err(explain)?)?;
        ledger.fix(taken);
        let (publish, published) = watch::channel(Arc::new(ledger.clone()));
        let (jobs, waiting) = channel();
        let writer = Writer { connection, ledger, publish };
        let thread = std::thread::Builder::new().name("registry".to_owned());
        thread.spawn(move || writer.run(&waiting)).map_err(|error| error.to_string())?;
        Ok(Embedded { jobs, ledger: published, seal })
    }

    /// What is on the disk.
    pub fn ledger(&self) -> watch::Receiver<Arc<Ledger>> {
        self.ledger.clone()
    }

    /// Makes a change. When this returns it is kept, or it was refused.
    pub async fn change(&self, act: Act) -> Result<Changed, Rejection> {
        let (done, result) = oneshot::channel();
        self.jobs.send(Wanted::Change(Job { act, done })).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }

    /// Lets go of the file, so that the process that takes over can have it. What is known stays known, but
    /// nothing is changed any more.
    pub async fn release(&self) {
        let (done, released) = oneshot::channel();
        if self.jobs.send(Wanted::Release(done)).is_ok() {
            // Whether it said so or not: when the thread has ended the file is free.
            let _ = released.await;
        }
    }
}

struct Writer {
    connection: Connection,
    ledger: Ledger,
    publish: watch::Sender<Arc<Ledger>>,
}

impl Writer {
    fn run(mut self, waiting: &Receiver<Wanted>) {
        while let Ok(first) = waiting.recv() {
            let (mut jobs, mut release) = (Vec::new(), None);
            for wanted in std::iter::once(first).chain(waiting.try_iter().take(TOGETHER_MAX - 1)) {
                match wanted {
                    Wanted::Change(job) if release.is_none() => jobs.push(job),
                    // Dropped, which says no.
                    Wanted::Change(_) => {}
                    Wanted::Release(done) => release = Some(done),
                }
            }
            if !jobs.is_empty() {
                self.serve(jobs);
            }
            if let Some(done) = release {
                drop(self);
                let _ = done.send(());
                return;
            }
        }
    }

    fn serve(&mut self, jobs: Vec<Job>) {
        let before = self.ledger.clone();
        let (mut answers, mut rows) = (Vec::new(), Vec::new());
        for Job { act, done } in jobs {
            let judged = act(&mut self.ledger).map(|(changed, written)| {
                rows.extend(written);
                changed
            });
            answers.push((done, judged));
        }
        let written = if rows.is_empty() { Ok(()) } else { self.write(&rows).map_err(explain) };
        match &written {
            Ok(()) => drop(self.publish.send_replace(Arc::new(self.ledger.clone()))),
            Err(why) => {
                tracing::error!(%why, "the registry could not be written");
                self.ledger = before;
            }
        }
        for (done, judged) in answers {
            let answer = match &written {
                Ok(()) => judged,
                Err(why) => judged.and(Err(Rejection::Store(why.clone()))),
            };
            // Whoever asked may be gone; what was written stays.
            let _ = done.send(answer);
        }
    }

    fn write(&mut self, rows: &[Row]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for row in rows {
            match &row.value {
                Some(value) => transaction
                    .prepare_cached("INSERT OR REPLACE INTO rows (kind, key, value) VALUES (?1, ?2, ?3)")?
                    .execute(params![row.kind, row.key, value])?,
                None => transaction
                    .prepare_cached("DELETE FROM rows WHERE kind = ?1 AND key = ?2")?
                    .execute(params![row.kind, row.key])?,
            };
        }
        transaction.commit()
    }
}

/// One process has the file, and a commit is on the disk when it returns.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let layout: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if layout > LAYOUT {
        return Err(rusqlite::Error::InvalidParameterName(format!("it has the layout {layout} of a newer version")));
    }
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS rows (
            kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, key)
        ) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS seal (only INTEGER PRIMARY KEY CHECK (only = 1), key BLOB NOT NULL);",
    )?;
    connection.pragma_update(None, "user_version", LAYOUT)
}

fn kept_seal(connection: &Connection, spare: [u8; 32]) -> rusqlite::Result<[u8; 32]> {
    connection.execute("INSERT OR IGNORE INTO seal (only, key) VALUES (1, ?1)", params![spare])?;
    connection.query_row("SELECT key FROM seal", [], |row| row.get(0))
}

fn rows(connection: &Connection) -> rusqlite::Result<Vec<(String, String, String)>> {
    let mut query = connection.prepare("SELECT kind, key, value FROM rows")?;
    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

fn explain(error: rusqlite::Error) -> String {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    match error.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => "another process uses it".to_owned(),
        _ => error.to_string(),
    }
}
