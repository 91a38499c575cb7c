//! The upstream of all contenders: `bench stub`, beside the load.

use std::process::Command;

use anyhow::Result;

use super::super::child::{Child, Side};
use super::super::place::Place;
use super::Door;
use crate::process::Processes;

pub struct Stub {
    /// `HOST:PORT`.
    pub address: String,
    pub door: Door,
    _child: Child,
}

impl Stub {
    pub async fn start(place: &Place, name: &str, address: Option<&str>, flags: &[&str]) -> Result<Self> {
        let address = address.map_or_else(|| place.address(), |address| Ok(address.to_owned()))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["stub", "--listen", &address]).args(flags);
        let url = format!("http://{address}/mcp");
        let log = place.path(&format!("{name}.log"));
        let child = super::start(command, Side::Load, &log, &url).await?;
        // Its CPU time is not measured: it is the same work for everybody.
        let door = Door { target: url.parse()?, key: None, processes: Processes::with_children(&[])? };
        Ok(Self { address, door, _child: child })
    }
}
