//! Arguments, configuration, server.

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tollbridge::conf::Conf;
use tollbridge::registry::operator::{self, Verb};
use tollbridge::server::Start;
use tollbridge::{conf, demo, keys, server};

/// Measured beside mimalloc: calls and quiet streams cost the same, an idle process 16 MiB less.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// One MCP endpoint before all your MCP servers.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve.
    Run {
        #[arg(long)]
        config: PathBuf,
        /// Take over from the process with this id: its listeners, its registry and its sessions.
        #[arg(long, value_name = "PID")]
        upgrade: Option<i32>,
    },
    /// Say everything that is wrong with a configuration, each with its line.
    Check {
        #[arg(long)]
        config: PathBuf,
    },
    /// Start two small MCP servers and a gateway before them, and show a client's way through.
    Demo {
        /// Serve one of the small servers alone: `modern` or `legacy`.
        #[arg(long, hide = true)]
        upstream: Option<String>,
        #[arg(long, hide = true, default_value_t = 0)]
        port: u16,
    },
    /// Decide about the registry that replicas share.
    Registry {
        #[command(subcommand)]
        command: RegistryCommand,
    },
    /// Make keys.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
}

#[derive(Subcommand)]
enum RegistryCommand {
    /// Say what is in Redis, and what was seen last.
    Show {
        #[arg(long)]
        config: PathBuf,
    },
    /// Begin an empty registry, where there is none.
    Init {
        #[arg(long)]
        config: PathBuf,
    },
    /// What is in Redis counts, although it is older than what is known, or another one.
    Adopt {
        #[arg(long)]
        config: PathBuf,
    },
    /// What was seen last (`registry.path`) counts: it replaces what is in Redis.
    Restore {
        #[arg(long)]
        config: PathBuf,
        /// Although what is in Redis has gone on since.
        #[arg(long)]
        older: bool,
    },
    /// Take over the servers that RouteIQ has registered in a Redis.
    Import {
        #[arg(long)]
        config: PathBuf,
        /// RouteIQ's Redis, if it is another one.
        #[arg(long, value_name = "URL")]
        from: Option<String>,
    },
}

#[derive(Subcommand)]
enum KeysCommand {
    /// A new random key, and the digest to put into the configuration.
    New,
    /// The digest of a key that is read from standard input.
    Hash,
}

fn main() -> ExitCode {
    match act(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(command: Command) -> Result<()> {
    match command {
        Command::Run { config, upgrade } => {
            server::log_to_stderr();
            let checked = load(&config)?;
            server::run(checked, Some(config), upgrade.map_or(Start::Open, Start::TakeOver))
        }
        Command::Check { config } => {
            let checked = load(&config)?;
            for taken in &checked.taken {
                println!("{taken}");
            }
            for idle in &checked.idle {
                println!("{idle}");
            }
            let keys: BTreeSet<&str> = checked.keys.iter().map(|key| key.id.as_str()).collect();
            println!("{}: all right, {} servers, {} keys", config.display(), checked.servers.len(), keys.len());
            Ok(())
        }
        Command::Demo { upstream: Some(era), port } => demo::serve(&era, port),
        Command::Demo { upstream: None, .. } => demo::run(),
        Command::Registry { command } => decide(command).map(|said| println!("{said}")),
        Command::Keys { command: KeysCommand::New } => keys::print_new(),
        Command::Keys { command: KeysCommand::Hash } => keys::print_hash(),
    }
}

fn decide(command: RegistryCommand) -> Result<String> {
    let (verb, config) = match command {
        RegistryCommand::Show { config } => (Verb::Show, config),
        RegistryCommand::Init { config } => (Verb::Init, config),
        RegistryCommand::Adopt { config } => (Verb::Adopt, config),
        RegistryCommand::Restore { config, older: false } => (Verb::Restore, config),
        RegistryCommand::Restore { config, older: true } => (Verb::RestoreOlder, config),
        RegistryCommand::Import { config, from } => {
            return operator::import(&load(&config)?, &config, from.as_deref());
        }
    };
    operator::act(verb, &load(&config)?, &config)
}

fn load(config: &Path) -> Result<Conf> {
    conf::load(config).with_context(|| format!("{} is not right", config.display()))
}
