//! A gateway: its filters, its snapshot, and the key of one caller among others.

use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tollbridge_filters::Filters;
use tollbridge_filters::arguments::{Enforcement, Validation};
use tollbridge_filters::auth::{KeyRecord, Keyring, Role, digest};
use tollbridge_filters::catalog::{Entry, Kind, Offer, Profile, Server, Snapshot, State};
use tollbridge_filters::limit::HeadLimits;
use tollbridge_filters::names::{Naming, ServerId};
use tollbridge_filters::origin::{Doorkeeper, Hosts};
use tollbridge_filters::permit::{Grant, Groups};
use tollbridge_filters::seal::Sealer;
use tollbridge_filters::session::Recent;
use tollbridge_filters::surface::Surfaces;

/// Seconds since 1970.
pub const NOW: u64 = 1_790_000_000;

/// 48 hexadecimal digits, as the gateway makes them.
pub const KEY: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c";

/// How much there is.
#[derive(Clone, Copy)]
pub struct Size {
    pub servers: usize,
    /// Of all servers together.
    pub tools: usize,
    pub keys: usize,
}

impl Size {
    pub const USUAL: Size = Size { servers: 10, tools: 100, keys: 100 };
}

pub struct World {
    pub filters: Filters,
    pub snapshot: Snapshot,
    /// The server in the middle, and its last tool.
    pub server: ServerId,
    pub tool: String,
}

impl World {
    pub fn new(size: Size) -> World {
        let servers: Vec<Server> = (0..size.servers).map(|at| server(at, size.tools / size.servers)).collect();
        let server = servers[size.servers / 2].clone();
        let last = server.offer.as_ref().and_then(|offer| offer.entries(Kind::Tool).last()).unwrap();
        let (server, tool) = (server.id.clone(), last.key.clone());
        let snapshot = Snapshot::new(1, Naming::Always, servers, Arc::default());
        World { filters: filters(size.keys), snapshot, server, tool }
    }
}

/// As the defaults of the configuration make them, for a listener that is not local.
fn filters(keys: usize) -> Filters {
    let record = |at: usize| {
        let secret = if at == keys / 2 { KEY.to_owned() } else { format!("{at:048x}") };
        let (grant, groups) = (Grant::Every, Groups::Advisory);
        KeyRecord { id: format!("app-{at:05}"), digest: digest(secret.as_bytes()), role: Role::User, grant, groups }
    };
    let records: Vec<KeyRecord> = (0..keys).map(record).collect();
    Filters {
        keyring: Keyring::new(&records, Groups::Advisory),
        doorkeeper: Doorkeeper { hosts: Hosts::Any, origins: Vec::new() },
        head_limits: HeadLimits { bytes: 32 * 1024, fields: 100 },
        passthrough: false,
        surfaces: Surfaces::default(),
        validation: Validation { native: Enforcement::Off, rest: Enforcement::Enforce },
        meta_tools: false,
        registry_public: false,
        sealer: Sealer::new(&[[7; 32]]),
        recent: Recent::default(),
        session_max_age: Duration::from_secs(86_400),
    }
}

/// Names are of one length, so that only their number differs.
fn server(at: usize, tools: usize) -> Server {
    let external_id = format!("docs-{at:04}");
    let tool = |tool: usize| {
        let described = json!({
            "name": format!("search-pages-{:05}", at * tools + tool),
            "description": "Finds pages by their words, newest first.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "query": {"type": "string"},
                    "spaces": {"type": "array", "items": {"type": "string"}},
                    "limit": {"type": "integer", "minimum": 1, "maximum": 100},
                    "archived": {"type": "boolean"},
                },
                "required": ["query"],
            },
        });
        Entry::read(Kind::Tool, &described.to_string()).unwrap()
    };
    let mut offer = Offer::default();
    offer.capabilities.insert("tools".to_owned(), json!({"listChanged": true}));
    offer.set(Kind::Tool, (0..tools).map(tool).collect());
    let profile = Profile {
        name: format!("Docs {at:04}"),
        url: format!("http://{external_id}.tools.svc:8000/mcp"),
        external_id: external_id.clone(),
        ..Profile::default()
    };
    Server {
        id: ServerId::derive(&external_id).unwrap(),
        state: State::Ready,
        offer: Some(Arc::new(offer)),
        profile: Arc::new(profile),
        announced: [0; 3],
    }
}
