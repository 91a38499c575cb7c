//! The house is as `src/lib.rs` draws it.

use std::path::{Path, PathBuf};

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|entry| if entry.is_dir() { files(&entry) } else { vec![entry] }).collect()
}

/// Files of `src` that name a crate, by their paths from there; comments do not count.
fn naming(crate_name: &str) -> Vec<String> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let begins = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        let at = code.find(&format!("{crate_name}::"));
        // `crate::redis::` is a room of ours.
        at.is_some_and(|at| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
    };
    let names = |file: &PathBuf| std::fs::read_to_string(file).unwrap().lines().any(begins);
    let named =
        files(root).into_iter().filter(|file| file.extension().is_some_and(|ending| ending == "rs")).filter(names);
    named.map(|file| file.strip_prefix(root).unwrap().display().to_string()).collect()
}

#[test]
fn only_these_rooms_name_pingora_and_redis() {
    let rooms = ["proxy", "upstream", "server", "control", "admin"];
    let of_room =
        |file: &String| rooms.iter().any(|room| file.starts_with(&format!("{room}/")) || *file == format!("{room}.rs"));
    let pingora: Vec<String> = naming("pingora").into_iter().chain(naming("pingora_proxy")).collect();
    assert!(pingora.len() > 5, "{pingora:?}");
    assert_eq!(pingora.iter().filter(|file| !of_room(file)).collect::<Vec<_>>(), Vec::<&String>::new());
    let redis = naming("redis");
    let is_redis = |file: &String| file.ends_with("redis.rs") || file.starts_with("redis/");
    assert!(redis.len() > 3, "{redis:?}");
    assert_eq!(redis.iter().filter(|file| !is_redis(file)).collect::<Vec<_>>(), Vec::<&String>::new());
}
