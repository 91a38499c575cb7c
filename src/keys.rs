//! Keys for callers: random, long, and stored as their digest only.

use crate::answer::random;
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt::Write;
use std::io::Read;
use tollbridge_filters::auth::digest;

/// 256 random bits.
pub fn new() -> String {
    format!("tb_{}", URL_SAFE_NO_PAD.encode(random(|bytes: [u8; 32]| bytes)))
}

pub fn print_new() -> Result<()> {
    let key = new();
    println!("key:    {key}");
    println!("config: - {{id: app, key: \"{}\", role: user}}", hash(&key));
    eprintln!("The key is shown this once; the configuration needs only its digest.");
    Ok(())
}

pub fn print_hash() -> Result<()> {
    let mut key = String::new();
    std::io::stdin().read_to_string(&mut key).context("standard input cannot be read")?;
    let key = key.trim();
    if key.is_empty() {
        bail!("give the key on standard input, as in `tollbridge keys hash < key.txt`");
    }
    println!("{}", hash(key));
    Ok(())
}

fn hash(key: &str) -> String {
    digest(key.as_bytes()).iter().fold("sha256:".to_owned(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
