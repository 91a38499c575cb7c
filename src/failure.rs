//! What can go wrong after the filters said yes: an upstream's failure, with who failed and whether
//! the call may have happened.

use crate::upstream::Fault;
use tollbridge_filters::names::ServerId;

#[derive(Debug, thiserror::Error)]
#[error("server {server} {reason}")]
pub struct Failure {
    pub server: ServerId,
    pub reason: Reason,
    pub outcome: Outcome,
}

#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// -31001
    #[error("is not available: {0}")]
    Unavailable(String),
    /// -31002
    #[error("did not answer in time ({0})")]
    Timeout(String),
    /// -31003
    #[error("gave an answer that is no MCP: {0}")]
    BadReply(String),
    /// -31003: it is our credential that it does not take.
    #[error("does not accept the gateway's credential (HTTP status {0}); set `auth` of this server")]
    Credential(u16),
    /// -31001: it is the gateway that stops.
    #[error("cannot be waited for: the gateway stops; ask again")]
    Stopping,
    /// -31005
    #[error("is overloaded (HTTP status {status})")]
    Overloaded { status: u16, retry_after: Option<String> },
}

/// Whether the server may have done what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    NotSent,
    Unknown,
}

impl Failure {
    pub fn fault(server: &ServerId, fault: Fault) -> Failure {
        let outcome = match &fault {
            Fault::NotSent(_) => Outcome::NotSent,
            Fault::Lost(_) => Outcome::Unknown,
        };
        Failure { server: server.clone(), reason: Reason::Unavailable(fault.to_string()), outcome }
    }

    pub fn unavailable(server: &ServerId, why: impl Into<String>) -> Failure {
        Failure { server: server.clone(), reason: Reason::Unavailable(why.into()), outcome: Outcome::NotSent }
    }

    /// The process ends; what the server makes of the request nobody will hear.
    pub fn stopping(server: &ServerId) -> Failure {
        Failure { server: server.clone(), reason: Reason::Stopping, outcome: Outcome::Unknown }
    }

    pub fn answered(server: &ServerId, reason: Reason) -> Failure {
        Failure { server: server.clone(), reason, outcome: Outcome::Unknown }
    }
}
