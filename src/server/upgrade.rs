//! Handing over to another process: it gets the sockets that listen (Pingora passes them over a socket of
//! the file system), the registry's file and the sessions, and nobody notices.

use crate::gateway::Gateway;
use anyhow::{Context, Result, anyhow};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often to look whether somebody waits, and how long.
const LOOK: Duration = Duration::from_millis(10);
const LOOKS_MAX: usize = 500;

/// What a path of a socket may be long (unix(7)).
const PATH_BYTES_MAX: usize = 107;

/// In `/proc/net/unix`, the flag of a socket that listens.
const LISTENS: &str = "00010000";

/// Where the two processes meet: a socket in a directory that is theirs alone, beside the configuration.
pub(super) struct Meeting {
    directory: PathBuf,
}

impl Meeting {
    pub(super) fn beside(configuration: &Path) -> Result<Meeting> {
        let configuration = std::path::absolute(configuration).context("the configuration has no absolute path")?;
        Ok(Meeting { directory: configuration.with_extension("upgrade") })
    }

    pub(super) fn socket(&self) -> String {
        self.directory.join("socket").to_string_lossy().into_owned()
    }

    /// Asks a process to hand over, as soon as this one waits for it.
    pub(super) fn invite(&self, pid: i32) -> Result<()> {
        let socket = self.socket();
        if socket.len() > PATH_BYTES_MAX {
            return Err(anyhow!("{socket} is too long for a socket; move the configuration to a shorter path"));
        }
        let process = Pid::from_raw(pid);
        kill(process, None).with_context(|| format!("there is no process {pid} to take over from"))?;
        if !is_ours(pid) {
            return Err(anyhow!("process {pid} is no tollbridge"));
        }
        // Whoever could reach the socket could hand us sockets of its own.
        let made = DirBuilder::new().mode(0o700).recursive(true).create(&self.directory);
        made.with_context(|| format!("{} cannot be made", self.directory.display()))?;
        tracing::info!(pid, "taking over");
        let inviting = std::thread::Builder::new().name("upgrade".to_owned());
        inviting
            .spawn(move || {
                for _ in 0..LOOKS_MAX {
                    if listens(&socket) {
                        return kill(process, Signal::SIGQUIT).unwrap_or_else(|error| {
                            tracing::error!(pid, %error, "the process cannot be told to hand over");
                        });
                    }
                    std::thread::sleep(LOOK);
                }
            })
            .context("no thread for the upgrade")?;
        Ok(())
    }

    /// The listeners are here.
    pub(super) fn leave(&self) {
        if let Err(why) = std::fs::remove_dir_all(&self.directory) {
            tracing::debug!(directory = %self.directory.display(), %why, "what was made for the upgrade stays");
        }
    }

    /// Whether a process waits for being handed over to.
    pub(super) fn is_attended(&self) -> bool {
        listens(&self.socket())
    }
}

/// The signal ends every other program.
fn is_ours(pid: i32) -> bool {
    let name = |process: &str| std::fs::read_to_string(format!("/proc/{process}/comm")).ok();
    name(&pid.to_string()).is_some_and(|theirs| theirs.starts_with("tollbridge") || Some(theirs) == name("self"))
}

/// Asked without connecting, because that would be taken for the handover itself.
fn listens(socket: &str) -> bool {
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    sockets.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace();
        fields.nth(3) == Some(LISTENS) && fields.nth(3) == Some(socket)
    })
}

/// Takes sessions from the process before, and hands them on to the one after.
#[derive(Clone)]
pub(super) struct Handover {
    pub(super) gateway: Arc<Gateway>,
    /// `None`: nothing of this gateway is kept.
    pub(super) file: Option<PathBuf>,
}

impl Handover {
    /// The process `before` goes on for a while.
    pub(super) fn begin_beside(&self, before: i32) {
        if let Some(file) = &self.file {
            self.gateway.sessions.overlap_after(file, &self.gateway.live().filters.sealer, before);
        }
    }

    pub(super) fn take_over(&self) {
        let Some(file) = &self.file else { return };
        match self.gateway.sessions.take_over(file, &self.gateway.live().filters.sealer) {
            Ok(0) => {}
            Ok(sessions) => tracing::info!(sessions, "sessions were taken over"),
            Err(why) => {
                tracing::warn!(file = %file.display(), %why, "sessions could not be taken over; their clients begin anew");
            }
        }
    }

    /// This process goes on for a while beside the next one.
    pub(super) fn go_on_beside(&self) {
        let Some(file) = &self.file else { return };
        if let Err(why) = self.gateway.sessions.overlap_before(file, &self.gateway.live().filters.sealer) {
            tracing::warn!(file = %file.display(), %why, "what changes in sessions from now on cannot be told");
        }
    }

    pub(super) fn hand_over(&self) {
        let Some(file) = &self.file else { return };
        if let Err(why) = self.gateway.sessions.hand_over(file, &self.gateway.live().filters.sealer) {
            tracing::warn!(file = %file.display(), %why, "sessions could not be handed over; their clients begin anew");
        }
    }
}
