//! The decisions, so that callgrind can count the instructions of each: the script of the same name runs it.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a benchmark may stop where it is wrong")]

mod workload;

use std::hint::black_box;
use workload::Case;

/// What is done once (a schema compiled, the processor asked what it can do) is none of a decision's cost.
const WARM_UP: usize = 10;

/// Decides the case that is named by the first argument, as often as the second one says; without any it lists
/// the cases.
fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let plans = workload::plans();
    let Some(name) = arguments.next() else {
        return plans.iter().for_each(|plan| println!("{}", plan.name));
    };
    let times = arguments.next().unwrap().parse().unwrap();
    let case = plans.iter().find(|plan| plan.name == name).unwrap().prepare();
    (0..WARM_UP).for_each(|_| drop(case.decide()));
    counted_decisions(&case, times);
}

/// Callgrind counts in here alone, and knows it by its name.
#[inline(never)]
fn counted_decisions(case: &Case, times: usize) {
    for _ in 0..times {
        drop(black_box(black_box(case).decide()));
    }
}
