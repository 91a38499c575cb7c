//! A session that the gateway opened with one server for one client's session. It sticks to the
//! endpoint that opened it, and is never shared between clients.

use crate::conf::Server;
use crate::upstream::{Endpoint, Fault, Fields, Head, InFlight, Link, Question, Reply};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;
use tollbridge_filters::era::Era;

#[derive(Clone, Debug)]
pub struct Opened {
    pub addr: SocketAddr,
    /// The revision that this server settled on.
    pub version: String,
    /// `None`: the server keeps no sessions.
    pub id: Option<String>,
    has_logging: bool,
}

/// How long the gateway waits when it says goodbye.
const FAREWELL: Duration = Duration::from_secs(5);

/// What the client declared, to be declared for it.
pub struct Introduction<'i> {
    pub version: &'i str,
    pub capabilities: &'i str,
    pub client_info: &'i str,
}

impl Opened {
    /// Opens a session and brings it to where the client's is.
    pub async fn open(
        server: &Server,
        endpoint: &InFlight,
        client: &Introduction<'_>,
        level: Option<&str>,
    ) -> Result<Opened, String> {
        let opened = Opened::begin(server, endpoint, client).await?;
        if let Err(why) = opened.settle(server, endpoint, level).await {
            // Nobody will ever use it.
            opened.end(server, endpoint).await;
            return Err(why);
        }
        Ok(opened)
    }

    async fn begin(server: &Server, endpoint: &Endpoint, client: &Introduction<'_>) -> Result<Opened, String> {
        let initialize = Question::initialize(client.version, client.capabilities, client.client_info);
        let answer = initialize.ask(server, endpoint, server.timeout.call).await?;
        let Reply::Result(result) = &answer.reply else {
            return Err(format!("initialize was answered {} without a result", answer.status));
        };
        let result: serde_json::Value = serde_json::from_str(result.get()).map_err(|error| error.to_string())?;
        let version = result.get("protocolVersion").and_then(|version| version.as_str()).unwrap_or(client.version);
        let has_logging = result.pointer("/capabilities/logging").is_some();
        Ok(Opened { addr: endpoint.addr, version: version.to_owned(), id: answer.session, has_logging })
    }

    async fn settle(&self, server: &Server, endpoint: &Endpoint, level: Option<&str>) -> Result<(), String> {
        let initialized = Question::initialized(&self.version, self.id.as_deref());
        // Saying it twice is no harm, and a busy server may close a connection that it takes for idle.
        if initialized.ask(server, endpoint, server.timeout.call).await.is_err() {
            initialized.ask(server, endpoint, server.timeout.call).await?;
        }
        match level {
            Some(level) => self.set_level(server, endpoint, level).await,
            None => Ok(()),
        }
    }

    pub async fn set_level(&self, server: &Server, endpoint: &Endpoint, level: &str) -> Result<(), String> {
        if !self.has_logging {
            return Ok(());
        }
        let question = Question::set_level(&self.version, self.id.as_deref(), level);
        question.ask(server, endpoint, server.timeout.call).await.map(drop)
    }

    pub async fn end(&self, server: &Server, endpoint: &Endpoint) {
        if let Some(id) = &self.id {
            end_upstream(server, endpoint, &self.version, id).await;
        }
    }
}

/// Ends a session at a server. Whether it listens or not, we are done; but a connection that was just
/// being closed must not keep the session at the server for ever.
pub async fn end_upstream(server: &Server, endpoint: &Endpoint, version: &str, id: &str) {
    let farewell = async {
        let said = say_goodbye(server, endpoint, version, id).await;
        if said.is_ok() { said } else { say_goodbye(server, endpoint, version, id).await }
    };
    let why = match tokio::time::timeout(FAREWELL, farewell).await {
        Ok(Ok(())) => return,
        Ok(Err(fault)) => fault.to_string(),
        Err(_) => format!("no answer within {FAREWELL:?}"),
    };
    tracing::debug!(server = %server.id, endpoint = %endpoint.addr, %why, "a session could not be ended there");
}

async fn say_goodbye(server: &Server, endpoint: &Endpoint, version: &str, id: &str) -> Result<(), Fault> {
    let fields =
        Fields { era: Era::Legacy, version: Some(version), session: Some(id), method: "", name: None, forwarded: None };
    let head = Head { verb: "DELETE", server, endpoint, fields, body_bytes: 0 };
    let mut link = Link::send(endpoint, &head, Bytes::new()).await?;
    link.answer().await?;
    while link.chunk().await?.is_some() {}
    link.close().await;
    Ok(())
}
