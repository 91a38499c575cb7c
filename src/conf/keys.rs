//! The keys that open the gateway. Their secrets become digests here and are kept nowhere.

use super::duplicates::Duplicates;
use super::place::Place;
use super::section::Section;
use tollbridge_filters::auth::{KeyDigest, KeyRecord, Role, digest};
use tollbridge_filters::names::ServerId;
use tollbridge_filters::permit::{Grant, Groups};

const KEY: &[&str] = &["id", "key", "role", "servers", "access_groups"];
const SECRET_CHARACTERS_MIN: usize = 16;
const ID_CHARACTERS_MAX: usize = 64;

/// Secrets that everybody knows, from the examples of other gateways.
const KNOWN_SECRETS: [&str; 10] = [
    "changeme",
    "changemechangeme",
    "change-me-please",
    "secret",
    "password",
    "sk-1234",
    "sk-1234567890abcdef",
    "sk-12345678901234567890",
    "your-api-key-here",
    "your-secret-key-here",
];

/// Where groups are labels they keep nobody out.
pub(super) fn settle(keys: &mut [KeyRecord], enforced: bool) {
    for key in keys {
        key.groups = match std::mem::take(&mut key.groups) {
            _ if !enforced => Groups::Advisory,
            Groups::Advisory => Groups::Only(Vec::new()),
            groups => groups,
        };
    }
}

pub(super) fn read(root: &Section<'_>) -> Vec<KeyRecord> {
    let mut ids = Duplicates::new();
    let mut digests = Duplicates::new();
    let mut keys = Vec::new();
    for place in root.optional("keys", Place::items).unwrap_or_default() {
        keys.extend(key(&place, &mut ids, &mut digests));
    }
    keys
}

/// A record comes out of a key with problems as well: that there is a key, and of which role, is
/// what the listeners ask, and the file is refused anyway.
fn key(place: &Place<'_>, ids: &mut Duplicates<String>, digests: &mut Duplicates<KeyDigest>) -> Option<KeyRecord> {
    let section = place.section(KEY)?;
    let id = section.required("id", "id: app", id);
    let digest = section.required("key", "key: \"${TOLLBRIDGE_KEY}\"", secret);
    if let Some(line) = id.as_ref().and_then(|id| ids.first(id.clone(), place.line)) {
        section.refuse_at("id", format_args!("the key on line {line} has this id already; give each key its own"));
    }
    if let Some(line) = digest.and_then(|digest| digests.first(digest, place.line)) {
        section.refuse_at("key", format_args!("the key on line {line} has this secret already; give each key its own"));
    }
    let role = section.or("role", Role::User, |place| place.choice(&[("user", Role::User), ("admin", Role::Admin)]));
    let grant = section.or("servers", Grant::Every, grant);
    let groups = section.optional("access_groups", |place| place.items()).unwrap_or_default();
    let groups = Groups::Only(groups.iter().filter_map(Place::text).collect());
    Some(KeyRecord { id: id.unwrap_or_default(), digest: digest.unwrap_or_default(), role, grant, groups })
}

fn id(place: &Place<'_>) -> Option<String> {
    let id = place.text()?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | ':');
    if id.is_empty() || id.len() > ID_CHARACTERS_MAX || !id.chars().all(allowed) {
        let quoted = place.quoted();
        return place
            .refuse(format_args!("{quoted} is no id of a key; write 1 to 64 characters of A-Z a-z 0-9 . _ - @ :"));
    }
    Some(id)
}

fn secret(place: &Place<'_>) -> Option<KeyDigest> {
    let secret = place.text()?;
    let (algorithm, hex) = secret.split_once(':').unwrap_or_default();
    let digest = match algorithm.eq_ignore_ascii_case("sha256").then_some(hex) {
        Some(hex) => match from_hex(hex) {
            Some(digest) => digest,
            None => {
                return place
                    .refuse("`sha256:` is not followed by 64 hex digits; write what `tollbridge keys hash` prints");
            }
        },
        None => digest(secret.as_bytes()),
    };
    match why_unfit(&secret, digest) {
        Some(wrong) => place.refuse(wrong),
        None => Some(digest),
    }
}

/// What is wrong with a secret, in words that do not repeat it.
pub(super) fn why_unfit(secret: &str, digest: KeyDigest) -> Option<&'static str> {
    if KNOWN_SECRETS.iter().any(|known| self::digest(known.as_bytes()) == digest) {
        return Some("this secret is a well-known default; write a random one, from `openssl rand -hex 24`");
    }
    if secret.chars().count() < SECRET_CHARACTERS_MIN {
        return Some("this secret is shorter than 16 characters; write a random one, from `openssl rand -hex 24`");
    }
    if !secret.chars().all(|c| c.is_ascii_graphic()) {
        return Some("this secret has spaces or other characters that no header carries; write visible ASCII");
    }
    None
}

pub(super) fn from_hex(hex: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = hex.chars().map(|c| c.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    bytes.try_into().ok()
}

fn grant(place: &Place<'_>) -> Option<Grant> {
    let items = place.items()?;
    if items.is_empty() {
        return place.refuse("the list is empty, so the key would open nothing; name servers, or leave `servers` out");
    }
    Some(Grant::Matching(items.iter().filter_map(pattern).collect()))
}

/// Patterns are compared with derived ids, so they take the same way.
fn pattern(place: &Place<'_>) -> Option<String> {
    let text = place.text()?;
    if let Ok(id) = ServerId::derive(&text) {
        return Some(id.as_str().to_owned());
    }
    let pattern = text.to_ascii_lowercase().replace(['.', '_'], "-");
    if pattern.contains('*') && pattern.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '*')) {
        return Some(pattern);
    }
    let quoted = place.quoted();
    place.refuse(format_args!("{quoted} names no server; write a server id, or a pattern with stars, as in files-*"))
}
