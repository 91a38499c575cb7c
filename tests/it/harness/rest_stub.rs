//! The server that speaks RouteIQ's REST dialect (`tests/peers/rest_stub`).

use super::http::Client;
use super::process::Process;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

pub struct RestStub {
    _process: Process,
    pub port: u16,
}

impl RestStub {
    /// `flags` as the script explains them.
    pub fn start(flags: &[&str]) -> RestStub {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/rest_stub/server.py");
        let mut command = Command::new("python3");
        command.arg(script).arg("0").args(flags).stdout(Stdio::piped());
        let mut process = Process::spawn(&mut command);
        let first = BufReader::new(process.stdout()).lines().next().and_then(Result::ok).unwrap_or_default();
        let port = first.strip_prefix("listening ").and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("the REST stub does not start: {first}"));
        RestStub { _process: process, port }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// How often it was asked for this, as in `POST /mcp/tools/call`.
    pub async fn count(&self, request: &str) -> u64 {
        let mut client = Client::connect(self.port).await.expect("the stub accepts");
        client.get("/counts").await.expect("its counts").json()[request].as_u64().unwrap_or(0)
    }
}
