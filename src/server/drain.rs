//! From SIGTERM to the end: readiness fails, connections are told to close, new ones are accepted
//! for a while (load balancers need to notice), then what is under way may finish.

use crate::conf::Drain;
use crate::gateway::Gateway;
use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// Accepting ends early when nobody has come for this long.
const QUIET: Duration = Duration::from_secs(1);

/// How often a waiting thread looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
const LOOK_RARELY: Duration = Duration::from_millis(100);

/// Where the process stands in its life.
#[derive(Default)]
pub struct Lifecycle {
    ready: AtomicBool,
    draining: AtomicBool,
    closed: AtomicBool,
    in_flight: Arc<AtomicUsize>,
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

    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) && !self.is_draining()
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Blocks until the listeners are closed and nothing is under way, or the time is up.
    pub(super) fn wait_until_drained(&self, exit: Duration) {
        let mut draining_since = None;
        loop {
            if !self.is_draining() {
                std::thread::sleep(LOOK_RARELY);
                continue;
            }
            std::thread::sleep(LOOK_AGAIN);
            let since = *draining_since.get_or_insert_with(Instant::now);
            let done = self.closed.load(Ordering::Acquire) && self.in_flight() == 0;
            if done || since.elapsed() >= exit {
                tracing::info!(cut_off = self.in_flight(), "stopped");
                return;
            }
        }
    }

    async fn drain(&self, accept: Duration) {
        self.draining.store(true, Ordering::Relaxed);
        let began = Instant::now();
        let mut last = (self.entered.load(Ordering::Relaxed), Instant::now());
        while began.elapsed() < accept && last.1.elapsed() < QUIET {
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
}

impl Signals {
    pub(super) fn new(gateway: Arc<Gateway>, drain: Drain) -> Signals {
        Signals { gateway, drain }
    }
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        stop_signal().await;
        tracing::info!("stopping: no longer ready, waiting for what is under way");
        tokio::select! {
            () = self.gateway.lifecycle.drain(self.drain.accept) => {}
            () = stop_signal() => tracing::info!("told twice: no new connections from now on"),
        }
        self.gateway.lifecycle.closed.store(true, Ordering::Release);
        ShutdownSignal::GracefulTerminate
    }
}

/// SIGTERM or Ctrl-C.
async fn stop_signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be received; stop the process with SIGKILL");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
