//! How the gateway introduces the servers behind it: as themselves at an endpoint of their own, as
//! one at `/mcp`.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tollbridge_filters::catalog::{Server, Snapshot};
use tollbridge_filters::era::{Era, MODERN};
use tollbridge_filters::jsonrpc::TASKS;
use tollbridge_filters::path::Scope;
use tollbridge_filters::route::{Answer, Listed};

pub(super) const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

pub(super) fn discover(snapshot: &Snapshot, answer: &Answer) -> Bytes {
    let introduction = Introduction::of(snapshot, answer);
    let mut result = json!({
        "resultType": "complete",
        "supportedVersions": [MODERN],
        "capabilities": introduction.capabilities,
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": {SERVER_INFO: introduction.info},
    });
    introduction.instruct(&mut result);
    result.to_string().into()
}

pub(super) fn initialize(snapshot: &Snapshot, answer: &Answer, version: &str) -> Bytes {
    let introduction = Introduction::of(snapshot, answer);
    let mut result = json!({
        "protocolVersion": version,
        "capabilities": introduction.capabilities,
        "serverInfo": introduction.info,
    });
    introduction.instruct(&mut result);
    result.to_string().into()
}

struct Introduction {
    info: Value,
    capabilities: Map<String, Value>,
    instructions: Option<String>,
}

impl Introduction {
    fn of(snapshot: &Snapshot, answer: &Answer) -> Introduction {
        let (era, scope) = (answer.era, &answer.scope);
        let servers: Vec<&Server> =
            snapshot.visible(&answer.principal, scope).filter(|server| server.speaks(era)).collect();
        match (scope, servers.as_slice()) {
            (Scope::One(_), [server]) => Introduction::alone(server, era),
            _ => Introduction::together(&servers, era),
        }
    }

    fn alone(server: &Server, era: Era) -> Introduction {
        let Some(offer) = &server.offer else {
            return Introduction::together(&[], era);
        };
        let capabilities = relayed(&offer.capabilities, era, Extent::One);
        let info = if offer.server_info.is_object() { offer.server_info.clone() } else { own_info() };
        Introduction { info, capabilities, instructions: offer.instructions.clone() }
    }

    fn together(servers: &[&Server], era: Era) -> Introduction {
        let mut capabilities = Map::new();
        for offer in servers.iter().filter_map(|server| server.offer.as_ref()) {
            for (name, settings) in relayed(&offer.capabilities, era, Extent::Several) {
                merge(capabilities.entry(name).or_insert_with(|| json!({})), settings);
            }
        }
        let instructed =
            servers.iter().filter_map(|server| Some((server, server.offer.as_ref()?.instructions.as_ref()?)));
        let instructions: Vec<String> = instructed.map(|(server, text)| format!("# {}\n\n{text}", server.id)).collect();
        let instructions = (!instructions.is_empty()).then(|| instructions.join("\n\n"));
        Introduction { info: own_info(), capabilities, instructions }
    }

    fn instruct(self, result: &mut Value) {
        if let (Some(instructions), Some(members)) = (self.instructions, result.as_object_mut()) {
            members.insert("instructions".to_owned(), instructions.into());
        }
    }
}

enum Extent {
    One,
    Several,
}

/// What of a server's capabilities the gateway relays. Where several servers are behind one endpoint the
/// gateway itself says when a list changes, and tasks of the legacy era have no ids that lead back.
fn relayed(capabilities: &Map<String, Value>, era: Era, extent: Extent) -> Map<String, Value> {
    let mut relayed = capabilities.clone();
    if let Extent::One = extent {
        return relayed;
    }
    for list in Listed::EVERY {
        if let Some(Value::Object(settings)) = relayed.get_mut(list.capability()) {
            settings.insert("listChanged".to_owned(), true.into());
        }
    }
    if era == Era::Legacy {
        relayed.remove("tasks");
        if let Some(Value::Object(extensions)) = relayed.get_mut("extensions") {
            extensions.remove(TASKS);
        }
    }
    relayed
}

fn merge(into: &mut Value, settings: Value) {
    match (into.as_object_mut(), settings) {
        (Some(known), Value::Object(more)) => {
            for (name, value) in more {
                merge(known.entry(name).or_insert_with(|| json!({})), value);
            }
        }
        (_, settings) => *into = settings,
    }
}

pub(super) fn own_info() -> Value {
    json!({"name": "tollbridge", "title": "Tollbridge", "version": env!("CARGO_PKG_VERSION")})
}
