//! What replicas share of sessions. A session that is known here waits for nobody; one that is not is asked for
//! once. What happens to a session at one replica the others hear of.

use super::kept::{Half, KeptOpened};
use super::redis::{Claim, Fields, Keyspace, hex, unhex};
use super::{Opened, Sessions, lock};
use crate::answer::random;
use crate::redis::{Heard, Unanswered, Wire};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::seal::{Binding, Sealer};
use tollbridge_filters::session::{Session, SessionKey};

pub use super::redis::{BEAT_EVERY, CHANNEL};

/// Fields of what is kept of a session.
const OPENED: &str = "o:";
const SUBSCRIBED: &str = "u:";
const LEVEL: &str = "level";

/// Sessions that are said to be used with one message.
const TOUCHED_TOGETHER: usize = 500;

pub struct Shared {
    keyspace: Keyspace,
    sealer: Sealer,
    /// This process, as others call it.
    replica: String,
    /// What the keys of sessions that begin here begin with.
    mark: u32,
    /// Whether there is something that should be kept and is not.
    pub(super) is_behind: AtomicBool,
    /// What the store remembers itself by.
    memory: Mutex<Option<String>>,
    /// Sessions with servers that gave way to others', and are to be ended.
    pub(super) replaced: Mutex<Vec<(ServerId, Opened)>>,
}

/// The bits of a key behind its mark.
const KEY_BITS: u32 = SessionKey::BITS - u32::BITS;

/// What is said of a session.
#[derive(Debug, PartialEq, Eq)]
pub enum News<'n> {
    /// Something is kept of it that was not, or was something else.
    Changed,
    Ended,
    /// The stream of a server is read.
    Heeded(&'n str),
    /// Its client's stream is at another replica now.
    Seat,
}

/// A session with a server, after others were asked.
pub enum Settled {
    /// It counts. Whether another replica reads the client's stream.
    Kept { is_read_elsewhere: bool },
    /// Another replica's does.
    Replaced(Opened),
    /// The client's session is no more.
    Ended,
}

