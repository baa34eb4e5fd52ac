//! Several processes that ask the same servers, and hear of each other every so often.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::llm::load::{Busy, Running};
use crate::llm::route::Target;
use crate::llm::route::tests::target;
use crate::llm::strategy::tests::{SECOND, gap, order, well};
use crate::llm::strategy::{Strategy, next};

const SERVERS: usize = 8;

/// What each process has at each server, and what is heard of it.
struct Processes {
    busy: Vec<Vec<Arc<Busy>>>,
    /// What each said last.
    said: Vec<Vec<u64>>,
    heard_at: Vec<u64>,
    /// When requests are over.
    running: BinaryHeap<Reverse<(u64, u64)>>,
    held: std::collections::HashMap<u64, Running>,
    load_us: Vec<u64>,
    now: u64,
    targets: Vec<Target>,
    /// For how long a server had more than five quarters of the mean, and one more.
    above_us: u64,
}

impl Processes {
    fn new(count: usize) -> Self {
        let busy = || (0..SERVERS).map(|_| Arc::default()).collect();
        Self {
            busy: (0..count).map(|_| busy()).collect(),
            said: vec![vec![0; SERVERS]; count],
            heard_at: (0..count as u64).map(|n| n * SECOND / 17).collect(),
            running: BinaryHeap::new(),
            held: std::collections::HashMap::new(),
            load_us: vec![0; SERVERS],
            now: SECOND,
            targets: (0..SERVERS)
                .map(|n| target(&format!("s{n}"), 1, 0))
                .collect(),
            above_us: 0,
        }
    }

    fn loads(&self) -> Vec<u64> {
        let of = |server: usize| self.busy.iter().map(|own| own[server].running()).sum();
        (0..SERVERS).map(of).collect()
    }

    fn pass(&mut self, to: u64) {
        while let Some(Reverse((over, id))) = self.running.peek().copied()
            && over <= to
        {
            self.count(over);
            self.running.pop();
            self.held.remove(&id);
        }
        self.count(to);
    }

    fn count(&mut self, to: u64) {
        let (loads, took) = (self.loads(), to - self.now);
        let mean = loads.iter().sum::<u64>() as f64 / SERVERS as f64;
        let most = loads.iter().copied().max().unwrap_or_default() as f64;
        if most > mean * 1.25 + 1.0 {
            self.above_us += took;
        }
        for (sum, load) in self.load_us.iter_mut().zip(loads) {
            *sum += load * took;
        }
        self.now = to;
    }

    /// A process says what it has and hears the others, where `every` so many microseconds went by.
    fn hear(&mut self, process: usize, every: Option<u64>) {
        if every.is_none_or(|every| self.now < self.heard_at[process] + every) {
            return;
        }
        self.heard_at[process] = self.now;
        let ours: Vec<u64> = self.busy[process]
            .iter()
            .map(|busy| busy.running())
            .collect();
        for (server, ours) in ours.iter().enumerate() {
            let others = (0..self.said.len()).filter(|other| *other != process);
            let theirs = others.map(|other| self.said[other][server]).sum();
            self.busy[process][server].hear(theirs, *ours);
        }
        self.said[process] = ours;
    }

    fn ask(&mut self, process: usize, (id, lasting): (u64, u64)) {
        let others = self.busy.len() as u64 - 1;
        let others = if self.heard_at[process] > SECOND {
            others
        } else {
            0
        };
        let busy = &self.busy[process];
        let seen: Vec<_> = busy.iter().map(|busy| well(busy.in_all(others))).collect();
        let place = order(&self.targets, &seen, Strategy::LeastBusy, next(id))[0];
        self.held.insert(id, busy[place].begin());
        self.running.push(Reverse((self.now + lasting, id)));
    }

    /// The load of the server that had most beside the mean, and for how much of the time one had too much.
    fn skew(&self) -> (f64, f64) {
        let loads = self.load_us.iter().map(|load| *load as f64);
        let mean = loads.clone().sum::<f64>() / SERVERS as f64;
        let above = self.above_us as f64 / (self.now - SECOND) as f64;
        (loads.fold(0.0, f64::max) / mean, above)
    }
}

/// Requests of four seconds on average; one process has two servers to itself for a third of its requests, as a model does that
/// leads to these two only.
fn spread(count: usize, every: Option<u64>) -> (f64, f64) {
    let mut all = Processes::new(count);
    for id in 0..30_000_u64 {
        let chance = next(id ^ 0xabcd);
        let process = (chance % count as u64) as usize;
        (0..count).for_each(|one| all.hear(one, every));
        let lasting = 1 + gap(id ^ 0x77, 4.0 * SECOND as f64);
        if process == 0 && (chance >> 32).is_multiple_of(4) {
            let place = (chance >> 40 & 1) as usize;
            all.held.insert(id, all.busy[0][place].begin());
            all.running.push(Reverse((all.now + lasting, id)));
        } else {
            all.ask(process, (id, lasting));
        }
        let at = all.now + gap(id, 20_000.0);
        all.pass(at);
    }
    all.skew()
}

#[test]
fn processes_that_hear_of_each_other_leave_no_server_above_five_quarters() {
    for count in [2, 4, 8] {
        let (alone, alone_above) = spread(count, None);
        let (heard, heard_above) = spread(count, Some(SECOND / 5));
        assert!(heard < 1.05 && heard < alone, "{count}: {heard} {alone}");
        assert!(
            heard_above < 0.02 && heard_above < alone_above / 4.0,
            "{count}: {heard_above} {alone_above}"
        );
    }
}

#[test]
fn what_is_heard_late_still_helps() {
    let (alone, _) = spread(4, None);
    for every in [SECOND / 2, SECOND] {
        let (late, _) = spread(4, Some(every));
        assert!(late < 1.25 && late < alone, "{every}: {late} {alone}");
    }
}
