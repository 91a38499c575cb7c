//! Those who wait for a connection to one endpoint, in line. A busy server accepts slowly (Node one connection
//! between two rounds of its work), and a request on a connection that waits to be accepted can neither be answered
//! nor taken back. So only a few connections are made at a time; whoever else needs one gets what becomes free.

use pingora::protocols::Stream;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Connections of a thread to one endpoint that have not brought an answer yet: at first, and at least.
const UNPROVEN: usize = 8;

/// A server that answers on a new connection as soon as on another, or nearly, is not one that accepts slowly. While
/// others wait each such answer lets one more be made at a time, so that twice as many are with each round.
const NEARLY: u32 = 2;
const UNPROVEN_MAX: usize = 256;

/// A line that will take longer than about so many looks, by what moved since the last one, is no use: the work
/// itself takes long. Then some leave it and connect, and with each look twice as many.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS_MAX: usize = 20;

#[derive(Default)]
pub(super) struct Line {
    state: Mutex<State>,
}

struct State {
    waiting: VecDeque<oneshot::Sender<Turn>>,
    unproven: usize,
    /// How many may be unproven.
    room: usize,
    /// How long an answer on a kept connection takes.
    usual: Option<Duration>,
    served: usize,
    is_watched: bool,
}

/// What standing in line came to.
pub(super) enum Turn {
    Reuse(Stream, Trial),
    Connect(Trial),
    /// Nothing moves.
    Leave,
}

/// What the line does.
enum Look {
    Nobody,
    Moves,
    Stands,
}

/// A call of somebody in line, until it is answered. Where it is the first one of a connection, that is unproven for
/// so long.
pub(super) struct Trial {
    line: Arc<Line>,
    began: Instant,
    is_first: bool,
}

impl Default for State {
    fn default() -> State {
        let waiting = VecDeque::new();
        State { waiting, unproven: 0, room: UNPROVEN, usual: None, served: 0, is_watched: false }
    }
}

impl Line {
    /// A turn to connect, where there is one without waiting.
    pub(super) fn begin(self: &Arc<Line>) -> Option<Trial> {
        let mut state = self.state();
        let is_room = state.unproven < state.room && state.waiting.is_empty();
        state.unproven += usize::from(is_room);
        drop(state);
        is_room.then(|| Trial::of(self, true))
    }

    pub(super) async fn wait(self: &Arc<Line>) -> Turn {
        self.join().await.unwrap_or(Turn::Leave)
    }

    fn join(self: &Arc<Line>) -> oneshot::Receiver<Turn> {
        let (sender, turn) = oneshot::channel();
        let mut state = self.state();
        state.waiting.push_back(sender);
        if !std::mem::replace(&mut state.is_watched, true) {
            tokio::spawn(Arc::clone(self).watch());
        }
        turn
    }

    /// A connection was given back; `take` is asked for it if somebody waits.
    pub(super) fn serve(self: &Arc<Line>, take: impl FnOnce() -> Option<Stream>) {
        let mut state = self.state();
        let Some(first) = state.first() else { return };
        match take() {
            Some(stream) => {
                state.served += 1;
                drop(state);
                // Whoever has just gone lets go of it.
                let _ = first.send(Turn::Reuse(stream, Trial::of(self, false)));
            }
            None => state.waiting.push_front(first),
        }
    }

    /// Lets as many connect as may.
    fn let_connect(self: &Arc<Line>) {
        loop {
            let mut state = self.state();
            if state.unproven >= state.room {
                return;
            }
            let Some(first) = state.first() else { return };
            state.unproven += 1;
            state.served += 1;
            drop(state);
            let _ = first.send(Turn::Connect(Trial::of(self, true)));
        }
    }

    /// Looks whether the line moves, for as long as there is one.
    async fn watch(self: Arc<Line>) {
        let mut leaving = UNPROVEN;
        loop {
            let served = self.state().served;
            tokio::time::sleep(LOOK).await;
            match self.look(served, leaving) {
                Look::Nobody => return,
                Look::Moves => leaving = UNPROVEN,
                Look::Stands => leaving = leaving.saturating_mul(2),
            }
        }
    }

