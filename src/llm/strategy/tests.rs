//! Decisions one by one, and simulations: servers with slots and a queue, skewed times and warm caches, asked by each
//! strategy and, to compare, in turn.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of a simulation are small"
)]

use std::collections::{BinaryHeap, HashMap};

use crate::llm::load::{Busy, FirstToken, Running};
use crate::llm::prefix::{Prefixes, blocks};
use crate::llm::route::Target;
use crate::llm::route::tests::target;
use crate::llm::strategy::{self, Seen, Strategy, next};
use std::cmp::Reverse;
use std::sync::Arc;

fn order(targets: &[Target], seen: &[Seen], strategy: Strategy, chance: u64) -> Vec<usize> {
    let targets: Vec<&Target> = targets.iter().collect();
    strategy::order(&targets, seen, strategy, chance)
}

fn well(busy: u64) -> Seen {
    Seen {
        is_well: true,
        busy,
        ..Seen::default()
    }
}

fn names(targets: &[Target], places: &[usize]) -> Vec<String> {
    let named = places.iter().map(|place| targets[*place].provider.clone());
    named.collect()
}

#[test]
fn tiers_come_one_after_the_other_and_the_ill_last_in_theirs() {
    let targets = [
        target("late", 1, 2),
        target("ill", 1000, 0),
        target("well", 1, 0),
        target("spare", 0, 0),
    ];
    let seen = targets.each_ref().map(|it| Seen {
        is_well: it.provider != "ill",
        ..Seen::default()
    });
    for strategy in [
        Strategy::Weighted,
        Strategy::LeastBusy,
        Strategy::Latency,
        Strategy::PrefixAffinity,
    ] {
        for chance in 0..50 {
            let order = order(&targets, &seen, strategy, chance);
            let expected = ["well", "spare", "ill", "late"];
            assert_eq!(names(&targets, &order), expected, "{strategy:?} {chance}");
        }
    }
}

#[test]
fn weight_nothing_comes_after_every_other_of_its_tier_that_is_well() {
    let strategies = [
        Strategy::Weighted,
        Strategy::LeastBusy,
        Strategy::Latency,
        Strategy::PrefixAffinity,
    ];
    for round in 0..4_000_u64 {
        // Up to seven targets of which nobody knows what they are, and nothing speaks against those of no weight.
        let draw = |place: u64, of: u64| next(next(round) ^ place << 8 ^ of);
        let count = 2 + draw(0, 0) % 6;
        let targets: Vec<Target> = (0..count)
            .map(|place| {
                let weight = [0, 0, 1, 1_000][(draw(place, 1) % 4) as usize];
                target("p", weight, (draw(place, 2) % 2) as u32)
            })
            .collect();
        let seen: Vec<Seen> = (0..count)
            .zip(&targets)
            .map(|(place, target)| Seen {
                is_well: draw(place, 3) % 4 > 0,
                busy: u64::from(target.weight) + draw(place, 4) % 9,
                first_token_us: u64::from(target.weight > 0) * 9_000_000,
                blocks: usize::from(target.weight == 0) * 50,
            })
            .collect();
        for strategy in strategies {
            let order = order(&targets, &seen, strategy, draw(9, 5));
            for (at, place) in order.iter().enumerate() {
                let spare = &targets[*place];
                let passed_over = order[at + 1..].iter().any(|later| {
                    let other = &targets[*later];
                    other.tier == spare.tier && other.weight > 0 && seen[*later].is_well
                });
                assert!(
                    spare.weight > 0 || !passed_over,
                    "{strategy:?} {order:?} {targets:?} {seen:?}"
                );
            }
        }
    }
}

#[test]
fn who_is_first_follows_the_weights() {
    let targets = [target("a", 90, 0), target("b", 10, 0)];
    let firsts =
        (0..10_000_u64).map(|n| order(&targets, &[well(0); 2], Strategy::Weighted, next(n)));
    let b = firsts
        .filter(|order| order[0] == 1 && order.len() == 2)
        .count();
    assert!((850..1150).contains(&b), "{b}");
}

