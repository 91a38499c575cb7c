//! Handing sessions on to the process that comes after this one, in a sealed file: what servers gave the
//! gateway, and which sessions have ended. Without it clients' sessions would go on with servers that
//! know nothing of what was done in them. What replicas share needs no handing on.

use super::kept::KeptOpened;
use super::{Place, Sessions, Upstreams, lock};
use crate::answer::random;
use crate::clock;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tollbridge_filters::names::ServerId;
use tollbridge_filters::seal::{Binding, Sealer};
use tollbridge_filters::session::SessionKey;

const BOUND_TO: Binding<'static> = Binding { purpose: "handover", principal: "", scope: "" };

#[derive(Serialize, Deserialize)]
struct Handover {
    /// Seconds since 1970.
    written: u64,
    sessions: Vec<Kept>,
    /// Ended sessions, with how many seconds ago.
    ended: Vec<(SessionKey, u64)>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
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
        let plain = serde_json::to_vec(&self.handover())?;
        let sealed = sealer.seal(&BOUND_TO, &random(|nonce| nonce), &plain);
        let sealed = sealed.ok_or_else(|| io::Error::other("it could not be sealed"))?;
        let unfinished = file.with_extension("sessions-unfinished");
        let mut out = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
        out.write_all(sealed.as_bytes())?;
        fs::rename(unfinished, file)
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
            sessions.extend(own.map(|(key, upstreams)| upstreams.kept(*key)));
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
            let key = kept.key;
            self.shard(key).live.insert(key, Arc::new(Upstreams::restored(kept)));
        }
        count
    }
}

impl Upstreams {
    fn kept(&self, key: SessionKey) -> Kept {
        let opened = self
            .servers()
            .into_iter()
            .filter_map(|(server, place)| Some((server.to_string(), KeptOpened::of(&place.opened()?))));
        let opened = opened.collect();
        let subscribed = lock(&self.subscribed).iter().map(|(uri, at)| (uri.clone(), at.to_string())).collect();
        Kept { key, level: self.level(), subscribed, opened }
    }

    fn restored(kept: Kept) -> Upstreams {
        let upstreams = Upstreams::new(None);
        let server = |text: &str| ServerId::derive(text).ok();
        let opened: HashMap<_, _> = kept
            .opened
            .into_iter()
            .filter_map(|(at, opened)| Some((server(&at)?, Arc::new(Place::holding(opened.restored())))))
            .collect();
        *lock(&upstreams.servers) = opened;
        *lock(&upstreams.level) = kept.level;
        let subscribed = kept.subscribed.into_iter().filter_map(|(uri, at)| Some((uri, server(&at)?)));
        *lock(&upstreams.subscribed) = subscribed.collect();
        upstreams
    }
}
