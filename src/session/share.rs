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
pub enum Whose {
    Ours {
        is_read_elsewhere: bool,
    },
    /// Another replica had opened one at the same time.
    Theirs(Opened),
}

/// How much is to be kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Much {
    Everything,
    /// What is not kept yet.
    TheRest,
}

impl Upstreams {
    /// Brings what is known here to what is kept.
    pub async fn refresh(&self) -> Result<(), Rejection> {
        let Some(Share { shared, key }) = &self.share else { return Ok(()) };
        let half = shared.load(*key).await.map_err(|why| unavailable(&why))?;
        self.take_in(half.ok_or(Rejection::SessionNotFound)?);
        Ok(())
    }

    /// The session's session with a server, after others were asked where it is not known here, or is not the
    /// one that somebody speaks of.
    pub async fn opened_anywhere(&self, server: &ServerId, is_meant: impl Fn(&Opened) -> bool) -> Option<Opened> {
        let known = self.opened(server).filter(&is_meant);
        if known.is_some() || self.share.is_none() || self.refresh().await.is_err() {
            return known;
        }
        self.opened(server).filter(is_meant)
    }

    /// A session was opened with a server, and counts if no other replica was faster. While the store is away
    /// it does, and is kept later.
    pub async fn settle(&self, server: &ServerId, opened: &Opened) -> Result<Whose, Rejection> {
        let Some(Share { shared, key }) = &self.share else {
            return Ok(Whose::Ours { is_read_elsewhere: false });
        };
        match shared.claim(*key, server, opened, self.at(server).lost()).await {
            Ok(Settled::Kept { is_read_elsewhere }) => Ok(Whose::Ours { is_read_elsewhere }),
            Ok(Settled::Replaced(theirs)) => Ok(Whose::Theirs(theirs)),
            Ok(Settled::Ended) => Err(Rejection::SessionNotFound),
            Err(why) => {
                tracing::debug!(%server, %why, "a session with a server is not kept yet");
                self.is_unsaved.store(true, Ordering::Relaxed);
                shared.is_behind.store(true, Ordering::Relaxed);
                Ok(Whose::Ours { is_read_elsewhere: false })
            }
        }
    }

    /// What another replica, or the store, knows of the session. A session that was found lost here is not
    /// taken back.
    pub(super) fn take_in(&self, half: Half) {
        let mut is_new = false;
        for (server, opened) in half.opened {
            let place = self.at(&server);
            let known = place.opened();
            let is_same = known.as_ref().is_some_and(|known| known.mark == opened.mark && known.addr == opened.addr);
            if is_same || place.lost() == Some(opened.mark) {
                continue;
            }
            is_new = true;
            match known.filter(|_| self.is_unsaved.load(Ordering::Relaxed)) {
                Some(ours) => self.give_way(server, ours, opened),
                None => place.put(opened),
            }
        }
        // What is known here and not kept yet must not be undone by what is kept.
        let mut subscribed = lock(&self.subscribed);
        if !self.is_unsaved.load(Ordering::Relaxed) {
            subscribed.clear();
            *lock(&self.level) = half.level.or(self.level());
        }
        let unsubscribed = lock(&self.unsubscribed);
        subscribed.extend(half.subscribed.into_iter().filter(|(uri, _)| !unsubscribed.contains(uri)));
        drop((subscribed, unsubscribed));
        if is_new {
            self.news.send_modify(|news| news.opened += 1);
        }
    }

    /// Another replica has opened one as well while nobody could be asked. The client must know that what it
    /// built up in ours is gone.
    fn give_way(&self, server: ServerId, ours: Opened, theirs: Opened) {
        self.at(&server).give_way(theirs);
        if let Some(Share { shared, .. }) = &self.share {
            lock(&shared.replaced).push((server, ours));
        }
    }

    /// Keeps what the store does not have: it was away, or has forgotten everything.
    pub(super) async fn save(&self, much: Much) -> Result<(), Unanswered> {
        let Some(share) = &self.share else { return Ok(()) };
        // What is changed from now on is looked at again.
        let is_unsaved = self.is_unsaved.swap(false, Ordering::Relaxed) || much == Much::Everything;
        let saved = self.save_all(share, is_unsaved).await;
        if saved.is_err() {
            self.is_unsaved.store(true, Ordering::Relaxed);
            share.shared.is_behind.store(true, Ordering::Relaxed);
        }
        saved
    }

    async fn save_all(&self, Share { shared, key }: &Share, is_unsaved: bool) -> Result<(), Unanswered> {
        for (server, place) in self.servers() {
            let Some(opened) = place.opened() else { continue };
            if let Settled::Replaced(theirs) = shared.claim(*key, &server, &opened, place.lost()).await? {
                self.give_way(server, opened, theirs);
            }
        }
        if is_unsaved {
            self.save_wishes(shared, *key).await?;
        }
        match self.seat() {
            0 => Ok(()),
            number => shared.sit_again(*key, number).await,
        }
    }

    /// What the client has asked for.
    async fn save_wishes(&self, shared: &Shared, key: SessionKey) -> Result<(), Unanswered> {
        if let Some(level) = self.level() {
            shared.set_level(key, &level).await?;
        }
        let unsubscribed: Vec<String> = lock(&self.unsubscribed).iter().cloned().collect();
        for uri in unsubscribed {
            shared.subscribe(key, &uri, None).await?;
            lock(&self.unsubscribed).remove(&uri);
        }
        let subscribed: Vec<_> = lock(&self.subscribed).clone().into_iter().collect();
        for (uri, server) in subscribed {
            shared.subscribe(key, &uri, Some(&server)).await?;
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
        if server.is_some() && !self.may_subscribe(uri) {
            return;
        }
        let kept = shared.subscribe(*key, uri, server).await;
        if kept.is_err() && server.is_none() && lock(&self.subscribed).contains_key(uri) {
            lock(&self.unsubscribed).insert(uri.to_owned());
        }
        self.note(kept);
    }

    pub async fn keep_level(&self, level: &str) {
        let Some(Share { shared, key }) = &self.share else { return };
        self.note(shared.set_level(*key, level).await);
    }

    /// What could not be kept now is kept later.
    fn note(&self, kept: Result<(), Unanswered>) {
        if let (Err(why), Some(Share { shared, .. })) = (kept, &self.share) {
            tracing::debug!(%why, "what a client has asked for in its session is not kept yet");
            self.is_unsaved.store(true, Ordering::Relaxed);
            shared.is_behind.store(true, Ordering::Relaxed);
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