#[test]
fn the_least_busy_for_its_weight_is_first() {
    let targets = [target("a", 4, 0), target("b", 1, 0), target("c", 1, 0)];
    for (busy, expected) in [
        ([0, 0, 0], "a"),
        ([2, 0, 1], "a"),
        ([4, 0, 1], "b"),
        ([40, 11, 10], "a"),
        ([44, 11, 9], "c"),
    ] {
        for chance in 0..20 {
            let seen = busy.map(well);
            let order = order(&targets, &seen, Strategy::LeastBusy, next(chance));
            assert_eq!(names(&targets, &order)[0], expected, "{busy:?}");
        }
    }
    // Even ones take turns.
    let even = [target("a", 1, 0), target("b", 1, 0)];
    let firsts = (0..1_000).map(|n| order(&even, &[well(3); 2], Strategy::LeastBusy, next(n))[0]);
    assert!((400..600).contains(&firsts.sum::<usize>()));
}

#[test]
fn the_longest_beginning_is_first_unless_it_has_too_much_to_do() {
    let targets = [target("a", 1, 0), target("b", 1, 0), target("c", 1, 0)];
    let seen = |busy: [u64; 3], known: [usize; 3]| {
        let mut seen = busy.map(well);
        for (one, blocks) in seen.iter_mut().zip(known) {
            one.blocks = blocks;
        }
        seen
    };
    for (busy, known, expected) in [
        ([2, 1, 1], [9, 3, 0], "a"),
        // (8 + 1) * 1.25 / 3 = 3.75: four are as many as there may be.
        ([3, 3, 2], [9, 3, 0], "a"),
        ([4, 3, 1], [9, 3, 0], "b"),
        ([4, 4, 0], [9, 3, 0], "c"),
        ([2, 0, 1], [0, 0, 0], "b"),
    ] {
        let order = order(&targets, &seen(busy, known), Strategy::PrefixAffinity, 5);
        assert_eq!(names(&targets, &order)[0], expected, "{busy:?} {known:?}");
    }
}

mod together;

const SECOND: u64 = 1_000_000;

/// A server: so many requests at once, the others wait.
struct Server {
    /// When each slot is free.
    slots: Vec<u64>,
    busy: Arc<Busy>,
    first: FirstToken,
    /// Conversations whose beginning it still has, by when they were used, and how long that was.
    cache: HashMap<u64, (u64, usize)>,
    /// Requests it had, over time.
    load_us: u64,
}

#[derive(Clone, Copy)]
enum Choice {
    InTurn,
    By(Strategy),
}

/// What happens: a request is over, or its first token comes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    First(usize, u64),
    Over(usize, u64),
}

struct Request {
    conversation: u64,
    prompt: Vec<u8>,
    /// How long a slot is taken after the first token.
    rest_us: u64,
}

struct World {
    servers: Vec<Server>,
    targets: Vec<Target>,
    prefixes: Prefixes,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    running: HashMap<u64, Running>,
    now: u64,
    asked: u64,
    waits: Vec<u64>,
    cached_bytes: usize,
    /// The most a server got above five quarters of the mean, rounded up.
    above: u64,
}

const CACHED: usize = 60;

impl World {
    fn new(servers: usize, slots: usize) -> Self {
        let server = |_| Server {
            slots: vec![0; slots],
            busy: Arc::default(),
            first: FirstToken::default(),
            cache: HashMap::new(),
            load_us: 0,
        };
        Self {
            servers: (0..servers).map(server).collect(),
            targets: (0..servers)
                .map(|n| target(&format!("s{n}"), 1, 0))
                .collect(),
            prefixes: Prefixes::default(),
            events: BinaryHeap::new(),
            running: HashMap::new(),
            now: SECOND,
            asked: 0,
            waits: Vec::new(),
            cached_bytes: 0,
            above: 0,
        }
    }

