//! The configuration: parsed once from a file, checked, typed. What is here is right; how the file
//! spells it is known to `conf/` alone.

mod address;
mod credential;
mod duplicates;
mod environment;
mod headers;
mod keys;
mod limits;
mod listeners;
mod node;
mod outbound;
mod pem;
mod place;
mod problem;
mod quantity;
mod queue;
mod read;
mod redis;
mod seal;
mod search;
mod secrets;
mod section;
mod servers;
mod store;
mod surfaces;

pub use self::redis::{Redis, Topology, parse as read_redis};
pub(crate) use address::parse as parse_url;
pub use environment::{Idle, Taken, VARIABLES};
pub use problem::{Problem, Problems};
pub use read::{load, parse};

use crate::upstream::Guard;
use http::{HeaderName, HeaderValue, Uri};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tollbridge_filters::arguments::Validation;
use tollbridge_filters::auth::KeyRecord;
use tollbridge_filters::catalog::Profile;
use tollbridge_filters::names::{Naming, ServerId};
use tollbridge_filters::redact;
use tollbridge_filters::surface::Surfaces;

#[derive(Clone, Debug, PartialEq)]
pub struct Conf {
    pub listen: Listen,
    pub admin: Admin,
    /// Threads that serve the data listener; each has connections and buffers of its own.
    pub threads: usize,
    pub naming: Naming,
    /// What the gateway calls itself towards clients, if not by its own name.
    pub server_name: Option<String>,
    /// Where everything outside the intercepted prefixes goes.
    pub passthrough: Option<SocketAddr>,
    pub keys: Vec<KeyRecord>,
    /// Sorted by id.
    pub servers: Vec<Server>,
    pub registry: Registry,
    /// Lists of jobs that are done here.
    pub queue: Option<Queue>,
    pub outbound: Outbound,
    pub surfaces: Surfaces,
    pub validation: Validation,
    /// Whether a key reaches a server with access groups only if it has one of them; else they are labels.
    pub access_groups_enforced: bool,
    pub search: Search,
    pub limits: Limits,
    pub discovery: Discovery,
    pub session: Session,
    /// The first seals, all open. Empty: one is made up for this run.
    pub seal: Vec<[u8; 32]>,
    pub drain: Drain,
    pub access_log: AccessLog,
    /// The roots that servers' certificates are verified against, in place of the system's.
    pub upstream_ca: Option<PathBuf>,
    /// What came from variables of the environment, the file being silent.
    pub taken: Vec<Taken>,
    /// Variables that are known and set, and change nothing.
    pub idle: Vec<Idle>,
}

impl Conf {
    /// Where the registry is kept: beside the configuration file, unless that says where. `None` for a
    /// gateway without a file, whose registry lasts as long as it does.
    pub fn registry_path(&self, file: Option<&Path>) -> Option<PathBuf> {
        self.registry.path.clone().or_else(|| file.map(|file| store::beside(file, &self.registry.store)))
    }
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
    /// What its registration says of it.
    pub profile: Profile,
    pub endpoints: Endpoints,
    pub era: EraChoice,
    pub health: Health,
    pub timeout: Timeout,
    /// The credential that the gateway shows to this server, as the headers it travels in.
    pub credentials: Vec<(HeaderName, HeaderValue)>,
    /// Client headers that are handed on beside the allow-list.
    pub forward_headers: Vec<HeaderName>,
    pub http: Http,
    /// What keeps a server that was registered over an API from being anywhere; the file is the
    /// operator's own word and needs none.
    pub guard: Option<Arc<Guard>>,
}

impl Server {
    /// A server with every default.
    pub fn at(id: ServerId, external_id: &str, endpoints: Endpoints) -> Server {
        let profile = Profile {
            external_id: external_id.to_owned(),
            name: external_id.to_owned(),
            url: endpoints.first().map(|url| redact::url(&url.to_string())).unwrap_or_default(),
            ..Profile::default()
        };
        Server {
            id,
            profile,
            endpoints,
            era: EraChoice::Auto,
            health: Health { interval: Duration::from_secs(5), timeout: Duration::from_secs(1) },
            timeout: Timeout {
                connect: Duration::from_secs(1),
                call: Duration::from_secs(60),
                call_max: Duration::from_secs(15 * 60),
            },
            credentials: Vec::new(),
            forward_headers: Vec::new(),
            http: Http::Auto,
            guard: None,
        }
    }
}

/// Where a server is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Endpoints {
    /// Each with its own URL.
    Static(Vec<Uri>),
    /// One URL whose host name is resolved in the background, again and again.
    Dns(Uri),
}

impl Endpoints {
    /// What one URL stands for.
    pub fn at(uri: Uri) -> Endpoints {
        if address::is_fixed(&uri) { Endpoints::Static(vec![uri]) } else { Endpoints::Dns(uri) }
    }

    pub fn first(&self) -> Option<&Uri> {
        match self {
            Endpoints::Static(uris) => uris.first(),
            Endpoints::Dns(uri) => Some(uri),
        }
    }
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

/// Where what is registered over an API is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Registry {
    pub store: Store,
    /// Where the configuration says so; see [`Conf::registry_path`].
    pub path: Option<PathBuf>,
    /// Whether `/v1/mcp/registry.json` is answered without a key.
    pub public: bool,
    /// Whether there are others that know what is registered: then an empty store is a loss, not a beginning.
    pub replicas: bool,
    /// How often a shared store is read as a whole.
    pub resync: Duration,
    /// What is known of a shared store is good for so long without it.
    pub stale_after: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Store {
    /// A file of this process.
    Embedded,
    /// Shared by replicas.
    Redis(Shared),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    pub redis: Redis,
    /// The roots that its certificate is verified against, in place of the system's.
    pub ca: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// The id of the key under which jobs are done.
    pub principal: String,
    pub store: Shared,
    /// Jobs at the same time.
    pub in_flight: usize,
    /// How long a replica may be silent before others take over what it has begun.
    pub lease: Duration,
}

/// What servers that are registered over an API may be reached at besides public addresses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outbound {
    pub ranges: Vec<IpNet>,
    /// In lower case.
    pub names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// Whether clients see tools to search and to call tools, in place of all of them.
    pub meta_tools: bool,
    /// Who puts what was found into a better order.
    pub llm: Option<Llm>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Llm {
    /// Of an API like OpenAI's, as in `https://api.openai.com/v1`.
    pub base_url: Uri,
    pub model: String,
    pub api_key: Option<String>,
    pub timeout: Duration,
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
    /// An event of a server's stream, where streams of several come together.
    pub event_bytes: usize,
    /// What waits for a client that does not read such a stream.
    pub stream_bytes: usize,
    /// What the system is asked to hold of a stream on each of its connections.
    pub socket_bytes: usize,
    pub head_timeout: Duration,
    pub body_timeout: Duration,
    pub idle_timeout: Duration,
    /// How long a write to a client may block.
    pub write_timeout: Duration,
    /// Entries on one page of a list.
    pub page: usize,
    /// How often a stream on which nothing happens shows that it lives.
    pub heartbeat: Duration,
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
