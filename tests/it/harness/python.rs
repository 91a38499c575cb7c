//! What REST callers run in Python: programs and snippets, with the packages of `tests/peers/py-rest`.

use super::peer::installed;
use std::path::Path;
use std::process::{Command, Stdio};

/// A program beside the packages.
pub fn program(name: &str) -> Command {
    let mut command = python();
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/py-rest").join(name));
    command
}

pub fn python() -> Command {
    Command::new(installed().join("py-rest/bin/python"))
}

/// Runs it to its end, which must be a good one, and gives what it printed.
pub async fn run(mut command: Command) -> String {
    command.stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it ran").expect("it starts");
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {said}\n{complained}", output.status);
    said.into_owned()
}
