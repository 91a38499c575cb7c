//! Another gateway that runs already: which calls it answers is found out by asking.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::super::plan::PeerAt;
use super::Door;
use crate::load::calls::call;
use crate::load::client::{Client, open_session};
use crate::load::request::{Shape, Template};
use crate::load::ticket::Verdict;
use crate::process::Processes;

const TOOL: &str = "echo";
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

pub struct Peer {
    /// What the table calls it, and what it is asked.
    pub rows: Vec<(String, Template)>,
    pub door: Door,
}

impl Peer {
    /// Asks it in both eras, until it has answered in one or was given long enough.
    pub async fn meet(at: &PeerAt, patience: Duration) -> Result<Self> {
        let processes = Processes::with_children(&[at.pid])?;
        ensure!(processes.cpu_time()?.is_some(), "there is no process {}", at.pid);
        let door = Door { target: at.target.clone(), key: at.key.clone(), processes };
        let deadline = Instant::now() + patience;
        let mut rows = Self::rows(at, &door).await;
        while rows.is_empty() && Instant::now() < deadline {
            tokio::time::sleep(BETWEEN_TRIES).await;
            rows = Self::rows(at, &door).await;
        }
        Ok(Self { rows, door })
    }

    async fn rows(at: &PeerAt, door: &Door) -> Vec<(String, Template)> {
        let mut rows = Vec::new();
        for (shape, name) in [(Shape::Modern, at.name.clone()), (Shape::Legacy, format!("{}, legacy session", at.name))]
        {
            if let Some(template) = spoken(door, shape).await {
                rows.push((name, template));
            }
        }
        rows
    }
}

/// A call that this peer answers properly, if it speaks this era.
async fn spoken(door: &Door, shape: Shape) -> Option<Template> {
    let path = &door.target.path;
    let tool = tool(&door.template(path, shape, TOOL)).await.unwrap_or_else(|| TOOL.to_owned());
    let template = door.template(path, shape, &tool);
    let mut client = Client::new(Arc::new(template.clone()), 0);
    matches!(call(&mut client).await, Ok(Verdict::Right)).then_some(template)
}

/// What the peer calls the tool: gateways put something before a server's names.
async fn tool(template: &Template) -> Option<String> {
    let mut wire = template.target.connect().await.ok()?;
    let session = match template.shape {
        Shape::Legacy => open_session(template, &mut wire).await.ok()?,
        _ => None,
    };
    wire.send(template.list(session.as_deref()).as_bytes()).await.ok()?;
    let (_, head) = wire.response().await.ok()?;
    let body = wire.body(head.framing).await.ok()?;
    names(&String::from_utf8_lossy(&body)).find(|name| name.ends_with(TOOL)).map(str::to_owned)
}

/// All that is called a name in a list, without asking how it is wrapped.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split("\"name\":").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_found_in_json_and_in_events() {
        let text =
            "event: message\ndata: {\"result\":{\"tools\":[{\"name\": \"a\"},{\"name\":\"x_echo\",\"t\":1}]}}\n\n";
        assert_eq!(super::names(text).collect::<Vec<_>>(), ["a", "x_echo"]);
    }
}
