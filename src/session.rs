//! Legacy sessions: what the servers behind a client's session answered to `initialize`. The session
//! itself is sealed into the client's id; this is only its upstream half, and who has ended.

mod handover;
mod kept;
mod opened;
mod overlap;
mod place;
mod redis;
mod seat;
mod share;
mod shared;
mod upkeep;

pub use opened::{Introduction, NotOpened, Opened, Wishes, end_upstream, goodbye};
pub use place::Place;
pub use seat::{Asking, Kept, News, Seat};
pub use share::Whose;
pub use shared::{BEAT_EVERY, CHANNEL, Shared, follow};

use crate::answer::random;
use overlap::Overlap;
use share::Share;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::session::{Session, SessionKey};

const SHARDS: usize = 16;

/// How long after its client has left a request can still be cancelled.
const ABANDONED_MAX: Duration = Duration::from_secs(60);

/// Everything that is remembered of sessions, in this process's memory.
pub struct Sessions {
    shards: [Mutex<Shard>; SHARDS],
    idle_max: Duration,
    max_age: Duration,
    count_max: usize,
    /// What replicas share of them.
    shared: Option<Arc<Shared>>,
    /// What is told to a process that takes over, or is taken over from.
    overlap: Arc<Overlap>,
}

#[derive(Default)]
struct Shard {
    live: HashMap<SessionKey, Arc<Upstreams>>,
    /// Pushed out by newer ones; closed upstream by the next sweep.
    displaced: Vec<Arc<Upstreams>>,
    /// Ended by their clients; remembered until their ids expire by themselves.
    ended: HashMap<SessionKey, Instant>,
}

/// The upstream half of one session.
pub struct Upstreams {
    key: SessionKey,
    used: Mutex<Instant>,
    servers: Mutex<HashMap<ServerId, Arc<Place>>>,
    /// Requests under way, by their ids as they were sent: what `notifications/cancelled` refers to.
    under_way: Mutex<HashMap<String, Held>>,
    /// What `logging/setLevel` asked for last.
    level: Mutex<Option<String>>,
    /// The resources whose changes the client wants to hear of, with the servers that have them.
    subscribed: Mutex<HashMap<String, ServerId>>,
    /// Those that it does not want any more, where others do not know that yet.
    unsubscribed: Mutex<BTreeSet<String>>,
    news: watch::Sender<News>,
    /// The servers whose streams are read, or were found not to be there.
    heeded: Mutex<BTreeSet<ServerId>>,
    /// When the client's stream last ended because a server's could not be resumed.
    broken: Mutex<HashMap<ServerId, Instant>>,
    /// Streams that are open.
    streams: AtomicUsize,
    /// `None`: it is this process's alone.
    share: Option<Share>,
    overlap: Arc<Overlap>,
    /// Whether something of it is not kept that should be.
    is_unsaved: AtomicBool,
}

/// So many subscriptions of a session are made again where a server has lost them.
const SUBSCRIPTIONS_MAX: usize = 1_000;

impl Sessions {
    pub fn new(conf: &crate::conf::Session, shared: Option<Arc<Shared>>) -> Sessions {
        Sessions {
            shards: Default::default(),
            idle_max: conf.idle,
            max_age: conf.max_age,
            count_max: conf.count / SHARDS + 1,
            shared,
            overlap: Arc::default(),
        }
    }

    pub fn is_ended(&self, key: SessionKey) -> bool {
        self.shard(key).ended.contains_key(&key)
    }

    /// The key of a session that begins here.
    pub fn new_key(&self) -> SessionKey {
        let key = random(SessionKey::from_be_bytes);
        self.shared.as_ref().map_or(key, |shared| shared.mark(key))
    }

    /// A session that is not known here may be to other replicas: what is kept of it is asked for, once. Or another
    /// process serves it as well, because it takes over or is taken over from.
    pub async fn admit(&self, session: &Session) -> Result<(), Rejection> {
        let Some(shared) = self.shared.as_ref().filter(|_| !session.is_rest()) else {
            return self.catch_up(session.key);
        };
        if self.known(session.key).is_some() {
            return Ok(());
        }
        match shared.load(session.key).await {
            Ok(Some(half)) => self.upstreams(session).take_in(half),
            Ok(None) => {
                self.end_here(session.key);
                return Err(Rejection::SessionNotFound);
            }
            Err(_) if shared.is_own_alone(session) => drop(self.upstreams(session)),
            Err(why) => return Err(shared::unavailable(&why)),
        }
        Ok(())
    }

