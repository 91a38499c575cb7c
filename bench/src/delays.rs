//! A set of measured delays and its exact quantiles.
//!
//! No histogram: a run has some 100,000 values, and a sorted list of them has no bucket error.

#[derive(Default)]
pub struct Delays {
    ns: Vec<u64>,
}

impl Delays {
    pub fn push(&mut self, ns: u64) {
        self.ns.push(ns);
    }

    pub fn len(&self) -> usize {
        self.ns.len()
    }

    pub fn absorb(&mut self, other: Delays) {
        self.ns.extend(other.ns);
    }

    /// The `quantiles` (0 to 1, nearest rank) in milliseconds; zero when nothing was measured.
    pub fn quantiles_ms<const N: usize>(mut self, quantiles: [f64; N]) -> [f64; N] {
        self.ns.sort_unstable();
        quantiles.map(|quantile| {
            let rank = (quantile * self.ns.len() as f64).ceil() as usize;
            let ns = self.ns.get(rank.saturating_sub(1)).copied().unwrap_or(0);
            ns as f64 / 1e6
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Delays;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let mut delays = Delays::default();
        (1..=100).rev().for_each(|ms| delays.push(ms * 1_000_000));
        assert_eq!(delays.quantiles_ms([0.0, 0.5, 0.99, 1.0]), [1.0, 50.0, 99.0, 100.0]);
    }

    #[test]
    fn nothing_measured_is_zero() {
        assert_eq!(Delays::default().quantiles_ms([0.5]), [0.0]);
    }
}
