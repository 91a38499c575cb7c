//! Keeping up with other replicas: what they say of sessions, what was missed, and what a replica that is gone
//! has left.

use super::share::Much;
use super::shared::News;
use super::{Opened, Sessions, Share, Shared, Upstreams, lock};
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tollbridge_filters::names::ServerId;
use tollbridge_filters::session::SessionKey;

/// How often replicas say at most which sessions are used at them.
const TOUCH_MAX: Duration = Duration::from_secs(10);

/// Sessions that are compared with what is kept, or kept, at the same time.
const AT_ONCE: usize = 64;

/// Sessions of replicas that are gone, closed at a time.
const ORPHANS_MAX: usize = 100;

impl Sessions {
    pub fn shared(&self) -> Option<&Arc<Shared>> {
        self.shared.as_ref()
    }

    /// Whether it is heard what others say of them.
    pub fn listens(&self) -> bool {
        self.shared.as_ref().is_none_or(|shared| shared.wire().listens())
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
    pub async fn compare(&self) {
        let comparing = stream::iter(self.all_shared());
        comparing.for_each_concurrent(AT_ONCE, async |(key, upstreams)| self.bring_up(key, &upstreams).await).await;
    }

    /// The store has forgotten everything: it is given back what is known here.
    async fn save_all(&self) {
        let saving = stream::iter(self.all_shared());
        saving
            .for_each_concurrent(AT_ONCE, async |(_, upstreams)| {
                // What fails is tried again with the next beat.
                let _ = upstreams.save(Much::Everything).await;
            })
            .await;
    }

    async fn bring_up(&self, key: SessionKey, upstreams: &Upstreams) {
        match upstreams.refresh().await {
            Err(tollbridge_filters::rejection::Rejection::SessionNotFound) => self.end_here(key),
            Err(why) => tracing::debug!(%why, "what others say of a session could not be read"),
            Ok(()) => {}
        }
    }

    /// Says that this process lives, and which sessions were used at it since. `false`: that could not be said,
    /// and nobody may be taken for gone.
    pub async fn beat(&self, since: Option<Instant>) -> bool {
        let Some(shared) = &self.shared else { return true };
        let used = since.map(|since| self.used_since(since)).unwrap_or_default();
        let told = match shared.beat(&used).await {
            Ok(()) => shared.remembers().await,
            Err(why) => Err(why),
        };
        match &told {
            Ok(true) if shared.is_behind.swap(false, Ordering::Relaxed) => self.save_unsaved().await,
            Ok(true) => {}
            Ok(false) => self.save_all().await,
            Err(why) => tracing::debug!(%why, "which sessions are used here could not be said"),
        }
        told.is_ok()
    }

    async fn save_unsaved(&self) {
        for (_, upstreams) in self.all_shared() {
            if upstreams.is_unsaved.load(Ordering::Relaxed) && upstreams.save(Much::TheRest).await.is_err() {
                return;
            }
        }
    }

    /// Sessions with servers that gave way to others', to be ended.
    pub fn replaced(&self) -> Vec<(ServerId, Opened)> {
        self.shared.as_ref().map(|shared| std::mem::take(&mut *lock(&shared.replaced))).unwrap_or_default()
    }

    /// Sessions whose replica is gone, and that nobody uses any more.
    pub async fn orphans(&self) -> Vec<Arc<Upstreams>> {
        let Some(shared) = &self.shared else { return Vec::new() };
        // Whoever knows them has had the time to let go of them.
        let idle = self.idle_max + 2 * self.touch_every();
        let keys = shared.idle(idle, ORPHANS_MAX).await.unwrap_or_default();
        let share = |key| Share { shared: Arc::clone(shared), key };
        let orphans = keys.into_iter().filter(|key| self.known(*key).is_none());
        orphans.map(|key| Arc::new(Upstreams::new(key, Some(share(key)), &self.overlap))).collect()
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