impl Shared {
    pub fn new(wire: Arc<Wire>, sealer: Sealer, lasts: Duration) -> Shared {
        let replica = random(|bytes: [u8; 8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect());
        let (mark, is_behind) = (random(u32::from_be_bytes), AtomicBool::new(false));
        let (memory, replaced) = (Mutex::default(), Mutex::default());
        Shared { keyspace: Keyspace::new(wire, lasts), sealer, replica, mark, is_behind, memory, replaced }
    }

    /// A key that says that its session began here.
    pub fn mark(&self, key: SessionKey) -> SessionKey {
        key & (SessionKey::MAX >> u32::BITS) | SessionKey::from(self.mark) << KEY_BITS
    }

    /// Whether a session has begun here, while nobody could be told of it: then nobody else has it.
    pub fn is_own_alone(&self, session: &Session) -> bool {
        let is_own = session.key >> KEY_BITS == SessionKey::from(self.mark);
        is_own && self.wire().down_since().is_some_and(|since| session.issued >= since)
    }

    pub fn wire(&self) -> &Arc<Wire> {
        self.keyspace.wire()
    }

    /// What is kept of a session; `None`: it has ended.
    pub async fn load(&self, key: SessionKey) -> Result<Option<Half>, Unanswered> {
        Ok(self.keyspace.load(key).await?.map(|fields| self.half(key, fields)))
    }

    /// A session was opened with a server, in the place of one that was lost, if there was one.
    pub async fn claim(
        &self,
        key: SessionKey,
        server: &ServerId,
        opened: &Opened,
        lost: Option<u32>,
    ) -> Result<Settled, Unanswered> {
        let field = format!("{OPENED}{server}");
        let sealed = self.sealed(key, &field, &KeptOpened::of(opened))?;
        let spelled = |mark: u32| format!("{mark:08x}");
        let (mark, lost) = (spelled(opened.mark), lost.map(spelled).unwrap_or_default());
        let news = self.news(key, "changed", "");
        Ok(match self.keyspace.claim(key, (&field, &mark, &sealed), &lost, &news).await? {
            Claim::Ended => Settled::Ended,
            Claim::Taken(there) => match self.opened(key, &field, &there) {
                Some(opened) => Settled::Replaced(opened),
                None => Settled::Kept { is_read_elsewhere: false },
            },
            Claim::Kept { seat } => Settled::Kept { is_read_elsewhere: self.is_read_elsewhere(seat.as_deref()).await },
        })
    }

    async fn is_read_elsewhere(&self, seat: Option<&str>) -> bool {
        let other = seat.filter(|seat| !self.is_own(seat));
        match other {
            Some(other) => self.keyspace.lives(replica_of(other)).await.unwrap_or(false),
            None => false,
        }
    }

    pub async fn set_level(&self, key: SessionKey, level: &str) -> Result<(), Unanswered> {
        self.keyspace.note(key, LEVEL, level, &self.news(key, "changed", "")).await
    }

    /// `None`: it is no more subscribed to.
    pub async fn subscribe(&self, key: SessionKey, uri: &str, server: Option<&ServerId>) -> Result<(), Unanswered> {
        // Clients choose URIs as they like; their names here are short, and say nothing.
        let digest = Sha256::digest(uri);
        let field: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let field = format!("{SUBSCRIBED}{field}");
        let value = match server {
            Some(server) => self.sealed(key, &field, &(uri, server.as_str()))?,
            None => String::new(),
        };
        self.keyspace.note(key, &field, &value, &self.news(key, "changed", "")).await
    }

    pub async fn heeded(&self, key: SessionKey, server: &ServerId) -> Result<(), Unanswered> {
        self.keyspace.publish(&self.news(key, "heeded", server.as_str())).await
    }

    /// Ends a session everywhere; gives what is to be closed.
    pub async fn end(&self, key: SessionKey) -> Result<Half, Unanswered> {
        let fields = self.keyspace.end(key, &self.news(key, "ended", "")).await?;
        Ok(self.half(key, fields))
    }

    /// Takes the seat of the client's stream. `false`: another replica has it, and lives.
    pub async fn sit(&self, key: SessionKey, number: usize, resumes: bool) -> Result<bool, Unanswered> {
        let sitter = self.keyspace.sitter(key).await?;
        let other = sitter.as_deref().filter(|sitter| !self.is_own(sitter));
        if let (Some(other), false) = (other, resumes)
            && self.keyspace.lives(replica_of(other)).await?
        {
            return Ok(false);
        }
        let owner = self.owner(number);
        self.keyspace.sit(key, sitter.as_deref(), &owner, &self.news(key, "seat", "")).await
    }

    pub async fn stand_up(&self, key: SessionKey, number: usize) -> Result<(), Unanswered> {
        self.keyspace.stand_up(key, &self.owner(number)).await
    }

    /// Takes the seat that this replica has, where the store has lost that.
    pub async fn sit_again(&self, key: SessionKey, number: usize) -> Result<(), Unanswered> {
        self.keyspace.sit(key, None, &self.owner(number), &self.news(key, "kept", "")).await.map(drop)
    }

    /// Whether the store remembers what it was told.
    pub async fn remembers(&self) -> Result<bool, Unanswered> {
        let spare: [u8; 8] = random(|bytes| bytes);
        let found = self.keyspace.memory(&format!("{:016x}", u64::from_be_bytes(spare))).await?;
        let before = lock(&self.memory).replace(found.clone());
        Ok(before.is_none_or(|before| before == found))
    }

    /// Says that this replica lives, and which sessions were used at it.
    pub async fn beat(&self, used: &[SessionKey]) -> Result<(), Unanswered> {
        self.keyspace.beat(&self.replica).await?;
        for some in used.chunks(TOUCHED_TOGETHER) {
            self.keyspace.touch(some).await?;
        }
        Ok(())
    }

    /// What is to be closed of a session that nobody uses; `None`: somebody does, or has let go of it already.
    pub async fn let_go(&self, key: SessionKey, idle: Duration) -> Result<Option<Half>, Unanswered> {
        if !self.keyspace.let_go(key, idle).await? {
            return Ok(None);
        }
        let half = self.load(key).await?;
        self.keyspace.drop(key).await?;
        Ok(half)
    }

    pub async fn idle(&self, idle: Duration, most: usize) -> Result<Vec<SessionKey>, Unanswered> {
        self.keyspace.idle(idle, most).await
    }

    fn is_own(&self, seat: &str) -> bool {
        seat.split_once(':').is_some_and(|(replica, _)| replica == self.replica)
    }

    fn owner(&self, number: usize) -> String {
        format!("{}:{number}", self.replica)
    }

    fn news(&self, key: SessionKey, what: &str, more: &str) -> String {
        format!("{what} {} {} {more}", hex(key), self.replica)
    }

    /// What another replica has said; what this one has said itself is no news.
    pub fn read<'n>(&self, text: &'n str) -> Option<(SessionKey, News<'n>)> {
        let mut parts = text.splitn(4, ' ');
        let (what, key, replica) = (parts.next()?, unhex(parts.next()?)?, parts.next()?);
        if replica == self.replica {
            return None;
        }
        let news = match what {
            "changed" => News::Changed,
            "ended" => News::Ended,
            "heeded" => News::Heeded(parts.next()?),
            "seat" => News::Seat,
            _ => return None,
        };
        Some((key, news))
    }

