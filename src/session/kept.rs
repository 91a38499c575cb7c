//! What is kept of a session where it outlives the process: what servers answered when they opened theirs, and
//! what its client has asked for.

use super::opened::{Opened, mark};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use tollbridge_filters::names::ServerId;

#[derive(Serialize, Deserialize)]
pub struct KeptOpened {
    addr: SocketAddr,
    version: String,
    id: Option<String>,
    headers: Vec<(String, String)>,
    has_logging: bool,
}

/// The upstream half of a session, as it is kept.
#[derive(Default)]
pub struct Half {
    pub level: Option<String>,
    pub subscribed: Vec<(String, ServerId)>,
    pub opened: Vec<(ServerId, Opened)>,
}

impl KeptOpened {
    pub fn of(opened: &Opened) -> KeptOpened {
        let text = |value: &HeaderValue| value.to_str().map(str::to_owned).ok();
        let headers = opened.headers.iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?)));
        KeptOpened {
            addr: opened.addr,
            version: opened.version.to_string(),
            id: opened.id.as_deref().map(str::to_owned),
            headers: headers.collect(),
            has_logging: opened.has_logging,
        }
    }

    pub fn restored(self) -> Opened {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
                headers.append(name, value);
            }
        }
        let KeptOpened { addr, version, id, has_logging, .. } = self;
        let mark = mark(id.as_deref());
        let (version, id) = (version.into(), id.map(Arc::from));
        Opened { addr, version, id, headers: Arc::new(headers), has_logging, mark }
    }
}
