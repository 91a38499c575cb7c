//! The system calls of a proxy for each call of a tool, as strace counts them.
//!
//! strace slows a process down many times: the counts are right, the speed is not. So this is a run
//! of its own, and nothing else is measured in it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::Scene;
use super::child::{Child, Side};
use super::row::Row;
use crate::load;
use crate::measurement::Scenario;
use crate::outcome::{Outcome, SystemCalls};
use crate::process::Processes;

const ATTACHING_MAX: Duration = Duration::from_secs(10);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Less than this for each call belongs to connections and timers, not to calls.
const RARE: f64 = 0.01;

impl Scene<'_> {
    pub async fn system_calls(&self, rows: &[Row], outcome: &mut Outcome) -> Result<()> {
        if !super::contender::is_installed("strace") {
            outcome.miss(None, "strace is not installed: no system calls");
            return Ok(());
        }
        for (number, row) in rows.iter().filter(|row| row.is_of_a_proxy(Scenario::Calls)).enumerate() {
            match self.traced(row, number).await {
                Ok(found) => outcome.system_calls.push(found),
                Err(error) => {
                    outcome.miss(None, &format!("system calls were not counted: {error:#}"));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn traced(&self, row: &Row, number: usize) -> Result<SystemCalls> {
        let summary = self.place.path(&format!("strace-{number}"));
        let mut command = Command::new("strace");
        command.args(["-c", "-f", "-qq", "-o"]).arg(&summary);
        for pid in row.processes.pids() {
            command.arg("-p").arg(pid.to_string());
        }
        let mut strace = Child::start(command, Side::Load, &self.place.path("strace.log"))?;
        let deadline = Instant::now() + ATTACHING_MAX;
        while !row.processes.are_traced() {
            if strace.has_ended() || Instant::now() > deadline {
                bail!("strace may not look at other processes here");
            }
            sleep(BETWEEN_LOOKS).await;
        }
        let load = row.load(Duration::ZERO, self.plan.traced, Processes::with_children(&[])?);
        let found = load::carry_out(&load).await?;
        // An interrupt makes it let go of the process and write its summary.
        strace.end(Signal::SIGINT);
        let each = per_call(&fs::read_to_string(&summary)?, found.count);
        eprintln!("system calls, {}: {each:?}", row.label);
        Ok(SystemCalls { label: row.label.clone(), calls: found.count, each })
    }
}

/// Reads strace's table: its fourth column is the number of calls, its last one their name.
fn per_call(summary: &str, calls: u64) -> BTreeMap<String, f64> {
    let lines = summary.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (count, name) = (words.get(3)?.parse::<u64>().ok()?, words.last()?);
        Some(((*name).to_owned(), count as f64 / calls.max(1) as f64))
    });
    lines.filter(|(name, each)| name != "total" && *each >= RARE).collect()
}

#[cfg(test)]
mod tests {
    use super::per_call;

    #[test]
    fn counts_are_taken_per_call_and_rare_ones_left_out() {
        let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.100000          10      2000           sendto
 30.00    0.050000           5      1010        10 recvfrom
 10.00    0.000001           1         3           accept4
------ ----------- ----------- --------- --------- ----------------
100.00    0.150001                  3013        10 total
";
        let each: Vec<_> = per_call(summary, 1000).into_iter().collect();
        assert_eq!(each, [("recvfrom".to_owned(), 1.01), ("sendto".to_owned(), 2.0)]);
    }
}
