//! A real redis-server on loopback, as a child process.

use super::eventually;
use super::gateway::scratch;
use super::process::{Process, free_port};
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub struct Redis {
    pub port: u16,
    process: Process,
    directory: PathBuf,
    arguments: Vec<String>,
}

impl Redis {
    /// What is acknowledged is on its disk, so that it is there again after a kill.
    pub async fn start() -> Redis {
        Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await
    }

    pub async fn start_with(arguments: &[&str]) -> Redis {
        let (port, directory) = (free_port(), scratch());
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let process = spawn(port, &directory, &arguments);
        let redis = Redis { port, process, directory, arguments };
        redis.answers().await;
        redis
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn kill(&mut self) {
        self.process.kill();
    }

    pub async fn start_again(&mut self) {
        self.process = spawn(self.port, &self.directory, &self.arguments);
        self.answers().await;
    }

    /// What it has on its disk is gone.
    pub fn forget(&self) {
        let _ = std::fs::remove_dir_all(self.directory.join("appendonlydir"));
    }

    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    async fn answers(&self) {
        let answers = || async { (self.cli(&["PING"]).trim() == "PONG").then_some(()) };
        eventually("redis-server answers", 10, answers).await;
    }

    /// For more than a command now and then.
    pub async fn connection(&self) -> ::redis::aio::MultiplexedConnection {
        let client = ::redis::Client::open(self.url()).expect("an address");
        client.get_multiplexed_async_connection().await.expect("a connection")
    }

    /// What `redis-cli` prints.
    pub fn cli(&self, command: &[&str]) -> String {
        let mut cli = Command::new("redis-cli");
        cli.args(["-p", &self.port.to_string()]).args(command).stdin(Stdio::null());
        let printed = cli.output().unwrap_or_else(|error| panic!("redis-cli does not start: {error}"));
        String::from_utf8_lossy(&printed.stdout).into_owned()
    }

    /// Everything that is in it, keys and values, as text.
    pub fn dump(&self) -> String {
        let keys = self.cli(&["KEYS", "*"]);
        let mut dump = keys.clone();
        for key in keys.lines() {
            dump += &match self.cli(&["TYPE", key]).trim() {
                "hash" => self.cli(&["HGETALL", key]),
                "zset" => self.cli(&["ZRANGE", key, "0", "-1", "WITHSCORES"]),
                "list" => self.cli(&["LRANGE", key, "0", "-1"]),
                "set" => self.cli(&["SMEMBERS", key]),
                _ => self.cli(&["GET", key]),
            };
        }
        dump
    }
}

fn spawn(port: u16, directory: &std::path::Path, arguments: &[String]) -> Process {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(directory);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    Process::spawn(&mut command)
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.process.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
