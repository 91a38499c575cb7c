//! Surfaces: which APIs are served, and what they demand of a caller.

use super::place::Place;
use super::section::Section;
use tollbridge_filters::arguments::{Enforcement, Validation};
use tollbridge_filters::surface::Surfaces;

pub(super) fn read(root: &Section<'_>) -> Surfaces {
    const KEYS: &[&str] = &["routeiq", "litellm", "oliverye", "registry_api", "plain", "tool_calls"];
    let section = root.child("surfaces", KEYS);
    let is_on = |key| section.or(key, true, Place::switch);
    Surfaces {
        routeiq: is_on("routeiq"),
        litellm: is_on("litellm"),
        oliverye: is_on("oliverye"),
        registry_api: is_on("registry_api"),
        plain: is_on("plain"),
        tool_calls: is_on("tool_calls"),
    }
}

pub(super) fn validation(root: &Section<'_>) -> Validation {
    let section = root.child("validation", &["native", "rest"]);
    let checks = [("off", Enforcement::Off), ("warn", Enforcement::Warn), ("enforce", Enforcement::Enforce)];
    Validation {
        native: section.or("native", Enforcement::Off, |place| place.choice(&checks)),
        rest: section.or("rest", Enforcement::Enforce, |place| place.choice(&checks)),
    }
}

pub(super) fn access_groups_enforced(root: &Section<'_>) -> bool {
    root.child("access_groups", &["enforce"]).or("enforce", false, Place::switch)
}
