//! `bench`: the load tool, the stub upstream and the report behind `bench/run`.
//!
//! - [`stub`] an MCP upstream that costs next to nothing
//! - [`load`] the closed loop of calls, and the streams of events
//! - [`measurement`] what one run of `load` found, as one line of JSON
//! - [`report`] medians over many measurements, as Markdown and JSON, and the gate
//! - [`ready`] waiting for a server, free ports
//! - [`target`], [`wire`] where to, and HTTP/1.1 on one connection
//! - [`clock`], [`delays`], [`process`], [`flags`] instruments
//!
//! It knows nothing of Tollbridge's code: what it measures it reaches over TCP only.

mod clock;
mod delays;
mod flags;
mod load;
mod measurement;
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
  stub       --listen ADDR [--sse]
  load       --url URL [--key K] [--tool T] [--seconds S] [--pid N,N] [--label L] [--json]
             [--connections N] [--rest plain|named] [--text-bytes N] | --sse [--streams N]
  report     --measurements FILE [--about TEXT] [--out FILE] [--gate RATIO] [--rest-gate RATIO]
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
        "stub" => stub::run(flags).await,
        "load" => load::run(flags).await,
        "report" => report::run(flags),
        "await" => ready::wait(flags).await,
        "free-port" => ready::free_ports(flags),
        _ => bail!("unknown command `{command}`\n{USAGE}"),
    }
}
