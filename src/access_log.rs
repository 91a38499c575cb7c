//! The access log: one line of JSON for each exchange, no bodies, no secrets. Lines are written by a
//! thread of their own, in batches; when it cannot follow they are dropped and counted.

mod line;

pub use line::Line;

use crate::conf::AccessLog as Target;
use std::cell::RefCell;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Of lines that wait.
const WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a batch may keep of its room.
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// Between two batches. Waking a thread for each line would cost the exchange more than its line.
const PAUSE: Duration = Duration::from_millis(20);

thread_local! {
    // A line is made here, and then only copied while others wait.
    static LINE: RefCell<String> = RefCell::default();
}

pub struct AccessLog {
    batch: Option<Arc<Batch>>,
    dropped: AtomicI64,
}

/// The lines that wait, each with its end.
#[derive(Default)]
struct Batch {
    waiting: Mutex<Waiting>,
    begun: Condvar,
}

#[derive(Default)]
struct Waiting {
    text: String,
    /// Nobody writes any more, or nobody reads.
    is_over: bool,
}

impl AccessLog {
    pub fn open(target: &Target) -> io::Result<AccessLog> {
        let mut out: Box<dyn Write + Send> = match target {
            Target::Off => {
                return Ok(AccessLog { batch: None, dropped: AtomicI64::new(0) });
            }
            Target::Stdout => Box::new(io::stdout()),
            Target::File(path) => Box::new(OpenOptions::new().create(true).append(true).open(path)?),
        };
        let batch = Arc::new(Batch::default());
        let shared = Arc::clone(&batch);
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || shared.write_to(&mut *out))?;
        Ok(AccessLog { batch: Some(batch), dropped: AtomicI64::new(0) })
    }

    pub fn is_on(&self) -> bool {
        self.batch.is_some()
    }

    pub fn write(&self, line: &Line<'_>) {
        let Some(batch) = &self.batch else { return };
        LINE.with_borrow_mut(|text| {
            text.clear();
            line.write(text);
            if !batch.take(text) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    pub fn dropped(&self) -> i64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        if let Some(batch) = &self.batch {
            batch.end();
        }
    }
}

impl Batch {
    /// `false`: there is no room for it.
    fn take(&self, line: &str) -> bool {
        let is_first = {
            let mut waiting = self.lock();
            if waiting.is_over {
                return true;
            }
            if waiting.text.len() + line.len() > WAITING_BYTES_MAX {
                return false;
            }
            waiting.text.push_str(line);
            waiting.text.len() == line.len()
        };
        if is_first {
            self.begun.notify_one();
        }
        true
    }

    fn end(&self) {
        self.lock().is_over = true;
        self.begun.notify_one();
    }

    /// Writes what is waiting in one go, then waits.
    fn write_to(&self, out: &mut dyn Write) {
        let mut text = String::new();
        while self.next(&mut text) {
            if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
                // Nobody reads any more; what is sent from now on is counted as dropped by nobody.
                return self.end();
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Takes what is waiting, for room that is free again. `false`: nothing comes any more.
    fn next(&self, text: &mut String) -> bool {
        text.clear();
        text.shrink_to(KEPT_BYTES_MAX);
        let mut waiting = self.lock();
        while waiting.text.is_empty() && !waiting.is_over {
            waiting = self.begun.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut waiting.text, text);
        !text.is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        // Nothing panics while it holds the lock, and if it did, the text would still be whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
