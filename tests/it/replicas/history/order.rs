//! Whether there is one order in which operations at the same time can have happened (Herlihy and Wing,
//! linearizability; found as Wing and Gong do, by trying, for one server at a time).

use std::collections::BTreeSet;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Refused where there is one.
    Create(String),
    Overwrite(String),
    /// Refused where there is none.
    Delete,
    /// What was found.
    Read(Option<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Yes,
    /// Because of what was there.
    Refused,
    /// It was said that nothing was changed.
    Untouched,
    /// Nobody knows.
    Open,
}

#[derive(Clone, Debug)]
pub struct Op {
    pub server: u64,
    pub writer: usize,
    pub act: Act,
    pub begun: Duration,
    /// Of one that was left open: until when it can have happened.
    pub ended: Duration,
    pub done: Done,
}

/// What is there, and which of the operations under way have happened.
type Possible = (Option<String>, BTreeSet<usize>);

/// The first operation that no order explains.
pub fn contradiction(ops: &[Op]) -> Option<String> {
    let mut moments: Vec<(Duration, bool, usize)> = Vec::new();
    for (at, op) in ops.iter().enumerate().filter(|(_, op)| op.done != Done::Untouched) {
        moments.push((op.begun, false, at));
        moments.push((op.ended, true, at));
    }
    moments.sort();
    let mut under_way = BTreeSet::new();
    let mut possible = BTreeSet::from([(None, BTreeSet::new())]);
    for (_, has_ended, at) in moments {
        if !has_ended {
            under_way.insert(at);
            continue;
        }
        // What was left open need not have happened.
        let is_open = ops[at].done == Done::Open;
        let happened = close(&possible, &under_way, ops);
        let happened = happened.into_iter().filter(|(_, done)| is_open || done.contains(&at));
        let next: BTreeSet<Possible> = happened
            .map(|(value, mut done)| {
                done.remove(&at);
                (value, done)
            })
            .collect();
        if next.is_empty() {
            return Some(format!("{:?} does not fit any of {possible:?}, with {under_way:?} under way", ops[at]));
        }
        under_way.remove(&at);
        possible = next;
    }
    None
}

/// Everything that can have happened by now.
fn close(possible: &BTreeSet<Possible>, under_way: &BTreeSet<usize>, ops: &[Op]) -> BTreeSet<Possible> {
    let mut all = possible.clone();
    let mut new: Vec<Possible> = possible.iter().cloned().collect();
    while let Some((value, done)) = new.pop() {
        for at in under_way.difference(&done) {
            let Some(next) = after(&value, &ops[*at]) else { continue };
            let mut done = done.clone();
            done.insert(*at);
            if all.insert((next.clone(), done.clone())) {
                new.push((next, done));
            }
        }
    }
    all
}

/// What is there after it; `None`: it cannot have ended as it did.
fn after(value: &Option<String>, op: &Op) -> Option<Option<String>> {
    match (&op.act, op.done) {
        (Act::Create(new), Done::Yes | Done::Open) => value.is_none().then(|| Some(new.clone())),
        (Act::Create(_), _) => value.is_some().then(|| value.clone()),
        (Act::Overwrite(new), _) => Some(Some(new.clone())),
        (Act::Delete, Done::Yes | Done::Open) => value.is_some().then_some(None),
        (Act::Delete, _) => value.is_none().then_some(None),
        (Act::Read(found), _) => (found == value).then(|| value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(act: Act, begun: u64, ended: u64, done: Done) -> Op {
        Op { server: 0, writer: 0, act, begun: Duration::from_millis(begun), ended: Duration::from_millis(ended), done }
    }

    /// A checker that finds nothing proves nothing.
    #[test]
    fn what_does_not_fit_is_found() {
        let create = |name: &str, begun, ended, done| op(Act::Create(name.into()), begun, ended, done);
        let read = |name: Option<&str>, at| op(Act::Read(name.map(str::to_owned)), at, at + 1, Done::Yes);
        let delete = |begun, ended, done| op(Act::Delete, begun, ended, done);
        let made = create("a", 1, 2, Done::Yes);
        let table = [
            ("lost", vec![made.clone(), read(None, 5)], false),
            ("kept", vec![made.clone(), read(Some("a"), 5)], true),
            ("doubled", vec![made.clone(), create("b", 3, 4, Done::Yes), read(Some("b"), 5)], false),
            ("refused", vec![made.clone(), create("b", 3, 4, Done::Refused), read(Some("a"), 5)], true),
            ("resurrected", vec![made.clone(), delete(3, 4, Done::Yes), read(Some("a"), 5)], false),
            ("deleted", vec![made.clone(), delete(3, 4, Done::Yes), read(None, 5)], true),
            ("not done, and there", vec![create("a", 1, 2, Done::Untouched), read(Some("a"), 5)], false),
            ("open, and there", vec![create("a", 1, 9, Done::Open), read(Some("a"), 5)], true),
            ("open, and not there", vec![create("a", 1, 9, Done::Open), read(None, 5)], true),
            ("open, and done later", vec![create("a", 1, 9, Done::Open), read(None, 5), read(Some("a"), 8)], true),
            (
                "open, and done much later",
                vec![create("a", 1, 4, Done::Open), read(None, 5), read(Some("a"), 8)],
                false,
            ),
            ("at the same time", vec![create("a", 1, 9, Done::Yes), delete(2, 8, Done::Yes), read(None, 10)], true),
            ("replicas differ", vec![made, read(Some("a"), 5), read(None, 8)], false),
        ];
        for (what, ops, fits) in table {
            assert_eq!(contradiction(&ops).is_none(), fits, "{what}");
        }
    }
}
