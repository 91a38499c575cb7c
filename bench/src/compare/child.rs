//! Processes that the comparison starts, each on the core of its side, and ends again.

use std::fs::File;
use std::path::Path;
use std::process::{Child as Process, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::process::Processes;

/// How long a process may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is measured runs on one core, the load and the stub on another.
#[derive(Clone, Copy)]
pub enum Side {
    Proxy = 0,
    Load = 1,
}

/// A process of ours. It ends when this is dropped, by its pid, its children with it.
pub struct Child {
    process: Process,
    pub started: Instant,
    /// From its start to its first proper answer.
    pub ready_after: Duration,
}

impl Child {
    /// Starts `command` on the core of `side`; what it says goes to `log`.
    pub fn start(mut command: Command, side: Side, log: &Path) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let said = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        // A child begins on the cores of the thread that starts it.
        side.take();
        let started = Instant::now();
        let process = command.spawn();
        Side::Load.take();
        let process = process.with_context(|| format!("cannot start {program}: is it installed?"))?;
        Ok(Self { process, started, ready_after: Duration::ZERO })
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn processes(&self) -> Result<Processes> {
        Processes::with_children(&[self.pid()])
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }

    /// Asks it to end without waiting for it: several may do so at the same time.
    pub fn dismiss(&self) {
        send(self.pid(), Signal::SIGTERM);
    }

    /// Asks it to end, and waits until it has.
    pub fn end(&mut self, signal: Signal) {
        let family = self.processes();
        send(self.pid(), signal);
        let deadline = Instant::now() + PATIENCE;
        while !self.has_ended() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        if !self.has_ended() {
            // Its own children, such as nginx's worker, would outlive it.
            for pid in family.iter().flat_map(Processes::pids) {
                send(*pid, Signal::SIGKILL);
            }
            self.process.wait().ok();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.end(Signal::SIGTERM);
        }
    }
}

impl Side {
    /// Puts this thread on the side's core, where that is ours to use.
    pub fn take(self) -> bool {
        let mut core = CpuSet::new();
        core.set(self as usize).and_then(|()| sched_setaffinity(Pid::from_raw(0), &core)).is_ok()
    }
}

fn send(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        // It may have ended in this moment.
        kill(Pid::from_raw(pid), signal).ok();
    }
}
