//! Which of a model's targets is asked first, and which after it: decided from how each is doing, and a chance.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::llm::route::Target;

/// How requests are spread over the targets of a tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// As their weights say.
    #[default]
    Weighted,
    /// To the one with the fewest requests for its weight.
    LeastBusy,
    /// Of two by chance, to the one that begins to answer sooner.
    Latency,
    /// To the one that was asked what begins alike, so that its provider still has that worked out.
    PrefixAffinity,
}

impl Strategy {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How a target is doing at the moment of a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// Neither left alone nor down.
    pub is_well: bool,
    /// Requests it has now.
    pub busy: u64,
    /// How long it lately takes until an answer begins, in microseconds; 0: nobody knows.
    pub first_token_us: u64,
    /// How many blocks of the prompt it was asked before, from the first one on.
    pub blocks: usize,
}

/// The places of the targets, in the order they are asked in: tier by tier; within a tier those that are well before
/// the others, and those of no weight after both. `chance` decides what is even; the same gives the same.
pub fn order(targets: &[&Target], seen: &[Seen], strategy: Strategy, chance: u64) -> Vec<usize> {
    let mut places: Vec<usize> = (0..targets.len()).collect();
    if places.len() < 2 {
        return places;
    }
    let group = |place: &usize| {
        let target = &targets[*place];
        (target.tier, !seen[*place].is_well, target.weight == 0)
    };
    places.sort_by_key(group);
    let mut chance = chance;
    for alike in places.chunk_by_mut(|a, b| group(a) == group(b)) {
        let field = Field { targets, seen };
        match strategy {
            Strategy::Weighted => field.by_weight(alike, chance),
            _ => field.by_score(alike, strategy, chance),
        }
        chance = next(chance);
    }
    places
}

/// The targets, and how each is doing.
struct Field<'a> {
    targets: &'a [&'a Target],
    seen: &'a [Seen],
}

impl Field<'_> {
    fn weight(&self, place: usize) -> u64 {
        u64::from(self.targets[place].weight.max(1))
    }

    /// Each is as likely to be first as its weight says, and so on with the rest.
    fn by_weight(&self, alike: &mut [usize], chance: u64) {
        let mut chance = chance;
        for first in 0..alike.len() {
            let rest = &mut alike[first..];
            let drawn = drawn(rest.iter().map(|place| self.weight(*place)), chance);
            rest[..=drawn].rotate_right(1);
            chance = next(chance);
        }
    }

    /// The best first, of those that do not have more than their share; the others by how busy they are.
    fn by_score(&self, alike: &mut [usize], strategy: Strategy, chance: u64) {
        // What is even is decided by chance.
        let turn = usize::try_from(chance % alike.len() as u64).unwrap_or_default();
        alike.rotate_left(turn);
        alike.sort_by(|a, b| self.busier(*a, *b));
        let room = self.with_room(alike);
        let best = match strategy {
            Strategy::Latency => self.sooner_of_two(&room, next(chance)),
            Strategy::PrefixAffinity => self.longest_known(&room),
            Strategy::LeastBusy | Strategy::Weighted => room.first().copied(),
        };
        let at = alike.iter().position(|place| Some(*place) == best);
        alike[..=at.unwrap_or_default()].rotate_right(1);
    }

    fn busier(&self, a: usize, b: usize) -> Ordering {
        let load = |one: usize, other: usize| {
            u128::from(self.seen[one].busy + 1) * u128::from(self.weight(other))
        };
        load(a, b).cmp(&load(b, a))
    }

    /// Those that may have one more: nobody gets above five quarters of its share of all there are, rounded up.
    fn with_room(&self, alike: &[usize]) -> Vec<usize> {
        let all = alike.iter().map(|place| u128::from(self.seen[*place].busy));
        let weights = alike.iter().map(|place| u128::from(self.weight(*place)));
        let (all, weights) = (all.sum::<u128>() + 1, weights.sum::<u128>());
        let fits = |place: &&usize| {
            let share = all * u128::from(self.weight(**place)) * 5;
            u128::from(self.seen[**place].busy) < share.div_ceil(weights * 4)
        };
        alike.iter().filter(fits).copied().collect()
    }

    /// Two by chance, and of them the one that answers sooner for what it has to do. One of which nothing is known
    /// is tried.
    fn sooner_of_two(&self, room: &[usize], chance: u64) -> Option<usize> {
        let count = room.len() as u64;
        if count < 2 {
            return room.first().copied();
        }
        let at = |n: u64| usize::try_from(n % count).unwrap_or_default();
        let first = at(chance);
        let second = at(first as u64 + 1 + next(chance) % (count - 1));
        let (a, b) = (room[first], room[second]);
        let wait = |one: usize, other: usize| {
            let seen = &self.seen[one];
            u128::from(seen.first_token_us)
                * u128::from(seen.busy + 1)
                * u128::from(self.weight(other))
        };
        let sooner = wait(a, b).cmp(&wait(b, a)).then_with(|| self.busier(a, b));
        Some(if sooner == Ordering::Greater { b } else { a })
    }

    /// The one that knows the longest beginning; of those that know as much, and where nobody knows anything, the
    /// least busy.
    fn longest_known(&self, room: &[usize]) -> Option<usize> {
        let mut best = *room.first()?;
        for place in room {
            if self.seen[*place].blocks > self.seen[best].blocks {
                best = *place;
            }
        }
        Some(best)
    }
}

/// Another number from one, as far from it as any (SplitMix64).
pub(crate) fn next(chance: u64) -> u64 {
    let mixed = chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Which of these weights a chance falls on; the first where all are nothing.
fn drawn(weights: impl Iterator<Item = u64> + Clone, chance: u64) -> usize {
    let all: u64 = weights.clone().sum();
    if all == 0 {
        return 0;
    }
    let mut at = chance % all;
    for (place, weight) in weights.enumerate() {
        match at.checked_sub(weight) {
            None => return place,
            Some(rest) => at = rest,
        }
    }
    0
}

#[cfg(test)]
mod tests;
