//! Tollbridge: one thread, keys, servers, and an access log in a file, as nginx has.

use std::fmt::Write;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::super::child::{Child, Side};
use super::super::place::{ACCESS_LOG, Place};
use super::Door;

/// What its configuration has.
pub struct Setup {
    pub keys: u64,
    /// What the first key opens; the others open everything.
    pub opens: Option<&'static str>,
    pub servers: Vec<Server>,
}

pub struct Server {
    pub id: String,
    /// `HOST:PORT`.
    pub address: String,
    pub era: &'static str,
}

pub struct Tollbridge {
    /// With the first key, at the path of all servers.
    pub door: Door,
    pub child: Child,
}

impl Server {
    pub fn modern(id: &str, address: &str) -> Self {
        Self { id: id.to_owned(), address: address.to_owned(), era: "modern" }
    }

    pub fn legacy(id: &str, address: &str) -> Self {
        Self { era: "legacy", ..Self::modern(id, address) }
    }
}

impl Tollbridge {
    pub async fn start(place: &Place, name: &str, program: &Path, setup: &Setup) -> Result<Self> {
        let room = place.room(name)?;
        let (listen, admin) = (place.address()?, place.address()?);
        let secrets = RandomState::new();
        let secret = |number: u64| format!("{:016x}{:016x}", secrets.hash_one(number), secrets.hash_one((number, 0)));
        let mut conf = format!(
            "listen: {listen}
admin: {{listen: {admin}}}
threads: 1
access_log: {{file: {}}}
discovery: {{interval: 1h}}
registry: {{path: {}}}
keys:
",
            room.join(ACCESS_LOG).display(),
            room.join("registry.db").display()
        );
        for number in 0..setup.keys.max(1) {
            let opens = setup.opens.filter(|_| number == 0).map(|opens| format!(", servers: [\"{opens}\"]"));
            let (secret, opens) = (secret(number), opens.unwrap_or_default());
            writeln!(conf, "  - {{id: k{number}, key: \"{secret}\", role: user{opens}}}")?;
        }
        conf.push_str("servers:\n");
        for Server { id, address, era } in &setup.servers {
            // Checks are rare, because those of a thousand servers would be measured with the calls.
            writeln!(
                conf,
                "  {id}: {{url: \"http://{address}/mcp\", era: {era}, health: {{interval: 1h}}, timeout: {{call: 10m}}}}"
            )?;
        }
        fs::write(room.join("conf.yaml"), conf)?;
        let mut command = Command::new(program);
        command.arg("run").arg("--config").arg(room.join("conf.yaml"));
        let log = place.path(&format!("{name}.log"));
        let child = super::start(command, Side::Proxy, &log, &format!("http://{admin}/readyz")).await?;
        let door = Door {
            target: format!("http://{listen}/mcp").parse()?,
            key: Some(secret(0)),
            processes: child.processes()?,
        };
        Ok(Self { door, child })
    }
}
