//! Handing sessions on to the process that comes after this one, in a sealed file: what servers gave the
//! gateway, and which sessions have ended. Without it clients' sessions would go on with servers that
//! know nothing of what was done in them. What replicas share needs no handing on.

use super::kept::KeptOpened;
use super::{Sessions, Upstreams, lock};
use crate::answer::random;
use crate::clock;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};
use tollbridge_filters::names::ServerId;
use tollbridge_filters::seal::{Binding, Sealer};
use tollbridge_filters::session::SessionKey;

const BOUND_TO: Binding<'static> = Binding { purpose: "handover", principal: "", scope: "" };

#[derive(Serialize, Deserialize)]
struct Handover {
    /// Seconds since 1970.
    written: u64,
    sessions: Vec<KeptSession>,
    /// Ended sessions, with how many seconds ago.
    ended: Vec<(SessionKey, u64)>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct KeptSession {
    key: SessionKey,
    level: Option<String>,
    /// URIs and servers.
    subscribed: Vec<(String, String)>,
    /// With their servers.
    opened: Vec<(String, KeptOpened)>,
}

impl Sessions {
    /// Writes everything for the next process, readable by nobody else.
    pub fn hand_over(&self, file: &Path, sealer: &Sealer) -> io::Result<()> {
        write_sealed(file, sealer, &BOUND_TO, &self.handover())
    }

    /// Takes over what the process before this one has left, once. Nothing is there after a crash.
    pub fn take_over(&self, file: &Path, sealer: &Sealer) -> io::Result<usize> {
        let sealed = match fs::read_to_string(file) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        fs::remove_file(file)?;
        let plain = sealer.open(&BOUND_TO, &sealed).ok_or_else(|| io::Error::other("it is sealed with another key"))?;
        Ok(self.restore(serde_json::from_slice(&plain)?))
    }

    fn handover(&self) -> Handover {
        let (mut sessions, mut ended) = (Vec::new(), Vec::new());
        for shard in &self.shards {
            let shard = lock(shard);
            let own = shard.live.iter().filter(|(_, upstreams)| upstreams.share.is_none());
            sessions.extend(own.map(|(_, upstreams)| upstreams.kept()));
            ended.extend(shard.ended.iter().map(|(key, since)| (*key, since.elapsed().as_secs())));
        }
        Handover { written: clock::now(), sessions, ended }
    }

    fn restore(&self, handover: Handover) -> usize {
        let past = clock::now().saturating_sub(handover.written);
        for (key, ago) in handover.ended {
            let since = Instant::now().checked_sub(Duration::from_secs(ago + past));
            self.shard(key).ended.insert(key, since.unwrap_or_else(Instant::now));
        }
        // Servers have most likely let go of what was not used for so long.
        if Duration::from_secs(past) > self.idle_max {
            return 0;
        }
        let count = handover.sessions.len();
        for kept in handover.sessions {
            self.begun(kept.key, None).catch_up(kept);
        }
        count
    }
}

impl Upstreams {
    pub(super) fn kept(&self) -> KeptSession {
        let opened = self
            .servers()
            .into_iter()
            .filter_map(|(server, place)| Some((server.to_string(), KeptOpened::of(&place.opened()?))));
        let opened = opened.collect();
        let subscribed = lock(&self.subscribed).iter().map(|(uri, at)| (uri.clone(), at.to_string())).collect();
        KeptSession { key: self.key, level: self.level(), subscribed, opened }
    }

    /// Takes in what another process knows of the session. What was opened here stays, as does what was lost here.
    pub(super) fn catch_up(&self, kept: KeptSession) {
        let server = |text: &str| ServerId::derive(text).ok();
        for (at, opened) in kept.opened {
            let (Some(place), opened) = (server(&at).map(|server| self.at(&server)), opened.restored()) else {
                continue;
            };
            if place.opened().is_none() && place.lost() != Some(opened.mark) {
                place.put(opened);
                self.news.send_modify(|news| news.opened += 1);
            }
        }
        *lock(&self.level) = kept.level;
        let subscribed = kept.subscribed.into_iter().filter_map(|(uri, at)| Some((uri, server(&at)?)));
        *lock(&self.subscribed) = subscribed.collect();
    }
}

/// Whoever reads the file finds all of it, or what was there before.
pub(super) fn write_sealed(
    file: &Path,
    sealer: &Sealer,
    bound_to: &Binding<'_>,
    what: &impl Serialize,
) -> io::Result<()> {
    let sealed = sealer.seal(bound_to, &random(|nonce| nonce), &serde_json::to_vec(what)?);
    let sealed = sealed.ok_or_else(|| io::Error::other("it could not be sealed"))?;
    let unfinished = file.with_added_extension("unfinished");
    let mut out = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
    out.write_all(sealed.as_bytes())?;
    fs::rename(unfinished, file)
}
