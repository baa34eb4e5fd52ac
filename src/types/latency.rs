//! How long calls took, counted in bins that are the same everywhere and for good: two histograms
//! are put together by adding, and a percentile of what comes out is at most 8 % away from the true one.

use std::collections::BTreeMap;

/// Where bins begin, in microseconds: 100 µs, and each 16 % above the one before, up to a minute. These
/// are stored by number, so they never change.
const BOUNDS: [u64; BINS] = bounds();
const BINS: usize = 91;
const FIRST_BOUND: u64 = 100;

/// Calls by how long they took. Bin 0 is everything below the first bound, bin `n` what lies from bound
/// `n - 1` to the next one; the last has no end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency(BTreeMap<usize, u64>);

impl Latency {
    /// One call.
    pub fn of(micros: u64) -> Self {
        Self(BTreeMap::from([(bin(micros), 1)]))
    }

    /// Adds the calls of another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (bin, calls) in &other.0 {
            let here = self.0.entry(*bin).or_default();
            *here = here.saturating_add(*calls);
        }
    }

    pub fn calls(&self) -> u64 {
        self.0.values().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// The time, in microseconds, that `percent` of the calls took at most (nearest rank): right to 8 %
    /// from 100 µs to a minute; what is faster or slower is told as these. `None`: there was no call.
    pub fn percentile(&self, percent: u8) -> Option<u64> {
        let calls = self.calls();
        if calls == 0 {
            return None;
        }
        let rank = u128::from(calls) * u128::from(percent.min(100));
        let rank = rank.div_ceil(100).max(1);
        let mut seen = 0_u128;
        for (bin, calls) in &self.0 {
            seen += u128::from(*calls);
            if seen >= rank {
                return Some(middle(*bin));
            }
        }
        None
    }

    /// As it is stored: a JSON list of `[bin, calls]`, without those that are empty.
    pub fn to_text(&self) -> String {
        let pairs: Vec<_> = self.0.iter().collect();
        serde_json::to_string(&pairs).unwrap_or_default()
    }

    /// What [`Latency::to_text`] wrote.
    pub fn from_text(text: &str) -> Option<Self> {
        let pairs: Vec<(usize, u64)> = serde_json::from_str(text).ok()?;
        pairs
            .iter()
            .all(|(bin, _)| *bin <= BINS)
            .then(|| Self(pairs.into_iter().collect()))
    }
}

const fn bounds() -> [u64; BINS] {
    let mut bounds = [FIRST_BOUND; BINS];
    let mut at = 1;
    while at < BINS {
        bounds[at] = bounds[at - 1] * 116 / 100;
        at += 1;
    }
    bounds
}

fn bin(micros: u64) -> usize {
    BOUNDS.partition_point(|bound| *bound <= micros)
}

/// What a bin's calls are told to have taken: the geometric middle, which is equally wrong at both ends.
fn middle(bin: usize) -> u64 {
    match bin {
        0 => FIRST_BOUND,
        BINS.. => BOUNDS[BINS - 1],
        _ => (BOUNDS[bin - 1] * BOUNDS[bin]).isqrt(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(times: &[u64]) -> Latency {
        let mut latency = Latency::default();
        for time in times {
            latency.merge(&Latency::of(*time));
        }
        latency
    }

    fn merged(a: &Latency, b: &Latency) -> Latency {
        let mut sum = a.clone();
        sum.merge(b);
        sum
    }

    fn times() -> impl Strategy<Value = Vec<u64>> {
        // Evenly over the orders of magnitude, and beyond both ends.
        let time = (0_u32..28, any::<u64>()).prop_map(|(bits, n)| n % (1 << bits).max(1));
        proptest::collection::vec(time, 0..60)
    }

    proptest! {
        #[test]
        fn putting_together_is_adding(a in times(), b in times(), c in times()) {
            let (one, two, three) = (all(&a), all(&b), all(&c));
            prop_assert_eq!(merged(&one, &two), merged(&two, &one));
            prop_assert_eq!(merged(&merged(&one, &two), &three), merged(&one, &merged(&two, &three)));
            let whole: Vec<u64> = a.iter().chain(&b).copied().collect();
            prop_assert_eq!(merged(&one, &two), all(&whole));
            prop_assert_eq!(merged(&one, &Latency::default()), one.clone());
            prop_assert_eq!(Latency::from_text(&one.to_text()), Some(one));
        }

        #[test]
        fn a_percentile_is_within_eight_percent(
            mut times in proptest::collection::vec(100_u64..60_000_000, 1..200), percent in 1_u8..=100,
        ) {
            let told = all(&times).percentile(percent).unwrap();
            times.sort_unstable();
            let rank = (times.len() * usize::from(percent)).div_ceil(100);
            let truly = times[rank - 1];
            prop_assert!(told.abs_diff(truly) * 100 <= truly * 8, "{told} for {truly}");
        }
    }

    #[test]
    fn bins_reach_from_a_tenth_of_a_millisecond_to_a_minute() {
        assert!(BOUNDS[BINS - 1] >= 60_000_000, "{}", BOUNDS[BINS - 1]);
        assert!(BOUNDS[BINS - 2] < 70_000_000);
        assert!(BOUNDS.is_sorted_by(|a, b| a < b));
        // Stored numbers mean the same times for good.
        assert_eq!(
            (bin(0), bin(99), bin(100), bin(115), bin(116)),
            (0, 0, 1, 1, 2)
        );
        assert_eq!((bin(1_000_000), bin(u64::MAX)), (63, BINS));
        assert_eq!(Latency::default().percentile(50), None);
        assert_eq!(Latency::from_text("[[92,1]]"), None);
        assert_eq!(Latency::from_text("x"), None);
    }
}
