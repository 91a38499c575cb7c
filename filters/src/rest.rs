//! REST: from one request of a surface to its route.

mod asked;
mod rpc;
mod visit;

pub(crate) use rpc::manage;
pub use visit::Visit;

use crate::auth::Role;
use crate::catalog::{Dialect, Meant, Server, Snapshot};
use crate::era::Era;
use crate::headers;
use crate::json;
use crate::jsonrpc::{Envelope, Progress, ToolCall};
use crate::path::Scope;
use crate::rejection::Rejection;
use crate::route::{Calling, Carry, Change, Effect, Form, Idempotency, Route, Show, What};
use crate::session::Session;
use crate::surface::body::Fields;
use crate::surface::plain::Extent;
use crate::surface::view::View;
use crate::surface::{Operation, Surface, litellm, oliverye, routeiq};
use crate::tags::Tags;
use crate::{Filters, Moment, Refused};
use asked::{Asked, read_arguments, read_search};
use bytes::Bytes;
use http::request::Parts;
use memchr::memmem;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use visit::check_role;

const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// How the gateway introduces itself to servers on behalf of REST callers.
const CLIENT_INFO: &str = concat!(r#"{"name":"tollbridge","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);

/// One REST request with everything that routing it depends on.
pub(crate) struct Request<'r> {
    pub filters: &'r Filters,
    pub head: &'r Parts,
    pub visit: &'r Visit,
    pub body: Bytes,
    pub snapshot: &'r Snapshot,
    pub moment: &'r Moment<'r>,
}

/// A REST body is no JSON-RPC message unless it says so.
fn is_rpc(body: &[u8]) -> bool {
    memmem::find(body, b"\"jsonrpc\"").is_some() && member(body, "jsonrpc").is_some()
}

/// Where the body is a tool's arguments, `jsonrpc` may be one of them.
fn is_rpc_for_sure(body: &[u8]) -> bool {
    is_rpc(body) && member(body, "jsonrpc") == Some("\"2.0\"") && member(body, "method").is_some()
}

/// A member at the top, raw, if it stands there once.
fn member<'b>(body: &'b [u8], key: &str) -> Option<&'b str> {
    let text = std::str::from_utf8(body).ok()?;
    text.get(json::find(text, [key]).ok()??)
}