    fn advance(&mut self, to: u64) {
        while let Some(Reverse((at, _))) = self.events.peek()
            && *at <= to
        {
            let Reverse((at, event)) = self.events.pop().unwrap();
            self.pass(at);
            match event {
                Event::First(place, took) => self.servers[place].first.saw(took, at),
                Event::Over(_, id) => drop(self.running.remove(&id)),
            }
        }
        self.pass(to);
    }

    fn pass(&mut self, to: u64) {
        for server in &mut self.servers {
            server.load_us += server.busy.running() * (to - self.now);
        }
        self.now = to;
    }

    /// One request, by a choice; `first_us` is how long a server takes for so many bytes that it does not have.
    fn ask(&mut self, choice: Choice, request: &Request, first_us: &dyn Fn(usize, usize) -> u64) {
        let known = blocks(0, [request.prompt.as_slice()].into_iter());
        let ids: Vec<u64> = (0..self.servers.len() as u64).collect();
        let times = (self.now / SECOND, 300);
        let place = match choice {
            Choice::InTurn => self.asked as usize % self.servers.len(),
            Choice::By(strategy) => {
                let known = self.prefixes.known(&known, &ids, times);
                let seen = self.servers.iter().zip(known).map(|(server, blocks)| Seen {
                    is_well: true,
                    busy: server
                        .busy
                        .reported(self.now, 5 * SECOND)
                        .unwrap_or(server.busy.running()),
                    first_token_us: server.first.estimate(self.now),
                    blocks,
                });
                let seen: Vec<Seen> = seen.collect();
                order(&self.targets, &seen, strategy, next(self.asked))[0]
            }
        };
        self.asked += 1;
        self.prefixes.note(&known, place as u64, times.0);
        let cached = self.cached(place, request);
        self.cached_bytes += cached;
        let first = first_us(place, request.prompt.len() - cached);
        let server = &mut self.servers[place];
        let slot = server.slots.iter_mut().min().unwrap();
        let began = self.now.max(*slot);
        *slot = began + first + request.rest_us;
        let (took, over) = (began + first - self.now, *slot);
        self.waits.push(took);
        self.running.insert(self.asked, server.busy.begin());
        let first = (self.now + took, Event::First(place, took));
        self.events.push(Reverse(first));
        self.events
            .push(Reverse((over, Event::Over(place, self.asked))));
        let loads = self.servers.iter().map(|server| server.busy.running());
        let share = (loads.sum::<u64>() * 5).div_ceil(4 * self.servers.len() as u64);
        let had = self.servers[place].busy.running();
        self.above = self.above.max(had.saturating_sub(share));
    }

    /// What a server still has of a conversation; the one that was not used for longest is forgotten.
    fn cached(&mut self, place: usize, request: &Request) -> usize {
        let (cache, now) = (&mut self.servers[place].cache, self.asked);
        let length = request.prompt.len();
        let had = cache.insert(request.conversation, (now, length));
        if cache.len() > CACHED {
            let oldest = cache.iter().min_by_key(|(_, (used, _))| *used);
            let oldest = *oldest.unwrap().0;
            cache.remove(&oldest);
        }
        had.map_or(0, |(_, known)| known.min(length))
    }

    fn mean_wait(&self) -> f64 {
        self.waits.iter().sum::<u64>() as f64 / self.waits.len() as f64
    }

    /// The load of the server that had most, beside the mean.
    fn skew(&self) -> f64 {
        let loads = self.servers.iter().map(|server| server.load_us as f64);
        let mean = loads.clone().sum::<f64>() / self.servers.len() as f64;
        loads.fold(0.0, f64::max) / mean
    }
}

