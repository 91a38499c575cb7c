//! The request filters: they decide how a request is served, and change nothing.
//!
//! A filter has no clock, no I/O and no globals; what it needs to know is an argument. The order
//! in [`Filters::on_head`] and [`Filters::on_message`] is the contract: a line may rely on the
//! lines above it, never on those below.

pub mod arguments;
pub mod auth;
pub mod catalog;
pub mod date;
pub mod era;
pub mod glance;
pub mod headers;
pub mod json;
pub mod jsonrpc;
pub mod limit;
pub mod marks;
pub mod names;
pub mod origin;
pub mod path;
pub mod permit;
pub mod redact;
pub mod rejection;
pub mod route;
pub mod seal;
pub mod search;
pub mod session;
pub mod sse;
pub mod tags;

pub mod native;
pub mod rest;
pub mod surface;
pub mod translate;

use arguments::Validation;
use auth::{Keyring, Principal};
use bytes::Bytes;
use catalog::Snapshot;
use http::request::Parts;
use jsonrpc::{Echo, Envelope};
use limit::HeadLimits;
use origin::Doorkeeper;
use path::{Grounds, Place, Scope};
use rejection::Rejection;
use rest::Visit;
use route::Route;
use seal::Sealer;
use session::{Recent, Session, SessionKey};
use std::sync::Arc;
use std::time::Duration;
use surface::oliverye::Job;
use surface::{Surface, Surfaces};

/// What the filters know beside the snapshot: it changes with the configuration alone.
pub struct Filters {
    pub keyring: Keyring,
    pub doorkeeper: Doorkeeper,
    pub head_limits: HeadLimits,
    pub passthrough: bool,
    pub surfaces: Surfaces,
    pub validation: Validation,
    /// Whether MCP clients see two tools in place of all of them.
    pub meta_tools: bool,
    /// Whether the registry is shown without a key.
    pub registry_public: bool,
    pub sealer: Sealer,
    /// Sessions that the sealer has opened.
    pub recent: Recent,
    pub session_max_age: Duration,
}

/// What a head alone decides.
#[derive(Debug, Clone)]
pub enum Admission {
    /// To the application beside the gateway.
    Pass,
    /// Protected-resource metadata, open without a key.
    ResourceMetadata,
    /// To an MCP endpoint, by somebody who may.
    Mcp(Admitted),
    /// To a row of a REST surface, by somebody who may.
    Rest(Arc<Visit>),
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
    /// Names this exchange, and no other that is under way.
    pub request_id: &'m str,
    /// Whether a session was ended by its client.
    pub ended: &'m (dyn Fn(SessionKey) -> bool + Sync),
}

impl Filters {
    /// Path, Host and Origin, key: in this order, from the head alone.
    pub fn on_head(&self, head: &Parts, snapshot: &Snapshot) -> Result<Admission, Rejection> {
        self.head_limits.check(head)?;
        let known = |id: &names::ServerId| snapshot.server(id).is_some() || snapshot.behind_alias(id).is_some();
        let grounds = Grounds { known: &known, passthrough: self.passthrough, surfaces: self.surfaces };
        let path = head.uri.path();
        let scope = match path::place(path, &grounds)? {
            Place::Mcp(scope) => canonical(scope, snapshot),
            Place::Rest(spot) => match native::shared(head, &spot, snapshot) {
                Some(scope) => scope,
                None => {
                    self.doorkeeper.check(head)?;
                    return Visit::admit(self, head, spot).map(Arc::new).map(Admission::Rest);
                }
            },
            Place::ResourceMetadata if !self.passthrough => return Ok(Admission::ResourceMetadata),
            _ if self.passthrough && !path::is_reserved(path, self.surfaces) => return Ok(Admission::Pass),
            _ if !self.surfaces.serve(Surface::of_path(path)) => return Err(Rejection::SurfaceOff),
            _ => return Err(Rejection::NotFound),
        };
        self.doorkeeper.check(head)?;
        if self.surfaces.routeiq && native::asks_for_card(head) {
            return Visit::card(self, head, &scope).map(Arc::new).map(Admission::Rest);
        }
        let principal = self.keyring.authenticate(&head.headers)?;
        let scope = native::narrowed(head, scope)?;
        native::check_endpoint(head, &scope, &principal, snapshot)?;
        Ok(Admission::Mcp(Admitted { principal, scope }))
    }

    /// A request without a body: `DELETE` of a legacy session.
    pub fn on_delete(&self, head: &Parts, admitted: &Admitted, moment: &Moment<'_>) -> Result<Route, Rejection> {
        self.session(head, admitted, moment).map(Route::End)
    }

    /// A request without a body: `GET` of a stream of a legacy session.
    pub fn on_stream(&self, head: &Parts, admitted: &Admitted, moment: &Moment<'_>) -> Result<Route, Rejection> {
        native::attach(self, head, admitted, moment)
    }

    /// A request of a REST surface; the body is empty where there is none.
    pub fn on_rest(
        &self,
        head: &Parts,
        visit: &Visit,
        body: Bytes,
        snapshot: &Snapshot,
        moment: &Moment<'_>,
    ) -> Result<Route, Refused> {
        rest::Request { filters: self, head, visit, body, snapshot, moment }.route()
    }

    /// A job that came over a list: the decisions of the request over HTTP that it stands for.
    pub fn on_job(
        &self,
        principal: &Principal,
        job: &Job,
        snapshot: &Snapshot,
        moment: &Moment<'_>,
    ) -> Result<Route, Refused> {
        let (head, ()) = http::Request::new(()).into_parts();
        let visit = Visit::of_job(principal, job);
        let (filters, body) = (self, job.body.clone());
        rest::Request { filters, head: &head, visit: &visit, body, snapshot, moment }.route_job()
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
        let echo = envelope.echo();
        let decided = match surface::rpc::is_ours(envelope.verb()) && envelope.id().is_some() {
            true => rest::manage(self, head, &admitted.principal, &envelope),
            false => native::route(self, head, admitted, envelope, snapshot, moment),
        };
        decided.map_err(|reason| Refused::of(&echo, reason))
    }

    fn session(&self, head: &Parts, admitted: &Admitted, moment: &Moment<'_>) -> Result<Arc<Session>, Rejection> {
        let sealed =
            headers::single(&head.headers, &headers::field::SESSION_ID).map_err(|_| Rejection::SessionNotFound)?;
        let sealed = sealed.ok_or(Rejection::SessionRequired)?;
        let Admitted { principal, scope } = admitted;
        let opened = self.recent.open(&self.sealer, principal, scope, sealed);
        opened
            .filter(|session| session.age(moment.now) <= self.session_max_age && !(moment.ended)(session.key))
            .ok_or(Rejection::SessionNotFound)
    }
}

/// The server behind an alias.
fn canonical(scope: Scope, snapshot: &Snapshot) -> Scope {
    match &scope {
        Scope::One(id) if snapshot.server(id).is_none() => snapshot.behind_alias(id).cloned().map_or(scope, Scope::One),
        Scope::One(_) => scope,
        Scope::All | Scope::Set(_) => scope,
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

impl Refused {
    fn of(echo: &Echo, reason: Rejection) -> Refused {
        Refused { id: echo.id().map(str::to_owned), method: echo.method().to_owned(), reason }
    }
}

impl From<jsonrpc::Unread> for Refused {
    fn from(unread: jsonrpc::Unread) -> Refused {
        Refused { id: unread.id, method: String::new(), reason: unread.invalid.into() }
    }
}