impl Request<'_> {
    pub fn route(self) -> Result<Route, Refused> {
        let refused = |reason| Refused { id: None, method: String::new(), reason };
        if self.visit.row.operation == Operation::NotImplemented {
            return Err(refused(Rejection::NotImplemented(self.visit.row.path)));
        }
        if self.visit.speaks_rpc(&self.body) {
            return self.rpc();
        }
        check_role(self.filters, self.visit.row, &self.visit.principal).map_err(refused)?;
        self.rest().map_err(refused)
    }

    /// A job names what it asks for, so nothing in its payload makes a JSON-RPC message of it.
    pub fn route_job(self) -> Result<Route, Refused> {
        self.rest().map_err(|reason| Refused { id: None, method: String::new(), reason })
    }

    fn rest(&self) -> Result<Route, Rejection> {
        let visit = self.visit;
        let surface = visit.row.surface;
        let what = match visit.row.operation {
            Operation::Call => return self.call(),
            Operation::Register if surface == Surface::Litellm => {
                What::Register(litellm::read_registration(self.fields()?)?)
            }
            Operation::Register => What::Register(routeiq::read_registration(self.fields()?, surface)?),
            Operation::Replace if surface == Surface::Litellm => {
                let (id, update) = litellm::read_update(self.fields()?)?;
                What::Update(id, update)
            }
            Operation::Replace => {
                let registration = routeiq::read_registration(self.fields()?, surface)?;
                What::Replace(visit.parameter(0).to_owned(), registration)
            }
            Operation::Unregister => What::Unregister(visit.parameter(0).to_owned()),
            Operation::DeclareTool => {
                let (name, definition) = routeiq::read_declaration(self.fields()?)?;
                What::DeclareTool { server: visit.parameter(0).to_owned(), name, definition }
            }
            Operation::MakePublic => What::MakePublic(litellm::read_public(self.fields()?)?),
            Operation::AddServers => self.add_servers()?,
            Operation::RemoveServer => {
                self.check_global_change()?;
                What::RemoveServer { set: visit.session.clone(), named: oliverye::read_removal(self.fields()?)? }
            }
            Operation::CreateScope => What::CreateSet(oliverye::read_metadata(Fields::read_or_empty(&self.body)?)?),
            Operation::DropScope => What::DropSet(visit.parameter(0).to_owned()),
            _ => return self.show(),
        };
        self.change(what)
    }

    fn fields(&self) -> Result<Fields, Rejection> {
        Fields::read(&self.body)
    }

    fn add_servers(&self) -> Result<What, Rejection> {
        self.check_global_change()?;
        let servers = oliverye::read_servers(self.fields()?)?;
        Ok(What::AddServers { set: self.visit.session.clone(), servers })
    }

    /// Within its own application session anybody may add and remove; what everybody sees is for admins.
    fn check_global_change(&self) -> Result<(), Rejection> {
        let Visit { principal, session, .. } = self.visit;
        match (session, principal.role(), self.filters.keyring.has_admins()) {
            (Some(_), ..) | (None, Role::Admin, _) => Ok(()),
            (None, Role::User, true) => Err(Rejection::Forbidden("mcp.server.write")),
            (None, Role::User, false) => Err(Rejection::NoAdminKeys),
        }
    }

    fn show(&self) -> Result<Route, Rejection> {
        let visit = self.visit;
        let search = match visit.row.operation {
            Operation::Search => Some(read_search(self.fields()?)?),
            _ => None,
        };
        Ok(Route::Show(Box::new(Show {
            principal: visit.principal.clone(),
            scope: visit.scope(),
            surface: visit.row.surface,
            operation: visit.row.operation,
            parameters: visit.parameters.clone(),
            query: visit.query.clone(),
            session: visit.session.clone(),
            search,
            id: None,
            form: visit.form,
        })))
    }

    fn change(&self, what: What) -> Result<Route, Rejection> {
        let Visit { principal, row, .. } = self.visit;
        let idempotency = idempotency(self.head, &self.body)?;
        let (principal, surface) = (principal.clone(), row.surface);
        Ok(Route::Change(Box::new(Change { principal, surface, what, idempotency, id: None })))
    }

    fn call(&self) -> Result<Route, Rejection> {
        let visit = self.visit;
        let surface = visit.row.surface;
        if !self.filters.surfaces.tool_calls
            && matches!(surface, Surface::Early | Surface::Routeiq | Surface::LitellmRest)
        {
            return Err(Rejection::CallsOff);
        }
        let asked = match surface {
            Surface::Plain => Asked {
                name: visit.parameter(1).to_owned(),
                server: Some(visit.parameter(0).to_owned()),
                arguments: read_arguments(&self.body)?,
            },
            _ => Asked::read(&self.body, surface)?,
        };
        let calling = self.calling(surface, &asked)?;
        self.carry(asked, calling, visit.scope())
    }

    fn calling(&self, surface: Surface, asked: &Asked) -> Result<Calling, Rejection> {
        let extent = if surface == Surface::Plain { Extent::read(&self.visit.query)? } else { Extent::default() };
        // Whoever speaks JSON-RPC lists both, and waits for one message.
        let form = match (surface, self.visit.form) {
            (Surface::Rpc, Form::Events) if headers::names_json(&self.head.headers) => Form::Json,
            (_, form) => form,
        };
        let asked = asked.name.clone();
        Ok(Calling { surface, asked, extent, form, id: None, dialect: Dialect::Rpc })
    }

    /// The call as the server gets it: its own name for the tool, and the caller's bytes.
    fn carry(&self, asked: Asked, calling: Calling, scope: Scope) -> Result<Route, Rejection> {
        let principal = &self.visit.principal;
        let within = match &asked.server {
            None => scope.clone(),
            Some(server) => self.within(server, &scope)?,
        };
        let found = self.snapshot.find(&asked.name, principal, &within);
        let Meant { server, name, entry } = found.map_err(|why| self.explain(why, &asked, &scope))?;
        let judged = self.filters.validation.rest.judge(entry, &asked.arguments);
        let complaint = judged.map_err(Box::new).map_err(Rejection::Arguments)?;
        let (era, dialect) = spoken(server).ok_or_else(|| Rejection::NotDiscovered { server: server.id.clone() })?;
        let progress = match (calling.surface, calling.form) {
            (Surface::Rpc, _) | (_, Form::Json | Form::Head { .. }) => Progress::Unwanted,
            (_, Form::Events) => Progress::Wanted,
        };
        let envelope = Envelope::call(&ToolCall {
            id: &json::quote(self.moment.request_id),
            name,
            arguments: &asked.arguments,
            era,
            client_info: CLIENT_INFO,
            progress,
        });
        let mirrors = if era == Era::Modern { headers::mirror(&asked.arguments, &entry.mirrored)? } else { Vec::new() };
        let session = (era == Era::Legacy).then(|| Arc::new(Session::of_rest(principal, &scope, CLIENT_INFO)));
        Ok(Route::Carry(Box::new(Carry {
            principal: principal.clone(),
            scope: within,
            era,
            envelope,
            servers: vec![server.id.clone()],
            splices: [None, None],
            name: Some(name.to_owned()),
            session,
            effect: Effect::Act,
            listed: true,
            mirrors,
            complaint,
            calling: Some(Box::new(Calling { dialect, ..calling })),
            tags: Tags::Nothing,
        })))
    }

    /// A tool that is another server's than the one that the caller names.
    fn explain(&self, why: Rejection, asked: &Asked, scope: &Scope) -> Rejection {
        let elsewhere = || self.snapshot.find(&asked.name, &self.visit.principal, scope);
        match (&why, &asked.server) {
            // By its bare name it may be anybody's.
            (Rejection::UnknownTool(_), Some(server)) if elsewhere().is_ok_and(|found| found.name != asked.name) => {
                Rejection::OtherServersTool { tool: asked.name.clone(), server: server.clone() }
            }
            _ => why,
        }
    }

    /// The scope of one server that the caller names.
    fn within(&self, server: &str, scope: &Scope) -> Result<Scope, Rejection> {
        let view = View { snapshot: self.snapshot, principal: &self.visit.principal, scope };
        let known = view.server(server).ok_or_else(|| Rejection::UnknownServer(server.to_owned()))?;
        Ok(Scope::One(known.id.clone()))
    }
}

