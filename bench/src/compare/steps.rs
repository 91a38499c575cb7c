//! Where the CPU time of a call goes, as perf samples it.
//!
//! Samples cost time themselves, so this is a run of its own: its shares are of one run, and what they are
//! shares of was measured in the rounds.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::Scene;
use super::child::{Child, Side};
use super::row::Row;
use crate::load;
use crate::measurement::Scenario;
use crate::outcome::{Outcome, Steps};
use crate::process::Processes;

/// Not a divisor of anything that happens at regular times.
const SAMPLES_PER_SECOND: &str = "997";

/// Fewer say nothing.
const SAMPLES_MIN: usize = 200;

const BEGINNING_MAX: Duration = Duration::from_secs(10);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// What runs in user space, by where its name begins; the first that fits counts.
const STEPS: [(&str, &[&str]); 7] = [
    ("access log and metrics", &["tollbridge::access_log", "tollbridge::metrics", "prometheus", "itoa"]),
    ("runtime and timers", &["tokio", "mio", "parking_lot", "thread_local", "futures", "pingora_timeout"]),
    ("HTTP with the client", &["tollbridge::proxy", "pingora", "httparse", "http::"]),
    (
        "decision: key, message, permission, route",
        &["tollbridge_filters", "sha2", "memchr", "serde", "chacha20", "poly1305", "base64", "arc_swap"],
    ),
    ("conversation with the server", &["tollbridge::"]),
    ("memory: taken, given back, copied", &["_rjem", "bytes", "__mem", "alloc", "arena_", "tcache", "malloc"]),
    ("clock", &["__vdso", "clock_gettime", "std::time"]),
];

impl Scene<'_> {
    pub async fn steps(&self, rows: &[Row], outcome: &mut Outcome) -> Result<()> {
        if !super::contender::is_installed("perf") {
            outcome.miss(None, "perf is not installed: no steps of a call");
            return Ok(());
        }
        for (number, row) in rows.iter().filter(|row| row.is_of_a_proxy(Scenario::Calls)).enumerate() {
            match self.sampled(row, number).await {
                Ok(found) => outcome.steps.push(found),
                Err(error) => {
                    outcome.miss(None, &format!("steps of a call were not sampled: {error:#}"));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn sampled(&self, row: &Row, number: usize) -> Result<Steps> {
        let samples = self.place.path(&format!("perf-{number}"));
        let pids: Vec<String> = row.processes.pids().iter().map(u32::to_string).collect();
        let mut command = Command::new("perf");
        command.args(["record", "-q", "-g", "-F", SAMPLES_PER_SECOND, "-p", &pids.join(","), "-o"]).arg(&samples);
        let mut perf = Child::start(command, Side::Load, &self.place.path("perf.log"))?;
        let deadline = Instant::now() + BEGINNING_MAX;
        while !samples.exists() {
            ensure!(!perf.has_ended() && Instant::now() < deadline, "perf may not look at other processes here");
            sleep(BETWEEN_LOOKS).await;
        }
        load::carry_out(&row.load(self.plan.warm_up, self.plan.sampled, Processes::with_children(&[])?)).await?;
        perf.end(Signal::SIGINT);
        let mut script = Command::new("perf");
        script.args(["script", "-F", "ip,sym", "-i"]).arg(&samples);
        let script = script.output().context("cannot start perf script")?;
        let shares = shares(&String::from_utf8_lossy(&script.stdout))?;
        eprintln!("steps, {}: {shares:?}", row.label);
        Ok(Steps { label: row.label.clone(), shares })
    }
}

/// Reads what `perf script` says: a line for each frame of a sample, the innermost first, and an empty one
/// between samples.
fn shares(script: &str) -> Result<BTreeMap<String, f64>> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for sample in script.split("\n\n") {
        let frames = sample.lines().filter_map(|line| line.trim().split_once(' ').map(|(_, name)| name.trim()));
        let frames: Vec<&str> = frames.collect();
        if let Some(innermost) = frames.first() {
            *counts.entry(step(innermost, &frames)).or_default() += 1;
        }
    }
    let all: usize = counts.values().sum();
    if all < SAMPLES_MIN {
        bail!("perf took {all} samples only");
    }
    Ok(counts.into_iter().map(|(step, count)| (step, count as f64 / all as f64)).collect())
}

/// In the kernel it is the system call that counts, in user space the innermost function.
fn step(innermost: &str, frames: &[&str]) -> String {
    let call = frames.iter().find_map(|frame| system_call(frame));
    if let Some(call) = call {
        let what = match call {
            "sendto" | "writev" | "sendmsg" => "system calls: to a socket",
            "recvfrom" | "readv" | "recvmsg" => "system calls: from a socket",
            "epoll_wait" | "epoll_pwait" => "system calls: waiting",
            _ => "system calls: others",
        };
        return what.to_owned();
    }
    let name = innermost.trim_start_matches(['<', '&', '(']).trim_start_matches("mut ").trim_start_matches("dyn ");
    let fits = |(_, begins): &&(&str, &[&str])| begins.iter().any(|begin| name.starts_with(begin));
    STEPS
        .iter()
        .find(fits)
        .map_or("others; of nginx and HAProxy their own code".to_owned(), |(step, _)| (*step).to_owned())
}

/// Of the frame by which the kernel begins one.
fn system_call(frame: &str) -> Option<&str> {
    match frame {
        "do_writev" => Some("writev"),
        "do_readv" => Some("readv"),
        _ => frame.strip_prefix("__x64_sys_").or(frame.strip_prefix("__arm64_sys_")),
    }
}

#[cfg(test)]
mod tests {
    use super::shares;

    #[test]
    fn a_sample_counts_where_it_was_taken() {
        let sample = |frames: &[&str]| {
            let lines: Vec<String> = frames.iter().map(|frame| format!("\t    ffff8 {frame}")).collect();
            lines.join("\n") + "\n\n"
        };
        let script = [
            sample(&["tcp_sendmsg", "__x64_sys_sendto", "entry_SYSCALL_64", "__send"]).repeat(150),
            sample(&["tcp_sendmsg", "do_writev", "entry_SYSCALL_64", "__writev"]).repeat(50),
            sample(&["<tollbridge::proxy::http1::Line as X>::poll", "main"]).repeat(100),
            sample(&["pingora_timeout::timer::TimerManager::register_timer"]).repeat(60),
            sample(&["core::str::from_utf8"]).repeat(40),
        ];
        let found: Vec<(String, f64)> = shares(&script.concat()).expect("there are enough").into_iter().collect();
        let named = |name: &str, share| (name.to_owned(), share);
        let wanted = [
            named("HTTP with the client", 0.25),
            named("others; of nginx and HAProxy their own code", 0.1),
            named("runtime and timers", 0.15),
            named("system calls: to a socket", 0.5),
        ];
        assert_eq!(found, wanted);
        assert!(shares(&sample(&["x"])).is_err(), "one sample says nothing");
    }
}
