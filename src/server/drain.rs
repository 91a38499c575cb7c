//! From SIGTERM (or SIGQUIT, when another process takes over) to the end: readiness fails, connections are told to close, new ones are accepted
//! for a while (load balancers need to notice), then what is under way may finish.

use super::upgrade::{Handover, Meeting};
use crate::conf::Drain;
use crate::gateway::Gateway;
use async_trait::async_trait;
use pingora::server::{ExecutionPhase, ShutdownSignal, ShutdownSignalWatch};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

/// Accepting ends early when nobody has come for this long.
const QUIET: Duration = Duration::from_secs(1);

/// How often a waiting thread looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
const LOOK_RARELY: Duration = Duration::from_millis(100);

/// How long connections that have just been made may still bring their first request.
pub const LINGER: Duration = Duration::from_millis(300);

/// What is still under way so shortly before the process ends is told so.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where the process stands in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    #[default]
    Serving,
    /// Connections are told to close.
    Draining,
    /// Nobody is let in any more. What would never end by itself ends now.
    Closed,
    /// Whatever is still under way will not be finished.
    Ending,
}

/// The life of the process, and what is under way in it.
#[derive(Default)]
pub struct Lifecycle {
    ready: AtomicBool,
    /// Another process has taken over, or is about to.
    handed_over: AtomicBool,
    stage: watch::Sender<Stage>,
    in_flight: Arc<AtomicUsize>,
    /// Of these, streams that end with the process and wait for nothing.
    listening: Arc<AtomicUsize>,
    entered: AtomicU64,
}

/// Counts an exchange until it is dropped.
pub struct InFlightGuard(Arc<AtomicUsize>);

impl Lifecycle {
    pub fn enter(&self) -> InFlightGuard {
        self.entered.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlightGuard(Arc::clone(&self.in_flight))
    }

    /// Counts a stream that waits for nothing, until what this gives is dropped.
    pub fn listen(&self) -> InFlightGuard {
        self.listening.fetch_add(1, Ordering::Relaxed);
        InFlightGuard(Arc::clone(&self.listening))
    }

    /// Whether a call is under way, for which its client may have to bring something.
    fn has_calls(&self) -> bool {
        self.in_flight() > self.listening.load(Ordering::Relaxed)
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// While another process takes over, probes may meet either of the two.
    pub fn is_ready(&self) -> bool {
        let stage = *self.stage.borrow();
        let serves = stage == Stage::Serving || self.is_handed_over() && stage < Stage::Closed;
        self.ready.load(Ordering::Relaxed) && serves
    }

    pub fn is_handed_over(&self) -> bool {
        self.handed_over.load(Ordering::Relaxed)
    }

    pub fn is_draining(&self) -> bool {
        *self.stage.borrow() >= Stage::Draining
    }

    /// Waits until the process has come so far.
    pub async fn reached(&self, stage: Stage) {
        // The sender lives as long as this does.
        let _ = self.stage.subscribe().wait_for(|now| *now >= stage).await;
    }

    /// There is no way back.
    pub(super) fn proceed(&self, stage: Stage) {
        self.stage.send_if_modified(|now| std::mem::replace(now, stage.max(*now)) < stage);
    }

    /// Blocks until the listeners are closed and nothing is under way, or the time is up.
    pub(super) fn wait_until_drained(&self, exit: Duration) {
        let (mut draining_since, mut closed_since) = (None, None);
        loop {
            if !self.is_draining() {
                std::thread::sleep(LOOK_RARELY);
                continue;
            }
            std::thread::sleep(LOOK_AGAIN);
            let since = *draining_since.get_or_insert_with(Instant::now);
            if *self.stage.borrow() >= Stage::Closed && closed_since.is_none() {
                closed_since = Some(Instant::now());
            }
            let lingered = closed_since.is_some_and(|since| since.elapsed() >= LINGER);
            if lingered && self.in_flight() == 0 || since.elapsed() >= exit {
                tracing::info!(cut_off = self.in_flight(), "stopped");
                return;
            }
            if since.elapsed() >= exit.saturating_sub(LAST_WORDS) {
                self.proceed(Stage::Ending);
            }
        }
    }

    /// Learns from Pingora when the listeners are closed.
    pub(super) fn follow(gateway: &Arc<Gateway>, mut phases: Receiver<ExecutionPhase>) -> std::io::Result<()> {
        let gateway = Arc::clone(gateway);
        let following = std::thread::Builder::new().name("phases".to_owned());
        let follow = move || {
            while !matches!(phases.blocking_recv(), Ok(ExecutionPhase::ShutdownStarted) | Err(RecvError::Closed)) {}
            gateway.lifecycle.proceed(Stage::Closed);
        };
        following.spawn(follow).map(drop)
    }

    async fn drain(&self, accept: Duration) {
        self.proceed(Stage::Draining);
        let began = Instant::now();
        let mut last = (self.entered.load(Ordering::Relaxed), Instant::now());
        while began.elapsed() < accept && (last.1.elapsed() < QUIET || self.has_calls()) {
            tokio::time::sleep(LOOK_AGAIN).await;
            let entered = self.entered.load(Ordering::Relaxed);
            if entered != last.0 {
                last = (entered, Instant::now());
            }
        }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Waits for the signal to stop, and for what must happen before Pingora closes the listeners.
pub(super) struct Signals {
    gateway: Arc<Gateway>,
    drain: Drain,
    meeting: Option<Meeting>,
    sessions: Handover,
}

impl Signals {
    pub(super) fn new(gateway: Arc<Gateway>, drain: Drain, meeting: Option<Meeting>, sessions: Handover) -> Signals {
        Signals { gateway, drain, meeting, sessions }
    }

    /// Waits until somebody wants to take over and is there.
    async fn successor(&self) {
        loop {
            received(&[SignalKind::quit()]).await;
            if self.meeting.as_ref().is_some_and(Meeting::is_attended) {
                return;
            }
            tracing::warn!("nobody waits to take over (`tollbridge run --upgrade PID` does); serving goes on");
        }
    }

    async fn hand_over(&self) {
        tracing::info!("handing over to another process");
        let lifecycle = &self.gateway.lifecycle;
        lifecycle.handed_over.store(true, Ordering::Relaxed);
        lifecycle.proceed(Stage::Draining);
        self.gateway.store.release().await;
        self.sessions.go_on_beside();
        self.sessions.hand_over();
    }
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        tokio::select! {
            () = stop_signal() => {}
            () = self.successor() => {
                self.hand_over().await;
                return ShutdownSignal::GracefulUpgrade;
            }
        }
        tracing::info!("stopping: no longer ready, waiting for what is under way");
        tokio::select! {
            () = self.gateway.lifecycle.drain(self.drain.accept) => {}
            () = stop_signal() => tracing::info!("told twice: no new connections from now on"),
        }
        ShutdownSignal::GracefulTerminate
    }
}

/// SIGTERM or Ctrl-C.
async fn stop_signal() {
    received(&[SignalKind::terminate(), SignalKind::interrupt()]).await;
}

async fn received(kinds: &[SignalKind]) {
    let mut signals: Vec<Signal> = kinds.iter().filter_map(|kind| signal(*kind).ok()).collect();
    if signals.len() < kinds.len() {
        tracing::error!("signals cannot be received; stop the process with SIGKILL");
        return std::future::pending().await;
    }
    std::future::poll_fn(|context| {
        let any = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        if any { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
