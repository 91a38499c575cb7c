//! Variables of the environment by which RouteIQ, LiteLLM and oliverye's mcp-gateway were configured. Each
//! stands for a key of the file, and is written into the file's tree where the file itself says nothing:
//! what it sets is then read, checked and defaulted like everything else.

use super::node::{Node, Value};
use super::problem::Problem;
use super::secrets::Environment;
use super::{keys, listeners};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tollbridge_filters::auth::{KeyRecord, Role, digest};
use tollbridge_filters::permit::{Grant, Groups};

/// The variables that are read, and what each sets.
pub const VARIABLES: &[(&str, &str)] = &[
    (MASTER_KEY, "a key with the id litellm-master and the role admin"),
    (ADMIN_KEYS, "keys with the ids admin-1, admin-2 and so on and the role admin, separated by commas"),
    (ADMIN_KEY, "a key like those of ADMIN_API_KEYS"),
    (KEY_PREFIX, "what callers may write before keys that come from variables, or leave out; sk-riq- if it is not set"),
    (HOST, "the address of `listen`"),
    (PORT, "the port of `listen`"),
    (HTTP_PORT, "the port of `listen`"),
    ("MCP_GATEWAY_ENABLED", "`surfaces.routeiq`"),
    ("LLMROUTER_ENABLE_MCP_TOOL_INVOCATION", "`surfaces.tool_calls`"),
    ("ROUTEIQ_MCP__ACCESS_GROUP_ENFORCEMENT", "`access_groups.enforce`"),
    (ALLOW_PRIVATE, "with true, loopback and private addresses in `outbound.allow`"),
    (ALLOW_CIDRS, "ranges in `outbound.allow`, separated by commas"),
    (ALLOW_HOSTS, "names in `outbound.allow`, separated by commas"),
    (LLM_KEY, "`search.llm`, or its `api_key` where the file has the rest"),
    (LLM_URL, "`search.llm.base_url`, together with OPENAI_API_KEY"),
    (LLM_MODEL, "`search.llm.model`, together with OPENAI_API_KEY"),
    ("MCP_SERVER_NAME", "`server_name`"),
    ("MCP_SSE_HEARTBEAT_INTERVAL", "`limits.heartbeat`, in seconds"),
];

/// Known from the same systems; here nothing hangs on them, or another way.
const WITHOUT_EFFECT: [&str; 13] = [
    "REDIS_HOST",
    "REDIS_PORT",
    "DATABASE_URL",
    "STORE_MODEL_IN_DB",
    "MCP_HA_SYNC_ENABLED",
    "MCP_SYNC_INTERVAL",
    "MCP_SSE_TRANSPORT_ENABLED",
    "MCP_SSE_LEGACY_MODE",
    "MCP_PROTOCOL_PROXY_ENABLED",
    "MCP_OAUTH_ENABLED",
    "MCP_TRACING_ENABLED",
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
];

const MASTER_KEY: &str = "LITELLM_MASTER_KEY";
const ADMIN_KEYS: &str = "ADMIN_API_KEYS";
const ADMIN_KEY: &str = "ADMIN_API_KEY";
const KEY_PREFIX: &str = "ROUTEIQ_KEY_PREFIX";
const HOST: &str = "GATEWAY_HOST";
const PORT: &str = "GATEWAY_PORT";
const HTTP_PORT: &str = "GATEWAY_HTTP_PORT";
const ALLOW_PRIVATE: &str = "LLMROUTER_OUTBOUND_ALLOW_PRIVATE";
const ALLOW_CIDRS: &str = "LLMROUTER_SSRF_ALLOWLIST_CIDRS";
const ALLOW_HOSTS: &str = "LLMROUTER_SSRF_ALLOWLIST_HOSTS";
const LLM_KEY: &str = "OPENAI_API_KEY";
const LLM_URL: &str = "OPENAI_BASE_URL";
const LLM_MODEL: &str = "OPENAI_MODEL";

/// Set where LLMROUTER_OUTBOUND_ALLOW_PRIVATE says true.
const PRIVATE: [&str; 6] = ["127.0.0.0/8", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

/// A variable that was used, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub variable: &'static str,
    pub means: &'static str,
}

/// A variable that is known and set, and not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idle {
    pub variable: &'static str,
    pub why: String,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "taken from {}: {}", self.variable, self.means)
    }
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is set and {}", self.variable, self.why)
    }
}

/// One reading of the environment beside one file.
pub(super) struct Variables<'e> {
    environment: Environment<'e>,
    pub(super) taken: Vec<Taken>,
    pub(super) idle: Vec<Idle>,
    pub(super) problems: Vec<Problem>,
}

