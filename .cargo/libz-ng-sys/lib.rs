//! zlib under the name of zlib-ng: see `Cargo.toml`.
#![no_std]
pub use libz_sys::*;
