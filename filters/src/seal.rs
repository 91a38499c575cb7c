//! Sealing: what a client holds for us (session ids) it can neither read, change nor lend to
//! another key. XChaCha20-Poly1305; purpose and principal are associated data.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

pub type Nonce = [u8; 24];

/// The keys: the first seals, all open, so that keys can be rotated.
#[derive(Clone)]
pub struct Sealer {
    ciphers: Vec<XChaCha20Poly1305>,
}

impl Sealer {
    pub fn new(keys: &[[u8; 32]]) -> Sealer {
        Sealer { ciphers: keys.iter().map(|key| XChaCha20Poly1305::new(key.into())).collect() }
    }

    /// Seals a text for a purpose and its owner. The nonce must be random.
    pub fn seal(&self, bound_to: &Binding<'_>, nonce: &Nonce, plain: &[u8]) -> Option<String> {
        let associated = bound_to.bytes();
        let payload = Payload { msg: plain, aad: &associated };
        let sealed = self.ciphers.first()?.encrypt(XNonce::from_slice(nonce), payload).ok()?;
        Some(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// The text, if it was sealed by one of our keys for this purpose and owner.
    pub fn open(&self, bound_to: &Binding<'_>, sealed: &str) -> Option<Vec<u8>> {
        self.open_by(bound_to, sealed).map(|(text, _)| text)
    }

    /// The same, and which of the keys that was; the first is the one that seals.
    pub fn open_by(&self, bound_to: &Binding<'_>, sealed: &str) -> Option<(Vec<u8>, usize)> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(size_of::<Nonce>())?;
        let associated = bound_to.bytes();
        let open = |(key, cipher): (usize, &XChaCha20Poly1305)| {
            let payload = Payload { msg: sealed, aad: &associated };
            Some((cipher.decrypt(XNonce::from_slice(nonce), payload).ok()?, key))
        };
        self.ciphers.iter().enumerate().find_map(open)
    }
}

/// What a sealed text is for, and whose it is.
pub struct Binding<'b> {
    pub purpose: &'static str,
    pub principal: &'b str,
    /// The endpoint that it is good at.
    pub scope: &'b str,
}

impl Binding<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        for part in [self.purpose, self.principal, self.scope] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOR_APP: Binding<'_> = Binding { purpose: "session", principal: "app", scope: "" };

    #[test]
    fn only_the_owner_opens_it() {
        let sealer = Sealer::new(&[[1; 32]]);
        let sealed = sealer.seal(&FOR_APP, &[7; 24], b"text").unwrap();
        assert_eq!(sealer.open(&FOR_APP, &sealed).as_deref(), Some(&b"text"[..]));
        assert_eq!(sealer.open(&Binding { principal: "other", ..FOR_APP }, &sealed), None);
        assert_eq!(sealer.open(&Binding { purpose: "state", ..FOR_APP }, &sealed), None);
        assert_eq!(sealer.open(&Binding { scope: "search", ..FOR_APP }, &sealed), None);
        assert_eq!(Sealer::new(&[[2; 32]]).open(&FOR_APP, &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(sealer.open(&FOR_APP, &changed), None, "byte {at} changed");
        }
    }

    #[test]
    fn an_older_key_still_opens() {
        let sealed = Sealer::new(&[[1; 32]]).seal(&FOR_APP, &[7; 24], b"text").unwrap();
        assert!(Sealer::new(&[[2; 32], [1; 32]]).open(&FOR_APP, &sealed).is_some());
    }
}
