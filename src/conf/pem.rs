//! Certificates and keys, read before they are needed: what the listener would only find out when it
//! opens is an error of the configuration.

use super::Tls;
use super::place::Place;
use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The pair that the listener shows to clients.
pub(super) fn pair(place: &Place<'_>) -> Option<Tls> {
    let section = place.section(&["cert", "key"])?;
    let cert = section.required("cert", "cert: /etc/tollbridge/tls.crt", readable);
    let key = section.required("key", "key: /etc/tollbridge/tls.key", readable);
    let pair = Tls { cert: cert?, key: key? };
    match why_unfit(&pair) {
        None => Some(pair),
        Some(why) => {
            section.refuse_at("cert", format_args!("this certificate and `key` cannot be used together: {why}"));
            None
        }
    }
}

fn why_unfit(pair: &Tls) -> Option<String> {
    let certs: Result<Vec<_>, pem::Error> = CertificateDer::pem_file_iter(&pair.cert).and_then(Iterator::collect);
    match (certs, PrivateKeyDer::from_pem_file(&pair.key)) {
        (Ok(certs), Ok(key)) if !certs.is_empty() => {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
            let config = builder.and_then(|builder| builder.with_no_client_auth().with_single_cert(certs, key));
            config.err().map(|error| error.to_string())
        }
        _ => Some("a PEM certificate or a PEM private key is missing in them".to_owned()),
    }
}

/// The roots that servers are verified against.
pub(super) fn roots(place: &Place<'_>) -> Option<PathBuf> {
    let path = readable(place)?;
    match certificates(&path) {
        Some(1..) => Some(path),
        _ => place.refuse(format_args!("{} holds no PEM certificates, or more than those", place.quoted())),
    }
}

/// How many there are in a file that holds nothing else.
fn certificates(path: &Path) -> Option<usize> {
    let mut roots = RootCertStore::empty();
    for section in <(SectionKind, Vec<u8>)>::pem_file_iter(path).ok()? {
        let (SectionKind::Certificate, der) = section.ok()? else {
            return None;
        };
        roots.add(CertificateDer::from(der)).ok()?;
    }
    Some(roots.len())
}

fn readable(place: &Place<'_>) -> Option<PathBuf> {
    let path = PathBuf::from(place.text()?);
    let opened = File::open(&path).and_then(|file| file.metadata());
    match opened {
        Ok(metadata) if metadata.is_file() => Some(path),
        Ok(_) => place.refuse(format_args!("{} is no file; write the path of a PEM file", place.quoted())),
        Err(error) => place.refuse(format_args!(
            "cannot read {} ({error}); write the path of a PEM file that this user may read",
            place.quoted()
        )),
    }
}
