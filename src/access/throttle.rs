//! How often somebody may try to sign in: each failure in a row makes the next wait twice as long, for
//! the name that was tried and for the address it was tried from. Pure: the clock is a parameter.
//!
//! A process counts for itself, in bounded memory: the longest forgotten go first.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use parking_lot::Mutex;

/// Names and addresses that are remembered.
const REMEMBERED_MAX: usize = 20_000;
/// Forgotten after this long without a try.
const FORGOTTEN_AFTER: Duration = Duration::hours(1);

/// How patient one is with a name or an address.
#[derive(Clone, Copy)]
struct Patience {
    /// Failures that cost nothing: people mistype.
    free: u32,
    /// No wait is longer: nobody locks somebody else out for long.
    wait_max_s: i64,
}

const OF_A_NAME: Patience = Patience {
    free: 5,
    wait_max_s: 300,
};
/// Behind a proxy, one address is many people.
const OF_AN_ADDRESS: Patience = Patience {
    free: 30,
    wait_max_s: 60,
};

/// What was tried lately.
#[derive(Default)]
pub struct Throttle(Mutex<HashMap<String, Tries>>);

#[derive(Clone, Copy)]
struct Tries {
    failures: u32,
    last: DateTime<Utc>,
    next: DateTime<Utc>,
}

/// A try that was let through. It counts as a failure until it is said to have gone well.
pub struct Try {
    /// `None`: who it is, nobody says beforehand.
    name: Option<String>,
    address: String,
}

impl Throttle {
    /// Lets a try through, or says how many seconds to wait. Many at once count one after the other.
    pub fn admit(&self, name: &str, address: &str, now: DateTime<Utc>) -> Result<Try, i64> {
        let name = Some(format!("name {name}"));
        self.let_through(name, address, now)
    }

    /// Lets a try through whose name is told by somebody else.
    pub fn admit_address(&self, address: &str, now: DateTime<Utc>) -> Result<Try, i64> {
        self.let_through(None, address, now)
    }

    fn let_through(
        &self,
        name: Option<String>,
        address: &str,
        now: DateTime<Utc>,
    ) -> Result<Try, i64> {
        let attempt = Try {
            name,
            address: format!("address {address}"),
        };
        let mut tries = self.0.lock();
        let keys = attempt.name.iter().chain([&attempt.address]);
        let wait = keys
            .filter_map(|key| tries.get(key))
            .filter(|known| now - known.last < FORGOTTEN_AFTER)
            .map(|known| (known.next - now).num_milliseconds())
            .max();
        if let Some(wait) = wait.filter(|wait| *wait > 0) {
            return Err(wait.div_euclid(1000) + 1);
        }
        if let Some(name) = &attempt.name {
            count(&mut tries, name, OF_A_NAME, now);
        }
        count(&mut tries, &attempt.address, OF_AN_ADDRESS, now);
        Ok(attempt)
    }

    /// A try went well: the name starts anew. The address only takes this one back, so that whoever has
    /// one password does not try others for free.
    pub fn went_well(&self, attempt: &Try) {
        let mut tries = self.0.lock();
        if let Some(name) = &attempt.name {
            tries.remove(name);
        }
        if let Some(known) = tries.get_mut(&attempt.address) {
            known.failures = known.failures.saturating_sub(1);
            known.next = known.last;
        }
    }
}

fn count(tries: &mut HashMap<String, Tries>, key: &str, patience: Patience, now: DateTime<Utc>) {
    if tries.len() >= REMEMBERED_MAX && !tries.contains_key(key) {
        make_room(tries, now);
    }
    let known = tries.entry(key.to_owned()).or_insert(Tries {
        failures: 0,
        last: now,
        next: now,
    });
    if now - known.last >= FORGOTTEN_AFTER {
        known.failures = 0;
    }
    known.failures = known.failures.saturating_add(1);
    known.last = now;
    let over = known.failures.saturating_sub(patience.free);
    let wait = match over {
        0 => 0,
        over => (1_i64 << (over - 1).min(20)).min(patience.wait_max_s),
    };
    known.next = now + Duration::seconds(wait);
}

