//! A copy of the rows that are in the store, sealed as they are there. Rows hold servers' credentials: none is
//! anywhere in clear but in memory.

use crate::answer;
use crate::registry::disk::Rows;
use crate::registry::ledger::Ledger;
use crate::registry::redis::Write;
use std::collections::{BTreeMap, BTreeSet};
use tollbridge_filters::seal::{Binding, Sealer};

/// Rows that are sealed anew together.
const RESEALED_TOGETHER: usize = 500;

pub(super) struct Copy {
    sealer: Sealer,
    rows: Rows,
    unreadable: BTreeSet<String>,
    /// Sealed with a key that is not the first any more.
    outdated: BTreeSet<String>,
}

impl Copy {
    pub(super) fn new(sealer: Sealer) -> Copy {
        Copy { sealer, rows: Rows::new(), unreadable: BTreeSet::new(), outdated: BTreeSet::new() }
    }

    pub(super) fn rows(&self) -> &Rows {
        &self.rows
    }

    pub(super) fn unreadable(&self) -> usize {
        self.unreadable.len()
    }

    /// Whether nothing of it can be read here, although there is something.
    pub(super) fn is_closed(&self) -> bool {
        !self.rows.is_empty() && self.unreadable.len() == self.rows.len()
    }

    pub(super) fn cannot_read(&self, field: &str) -> bool {
        self.unreadable.contains(field)
    }

    /// Takes everything over; what is not in it is gone.
    pub(super) fn take_all(&mut self, rows: Rows, ledger: &mut Ledger) {
        let gone: Vec<String> = self.rows.keys().filter(|field| !rows.contains_key(*field)).cloned().collect();
        self.take(rows, &gone, ledger);
    }

    /// Takes rows over. What cannot be read is left as it was known, and said.
    pub(super) fn take(&mut self, rows: Rows, gone: &[String], ledger: &mut Ledger) {
        for field in gone {
            self.forget(field);
            // To be rid of a row of a kind that is not known here is no trouble.
            let _ = ledger.absorb(field, None);
        }
        for (field, sealed) in rows {
            if self.rows.get(&field) == Some(&sealed) {
                continue;
            }
            self.forget(&field);
            match self.open(&field, &sealed).and_then(|text| ledger.absorb(&field, Some(&text))) {
                Ok(()) => {}
                Err(why) => {
                    tracing::error!(row = %field, %why, "a row of the registry cannot be read");
                    self.unreadable.insert(field.clone());
                }
            }
            self.rows.insert(field, sealed);
        }
    }

    /// What was written is what is there.
    pub(super) fn keep(&mut self, written: Vec<Write>) {
        for (field, value) in written {
            self.forget(&field);
            if let Some(sealed) = value {
                self.rows.insert(field, sealed);
            }
        }
    }

    pub(super) fn sealed(&self, rows: BTreeMap<String, Option<String>>) -> Result<Vec<Write>, String> {
        let seal = |(field, value): (String, Option<String>)| {
            let sealed = value.map(|text| self.seal(&field, text.as_bytes())).transpose()?;
            Ok((field, sealed))
        };
        rows.into_iter().map(seal).collect()
    }

    /// Some of the rows that an older key has sealed, under the one that seals now.
    pub(super) fn resealed(&self) -> Vec<Write> {
        let outdated = self.outdated.iter().take(RESEALED_TOGETHER);
        let reseal = |field: &String| {
            let (text, _) = self.sealer.open_by(&bound_to(field), self.rows.get(field)?)?;
            Some((field.clone(), Some(self.seal(field, &text).ok()?)))
        };
        outdated.filter_map(reseal).collect()
    }

    fn forget(&mut self, field: &str) {
        self.rows.remove(field);
        self.unreadable.remove(field);
        self.outdated.remove(field);
    }

    fn seal(&self, field: &str, text: &[u8]) -> Result<String, String> {
        let sealed = self.sealer.seal(&bound_to(field), &answer::random(|nonce| nonce), text);
        sealed.ok_or_else(|| "there is no key to seal it with".to_owned())
    }

    fn open(&mut self, field: &str, sealed: &str) -> Result<String, String> {
        let opened = self.sealer.open_by(&bound_to(field), sealed);
        let (opened, key) = opened.ok_or("it is sealed with a key that is not known here")?;
        if key > 0 {
            self.outdated.insert(field.to_owned());
        }
        String::from_utf8(opened).map_err(|error| error.to_string())
    }
}

fn bound_to(field: &str) -> Binding<'_> {
    Binding { purpose: "registry", principal: "", scope: field }
}
