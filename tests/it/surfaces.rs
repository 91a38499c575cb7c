//! Every row of every surface, and each JSON-RPC method, as files: what was asked, what went upstream
//! because of it, what was replied (`tests/fixtures/surfaces/<play>/<name>.golden`).
//!
//! A play is a folder: its files are played in the order of their names before one gateway, so a later
//! file sees what an earlier one has changed. The first part of a file, down to `-- request` and its
//! body, is written by hand (`surfaces/golden.rs` explains it); the rest is what came, with stable words
//! for what differs from run to run (`surfaces/words.rs`).
//!
//! `TOLLBRIDGE_GOLDEN=write` writes what came in place of comparing. Read the difference that it makes
//! against the contract before it is committed: it is the only proof that a reply is right.

mod golden;
mod stage;
mod words;

use golden::Golden;
use stage::Stage;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tollbridge_filters::surface::{Row, Surface, rows, rpc};

/// What the contracts list and no row of ours serves as such.
const BEYOND: [&str; 3] = ["jsonrpc tools/call", "routeiq_early GET /{server_prefix}/mcp", "mcp POST /mcp"];

/// The plays, each with what its gateway is configured with besides.
const PLAYS: [(&str, &str); 10] = [
    ("jsonrpc", ""),
    ("litellm", ""),
    ("litellm_rest", ""),
    ("oliverye", ""),
    ("plain", ""),
    ("registry_api", ""),
    ("routeiq", ""),
    ("routeiq_early", ""),
    ("switched_off", "surfaces: {litellm: off, oliverye: off, tool_calls: off}"),
    ("without_admins", "keys: [{id: app, key: a-key-of-the-tests-0123456789}]"),
];

macro_rules! plays {
    ($($name:ident),*) => {$(
        #[tokio::test]
        async fn $name() {
            play(stringify!($name)).await;
        }
    )*};
}

plays!(
    jsonrpc,
    litellm,
    litellm_rest,
    oliverye,
    plain,
    registry_api,
    routeiq,
    routeiq_early,
    switched_off,
    without_admins
);

async fn play(name: &str) {
    let (_, configuration) = PLAYS.iter().find(|(known, _)| *known == name).expect("a play of the list");
    let is_written = std::env::var("TOLLBRIDGE_GOLDEN").is_ok_and(|what| what == "write");
    let mut stage = Stage::set(configuration).await;
    let mut differences = Vec::new();
    for golden in files(name) {
        let came = stage.play(&golden).await;
        match golden.differs(&came) {
            None => {}
            Some(_) if is_written => golden.write(&came),
            Some(difference) => differences.push(format!("{}\n{difference}", golden.path.display())),
        }
    }
    assert!(differences.is_empty(), "{} files differ:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn each_row_and_method_has_a_file_and_each_file_a_row() {
    let wanted: BTreeSet<String> = wanted().collect();
    let folders =
        std::fs::read_dir(fixtures()).expect("the fixtures").map(|entry| entry.expect("an entry").file_name());
    let folders: BTreeSet<String> = folders.map(|name| name.to_string_lossy().into_owned()).collect();
    let plays: BTreeSet<String> = PLAYS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(folders, plays, "a folder is a play of the list");

    let files: Vec<Golden> = plays.iter().flat_map(|name| files(name)).collect();
    let strays: Vec<String> = files.iter().filter_map(|file| stray(file, &wanted)).collect();
    assert!(strays.is_empty(), "files of no row:\n{}", strays.join("\n"));
    let there: BTreeSet<String> = files.into_iter().map(|file| file.of).collect();
    let missing: Vec<&String> = wanted.difference(&there).collect();
    assert!(missing.is_empty(), "without a golden file: {missing:#?}");
}

/// Everything that must have a file.
fn wanted() -> impl Iterator<Item = String> {
    let named = |row: &Row, prefix: &str| format!("{} {} {prefix}{}", row.surface.name(), row.verb, row.path);
    let management = rows().filter(|row| row.surface == Surface::Routeiq).map(move |row| named(row, "/v1"));
    let spellings = |method: &&str| [format!("jsonrpc {method}"), format!("jsonrpc {}", method.replace('.', "/"))];
    rows()
        .map(move |row| named(row, ""))
        .chain(management)
        .chain(rpc::METHODS.iter().flat_map(spellings))
        .chain(BEYOND.map(str::to_owned))
}

/// Why a file does not show what it says it is of.
fn stray(file: &Golden, wanted: &BTreeSet<String>) -> Option<String> {
    let place = file.path.display();
    if !wanted.contains(&file.of) {
        return Some(format!("{place}: there is no {:?}", file.of));
    }
    let is_meant = match file.of.split(' ').collect::<Vec<_>>()[..] {
        [_, verb, pattern] => file.asks(verb, pattern),
        [_, method] => file.body.contains(&format!("{method:?}")),
        _ => false,
    };
    (!is_meant).then(|| format!("{place}: its request is not of {:?}", file.of))
}

fn files(play: &str) -> Vec<Golden> {
    let entries = std::fs::read_dir(fixtures().join(play)).expect("the folder of a play");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().map(Golden::read).collect()
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/surfaces")
}
