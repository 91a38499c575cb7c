//! The gateway as its users meet it: a process of its own, before real servers, with real clients.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is surprised should fail"
)]

mod harness;

mod arguments;
mod bad_input;
mod bodies;
mod connections;
mod contract;
mod definitions;
mod discovery;
mod drain;
mod events;
mod faults;
mod framing;
mod gate6;
mod guides;
mod house;
mod ledger;
mod listening;
mod matrix;
mod metrics;
mod openapi;
mod operators;
mod protocol;
mod queue;
mod readers;
mod readme;
mod registry;
mod registry_api;
mod replicas;
mod resources;
mod rest;
mod rest_dialect;
mod rules;
mod rust_client;
mod scopes;
mod search;
mod sessions;
mod sidecar;
mod standing;
mod streams;
mod surfaces;
mod switches;
mod tls;
mod transparency;
mod upgrade;
mod validation;
