//! How providers and their targets are doing, over every change of what is stored: what requests saw of them, what
//! checks in the background found, and what they say of their load.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::llm::load::{Busy, FirstToken};

/// How a provider is checked while nobody asks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct HealthRule {
    pub every_seconds: u32,
    /// It is down after so many checks in a row that failed, and up again after so many that did not.
    pub down_after: u32,
    pub up_after: u32,
}

/// How often a provider is asked for its load: vLLM and SGLang tell it at `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LoadRule {
    pub every_seconds: u32,
}

impl Default for HealthRule {
    fn default() -> Self {
        Self {
            every_seconds: 30,
            down_after: 3,
            up_after: 1,
        }
    }
}

impl Default for LoadRule {
    fn default() -> Self {
        Self { every_seconds: 2 }
    }
}

/// A setting that is out of bounds, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StandingError {
    #[error("health.everySeconds` is 1 to 3600")]
    Every,
    #[error("health.downAfter` and `health.upAfter` are 1 to 100")]
    After,
    #[error("load.everySeconds` is 1 to 60")]
    LoadEvery,
}

impl HealthRule {
    /// # Errors
    /// The first thing that is out of bounds.
    pub fn check(&self) -> Result<(), StandingError> {
        if !(1..=3_600).contains(&self.every_seconds) {
            return Err(StandingError::Every);
        }
        let good = |n| (1..=100).contains(&n);
        if good(self.down_after) && good(self.up_after) {
            Ok(())
        } else {
            Err(StandingError::After)
        }
    }
}

impl LoadRule {
    /// # Errors
    /// Where it is out of bounds.
    pub fn check(&self) -> Result<(), StandingError> {
        if (1..=60).contains(&self.every_seconds) {
            Ok(())
        } else {
            Err(StandingError::LoadEvery)
        }
    }

    /// What was said longer ago says nothing any more.
    pub fn fresh_us(&self) -> u64 {
        u64::from(self.every_seconds) * 3_000_000
    }
}

/// What checks of a provider found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    pub is_down: bool,
    /// In a row.
    pub failures: u32,
    pub successes: u32,
    /// The last one.
    pub at: Option<DateTime<Utc>>,
    pub message: String,
}

/// What a provider said of its load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    pub running: u64,
    pub waiting: u64,
}

/// When it said so, or what was wrong with what it said.
pub type Said = (DateTime<Utc>, Result<Reported, String>);

/// How a provider is doing.
#[derive(Debug, Default)]
pub struct Standing {
    pub busy: Arc<Busy>,
    /// Of its requests, those that are passed through to it: whichever of its models they ask.
    pub passing: Arc<Busy>,
    is_down: AtomicBool,
    /// By which rule it is checked, if at all, and what that found.
    checks: Mutex<(Option<HealthRule>, Checks)>,
    load: Mutex<Option<Said>>,
    /// When each was done last, in microseconds since the process began; 0: never.
    last_check: AtomicU64,
    last_load: AtomicU64,
}

/// What stands in place of a time while it is done.
const UNDER_WAY: u64 = u64::MAX;

/// What is done in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upkeep {
    Check,
    Load,
}

