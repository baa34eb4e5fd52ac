//! Counts tokens exactly, where that decides something: a few at once, of texts up to a size, and not for long.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::llm::live::LiveModel;
use crate::llm::vocabulary::Vocabulary;

/// How long a text may be.
pub(crate) const TEXT_BYTES_MAX: usize = 1 << 20;
/// Counts at once.
const AT_ONCE: usize = 2;
/// How long somebody waits for one; what is not counted by then is taken to be as long as it may be.
const TIME: Duration = Duration::from_secs(3);

/// What counts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Counting(Arc<Semaphore>);

impl Default for Counting {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Counting {
    /// Counts aside from the requests that are served meanwhile. `None`: not in time.
    pub(crate) async fn done<T: Send + 'static>(
        &self,
        count: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let counted = async {
            let turn = self.0.clone().acquire_owned().await.ok()?;
            let counted = tokio::task::spawn_blocking(move || {
                // It ends when the work does, whoever still waits for it.
                let _turn = turn;
                count()
            });
            counted.await.ok()
        };
        timeout(TIME, counted).await.ok().flatten()
    }
}

/// What every target of a model reads with, by its names or, where it has none, by the caller's. `None`: that is not known of
/// one of them.
pub(crate) fn vocabularies(model: &LiveModel, name: &str) -> Option<Vec<Vocabulary>> {
    let targets = model.settings.all_targets();
    let called = targets.map(|target| target.called(name));
    let mut found: Vec<Vocabulary> = called.map(Vocabulary::of).collect::<Option<_>>()?;
    found.dedup();
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_few_are_counted_at_once_and_nobody_waits_for_long() {
        let counting = Counting::default();
        assert_eq!(counting.done(|| 7).await, Some(7));
        let held: Vec<_> = (0..AT_ONCE)
            .map(|_| counting.0.clone().try_acquire_owned().unwrap())
            .collect();
        assert_eq!(counting.done(|| 7).await, None);
        drop(held);
        assert_eq!(counting.done(|| 7).await, Some(7));
    }
}
