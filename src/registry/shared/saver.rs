//! Keeping what was seen last on disk. A disk that is slow or full hinders nobody: what cannot be written now
//! is written later.

use crate::registry::disk::{Disk, LastSeen, Rows};
use crate::registry::version::Version;
use std::io;
use std::time::SystemTime;
use tokio::task::JoinHandle;

pub(super) struct Saver {
    /// `None`: there is none, or it is being written.
    disk: Option<Disk>,
    writing: Option<JoinHandle<(Disk, bool, io::Result<()>)>>,
    is_saved: bool,
    /// Whether what is on the disk is to be kept beside what comes: an operator has decided otherwise.
    keeps_before: bool,
    /// What was wrong last, for the log.
    said: Option<String>,
}

impl Saver {
    pub(super) fn new(disk: Option<Disk>) -> Saver {
        Saver { disk, writing: None, is_saved: true, keeps_before: false, said: None }
    }

    pub(super) fn read(&self) -> io::Result<Option<(LastSeen, SystemTime)>> {
        self.disk.as_ref().map_or(Ok(None), Disk::read)
    }

    /// Something is known that is not on the disk.
    pub(super) fn changed(&mut self, before: Option<&Version>, now: Option<&Version>) {
        let decided = |version: Option<&Version>| version.map(|version| version.decided);
        self.keeps_before |= before.is_some() && decided(before) != decided(now);
        self.is_saved = false;
    }

    /// Begins to write what has changed, unless the disk is still busy; else says that it is still what is in
    /// the store.
    pub(super) async fn save(&mut self, version: &Version, rows: &Rows, is_seen: bool) {
        if let Some(writing) = self.writing.take_if(|writing| writing.is_finished()) {
            // It cannot be cancelled, and nothing in it panics.
            let Ok((disk, keeps_before, written)) = writing.await else { return };
            self.disk = Some(disk);
            self.keeps_before |= keeps_before;
            self.note(written);
        }
        if self.is_saved && !is_seen {
            return;
        }
        let Some(disk) = self.disk.take() else { return };
        let last = (!self.is_saved).then(|| LastSeen { version: version.clone(), rows: rows.clone() });
        let keeps_before = std::mem::take(&mut self.keeps_before);
        self.is_saved = true;
        self.writing = Some(tokio::task::spawn_blocking(move || {
            // Nothing is written over what is to be kept.
            let aside = if keeps_before { disk.set_aside() } else { Ok(()) };
            let is_kept = aside.is_ok();
            let written = aside.and_then(|()| match &last {
                Some(last) => disk.write(last),
                None => disk.touch(),
            });
            (disk, keeps_before && !is_kept, written)
        }));
    }

    fn note(&mut self, written: io::Result<()>) {
        let why = written.err().map(|why| why.to_string());
        self.is_saved &= why.is_none();
        if let Some(why) = why.as_ref().filter(|why| self.said.as_ref() != Some(why)) {
            tracing::warn!(%why, "what is known of the registry cannot be kept on disk; a start without Redis will not have it");
        }
        self.said = why;
    }
}
