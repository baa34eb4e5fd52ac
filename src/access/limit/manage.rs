//! How often somebody may ask the management API.

use crate::access::limit::counter::Counter;
use crate::access::limit::{Exceeded, Limit, Limiter, Scope, Unit, Window};

impl Limiter {
    /// With a pace for the management API: requests a second of each person, key or address of a
    /// stranger, and how many may come at once; 0 a second is none.
    #[must_use]
    pub fn with_pace(mut self, (amount, burst): (u64, u64)) -> Self {
        self.pace = (amount > 0).then_some(Limit {
            unit: Unit::Requests,
            amount,
            window: Some(Window::Second),
            scope: Scope::Key,
            burst: Some(burst.max(1)),
            reset_day: None,
        });
        self
    }

    /// Counts a request of the management API for whoever asks (see
    /// [`Caller::holder`](crate::access::caller::Caller::holder)).
    pub async fn ask(&self, holder: &str) -> Result<(), Exceeded> {
        let Some(limit) = &self.pace else {
            return Ok(());
        };
        let counter = Counter::of_management(limit, holder);
        self.take_one(limit, counter).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Clock;

    #[tokio::test]
    async fn each_has_a_pace_of_its_own() {
        let limiter = Limiter::memory(Clock::system()).with_pace((1, 3));
        for _ in 0..3 {
            assert!(limiter.ask("admin").await.is_ok());
        }
        let over = limiter.ask("admin").await.unwrap_err();
        assert_eq!(over.seconds(), 1);
        assert_eq!(over.headers().0, "\"key\";q=1;w=1");
        assert!(limiter.ask("user:a").await.is_ok());
        let none = Limiter::memory(Clock::system()).with_pace((0, 1));
        for _ in 0..100 {
            assert!(none.ask("admin").await.is_ok());
        }
    }
}
