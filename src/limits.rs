//! The cap on all request bodies in memory together: one slow crowd must not take the process down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub struct Budget {
    bytes_max: usize,
    taken: AtomicUsize,
}

/// A share of the budget, given back when it is dropped.
pub struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub fn new(bytes_max: usize) -> Budget {
        Budget { bytes_max, taken: AtomicUsize::new(0) }
    }

    /// Whether nothing more may be taken.
    pub fn is_spent(&self) -> bool {
        self.taken() >= self.bytes_max
    }

    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Share {
    pub fn none(budget: &Arc<Budget>) -> Share {
        Share { budget: Arc::clone(budget), bytes: 0 }
    }

    /// Takes more; `false` where there is not so much left.
    pub fn grow(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        self.budget.taken.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.budget.bytes_max
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_given_back() {
        let budget = Arc::new(Budget::new(100));
        let mut one = Share::none(&budget);
        assert!(one.grow(60));
        let mut two = Share::none(&budget);
        assert!(!two.grow(60), "there were only 40 left");
        drop(two);
        assert!(one.grow(40));
        drop(one);
        assert_eq!(budget.taken(), 0);
    }
}
