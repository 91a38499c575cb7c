//! The last that was seen of a shared registry, kept in a file: a start without the store begins with it, and
//! what the store tells afterwards is compared with it.

use super::version::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Rows as they are in the store, sealed, by what they are of.
pub type Rows = BTreeMap<String, String>;

#[derive(Serialize, Deserialize)]
pub struct LastSeen {
    pub version: Version,
    pub rows: Rows,
}

pub struct Disk(PathBuf);

impl Disk {
    pub fn at(path: &Path) -> Disk {
        Disk(path.to_owned())
    }

    /// What is there, and when it was last found to be what is in the store.
    pub fn read(&self) -> io::Result<Option<(LastSeen, SystemTime)>> {
        let text = match fs::read(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let seen = fs::metadata(&self.0)?.modified()?;
        Ok(Some((serde_json::from_slice(&text)?, seen)))
    }

    /// The whole of it, or nothing of it, readable by nobody else.
    pub fn write(&self, last: &LastSeen) -> io::Result<()> {
        let text = serde_json::to_vec(last)?;
        let unfinished = self.0.with_extension(format!("snapshot-{}", std::process::id()));
        let mut out = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
        out.write_all(&text)?;
        out.sync_all()?;
        fs::rename(unfinished, &self.0)
    }

    /// Keeps what is there under another name.
    pub fn set_aside(&self) -> io::Result<()> {
        match fs::copy(&self.0, self.0.with_extension("snapshot-before")) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// It is still what is in the store.
    pub fn touch(&self) -> io::Result<()> {
        match File::options().write(true).open(&self.0) {
            Ok(file) => file.set_modified(SystemTime::now()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}
