//! The server under load: a plain-text HTTP URL, split once.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::net::TcpStream;

use crate::wire::Wire;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub struct Target {
    /// `host:port`, for the socket and for the `Host` header.
    pub authority: String,
    pub path: String,
}

impl Target {
    pub async fn connect(&self) -> Result<Wire> {
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.authority));
        let hint = || format!("cannot connect to {}: start the server first", self.authority);
        Ok(Wire::new(connecting.await.with_context(hint)?.with_context(hint)?)?)
    }
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(url: &str) -> Result<Self> {
        let hint = || anyhow!("not a plain HTTP URL: write http://HOST:PORT/PATH");
        let rest = url.strip_prefix("http://").ok_or_else(hint)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let port = authority.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        port.ok_or_else(hint)?.map_err(|_| hint())?;
        Ok(Self { authority: authority.to_owned(), path: format!("/{path}") })
    }
}
