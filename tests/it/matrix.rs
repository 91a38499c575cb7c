//! Which feature works between which client and which server, through the gateway. Clients and
//! servers are those of the official SDKs; all servers stand behind one gateway, and every pair goes
//! through all the paths that reach the server. The tables say what must be seen, no more and no less.

use crate::harness::gateway::{Gateway, KEY};
use crate::harness::peer::{Peer, Sdk, run_client};
use std::collections::BTreeMap;
use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expectation {
    Works,
    /// The server does not have it, so nothing was tried.
    NotOffered,
}

const W: Expectation = Expectation::Works;
const N: Expectation = Expectation::NotOffered;

/// Features beside what is expected of each server, in the servers' order.
struct Table<const SERVERS: usize> {
    servers: [Sdk; SERVERS],
    features: &'static [(&'static str, [Expectation; SERVERS])],
}

const MODERN: Table<4> = Table {
    servers: [Sdk::TypeScriptV2, Sdk::PythonV2, Sdk::RustModern, Sdk::FastMcp],
    features: &[
        ("connect", [W, W, W, W]),
        ("tools/list", [W, W, W, W]),
        ("tools/call", [W, W, W, W]),
        ("tools/call:structured", [W, W, W, W]),
        ("tools/call:isError", [W, W, W, W]),
        ("tools/call:unknown", [W, W, W, W]),
        ("tools/call:big", [W, W, N, W]),
        ("progress", [W, W, W, W]),
        ("logging", [W, W, N, W]),
        ("cancel", [W, W, W, W]),
        ("resources/list", [W, W, W, W]),
        ("resources/templates/list", [W, W, N, W]),
        ("resources/read", [W, W, W, W]),
        ("resources/read:template", [W, W, N, W]),
        ("prompts/list", [W, W, W, W]),
        ("prompts/get", [W, W, W, W]),
        ("completion", [W, W, N, W]),
        ("mrtr:elicitation", [W, W, N, W]),
        ("mrtr:sampling", [W, W, N, W]),
        ("mrtr:roots", [W, W, N, W]),
        ("mrtr:state", [W, W, N, W]),
        ("listen:list_changed", [W, W, N, N]),
        ("listen:updated", [W, W, N, N]),
        ("tasks:result", [N, N, N, W]),
        ("tasks:update", [N, N, N, W]),
        ("tasks:cancel", [N, N, N, W]),
        ("tasks:unknown", [N, N, N, W]),
    ],
};

/// The Python SDK 2.x serves both eras at one endpoint, so it stands here as well.
const LEGACY: Table<5> = Table {
    servers: [Sdk::TypeScriptV1, Sdk::PythonV1, Sdk::Everything, Sdk::RustLegacy, Sdk::PythonV2],
    features: &[
        ("connect", [W, W, W, W, W]),
        ("tools/list", [W, W, W, W, W]),
        ("tools/call", [W, W, W, W, W]),
        ("tools/call:structured", [W, W, W, W, W]),
        ("tools/call:isError", [W, W, W, W, W]),
        ("tools/call:unknown", [W, W, W, W, W]),
        ("tools/call:big", [W, W, N, N, W]),
        ("progress", [W, W, W, W, W]),
        ("logging", [W, W, W, N, W]),
        ("cancel", [W, W, W, W, W]),
        ("resources/list", [W, W, W, W, W]),
        ("resources/templates/list", [W, W, W, N, W]),
        ("resources/read", [W, W, W, W, W]),
        ("resources/read:template", [W, W, W, N, W]),
        ("prompts/list", [W, W, W, W, W]),
        ("prompts/get", [W, W, W, W, W]),
        ("completion", [W, W, W, N, W]),
        ("ping", [W, W, W, W, W]),
        ("elicitation", [W, W, W, N, W]),
        ("sampling", [W, W, W, N, W]),
        ("roots", [W, W, N, N, W]),
        ("server ping", [W, W, N, N, W]),
        ("concurrent asks", [W, W, W, N, W]),
        ("get stream", [W, W, W, N, W]),
        ("get stream:roots", [W, W, W, N, W]),
        ("list_changed", [W, W, N, N, W]),
        ("subscribe", [W, W, W, N, W]),
        ("resume", [W, W, N, N, W]),
        ("polling", [W, W, N, N, W]),
        ("delete", [W, W, W, W, W]),
    ],
};

