//! One request and its answer, under way: what the phases hand to each other, and what is told of
//! it at the end.

use super::caller::Caller;
use crate::access_log::Line;
use crate::answer::random;
use crate::carry::Trace;
use crate::clock;
use crate::gateway::Gateway;
use crate::limits::Share;
use crate::metrics::Observation;
use crate::server::InFlightGuard;
use http::HeaderValue;
use http::request::Parts;
use once_cell::sync::Lazy;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tollbridge_filters::auth::Principal;
use tollbridge_filters::era::Era;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::surface::{Operation, Surface};

/// How the exchange is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Not decided; an exchange that ends so was refused.
    Refused,
    Answer,
    Carry,
    Manage,
    Pass,
}

impl Lane {
    fn name(self) -> &'static str {
        match self {
            Lane::Refused => "refused",
            Lane::Answer => "answer",
            Lane::Carry => "carry",
            Lane::Manage => "manage",
            Lane::Pass => "pass",
        }
    }
}

/// Of an `X-Request-ID` that is taken over.
const NAME_BYTES_MAX: usize = 128;

pub struct Exchange {
    /// Unlike any other that is under way.
    pub id: RequestId,
    /// What it is called in the answer, in errors and in logs.
    pub name: HeaderValue,
    pub lane: Lane,
    pub surface: Surface,
    pub operation: Option<Operation>,
    pub era: Option<Era>,
    pub principal: Option<Principal>,
    pub tool: Option<String>,
    pub outcome: &'static str,
    pub status: u16,
    pub request_bytes: usize,
    pub response_bytes: usize,
    pub share: Share,
    method: &'static str,
    server: Option<ServerId>,
    endpoint: Option<SocketAddr>,
    upstream: Option<Duration>,
    began: Instant,
    gateway: Arc<Gateway>,
    /// Whether it is counted among the open streams.
    streams: bool,
    _in_flight: InFlightGuard,
}

impl Exchange {
    pub fn begin(gateway: &Arc<Gateway>) -> Exchange {
        Exchange {
            id: RequestId::next(),
            name: HeaderValue::from_static(""),
            lane: Lane::Refused,
            surface: Surface::Native,
            operation: None,
            era: None,
            principal: None,
            tool: None,
            outcome: "ok",
            status: 0,
            request_bytes: 0,
            response_bytes: 0,
            share: Share::none(&gateway.budget),
            method: "",
            server: None,
            endpoint: None,
            upstream: None,
            began: Instant::now(),
            gateway: Arc::clone(gateway),
            streams: false,
            _in_flight: gateway.lifecycle.enter(),
        }
    }

    /// The client's own name for this request counts, if it has one that is fit for logs.
    pub fn named_by(&mut self, head: &Parts) {
        let is_fit = |name: &&HeaderValue| {
            let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            (1..=NAME_BYTES_MAX).contains(&name.len()) && name.as_bytes().iter().all(allowed)
        };
        let name = head.headers.get("x-request-id").filter(is_fit).cloned();
        self.name = name.unwrap_or_else(|| self.id.value());
    }

    pub fn request_id(&self) -> &str {
        self.name.to_str().unwrap_or_default()
    }

    pub fn label(&mut self, lane: Lane, method: &str) {
        self.lane = lane;
        self.method = if method.is_empty() { "" } else { bounded(method) };
    }

    /// A row of a REST surface.
    pub fn asks(&mut self, surface: Surface, operation: Operation) {
        self.surface = surface;
        self.operation = Some(operation);
        self.method = operation.name();
    }

    pub(super) fn stream_begins(&mut self, caller: &Caller<'_>) {
        if !std::mem::replace(&mut self.streams, true) {
            self.gateway.metrics.open_streams.inc();
            caller.bound(self.gateway.live().conf.limits.socket_bytes);
        }
    }

    /// Whether the gateway ends, and with it the connection.
    pub(super) fn is_draining(&self) -> bool {
        self.gateway.lifecycle.is_draining()
    }

    /// The client went, or was cut.
    pub fn has_gone(&mut self) {
        if self.outcome == "ok" {
            self.outcome = "client_gone";
        }
    }

    pub fn note(&mut self, trace: Trace) {
        if trace.broken_off {
            self.outcome = "broken_off";
        }
        self.server = trace.server;
        self.endpoint = trace.endpoint;
        self.upstream = Some(trace.upstream);
        self.response_bytes = trace.response_bytes;
    }

    /// Counts the exchange and writes its line.
    pub(super) fn finish(&self, caller: &Caller<'_>) {
        let total = self.began.elapsed();
        let server = self.server.as_ref().map_or("", ServerId::as_str);
        let tool = self.tool.as_deref().unwrap_or(if self.method == "tools/call" { "other" } else { "" });
        self.gateway.metrics.observe(&Observation {
            surface: if self.lane == Lane::Pass { "pass" } else { self.surface.name() },
            method: self.method,
            server,
            tool,
            outcome: self.outcome,
            total,
            upstream: self.upstream,
        });
        if self.gateway.access_log.is_on() {
            self.log(caller, total, server);
        }
    }

    fn log(&self, caller: &Caller<'_>, total: Duration, server: &str) {
        let head = caller.head();
        self.gateway.access_log.write(&Line {
            time: clock::now(),
            request_id: self.request_id(),
            client: caller.address(),
            principal: self.principal.as_ref().map_or("", Principal::id),
            lane: self.lane.name(),
            verb: head.method.as_str(),
            path: head.uri.path(),
            era: self.era.map_or("", Era::name),
            method: self.method,
            server,
            tool: self.tool.as_deref().unwrap_or_default(),
            endpoint: self.endpoint,
            status: self.status,
            outcome: self.outcome,
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            total,
            upstream: self.upstream.unwrap_or_default(),
        });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.streams {
            self.gateway.metrics.open_streams.dec();
        }
    }
}

/// Names an exchange in the answer, the log and errors.
#[derive(Clone, Copy)]
pub struct RequestId(u64);

impl RequestId {
    /// Different for every exchange, and without a call to the operating system for each: a random
    /// start, and the finalizer of SplitMix64 over a count.
    fn next() -> RequestId {
        static START: Lazy<u64> = Lazy::new(|| random(u64::from_be_bytes));
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let step = COUNT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut mixed = START.wrapping_add(step);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        RequestId(mixed ^ (mixed >> 31))
    }
}

impl RequestId {
    fn digits(self) -> [u8; 16] {
        let mut digits = [0; 16];
        for (digit, place) in digits.iter_mut().zip((0..16).rev()) {
            let nibble = (self.0 >> (4 * place)) as u8 & 0xf;
            *digit = if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
        }
        digits
    }

    fn value(self) -> HeaderValue {
        HeaderValue::from_bytes(&self.digits()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.digits()))
    }
}

/// A method as a label: those of the protocol, and `other`.
fn bounded(method: &str) -> &'static str {
    const KNOWN: [&str; 25] = [
        "tools/call",
        "tools/list",
        "prompts/get",
        "prompts/list",
        "resources/read",
        "resources/list",
        "resources/templates/list",
        "resources/subscribe",
        "resources/unsubscribe",
        "completion/complete",
        "server/discover",
        "subscriptions/listen",
        "initialize",
        "ping",
        "logging/setLevel",
        "notifications/initialized",
        "notifications/cancelled",
        "notifications/progress",
        "notifications/roots/list_changed",
        "session/end",
        "session/stream",
        "response",
        "tasks/get",
        "tasks/update",
        "tasks/cancel",
    ];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("other")
}