type Path = &'static [&'static str];

impl<'e> Variables<'e> {
    pub(super) fn new(environment: Environment<'e>) -> Variables<'e> {
        Variables { environment, taken: Vec::new(), idle: Vec::new(), problems: Vec::new() }
    }

    /// Writes what is set into a file's tree.
    pub(super) fn graft(&mut self, root: &mut Node) {
        self.listen(root);
        self.one(root, "MCP_GATEWAY_ENABLED", &["surfaces", "routeiq"], switch);
        self.one(root, "LLMROUTER_ENABLE_MCP_TOOL_INVOCATION", &["surfaces", "tool_calls"], switch);
        self.one(root, "ROUTEIQ_MCP__ACCESS_GROUP_ENFORCEMENT", &["access_groups", "enforce"], switch);
        self.outbound(root);
        self.llm(root);
        self.one(root, "MCP_SERVER_NAME", &["server_name"], text);
        self.one(root, "MCP_SSE_HEARTBEAT_INTERVAL", &["limits", "heartbeat"], seconds);
        for variable in WITHOUT_EFFECT {
            if self.value(variable).is_some() {
                self.idle.push(Idle { variable, why: "has no effect here".to_owned() });
            }
        }
    }

    /// Adds keys to those of the file, which has the last word on every key and id that it has itself.
    pub(super) fn add_keys(&mut self, keys: &mut Vec<KeyRecord>) {
        let prefix = self.value(KEY_PREFIX);
        let count = keys.len();
        for variable in [MASTER_KEY, ADMIN_KEYS, ADMIN_KEY] {
            let Some(text) = self.value(variable) else { continue };
            let secrets: Vec<&str> = if variable == ADMIN_KEYS { listed(&text).collect() } else { vec![&text] };
            let before = keys.len();
            for secret in secrets {
                self.add_key(keys, variable, secret, prefix.as_deref().unwrap_or("sk-riq-"));
            }
            if keys.len() > before {
                self.take(variable);
            } else {
                self.idle.push(Idle { variable, why: "adds nothing to the keys that are there".to_owned() });
            }
        }
        if prefix.is_some() && keys.len() > count {
            self.take(KEY_PREFIX);
        }
    }

    /// A caller may write the prefix or leave it out, so each key is two records under one id.
    fn add_key(&mut self, keys: &mut Vec<KeyRecord>, variable: &'static str, secret: &str, prefix: &str) {
        let bare = secret.strip_prefix(prefix).unwrap_or(secret);
        let unfit = |secret: &str| keys::why_unfit(secret, digest(secret.as_bytes()));
        if let Some(wrong) = unfit(secret).or_else(|| unfit(bare)) {
            self.refuse(variable, wrong);
        }
        let digests = [digest(bare.as_bytes()), digest(format!("{prefix}{bare}").as_bytes())];
        let id = if variable == MASTER_KEY { "litellm-master".to_owned() } else { next_admin(keys) };
        if keys.iter().all(|key| key.id != id && !digests.contains(&key.digest)) {
            let record = |digest| KeyRecord {
                id: id.clone(),
                digest,
                role: Role::Admin,
                grant: Grant::Every,
                groups: Groups::Advisory,
            };
            keys.extend(digests.map(record));
        }
    }

    fn listen(&mut self, root: &mut Node) {
        const ADDR: Path = &["listen", "addr"];
        let ip = self.read(root, HOST, ADDR, host);
        let ports = [PORT, HTTP_PORT].map(|variable| Some((variable, self.read(root, variable, ADDR, port)?)));
        if let [Some((_, one)), Some((_, other))] = ports
            && one != other
        {
            self.refuse(HTTP_PORT, format_args!("it says {other}, and {PORT} says {one}; set one of them"));
        }
        let set: Vec<&str> = ip.map(|_| HOST).into_iter().chain(ports.iter().flatten().map(|(set, _)| *set)).collect();
        let Some(first) = set.first() else { return };
        let port = ports.iter().flatten().map(|(_, port)| *port).next();
        let addr = SocketAddr::new(ip.unwrap_or(listeners::LISTEN.ip()), port.unwrap_or(listeners::LISTEN.port()));
        root.put(ADDR, leaf(first, &addr.to_string()));
        set.into_iter().for_each(|variable| self.take(variable));
    }

    fn outbound(&mut self, root: &mut Node) {
        const ALLOW: Path = &["outbound", "allow"];
        let mut set = Vec::new();
        if let Some(is_open) = self.read(root, ALLOW_PRIVATE, ALLOW, switch) {
            let ranges: &[&str] = if is_open == "on" { &PRIVATE } else { &[] };
            set.push((ALLOW_PRIVATE, ranges.iter().map(|range| leaf(ALLOW_PRIVATE, range)).collect()));
        }
        for variable in [ALLOW_CIDRS, ALLOW_HOSTS] {
            if let Some(list) = self.read(root, variable, ALLOW, text) {
                set.push((variable, listed(&list).map(|item| leaf(variable, item)).collect::<Vec<Node>>()));
            }
        }
        if set.is_empty() {
            return;
        }
        set.iter().for_each(|(variable, _)| self.take(variable));
        let items = set.into_iter().flat_map(|(_, items)| items).collect();
        root.put(ALLOW, Node { line: 0, value: Value::List(items), variable: None });
    }

    /// The two others are about whoever the key is for, so they count with it, and where the file says
    /// nothing of a language model.
    fn llm(&mut self, root: &mut Node) {
        let whole: &[(&'static str, Path)] = &[
            (LLM_KEY, &["search", "llm", "api_key"]),
            (LLM_URL, &["search", "llm", "base_url"]),
            (LLM_MODEL, &["search", "llm", "model"]),
        ];
        let is_said = root.says(&["search", "llm"]);
        let is_keyed = self.value(LLM_KEY).is_some();
        for (variable, path) in whole {
            if *variable == LLM_KEY || is_keyed && !is_said {
                self.one(root, variable, path, text);
            } else if self.value(variable).is_some() {
                let why = if is_said { "the file says `search.llm` itself" } else { "OPENAI_API_KEY is not" };
                self.idle.push(Idle { variable, why: why.to_owned() });
            }
        }
    }

    /// A variable that stands for one key.
    fn one(&mut self, root: &mut Node, variable: &'static str, path: Path, read: fn(&str) -> Result<String, String>) {
        if let Some(text) = self.read(root, variable, path, read) {
            root.put(path, leaf(variable, &text));
            self.take(variable);
        }
    }

    /// What a variable says, if it is set and right, and the file says nothing of it.
    fn read<T>(
        &mut self,
        root: &Node,
        variable: &'static str,
        path: Path,
        read: fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.value(variable)?;
        if root.says(path) {
            self.idle.push(Idle { variable, why: format!("the file says `{}` itself", path.join(".")) });
            return None;
        }
        read(&text).map_err(|wrong| self.refuse(variable, wrong)).ok()
    }

    /// An empty one counts as not set, for it cannot be taken away where one file of settings serves many.
    fn value(&self, variable: &str) -> Option<String> {
        let text = (self.environment)(variable)?;
        // Kubernetes sets GATEWAY_PORT=tcp://10.0.0.1:80 beside a service that is called gateway.
        let is_of_kubernetes = variable.ends_with("_PORT") && text.contains("://");
        Some(text.trim().to_owned()).filter(|text| !text.is_empty() && !is_of_kubernetes)
    }

    fn take(&mut self, variable: &'static str) {
        let known = VARIABLES.iter().find(|(name, _)| *name == variable);
        self.taken.extend(known.map(|(variable, means)| Taken { variable, means }));
    }

    fn refuse(&mut self, variable: &str, wrong: impl fmt::Display) {
        self.problems.push(Problem { line: 0, message: format!("{variable}: {wrong}") });
    }
}

fn next_admin(keys: &[KeyRecord]) -> String {
    let ids = (1..=keys.len() + 1).map(|number| format!("admin-{number}"));
    ids.into_iter().find(|id| keys.iter().all(|key| key.id != *id)).unwrap_or_default()
}

/// A value of the tree that came from a variable, in which `${` is nothing but itself.
fn leaf(variable: &'static str, text: &str) -> Node {
    Node { line: 0, value: Value::Scalar(text.replace("${", "$${")), variable: Some(variable) }
}

fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn switch(text: &str) -> Result<String, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok("on".to_owned()),
        "false" | "0" | "no" | "off" => Ok("off".to_owned()),
        _ => Err(format!("{text:?} is no switch; write true or false")),
    }
}

fn seconds(text: &str) -> Result<String, String> {
    let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .map(|seconds| format!("{}ms", seconds.as_millis()))
        .ok_or_else(|| format!("{text:?} is no number of seconds; write one, as in 15"))
}

fn host(text: &str) -> Result<IpAddr, String> {
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let ip = text.trim_matches(['[', ']']).parse();
    ip.map_err(|_| format!("{text:?} is no IP address; write one, as in 0.0.0.0"))
}

fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("{text:?} is no port; write one from 1 to 65535")),
        Ok(port) => Ok(port),
    }
}

#[cfg(test)]
mod tests;