/// Forgets what is old; where nothing is, the half that was tried longest ago.
fn make_room(tries: &mut HashMap<String, Tries>, now: DateTime<Utc>) {
    tries.retain(|_, known| now - known.last < FORGOTTEN_AFTER);
    if tries.len() >= REMEMBERED_MAX {
        let mut times: Vec<_> = tries.values().map(|known| known.last).collect();
        let (_, middle, _) = times.select_nth_unstable(REMEMBERED_MAX / 2);
        let middle = *middle;
        tries.retain(|_, known| known.last > middle || known.next > now);
    }
    if tries.len() >= REMEMBERED_MAX {
        tries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    /// Seconds to wait after each of so many failures, tried as soon as one may.
    fn waits(throttle: &Throttle, name: impl Fn(u32) -> String, failures: u32) -> Vec<i64> {
        let (mut now, mut waits) = (0, Vec::new());
        for number in 0..failures {
            throttle.admit(&name(number), "192.0.2.1", at(now)).ok();
            let wait = throttle.admit(&name(number), "192.0.2.1", at(now)).err();
            waits.push(wait.unwrap_or(0));
            now += wait.unwrap_or(0);
        }
        waits
    }

    #[test]
    fn each_failure_in_a_row_makes_the_next_wait_longer() {
        let throttle = Throttle::default();
        let mut now = 0;
        for _ in 0..5 {
            assert!(throttle.admit("ann", "192.0.2.1", at(now)).is_ok());
        }
        let mut seen = Vec::new();
        for _ in 0..12 {
            assert!(throttle.admit("ann", "192.0.2.1", at(now)).is_ok());
            let wait = throttle.admit("ann", "192.0.2.9", at(now)).err().unwrap();
            seen.push(wait - 1);
            now += wait;
        }
        assert_eq!(seen, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert!(throttle.admit("bob", "192.0.2.1", at(now)).is_ok());
        assert!(throttle.admit("ann", "192.0.2.1", at(now)).is_ok());
        assert!(throttle.admit("ann", "192.0.2.1", at(now)).is_err());
        assert!(throttle.admit("ann", "192.0.2.1", at(now + 3600)).is_ok());
        assert!(throttle.admit("ann", "192.0.2.1", at(now + 3600)).is_ok());
    }

    #[test]
    fn an_address_that_tries_many_names_waits_too() {
        let throttle = Throttle::default();
        let waits = waits(&throttle, |number| format!("name {number}"), 40);
        assert!(waits.iter().any(|wait| *wait > 4), "{waits:?}");
        assert!(waits.iter().take(10).all(|wait| *wait == 0), "{waits:?}");
    }

    #[test]
    fn what_goes_well_starts_the_name_anew_and_not_the_address() {
        let throttle = Throttle::default();
        for number in 0..200 {
            let own = throttle.admit("own", "192.0.2.1", at(0));
            let Ok(own) = own else {
                assert!(number > 25, "{number}");
                return;
            };
            throttle.went_well(&own);
            let _ = throttle.admit(&format!("other {number}"), "192.0.2.1", at(0));
        }
        unreachable!("one password bought tries of all others");
    }

    #[test]
    fn a_try_of_nobody_in_particular_counts_for_its_address_only() {
        let throttle = Throttle::default();
        let tries = |address| {
            (0..40)
                .map(|_| throttle.admit_address(address, at(0)).is_ok())
                .collect::<Vec<_>>()
        };
        let through = tries("192.0.2.1");
        assert!(
            through[..30].iter().all(|through| *through) && !through[39],
            "{through:?}"
        );
        assert!(throttle.admit_address("192.0.2.2", at(0)).is_ok());
        assert!(throttle.admit("ann", "192.0.2.2", at(0)).is_ok());
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        for number in 0..i64::try_from(REMEMBERED_MAX).unwrap() {
            let (name, address) = (format!("n{number}"), format!("a{number}"));
            throttle.admit(&name, &address, at(number)).ok();
        }
        assert!(throttle.0.lock().len() <= REMEMBERED_MAX);
    }
}
