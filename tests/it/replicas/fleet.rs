//! Gateways with one registry.

use crate::harness::eventually;
use crate::harness::gateway::Gateway;
use crate::harness::redis::Redis;
use crate::harness::rest::{OPEN, rest};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::{Command, Output};

pub const SEAL: &str = "seal: {keys: [\"7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26\"]}\n";

/// What each replica is told of the registry; `more` is added to it.
pub fn sharing(url: &str, more: &str) -> String {
    format!("{OPEN}{SEAL}registry: {{store: redis, url: \"{url}\"{more}}}\n")
}

pub async fn replicas(redis: &Redis, count: usize) -> Vec<Gateway> {
    let mut replicas = Vec::new();
    for _ in 0..count {
        replicas.push(Gateway::start(&sharing(&redis.url(), "")).await);
    }
    replicas
}

/// The ids that a replica lists.
pub async fn ids(gateway: &Gateway) -> BTreeSet<String> {
    let listed = rest(gateway, "GET /v1/mcp/server", &Value::Null).await.json();
    let id = |server: &Value| server["server_id"].as_str().expect("an id").to_owned();
    listed.as_array().unwrap_or_else(|| panic!("a list: {listed}")).iter().map(id).collect()
}

pub async fn lists(gateway: &Gateway, id: &str, seconds: u64) {
    eventually(&format!("{id} is there"), seconds, || async { ids(gateway).await.contains(id).then_some(()) }).await;
}

pub async fn lists_no_more(gateway: &Gateway, id: &str, seconds: u64) {
    eventually(&format!("{id} is gone"), seconds, || async { (!ids(gateway).await.contains(id)).then_some(()) }).await;
}

pub async fn create(gateway: &Gateway, id: &str) -> u16 {
    let body = serde_json::json!({"server_id": id, "server_name": id, "url": "http://127.0.0.1:9/mcp"});
    rest(gateway, "POST /v1/mcp/server", &body).await.status
}

pub async fn remove(gateway: &Gateway, id: &str) -> u16 {
    rest(gateway, &format!("DELETE /v1/mcp/server/{id}"), &Value::Null).await.status
}

/// `tollbridge registry …` with the configuration of a replica.
pub fn operate(gateway: &Gateway, arguments: &[&str]) -> Output {
    operate_at(&gateway.file("gateway.yaml"), arguments)
}

pub fn operate_at(configuration: &std::path::Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
    crate::harness::gateway::unset_variables(&mut command);
    command.arg("registry").args(arguments).arg("--config").arg(configuration);
    command.output().expect("it runs")
}
