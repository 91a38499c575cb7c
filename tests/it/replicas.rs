//! Several gateways that share a Redis: what one is told the others know, and nobody notices when one, or
//! Redis, is gone.

mod addresses;
mod deaths;
mod decisions;
mod fleet;
mod history;
mod load;
mod outages;
mod sessions;
mod sharing;
mod streaming;

pub use fleet::SEAL;
