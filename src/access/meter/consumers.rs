//! Calls by consumer, of which so many are told apart.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use crate::access::ledger::LedgerStatus;
use crate::access::meter::{Counted, OTHER, Statuses, add};
use crate::types::ConsumerId;

/// How the calls of each consumer ended.
#[derive(Default)]
pub struct Consumers {
    /// Copied when a consumer is met for the first time, and read without a lock.
    known: ArcSwap<HashMap<ConsumerId, Arc<ConsumerMeter>>>,
    others: Statuses,
}

#[derive(Default)]
struct ConsumerMeter {
    statuses: Statuses,
    name: OnceLock<String>,
}

impl Consumers {
    /// A call ended; `most` consumers are told apart.
    pub fn count(&self, consumer: ConsumerId, status: LedgerStatus, most: usize) {
        if let Some(meter) = self.known.load().get(&consumer) {
            meter.statuses.count(status);
            return;
        }
        if self.known.load().len() >= most {
            self.others.count(status);
            return;
        }
        let new = Arc::<ConsumerMeter>::default();
        self.known.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.entry(consumer).or_insert_with(|| new.clone());
            known
        });
        if let Some(meter) = self.known.load().get(&consumer) {
            meter.statuses.count(status);
        }
    }

    /// Consumers whose names are not known yet, some at a time.
    pub fn nameless(&self, max: usize) -> Vec<ConsumerId> {
        let known = self.known.load();
        let unknown = known.iter().filter(|(_, it)| it.name.get().is_none());
        unknown.map(|(id, _)| *id).take(max).collect()
    }

    /// Tells what a consumer is called.
    pub fn name(&self, consumer: ConsumerId, name: String) {
        if let Some(meter) = self.known.load().get(&consumer) {
            // Who was named before keeps its name, so that its series goes on.
            let _ = meter.name.set(name);
        }
    }

    /// The calls of each consumer by its name; of those without a name, and of all that are not told
    /// apart, together.
    pub fn read(&self) -> Vec<(String, Counted)> {
        let mut named: HashMap<String, Counted> = HashMap::new();
        let known = self.known.load();
        for meter in known.values() {
            let name = meter.name.get().map_or(OTHER, String::as_str);
            let counts = named.entry(name.to_owned()).or_default();
            add(counts, &meter.statuses.read());
        }
        let others = self.others.read();
        if others.iter().any(|count| *count > 0) {
            add(named.entry(OTHER.to_owned()).or_default(), &others);
        }
        let mut named: Vec<_> = named.into_iter().collect();
        named.sort();
        named
    }
}

#[cfg(test)]
mod tests {
    use std::array::from_fn;

    use super::*;

    #[test]
    fn consumers_are_told_apart_up_to_a_bound_and_once_they_are_named() {
        let meters = Consumers::default();
        let consumers: [ConsumerId; 3] = from_fn(|_| ConsumerId(uuid::Uuid::now_v7()));
        for consumer in consumers.iter().chain(&consumers[..1]) {
            meters.count(*consumer, LedgerStatus::Refused, 2);
        }
        assert_eq!(meters.read(), [(OTHER.to_owned(), [0, 0, 4, 0, 0, 0])]);
        assert_eq!(meters.nameless(10).len(), 2);
        meters.name(consumers[0], "desk".to_owned());
        let desk = ("desk".to_owned(), [0, 0, 2, 0, 0, 0]);
        let others = (OTHER.to_owned(), [0, 0, 2, 0, 0, 0]);
        assert_eq!(meters.read(), [desk, others]);
        assert_eq!(meters.nameless(10), [consumers[1]]);
    }
}
