//! The load: connections that call one tool in a closed loop, and what they found together.
//!
//! - [`calls`] one answer a call; [`events`] streams of progress events
//! - [`client`] one connection and its requests; [`tally`] what it found
//! - [`window`] which part of the run counts

mod calls;
mod client;
mod events;
mod tally;
mod window;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use tokio::task::JoinSet;

use crate::flags::Flags;
use crate::measurement::{Kind, Measurement};
use crate::process::Processes;
use client::{Client, Shape, Template};
use tally::Tally;
use window::{Spent, Window};

struct Plan {
    kind: Kind,
    template: Template,
    connections: u32,
    measured: Duration,
    processes: Processes,
    label: String,
}

enum Output {
    Json,
    Text,
}

pub async fn run(mut flags: Flags) -> Result<()> {
    let output = if flags.switch("--json") { Output::Json } else { Output::Text };
    let plan = Plan::from_flags(flags)?;
    let (tally, spent) = carry_out(&plan).await?;
    let measurement = plan.measurement(tally, &spent);
    match output {
        Output::Json => println!("{}", serde_json::to_string(&measurement)?),
        Output::Text => println!("{measurement}"),
    }
    let why = measurement.first_error.as_deref().unwrap_or("the run was too short");
    ensure!(measurement.count > 0, "nothing was answered: {why}");
    Ok(())
}

async fn carry_out(plan: &Plan) -> Result<(Tally, Spent)> {
    let window = Arc::new(Window::new());
    let template = Arc::new(plan.template.clone());
    let mut loops = JoinSet::new();
    for connection in 0..plan.connections {
        let client = Client::new(template.clone(), connection);
        match plan.kind {
            Kind::Calls => loops.spawn(calls::repeat(client, window.clone())),
            Kind::Events => {
                let share = f64::from(connection) / f64::from(plan.connections);
                loops.spawn(events::repeat(client, window.clone(), share))
            }
        };
    }
    let spent = window.measure(plan.measured, &plan.processes).await?;
    let tallies = loops.join_all().await;
    Ok((tallies.into_iter().fold(Tally::default(), Tally::plus), spent))
}

impl Plan {
    fn from_flags(mut flags: Flags) -> Result<Self> {
        let kind = if flags.switch("--sse") { Kind::Events } else { Kind::Calls };
        let (count_flag, default_count, default_tool) = match kind {
            Kind::Calls => ("--connections", 32, "echo"),
            Kind::Events => ("--streams", 50, "stream"),
        };
        let pids: String = flags.optional("--pid")?.unwrap_or_default();
        let pids: Vec<u32> = pids.split_terminator(',').map(str::parse).collect::<Result<_, _>>()?;
        let plan = Self {
            kind,
            template: Template {
                target: flags.required("--url")?,
                key: flags.optional("--key")?,
                tool: flags.optional("--tool")?.unwrap_or_else(|| default_tool.to_owned()),
                kind,
                shape: match flags.optional::<String>("--rest")?.as_deref() {
                    None => Shape::Rpc,
                    Some("plain") => Shape::Plain,
                    Some("named") => Shape::Named,
                    Some(other) => bail!("--rest {other}: say plain or named"),
                },
                text_bytes: flags.optional("--text-bytes")?.unwrap_or(71),
            },
            connections: flags.optional(count_flag)?.unwrap_or(default_count),
            measured: Duration::from_secs_f64(flags.optional("--seconds")?.unwrap_or(5.0)),
            processes: Processes::with_children(&pids)?,
            label: flags.optional("--label")?.unwrap_or_else(|| "load".to_owned()),
        };
        flags.finish()?;
        Ok(plan)
    }

    fn measurement(self, tally: Tally, spent: &Spent) -> Measurement {
        let count = tally.delays.len() as u64;
        let seconds = spent.elapsed.as_secs_f64();
        let cpu_seconds = spent.cpu_time.map(|cpu_time| cpu_time.as_secs_f64());
        let [p50_ms, p99_ms] = tally.delays.quantiles_ms([0.5, 0.99]);
        Measurement {
            label: self.label,
            kind: self.kind,
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
}
