//! Fan-in: what several servers tell one client comes together in one bounded queue. Each server has a
//! task of its own, so that a slow one delays nobody; a client that does not read makes the servers
//! wait, and is cut when a write to it has blocked for too long (`limits.write_timeout`).

use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, JoinSet};
use tollbridge_filters::marks::Mark;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::route::Listed;
use tollbridge_filters::sse::Event;

/// What a piece takes of the queue beside its bytes.
const PIECE_BYTES: usize = 128;

/// What a server's task reports.
#[derive(Debug)]
pub(super) enum Piece {
    /// With its place in the server's stream, where it has one.
    Event(Event, Option<Mark>),
    /// The server says that a list has changed; it was looked at since.
    Changed(Listed),
    /// The server says what it will tell of (`subscriptions/listen`).
    Acknowledged { uris: Vec<String>, tasks: Vec<String> },
    /// The server has ended its stream as it should.
    Ended,
    /// What the server says from now on is lost.
    Lost(String),
}

/// A piece, the server it came from, and its place in the queue, which is given back when it is dropped.
pub(super) type Told = (ServerId, Piece, Option<OwnedSemaphorePermit>);

pub(super) struct FanIn {
    queue: UnboundedReceiver<Told>,
    feed: Feed,
    /// End with this.
    tasks: JoinSet<()>,
}

/// A server's end of the queue.
#[derive(Clone)]
pub(super) struct Feed {
    queue: UnboundedSender<Told>,
    room: Arc<Semaphore>,
    room_bytes: usize,
}

impl FanIn {
    pub(super) fn new(room_bytes: usize) -> FanIn {
        // The queue has no bound of its own: nothing gets in without room.
        let (sender, queue) = unbounded_channel();
        let feed = Feed { queue: sender, room: Arc::new(Semaphore::new(room_bytes)), room_bytes };
        FanIn { queue, feed, tasks: JoinSet::new() }
    }

    /// Adds a server: what it tells goes into the feed. Stays on this thread, where its connections are.
    pub(super) fn add<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        follow: impl FnOnce(Feed) -> F,
    ) -> AbortHandle {
        self.tasks.spawn(follow(self.feed.clone()))
    }

    /// The next piece. It never ends: this has a feed itself.
    pub(super) async fn next(&mut self) -> Told {
        match self.queue.recv().await {
            Some(told) => told,
            None => std::future::pending().await,
        }
    }
}

impl Feed {
    /// Waits until there is room. `Err`: the client has gone.
    pub(super) async fn tell(&self, server: &ServerId, piece: Piece) -> Result<(), ()> {
        let room = match &piece {
            Piece::Event(event, _) => Some(self.room_for(event.bytes() + PIECE_BYTES).await?),
            // There are few of them, and they must not stand behind what others say.
            Piece::Changed(..) | Piece::Acknowledged { .. } | Piece::Ended | Piece::Lost(_) => None,
        };
        self.queue.send((server.clone(), piece, room)).map_err(drop)
    }

    /// One that is larger than the queue has it to itself.
    async fn room_for(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ()> {
        let permits = u32::try_from(bytes.min(self.room_bytes)).unwrap_or(u32::MAX);
        Arc::clone(&self.room).acquire_many_owned(permits).await.map_err(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Whoever does not read is told no more than fits: two of these, or one that is too large for it.
    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded_by_bytes() {
        const SIZES: [usize; 4] = [365, 365, 5_000, 1];
        let mut fan_in = FanIn::new(1_000);
        let server = ServerId::derive("s").unwrap();
        let (told, mut telling) = unbounded_channel();
        let id = server.clone();
        fan_in.add(|feed| async move {
            for size in SIZES {
                feed.tell(&id, Piece::Event(Event::message("x".repeat(size)), None)).await.unwrap();
                told.send(size).unwrap();
            }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(
            [telling.try_recv().ok(), telling.try_recv().ok(), telling.try_recv().ok()],
            [Some(365), Some(365), None]
        );
        for size in SIZES {
            let (from, piece, _room) = fan_in.next().await;
            let Piece::Event(event, _) = piece else { panic!("{piece:?}") };
            assert_eq!((from, event.data.map(|data| data.len())), (server.clone(), Some(size)));
        }
    }
}
