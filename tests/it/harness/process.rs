//! A child process that ends with the test.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

pub struct Process(Child);

impl Process {
    pub fn spawn(command: &mut Command) -> Process {
        let child = command.stdin(Stdio::null()).spawn();
        Process(child.unwrap_or_else(|error| panic!("{command:?} does not start: {error}")))
    }

    pub fn stdout(&mut self) -> std::process::ChildStdout {
        self.0.stdout.take().expect("its standard output is a pipe")
    }

    pub fn stderr(&mut self) -> std::process::ChildStderr {
        self.0.stderr.take().expect("its standard error is a pipe")
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot send {name}");
    }

    /// The exit status, once it has ended.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.0.try_wait().expect("its state can be read")
    }

    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
