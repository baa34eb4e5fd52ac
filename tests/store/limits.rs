//! Limits on a real database: quotas are shared, durable and never exceeded; plans reach keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use causeway::access::caller::Caller;
use causeway::access::limit::{Asked, Cost, Exceeded, Limit, LimitRefusal, Limiter, Of};
use causeway::store::limits::Taken;
use causeway::store::{Store, StoreError};
use causeway::types::{Clock, ConsumerId, ModelId, PlanId, ServerId};
use serde_json::json;

use super::{ORGANIZATION, act, at, key, server};

const DAY: i64 = 86_400;

/// A clock, and the hand that moves it, in seconds.
fn clock() -> (Clock, Arc<AtomicI64>) {
    // Noon.
    let seconds = Arc::new(AtomicI64::new(20_000 * DAY + DAY / 2));
    let hand = seconds.clone();
    let now = move || chrono::DateTime::from_timestamp(hand.load(Ordering::SeqCst), 0).unwrap();
    (Clock::from_fn(now), seconds)
}

fn a_day(amount: u64) -> Vec<Limit> {
    let limit =
        json!([{ "unit": "requests", "amount": amount, "window": "day", "scope": "server" }]);
    serde_json::from_value(limit).unwrap()
}

/// A call that has `expected` tokens reserved, and comes to `used`.
async fn read(
    limiter: &Limiter,
    (server, limits): (ServerId, &[Limit]),
    (expected, used): (u64, u64),
) -> bool {
    let tokens = |tokens| Cost { tokens, nanos: 0 };
    let asked = Asked {
        caller: &Caller::anonymous(),
        of: Of::Tool {
            server,
            name: "tool",
        },
        limits,
        peer: None,
        cost: tokens(expected),
    };
    let Ok(mut permit) = limiter.admit(&asked).await else {
        return false;
    };
    limiter.settle(&mut permit, tokens(used)).await;
    true
}

pub(crate) async fn what_an_answer_comes_to_is_counted_when_it_is_there(store: &Store) {
    let (clock, _) = clock();
    let fresh = || Limiter::new(store.clone(), None, clock.clone());
    let server = ServerId::generate();
    let limits = json!([{ "unit": "tokens", "amount": 1_000, "window": "day", "scope": "server" }]);
    let limits: Vec<Limit> = serde_json::from_value(limits).unwrap();
    let spent = async || {
        let prefix = format!("server:{server}/");
        let long_ago = at(0) - chrono::TimeDelta::days(4000);
        let rows = store.quotas(&prefix, long_ago).await.unwrap();
        rows.iter().map(|row| row.spent).sum::<i64>()
    };
    let (one, two) = (fresh(), fresh());
    assert!(read(&one, (server, &limits), (1, 250)).await);
    // Whoever has the answer has it counted, and not only in the memory of the process.
    assert!(spent().await >= 250, "{}", spent().await);
    assert!(read(&two, (server, &limits), (400, 30)).await);
    one.give_back().await;
    two.give_back().await;
    assert_eq!(spent().await, 280);
    // More than is left may come of a call that was let in, and is taken all the same.
    let crashed = fresh();
    assert!(read(&crashed, (server, &limits), (1, 2_000)).await);
    drop(crashed);
    assert!(spent().await >= 2_280, "{}", spent().await);
    assert!(!read(&fresh(), (server, &limits), (1, 1)).await);
    // What is reserved has to be there as a whole.
    let other = ServerId::generate();
    assert!(!read(&two, (other, &limits), (1_001, 1)).await);
    assert!(read(&two, (other, &limits), (1_000, 990)).await);
    assert!(read(&two, (other, &limits), (10, 10)).await);
    assert!(!read(&two, (other, &limits), (1, 1)).await);
}