    /// The upstream half of a session; begun when it is first asked for.
    pub fn upstreams(&self, session: &Session) -> Arc<Upstreams> {
        self.begun(session.key, self.shared.as_ref().filter(|_| !session.is_rest()))
    }

    fn begun(&self, key: SessionKey, shared: Option<&Arc<Shared>>) -> Arc<Upstreams> {
        let mut shard = self.shard(key);
        if let Some(upstreams) = shard.live.get(&key) {
            *lock(&upstreams.used) = Instant::now();
            return Arc::clone(upstreams);
        }
        if shard.live.len() >= self.count_max {
            shard.displace_idlest();
        }
        let share = shared.map(|shared| Share { shared: Arc::clone(shared), key });
        let upstreams = Arc::new(Upstreams::new(key, share, &self.overlap));
        shard.live.insert(key, Arc::clone(&upstreams));
        upstreams
    }

    /// The upstream half, if there is one.
    pub fn known(&self, key: SessionKey) -> Option<Arc<Upstreams>> {
        self.shard(key).live.get(&key).map(Arc::clone)
    }

    /// Ends a session, at every replica; what it had opened upstream is for the caller to close.
    pub async fn end(&self, session: &Session) -> Result<Arc<Upstreams>, Rejection> {
        let upstreams = self.upstreams(session);
        if let Some(Share { shared, key }) = &upstreams.share {
            upstreams.take_in(shared.end(*key).await.map_err(|why| shared::unavailable(&why))?);
        }
        self.end_here(session.key);
        if upstreams.share.is_none() {
            self.overlap.tell_ended(session.key);
        }
        Ok(upstreams)
    }

    /// Its client has ended it, here or elsewhere.
    fn end_here(&self, key: SessionKey) {
        let mut shard = self.shard(key);
        let known = shard.live.remove(&key);
        // What is shared has its own memory of those that were never known here.
        if known.is_some() || self.shared.is_none() {
            shard.ended.insert(key, Instant::now());
        }
        if let Some(upstreams) = known {
            upstreams.end();
        }
    }

    /// Lets go of what nobody has used for long. The sessions stay good: what they need upstream is
    /// opened again when they come back.
    pub fn sweep(&self) -> Vec<Arc<Upstreams>> {
        self.end_overlap();
        let mut idle = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.ended.retain(|_, since| since.elapsed() < self.max_age);
            let idle_max = self.idle_max;
            idle.append(&mut shard.displaced);
            idle.extend(shard.live.extract_if(|_, upstreams| upstreams.is_idle_for(idle_max)).map(|(_, idle)| idle));
        }
        idle
    }

    pub fn count(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).live.len()).sum()
    }

    fn shard(&self, key: SessionKey) -> MutexGuard<'_, Shard> {
        let at = usize::try_from(key % SHARDS as u128).unwrap_or_default();
        let [first, ..] = &self.shards;
        lock(self.shards.get(at).unwrap_or(first))
    }
}

impl Shard {
    fn displace_idlest(&mut self) {
        let quiet = self.live.iter().filter(|(_, upstreams)| !upstreams.has_streams());
        let idlest = quiet.min_by_key(|(_, upstreams)| *lock(&upstreams.used)).map(|(key, _)| *key);
        self.displaced.extend(idlest.and_then(|key| self.live.remove(&key)));
    }
}

impl Upstreams {
    fn new(key: SessionKey, share: Option<Share>, overlap: &Arc<Overlap>) -> Upstreams {
        Upstreams {
            key,
            used: Mutex::new(Instant::now()),
            servers: Mutex::default(),
            under_way: Mutex::default(),
            level: Mutex::default(),
            subscribed: Mutex::default(),
            unsubscribed: Mutex::default(),
            news: watch::Sender::default(),
            heeded: Mutex::default(),
            broken: Mutex::default(),
            streams: AtomicUsize::new(0),
            share,
            overlap: Arc::clone(overlap),
            is_unsaved: AtomicBool::new(false),
        }
    }