/// A time until the next request comes, `mean` on average.
fn gap(chance: u64, mean: f64) -> u64 {
    let even = (next(chance) >> 11) as f64 / (1_u64 << 53) as f64;
    (-(1.0 - even).ln() * mean) as u64
}

fn short(rest_us: u64) -> Request {
    Request {
        conversation: 0,
        prompt: Vec::new(),
        rest_us,
    }
}

/// Requests of which one in 20 takes 20 times as long.
fn uneven(choice: Choice) -> World {
    let mut world = World::new(8, 4);
    for n in 0..20_000 {
        let rest = if next(n ^ 0x4d).is_multiple_of(20) {
            20
        } else {
            1
        } * SECOND
            / 5;
        world.ask(choice, &short(rest), &|_, _| 50_000);
        let at = world.now + gap(n, 18_000.0);
        world.advance(at);
    }
    world
}

#[test]
fn least_busy_waits_a_quarter_as_long_as_in_turn_where_requests_are_uneven() {
    let (turn, busy) = (
        uneven(Choice::InTurn),
        uneven(Choice::By(Strategy::LeastBusy)),
    );
    let (turn_wait, busy_wait) = (turn.mean_wait() - 50_000.0, busy.mean_wait() - 50_000.0);
    assert!(busy_wait < 0.25 * turn_wait, "{busy_wait} {turn_wait}");
    assert_eq!(busy.above, 0);
    assert!(busy.skew() < 1.25, "{}", busy.skew());
}

/// Servers of unlike size, each with the weight of its size, at four fifths of what they can do together.
fn unlike(choice: Choice) -> World {
    const SLOTS: [usize; 4] = [1, 1, 2, 8];
    let mut world = World::new(SLOTS.len(), 0);
    for (place, slots) in SLOTS.into_iter().enumerate() {
        world.servers[place].slots = vec![0; slots];
        world.targets[place] = target(&format!("s{place}"), slots as u32, 0);
    }
    for n in 0..20_000 {
        world.ask(choice, &short(SECOND / 5), &|_, _| 50_000);
        let at = world.now + gap(n, 26_000.0);
        world.advance(at);
    }
    world
}

#[test]
fn weights_wait_a_twentieth_as_long_as_in_turn_where_servers_are_of_unlike_size() {
    let (turn, weighted) = (
        unlike(Choice::InTurn),
        unlike(Choice::By(Strategy::Weighted)),
    );
    let (turn_wait, wait) = (turn.mean_wait() - 50_000.0, weighted.mean_wait() - 50_000.0);
    assert!(wait < 0.05 * turn_wait, "{wait} {turn_wait}");
    // What each did for its size; waiting in line weighs more on the small ones, so requests that run are compared.
    let done = weighted.servers.iter().map(|server| {
        let taken = server.slots.iter().max().unwrap();
        *taken as f64
    });
    let (first, last) = done.fold((f64::MAX, 0.0_f64), |(least, most), at| {
        (least.min(at), most.max(at))
    });
    assert!(
        last / first < 1.05,
        "one is far behind the others: {first} {last}"
    );
}

/// One server in six is ten times as slow; after half of the requests it is another one.
fn skewed(choice: Choice) -> World {
    let mut world = World::new(6, 16);
    for n in 0..12_000 {
        let slow = usize::from(n >= 6_000);
        let first_us = |place, _| if place == slow { 1_000_000 } else { 100_000 };
        world.ask(choice, &short(SECOND / 2), &first_us);
        let at = world.now + gap(n, 20_000.0);
        world.advance(at);
    }
    world
}

#[test]
fn latency_halves_the_time_to_the_first_token_where_one_is_slow() {
    let (turn, sooner) = (
        skewed(Choice::InTurn),
        skewed(Choice::By(Strategy::Latency)),
    );
    let (turn_wait, wait) = (turn.mean_wait(), sooner.mean_wait());
    assert!(wait < 0.55 * turn_wait, "{wait} {turn_wait}");
    assert_eq!(sooner.above, 0);
    assert!(sooner.skew() < 1.25, "{}", sooner.skew());
}

