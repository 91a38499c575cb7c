//! A section of the file: a map with a fixed set of keys. An unknown one is a problem that names
//! the key that was probably meant.

use super::node::{Entry, Value};
use super::place::Place;

pub(super) struct Section<'a> {
    pub(super) place: Place<'a>,
    entries: &'a [Entry],
    known: &'static [&'static str],
}

impl<'a> Section<'a> {
    pub(super) fn new(place: Place<'a>, entries: &'a [Entry], known: &'static [&'static str]) -> Section<'a> {
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            refuse_unknown(&place, entry, known);
        }
        Section { place, entries, known }
    }

    /// The key's value; a key without a value counts as left out.
    pub(super) fn find(&self, key: &str) -> Option<Place<'a>> {
        debug_assert!(self.known.contains(&key), "{key} is read and not declared");
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        (!matches!(entry.node.value, Value::Null)).then(|| self.place.within(entry))
    }

    pub(super) fn optional<T>(&self, key: &str, read: impl FnOnce(&Place<'a>) -> Option<T>) -> Option<T> {
        self.find(key).and_then(|place| read(&place))
    }

    /// With a problem the default stands in, because the file is refused anyway.
    pub(super) fn or<T>(&self, key: &str, default: T, read: impl FnOnce(&Place<'a>) -> Option<T>) -> T {
        self.optional(key, read).unwrap_or(default)
    }

    pub(super) fn required<T>(
        &self,
        key: &str,
        example: &str,
        read: impl FnOnce(&Place<'a>) -> Option<T>,
    ) -> Option<T> {
        match self.find(key) {
            Some(place) => read(&place),
            None => self.place.refuse(format_args!("`{key}` is missing; write it, as in `{example}`")),
        }
    }

    /// A section in this one, of which every key may be left out, and so may the whole.
    pub(super) fn child(&self, key: &str, known: &'static [&'static str]) -> Section<'a> {
        self.optional(key, |place| place.section(known)).unwrap_or_else(|| Section::new(self.place.clone(), &[], known))
    }

    /// Problem at `key`'s place, or at the section's, where the key was left out.
    pub(super) fn refuse_at(&self, key: &str, message: impl std::fmt::Display) {
        let _: Option<()> = self.find(key).as_ref().unwrap_or(&self.place).refuse(message);
    }
}

impl<'a> Place<'a> {
    /// A map or list is said to stand where its key stands, a text where it stands itself.
    pub(super) fn within(&self, entry: &'a Entry) -> Place<'a> {
        let line = match entry.node.value {
            Value::Scalar(_) => entry.node.line,
            _ => entry.line,
        };
        let separator = if self.path.is_empty() { "" } else { "." };
        Place::new(self.reading, &entry.node, line, format!("{}{separator}{}", self.path, entry.key))
    }
}

fn refuse_unknown(place: &Place<'_>, entry: &Entry, known: &[&str]) {
    let key = &entry.key;
    let advice = match nearest(key, known) {
        _ if key == "<<" => "merge keys are not read; write the keys out".to_owned(),
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here are {}", known.join(", ")),
    };
    let place = Place { line: entry.line, ..place.clone() };
    let _: Option<()> = place.refuse(format_args!("unknown key {key:?}; {advice}"));
}

/// The known key that at most a third of the letters are away from.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain = |key: &str| key.to_ascii_lowercase().replace('-', "_");
    let distances = known.iter().map(|candidate| (distance(&plain(key), &plain(candidate)), *candidate));
    let (steps, candidate) = distances.min_by_key(|(steps, _)| *steps)?;
    (steps <= candidate.len().div_ceil(3)).then_some(candidate)
}

/// Levenshtein's distance; `row` holds the distances of all beginnings of `b` to a beginning of `a`.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (index, from) in a.chars().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(b.chars()) {
            let here = (diagonal + usize::from(from != to)).min(*cell + 1).min(left + 1);
            diagonal = std::mem::replace(cell, here);
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
