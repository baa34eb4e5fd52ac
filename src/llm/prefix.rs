//! Which targets were asked lately what begins alike. A prompt is a chain of blocks, each known by a hash of all up to
//! its end; a table of fixed size remembers who was asked which. It holds no text, and being wrong costs a detour only.

use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::llm::route::TARGETS_MAX;

/// Bytes of a block, and how many of a prompt are looked at.
const BLOCK_BYTES: usize = 512;
const BLOCKS_MAX: usize = 512;
/// Places for a block's hash: as many targets are remembered for one.
const WAYS: usize = 4;
/// A megabyte of memory: 131,072 blocks, or 64 MiB of prompts.
const BUCKETS: usize = 1 << 15;
/// Times are kept in units of four seconds, which come round after three days.
const UNIT_SECONDS: u64 = 4;
/// The longest that may be remembered.
pub const TTL_SECONDS_MAX: u64 = 86_400;

/// The hashes of a prompt's blocks, each of all up to its end. What is no whole block is left out. `seed` tells apart
/// those who are not to learn from each other.
pub fn blocks<'a>(seed: u64, parts: impl Iterator<Item = &'a [u8]>) -> Vec<u64> {
    let (mut hasher, mut hashes) = (DefaultHasher::new(), Vec::new());
    hasher.write_u64(seed);
    let mut left = BLOCK_BYTES;
    for mut part in parts {
        while part.len() >= left {
            let (block, rest) = part.split_at(left);
            hasher.write(block);
            hashes.push(hasher.finish());
            if hashes.len() == BLOCKS_MAX {
                return hashes;
            }
            (part, left) = (rest, BLOCK_BYTES);
        }
        hasher.write(part);
        left -= part.len();
    }
    hashes
}

/// Who was asked what. Shared by all models of a process, without a lock.
#[derive(Debug)]
pub struct Prefixes(Box<[[AtomicU64; WAYS]]>);

impl Default for Prefixes {
    fn default() -> Self {
        Self((0..BUCKETS).map(|_| Default::default()).collect())
    }
}

/// An entry: 32 bits of the hash, 16 of the target, 16 of the time. 0 is none.
#[derive(Clone, Copy)]
struct Entry(u64);

impl Entry {
    #[expect(clippy::cast_possible_truncation, reason = "the lower bits are meant")]
    fn new(hash: u64, target: u64, now_seconds: u64) -> Self {
        let (target, time) = (target as u16, (now_seconds / UNIT_SECONDS) as u16);
        Self((hash >> 32) << 32 | u64::from(target) << 16 | u64::from(time))
    }

    /// The same block and the same target.
    fn is_like(self, other: Self) -> bool {
        self.0 >> 16 == other.0 >> 16
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower bits are meant")]
    fn age_seconds(self, now: Self) -> u64 {
        u64::from((now.0 as u16).wrapping_sub(self.0 as u16)) * UNIT_SECONDS
    }
}

impl Prefixes {
    #[expect(clippy::cast_possible_truncation, reason = "the lower bits are meant")]
    fn bucket(&self, hash: u64) -> &[AtomicU64; WAYS] {
        &self.0[hash as usize % BUCKETS]
    }

    /// How many blocks each target was asked within `ttl_seconds`, from the first one on.
    pub fn known(&self, blocks: &[u64], targets: &[u64], (now, ttl): (u64, u64)) -> Vec<usize> {
        let mut known = vec![0; targets.len()];
        let mut following: Vec<usize> = (0..targets.len().min(TARGETS_MAX)).collect();
        for hash in blocks {
            let entries = self.bucket(*hash).each_ref();
            let entries = entries.map(|entry| Entry(entry.load(Ordering::Relaxed)));
            following.retain(|place| {
                let wanted = Entry::new(*hash, targets[*place], now);
                entries.iter().any(|entry| {
                    entry.0 != 0 && entry.is_like(wanted) && entry.age_seconds(wanted) <= ttl
                })
            });
            if following.is_empty() {
                break;
            }
            for place in &following {
                known[*place] += 1;
            }
        }
        known
    }

    /// A target is asked.
    pub fn note(&self, blocks: &[u64], target: u64, now_seconds: u64) {
        for hash in blocks {
            let new = Entry::new(*hash, target, now_seconds);
            let bucket = self.bucket(*hash);
            let entries = bucket.each_ref();
            let entries = entries.map(|entry| Entry(entry.load(Ordering::Relaxed)));
            let known = entries
                .iter()
                .position(|entry| entry.0 != 0 && entry.is_like(new));
            // In place of what is not used, or was not for the longest time.
            let oldest = || {
                let age = |place: &usize| match entries[*place] {
                    Entry(0) => u64::MAX,
                    entry => entry.age_seconds(new),
                };
                (0..WAYS).max_by_key(age).unwrap_or_default()
            };
            bucket[known.unwrap_or_else(oldest)].store(new.0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<u64> {
        blocks(1, [text.as_bytes()].into_iter())
    }

    #[test]
    fn a_block_is_known_by_all_up_to_its_end() {
        let (a, b) = ("a".repeat(1_100), "a".repeat(2_000));
        assert_eq!(of(&a).len(), 2);
        assert_eq!(of(&a), of(&b)[..2]);
        let late = format!("b{}", &b[1..]);
        assert!(of(&late).iter().all(|hash| !of(&b).contains(hash)));
        // However it is cut into parts; and others learn nothing of it.
        let parts = [&b.as_bytes()[..700], &b.as_bytes()[700..]];
        assert_eq!(blocks(1, parts.into_iter()), of(&b));
        assert_ne!(blocks(2, parts.into_iter()), of(&b));
        assert_eq!(of(&"x".repeat(1 << 20)).len(), BLOCKS_MAX);
        assert!(of("short").is_empty());
    }

    #[test]
    fn the_longest_beginning_counts_for_each_target_until_it_is_old() {
        let table = Prefixes::default();
        let (long, short) = (of(&"a".repeat(5_120)), of(&"a".repeat(1_024)));
        let known = |blocks: &[u64], now| table.known(blocks, &[7, 8, 9], (now, 300));
        table.note(&long, 7, 1_000);
        table.note(&short, 8, 1_100);
        assert_eq!(known(&long, 1_100), [10, 2, 0]);
        assert_eq!(known(&short, 1_100), [2, 2, 0]);
        assert_eq!(known(&of(&"b".repeat(5_120)), 1_100), [0, 0, 0]);
        assert_eq!(known(&long, 1_350), [0, 2, 0], "the first is forgotten");
        table.note(&short, 7, 1_350);
        assert_eq!(known(&long, 1_350), [2, 2, 0]);
    }

    #[test]
    fn memory_is_bounded_and_the_latest_stays() {
        let (table, text) = (Prefixes::default(), vec![7_u8; 64 << 10]);
        for n in 0..2_000_u64 {
            let seed = blocks(n, [text.as_slice()].into_iter());
            table.note(&seed, n % 4, 1_000 + n / 10);
            assert_eq!(table.known(&seed, &[n % 4], (1_000 + n / 10, 300)), [128]);
        }
        assert_eq!(size_of_val(&*table.0), 1 << 20);
    }
}
