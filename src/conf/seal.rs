//! The seals: secrets of 32 bytes under which the gateway gives session ids away and takes them back.

use super::keys::from_hex;
use super::place::Place;
use super::section::Section;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

pub(super) fn read(root: &Section<'_>) -> Vec<[u8; 32]> {
    let section = root.child("seal", &["keys"]);
    section.optional("keys", Place::items).unwrap_or_default().iter().filter_map(seal).collect()
}

fn seal(place: &Place<'_>) -> Option<[u8; 32]> {
    let text = place.text()?;
    let text = text.trim();
    let unpadded = text.trim_end_matches('=');
    let base64 = || URL_SAFE_NO_PAD.decode(unpadded).or_else(|_| STANDARD_NO_PAD.decode(unpadded)).ok();
    let Some(bytes) = from_hex(text).or_else(|| base64()?.try_into().ok()) else {
        return place
            .refuse("a seal is 32 bytes as 64 hex digits or as base64; write what `openssl rand -hex 32` prints");
    };
    if bytes.iter().all(|byte| *byte == bytes[0]) {
        return place.refuse("this seal is one byte over and over; write what `openssl rand -hex 32` prints");
    }
    Some(bytes)
}
