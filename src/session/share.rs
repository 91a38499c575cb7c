//! One session's part in what replicas share.

use super::kept::Half;
use super::shared::{Settled, Shared, unavailable};
use super::{Opened, Upstreams, lock};
use crate::redis::Unanswered;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::session::SessionKey;

/// Where a session is kept beside this process's memory.
#[derive(Clone)]
pub struct Share {
    pub(super) shared: Arc<Shared>,
    pub(super) key: SessionKey,
}

/// A session with a server, and whether another replica waits for its stream.
pub enum Standing {
    Ours {
        is_read_elsewhere: bool,
    },
    /// Another replica had opened one at the same time.
    Theirs(Opened),
}

impl Upstreams {
    /// Brings what is known here to what is kept.
    pub async fn refresh(&self) -> Result<(), Rejection> {
        let Some(Share { shared, key }) = &self.share else { return Ok(()) };
        let half = shared.load(*key).await.map_err(|why| unavailable(&why))?;
        self.take_in(half.ok_or(Rejection::SessionNotFound)?);
        Ok(())
    }

    /// A session was opened with a server, and counts if no other replica was faster. While the store is away
    /// it does, and is kept later.
    pub async fn settle(&self, server: &ServerId, opened: &Opened) -> Result<Standing, Rejection> {
        let Some(Share { shared, key }) = &self.share else {
            return Ok(Standing::Ours { is_read_elsewhere: false });
        };
        match shared.claim(*key, server, opened, self.at(server).lost()).await {
            Ok(Settled::Kept { is_read_elsewhere }) => Ok(Standing::Ours { is_read_elsewhere }),
            Ok(Settled::Replaced(theirs)) => Ok(Standing::Theirs(theirs)),
            Ok(Settled::Ended) => Err(Rejection::SessionNotFound),
            Err(why) => {
                tracing::debug!(%server, %why, "a session with a server is not kept yet");
                self.is_unsaved.store(true, Ordering::Relaxed);
                shared.is_behind.store(true, Ordering::Relaxed);
                Ok(Standing::Ours { is_read_elsewhere: false })
            }
        }
    }

    /// What another replica, or the store, knows of the session. A session that was found lost here is not
    /// taken back.
    pub(super) fn take_in(&self, half: Half) {
        let mut is_new = false;
        for (server, opened) in half.opened {
            let place = self.at(&server);
            let is_known = place.opened().is_some_and(|known| known.mark == opened.mark && known.addr == opened.addr);
            if !is_known && place.lost() != Some(opened.mark) {
                place.put(opened);
                is_new = true;
            }
        }
        if half.level.is_some() {
            *lock(&self.level) = half.level;
        }
        *lock(&self.subscribed) = half.subscribed.into_iter().collect();
        if is_new {
            self.news.send_modify(|news| news.opened += 1);
        }
    }

    /// Keeps what the store does not have: it was away, or has lost it.
    pub(super) async fn save(&self) -> Result<(), Unanswered> {
        let Some(Share { shared, key }) = &self.share else { return Ok(()) };
        self.is_unsaved.store(false, Ordering::Relaxed);
        for (server, place) in self.servers() {
            let Some(opened) = place.opened() else { continue };
            match shared.claim(*key, &server, &opened, place.lost()).await {
                Ok(Settled::Replaced(theirs)) => place.put(theirs),
                Ok(Settled::Kept { .. } | Settled::Ended) => {}
                Err(why) => {
                    self.is_unsaved.store(true, Ordering::Relaxed);
                    shared.is_behind.store(true, Ordering::Relaxed);
                    return Err(why);
                }
            }
        }
        Ok(())
    }

    /// Whether nobody uses it any more, at any replica: then everything of it is here, to be closed.
    pub async fn is_nobodys(&self, idle: Duration) -> bool {
        let Some(Share { shared, key }) = &self.share else { return true };
        match shared.let_go(*key, idle).await {
            Ok(Some(half)) => {
                self.take_in(half);
                true
            }
            // Nobody knows: whoever finds it idle later closes it.
            Ok(None) | Err(_) => false,
        }
    }

    pub async fn keep_subscription(&self, uri: &str, server: Option<&ServerId>) {
        let Some(Share { shared, key }) = &self.share else { return };
        self.note(shared.subscribe(*key, uri, server).await);
    }

    pub async fn keep_level(&self, level: &str) {
        let Some(Share { shared, key }) = &self.share else { return };
        self.note(shared.set_level(*key, level).await);
    }

    /// What is not kept is forgotten only where the server loses the session as well.
    fn note(&self, kept: Result<(), Unanswered>) {
        if let Err(why) = kept {
            tracing::debug!(%why, "what a client has asked for in its session is not kept");
        }
    }

    /// Tells replicas that wait for it that a server's stream is read.
    pub(super) fn tell_heeded(&self, server: &ServerId) {
        let (Some(Share { shared, key }), Ok(runtime)) = (self.share.clone(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let server = server.clone();
        // A hint: whoever waits does not wait for long.
        runtime.spawn(async move { shared.heeded(key, &server).await.ok() });
    }
}
