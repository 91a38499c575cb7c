//! The upstream side: servers as pools of endpoints, their health, and the links that messages
//! travel over. Knows HTTP and who is alive; knows nothing of principals.

mod ask;
mod connections;
mod dns;
mod early;
mod endpoint;
mod events;
mod guard;
mod head;
mod health;
mod idle;
mod lean;
mod line;
mod link;
pub mod plain;
mod pool;
mod probe;
mod questions;
mod renewal;
mod response;
mod timer;

pub use ask::{Answer, Asked, Question, Reply};
pub use connections::set_ca_file;
pub use endpoint::{Endpoint, InFlight};
pub use events::{EventStream, Opening};
pub use guard::{Blocked, Guard};
pub use head::{Fields, Head, forwardable, lasting};
pub use health::Vigour;
#[cfg(test)]
pub use lean::reads;
pub use link::{Fault, Link};
pub use pool::{Fleet, Pool};
pub use questions::{EVERY_CAPABILITY, OWN_INFO};
pub use renewal::Renewal;
pub use response::ResponseHead;
pub use timer::sleep_until;