impl Standing {
    /// Whether checks found it down.
    pub fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }

    pub fn checks(&self) -> Checks {
        self.checks.lock().1.clone()
    }

    /// By which rule it is checked from now on. Where it is not, what was found says nothing any more.
    pub fn set_rule(&self, rule: Option<HealthRule>) {
        let mut kept = self.checks.lock();
        kept.0 = rule;
        if rule.is_none() {
            kept.1 = Checks::default();
            self.is_down.store(false, Ordering::Relaxed);
        }
    }

    /// A check ended: well, or with what is wrong. Whether that changes anything; not where nobody wants to know any
    /// more.
    pub fn checked(&self, found: Result<(), String>, at: DateTime<Utc>) -> bool {
        let mut kept = self.checks.lock();
        let (Some(rule), checks) = &mut *kept else {
            return false;
        };
        checks.at = Some(at);
        let was_down = checks.is_down;
        match found {
            Ok(()) => {
                (checks.failures, checks.successes) = (0, checks.successes.saturating_add(1));
                checks.is_down &= checks.successes < rule.up_after;
                checks.message.clear();
            }
            Err(message) => {
                (checks.successes, checks.failures) = (0, checks.failures.saturating_add(1));
                checks.is_down |= checks.failures >= rule.down_after;
                checks.message = message;
            }
        }
        self.is_down.store(checks.is_down, Ordering::Relaxed);
        was_down != checks.is_down
    }

    /// It told its load, or what is wrong with what it told.
    pub fn loaded(&self, said: Result<Reported, String>, (at, now_us): (DateTime<Utc>, u64)) {
        if let Ok(reported) = &said {
            let all = reported.running.saturating_add(reported.waiting);
            self.busy.report(all, now_us);
        }
        *self.load.lock() = Some((at, said));
    }

    /// Whether it is time for one, after so many seconds since the last, which the caller then does.
    pub fn claim(&self, what: Upkeep, now_us: u64, every_seconds: u32) -> bool {
        let last = self.last(what);
        let done = last.load(Ordering::Relaxed);
        let since = now_us.saturating_sub(done);
        let is_due = done == 0 || since >= u64::from(every_seconds) * 1_000_000;
        done != UNDER_WAY
            && is_due
            && last
                .compare_exchange(done, UNDER_WAY, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// It is done.
    pub fn did(&self, what: Upkeep, now_us: u64) {
        self.last(what).store(now_us.max(1), Ordering::Relaxed);
    }

    fn last(&self, what: Upkeep) -> &AtomicU64 {
        match what {
            Upkeep::Check => &self.last_check,
            Upkeep::Load => &self.last_load,
        }
    }

    /// What it said last, and when.
    pub fn load(&self) -> Option<Said> {
        self.load.lock().clone()
    }
}

/// How one model of a provider is doing.
#[derive(Debug, Default)]
pub struct Doing {
    pub busy: Arc<Busy>,
    /// Of answers that come whole.
    pub whole: FirstToken,
    /// Of streams.
    pub stream: FirstToken,
}

impl Doing {
    pub fn first(&self, streams: bool) -> &FirstToken {
        if streams { &self.stream } else { &self.whole }
    }
}

/// A provider, and its name for a model; empty: whichever it is asked for.
type TargetOf = (Uuid, String);

/// Requests that targets have, by `provider/model` with the provider's id, which is the same in every process.
pub type Counts = BTreeMap<String, u64>;

/// Targets a process tells others of.
pub const COUNTS_MAX: usize = 4_096;
/// What others said longer ago says nothing any more.
pub const HEARD_US: u64 = 1_000_000;

/// What other processes said last.
#[derive(Debug, Default)]
struct Others {
    /// How many of them have requests.
    processes: AtomicU64,
    /// When, in microseconds since the process began; 0: never.
    at: AtomicU64,
}

/// How everything is doing that a process knows of.
#[derive(Debug, Default)]
pub struct Standings {
    providers: Mutex<HashMap<Uuid, Arc<Standing>>>,
    targets: Mutex<HashMap<TargetOf, Arc<Doing>>>,
    /// What shadows of models have to do, by their models.
    shadows: Mutex<HashMap<Uuid, Arc<Busy>>>,
    others: Others,
}

impl Standings {
    pub fn provider(&self, id: Uuid) -> Arc<Standing> {
        self.providers.lock().entry(id).or_default().clone()
    }

    pub fn target(&self, provider: Uuid, model: &str) -> Arc<Doing> {
        let mut targets = self.targets.lock();
        targets
            .entry((provider, model.to_owned()))
            .or_default()
            .clone()
    }

    pub fn shadow(&self, model: Uuid) -> Arc<Busy> {
        self.shadows.lock().entry(model).or_default().clone()
    }

    /// What this process has under way; targets that have nothing are left out.
    pub fn counts(&self) -> Counts {
        let targets = self.targets.lock();
        let running = targets.iter().map(|(of, doing)| (of, doing.busy.running()));
        let busy = running.filter(|(_, running)| *running > 0);
        let busy = busy.map(|((provider, model), count)| (format!("{provider}/{model}"), count));
        busy.take(COUNTS_MAX).collect()
    }

    /// So many other processes that have requests said what they have in all, who heard this of ours.
    pub fn hear(&self, (theirs, processes): (&Counts, u64), ours: &Counts, now_us: u64) {
        let of = |counts: &Counts, name: &str| counts.get(name).copied().unwrap_or_default();
        for ((provider, model), doing) in &*self.targets.lock() {
            let name = format!("{provider}/{model}");
            doing.busy.hear(of(theirs, &name), of(ours, &name));
        }
        self.others.processes.store(processes, Ordering::Relaxed);
        self.others.at.store(now_us.max(1), Ordering::Release);
    }

    /// How many other processes have requests; `None`: they said nothing lately.
    pub fn others(&self, now_us: u64) -> Option<u64> {
        let at = self.others.at.load(Ordering::Acquire);
        let is_fresh = at > 0 && now_us.saturating_sub(at) <= HEARD_US;
        is_fresh.then(|| self.others.processes.load(Ordering::Relaxed))
    }

    /// Forgets what no provider of these has, and what nobody holds any more.
    pub fn keep(&self, providers: &HashSet<Uuid>) {
        self.shadows
            .lock()
            .retain(|_, busy| Arc::strong_count(busy) > 1);
        self.providers.lock().retain(|id, _| providers.contains(id));
        let mut targets = self.targets.lock();
        targets.retain(|(id, _), doing| providers.contains(id) && Arc::strong_count(doing) > 1);
    }
}

/// The requests a server has, by what it tells at `/metrics`; of several models and processes, the sum. `None`: it
/// tells neither.
pub fn reported(text: &str) -> Option<Reported> {
    let mut found: [Option<f64>; 2] = [None, None];
    for line in text.lines() {
        let end = line.find(['{', ' ']).unwrap_or(line.len());
        let place = match &line[..end] {
            "vllm:num_requests_running" | "sglang:num_running_reqs" => 0,
            "vllm:num_requests_waiting" | "sglang:num_queue_reqs" => 1,
            _ => continue,
        };
        // Values of labels may have spaces and braces.
        let rest = line.rfind('}').map_or(&line[end..], |at| &line[at + 1..]);
        let value = rest.split_ascii_whitespace().next();
        let value = value.and_then(|value| value.parse::<f64>().ok());
        if let Some(value) = value.filter(|value| value.is_finite() && *value >= 0.0) {
            *found[place].get_or_insert(0.0) += value;
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of requests, cut at the largest there is"
    )]
    let count = |value: Option<f64>| value.unwrap_or_default() as u64;
    let [running, waiting] = found;
    (running.is_some() || waiting.is_some()).then(|| Reported {
        running: count(running),
        waiting: count(waiting),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn a_provider_is_down_after_some_failures_in_a_row_and_up_again() {
        let rule = HealthRule {
            down_after: 3,
            up_after: 2,
            ..HealthRule::default()
        };
        let standing = Standing::default();
        standing.set_rule(Some(rule));
        let mut found = Vec::new();
        let checks = [
            false, false, true, false, false, false, false, true, false, true, true,
        ];
        for (second, good) in (0..).zip(checks) {
            let result = if good { Ok(()) } else { Err("503".to_owned()) };
            let changed = standing.checked(result, at(second));
            found.push((standing.is_down(), changed));
        }
        let (up, down, changes) = ((false, false), (true, false), true);
        assert_eq!(
            found,
            [
                up,
                up,
                up,
                up,
                up,
                (true, changes),
                down,
                down,
                down,
                down,
                (false, changes)
            ]
        );
        assert_eq!(standing.checks().at, Some(at(10)));
        standing.set_rule(Some(HealthRule {
            down_after: 1,
            ..rule
        }));
        assert!(standing.checked(Err("x".into()), at(20)));
        assert_eq!(
            (standing.is_down(), &*standing.checks().message),
            (true, "x")
        );
        standing.set_rule(None);
        assert!(!standing.is_down());
        // A check that was under way meanwhile changes nothing.
        assert!(!standing.checked(Err("x".into()), at(21)));
        assert_eq!(
            (standing.is_down(), standing.checks()),
            (false, Checks::default())
        );
    }

    #[test]
    fn it_is_done_by_one_at_a_time_and_as_often_as_it_is_wanted_now() {
        let (standing, second) = (Standing::default(), 1_000_000);
        let claim = |at, every| standing.claim(Upkeep::Check, at * second, every);
        assert!(claim(1, 30) && !claim(1, 30), "one does it");
        assert!(
            standing.claim(Upkeep::Load, second, 30),
            "the other is another thing"
        );
        assert!(!claim(500, 30), "it is under way still");
        standing.did(Upkeep::Check, 2 * second);
        assert!(!claim(31, 30) && !claim(31, 30));
        // Whoever wants it more often need not wait for what was wanted before.
        assert!(claim(31, 5));
        standing.did(Upkeep::Check, 31 * second);
        assert!(!claim(60, 30));
        assert!(claim(61, 30));
    }

    #[test]
    fn loads_are_read_as_both_servers_tell_them() {
        let vllm = "# HELP vllm:num_requests_running Number of requests in model execution batches.\n\
            # TYPE vllm:num_requests_running gauge\n\
            vllm:num_requests_running{engine=\"0\",model_name=\"meta/llama {3}\"} 7.0\n\
            vllm:num_requests_running{engine=\"1\",model_name=\"meta/llama {3}\"} 2.0\n\
            vllm:num_requests_waiting{engine=\"0\",model_name=\"meta/llama {3}\"} 3.0\n\
            vllm:num_requests_waiting_by_reason{reason=\"x\"} 99.0\n";
        let sglang = "sglang:num_running_reqs{model_name=\"m\"} 5.0 1395066363000\nsglang:num_queue_reqs 1e1\n";
        let of = |running, waiting| Some(Reported { running, waiting });
        assert_eq!(reported(vllm), of(9, 3));
        assert_eq!(reported(sglang), of(5, 10));
        assert_eq!(reported("vllm:num_requests_running NaN\n"), None);
        assert_eq!(reported("vllm:num_requests_waiting{"), None);
        assert_eq!(reported("up 1\n"), None);
    }

    #[test]
    fn processes_hear_of_each_other_for_a_while() {
        let (here, there, id) = (
            Standings::default(),
            Standings::default(),
            Uuid::from_u128(7),
        );
        let second = 1_000_000;
        let _ours = here.target(id, "m").busy.begin();
        let two = there.target(id, "m");
        let _theirs = [
            two.busy.begin(),
            two.busy.begin(),
            there.target(id, "").busy.begin(),
        ];
        let said = there.counts();
        let name = format!("{id}/m");
        assert_eq!(
            said,
            BTreeMap::from([(name.clone(), 2), (format!("{id}/"), 1)])
        );
        assert_eq!(here.others(second), None, "nobody said anything");
        here.hear((&said, 1), &here.counts(), second);
        assert_eq!(here.others(second + HEARD_US), Some(1));
        assert_eq!(here.others(second + HEARD_US + 1), None, "too long ago");
        assert_eq!(here.target(id, "m").busy.in_all(1), 3);
        // What nobody has any more is not remembered.
        here.hear((&Counts::new(), 0), &here.counts(), second);
        assert_eq!(here.target(id, "m").busy.in_all(1), 1);
        assert_eq!(here.others(second), Some(0));
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let (standings, id) = (Standings::default(), Uuid::from_u128(1));
        let held = standings.target(id, "a");
        let _running = held.busy.begin();
        let _ = standings.target(id, "b");
        standings.keep(&HashSet::from([id]));
        assert_eq!(standings.target(id, "a").busy.running(), 1);
        assert_eq!(standings.targets.lock().len(), 1);
        standings.keep(&HashSet::new());
        assert!(standings.targets.lock().is_empty());
    }
}
