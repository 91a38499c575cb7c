//! Who is compared: the stub itself and the proxies before it, each as a process that was started.

mod haproxy;
mod nginx;
mod peer;
mod stub;
mod tollbridge;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::sleep;

use super::child::{Child, Side};
use crate::load::request::{Progress, Shape, Template, text};
use crate::process::Processes;
use crate::target::Target;
pub use haproxy::Haproxy;
pub use nginx::Nginx;
pub use peer::Peer;
pub use stub::Stub;
pub use tollbridge::{Server, Setup, Tollbridge};

/// Of text, so that the arguments of a call have 300 bytes.
const TEXT_BYTES: usize = 262;

const READY: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// A URL with the key that opens it and the processes behind it.
#[derive(Clone)]
pub struct Door {
    pub target: Target,
    pub key: Option<String>,
    pub processes: Processes,
}

impl Door {
    /// What asks here for `tool`, in this shape, with 300 bytes of arguments.
    pub fn template(&self, path: &str, shape: Shape, tool: &str) -> Template {
        Template {
            target: Target { path: path.to_owned(), ..self.target.clone() },
            key: self.key.clone(),
            tool: tool.to_owned(),
            shape,
            progress: Progress::Untold,
            text: text(TEXT_BYTES),
            answer_bytes: None,
        }
    }
}

/// Starts a server and returns when `url` is answered properly.
async fn start(command: Command, side: Side, log: &Path, url: &str) -> Result<Child> {
    let mut child = Child::start(command, side, log)?;
    let target: Target = url.parse()?;
    while !crate::ready::is_served(&target).await {
        if child.has_ended() {
            bail!("the server for {url} has ended: see its log");
        }
        if child.started.elapsed() > READY {
            bail!("{url} was not answered within {} s: see the server's log", READY.as_secs());
        }
        sleep(BETWEEN_LOOKS).await;
    }
    child.ready_after = child.started.elapsed();
    Ok(child)
}

/// Whether `program` can be started at all.
pub fn is_installed(program: &str) -> bool {
    let mut question = Command::new(program);
    question.arg("-v").stdin(std::process::Stdio::null());
    question.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    question.status().is_ok()
}

/// Asks until the first proper answer: a gateway may still be finding out what its servers have.
pub async fn settle(template: &Template) -> Result<()> {
    let template = Arc::new(template.clone());
    let mut last = None;
    for _ in 0..300 {
        let mut client = crate::load::client::Client::new(template.clone(), 0);
        match crate::load::calls::call(&mut client).await {
            Ok(crate::load::ticket::Verdict::Right) => return Ok(()),
            Ok(crate::load::ticket::Verdict::Crossed) => {
                bail!("{} gave an answer to another question", template.target.path)
            }
            Err(error) => last = Some(error),
        }
        sleep(Duration::from_millis(100)).await;
    }
    let last = last.context("it was asked")?;
    Err(last.context(format!("http://{}{} does not answer", template.target.authority, template.target.path)))
}
