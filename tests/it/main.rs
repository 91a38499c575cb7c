//! The gateway as its users meet it: a process of its own, before real servers, with real clients.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is surprised should fail"
)]

mod harness;

mod bodies;
mod connections;
mod contract;
mod discovery;
mod drain;
mod faults;
mod framing;
mod matrix;
mod metrics;
mod protocol;
mod resources;
mod rules;
mod rust_client;
mod sessions;
mod streams;
mod tls;
mod transparency;
