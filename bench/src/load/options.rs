//! The flags of `bench load`.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::request::{self, Progress, Shape, Template};
use super::{Pace, Plan};
use crate::flags::Flags;
use crate::process::Processes;

const WARM_UP: Duration = Duration::from_millis(500);

pub enum Output {
    Json,
    Text,
}

pub fn read(mut flags: Flags) -> Result<(Plan, String, Output)> {
    let output = if flags.switch("--json") { Output::Json } else { Output::Text };
    let label = flags.optional("--label")?.unwrap_or_else(|| "load".to_owned());
    let pace = match (flags.switch("--sse"), flags.optional::<f64>("--rate")?) {
        (true, _) => Pace::Streams,
        (false, Some(rate)) => Pace::PerSecond(rate),
        (false, None) => Pace::Closed,
    };
    if let Pace::PerSecond(rate) = pace {
        ensure!(rate > 0.0, "--rate {rate}: give a rate above zero");
    }
    let (connections, tool, progress) = match pace {
        Pace::Streams => (flags.optional("--streams")?.unwrap_or(50), "stream", Progress::Told),
        Pace::Closed | Pace::PerSecond(_) => (flags.optional("--connections")?.unwrap_or(32), "echo", Progress::Untold),
    };
    let pids: String = flags.optional("--pid")?.unwrap_or_default();
    let pids: Vec<u32> = pids.split_terminator(',').map(str::parse).collect::<Result<_, _>>()?;
    let template = Template {
        target: flags.required("--url")?,
        key: flags.optional("--key")?,
        tool: flags.optional("--tool")?.unwrap_or_else(|| tool.to_owned()),
        shape: flags.optional("--shape")?.unwrap_or(Shape::Modern),
        progress,
        text: request::text(flags.optional("--text-bytes")?.unwrap_or(71)),
        answer_bytes: flags.optional("--answer-bytes")?,
    };
    let plan = Plan {
        pace,
        template,
        connections,
        warm_up: WARM_UP,
        measured: Duration::from_secs_f64(flags.optional("--seconds")?.unwrap_or(5.0)),
        processes: Processes::with_children(&pids)?,
    };
    flags.finish()?;
    Ok((plan, label, output))
}