pub(crate) async fn a_budget_is_never_exceeded_by_many(store: &Store) {
    let (clock, _) = clock();
    let server = ServerId::generate();
    let limits =
        json!([{ "unit": "money", "amount": 23_500, "window": "month", "scope": "server" }]);
    let limits: Vec<Limit> = serde_json::from_value(limits).unwrap();
    let limiters = [0, 1, 2].map(|_| Limiter::new(store.clone(), None, clock.clone()));
    let calls = (0..200).map(|number: usize| {
        let (limiter, limits) = (limiters[number % 3].clone(), limits.clone());
        tokio::spawn(async move {
            let asked = Asked {
                caller: &Caller::anonymous(),
                of: Of::Tool {
                    server,
                    name: "tool",
                },
                limits: &limits,
                peer: None,
                // A thousandth of a dollar.
                cost: Cost {
                    tokens: 0,
                    nanos: 1_000_000,
                },
            };
            limiter.admit(&asked).await.is_ok()
        })
    });
    let ended = futures::future::join_all(calls).await;
    let through = ended.into_iter().filter(|ok| *ok.as_ref().unwrap()).count();
    // What another process holds of a slice may be missing, and nothing is let through twice.
    assert!((21..=23).contains(&through), "{through}");
}

// BerriAI/litellm#26672: a key spent far more than its budget.
// BerriAI/litellm#27735: a budget that was not used up refused requests.
/// Requests for a model by three processes: each reserves the most it can come to, and comes to a quarter of it.
pub(crate) async fn a_budget_of_a_model_is_used_to_its_end_and_not_beyond(store: &Store) {
    const RESERVED: u64 = 80_000;
    const USED: u64 = 20_000;
    const BUDGET: u64 = 4_000_000;
    let (clock, _) = clock();
    let model = ModelId::generate();
    let limits = json!([{ "unit": "money", "amount": BUDGET / 1_000, "window": "month", "scope": "server" }]);
    let limits: Vec<Limit> = serde_json::from_value(limits).unwrap();
    let limiters = [0, 1, 2].map(|_| Limiter::new(store.clone(), None, clock.clone()));
    let ask = async |limiter: Limiter, limits: Vec<Limit>| {
        let nanos = |nanos| Cost { tokens: 0, nanos };
        let asked = Asked {
            caller: &Caller::anonymous(),
            of: Of::Model {
                id: model,
                name: "model",
            },
            limits: &limits,
            peer: None,
            cost: nanos(RESERVED),
        };
        let Ok(mut permit) = limiter.admit(&asked).await else {
            return 0;
        };
        tokio::task::yield_now().await;
        limiter.settle(&mut permit, nanos(USED)).await;
        USED
    };
    let asked = (0..200).map(|number: usize| ask(limiters[number % 3].clone(), limits.clone()));
    let mut used: u64 = futures::future::join_all(asked).await.into_iter().sum();
    assert!((BUDGET / 4..=BUDGET).contains(&used), "{used}");
    for limiter in &limiters {
        loop {
            let more = ask(limiter.clone(), limits.clone()).await;
            used += more;
            if more == 0 {
                break;
            }
        }
    }
    // What each of the others holds for its next request may be missing: a tenth at most.
    assert!((BUDGET * 3 / 4..=BUDGET).contains(&used), "{used}");
    for limiter in &limiters {
        limiter.give_back().await;
    }
    let long_ago = at(0) - chrono::TimeDelta::days(4000);
    let rows = store.quotas(&format!("model:{model}/"), long_ago).await;
    let spent: i64 = rows.unwrap().iter().map(|row| row.spent).sum();
    assert_eq!(spent, i64::try_from(used).unwrap());
}

async fn call(limiter: &Limiter, server: ServerId, limits: &[Limit]) -> Result<(), LimitRefusal> {
    let asked = Asked {
        caller: &Caller::anonymous(),
        of: Of::Tool {
            server,
            name: "tool",
        },
        limits,
        peer: None,
        cost: Cost::default(),
    };
    limiter.admit(&asked).await.map(drop)
}

/// How many of `calls` at once are let in by limiters that take turns.
async fn let_in(limiters: &[Limiter], server: ServerId, limits: &[Limit], calls: usize) -> usize {
    let tasks = (0..calls).map(|number| {
        let (limiter, limits) = (limiters[number % limiters.len()].clone(), limits.to_vec());
        tokio::spawn(async move { call(&limiter, server, &limits).await.is_ok() })
    });
    let ended = futures::future::join_all(tasks).await;
    ended.into_iter().filter(|ok| *ok.as_ref().unwrap()).count()
}