#[tokio::test]
async fn a_modern_typescript_client_can_do_what_the_table_says() {
    hold(Sdk::TypeScriptV2, &MODERN).await;
}

#[tokio::test]
async fn a_modern_python_client_can_do_what_the_table_says() {
    hold(Sdk::PythonV2, &MODERN).await;
}

#[tokio::test]
async fn a_legacy_typescript_client_can_do_what_the_table_says() {
    hold(Sdk::TypeScriptV1, &LEGACY).await;
}

#[tokio::test]
async fn a_legacy_python_client_can_do_what_the_table_says() {
    hold(Sdk::PythonV1, &LEGACY).await;
}

/// Every server there is, those of the other era included: a client must not notice them.
const SERVERS: [(&str, Sdk); 8] = [
    ("everything", Sdk::Everything),
    ("fastmcp", Sdk::FastMcp),
    ("py1", Sdk::PythonV1),
    ("py2", Sdk::PythonV2),
    ("rust-legacy", Sdk::RustLegacy),
    ("rust-modern", Sdk::RustModern),
    ("ts1", Sdk::TypeScriptV1),
    ("ts2", Sdk::TypeScriptV2),
];

struct Fleet {
    gateway: Gateway,
    peers: BTreeMap<&'static str, Peer>,
}

impl Fleet {
    async fn start() -> Fleet {
        let starting = SERVERS.map(|(id, sdk)| (id, tokio::task::spawn_blocking(move || Peer::start_resumable(sdk))));
        let mut peers = BTreeMap::new();
        for (id, peer) in starting {
            peers.insert(id, peer.await.expect("a server"));
        }
        let servers: String = peers.iter().map(|(id, peer)| format!("  {id}: {{url: \"{}\"}}\n", peer.url())).collect();
        // Sessions that the gateway opens for itself would be counted among those of the calls.
        let quiet = "discovery: {interval: 1h, start_wait: 10s}";
        let gateway = Gateway::start(&format!("{quiet}\nservers:\n{servers}")).await;
        Fleet { gateway, peers }
    }

    fn id(sdk: Sdk) -> &'static str {
        let found = SERVERS.iter().find(|(_, known)| *known == sdk);
        found.expect("the server is in the fleet").0
    }

    /// What the client said of each feature, over one path.
    async fn ask(&self, client: Sdk, server: Sdk, path: Path) -> BTreeMap<String, Seen> {
        let id = Fleet::id(server);
        let (path, prefix) = match path {
            Path::All => ("/mcp".to_owned(), format!("{id}__")),
            Path::One => (format!("/mcp/{id}"), String::new()),
            Path::OneFirst => (format!("/{id}/mcp"), String::new()),
        };
        let mut arguments = vec!["--url".to_owned(), self.gateway.url(&path)];
        arguments.extend(["--key".to_owned(), KEY.to_owned(), format!("--prefix={prefix}")]);
        let profile = match server {
            Sdk::Everything => "everything",
            Sdk::RustLegacy | Sdk::RustModern => "rust",
            _ => {
                arguments.extend(["--stats".to_owned(), self.peers[id].stats_url()]);
                if server == Sdk::FastMcp { "fastmcp" } else { "native" }
            }
        };
        arguments.extend(["--profile".to_owned(), profile.to_owned()]);
        arguments.extend(["--server".to_owned(), server.name().to_owned()]);
        let lines = run_client(client, arguments).await;
        lines.iter().map(Seen::of).collect()
    }
}

#[derive(Clone, Copy, Debug)]
enum Path {
    /// `/mcp`, where all servers are one.
    All,
    /// `/mcp/{server}`.
    One,
    /// `/{server}/mcp`.
    OneFirst,
}

