//! How long the decisions take. `instructions` counts what they cost, which repeats from run to run.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a benchmark may stop where it is wrong")]

mod workload;

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

fn decisions(criterion: &mut Criterion) {
    for plan in workload::plans() {
        let case = plan.prepare();
        criterion.bench_function(&plan.name, |bencher| bencher.iter(|| black_box(&case).decide()));
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
