//! The memory of processes, from `/proc`.

use std::fs;

use anyhow::{Context, Result};

use super::Processes;

#[derive(Clone, Copy)]
pub struct Memory {
    /// Resident pages; what several processes share counts for each of them.
    pub rss_kib: u64,
    /// Resident pages; what several processes share is divided among them.
    pub pss_kib: u64,
}

impl Processes {
    /// Of all these processes together.
    pub fn memory(&self) -> Result<Memory> {
        let mut sum = Memory { rss_kib: 0, pss_kib: 0 };
        for pid in &self.pids {
            sum.rss_kib += field(&format!("/proc/{pid}/status"), "VmRSS:")?;
            sum.pss_kib += field(&format!("/proc/{pid}/smaps_rollup"), "Pss:")?;
        }
        Ok(sum)
    }
}

fn field(path: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}: is the process running?"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    kib.with_context(|| format!("{path} has no {name}"))
}

#[cfg(test)]
mod tests {
    use super::Processes;

    #[test]
    fn a_process_has_memory_and_shares_some() {
        let own = Processes::with_children(&[std::process::id()]).expect("/proc is readable");
        let memory = own.memory().expect("it runs");
        assert!(memory.rss_kib >= memory.pss_kib && memory.pss_kib > 100, "{} KiB", memory.pss_kib);
    }
}
