//! Which registry it is, and how far it has come: what tells a newer one from one that went backwards.

use serde::{Deserialize, Serialize};

/// A state of a shared registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Made once, at random, when the registry began.
    pub epoch: String,
    /// When an operator has last said that what is in the store counts, in milliseconds since 1970; 0: never.
    pub decided: u64,
    /// Counts the changes.
    pub generation: u64,
    /// A random mark of the last change: two states that have come equally far on different ways differ here.
    pub head: String,
}

/// What is found in the store, from where somebody stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub now: Version,
    /// The mark of the change that whoever asks stands at, if it is kept still.
    pub head_then: Option<String>,
}

/// So many marks are kept.
pub const HEADS_KEPT: u64 = 10_000;

impl Version {
    /// Why what is found is not what this has become. It is not adopted then until an operator decides.
    pub fn is_left_by(&self, found: Option<&Found>) -> Option<String> {
        let Some(found) = found else {
            return Some(format!("it is empty; generation {} is known here", self.generation));
        };
        let now = &found.now;
        if now.decided > self.decided {
            return None;
        }
        if now.epoch != self.epoch || now.decided < self.decided {
            return Some("it is another registry than the one that is known here".to_owned());
        }
        if now.generation < self.generation {
            return Some(format!("it is at generation {}; {} is known here", now.generation, self.generation));
        }
        let is_kept = now.generation - self.generation < HEADS_KEPT;
        let is_same = found.head_then.as_deref() == Some(self.head.as_str());
        (is_kept && !is_same).then(|| format!("since generation {} it has gone another way", self.generation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(epoch: &str, decided: u64, generation: u64, head: &str) -> Version {
        Version { epoch: epoch.into(), decided, generation, head: head.into() }
    }

    #[test]
    fn only_what_goes_on_from_here_is_adopted() {
        let mine = version("e", 5, 100, "h");
        let found = |now: Version, then: &str| Some(Found { now, head_then: (!then.is_empty()).then(|| then.into()) });
        let table = [
            ("the same", found(mine.clone(), "h"), true),
            ("newer", found(version("e", 5, 101, "i"), "h"), true),
            ("much newer, my mark is no more", found(version("e", 5, 100 + HEADS_KEPT, "i"), ""), true),
            ("empty", None, false),
            ("older", found(version("e", 5, 99, "g"), ""), false),
            ("as old, another way", found(version("e", 5, 100, "x"), "x"), false),
            ("newer, another way", found(version("e", 5, 120, "x"), "y"), false),
            ("newer, my mark was never there", found(version("e", 5, 120, "x"), ""), false),
            ("another epoch", found(version("f", 5, 200, "x"), ""), false),
            ("an older decision", found(version("e", 4, 200, "x"), "h"), false),
            ("an operator's decision", found(version("e", 6, 3, "x"), ""), true),
            ("an operator's decision for another epoch", found(version("f", 6, 1, "x"), ""), true),
        ];
        for (what, found, is_adopted) in table {
            let why = mine.is_left_by(found.as_ref());
            assert_eq!(why.is_none(), is_adopted, "{what}: {why:?}");
        }
    }
}
