//! Certificates and keys, read before they are needed: what the listener would only find out when it
//! opens is an error of the configuration.

use super::Tls;
use super::place::Place;
use pingora::tls::{self, RootCertStore, ServerConfig};
use std::fs::File;
use std::path::PathBuf;

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
    tls::install_default_crypto_provider();
    match tls::load_certs_and_key_files(&pair.cert.to_string_lossy(), &pair.key.to_string_lossy()) {
        Ok(Some((certs, key))) => {
            let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certs, key);
            config.err().map(|error| error.to_string())
        }
        Ok(None) => Some("a PEM certificate or a PEM private key is missing in them".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// The roots that servers are verified against.
pub(super) fn roots(place: &Place<'_>) -> Option<PathBuf> {
    let path = readable(place)?;
    let mut roots = RootCertStore::empty();
    match tls::load_ca_file_into_store(&path, &mut roots) {
        Ok(()) if !roots.is_empty() => Some(path),
        _ => place.refuse(format_args!("{} holds no PEM certificates, or more than those", place.quoted())),
    }
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