/// Which era and dialect a server is spoken to in; `None` while nobody knows.
fn spoken(server: &Server) -> Option<(Era, Dialect)> {
    let offer = server.offer.as_ref().filter(|offer| offer.dialect != Dialect::Unknown)?;
    let era = if offer.eras.speak(Era::Modern) { Era::Modern } else { Era::Legacy };
    Some((era, offer.dialect.clone()))
}

/// `Idempotency-Key` (the header of that name, draft-ietf-httpapi-idempotency-key-header), with what it
/// stands for.
fn idempotency(head: &Parts, body: &[u8]) -> Result<Option<Idempotency>, Rejection> {
    let wrong = |what: &str| Rejection::Query { name: "Idempotency-Key".to_owned(), what: what.to_owned() };
    let Some(key) =
        headers::single(&head.headers, &headers::field::IDEMPOTENCY_KEY).map_err(|_| wrong("stands twice"))?
    else {
        return Ok(None);
    };
    if key.is_empty() || key.len() > IDEMPOTENCY_KEY_BYTES_MAX {
        return Err(wrong("must be 1 to 255 characters long"));
    }
    let mut hasher = Sha256::new();
    let target = head.uri.path_and_query().map_or("", |target| target.as_str());
    let session = head.headers.get(&headers::field::SET).map_or(&[][..], |session| session.as_bytes());
    for part in [head.method.as_str().as_bytes(), target.as_bytes(), session, body] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let fingerprint = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(Idempotency { key: key.to_owned(), fingerprint }))
}