    fn half(&self, key: SessionKey, fields: Fields) -> Half {
        let mut half = Half::default();
        for (field, value) in fields {
            if let Some(server) = field.strip_prefix(OPENED) {
                let opened = self.opened(key, &field, &value);
                half.opened.extend(ServerId::derive(server).ok().zip(opened));
            } else if field.starts_with(SUBSCRIBED) {
                let kept: Option<(String, String)> = self.read_sealed(key, &field, &value);
                half.subscribed.extend(kept.and_then(|(uri, server)| Some((uri, ServerId::derive(&server).ok()?))));
            } else if field == LEVEL {
                half.level = Some(value);
            }
        }
        half
    }

    /// What cannot be read is as good as not there: it is opened anew.
    fn opened(&self, key: SessionKey, field: &str, value: &str) -> Option<Opened> {
        let (_, sealed) = value.split_once(':')?;
        self.read_sealed::<KeptOpened>(key, field, sealed).map(KeptOpened::restored)
    }

    fn sealed(&self, key: SessionKey, field: &str, what: &impl Serialize) -> Result<String, Unanswered> {
        // These are plain values with text in them; writing them cannot fail.
        let text = serde_json::to_vec(what).unwrap_or_default();
        let sealed = self.sealer.seal(&bound_to(&scope(key, field)), &random(|nonce| nonce), &text);
        sealed.ok_or(Unanswered::Refused)
    }

    fn read_sealed<T: DeserializeOwned>(&self, key: SessionKey, field: &str, sealed: &str) -> Option<T> {
        let text = self.sealer.open(&bound_to(&scope(key, field)), sealed)?;
        serde_json::from_slice(&text).ok()
    }
}

/// The replica whose seat it is.
fn replica_of(seat: &str) -> &str {
    seat.split_once(':').map_or(seat, |(replica, _)| replica)
}

/// What is kept of one session is good for no other.
fn scope(key: SessionKey, field: &str) -> String {
    format!("{} {field}", hex(key))
}

fn bound_to(scope: &str) -> Binding<'_> {
    Binding { purpose: "kept-session", principal: "", scope }
}

/// What the store cannot say now.
pub fn unavailable(why: &Unanswered) -> Rejection {
    Rejection::Store(format!("this session is not known here, and {why}; ask again"))
}

/// Follows what others say of sessions that are known here. Where something may have been missed, they are
/// compared with what is kept, beside that.
pub async fn follow(sessions: Arc<Sessions>) {
    let Some(shared) = sessions.shared().map(Arc::clone) else { return };
    let mut heard = shared.wire().hear();
    let comparing = Arc::new(tokio::sync::Semaphore::new(1));
    loop {
        match heard.recv().await {
            Ok(Heard::Message { channel, text }) if *channel == *CHANNEL => {
                if let Some((key, news)) = shared.read(&text) {
                    sessions.hear(key, &news).await;
                }
            }
            Ok(Heard::Message { .. }) => {}
            Ok(Heard::Begun) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {
                // One comparison begins after what was missed; a second need not wait behind it.
                if let Ok(turn) = Arc::clone(&comparing).try_acquire_owned() {
                    let sessions = Arc::clone(&sessions);
                    tokio::spawn(async move {
                        sessions.compare().await;
                        drop(turn);
                    });
                }
            }
            Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
        }
    }
}