pub(crate) async fn a_quota_is_exact_among_many_and_survives_them(store: &Store) {
    let (clock, _) = clock();
    let server = ServerId::generate();
    let limits = a_day(50);
    let fresh = || Limiter::new(store.clone(), None, clock.clone());
    let one = fresh();
    assert_eq!(
        let_in(std::slice::from_ref(&one), server, &limits, 30).await,
        30
    );
    // What it holds is given back, and another process goes on where it ended.
    one.give_back().await;
    let two = [fresh(), fresh()];
    assert_eq!(let_in(&two, server, &limits, 200).await, 20);
    assert_eq!(let_in(&[fresh()], server, &limits, 10).await, 0);
    // Another server's count is its own, and so is a greater amount's rest.
    assert_eq!(let_in(&two, ServerId::generate(), &limits, 5).await, 5);
    assert_eq!(let_in(&[fresh()], server, &a_day(60), 30).await, 10);
}

pub(crate) async fn a_crash_loses_no_unit_of_a_quota(store: &Store) {
    let (clock, _) = clock();
    let server = ServerId::generate();
    let limits = a_day(1_000);
    let mut total = 0;
    for _ in 0..5 {
        // Dropped without settling, as a process that is killed.
        let crashed = Limiter::new(store.clone(), None, clock.clone());
        total += let_in(&[crashed], server, &limits, 15).await;
    }
    assert_eq!(total, 75);
    let last = Limiter::new(store.clone(), None, clock);
    total += let_in(&[last], server, &limits, 2_000).await;
    // Slices are of ten: five crashes cost at most five times nine.
    assert!((955..=1_000).contains(&total), "{total}");
}

// BerriAI/litellm#14204: a window began anew with each request in it, and its count was never over.
pub(crate) async fn a_clock_set_back_begins_no_window_anew(store: &Store) {
    let (clock, hand) = clock();
    let server = ServerId::generate();
    let limits = a_day(5);
    let limiter = Limiter::new(store.clone(), None, clock.clone());
    assert_eq!(
        let_in(std::slice::from_ref(&limiter), server, &limits, 9).await,
        5
    );
    let error = call(&limiter, server, &limits).await.unwrap_err();
    let LimitRefusal::Exceeded(Exceeded { retry_after, .. }) = error else {
        unreachable!("{error}");
    };
    assert_eq!(retry_after.as_secs(), u64::try_from(DAY / 2).unwrap());
    hand.fetch_add(DAY, Ordering::SeqCst);
    assert_eq!(
        let_in(std::slice::from_ref(&limiter), server, &limits, 3).await,
        3
    );
    hand.fetch_sub(DAY, Ordering::SeqCst);
    let restarted = Limiter::new(store.clone(), None, clock);
    for limiter in [limiter.clone(), restarted] {
        let_in(&[limiter], server, &limits, 9).await;
    }
    hand.fetch_add(DAY, Ordering::SeqCst);
    assert_eq!(let_in(&[limiter], server, &limits, 9).await, 0);
    // Slices of a quota of five are of one, so that all of it was spent, and no more.
    let prefix = format!("server:{server}/");
    let rows = store.quotas(&prefix, at(0) - chrono::TimeDelta::days(4000));
    let spent: Vec<i64> = rows.await.unwrap().iter().map(|row| row.spent).collect();
    assert_eq!(spent, [5, 5]);
}

pub(crate) async fn another_amount_of_a_quota_counts_at_once(store: &Store) {
    let (clock, hand) = clock();
    let server = ServerId::generate();
    let fresh = || Limiter::new(store.clone(), None, clock.clone());
    let limiters = [fresh()];
    let of = async |amount, calls| let_in(&limiters, server, &a_day(amount), calls).await;
    // Slices are of ten: nine are left of this one.
    assert_eq!(of(1_000, 1).await, 1);
    assert_eq!(of(5, 20).await, 4);
    // It was used up a moment ago, and is greater now.
    assert_eq!(of(50, 100).await, 45);
    assert_eq!(of(1_000, 2_000).await, 950);
    // What was given back is there for others, in the next window, too.
    hand.fetch_add(DAY, Ordering::SeqCst);
    assert_eq!(of(1_000, 1).await, 1);
    assert_eq!(of(60, 1).await, 1);
    assert_eq!(let_in(&[fresh()], server, &a_day(60), 100).await, 58);
}

