//! The gateway as a child process.

use super::http::{Client, Response};
use super::process::{Process, free_port};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const KEY: &str = "a-key-of-the-tests-0123456789";
pub const OTHER_KEY: &str = "another-key-of-the-tests-0123456789";
pub const ADMIN_KEY: &str = "an-admin-key-of-the-tests-0123456789";

pub struct Gateway {
    pub process: Process,
    pub port: u16,
    pub admin_port: u16,
    directory: PathBuf,
}

pub struct Setup {
    rest: String,
    port: u16,
    admin_port: u16,
}

impl Setup {
    /// `rest` is YAML: `servers:` and whatever else a test needs. Keys and addresses are here.
    pub fn new(rest: &str) -> Setup {
        Setup { rest: rest.to_owned(), port: free_port(), admin_port: free_port() }
    }

    pub fn text(&self) -> String {
        let Setup { rest, port, admin_port } = self;
        let keys = if rest.lines().any(|line| line.starts_with("keys:")) {
            String::new()
        } else {
            format!(
                "keys:\n  - {{id: app, key: {KEY}}}\n  - {{id: other, key: {OTHER_KEY}}}\n  - {{id: ops, key: {ADMIN_KEY}, role: admin}}\n"
            )
        };
        let listen = if rest.contains("listen:") { String::new() } else { format!("listen: 127.0.0.1:{port}\n") };
        format!("{listen}admin: {{listen: 127.0.0.1:{admin_port}}}\n{keys}{rest}\n")
    }
}

impl Setup {
    /// Starts a gateway and waits for nothing.
    pub fn launch(&self) -> Gateway {
        Gateway::launch(&self.text(), (self.port, self.admin_port), &[])
    }
}

/// What happens to be set where the tests run is not meant.
pub fn unset_variables(command: &mut Command) {
    for (variable, _) in tollbridge::conf::VARIABLES {
        command.env_remove(variable);
    }
}

impl Gateway {
    /// Starts the gateway and waits until it is ready.
    pub async fn start(rest: &str) -> Gateway {
        let gateway = Setup::new(rest).launch();
        gateway.ready().await;
        gateway
    }

    /// Starts it with a configuration as it stands here and waits for nothing.
    pub fn launch(text: &str, (port, admin_port): (u16, u16), environment: &[(&str, &str)]) -> Gateway {
        let directory = scratch();
        std::fs::write(directory.join("gateway.yaml"), text).expect("the configuration can be written");
        Gateway { process: spawn(&directory, environment), port, admin_port, directory }
    }

    /// Kills it, as `kill -9` does, and starts it again with the same configuration and the same registry.
    pub async fn restart(&mut self) {
        self.process.kill();
        self.start_again().await;
    }

    /// Starts it again with the same configuration and the same registry, after it has ended.
    pub async fn start_again(&mut self) {
        self.process = spawn(&self.directory, &[]);
        self.ready().await;
    }

    /// Waits until the process has ended, as it should.
    pub async fn ended(&mut self, seconds: u64) {
        let process = &mut self.process;
        let status = super::eventually("the process has ended", seconds, || std::future::ready(process.ended())).await;
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }

    /// Another process takes over; waits until the old one has ended.
    pub async fn upgrade(&mut self) {
        let next = self.succeed();
        self.ended(30).await;
        self.process = next;
        self.ready().await;
    }

    /// Starts a process that takes over, and waits for nothing.
    pub fn succeed(&self) -> Process {
        spawn_with(&self.directory, &["--upgrade", &self.process.id().to_string()], &[])
    }

    /// Where its registry is kept.
    pub fn registry(&self) -> PathBuf {
        self.file("gateway.db")
    }

    /// Beside its configuration.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub async fn ready(&self) {
        super::eventually("the gateway is ready", 10, || async { self.is_ready().await.then_some(()) }).await;
    }

    pub async fn is_ready(&self) -> bool {
        self.admin("/readyz").await.is_some_and(|response| response.status == 200)
    }

    pub async fn admin(&self, path: &str) -> Option<Response> {
        let mut client = Client::connect(self.admin_port).await.ok()?;
        client.get(path).await.ok()
    }

    pub async fn metrics(&self) -> String {
        self.admin("/metrics").await.expect("metrics").text()
    }

    /// The value of one series, as `name{label="value"}`; 0 where it has none yet.
    pub async fn sample(&self, series: &str) -> f64 {
        let metrics = self.metrics().await;
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        value.unwrap_or(0.0)
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.port).await.expect("the gateway accepts")
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Writes another configuration over the file; `rest` as in [`Gateway::start`].
    pub fn reconfigure(&self, rest: &str) {
        let setup = Setup { rest: rest.to_owned(), port: self.port, admin_port: self.admin_port };
        self.rewrite(&setup.text());
    }

    /// The text of the configuration file.
    pub fn configuration(&self) -> String {
        std::fs::read_to_string(self.directory.join("gateway.yaml")).expect("the configuration can be read")
    }

    /// Writes this text over the file.
    pub fn rewrite(&self, text: &str) {
        std::fs::write(self.directory.join("gateway.yaml"), text).expect("the configuration can be written");
    }

    /// What of its memory is in use.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("its state");
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        kib.map_or(0, |kib: u64| kib << 10)
    }

    /// What it has used of the processors so far.
    pub fn cpu_time(&self) -> std::time::Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("its state");
        // Behind the name, which may hold anything, in hundredths of a second.
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
        let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        std::time::Duration::from_millis(ticks * 10)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("stderr")).unwrap_or_default()
    }

    /// What it wrote to standard output: the access log.
    pub fn access_log(&self) -> String {
        std::fs::read_to_string(self.directory.join("stdout")).unwrap_or_default()
    }
}

fn spawn(directory: &Path, environment: &[(&str, &str)]) -> Process {
    spawn_with(directory, &[], environment)
}

fn spawn_with(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Process {
    let log = |name: &str| OpenOptions::new().create(true).append(true).open(directory.join(name)).expect("a log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
    unset_variables(&mut command);
    command.args(["run", "--config"]).arg(directory.join("gateway.yaml")).args(arguments);
    command.envs(environment.iter().copied()).stdout(log("stdout")).stderr(log("stderr"));
    Process::spawn(&mut command)
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.process.kill();
        if std::thread::panicking() {
            eprintln!("--- the gateway said:\n{}", self.log());
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A directory of this test's own.
pub fn scratch() -> PathBuf {
    let name = format!("tollbridge-test-{}-{}", std::process::id(), free_port());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).expect("a scratch directory");
    directory
}
