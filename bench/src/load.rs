//! The load: connections that ask one thing again and again, and what they found together.
//!
//! - [`calls`] one answer a call, in a closed loop or by a [`schedule`]; [`events`] streams of events
//! - [`held`] streams and sessions that are only kept open
//! - [`client`] one connection; [`request`] its bytes; [`ticket`] which answer is the right one
//! - [`tally`] what it found; [`window`] which part of the run counts

pub mod calls;
pub mod client;
mod events;
pub mod held;
mod options;
pub mod request;
mod schedule;
mod tally;
pub mod ticket;
mod window;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use crate::clock;
use crate::flags::Flags;
use crate::measurement::Found;
use crate::process::Processes;
use client::Client;
use options::Output;
use request::Template;
use schedule::Schedule;
use tally::Tally;
use window::{Spent, Window};

/// When the next request leaves.
#[derive(Clone, Copy)]
pub enum Pace {
    /// When the last one on its connection is answered.
    Closed,
    /// So many in a second, on whichever connection is free.
    PerSecond(f64),
    /// When the last stream on its connection has ended; its events are what counts.
    Streams,
}

pub struct Plan {
    pub pace: Pace,
    pub template: Template,
    pub connections: u32,
    /// Long enough to open all connections, on both sides of a proxy.
    pub warm_up: Duration,
    pub measured: Duration,
    pub processes: Processes,
}

pub async fn run(flags: Flags) -> Result<()> {
    let (plan, label, output) = options::read(flags)?;
    let found = carry_out(&plan).await?;
    match output {
        Output::Json => println!("{}", serde_json::json!({"label": label, "found": found})),
        Output::Text => println!("{label}: {found}"),
    }
    let why = found.first_error.as_deref().unwrap_or("the run was too short");
    ensure!(found.count > 0, "nothing was answered: {why}");
    Ok(())
}

pub async fn carry_out(plan: &Plan) -> Result<Found> {
    let window = Arc::new(Window::new());
    let template = Arc::new(plan.template.clone());
    let rate = if let Pace::PerSecond(rate) = plan.pace { rate } else { 1.0 };
    let schedule = Arc::new(Schedule::new(clock::now_ns(), rate, plan.warm_up, plan.measured));
    let mut loops = JoinSet::new();
    for connection in 0..plan.connections {
        let client = Client::new(template.clone(), connection);
        match plan.pace {
            Pace::Closed => loops.spawn(calls::repeat(client, window.clone())),
            Pace::PerSecond(_) => loops.spawn(calls::follow(client, schedule.clone())),
            Pace::Streams => {
                let share = f64::from(connection) / f64::from(plan.connections);
                loops.spawn(events::repeat(client, window.clone(), share))
            }
        };
    }
    let spent = window.measure(plan.warm_up, plan.measured, &plan.processes).await?;
    let tallies = loops.join_all().await;
    Ok(found(tallies.into_iter().fold(Tally::default(), Tally::plus), &spent))
}

fn found(tally: Tally, spent: &Spent) -> Found {
    let count = tally.delays.len() as u64;
    let seconds = spent.elapsed.as_secs_f64();
    let cpu_seconds = spent.cpu_time.map(|cpu_time| cpu_time.as_secs_f64());
    let [p50_ms, p99_ms] = tally.delays.quantiles_ms([0.5, 0.99]);
    Found {
        seconds,
        count,
        per_second: count as f64 / seconds,
        p50_ms,
        p99_ms,
        errors: tally.errors,
        crossed: tally.crossed,
        first_error: tally.first_error,
        cpu_us_each: cpu_seconds.filter(|_| count > 0).map(|cpu| cpu * 1e6 / count as f64),
        cpu_cores: cpu_seconds.map(|cpu| cpu / seconds),
    }
}