pub(crate) async fn a_window_begins_with_all_of_its_quota(store: &Store) {
    let (clock, hand) = clock();
    let server = ServerId::generate();
    let limits = json!([{ "unit": "tokens", "amount": 1_000, "window": "day", "scope": "server" }]);
    let limits: Vec<Limit> = serde_json::from_value(limits).unwrap();
    let limiter = Limiter::new(store.clone(), None, clock);
    // It holds as much as the first of the next day asks for.
    assert!(read(&limiter, (server, &limits), (500, 400)).await);
    hand.fetch_add(DAY, Ordering::SeqCst);
    assert!(read(&limiter, (server, &limits), (90, 90)).await);
    assert!(read(&limiter, (server, &limits), (900, 900)).await);
    assert!(!read(&limiter, (server, &limits), (100, 100)).await);
}

pub(crate) async fn a_slice_is_at_most_what_is_left(store: &Store) {
    let bounds = (1_000, 2_000);
    let mut taken = Vec::new();
    for _ in 0..4 {
        let slice = store.take_quota("c", bounds, (4, 10)).await.unwrap();
        assert_eq!((slice.began, slice.ends), bounds);
        taken.push(slice.granted);
    }
    assert_eq!(taken, [4, 4, 2, 0]);
    store
        .return_quotas(&[("c".into(), 1_000, 3)])
        .await
        .unwrap();
    let slice = store.take_quota("c", bounds, (4, 10)).await.unwrap();
    assert_eq!(slice.granted, 3);
    store.forget_quotas(2_001).await.unwrap();
    let anew = store.take_quota("c", bounds, (4, 10)).await.unwrap();
    assert_eq!(
        anew,
        Taken {
            began: 1_000,
            ends: 2_000,
            granted: 4
        }
    );
}

pub(crate) async fn a_plan_is_given_until_it_is_taken(store: &Store) {
    let act = act();
    let consumer = store.create_key(key(1), &act, at(0)).await.unwrap();
    let new = server("pets");
    let pets = new.id;
    store.create_server(&new, &act, at(0)).await.unwrap();
    store
        .put_plan(("gold", "", "[1]"), &act, at(1))
        .await
        .unwrap();
    store
        .put_plan(("gold", "More.", "[2]"), &act, at(2))
        .await
        .unwrap();
    let plan = store.plan(ORGANIZATION, "gold").await.unwrap().unwrap();
    assert_eq!((&*plan.description, &*plan.limits), ("More.", "[2]"));
    assert_eq!(store.plans(ORGANIZATION).await.unwrap().len(), 1);
    let target = (consumer, pets);
    let given = store.assign_plan(target, PlanId(plan.id), &act, at(3));
    given.await.unwrap();
    let assigned = store.assignments(ORGANIZATION, consumer).await.unwrap();
    assert_eq!((&*assigned[0].plan, &*assigned[0].limits), ("gold", "[2]"));
    let refused = store.delete_plan("gold", &act, at(4)).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    assert!(store.unassign_plan(target, &act, at(5)).await.unwrap());
    assert!(!store.unassign_plan(target, &act, at(5)).await.unwrap());
    assert!(store.delete_plan("gold", &act, at(6)).await.unwrap());
    let set = store.set_consumer_limits(consumer, "[3]", &act, at(7));
    assert!(set.await.unwrap());
    let limits = store.consumer_limits(ORGANIZATION, consumer).await.unwrap();
    assert_eq!(limits.as_deref(), Some("[3]"));
    let nobody = store.set_consumer_limits(ConsumerId::generate(), "[]", &act, at(8));
    assert!(!nobody.await.unwrap());
}
