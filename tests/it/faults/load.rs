//! Clients in a closed loop, and what became of each of their calls.

use super::Era;
use crate::harness::gateway::{Gateway, KEY};
use crate::harness::http::{Client, Response};
use crate::harness::messages::{call, initialize, legacy, legacy_call};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use tokio::task::JoinSet;

pub const CLIENTS: usize = 24;

const PHASES: [&str; 3] = ["before", "during", "after"];
pub const DURING: u8 = 1;
pub const AFTER: u8 = 2;
const OVER: u8 = 3;

pub type Outcomes = BTreeMap<String, Result<(), String>>;

/// Clients in a closed loop.
pub struct Load {
    phase: Arc<AtomicU8>,
    outcomes: Arc<Mutex<Outcomes>>,
    clients: JoinSet<()>,
}

impl Load {
    pub fn start(gateway: &Gateway, era: Era) -> Load {
        let mut load = Load { phase: Arc::default(), outcomes: Arc::default(), clients: JoinSet::new() };
        for client in 0..CLIENTS {
            let (port, phase, outcomes) = (gateway.port, Arc::clone(&load.phase), Arc::clone(&load.outcomes));
            load.clients.spawn(async move {
                let mut session = None;
                for turn in 0.. {
                    let Some(phase) = PHASES.get(usize::from(phase.load(Ordering::SeqCst))) else {
                        return;
                    };
                    let nonce = format!("{phase}-{client}-{turn}");
                    let outcome = match era {
                        Era::Modern => call_once(port, &nonce).await,
                        Era::Legacy => call_in_session(port, &mut session, &nonce).await,
                    };
                    // Sessions end and begin.
                    if let Some(ended) = session.take_if(|_| turn % 20 == 0) {
                        let mut client = Client::connect(port).await.expect("a connection");
                        client.request("DELETE", "/mcp", &legacy(KEY, Some(&ended))).await.expect("an answer");
                    }
                    outcomes.lock().unwrap().insert(nonce, outcome);
                }
            });
        }
        load
    }

    pub fn enter(&self, phase: u8) {
        self.phase.store(phase, Ordering::SeqCst);
    }

    pub async fn stop(&mut self) -> Outcomes {
        self.enter(OVER);
        while let Some(ended) = self.clients.join_next().await {
            ended.expect("a client lives");
        }
        std::mem::take(&mut self.outcomes.lock().unwrap())
    }
}

/// Whether the answer is that of this very call.
async fn call_once(port: u16, nonce: &str) -> Result<(), String> {
    let said = async {
        let mut client = Client::connect(port).await?;
        call(&mut client, "/mcp", "ts__echo", &echoing(nonce)).await
    };
    judge(said.await, nonce)
}

/// In a session that is kept from call to call. A client whose session is gone starts anew and repeats
/// the call: it was not executed.
async fn call_in_session(port: u16, session: &mut Option<String>, nonce: &str) -> Result<(), String> {
    let mut said = async || {
        let mut client = Client::connect(port).await?;
        let known = match session.take() {
            Some(known) => known,
            None => initialize(&mut client, "/mcp", KEY).await,
        };
        let answer = legacy_call(&mut client, "/mcp", KEY, &known, "ts__echo", &echoing(nonce)).await?;
        *session = (answer.status != 404).then_some(known);
        Ok(answer)
    };
    let mut answer = said().await;
    if answer.as_ref().is_ok_and(|answer| answer.status == 404) {
        answer = said().await;
    }
    judge(answer, nonce)
}

fn echoing(nonce: &str) -> String {
    format!(r#"{{"text":"{nonce}","nonce":"{nonce}"}}"#)
}

fn judge(answer: std::io::Result<Response>, nonce: &str) -> Result<(), String> {
    let answer = answer.map_err(|error| format!("no answer: {error}"))?;
    if answer.status == 200 && answer.json()["result"]["structuredContent"]["text"] == nonce {
        return Ok(());
    }
    assert!(!answer.text().contains("structuredContent"), "{nonce} got another's answer: {}", answer.text());
    Err(format!("{} {}", answer.status, answer.text()))
}
