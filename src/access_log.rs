//! The access log: one line of JSON for each exchange, no bodies, no secrets. Lines are written by a
//! thread of their own, in batches; when it cannot follow they are dropped and counted.

mod line;

pub use line::Line;

use crate::conf::AccessLog as Target;
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
        if let Err(TrySendError::Full(_)) = lines.try_send(line.write()) {
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
        let written = batch.into_iter().try_for_each(|line| out.write_all(line.as_bytes())).and_then(|()| out.flush());
        if written.is_err() {
            // Nobody reads any more; what is sent from now on is counted as dropped by nobody.
            return;
        }
        std::thread::sleep(PAUSE);
    }
}
