//! What the gateway shows to a server, as the headers that it travels in. Three spellings: our
//! `auth`, the `headers` of client settings, and LiteLLM's `auth_type`.

use super::headers::{credential_name, secret_value};
use super::place::Place;
use super::section::Section;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use tollbridge_filters::catalog::AuthType;

type Credentials = Vec<(HeaderName, HeaderValue)>;

pub(super) const LITELLM: [&str; 3] = ["auth_type", "auth_value", "authentication_token"];

pub(super) fn read(server: &Section<'_>) -> Credentials {
    let auth = server.find("auth");
    let headers = server.find("headers");
    let litellm = LITELLM.iter().find_map(|key| server.find(key));
    let spellings: Vec<&Place<'_>> = [&auth, &headers, &litellm].into_iter().flatten().collect();
    if let [_, second, ..] = spellings.as_slice() {
        let _: Option<()> =
            second.refuse("the credential of this server is written twice; keep one of `auth`, `headers`, `auth_type`");
    }
    let ours = auth.as_ref().and_then(from_auth);
    let clients = headers.as_ref().and_then(from_headers);
    let litellms = litellm.and_then(|_| from_litellm(server));
    ours.or(clients).or(litellms).unwrap_or_default()
}

/// What lists may say of credentials.
pub(super) fn kind(credentials: &[(HeaderName, HeaderValue)]) -> AuthType {
    let find = |wanted: &str| credentials.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_bytes());
    let scheme =
        |value: &[u8], scheme: &[u8]| value.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
    match (find("authorization"), find("x-api-key")) {
        _ if credentials.is_empty() => AuthType::None,
        (Some(value), _) if scheme(value, b"bearer ") => AuthType::Bearer,
        (Some(value), _) if scheme(value, b"basic ") => AuthType::Basic,
        (None, Some(_)) => AuthType::ApiKey,
        _ => AuthType::Header,
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Bearer,
    Header,
    None,
}

fn from_auth(place: &Place<'_>) -> Option<Credentials> {
    let section = place.section(&["type", "token", "name", "value"])?;
    let kinds = [("bearer", Kind::Bearer), ("header", Kind::Header), ("none", Kind::None)];
    let kind = section.required("type", "type: bearer", |place| place.choice(&kinds))?;
    let strangers: &[&str] = match kind {
        Kind::Bearer => &["name", "value"],
        Kind::Header => &["token"],
        Kind::None => &["token", "name", "value"],
    };
    for key in strangers {
        let _: Option<()> =
            section.optional(key, |place| place.refuse("this does not belong to that `type`; remove it"));
    }
    match kind {
        Kind::Bearer => section.required("token", "token: \"${FILES_TOKEN}\"", bearer).map(|token| vec![token]),
        Kind::Header => {
            let name = section.required("name", "name: x-api-key", |place| credential_name(place, &place.text()?));
            let value =
                section.required("value", "value: \"${FILES_KEY}\"", |place| secret_value(place, &place.text()?));
            Some(vec![(name?, value?)])
        }
        Kind::None => Some(Vec::new()),
    }
}

fn from_headers(place: &Place<'_>) -> Option<Credentials> {
    let header = |(name, place): &(&str, Place<'_>)| {
        let name = credential_name(place, name);
        let value = place.text().and_then(|text| secret_value(place, &text));
        Some((name?, value?))
    };
    Some(place.entries()?.iter().filter_map(header).collect())
}

fn from_litellm(server: &Section<'_>) -> Option<Credentials> {
    let kinds = [("bearer_token", Kind::Bearer), ("api_key", Kind::Header), ("none", Kind::None)];
    let kind = server.required("auth_type", "auth_type: bearer_token", |place| place.choice(&kinds))?;
    let value = server.find("authentication_token").or_else(|| server.find("auth_value"));
    match (kind, value) {
        (Kind::None, _) => Some(Vec::new()),
        (_, None) => {
            server.refuse_at("auth_type", "the `auth_value` is missing; write it, as in \"${FILES_TOKEN}\"");
            None
        }
        (Kind::Bearer, Some(place)) => bearer(&place).map(|token| vec![token]),
        (Kind::Header, Some(place)) => {
            let value = secret_value(&place, &place.text()?)?;
            Some(vec![(HeaderName::from_static("x-api-key"), value)])
        }
    }
}

fn bearer(place: &Place<'_>) -> Option<(HeaderName, HeaderValue)> {
    let token = place.text()?;
    if token.is_empty() || token.contains(char::is_whitespace) {
        return place.refuse("a bearer token is one word; write it without spaces and without the word Bearer");
    }
    Some((AUTHORIZATION, secret_value(place, &format!("Bearer {token}"))?))
}
