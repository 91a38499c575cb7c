//! The gateway as its users meet it: a process of its own, before real servers, with real clients.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is surprised should fail"
)]

mod harness;

mod contract;
mod tls;
mod matrix;
mod transparency;
mod bodies;
mod drain;
mod metrics;
mod faults;
mod sessions;
mod protocol;
mod rust_client;
mod framing;
mod streams;
mod rules;
