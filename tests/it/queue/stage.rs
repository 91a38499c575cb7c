//! A Redis, a server, and gateways that do jobs.

use crate::harness::eventually;
use crate::harness::gateway::Gateway;
use crate::harness::recorder::{Recorder, Speaks, TOOL};
use crate::harness::redis::Redis;
use serde_json::{Value, json};

pub struct Stage {
    pub redis: Redis,
    pub server: Recorder,
}

impl Stage {
    pub async fn start() -> Stage {
        Stage { redis: Redis::start().await, server: Recorder::start(Speaks::Modern, &[TOOL]).await }
    }

    /// What a gateway is told; `more` is added to `queue`.
    pub fn conf(&self, more: &str) -> String {
        self.conf_with(more, &self.server.url())
    }

    /// With another server as `rec`. It says what it is, so that nobody waits to find out.
    pub fn conf_with(&self, more: &str, server: &str) -> String {
        let url = self.redis.url();
        format!(
            "queue: {{principal: app, url: \"{url}\", lease: 1s{more}}}\n\
             servers:\n  rec: {{url: \"{server}\", era: modern}}\n"
        )
    }

    pub async fn gateway(&self) -> Gateway {
        Gateway::start(&self.conf("")).await
    }

    pub fn push(&self, list: &str, message: &Value) {
        self.redis.cli(&["LPUSH", list, &message.to_string()]);
    }

    pub fn list(&self, list: &str) -> Vec<String> {
        self.redis
            .cli(&["LRANGE", list, "0", "-1"])
            .lines()
            .map(str::to_owned)
            .filter(|line| !line.is_empty())
            .collect()
    }

    /// What was answered, once it is.
    pub async fn answer(&self, id: &str) -> (String, Value) {
        let key = format!("request:{id}");
        eventually(&format!("{id} is answered"), 15, || async {
            let status = self.redis.cli(&["HGET", &key, "status"]).trim().to_owned();
            let result = self.redis.cli(&["HGET", &key, "result"]);
            (!status.is_empty()).then(|| (status, serde_json::from_str(&result).expect("JSON")))
        })
        .await
    }

    pub async fn error(&self, id: &str) -> String {
        let (status, result) = self.answer(id).await;
        assert_eq!(status, "error", "{result}");
        result["error"].as_str().unwrap_or_else(|| panic!("an error: {result}")).to_owned()
    }

    /// The state of the one job that somebody has taken, once there is one.
    pub async fn state(&self, wanted: &str) {
        let part = format!("\"state\":\"{wanted}\"");
        eventually(&format!("the job is {wanted}"), 10, || async {
            self.redis.cli(&["HVALS", "tb:queue:jobs"]).contains(&part).then_some(())
        })
        .await;
    }
}

pub fn call(id: &str, tool: &str, args: Value) -> Value {
    json!({"request_id": id, "action": "mcp_tool_call", "payload": {"tool_name": tool, "args": args}})
}
