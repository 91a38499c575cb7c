//! Reading: from the file's text to the checked [`Conf`], or to everything that is wrong with it.

use super::environment::Variables;
use super::node::{self, FILE_BYTES_MAX};
use super::place::{Place, Reading};
use super::problem::{Problem, Problems};
use super::section::Section;
use super::{AccessLog, Conf, keys, limits, listeners, outbound, pem, queue, seal, search, servers, store, surfaces};
use std::fs::File;
use std::io::Read;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use tollbridge_filters::names::Naming;

const SERVER_NAME_CHARACTERS_MAX: usize = 128;

const ROOT: &[&str] = &[
    "listen",
    "admin",
    "threads",
    "naming",
    "server_name",
    "passthrough",
    "keys",
    "servers",
    "mcp_servers",
    "mcpServers",
    "registry",
    "queue",
    "outbound",
    "surfaces",
    "validation",
    "access_groups",
    "search",
    "limits",
    "discovery",
    "session",
    "seal",
    "drain",
    "access_log",
    "upstream_ca",
];

pub fn load(path: &Path) -> Result<Conf, Problems> {
    let mut text = String::new();
    // One byte more than may be, so that `parse` sees what is too large.
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text));
    if let Err(error) = read {
        let message = format!("cannot read {} ({error}); name a file in UTF-8 that this user may read", path.display());
        return Err(Problem { line: 0, message }.into());
    }
    parse(&text, &|name| std::env::var(name).ok())
}

/// The file, and what it leaves open from the environment ([`super::VARIABLES`]).
pub fn parse(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Conf, Problems> {
    let (mut node, duplicates) = node::parse(text)?;
    let mut variables = Variables::new(environment);
    variables.graft(&mut node);
    let reading = Reading::new(environment, duplicates);
    let conf = Place::root(&reading, &node).section(ROOT).map(|root| conf(&root, variables));
    reading.finish()?;
    conf.ok_or_else(|| Problem { line: 0, message: "the file holds no configuration".to_owned() }.into())
}

fn conf(root: &Section<'_>, mut variables: Variables<'_>) -> Conf {
    let mut keys = keys::read(root);
    variables.add_keys(&mut keys);
    root.place.reading.note(variables.problems);
    let access_groups_enforced = surfaces::access_groups_enforced(root);
    keys::settle(&mut keys, access_groups_enforced);
    let listeners = listeners::read(root, &keys);
    let (registry, seal) = (store::read(root), seal::read(root));
    store::check(root, &registry, &seal);
    let namings = [("always", Naming::Always), ("conditional", Naming::Conditional), ("never", Naming::Never)];
    Conf {
        listen: listeners.listen,
        admin: listeners.admin,
        threads: root.optional("threads", |place| place.count(1..=1024)).unwrap_or_else(available_parallelism),
        naming: root.or("naming", Naming::Always, |place| place.choice(&namings)),
        server_name: root.optional("server_name", server_name),
        passthrough: listeners.passthrough,
        queue: queue::read(root, &keys, &registry),
        keys,
        servers: servers::read(root),
        registry,
        outbound: outbound::read(root),
        surfaces: surfaces::read(root),
        validation: surfaces::validation(root),
        access_groups_enforced,
        search: search::read(root),
        limits: limits::limits(root),
        discovery: limits::discovery(root),
        session: limits::session(root),
        seal,
        drain: limits::drain(root),
        access_log: root.or("access_log", AccessLog::Stdout, access_log),
        upstream_ca: root.optional("upstream_ca", pem::roots),
        taken: variables.taken,
        idle: variables.idle,
    }
}

fn available_parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn server_name(place: &Place<'_>) -> Option<String> {
    let name = place.text()?;
    if (1..=SERVER_NAME_CHARACTERS_MAX).contains(&name.chars().count()) && !name.contains(char::is_control) {
        return Some(name);
    }
    place.refuse("a name has 1 to 128 characters on one line; write it so, as in `server_name: tools`")
}

/// By text, because YAML 1.1 would call `off` a boolean.
fn access_log(place: &Place<'_>) -> Option<AccessLog> {
    if place.is_text() {
        return match place.text()?.as_str() {
            "stdout" => Some(AccessLog::Stdout),
            "off" => Some(AccessLog::Off),
            _ => place.refuse(format_args!("{} is no log; write stdout, off or {{file: PATH}}", place.quoted())),
        };
    }
    let section = place.section(&["file"])?;
    section
        .required("file", "file: /var/log/tollbridge.log", |place| place.text())
        .map(PathBuf::from)
        .map(AccessLog::File)
}
