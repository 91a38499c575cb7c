//! HAProxy as a plain reverse proxy: one thread, kept connections, no log.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::super::child::{Child, Side};
use super::super::place::Place;
use super::Door;

pub struct Haproxy {
    pub door: Door,
    pub child: Child,
}

impl Haproxy {
    /// `connections` is how many clients it takes at the same time.
    pub async fn start(place: &Place, name: &str, upstream: &str, connections: usize) -> Result<Self> {
        let room = place.room(name)?;
        let listen = place.address()?;
        let conf = format!(
            "global
    nbthread 1
    maxconn {connections}
defaults
    mode http
    option http-no-delay
    option http-keep-alive
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend calls
    bind {listen}
    default_backend stub
backend stub
    http-reuse always
    server stub {upstream}
"
        );
        fs::write(room.join("conf"), conf)?;
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(room.join("conf"));
        let url = format!("http://{listen}/mcp");
        let child = super::start(command, Side::Proxy, &place.path(&format!("{name}.log")), &url).await?;
        let door = Door { target: url.parse()?, key: None, processes: child.processes()? };
        Ok(Self { door, child })
    }
}
