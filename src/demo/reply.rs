//! What came back on one request, and what a step of the demonstration asks of it.

use anyhow::{Context, ensure};
use serde_json::Value;

pub(super) struct Reply {
    pub(super) status: u16,
    /// Mcp-Session-Id; empty where there is none.
    pub(super) session: String,
    pub(super) messages: Vec<Value>,
}

impl Reply {
    pub(super) fn accepted(&self) -> anyhow::Result<()> {
        ensure!((200..300).contains(&self.status), "the status is {}", self.status);
        Ok(())
    }

    /// The result in the last message; an error in its place is why the step failed.
    pub(super) fn result(&self) -> anyhow::Result<&Value> {
        self.accepted()?;
        let last = self.messages.last().context("the body is empty")?;
        last.get("result").with_context(|| format!("no result: {}", last["error"]))
    }

    pub(super) fn says(&self, wanted: &str) -> anyhow::Result<()> {
        let result = self.result()?;
        let text = result.pointer("/content/0/text").and_then(Value::as_str).context("no text")?;
        ensure!(result["isError"] != true, "the tool failed: {text}");
        ensure!(text == wanted, "the text is {text:?}");
        Ok(())
    }

    pub(super) fn notifications(&self, method: &str) -> usize {
        self.messages.iter().filter(|message| message["method"] == method).count()
    }

    pub(super) fn tools(&self) -> anyhow::Result<Vec<&str>> {
        let tools = self.result()?["tools"].as_array().context("no list of tools")?;
        Ok(tools.iter().filter_map(|tool| tool["name"].as_str()).collect())
    }
}
