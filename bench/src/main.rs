//! `bench`: the comparison behind `bench/run`, and its parts.
//!
//! - [`compare`] starts all contenders, measures them in rounds, and reports
//! - [`stub`] an MCP upstream that costs next to nothing
//! - [`load`] calls in a closed or an open loop, streams of events, streams that are held open
//! - [`measurement`], [`outcome`] what one run of the load found, and what a whole comparison did
//! - [`report`] tables, a plot, goals and gates, out of an outcome
//! - [`ready`] waiting for a server, free ports
//! - [`target`], [`wire`] where to, and HTTP/1.1 on one connection
//! - [`clock`], [`delays`], [`process`], [`flags`] instruments
//!
//! It knows nothing of Tollbridge's code: what it measures it reaches over TCP only.

mod clock;
mod compare;
mod delays;
mod flags;
mod load;
mod measurement;
mod outcome;
mod process;
mod ready;
mod report;
mod stub;
mod target;
mod wire;

use std::process::ExitCode;

use anyhow::{Result, bail};
use flags::Flags;

const USAGE: &str = "\
usage: bench COMMAND [FLAG VALUE ...]
  compare    [--smoke | --scale] [--rounds N] [--seconds S] [--connections N] [--streams N] [--curve-rounds N]
             [--only rounds,start,memory,syscalls,steps,curves] [--tollbridge PATH | --without-tollbridge]
             [--stub HOST:PORT --peer NAME=URL,PID[,KEY] ...] [--out FILE] [WISHES]
  report     --result FILE [WISHES]
             WISHES: [--goals] [--strict] [--gate RATIO] [--rest-gate RATIO] [--svg FILE] [--record]
  stub       --listen ADDR [--sse] [--tools N]
  load       --url URL [--key K] [--tool T] [--seconds S] [--pid N,N] [--label L] [--json]
             [--shape modern|traced|legacy|plain|named|list|file] [--text-bytes N] [--answer-bytes N]
             [--connections N] [--rate N] | --sse [--streams N]
  await      --url URL [--status N] [--seconds S]
  free-port  [--count N]";

// One thread: the stub and the load tool share a core, and a second thread would only add noise.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let flags = Flags::new(words);
    match command.as_str() {
        "compare" => compare::run(flags).await,
        "report" => report::run(flags),
        "stub" => stub::run(flags).await,
        "load" => load::run(flags).await,
        "await" => ready::wait(flags).await,
        "free-port" => ready::free_ports(flags),
        _ => bail!("unknown command `{command}`\n{USAGE}"),
    }
}
