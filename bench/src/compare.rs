//! The comparison: starts the contenders, asks all of them the same in rounds, and reports.
//!
//! - [`plan`] what, and how long; [`about`] the circumstances
//! - [`place`], [`child`], [`contender`] a directory, processes in it, and what they are
//! - [`row`] one thing that is measured in each round; [`rounds`] those of the main tables
//! - [`curves`] what happens while one thing grows
//! - [`memory`], [`starts`], [`system_calls`], [`steps`] what is not measured in rounds

mod about;
mod child;
mod contender;
mod curves;
mod memory;
mod place;
mod plan;
mod rounds;
mod row;
mod starts;
mod steps;
mod system_calls;

use std::path::PathBuf;

use anyhow::{Result, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::flags::Flags;
use crate::outcome::{HAPROXY, Outcome};
use crate::report;
use child::Side;
use place::Place;
use plan::Plan;

/// What the parts of a comparison share.
struct Scene<'s> {
    plan: &'s Plan,
    place: &'s Place,
    /// Descriptors that a process may have.
    fds: usize,
}

pub async fn run(mut flags: Flags) -> Result<()> {
    let fds = raise_descriptors()?;
    let plan = Plan::read(&mut flags, fds)?;
    let out: PathBuf = flags.optional("--out")?.unwrap_or_else(|| "bench/results/latest.json".into());
    let wishes = report::Wishes::read(&mut flags)?;
    flags.finish()?;
    if !(Side::Proxy.take() && Side::Load.take()) {
        eprintln!("cores 0 and 1 are not both ours: running unpinned, expect noise");
    }
    let place = Place::new()?;
    let scene = Scene { plan: &plan, place: &place, fds: usize::try_from(fds)? };
    let mut outcome = Outcome { about: about::sentence(&plan), ..Outcome::default() };
    let ended = tokio::select! {
        ended = scene.compare(&mut outcome) => ended,
        // What was started ends when the comparison is dropped.
        () = interrupted() => bail!("interrupted"),
    };
    if let Err(error) = ended {
        eprint!("{}", place.last_words());
        outcome.fail(format!("{error:#}"));
    }
    outcome.write(&out)?;
    report::present(&outcome, &wishes)
}

impl Scene<'_> {
    async fn compare(&self, outcome: &mut Outcome) -> Result<()> {
        if ["rounds", "syscalls", "steps"].iter().any(|part| self.plan.parts.has(part)) {
            self.rounds(outcome).await?;
        }
        if self.plan.parts.has("start") {
            self.starts(outcome).await?;
        }
        if self.plan.parts.has("memory") {
            self.memory(outcome).await?;
        }
        if self.plan.parts.has("curves") && self.plan.tollbridge.is_some() {
            self.curves(outcome).await?;
        }
        Ok(())
    }

    /// Whether HAProxy takes part; if not, the outcome says so.
    fn has_haproxy(&self, outcome: &mut Outcome) -> bool {
        let there = contender::is_installed("haproxy");
        if !there {
            outcome.miss(Some(HAPROXY), "haproxy is not installed");
        }
        there
    }
}

/// Raises the limit of open files as far as it goes, for this process and those that it starts.
fn raise_descriptors() -> Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}

async fn interrupted() {
    let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = int.recv() => {}
        _ = term.recv() => {}
    }
}
