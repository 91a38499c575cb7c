//! Processes with their children, and the CPU time that they have used, from `/proc`; their
//! memory is read in [`memory`].
//!
//! It sums `schedstat` over all threads: nanoseconds, where `stat` counts ticks of 10 ms. Threads
//! and children that have ended are not seen, so a measured server must keep its own.

pub mod memory;

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// A set of running processes.
#[derive(Clone)]
pub struct Processes {
    pids: Vec<u32>,
}

impl Processes {
    /// The processes `pids` with their children and grandchildren as of now (nginx's workers).
    pub fn with_children(pids: &[u32]) -> Result<Self> {
        let parents = if pids.is_empty() { Vec::new() } else { parents()? };
        let mut found = pids.to_vec();
        let mut next = 0;
        while let Some(&parent) = found.get(next) {
            let children = parents.iter().filter(|(_, its_parent)| *its_parent == parent);
            let new: Vec<u32> = children.map(|(pid, _)| *pid).collect();
            found.extend(new.into_iter().filter(|pid| !pids.contains(pid)));
            next += 1;
        }
        Ok(Self { pids: found })
    }

    pub fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// Whether another process follows every thread of them.
    pub fn are_traced(&self) -> bool {
        self.pids.iter().all(|pid| is_traced(*pid))
    }

    /// `None` when there is no process to look at.
    pub fn cpu_time(&self) -> Result<Option<Duration>> {
        if self.pids.is_empty() {
            return Ok(None);
        }
        self.pids.iter().map(|pid| cpu_time(*pid)).sum::<Result<Duration>>().map(Some)
    }
}

fn cpu_time(pid: u32) -> Result<Duration> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))
        .with_context(|| format!("process {pid} is not running: give --pid a live one"))?;
    let mut ns = 0;
    for thread in threads {
        let path = thread?.path().join("schedstat");
        // A thread may end between the listing and the reading; its time is gone either way.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let first = text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
        ns += first.with_context(|| format!("{} is empty: use a kernel with CONFIG_SCHED_INFO", path.display()))?;
    }
    Ok(Duration::from_nanos(ns))
}

fn is_traced(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("status")).ok()).all(|status| {
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
        tracer.is_some_and(|tracer| tracer.trim() != "0")
    })
}

/// Every process with its parent.
fn parents() -> Result<Vec<(u32, u32)>> {
    let entries = fs::read_dir("/proc").context("cannot list /proc: mount it to measure CPU time")?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let pids = names.filter_map(|name| name.parse::<u32>().ok());
    Ok(pids.filter_map(|pid| Some((pid, parent(pid)?))).collect())
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets, and may itself hold spaces and brackets.
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::Processes;

    #[test]
    fn finds_children_and_counts_their_time() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep exists");
        let tree = Processes::with_children(&[std::process::id()]).expect("/proc is readable");
        assert!(tree.pids.contains(&child.id()), "the child is part of the tree");
        assert!(tree.cpu_time().expect("both run").is_some());
        child.kill().and_then(|()| child.wait()).expect("the child is ours to end");
    }

    #[test]
    fn no_process_no_time() {
        assert!(Processes::with_children(&[]).unwrap().cpu_time().unwrap().is_none());
    }
}
