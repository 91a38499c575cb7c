//! A caller at a row of a REST surface: who, where, and how the answer is wanted. From the head alone.

use super::{is_rpc, is_rpc_for_sure};
use crate::Filters;
use crate::auth::{Principal, Role};
use crate::headers;
use crate::path::Scope;
use crate::rejection::Rejection;
use crate::route::Form;
use crate::surface::oliverye::Job;
use crate::surface::{Needs, Operation, Row, Spot, Surface, routeiq};
use http::Method;
use http::request::Parts;

/// A caller at a REST row, before anything of a body was read.
#[derive(Debug, Clone)]
pub struct Visit {
    pub principal: Principal,
    pub row: &'static Row,
    pub parameters: Vec<String>,
    pub query: Vec<(String, String)>,
    pub form: Form,
    /// `X-Session-ID`, as it was sent.
    pub session: Option<String>,
}

impl Visit {
    /// Path, verb and key.
    pub(crate) fn admit(filters: &Filters, head: &Parts, spot: Spot) -> Result<Visit, Rejection> {
        let query = read_query(head)?;
        let session = headers::single(&head.headers, &headers::field::SET)?.map(str::to_owned);
        let compat = head.headers.get(&headers::field::COMPAT).is_some_and(|value| value == "oliverye");
        let map = query.iter().any(|(name, value)| name == "view" && value == "map");
        let preferred = (compat || map || session.is_some()).then_some(Surface::Oliverye);
        let row = spot.row(&head.method, preferred);
        let row = row.ok_or_else(|| Rejection::MethodNotAllowed { allow: spot.allow() })?;
        Visit::at(filters, head, row, spot.into_parameters(), query, session)
    }

    /// `GET` of an MCP endpoint without events.
    pub(crate) fn card(filters: &Filters, head: &Parts, scope: &Scope) -> Result<Visit, Rejection> {
        let parameters = match scope {
            Scope::One(server) => vec![server.to_string()],
            Scope::All | Scope::Set(_) => Vec::new(),
        };
        Visit::at(filters, head, &routeiq::CARD, parameters, Vec::new(), None)
    }

    /// Whoever pushed a job knows no key; it is done as if this principal had asked over HTTP.
    pub(crate) fn of_job(principal: &Principal, job: &Job) -> Visit {
        Visit {
            principal: principal.clone(),
            row: job.action.row(),
            parameters: Vec::new(),
            query: Vec::new(),
            form: Form::Json,
            session: job.session.clone(),
        }
    }

    fn at(
        filters: &Filters,
        head: &Parts,
        row: &'static Row,
        parameters: Vec<String>,
        query: Vec<(String, String)>,
        session: Option<String>,
    ) -> Result<Visit, Rejection> {
        let principal = match row.needs {
            Needs::Admin(_) => filters.keyring.authenticate_admin(&head.headers)?,
            Needs::AnyKey if filters.is_open(row, head) => Principal::public(),
            Needs::AnyKey => filters.keyring.authenticate(&head.headers)?,
        };
        let events = row.streams() && headers::names_events(&head.headers);
        let form = match (head.method == Method::HEAD, events) {
            (true, events) => Form::Head { events },
            (false, true) => Form::Events,
            (false, false) => Form::Json,
        };
        // A JSON-RPC body at such a path may only ask, so a body is judged when it is there.
        if head.method != Method::POST {
            check_role(filters, row, &principal)?;
        } else if row.operation != Operation::NotImplemented {
            headers::check_rest_media(&head.headers)?;
        }
        Ok(Visit { principal, row, parameters, query, form, session })
    }

    pub fn has_body(&self) -> bool {
        matches!(self.row.verb, Method::POST | Method::PUT)
    }

    /// Whether a body is a JSON-RPC message.
    pub fn speaks_rpc(&self, body: &[u8]) -> bool {
        self.row.verb == Method::POST
            && self.row.operation != Operation::NotImplemented
            && match self.row.surface {
                Surface::Plain => is_rpc_for_sure(body),
                _ => is_rpc(body),
            }
    }

    /// What a call reaches: everything, or the servers of the application session.
    pub(super) fn scope(&self) -> Scope {
        match &self.session {
            Some(session) => Scope::Set(session.clone()),
            None => Scope::All,
        }
    }

    pub(super) fn parameter(&self, at: usize) -> &str {
        self.parameters.get(at).map_or("", String::as_str)
    }
}

impl Filters {
    /// `registry.public`: without a key the registry shows what was made public.
    fn is_open(&self, row: &Row, head: &Parts) -> bool {
        let is_registry = matches!(
            row.operation,
            Operation::RegistryJson
                | Operation::RegistryList
                | Operation::RegistryVersions
                | Operation::RegistryVersion
        );
        self.registry_public && is_registry && !self.keyring.is_shown(&head.headers)
    }
}

pub(super) fn check_role(filters: &Filters, row: &Row, principal: &Principal) -> Result<(), Rejection> {
    match row.needs {
        Needs::Admin(permission) if principal.role() != Role::Admin => match filters.keyring.has_admins() {
            true => Err(Rejection::Forbidden(permission)),
            false => Err(Rejection::NoAdminKeys),
        },
        _ => Ok(()),
    }
}

fn read_query(head: &Parts) -> Result<Vec<(String, String)>, Rejection> {
    let text = head.uri.query().unwrap_or_default();
    let pairs = form_urlencoded::parse(text.as_bytes());
    Ok(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
}
