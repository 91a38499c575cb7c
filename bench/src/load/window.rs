//! Which part of a run counts: after the warm-up, until the end.
//!
//! CPU time is read at the same two moments, so that it belongs to the counted requests.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::process::Processes;

const WARMING_UP: u8 = 0;
const OPEN: u8 = 1;
const OVER: u8 = 2;

pub struct Window {
    phase: AtomicU8,
}

pub struct Spent {
    pub elapsed: Duration,
    pub cpu_time: Option<Duration>,
}

impl Window {
    pub fn new() -> Self {
        Self { phase: AtomicU8::new(WARMING_UP) }
    }

    /// Lets the run go on for `warm_up` and for `measured`, then ends it.
    pub async fn measure(&self, warm_up: Duration, measured: Duration, processes: &Processes) -> Result<Spent> {
        tokio::time::sleep(warm_up).await;
        let cpu_before = processes.cpu_time()?;
        let start = Instant::now();
        self.phase.store(OPEN, Ordering::Relaxed);
        tokio::time::sleep(measured).await;
        self.phase.store(OVER, Ordering::Relaxed);
        let elapsed = start.elapsed();
        let cpu_after = processes.cpu_time()?;
        let cpu_time = cpu_after.zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
        Ok(Spent { elapsed, cpu_time })
    }

    pub fn is_open(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == OPEN
    }

    pub fn is_over(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == OVER
    }
}
