//! The registry: what is registered over an API, what protects it, and what outlives the process.

mod aliases;
mod changes;
mod credentials;
mod durability;
mod guard;
mod idempotency;
mod states;
