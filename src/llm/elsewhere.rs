//! Requests that all processes have under way: each says in Redis what it has, and hears what the others have, so that a
//! target is as busy as all of them make it. No request waits for that.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::access::limit::{Shared, SharedError};
use crate::llm::live::Models;
use crate::llm::standing::{Counts, HEARD_US};

/// How often a process says what it has.
const EVERY: Duration = Duration::from_millis(200);
/// How long that is good for: what a process that was killed had is forgotten after it.
const LASTING: Duration = Duration::from_micros(HEARD_US);
/// Failures in a row after which nothing counts that was heard before.
const LOST_AFTER: u32 = 5;
/// Processes that are heard.
const PROCESSES_MAX: usize = 256;

/// Says and hears, as long as a model wants it, until it is told to stop.
pub async fn follow(models: Models, shared: Shared, stop: CancellationToken) {
    let process = Uuid::now_v7().to_string();
    let mut failures = 0;
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        if !models.balances() {
            continue;
        }
        let exchanged = exchange(&models, &shared, &process).await;
        failures = note(&exchanged, failures);
    }
}

/// Once.
async fn exchange(models: &Models, shared: &Shared, process: &str) -> Result<(), SharedError> {
    let ours = models.standings().counts();
    let said = serde_json::to_string(&ours).unwrap_or_default();
    let heard = shared.tell(process, &said, LASTING).await?;
    let (theirs, processes) = sum(&heard);
    let now = models.micros();
    models.standings().hear((&theirs, processes), &ours, now);
    Ok(())
}

/// How many failures in a row there are now. An outage is logged once it counts, and when it ends.
fn note(exchanged: &Result<(), SharedError>, failures: u32) -> u32 {
    match exchanged {
        Ok(()) if failures >= LOST_AFTER => {
            tracing::info!("requests for models are spread by what all processes count");
        }
        Err(error) if failures + 1 == LOST_AFTER => {
            tracing::warn!(error = %error, "requests for models are spread by what each process counts alone");
        }
        _ => {}
    }
    match exchanged {
        Ok(()) => 0,
        Err(_) => failures.saturating_add(1),
    }
}

/// What processes said, added up, and how many of them have anything. What cannot be read says nothing.
fn sum(heard: &[String]) -> (Counts, u64) {
    let (mut all, mut processes) = (Counts::new(), 0);
    for said in heard.iter().take(PROCESSES_MAX) {
        let counts: Counts = serde_json::from_str(said).unwrap_or_default();
        processes += u64::from(!counts.is_empty());
        for (name, count) in counts {
            let sum = all.entry(name).or_insert(0_u64);
            *sum = sum.saturating_add(count);
        }
    }
    (all, processes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_processes_say_is_added_up() {
        let heard = [
            r#"{"a/m":2,"b/":1}"#,
            "{}",
            "",
            r#"{"a/m":-1}"#,
            r#"{"a/m":3}"#,
        ];
        let (all, processes) = sum(&heard.map(str::to_owned));
        let expected = [("a/m".to_owned(), 5), ("b/".to_owned(), 1)];
        assert_eq!((all, processes), (Counts::from(expected), 2));
    }
}
