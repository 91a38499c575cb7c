//! The access log: one line of JSON for each exchange, no bodies, no secrets. Lines are written by a
//! thread of their own, in batches; when it cannot follow they are dropped and counted.

use crate::conf::AccessLog as Target;
use serde::Serialize;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

const LINES_MAX: usize = 16_384;

/// Between two batches. Waking a thread for each line would cost the exchange more than its line.
const PAUSE: Duration = Duration::from_millis(20);

pub struct AccessLog {
    lines: Option<SyncSender<String>>,
    dropped: AtomicI64,
}

/// One exchange. Times are milliseconds.
#[derive(Serialize)]
pub struct Line<'l> {
    pub time: String,
    pub request_id: &'l str,
    pub client: &'l str,
    pub principal: &'l str,
    pub lane: &'static str,
    pub verb: &'l str,
    pub path: &'l str,
    pub era: &'static str,
    pub method: &'l str,
    pub server: &'l str,
    pub tool: &'l str,
    pub endpoint: &'l str,
    pub status: u16,
    pub outcome: &'l str,
    pub request_bytes: usize,
    pub response_bytes: usize,
    pub total_ms: f64,
    pub upstream_ms: f64,
}

impl AccessLog {
    pub fn open(target: &Target) -> io::Result<AccessLog> {
        let out: Box<dyn Write + Send> = match target {
            Target::Off => {
                return Ok(AccessLog { lines: None, dropped: AtomicI64::new(0) });
            }
            Target::Stdout => Box::new(io::stdout()),
            Target::File(path) => Box::new(OpenOptions::new().create(true).append(true).open(path)?),
        };
        let (lines, waiting) = sync_channel(LINES_MAX);
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || write(&waiting, out))?;
        Ok(AccessLog { lines: Some(lines), dropped: AtomicI64::new(0) })
    }

    pub fn is_on(&self) -> bool {
        self.lines.is_some()
    }

    pub fn write(&self, line: &Line<'_>) {
        let Some(lines) = &self.lines else { return };
        let Ok(text) = serde_json::to_string(line) else { return };
        if let Err(TrySendError::Full(_)) = lines.try_send(text) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn dropped(&self) -> i64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Writes what is waiting in one go, then waits.
fn write(waiting: &Receiver<String>, out: Box<dyn Write + Send>) {
    let mut out = BufWriter::with_capacity(64 * 1024, out);
    while let Ok(first) = waiting.recv() {
        let batch = std::iter::once(first).chain(waiting.try_iter().take(LINES_MAX));
        let written = batch.into_iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush());
        if written.is_err() {
            // Nobody reads any more; what is sent from now on is counted as dropped by nobody.
            return;
        }
        std::thread::sleep(PAUSE);
    }
}
