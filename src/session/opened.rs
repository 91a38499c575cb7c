//! A session that the gateway opened with one server for one client's session. It sticks to the
//! endpoint that opened it, and is never shared between clients.

use crate::conf::Server;
use crate::upstream::{Endpoint, Fault, Fields, Head, InFlight, Link, Question, Reply, lasting};
use bytes::Bytes;
use http::HeaderMap;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tollbridge_filters::era::Era;

#[derive(Clone, Debug)]
pub struct Opened {
    pub addr: SocketAddr,
    /// The revision that this server settled on.
    pub version: Arc<str>,
    /// `None`: the server keeps no sessions.
    pub id: Option<Arc<str>>,
    /// Those of the client's headers that this server is to get (`forward_headers`), as they were when
    /// the session was opened. What belongs to a session carries them, whoever sends it.
    pub headers: Arc<HeaderMap>,
    pub(super) has_logging: bool,
    /// Tells this session from another one with the same server, in what clients hold.
    pub mark: u32,
}

/// The same for every process that has the session.
pub(super) fn mark(id: Option<&str>) -> u32 {
    let digest = Sha256::digest(id.unwrap_or_default());
    digest.iter().take(4).fold(0, |mark, byte| mark << 8 | u32::from(*byte))
}

/// Why a server opened no session.
#[derive(Debug)]
pub enum NotOpened {
    /// The HTTP status that refused the gateway's credential.
    Credential(u16),
    Otherwise(String),
}

impl From<String> for NotOpened {
    fn from(why: String) -> NotOpened {
        NotOpened::Otherwise(why)
    }
}

/// How long the gateway waits when it says goodbye.
const FAREWELL: Duration = Duration::from_secs(5);

/// What the client declared, to be declared for it, and its headers that may go upstream. Tasks of the
/// client's a server would not find behind several.
pub struct Introduction<'i> {
    pub version: &'i str,
    pub capabilities: &'i str,
    pub takes_tasks: bool,
    pub client_info: &'i str,
    pub headers: &'i HeaderMap,
}

impl Introduction<'_> {
    fn declared(&self) -> Cow<'_, str> {
        if self.takes_tasks {
            return Cow::Borrowed(self.capabilities);
        }
        let sent = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(self.capabilities);
        let mut sent = sent.unwrap_or_default();
        match sent.remove("tasks") {
            Some(_) => Cow::Owned(serde_json::Value::Object(sent).to_string()),
            None => Cow::Borrowed(self.capabilities),
        }
    }
}

/// What the client has asked for in its session so far, beside its requests.
#[derive(Default)]
pub struct Wishes {
    pub level: Option<String>,
    /// URIs of resources.
    pub subscriptions: Vec<String>,
}

impl Opened {
    /// Opens a session and brings it to where the client's is.
    pub async fn open(
        server: &Server,
        endpoint: &InFlight,
        client: &Introduction<'_>,
        wishes: &Wishes,
    ) -> Result<Opened, NotOpened> {
        let opened = Opened::begin(server, endpoint, client).await?;
        if let Err(why) = opened.settle(server, endpoint, wishes).await {
            // Nobody will ever use it.
            opened.end(server, endpoint).await;
            return Err(why.into());
        }
        Ok(opened)
    }

    async fn begin(server: &Server, endpoint: &Endpoint, client: &Introduction<'_>) -> Result<Opened, NotOpened> {
        let headers = Arc::new(lasting(client.headers, server));
        let initialize = Question::initialize(client.version, &client.declared(), client.client_info);
        let initialize = Question { headers: Some(&headers), ..initialize };
        let answer = initialize.ask(server, endpoint, server.timeout.call).await?;
        let result = match &answer.reply {
            Reply::Result(result) => result,
            _ if matches!(answer.status, 401 | 403) => return Err(NotOpened::Credential(answer.status)),
            refused => return Err(refused.refusal(initialize.method, answer.status).into()),
        };
        let result: serde_json::Value = serde_json::from_str(result.get()).map_err(|error| error.to_string())?;
        let version = result.get("protocolVersion").and_then(|version| version.as_str()).unwrap_or(client.version);
        let (version, has_logging) = (version.into(), result.pointer("/capabilities/logging").is_some());
        let mark = mark(answer.session.as_deref());
        Ok(Opened { addr: endpoint.addr, version, id: answer.session.map(Arc::from), headers, has_logging, mark })
    }

    async fn settle(&self, server: &Server, endpoint: &Endpoint, wishes: &Wishes) -> Result<(), String> {
        let initialized = Question::initialized(&self.version, self.id.as_deref());
        let initialized = Question { headers: Some(&self.headers), ..initialized };
        // Saying it twice is no harm, and a busy server may close a connection that it takes for idle.
        if initialized.ask(server, endpoint, server.timeout.call).await.is_err() {
            initialized.ask(server, endpoint, server.timeout.call).await?;
        }
        if let Some(level) = &wishes.level {
            self.set_level(server, endpoint, level).await?;
        }
        for uri in &wishes.subscriptions {
            let subscribe = Question::subscribe(&self.version, self.id.as_deref(), uri);
            let subscribe = Question { headers: Some(&self.headers), ..subscribe };
            // It may not have it any more; then it says so to whoever reads it.
            subscribe.ask(server, endpoint, server.timeout.call).await?;
        }
        Ok(())
    }

    pub async fn set_level(&self, server: &Server, endpoint: &Endpoint, level: &str) -> Result<(), String> {
        if !self.has_logging {
            return Ok(());
        }
        let question = Question::set_level(&self.version, self.id.as_deref(), level);
        let question = Question { headers: Some(&self.headers), ..question };
        question.ask(server, endpoint, server.timeout.call).await.map(drop)
    }

    /// What a message of the session says of it.
    pub fn fields(&self) -> Fields<'_> {
        Fields {
            era: Era::Legacy,
            version: Some(&self.version),
            session: self.id.as_deref(),
            method: "",
            name: None,
            forwarded: Some(&self.headers),
        }
    }

    pub async fn end(&self, server: &Server, endpoint: &Endpoint) {
        if self.id.is_some() {
            end_upstream(server, endpoint, &self.fields()).await;
        }
    }
}

/// Ends a session at a server. Whether it listens or not, we are done; but a connection that was just
/// being closed must not keep the session at the server for ever.
pub async fn end_upstream(server: &Server, endpoint: &Endpoint, goodbye: &Fields<'_>) {
    let farewell = async {
        let said = say(server, endpoint, goodbye).await;
        if said.is_ok() { said } else { say(server, endpoint, goodbye).await }
    };
    let why = match tokio::time::timeout(FAREWELL, farewell).await {
        Ok(Ok(())) => return,
        Ok(Err(fault)) => fault.to_string(),
        Err(_) => format!("no answer within {FAREWELL:?}"),
    };
    tracing::debug!(server = %server.id, endpoint = %endpoint.addr, %why, "a session could not be ended there");
}

/// What a `DELETE` of a session says of it.
pub fn goodbye<'f>(version: &'f str, id: &'f str) -> Fields<'f> {
    Fields { era: Era::Legacy, version: Some(version), session: Some(id), method: "", name: None, forwarded: None }
}

async fn say(server: &Server, endpoint: &Endpoint, goodbye: &Fields<'_>) -> Result<(), Fault> {
    let head = Head { verb: "DELETE", server, endpoint, path: &endpoint.path, fields: *goodbye, body_bytes: 0 };
    let mut link = Link::send(endpoint, &head, Bytes::new()).await?;
    link.answer().await?;
    while link.chunk().await?.is_some() {}
    link.close().await;
    Ok(())
}
