//! While one process takes over from another both serve, for some seconds. What is opened, asked for or ended in a
//! session at one of them must be known at the other: each writes it down, sealed, where the other looks before it
//! serves the session. What replicas share needs none of this.

use super::handover::{KeptSession, write_sealed};
use super::{Sessions, Upstreams, lock};
use arc_swap::ArcSwapOption;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::seal::{Binding, Sealer};
use tollbridge_filters::session::SessionKey;

/// A sealed text begins with its nonce, which is another one each time.
const NONCE_BYTES: usize = 32;

/// What two processes tell each other, while there are two.
#[derive(Default)]
pub struct Overlap {
    beside: ArcSwapOption<Beside>,
}

/// The other process, and where the two write.
struct Beside {
    directory: PathBuf,
    ours: &'static str,
    theirs: &'static str,
    sealer: Sealer,
    /// Where the system tells of the process that was here before; it goes when that has ended. `None`: it is this one.
    before: Option<PathBuf>,
    /// The nonces of what was read last of each session: it is taken in once.
    read: Mutex<HashMap<SessionKey, String>>,
    /// What is told last must be what was last.
    telling: Mutex<()>,
}

/// What one process tells of a session.
#[derive(Serialize, Deserialize)]
enum Told {
    Changed(KeptSession),
    Ended,
}

impl Sessions {
    /// From now on another process may serve as well. Begins before sessions are handed over, so that no change falls
    /// between; `file` is where those are left.
    pub fn overlap_before(&self, file: &Path, sealer: &Sealer) -> io::Result<()> {
        self.catch_up_with_all();
        let beside = Beside::new(file, sealer, ("before", "after"), None);
        match fs::remove_dir_all(&beside.directory) {
            Err(why) if why.kind() != ErrorKind::NotFound => return Err(why),
            _ => {}
        }
        for side in [beside.ours, beside.theirs] {
            DirBuilder::new().mode(0o700).recursive(true).create(beside.directory.join(side))?;
        }
        self.overlap.beside.store(Some(Arc::new(beside)));
        Ok(())
    }

    /// The process `before` goes on for a while.
    pub fn overlap_after(&self, file: &Path, sealer: &Sealer, before: i32) {
        let before = Path::new("/proc").join(before.to_string());
        let beside = Beside::new(file, sealer, ("after", "before"), Some(before));
        self.overlap.beside.store(beside.directory.is_dir().then(|| Arc::new(beside)));
    }

    /// Takes in what the other process has told of a session.
    pub(super) fn catch_up(&self, key: SessionKey) -> Result<(), Rejection> {
        let beside = self.overlap.beside.load();
        match beside.as_ref().and_then(|beside| beside.news_of(key)) {
            None => {}
            Some(Told::Changed(kept)) => self.begun(key, None).catch_up(kept),
            Some(Told::Ended) => {
                self.end_here(key);
                return Err(Rejection::SessionNotFound);
            }
        }
        Ok(())
    }

    /// The same, of every session.
    fn catch_up_with_all(&self) {
        let beside = self.overlap.beside.load_full();
        for key in beside.map(|beside| beside.told()).unwrap_or_default() {
            // Whether it has ended matters to whoever comes with it.
            let _ = self.catch_up(key);
        }
    }

    /// Where the process before this one has ended, nothing more is told.
    pub(super) fn end_overlap(&self) {
        let beside = self.overlap.beside.load_full();
        let Some(beside) = beside.filter(|beside| beside.before.as_ref().is_some_and(|before| !before.exists())) else {
            return;
        };
        self.catch_up_with_all();
        self.overlap.beside.store(None);
        // What stays there is sealed, and goes with the next upgrade.
        let _ = fs::remove_dir_all(&beside.directory);
    }
}

impl Upstreams {
    /// Tells the other process what the session has become.
    pub(super) fn tell(&self) {
        let told = || (!self.news.borrow().ended).then(|| Told::Changed(self.kept()));
        if self.share.is_none() {
            self.overlap.tell(self.key, told);
        }
    }
}

impl Overlap {
    pub(super) fn tell_ended(&self, key: SessionKey) {
        self.tell(key, || Some(Told::Ended));
    }

    fn tell(&self, key: SessionKey, told: impl FnOnce() -> Option<Told>) {
        let beside = self.beside.load();
        let Some(beside) = beside.as_ref() else { return };
        let _telling = lock(&beside.telling);
        if let Some(Err(why)) = told().map(|told| beside.write(key, &told)) {
            tracing::warn!(%why, "the other process cannot be told what became of a session");
        }
    }
}

impl Beside {
    fn new(
        file: &Path,
        sealer: &Sealer,
        (ours, theirs): (&'static str, &'static str),
        before: Option<PathBuf>,
    ) -> Beside {
        let directory = file.with_extension("overlap");
        let (read, telling) = Default::default();
        Beside { directory, ours, theirs, sealer: sealer.clone(), before, read, telling }
    }

    fn write(&self, key: SessionKey, told: &Told) -> io::Result<()> {
        let name = name(key);
        write_sealed(&self.directory.join(self.ours).join(&name), &self.sealer, &bound_to(&name), told)
    }

    /// `None`: nothing that was not read before.
    fn news_of(&self, key: SessionKey) -> Option<Told> {
        let name = name(key);
        let sealed = fs::read_to_string(self.directory.join(self.theirs).join(&name)).ok()?;
        let nonce = sealed.get(..NONCE_BYTES)?;
        let mut read = lock(&self.read);
        if read.get(&key).is_some_and(|read| read == nonce) {
            return None;
        }
        let told = self.sealer.open(&bound_to(&name), &sealed)?;
        read.insert(key, nonce.to_owned());
        serde_json::from_slice(&told).ok()
    }

    /// The sessions of which the other process has told something.
    fn told(&self) -> Vec<SessionKey> {
        let files = fs::read_dir(self.directory.join(self.theirs)).into_iter().flatten().flatten();
        files.filter_map(|file| SessionKey::from_str_radix(file.file_name().to_str()?, 16).ok()).collect()
    }
}

fn name(key: SessionKey) -> String {
    format!("{key:032x}")
}

fn bound_to(session: &str) -> Binding<'_> {
    Binding { purpose: "overlap", principal: session, scope: "" }
}
