//! The configuration: parsed once from a file, checked, typed. What is here is right; how the file
//! spells it is known to `conf/` alone.

mod address;
mod credential;
mod duplicates;
mod headers;
mod keys;
mod limits;
mod listeners;
mod node;
mod pem;
mod place;
mod problem;
mod quantity;
mod read;
mod seal;
mod secrets;
mod section;
mod servers;

pub use problem::{Problem, Problems};
pub use read::{load, parse};

use http::{HeaderName, HeaderValue, Uri};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tollbridge_filters::auth::KeyRecord;
use tollbridge_filters::names::{Naming, ServerId};

#[derive(Clone, Debug, PartialEq)]
pub struct Conf {
    pub listen: Listen,
    pub admin: Admin,
    /// Threads that serve the data listener; each has connections and buffers of its own.
    pub threads: usize,
    pub naming: Naming,
    /// Where everything outside the intercepted prefixes goes.
    pub passthrough: Option<SocketAddr>,
    pub keys: Vec<KeyRecord>,
    /// Sorted by id.
    pub servers: Vec<Server>,
    pub limits: Limits,
    pub discovery: Discovery,
    pub session: Session,
    /// The first seals, all open. Empty: one is made up for this run.
    pub seal: Vec<[u8; 32]>,
    pub drain: Drain,
    pub access_log: AccessLog,
    /// The roots that servers' certificates are verified against, in place of the system's.
    pub upstream_ca: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    pub addr: SocketAddr,
    pub tls: Option<Tls>,
    /// Host names that are served; empty: on loopback the local ones, elsewhere any.
    pub hosts: Vec<String>,
    /// Origins that browsers may call from, besides the listener's own.
    pub origins: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    pub listen: SocketAddr,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    pub id: ServerId,
    /// The id as it was given, echoed and taken in paths.
    pub external_id: String,
    pub endpoints: Endpoints,
    pub era: EraChoice,
    pub health: Health,
    pub timeout: Timeout,
    /// The credential that the gateway shows to this server, as the headers it travels in.
    pub credentials: Vec<(HeaderName, HeaderValue)>,
    /// Client headers that are handed on beside the allow-list.
    pub forward_headers: Vec<HeaderName>,
    pub http: Http,
}

/// Where a server is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Endpoints {
    /// Each with its own URL.
    Static(Vec<Uri>),
    /// One URL whose host name is resolved in the background, again and again.
    Dns(Uri),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EraChoice {
    #[default]
    Auto,
    Modern,
    Legacy,
}

/// The HTTP version spoken to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1, or with TLS what ALPN settles on.
    #[default]
    Auto,
    One,
    /// HTTP/2, without TLS by prior knowledge.
    Two,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Health {
    pub interval: Duration,
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timeout {
    pub connect: Duration,
    /// From the request until the end of the answer; each progress event starts it anew.
    pub call: Duration,
    /// Beyond this no progress helps.
    pub call_max: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub head_bytes: usize,
    pub head_fields: usize,
    pub body_bytes: usize,
    /// All bodies in memory together.
    pub buffered_bytes_total: usize,
    /// An upstream's answer where it must be buffered (discovery, health, sessions).
    pub response_bytes: usize,
    pub head_timeout: Duration,
    pub body_timeout: Duration,
    pub idle_timeout: Duration,
    /// How long a write to a client may block.
    pub write_timeout: Duration,
    /// Entries on one page of a list.
    pub page: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Discovery {
    pub interval: Duration,
    pub timeout: Duration,
    /// At start, how long the listener waits for the first round.
    pub start_wait: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Session {
    pub max_age: Duration,
    pub idle: Duration,
    /// Sessions with upstream state in memory; beyond it the idlest is let go.
    pub count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drain {
    /// How long connections are still accepted after SIGTERM.
    pub accept: Duration,
    /// When the process exits at the latest.
    pub exit: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub enum AccessLog {
    Off,
    Stdout,
    File(PathBuf),
}

#[cfg(test)]
mod tests;
