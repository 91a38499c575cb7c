//! A child process that ends with the test.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

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

    /// Asks it to end, and waits until it has.
    pub fn terminate(&mut self) {
        self.signal("TERM");
        let _ = self.0.wait();
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

/// A port that was free a moment ago: none that this process was given before, and none of those that
/// systems give to clients (from 32768 on), one of which may be there when it is needed.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 22_000;
    // Tests that run at the same time begin far from each other.
    let begin = std::process::id().wrapping_mul(997);
    let mut ports = std::iter::repeat_with(|| GIVEN.fetch_add(1, Relaxed))
        .map(|given| FIRST + begin.wrapping_add(given) % COUNT)
        .map(|port| u16::try_from(port).expect("a port"));
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}
