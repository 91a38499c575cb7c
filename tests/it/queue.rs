//! Jobs over Redis lists: each is answered once, whatever becomes of gateways and of Redis, and no call is made
//! twice.

mod drain;
mod jobs;
mod ledger;
mod messages;
mod owners;
mod stage;