#[derive(Clone, PartialEq, Eq)]
enum Seen {
    Worked,
    NotOffered,
    Failed(String),
}

impl Seen {
    fn of(line: &serde_json::Value) -> (String, Seen) {
        let feature = line["feature"].as_str().expect("each line names its feature").to_owned();
        let seen = match line["ok"].as_bool() {
            Some(true) => Seen::Worked,
            Some(false) => Seen::Failed(line["detail"].to_string()),
            None => Seen::NotOffered,
        };
        (feature, seen)
    }

    fn is_as(&self, expected: Expectation) -> bool {
        matches!((self, expected), (Seen::Worked, Expectation::Works) | (Seen::NotOffered, Expectation::NotOffered))
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Seen::Worked => f.write_str("it works: update the table"),
            Seen::NotOffered => f.write_str("not offered"),
            Seen::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Expectation::Works => "works",
            Expectation::NotOffered => "-",
        })
    }
}

/// Runs a client against every server of its table, over every path, and compares.
async fn hold<const SERVERS: usize>(client: Sdk, table: &Table<SERVERS>) {
    let fleet = Fleet::start().await;
    let sessions = fleet.peers["py2"].stats().await["sessions_opened"].clone();
    let mut wrong = Vec::new();
    for (column, server) in table.servers.into_iter().enumerate() {
        let expected: Vec<_> = table.features.iter().map(|(name, row)| (*name, row[column])).collect();
        // One server is enough for the third spelling; behind it everything is the same.
        let paths = [Path::All, Path::One, Path::OneFirst];
        let paths = if column == 0 { &paths[..] } else { &paths[..2] };
        for path in paths {
            let seen = fleet.ask(client, server, *path).await;
            let differ = differences(&expected, &seen);
            wrong.extend(differ.iter().map(|what| format!("{} {path:?} {what}", server.name())));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", client.name(), wrong.join("\n"));
    if matches!(client, Sdk::TypeScriptV2 | Sdk::PythonV2) {
        assert_eq!(
            fleet.peers["py2"].stats().await["sessions_opened"],
            sessions,
            "modern calls opened legacy sessions"
        );
    }
    record(client, table);
}

fn differences(expected: &[(&str, Expectation)], seen: &BTreeMap<String, Seen>) -> Vec<String> {
    let mut differ = Vec::new();
    for (feature, expectation) in expected {
        match seen.get(*feature) {
            None => differ.push(format!("{feature}: the client did not report it")),
            Some(seen) if !seen.is_as(*expectation) => differ.push(format!("{feature}: {seen}")),
            Some(_) => {}
        }
    }
    let listed = |name: &String| expected.iter().any(|(known, _)| known == name);
    let unlisted = seen.keys().filter(|name| !listed(name));
    differ.extend(unlisted.map(|name| format!("{name}: not in the table")));
    differ
}

/// For the record: on standard output, and where `tests/run --full` collects its results.
fn record<const SERVERS: usize>(client: Sdk, table: &Table<SERVERS>) {
    let text = rendered(client, table);
    println!("{text}");
    if let Some(directory) = std::env::var_os("TOLLBRIDGE_RESULTS") {
        let file = std::path::Path::new(&directory).join(format!("matrix-{}.txt", client.name()));
        std::fs::write(file, text).expect("the result can be written");
    }
}

fn rendered<const SERVERS: usize>(client: Sdk, table: &Table<SERVERS>) -> String {
    let line = |first: &str, cells: [String; SERVERS]| {
        let cells = cells.map(|cell| format!("  {cell:26}"));
        format!("{}\n", format!("{first:26}{}", cells.concat()).trim_end())
    };
    let head = format!("client {}, through /mcp and /mcp/{{server}}\n", client.name());
    let mut text = head + &line("", table.servers.map(|server| server.name().to_owned()));
    for (feature, row) in table.features {
        text += &line(feature, row.map(|cell| cell.to_string()));
    }
    text
}