    fn is_idle_for(&self, span: Duration) -> bool {
        !self.has_streams() && lock(&self.used).elapsed() > span
    }

    /// The place of this session's session with a server; whoever finds it empty in its turn opens it.
    pub fn at(&self, server: &ServerId) -> Arc<Place> {
        Arc::clone(lock(&self.servers).entry(server.clone()).or_default())
    }

    /// The session's session with a server, if it is open.
    pub fn opened(&self, server: &ServerId) -> Option<Opened> {
        let place = lock(&self.servers).get(server).map(Arc::clone)?;
        place.opened()
    }

    /// Forgets a session with a server, unless another one has taken its place.
    pub fn forget(&self, server: &ServerId, lost: &Opened) {
        let place = lock(&self.servers).get(server).map(Arc::clone);
        if let Some(place) = place {
            place.forget(lost);
        }
    }

    /// Every server with which a session may be open.
    pub fn servers(&self) -> Vec<(ServerId, Arc<Place>)> {
        lock(&self.servers).iter().map(|(id, place)| (id.clone(), Arc::clone(place))).collect()
    }

    pub fn begin(self: &Arc<Self>, id: &str, server: &ServerId) -> UnderWay {
        let mut under_way = lock(&self.under_way);
        under_way.retain(|_, held| held.abandoned.is_none_or(|since| since.elapsed() < ABANDONED_MAX));
        under_way.insert(id.to_owned(), Held { server: server.clone(), abandoned: None });
        UnderWay { upstreams: Arc::clone(self), id: id.to_owned(), abandoned: false }
    }

    /// Whether a request is under way that was sent from here.
    pub fn holds(&self, id: &str) -> bool {
        lock(&self.under_way).contains_key(id)
    }

    /// Whether a server may be at work on a request: it is known to be, or another replica may have sent it.
    pub fn may_hold(&self, id: &str, server: &ServerId) -> bool {
        match lock(&self.under_way).get(id) {
            Some(held) => held.server == *server,
            None => self.share.is_some(),
        }
    }

    pub fn set_level(&self, level: &str) {
        *lock(&self.level) = Some(level.to_owned());
        self.tell();
    }

    pub fn level(&self) -> Option<String> {
        lock(&self.level).clone()
    }

    fn may_subscribe(&self, uri: &str) -> bool {
        let subscribed = lock(&self.subscribed);
        subscribed.len() < SUBSCRIPTIONS_MAX || subscribed.contains_key(uri)
    }

    /// A server has taken a subscription.
    pub fn subscribe(&self, uri: &str, server: &ServerId) {
        if self.may_subscribe(uri) {
            lock(&self.unsubscribed).remove(uri);
            lock(&self.subscribed).insert(uri.to_owned(), server.clone());
            self.tell();
        }
    }

    pub fn unsubscribe(&self, uri: &str) {
        lock(&self.subscribed).remove(uri);
        self.tell();
    }

    /// Who was asked to tell of a resource.
    pub fn subscribed_at(&self, uri: &str) -> Option<ServerId> {
        lock(&self.subscribed).get(uri).cloned()
    }

    /// What a server was asked to tell of.
    pub fn subscriptions(&self, server: &ServerId) -> Vec<String> {
        lock(&self.subscribed).iter().filter(|(_, at)| *at == server).map(|(uri, _)| uri.clone()).collect()
    }
}

/// The server that works on a request.
struct Held {
    server: ServerId,
    /// Since when its client no longer waits for the answer.
    abandoned: Option<Instant>,
}

/// A request under way; forgotten when this is dropped, unless its client has gone: leaving is no
/// cancellation in the legacy era, but one may follow on another connection.
pub struct UnderWay {
    upstreams: Arc<Upstreams>,
    id: String,
    abandoned: bool,
}

impl UnderWay {
    pub fn abandon(mut self) {
        self.abandoned = true;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut under_way = lock(&self.upstreams.under_way);
        if !self.abandoned {
            under_way.remove(&self.id);
        } else if let Some(held) = under_way.get_mut(&self.id) {
            held.abandoned = Some(Instant::now());
        }
    }
}

/// Nothing here panics while it holds a lock, and if something did, the maps would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
