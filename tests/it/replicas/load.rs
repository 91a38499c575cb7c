//! Clients that call without a pause, and a ledger of what became of each call.

use crate::harness::eventually;
use crate::harness::gateway::KEY;
use crate::harness::http::{Client, Response};
use crate::harness::messages::{call, initialize_with, legacy_call};
use crate::harness::recorder::{Recorder, Reply, Speaks, TOOL};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// A call as its client saw it.
#[derive(Clone, Debug)]
pub struct Call {
    pub nonce: String,
    pub port: u16,
    pub begun: Instant,
    /// `None`: it is right; else what came in place of the answer.
    pub failed: Option<String>,
}

pub struct Load {
    pub calls: Mutex<Vec<Call>>,
    pub under_way: AtomicUsize,
    ports: Vec<u16>,
    is_over: AtomicBool,
    clients: tokio::sync::Mutex<JoinSet<()>>,
}

/// A server that says again what it was told.
pub async fn echo(speaks: Speaks) -> Recorder {
    let server = Recorder::start(speaks, &[TOOL]).await;
    server.answers(|call| {
        let nonce = call.member("/params/arguments/nonce").unwrap_or_default();
        let result = json!({"content": [], "structuredContent": {"nonce": nonce}, "resultType": "complete"});
        Reply::Late(Duration::from_millis(3), call.result(&result.to_string()))
    });
    server
}

impl Load {
    /// So many clients with a session, and as many without, each call at the next of these ports that listens.
    pub async fn start(ports: &[u16], clients: usize) -> Arc<Load> {
        let load = Arc::new(Load {
            calls: Mutex::default(),
            under_way: AtomicUsize::new(0),
            ports: ports.to_vec(),
            is_over: AtomicBool::new(false),
            clients: tokio::sync::Mutex::default(),
        });
        for number in 0..clients {
            let mut all = load.clients.lock().await;
            all.spawn(Arc::clone(&load).hold_session(number));
            all.spawn(Arc::clone(&load).call_alone(number));
        }
        load
    }

    /// Waits until so many calls that begin from then on, at one of these ports, have ended.
    pub async fn has_called(&self, ports: &[u16], since: Instant, count: usize) {
        let is_meant = |call: &&Call| call.begun >= since && ports.contains(&call.port);
        let enough = || async { (self.calls.lock().unwrap().iter().filter(is_meant).count() >= count).then_some(()) };
        eventually("calls go on", 20, enough).await;
    }

    pub async fn end(&self) -> Vec<Call> {
        self.is_over.store(true, Ordering::SeqCst);
        std::mem::take(&mut *self.clients.lock().await).join_all().await;
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    async fn hold_session(self: Arc<Load>, number: usize) {
        let (mut client, _) = self.connect(number).await;
        let session = initialize_with(&mut client, "/mcp", KEY, "{}").await.expect("a session");
        for turn in 0.. {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            let (nonce, arguments) = nonce("s", number, turn);
            let (mut client, port) = self.connect(number + turn).await;
            let begun = self.begin();
            let answer = legacy_call(&mut client, "/mcp", KEY, &session, "old__say", &arguments).await;
            self.note(nonce, port, begun, answer);
        }
    }

    async fn call_alone(self: Arc<Load>, number: usize) {
        for turn in 0.. {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            let (nonce, arguments) = nonce("m", number, turn);
            let (mut client, port) = self.connect(number + turn).await;
            let begun = self.begin();
            let answer = call(&mut client, "/mcp", "new__say", &arguments).await;
            self.note(nonce, port, begun, answer);
        }
    }

    /// As a load balancer does: where nobody listens, the next one.
    async fn connect(&self, turn: usize) -> (Client, u16) {
        for turn in turn.. {
            let port = self.ports[turn % self.ports.len()];
            if let Ok(client) = Client::connect(port).await {
                return (client, port);
            }
            tokio::task::yield_now().await;
        }
        unreachable!("somebody listens some day")
    }

    fn begin(&self) -> Instant {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        Instant::now()
    }

    fn note(&self, nonce: String, port: u16, begun: Instant, answer: std::io::Result<Response>) {
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        let failed = match answer {
            Err(error) => Some(error.to_string()),
            Ok(answer) if said(&answer) == nonce => None,
            Ok(answer) => Some(format!("{} {}", answer.status, answer.text())),
        };
        self.calls.lock().unwrap().push(Call { nonce, port, begun, failed });
    }
}

fn nonce(kind: &str, number: usize, turn: usize) -> (String, String) {
    let nonce = format!("{kind}{number}-{turn}");
    let arguments = json!({"nonce": nonce}).to_string();
    (nonce, arguments)
}

/// The nonce of an answer, also where it came as an event.
fn said(answer: &Response) -> String {
    if answer.status != 200 {
        return String::new();
    }
    let text = answer.text();
    let json = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&text);
    let json: Value = serde_json::from_str(json).unwrap_or_default();
    json["result"]["structuredContent"]["nonce"].as_str().unwrap_or_default().to_owned()
}

/// How often each call arrived at the servers.
pub fn arrived(servers: &[&Recorder]) -> HashMap<String, usize> {
    let mut arrived = HashMap::new();
    for call in servers.iter().flat_map(|server| server.calls()) {
        *arrived.entry(call.member("/params/arguments/nonce").unwrap_or_default()).or_default() += 1;
    }
    arrived
}
