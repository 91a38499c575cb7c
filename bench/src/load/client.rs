//! One connection of an MCP client, and the legacy session on it.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use super::request::{Shape, Template};
use super::ticket::{Ticket, excerpt};
use crate::wire::Wire;

pub struct Client {
    template: Arc<Template>,
    connection: u32,
    sequence: u64,
    nonces: RandomState,
    kept: Option<Wire>,
    /// A server without sessions names none, so this may be nothing in a session, too.
    session: Option<String>,
    has_session: bool,
}

impl Client {
    pub fn new(template: Arc<Template>, connection: u32) -> Self {
        Self {
            template,
            connection,
            sequence: 0,
            nonces: RandomState::new(),
            kept: None,
            session: None,
            has_session: false,
        }
    }

    pub fn template(&self) -> &Template {
        &self.template
    }

    pub fn next_ticket(&mut self) -> Ticket {
        self.sequence += 1;
        let place = (self.connection, self.sequence);
        Ticket {
            id: format!("\"{:05}-{:010}\"", place.0, place.1),
            nonce: format!("\"{:016x}\"", self.nonces.hash_one(place)),
        }
    }

    pub fn request(&self, ticket: &Ticket) -> String {
        self.template.request(ticket, self.session.as_deref())
    }

    /// The kept connection or a new one; the caller gives it back with [`Client::keep`].
    pub async fn connection(&mut self) -> Result<Wire> {
        let mut wire = match self.kept.take() {
            Some(wire) => wire,
            None => {
                self.begin_session();
                self.template.target.connect().await?
            }
        };
        if self.template.shape == Shape::Legacy && !self.has_session {
            self.session = open_session(&self.template, &mut wire).await?;
            self.has_session = true;
        }
        Ok(wire)
    }

    /// What follows belongs to a new session; the old one is left open.
    pub fn begin_session(&mut self) {
        self.has_session = false;
    }

    pub fn keep(&mut self, wire: Wire) {
        self.kept = Some(wire);
    }
}

/// Opens a legacy session; a server without sessions names none.
pub async fn open_session(template: &Template, wire: &mut Wire) -> Result<Option<String>> {
    wire.send(template.initialize().as_bytes()).await?;
    let (status, head) = wire.response().await.context("no answer to initialize")?;
    let body = wire.body(head.framing).await?;
    ensure!(status == 200, "initialize was answered with status {status}: {}", excerpt(&body));
    wire.send(template.initialized(head.session.as_deref()).as_bytes()).await?;
    let (status, confirmed) = wire.response().await.context("no answer to notifications/initialized")?;
    let body = wire.body(confirmed.framing).await?;
    ensure!(status == 202, "notifications/initialized was answered with status {status}: {}", excerpt(&body));
    Ok(head.session)
}