/// Conversations that grow by a kilobyte with each turn; what a server has not got costs time.
fn talking(choice: Choice) -> (World, f64) {
    let mut world = World::new(8, 8);
    let mut turns = vec![0_usize; 300];
    let mut asked = 0;
    for n in 0..4_000 {
        let who = (next(n ^ 0xfeed) % 300) as usize;
        turns[who] = (turns[who] + 1) % 16;
        let talk = who as u64 * 1_000 + n / 1_600;
        let prompt =
            (0..(turns[who] + 2) as u64 * 128).flat_map(|at| next(talk << 20 | at).to_be_bytes());
        let request = Request {
            conversation: talk,
            prompt: prompt.collect(),
            rest_us: SECOND / 5,
        };
        asked += request.prompt.len();
        world.ask(choice, &request, &|_, bytes| 20_000 + bytes as u64 * 40);
        let at = world.now + gap(n, 15_000.0);
        world.advance(at);
    }
    let cached = world.cached_bytes as f64 / asked as f64;
    (world, cached)
}

// vectorize-io/hindsight#3271: a talk was spread over servers, and one token in a thousand came from a cache.
#[test]
fn affinity_finds_three_times_as_much_in_caches_as_in_turn() {
    let (turn, turn_cached) = talking(Choice::InTurn);
    let (near, near_cached) = talking(Choice::By(Strategy::PrefixAffinity));
    let (turn_wait, wait) = (turn.mean_wait(), near.mean_wait());
    assert!(
        near_cached > 3.0 * turn_cached,
        "{near_cached} {turn_cached}"
    );
    assert!(wait < 0.5 * turn_wait, "{wait} {turn_wait}");
    assert_eq!(near.above, 0);
    assert!(near.skew() < 1.25, "{}", near.skew());
}

/// Others keep two of six servers busy. `every` so many seconds the servers say what they have; 0: never.
fn with_others(choice: Choice, every: u64) -> World {
    let mut world = World::new(6, 8);
    let mut said = 0;
    for n in 0..12_000 {
        // What others ask: a slot of the first two is taken for a while, and nobody here counts it.
        if n % 2 == 0 {
            let slot = world.servers[usize::from(n % 4 == 0)].slots.iter_mut();
            let slot = slot.min().unwrap();
            *slot = world.now.max(*slot) + SECOND / 2;
        }
        if every > 0 && world.now >= said + every * SECOND {
            said = world.now;
            for server in &world.servers {
                let all = server.slots.iter().filter(|free| **free > said).count() as u64;
                server.busy.report(all.max(server.busy.running()), said);
            }
        }
        world.ask(choice, &short(SECOND / 4), &|_, _| 50_000);
        let at = world.now + gap(n, 16_000.0);
        world.advance(at);
    }
    world
}

#[test]
fn what_servers_say_helps_while_it_is_fresh_and_does_no_harm_when_it_is_not() {
    let least = Choice::By(Strategy::LeastBusy);
    let turn = with_others(Choice::InTurn, 0).mean_wait() - 50_000.0;
    let alone = with_others(least, 0);
    let (fresh, slow) = (with_others(least, 1), with_others(least, 4));
    let wait = |world: &World| world.mean_wait() - 50_000.0;
    assert!(
        wait(&fresh) < 0.5 * wait(&alone),
        "{} {}",
        wait(&fresh),
        wait(&alone)
    );
    assert!(wait(&slow) < wait(&alone), "{}", wait(&slow));
    assert!(wait(&alone) < turn, "{} {turn}", wait(&alone));
    // What is said too seldom is not listened to: after the first time it is as if nobody said anything.
    let stale = with_others(least, 3_600);
    let ratio = wait(&stale) / wait(&alone);
    assert!((0.9..1.1).contains(&ratio), "{ratio}");
}