    /// Whether so many as were served since would serve those who wait in time. If not, some of them leave.
    fn look(&self, served: usize, leaving: usize) -> Look {
        let mut state = self.state();
        state.waiting.retain(|waiting| !waiting.is_closed());
        let waiting = state.waiting.len();
        if waiting == 0 {
            (state.is_watched, state.room) = (false, UNPROVEN);
            return Look::Nobody;
        }
        if state.served.wrapping_sub(served) * LOOKS_MAX >= waiting {
            return Look::Moves;
        }
        for first in state.waiting.drain(..leaving.min(waiting)) {
            let _ = first.send(Turn::Leave);
        }
        Look::Stands
    }

    // Nothing panics while it holds the lock, and if it did, the state would still be whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Who has waited longest and still does.
    fn first(&mut self) -> Option<oneshot::Sender<Turn>> {
        while let Some(first) = self.waiting.pop_front() {
            if !first.is_closed() {
                return Some(first);
            }
        }
        None
    }

    /// How an answer changes what may be made at a time.
    fn learn(&mut self, took: Duration, is_first: bool) {
        let Some(usual) = self.usual else {
            self.usual = Some(took).filter(|_| !is_first);
            return;
        };
        if !is_first {
            self.usual = Some((usual * 7 + took) / 8);
        } else if took > usual * NEARLY {
            self.room = UNPROVEN;
        } else if !self.waiting.is_empty() {
            self.room = (self.room + 1).min(UNPROVEN_MAX);
        }
    }
}

impl Trial {
    fn of(line: &Arc<Line>, is_first: bool) -> Trial {
        Trial { line: Arc::clone(line), began: Instant::now(), is_first }
    }

    pub(super) fn answered(self) {
        self.line.state().learn(self.began.elapsed(), self.is_first);
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if self.is_first {
            self.line.state().unproven -= 1;
            self.line.let_connect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Duration = Duration::from_millis(10);

    #[test]
    fn who_answers_on_new_connections_as_soon_as_on_others_gets_more() {
        let mut state = State::default();
        state.waiting.push_back(oneshot::channel().0);
        state.learn(USUAL, true);
        assert_eq!(state.room, UNPROVEN, "nothing is known yet");
        state.learn(USUAL, false);
        (0..UNPROVEN).for_each(|_| state.learn(USUAL * NEARLY, true));
        assert_eq!(state.room, 2 * UNPROVEN);
        state.learn(USUAL * (NEARLY + 1), true);
        assert_eq!(state.room, UNPROVEN, "it accepts slowly");
        (0..2 * UNPROVEN_MAX).for_each(|_| state.learn(USUAL, true));
        assert_eq!(state.room, UNPROVEN_MAX);
    }

    /// A turn of somebody who has gone is the next one's.
    #[tokio::test]
    async fn no_turn_is_lost() {
        let line = Arc::new(Line::default());
        let mut trials: Vec<Trial> = std::iter::from_fn(|| line.begin()).collect();
        assert_eq!(trials.len(), UNPROVEN);
        let (gone, next, last) = (line.join(), line.join(), line.join());
        drop(gone);
        trials.pop();
        let Ok(Turn::Connect(turn)) = next.await else { panic!("no turn to connect") };
        assert!(line.begin().is_none(), "nobody passes those who wait");
        // What it was given for did not come about.
        drop(turn);
        assert!(matches!(last.await, Ok(Turn::Connect(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_stands_is_left() {
        let line = Arc::new(Line::default());
        let _trials: Vec<Trial> = std::iter::from_fn(|| line.begin()).collect();
        let mut waiting: VecDeque<_> = (0..3 * UNPROVEN).map(|_| line.join()).collect();
        for (looks, leaves) in [(1, UNPROVEN), (1, 2 * UNPROVEN)] {
            tokio::time::sleep(LOOK * looks + LOOK / 10).await;
            for turn in waiting.drain(..leaves) {
                assert!(matches!(turn.await, Ok(Turn::Leave)));
            }
            assert!(waiting.iter_mut().all(|turn| turn.try_recv().is_err()));
        }
    }
}
