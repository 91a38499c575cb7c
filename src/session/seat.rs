//! The streams of a session that belong to no request: who reads them, and what they must hear of.

use super::Upstreams;
use super::share::Share;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tollbridge_filters::names::ServerId;

/// How often a client's stream ends at most because of the same server.
const ENDED_LAST: Duration = Duration::from_secs(30);

/// How long others wait until a server's stream is read.
const HEEDED_LAST: Duration = Duration::from_secs(1);

/// How often a seat is asked for that changes hands.
const SIT_TRIES: usize = 3;

/// What the open streams of a session must hear of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// How many sessions were opened with servers.
    pub opened: usize,
    /// The client has ended the session.
    pub ended: bool,
    /// Who has the seat; 0: nobody.
    seat: usize,
    seats_given: usize,
    /// Streams that the client has asked for and a server has not begun yet.
    asked: usize,
}

/// The one stream of a session over all its servers; left when it is dropped.
pub struct Seat {
    kept: Kept,
    number: usize,
}

/// Keeps a session from being closed for idleness while a stream is open.
pub struct Kept(Arc<Upstreams>);

/// A stream of the one server of a session, which the server has not begun yet, until this is dropped.
pub struct Asking(Arc<Upstreams>);

impl Upstreams {
    pub fn ask(self: &Arc<Self>) -> Asking {
        self.news.send_modify(|news| news.asked += 1);
        Asking(Arc::clone(self))
    }

    /// Whoever asks for a stream and then calls may count on hearing there what the server says to the call.
    pub async fn has_its_streams(&self) {
        if self.news.borrow().asked > 0 {
            let _ = tokio::time::timeout(HEEDED_LAST, self.news().wait_for(|news| news.asked == 0)).await;
        }
    }

    pub fn keep(self: &Arc<Self>) -> Kept {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Kept(Arc::clone(self))
    }

    /// A second stream would take messages from the first (MCP 2025-11-25, Multiple Connections), so there
    /// is none; but whoever resumes has lost the first one, whether that is known here or not.
    pub async fn sit(self: &Arc<Self>, resumes: bool) -> Option<Seat> {
        let seat = self.take_seat(resumes)?;
        let Some(Share { shared, key }) = &self.share else { return Some(seat) };
        for _ in 0..SIT_TRIES {
            match shared.sit(*key, seat.number, resumes).await {
                // Another replica has taken it at the same moment.
                Ok(false) if resumes => {}
                Ok(false) => return None,
                // Without the store the seat is this replica's to give.
                Ok(true) | Err(_) => return Some(seat),
            }
        }
        None
    }

    /// Who has the seat here; 0: nobody.
    pub(super) fn seat(&self) -> usize {
        self.news.borrow().seat
    }

    /// The client's stream is at another replica now.
    pub(super) fn leave_seat(&self) {
        self.news.send_modify(|news| news.seat = 0);
    }

    fn take_seat(self: &Arc<Self>, resumes: bool) -> Option<Seat> {
        let mut number = None;
        self.news.send_if_modified(|news| {
            if news.seat != 0 && !resumes {
                return false;
            }
            news.seats_given += 1;
            news.seat = news.seats_given;
            number = Some(news.seat);
            true
        });
        Some(Seat { kept: self.keep(), number: number? })
    }

    /// Whether the client's stream may end for want of a server's. One that breaks all the time must not take
    /// the others' news with it.
    pub fn may_end_for(&self, server: &ServerId) -> bool {
        let mut broken = super::lock(&self.broken);
        let may_end = broken.get(server).is_none_or(|at| at.elapsed() > ENDED_LAST);
        if may_end {
            broken.insert(server.clone(), Instant::now());
        }
        may_end
    }

    pub(super) fn has_streams(&self) -> bool {
        self.streams.load(Ordering::Relaxed) > 0
    }

    pub(super) fn end(&self) {
        self.news.send_modify(|news| news.ended = true);
    }

    /// Tells the stream that a session was opened with a server, and waits until that is listened to: what
    /// the server says before that nobody would hear.
    pub async fn has_opened(&self, server: &ServerId, is_read_elsewhere: bool) {
        self.tell();
        let mut has_reader = is_read_elsewhere;
        self.news.send_modify(|news| {
            news.opened += 1;
            has_reader |= news.seat != 0;
        });
        if has_reader {
            self.is_heeded(std::slice::from_ref(server)).await;
        }
    }

    /// A session with a server is about to be opened.
    pub fn opens(&self, server: &ServerId) {
        super::lock(&self.heeded).remove(server);
    }

    /// The stream of a server is being read, or was found not to be there.
    pub fn heed(&self, server: &ServerId) {
        self.is_heeded_elsewhere(server);
        self.tell_heeded(server);
    }

    /// Another replica reads it.
    pub(super) fn is_heeded_elsewhere(&self, server: &ServerId) {
        super::lock(&self.heeded).insert(server.clone());
        self.news.send_modify(|_| {});
    }

    /// Waits until the streams of these servers are read, but not for those that take long.
    pub async fn is_heeded(&self, servers: &[ServerId]) {
        let all = |_: &News| {
            let heeded = super::lock(&self.heeded);
            servers.iter().all(|server| heeded.contains(server))
        };
        let mut news = self.news();
        let _ = tokio::time::timeout(HEEDED_LAST, news.wait_for(all)).await;
    }

    pub fn news(&self) -> watch::Receiver<News> {
        self.news.subscribe()
    }
}

impl Seat {
    /// Whether the stream is still the one of its session.
    pub fn is_taken(&self, news: News) -> bool {
        !news.ended && news.seat == self.number
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let number = self.number;
        self.kept.0.news.send_if_modified(|news| {
            let is_ours = news.seat == number;
            if is_ours {
                news.seat = 0;
            }
            is_ours
        });
        let share = self.kept.0.share.clone();
        if let (Some(Share { shared, key }), Ok(runtime)) = (share, tokio::runtime::Handle::try_current()) {
            // Where that cannot be said, the next one finds that this process is gone, or resumes.
            runtime.spawn(async move { shared.stand_up(key, number).await.ok() });
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.news.send_modify(|news| news.asked -= 1);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        *super::lock(&self.0.used) = Instant::now();
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
