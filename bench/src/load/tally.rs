//! What one connection found, and the sum over connections.

use std::time::Duration;

use crate::delays::Delays;

/// Between two tries of a server that fails: errors are counted, not multiplied.
const AFTER_ERROR: Duration = Duration::from_millis(10);

#[derive(Default)]
pub struct Tally {
    pub delays: Delays,
    pub errors: u64,
    pub crossed: u64,
    pub first_error: Option<String>,
}

impl Tally {
    pub async fn error(&mut self, error: &anyhow::Error) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| format!("{error:#}"));
        tokio::time::sleep(AFTER_ERROR).await;
    }

    pub fn plus(mut self, other: Tally) -> Self {
        self.delays.absorb(other.delays);
        self.errors += other.errors;
        self.crossed += other.crossed;
        self.first_error = self.first_error.or(other.first_error);
        self
    }
}
