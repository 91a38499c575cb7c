//! Real MCP servers and clients, written with the official SDKs (`tests/peers`).

use super::http::Client;
use super::process::Process;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    TypeScriptV2,
    PythonV2,
    TypeScriptV1,
    PythonV1,
    /// `@modelcontextprotocol/server-everything`; a server only.
    Everything,
    /// FastMCP with its tasks extension; a server only.
    FastMcp,
    /// rmcp, in its modern and its legacy form; servers only.
    RustModern,
    RustLegacy,
}

impl Sdk {
    pub fn name(self) -> &'static str {
        match self {
            Sdk::TypeScriptV2 => "typescript-2.4.0",
            Sdk::PythonV2 => "python-2.3.0",
            Sdk::TypeScriptV1 => "typescript-1.32.2",
            Sdk::PythonV1 => "python-1.30.0",
            Sdk::Everything => "server-everything-2026.8.31",
            Sdk::FastMcp => "fastmcp-4.1.2",
            Sdk::RustModern => "rmcp-3.9-modern",
            Sdk::RustLegacy => "rmcp-3.9-legacy",
        }
    }

    fn program(self, role: &str) -> Command {
        let (interpreter, script) = match self {
            Sdk::TypeScriptV2 => ("bin/node", format!("ts-v2/{role}.mjs")),
            Sdk::TypeScriptV1 => ("bin/node", format!("ts-v1/{role}.mjs")),
            Sdk::Everything => ("bin/node", "ts-v1/everything.mjs".to_owned()),
            Sdk::PythonV2 => ("py-v2/bin/python", format!("py-v2/{role}.py")),
            Sdk::PythonV1 => ("py-v1/bin/python", format!("py-v1/{role}.py")),
            Sdk::FastMcp => ("py-tasks/bin/python", format!("py-tasks/{role}.py")),
            Sdk::RustModern | Sdk::RustLegacy => return self.rust(),
        };
        let mut command = Command::new(installed().join(interpreter));
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script));
        command
    }

    fn rust(self) -> Command {
        let era = if self == Sdk::RustModern { "modern" } else { "legacy" };
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
        command.args(["demo", "--upstream", era]);
        command
    }
}

/// Where `tests/peers/install` puts the SDKs.
pub(super) fn installed() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache/tollbridge/peers");
    std::env::var_os("TOLLBRIDGE_PEERS").map_or_else(home, PathBuf::from)
}

/// A server, running.
pub struct Peer {
    pub process: Process,
    pub port: u16,
    sdk: Sdk,
}

impl Peer {
    pub fn start(sdk: Sdk) -> Peer {
        Peer::start_at(sdk, 0)
    }

    pub fn start_at(sdk: Sdk, port: u16) -> Peer {
        Peer::start_with(sdk, port, &[])
    }

    /// One whose streams can be resumed, where that is a choice.
    pub fn start_resumable(sdk: Sdk) -> Peer {
        let more: &[&str] = if sdk == Sdk::TypeScriptV1 { &["--resumable"] } else { &[] };
        Peer::start_with(sdk, 0, more)
    }

    fn start_with(sdk: Sdk, port: u16, more: &[&str]) -> Peer {
        let mut command = sdk.program("server");
        command.args(more);
        command.args(["--port", &port.to_string()]).stdout(Stdio::piped()).stderr(Stdio::null());
        if !matches!(sdk, Sdk::RustModern | Sdk::RustLegacy | Sdk::Everything) {
            command.args(["--name", sdk.name()]);
        }
        let mut process = Process::spawn(&mut command);
        let mut lines = BufReader::new(process.stdout()).lines();
        let port = lines.find_map(|line| line.ok()?.strip_prefix("listening ")?.trim().parse().ok());
        // Whatever else it says must not block it.
        std::thread::spawn(move || lines.for_each(drop));
        let port = port.unwrap_or_else(|| panic!("{} does not start; run tests/peers/install", sdk.name()));
        Peer { process, port, sdk }
    }

    /// Starts it anew at its port: what it knew is gone.
    pub fn restart(&mut self) {
        self.process.kill();
        *self = Peer::start_at(self.sdk, self.port);
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    pub fn stats_url(&self) -> String {
        format!("http://127.0.0.1:{}/stats", self.port)
    }

    /// What the server itself counted.
    pub async fn stats(&self) -> serde_json::Value {
        let mut client = Client::connect(self.port).await.expect("the server accepts");
        client.get("/stats").await.expect("its counts").json()
    }
}

/// Runs a client through all of its features; gives its lines.
pub async fn run_client(sdk: Sdk, arguments: Vec<String>) -> Vec<serde_json::Value> {
    let mut command = sdk.program("client");
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it ran").expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<serde_json::Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(!lines.is_empty(), "{} said nothing: {}", sdk.name(), String::from_utf8_lossy(&output.stderr));
    lines
}
