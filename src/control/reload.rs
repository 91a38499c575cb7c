//! Reloading the configuration: all of it, or nothing of it.

use crate::conf::{self, Conf};
use crate::gateway::Gateway;
use std::path::PathBuf;
use std::time::SystemTime;

/// The file that is watched.
pub(super) struct Reload {
    file: PathBuf,
    /// As it was when it was last read.
    read: Option<Stamp>,
    /// As it was a moment ago: a file that is still being written is not read.
    seen: Option<Stamp>,
    forced: bool,
}

type Stamp = (SystemTime, u64);

impl Reload {
    pub(super) fn new(file: PathBuf) -> Reload {
        let mut reload = Reload { file, read: None, seen: None, forced: false };
        reload.read = reload.stamp();
        reload.seen = reload.read;
        reload
    }

    /// SIGHUP: read it whatever its date says.
    pub(super) fn force(&mut self) {
        self.forced = true;
    }

    /// The next configuration, if the file has changed and is right.
    pub(super) fn next(&mut self, gateway: &Gateway) -> Option<Conf> {
        let stamp = self.stamp();
        let settled = std::mem::replace(&mut self.seen, stamp) == stamp;
        let changed = stamp.is_some() && stamp != self.read && settled;
        if !std::mem::take(&mut self.forced) && !changed {
            return None;
        }
        self.read = stamp;
        let verdict = self.check(gateway);
        let result = if verdict.is_ok() { "ok" } else { "failed" };
        gateway.metrics.reloads.with_label_values(&[result]).inc();
        match verdict {
            Ok(conf) => {
                tracing::info!(file = %self.file.display(), "the configuration was reloaded");
                Some(conf)
            }
            Err(reason) => {
                tracing::error!(file = %self.file.display(), "the configuration was not reloaded, the old one stays:\n{reason}");
                None
            }
        }
    }

    fn check(&self, gateway: &Gateway) -> Result<Conf, String> {
        let next = conf::load(&self.file).map_err(|problems| problems.to_string())?;
        let live = gateway.live();
        let fixed = needs_restart(&live.conf, &next);
        if fixed.is_empty() { Ok(next) } else { Err(format!("a change of {} needs a restart", fixed.join(", "))) }
    }

    fn stamp(&self) -> Option<Stamp> {
        let metadata = std::fs::metadata(&self.file).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }
}

/// What sockets, threads and seals hang on.
fn needs_restart(old: &Conf, new: &Conf) -> Vec<&'static str> {
    let changes = [
        ("listen", old.listen.addr != new.listen.addr || old.listen.tls != new.listen.tls),
        ("admin", old.admin != new.admin),
        ("threads", old.threads != new.threads),
        ("seal", old.seal != new.seal),
        ("session", old.session != new.session),
        ("drain", old.drain != new.drain),
        ("upstream_ca", old.upstream_ca != new.upstream_ca),
        ("queue", old.queue != new.queue),
        ("registry", old.registry != new.registry),
        ("access_log", old.access_log != new.access_log),
        ("limits.buffered_bytes_total", old.limits.buffered_bytes_total != new.limits.buffered_bytes_total),
        ("limits.head_timeout", old.limits.head_timeout != new.limits.head_timeout),
    ];
    changes.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
}
