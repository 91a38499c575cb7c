//! While one process takes over from another both serve, for some seconds. What is opened, asked for or ended in a
//! session at one of them must be known at the other: each writes it down, sealed, where the other looks before it
//! serves the session. What replicas share needs none of this.

use super::handover::Kept;
use super::{Sessions, Upstreams, lock};
use crate::answer::random;
use arc_swap::ArcSwapOption;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::seal::{Binding, Sealer};
use tollbridge_filters::session::SessionKey;

/// Which of the two processes this is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

/// What two processes tell each other, while there are two.
#[derive(Default)]
pub struct Overlap {
    both: ArcSwapOption<Both>,
}

struct Both {
    side: Side,
    directory: PathBuf,
    sealer: Sealer,
    /// When the other process has ended for sure.
    until: Option<Instant>,
    /// What was read last of each session: it is taken in once.
    read: Mutex<HashMap<SessionKey, String>>,
}

/// What one process tells of a session.
#[derive(Serialize, Deserialize)]
enum Told {
    Changed(Kept),
    Ended,
}

impl Sessions {
    /// Another process is about to serve as well. Told before that everything else is handed over, so that nothing
    /// falls between.
    pub(super) fn overlap_before(&self, file: &Path, sealer: &Sealer) -> io::Result<()> {
        let both = Both::new(Side::Before, file, sealer, None);
        let _ = fs::remove_dir_all(&both.directory);
        for side in [Side::Before, Side::After] {
            DirBuilder::new().mode(0o700).recursive(true).create(both.place_of(side))?;
        }
        self.overlap.both.store(Some(Arc::new(both)));
        Ok(())
    }

    /// The process that this one takes over from serves for so long at most.
    pub(super) fn overlap_after(&self, file: &Path, sealer: &Sealer, lasts: Duration) {
        let both = Both::new(Side::After, file, sealer, Some(Instant::now() + lasts));
        self.overlap.both.store(both.directory.is_dir().then(|| Arc::new(both)));
    }

    /// Takes in what the other process has told of a session.
    pub(super) fn catch_up(&self, key: SessionKey) -> Result<(), Rejection> {
        let both = self.overlap.both.load();
        match both.as_ref().and_then(|both| both.news_of(key)) {
            None => {}
            Some(Told::Changed(kept)) => self.begun(key, None).catch_up(kept),
            Some(Told::Ended) => {
                self.end_here(key);
                return Err(Rejection::SessionNotFound);
            }
        }
        Ok(())
    }

    /// Whether the other process has ended; nothing is told any more then.
    pub(super) fn end_overlap(&self) {
        let both = self.overlap.both.load_full();
        if let Some(both) = both.filter(|both| both.until.is_some_and(|until| until < Instant::now())) {
            self.overlap.both.store(None);
            let _ = fs::remove_dir_all(&both.directory);
        }
    }
}

impl Upstreams {
    /// Tells the other process what the session has become.
    pub(super) fn tell(&self) {
        if self.share.is_none() {
            self.overlap.tell(self.key, || Told::Changed(self.kept()));
        }
    }
}

impl Overlap {
    pub(super) fn tell_ended(&self, key: SessionKey) {
        self.tell(key, || Told::Ended);
    }

    fn tell(&self, key: SessionKey, told: impl FnOnce() -> Told) {
        let both = self.both.load();
        if let Some(both) = both.as_ref()
            && let Err(why) = both.write(key, &told())
        {
            tracing::warn!(%why, "the other process cannot be told what became of a session");
        }
    }
}

impl Both {
    fn new(side: Side, file: &Path, sealer: &Sealer, until: Option<Instant>) -> Both {
        let directory = file.with_extension("overlap");
        Both { side, directory, sealer: sealer.clone(), until, read: Mutex::default() }
    }

    fn place_of(&self, side: Side) -> PathBuf {
        self.directory.join(if side == Side::Before { "before" } else { "after" })
    }

    fn write(&self, key: SessionKey, told: &Told) -> io::Result<()> {
        let text = serde_json::to_vec(told)?;
        let name = name(key);
        let sealed = self.sealer.seal(&bound_to(&name), &random(|nonce| nonce), &text);
        let sealed = sealed.ok_or_else(|| io::Error::other("it could not be sealed"))?;
        let place = self.place_of(self.side);
        // Two calls of one session may write at the same time.
        let unfinished = place.join(format!("{name}-{:016x}", random(u64::from_be_bytes)));
        fs::write(&unfinished, sealed)?;
        fs::rename(unfinished, place.join(name))
    }

    /// `None`: nothing that was not read before.
    fn news_of(&self, key: SessionKey) -> Option<Told> {
        let name = name(key);
        let theirs = self.place_of(if self.side == Side::Before { Side::After } else { Side::Before });
        let sealed = fs::read_to_string(theirs.join(&name)).ok()?;
        let mut read = lock(&self.read);
        if read.get(&key) == Some(&sealed) {
            return None;
        }
        let told = self.sealer.open(&bound_to(&name), &sealed)?;
        read.insert(key, sealed);
        serde_json::from_slice(&told).ok()
    }
}

fn name(key: SessionKey) -> String {
    format!("{key:032x}")
}

fn bound_to(session: &str) -> Binding<'_> {
    Binding { purpose: "overlap", principal: session, scope: "" }
}
