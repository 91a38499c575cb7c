//! JSON-RPC without a session: RouteIQ's methods for managing servers, wherever a JSON-RPC body may come,
//! and calls at REST paths.

use super::asked::Asked;
use super::{Request, idempotency};
use crate::auth::{Principal, Role};
use crate::era::Era;
use crate::headers;
use crate::jsonrpc::Envelope;
use crate::names::ServerId;
use crate::path::Scope;
use crate::rejection::Rejection;
use crate::route::{Answer, Calling, Change, Form, Question, Route, Show, What};
use crate::surface::{Operation, Surface, rpc};
use crate::{Admitted, Filters, Refused, native};
use http::request::Parts;

impl Request<'_> {
    /// JSON-RPC at a REST path: RouteIQ's methods, and calls without a session. Everything else is MCP,
    /// as at `/mcp`.
    pub(super) fn rpc(self) -> Result<Route, Refused> {
        let is_mcp = |name: &str| self.head.headers.contains_key(name);
        let in_protocol = is_mcp(headers::PROTOCOL_VERSION) || is_mcp(headers::SESSION_ID);
        let envelope = Envelope::scan(self.body.clone())?;
        let (id, method) = (envelope.id().map(str::to_owned), envelope.method().into_owned());
        let refused = |reason| Refused { id: id.clone(), method: method.clone(), reason };
        if rpc::is_ours(&method) && id.is_none() {
            return Ok(self.nothing(envelope));
        }
        if rpc::is_ours(&method) {
            return manage(self.filters, self.head, &self.visit.principal, &envelope).map_err(refused);
        }
        if method == "tools/call" && !in_protocol && id.is_some() {
            return self.stateless_call(&envelope).map_err(refused);
        }
        let scope = self.rpc_scope().map_err(refused)?;
        headers::check_media(&self.head.headers).map_err(refused)?;
        let admitted = Admitted { principal: self.visit.principal.clone(), scope };
        let Request { filters, head, snapshot, moment, .. } = self;
        native::route(filters, head, &admitted, envelope, snapshot, moment).map_err(refused)
    }

    /// A notification asks for nothing, and is told nothing.
    fn nothing(&self, envelope: Envelope) -> Route {
        let (principal, scope) = (self.visit.principal.clone(), Scope::All);
        Route::Answer(Answer {
            principal,
            scope,
            era: Era::Legacy,
            envelope,
            question: Question::Nothing,
            session: None,
        })
    }

    fn stateless_call(&self, envelope: &Envelope) -> Result<Route, Rejection> {
        let name = envelope.name().ok_or_else(|| Rejection::InvalidParams("params.name is missing".to_owned()))?;
        if !self.filters.surfaces.tool_calls {
            return Err(Rejection::CallsOff);
        }
        let arguments = envelope.arguments().unwrap_or("{}");
        if !arguments.starts_with('{') {
            return Err(Rejection::InvalidParams("params.arguments must be an object".to_owned()));
        }
        let asked = Asked { name: name.into_owned(), server: None, arguments: arguments.to_owned() };
        let calling = Calling { id: envelope.id().map(str::to_owned), ..self.calling(Surface::Rpc, &asked)? };
        self.carry(asked, calling, self.rpc_scope()?)
    }

    /// Whom a JSON-RPC message at a REST path is for: the server that the path names, if it names one.
    fn rpc_scope(&self) -> Result<Scope, Rejection> {
        let visit = self.visit;
        match (visit.row.surface, visit.row.operation) {
            (Surface::Plain, _) if !visit.parameter(0).is_empty() => self.within(visit.parameter(0), &visit.scope()),
            (_, Operation::Search) => {
                let named = ServerId::derive("search").ok().filter(|id| self.snapshot.server(id).is_some());
                Ok(named.map_or_else(|| visit.scope(), Scope::One))
            }
            _ => Ok(visit.scope()),
        }
    }
}

/// RouteIQ's management methods, wherever a JSON-RPC body may come.
pub(crate) fn manage(
    filters: &Filters,
    head: &Parts,
    principal: &Principal,
    envelope: &Envelope,
) -> Result<Route, Rejection> {
    if !filters.surfaces.serve(Surface::Rpc) {
        return Err(Rejection::UnknownMethod(envelope.method().into_owned()));
    }
    let method = rpc::Method::read(envelope)?;
    let admin = match method.is_change() && principal.role() != Role::Admin {
        true => filters.keyring.authenticate_admin(&head.headers)?,
        false => principal.clone(),
    };
    if method.is_change() && admin.role() != Role::Admin {
        return Err(if filters.keyring.has_admins() {
            Rejection::Forbidden("mcp.server.write")
        } else {
            Rejection::NoAdminKeys
        });
    }
    let id = envelope.id().map(str::to_owned);
    let change = |what| {
        let idempotency = idempotency(head, envelope.body())?;
        let (surface, id) = (Surface::Rpc, id.clone());
        Ok(Route::Change(Box::new(Change { principal: admin, surface, what, idempotency, id })))
    };
    let (operation, parameters) = match method {
        rpc::Method::List => (Operation::Servers, Vec::new()),
        rpc::Method::Get(id) => (Operation::Server, vec![id]),
        rpc::Method::Register(registration) => return change(What::Register(*registration)),
        rpc::Method::Unregister(server) => return change(What::Unregister(server)),
    };
    Ok(Route::Show(Box::new(Show {
        principal: principal.clone(),
        scope: Scope::All,
        surface: Surface::Rpc,
        operation,
        parameters,
        query: Vec::new(),
        session: None,
        search: None,
        id,
        form: Form::Json,
    })))
}
