//! Where a comparison works: a directory for configurations and logs, and free ports.

use std::collections::HashSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

pub struct Place {
    pub directory: PathBuf,
    /// Given out already: a port that is free now may be somebody's who has not bound it yet.
    given: Mutex<HashSet<u16>>,
}

impl Place {
    pub fn new() -> Result<Self> {
        let directory = std::env::temp_dir().join(format!("tollbridge-bench-{}", std::process::id()));
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(Self { directory, given: Mutex::default() })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A new directory in this one.
    pub fn room(&self, name: &str) -> Result<PathBuf> {
        let room = self.path(name);
        fs::create_dir_all(&room)?;
        Ok(room)
    }

    /// `127.0.0.1` with a port that is free, and not given out before.
    pub fn address(&self) -> Result<String> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
            if given.insert(address.port()) {
                return Ok(address.to_string());
            }
        }
    }

    /// Empties the access logs: a run would fill the disk with them otherwise.
    pub fn empty_access_logs(&self) {
        let rooms = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        for log in rooms.map(|room| room.path().join(ACCESS_LOG)) {
            if let Ok(file) = fs::File::options().write(true).open(log) {
                file.set_len(0).ok();
            }
        }
    }

    /// The ends of all logs that say something, for whoever looks for the cause of a failure.
    pub fn last_words(&self) -> String {
        let mut words = String::new();
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                words.push_str(&end_of(&path));
            }
        }
        words
    }
}

/// What an access log is called, in the room of whoever writes it.
pub const ACCESS_LOG: &str = "access";

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.directory).ok();
    }
}

fn end_of(path: &Path) -> String {
    const LINES: usize = 5;
    let text = String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    if last.is_empty() { String::new() } else { format!("== {}\n{}\n", path.display(), last.join("\n")) }
}
