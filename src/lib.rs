//! Tollbridge stands in front of MCP servers: any client reaches any of them, with one key, under
//! one policy.
//!
//! # The way of a request
//!
//! [`proxy`] reads the HTTP/1.1 of clients itself, request after request on a connection; HTTP/2, and everything
//! while an application is behind the gateway, comes through callbacks, one for each of Pingora's phases. Either
//! way it asks the filters (crate `tollbridge-filters`, which decides and does nothing else) and gets a `Route`,
//! one of four lanes. Of a head that a connection repeats it knows the decision already, until configuration or
//! catalog is another.
//!
//! - **Answer** ([`answer`]): out of the snapshot, without I/O: `initialize`, `server/discover`,
//!   `ping`, every list, search; MCP's own and those of the REST surfaces.
//! - **Carry** ([`carry`]): a conversation with an MCP server over a [`upstream::Link`]: HTTP/1.1 over a lean
//!   leg of our own, HTTP/2 over Pingora's connector. Of the request only what must change changes; the
//!   answer is handed on chunk by chunk, each where it was read. Callers of REST
//!   surfaces get it in their surface's words, with the server's bytes in them. Where several servers
//!   speak to one client their streams come together, each from a task of its own.
//! - **Manage** ([`manage`]): a change of the registry or of an application session, kept before it is
//!   acknowledged.
//! - **Pass**: everything that is not ours, to the application beside the gateway, through Pingora's
//!   own upstream phases.
//!
//! Jobs that come over Redis lists ([`queue`]) are decided and carried like the requests over HTTP that they
//! stand for.
//!
//! # The rooms
//!
//! - [`conf`]: the configuration, checked and typed. [`keys`]: making keys.
//! - [`server`]: wires everything into one Pingora server; start, drain, handing over. [`control`]: the
//!   background service that owns discovery, DNS, health and reloads. [`gateway`]: what rooms share.
//! - [`registry`]: what is known of servers, and the store of those that APIs register: a file, or a
//!   Redis that replicas share; publishes snapshots. [`session`]: the upstream half of legacy sessions,
//!   here and in that Redis. [`redis`]: the way there. [`upstream`]: pools, endpoints, links.
//! - [`reply`]: the one table from reasons to the wire. [`failure`], [`limits`], [`metrics`],
//!   [`access_log`], [`clock`], [`framing`]: leaves.
//! - [`admin`]: the operators' listener. [`demo`]: the two-minute tour.
//!
//! # Invariants
//!
//! 1. Only `proxy`, `upstream`, `server`, `control`, `admin` name Pingora; only `redis` and the files of that
//!    name name the crate of that name. `filters` names nothing of ours.
//! 2. No request but a change waits for anything but its own upstream: what else it needs is in memory. Where
//!    replicas share sessions, Redis is asked for one that is not known here (3 s at most), when a session with a
//!    server or a client's stream is opened (half a second), and when a session ends. Redis down means stale,
//!    never dead.
//! 3. `filters` has no clock, no I/O, no spawn, no globals: time and randomness are arguments.
//! 4. No route but Pass without a `Principal`; what is listed can be called: both ask `permit`.
//! 5. One file, `reply`, turns reasons into wire answers. A server's JSON-RPC errors pass unchanged;
//!    its 401 and 403 do not, for they concern our credential.
//! 6. Every buffer, queue, wait and count has a limit, with a default.
//! 7. Configuration is parsed once; unknown keys stop the start; a bad reload keeps the old one.
//! 8. The client's credential never goes upstream; the upstream's never comes down.
//! 9. A tool call is sent upstream at most once, unless it is proven that no byte of it was sent, or (for
//!    callers who know of no session) that the server refused it for want of a session.
//! 10. What is judged is what is sent: the bytes that policy read are the bytes that the server gets.

pub mod conf;
pub mod demo;
pub mod keys;
pub mod server;

pub mod gateway;
pub mod proxy;

pub mod answer;
pub mod carry;
pub mod manage;
pub mod queue;

pub mod redis;
pub mod registry;
pub mod session;
pub mod upstream;

pub mod admin;
pub mod control;

pub mod access_log;
pub mod clock;
pub mod failure;
pub mod framing;
pub mod limits;
pub mod metrics;
pub mod reply;
