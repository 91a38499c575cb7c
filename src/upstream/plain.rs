//! Servers of RouteIQ's REST dialect, asked on the gateway's own account: `GET {base}/tools` and its
//! like, in place of JSON-RPC.

use super::endpoint::Endpoint;
use super::head::{Fields, Head};
use super::link::Link;
use crate::conf::Server;
use bytes::Bytes;
use std::time::{Duration, Instant};
use tollbridge_filters::era::Era;

const RESPONSE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Where such a server may have its paths: below its own if that ends in `/mcp`, else below `/mcp`
/// there, or below itself.
pub fn bases(path: &str) -> Vec<String> {
    let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
    match path.ends_with("/mcp") {
        true => vec![path.to_owned()],
        false => vec![format!("{path}/mcp"), path.to_owned()],
    }
}

/// One `GET`: its status and its body, within a limit and a deadline.
pub async fn get(server: &Server, endpoint: &Endpoint, path: &str, timeout: Duration) -> Result<(u16, Bytes), String> {
    match tokio::time::timeout(timeout, exchange(server, endpoint, path)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {timeout:?}")),
    }
}

async fn exchange(server: &Server, endpoint: &Endpoint, path: &str) -> Result<(u16, Bytes), String> {
    let fields = Fields { era: Era::Legacy, version: None, session: None, method: "", name: None, forwarded: None };
    let head = Head { verb: "GET", server, endpoint, path, fields, body_bytes: 0 };
    let began = Instant::now();
    let mut link = Link::send(endpoint, &head, Bytes::new()).await.map_err(|fault| fault.to_string())?;
    let status = link.answer().await.map_err(|fault| fault.to_string())?.status;
    let mut body = Vec::new();
    while let Some(chunk) = link.chunk().await.map_err(|fault| fault.to_string())? {
        body.extend_from_slice(&chunk);
        if body.len() > RESPONSE_BYTES_MAX {
            return Err(format!("its answer is longer than {RESPONSE_BYTES_MAX} bytes"));
        }
    }
    endpoint.health.answered_within(began.elapsed());
    endpoint.health.lives();
    link.close().await;
    Ok((status, body.into()))
}
