//! The request filters: they decide how a request is served, and change nothing.
//!
//! A filter has no clock, no I/O and no globals; what it needs to know is an argument. The order
//! in [`Filters::on_head`] and [`Filters::on_message`] is the contract: a line may rely on the
//! lines above it, never on those below.

pub mod auth;
pub mod catalog;
pub mod era;
pub mod glance;
pub mod headers;
pub mod json;
pub mod jsonrpc;
pub mod limit;
pub mod names;
pub mod origin;
pub mod path;
pub mod permit;
pub mod rejection;
pub mod route;
pub mod seal;
pub mod session;
pub mod sse;

pub mod native;

use auth::{Keyring, Principal};
use bytes::Bytes;
use catalog::Snapshot;
use http::request::Parts;
use jsonrpc::Envelope;
use limit::HeadLimits;
use origin::Doorkeeper;
use path::{Place, Scope};
use rejection::Rejection;
use route::Route;
use seal::Sealer;
use session::SessionKey;
use std::time::Duration;

/// What the filters know beside the snapshot: it changes with the configuration alone.
pub struct Filters {
    pub keyring: Keyring,
    pub doorkeeper: Doorkeeper,
    pub head_limits: HeadLimits,
    pub passthrough: bool,
    pub sealer: Sealer,
    pub session_max_age: Duration,
}

/// What a head alone decides.
#[derive(Debug)]
pub enum Admission {
    /// To the application beside the gateway.
    Pass,
    /// Protected-resource metadata, open without a key.
    ResourceMetadata,
    /// To an MCP endpoint, by somebody who may.
    Mcp(Admitted),
}

/// A caller at an MCP endpoint, before anything of a body was read.
#[derive(Debug, Clone)]
pub struct Admitted {
    pub principal: Principal,
    pub scope: Scope,
}

/// What the filters may ask about the moment.
pub struct Moment<'m> {
    /// Seconds since 1970.
    pub now: u64,
    /// Whether a session was ended by its client.
    pub ended: &'m (dyn Fn(SessionKey) -> bool + Sync),
}

impl Filters {
    /// Path, Host and Origin, key: in this order, from the head alone.
    pub fn on_head(&self, head: &Parts, snapshot: &Snapshot) -> Result<Admission, Rejection> {
        self.head_limits.check(head)?;
        let known = |id: &names::ServerId| snapshot.server(id).is_some();
        let scope = match path::place(head.uri.path(), known, self.passthrough)? {
            Place::Mcp(scope) => scope,
            Place::ResourceMetadata if !self.passthrough => return Ok(Admission::ResourceMetadata),
            _ if self.passthrough && !path::is_reserved(head.uri.path()) => return Ok(Admission::Pass),
            _ => return Err(Rejection::NotFound),
        };
        self.doorkeeper.check(head)?;
        let principal = self.keyring.authenticate(&head.headers)?;
        native::check_endpoint(head, &scope, &principal, snapshot)?;
        Ok(Admission::Mcp(Admitted { principal, scope }))
    }

    /// A request without a body: `DELETE` of a legacy session.
    pub fn on_delete(&self, head: &Parts, admitted: &Admitted, moment: &Moment<'_>) -> Result<Route, Rejection> {
        self.session(head, admitted, moment).map(Route::End)
    }

    /// Envelope, era, permission and route.
    pub fn on_message(
        &self,
        head: &Parts,
        admitted: &Admitted,
        body: Bytes,
        snapshot: &Snapshot,
        moment: &Moment<'_>,
    ) -> Result<Route, Refused> {
        let envelope = Envelope::scan(body)?;
        let (id, method) = (envelope.id().map(str::to_owned), envelope.method().into_owned());
        native::route(self, head, admitted, envelope, snapshot, moment).map_err(|reason| Refused { id, method, reason })
    }

    fn session(&self, head: &Parts, admitted: &Admitted, moment: &Moment<'_>) -> Result<session::Session, Rejection> {
        let sealed = headers::single(&head.headers, headers::SESSION_ID).map_err(|_| Rejection::SessionNotFound)?;
        let sealed = sealed.ok_or(Rejection::SessionRequired)?;
        let Admitted { principal, scope } = admitted;
        session::Session::open(&self.sealer, principal, scope, sealed, moment.now, self.session_max_age)
            .filter(|session| !(moment.ended)(session.key))
            .ok_or(Rejection::SessionNotFound)
    }
}

/// A rejection of a message, with the id that its answer must echo.
#[derive(Debug)]
pub struct Refused {
    pub id: Option<String>,
    /// Empty where it could not be read.
    pub method: String,
    pub reason: Rejection,
}

impl From<jsonrpc::Unread> for Refused {
    fn from(unread: jsonrpc::Unread) -> Refused {
        Refused { id: unread.id, method: String::new(), reason: unread.invalid.into() }
    }
}
