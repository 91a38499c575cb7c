//! Keeping up with other replicas: what they say of sessions, what was missed, and what a replica that is gone
//! has left.

use super::shared::News;
use super::{Sessions, Share, Shared, Upstreams, lock};
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tollbridge_filters::names::ServerId;
use tollbridge_filters::session::SessionKey;

/// How often replicas say at most which sessions are used at them.
const TOUCH_MAX: Duration = Duration::from_secs(10);

/// Sessions that are compared with what is kept at the same time.
const COMPARED_AT_ONCE: usize = 64;

/// Sessions of replicas that are gone, closed at a time.
const ORPHANS_MAX: usize = 100;

impl Sessions {
    pub fn shared(&self) -> Option<&Arc<Shared>> {
        self.shared.as_ref()
    }

    pub fn idle_max(&self) -> Duration {
        self.idle_max
    }

    /// How often it is said which sessions are used here: often enough that nobody takes them for idle.
    pub fn touch_every(&self) -> Duration {
        (self.idle_max / 4).min(TOUCH_MAX)
    }

    pub(super) async fn hear(&self, key: SessionKey, news: &News<'_>) {
        if *news == News::Ended {
            return self.end_here(key);
        }
        let Some(upstreams) = self.known(key) else { return };
        match news {
            News::Changed => self.bring_up(key, &upstreams).await,
            News::Heeded(server) => {
                if let Ok(server) = ServerId::derive(server) {
                    upstreams.is_heeded_elsewhere(&server);
                }
            }
            News::Seat => upstreams.leave_seat(),
            News::Ended => {}
        }
    }

    /// Something may have been missed: every session that is known here is compared with what is kept.
    pub(super) async fn refresh(&self) {
        let compared =
            stream::iter(self.all_shared()).for_each_concurrent(COMPARED_AT_ONCE, async |(key, upstreams)| {
                // What a store without a memory has lost is given back to it.
                if upstreams.save().await.is_ok() {
                    self.bring_up(key, &upstreams).await;
                }
            });
        compared.await;
    }

    async fn bring_up(&self, key: SessionKey, upstreams: &Upstreams) {
        match upstreams.refresh().await {
            Err(tollbridge_filters::rejection::Rejection::SessionNotFound) => self.end_here(key),
            Err(why) => tracing::debug!(%why, "what others say of a session could not be read"),
            Ok(()) => {}
        }
    }

    /// Says that this process lives, and which sessions were used at it since.
    pub async fn beat(&self, since: Option<Instant>) {
        let Some(shared) = &self.shared else { return };
        let used = since.map(|since| self.used_since(since)).unwrap_or_default();
        if let Err(why) = shared.beat(&used).await {
            tracing::debug!(%why, "which sessions are used here could not be said");
            return;
        }
        if !shared.is_behind.swap(false, Ordering::Relaxed) {
            return;
        }
        for (_, upstreams) in self.all_shared() {
            if upstreams.is_unsaved.load(Ordering::Relaxed) && upstreams.save().await.is_err() {
                return;
            }
        }
    }

    /// Sessions whose replica is gone, and that nobody uses any more.
    pub async fn orphans(&self) -> Vec<Arc<Upstreams>> {
        let Some(shared) = &self.shared else { return Vec::new() };
        // Whoever knows them has had the time to let go of them.
        let idle = self.idle_max + 2 * self.touch_every();
        let keys = shared.idle(idle, ORPHANS_MAX).await.unwrap_or_default();
        let share = |key| Share { shared: Arc::clone(shared), key };
        let orphans = keys.into_iter().filter(|key| self.known(*key).is_none());
        orphans.map(|key| Arc::new(Upstreams::new(Some(share(key))))).collect()
    }

    fn all_shared(&self) -> Vec<(SessionKey, Arc<Upstreams>)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = lock(shard);
            let shared = shard.live.iter().filter(|(_, upstreams)| upstreams.share.is_some());
            all.extend(shared.map(|(key, upstreams)| (*key, Arc::clone(upstreams))));
        }
        all
    }

    fn used_since(&self, since: Instant) -> Vec<SessionKey> {
        let is_used = |upstreams: &Upstreams| upstreams.has_streams() || *lock(&upstreams.used) >= since;
        self.all_shared().into_iter().filter(|(_, upstreams)| is_used(upstreams)).map(|(key, _)| key).collect()
    }
}
