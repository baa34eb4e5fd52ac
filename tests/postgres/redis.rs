//! Rates that all processes count together, in a real Redis.

use std::time::{Duration, Instant};

use causeway::access::caller::Caller;
use causeway::access::limit::{Asked, Claim, Cost, Limit, LimitRefusal, Limiter, Of, Shared};
use causeway::types::{Clock, ServerId};
use serde_json::json;

/// The Redis the tests run on.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told where its server is"
)]
fn url() -> String {
    std::env::var("CAUSEWAY_TEST_REDIS_URL").expect(
        "CAUSEWAY_TEST_REDIS_URL is not set: run \
         `tests/with-postgres tests/with-redis cargo test --test postgres`",
    )
}

/// As many limiters as there are processes, for what holds `ALONE`.
async fn processes(count: usize, url: &str) -> Vec<Limiter> {
    let mut limiters = Vec::new();
    for _ in 0..count {
        let store = super::fresh().await.store;
        let shared = Shared::open(url).unwrap();
        limiters.push(Limiter::new(store, Some(shared), Clock::system()));
    }
    limiters
}

async fn ask(limiter: &Limiter, server: ServerId, limit: &Limit) -> Result<(), LimitRefusal> {
    let asked = Asked {
        caller: &Caller::anonymous(),
        of: Of::Tool {
            server,
            name: "tool",
        },
        limits: std::slice::from_ref(limit),
        peer: None,
        cost: Cost::default(),
    };
    limiter.admit(&asked).await.map(drop)
}

/// How many of 200 calls at once get through.
async fn let_in(limiters: &[Limiter], server: ServerId, limit: &Limit) -> usize {
    let calls = (0..200).map(|number| {
        let (limiter, limit) = (limiters[number % limiters.len()].clone(), limit.clone());
        tokio::spawn(async move { ask(&limiter, server, &limit).await.is_ok() })
    });
    let ended = futures::future::join_all(calls).await;
    ended.into_iter().filter(|ok| *ok.as_ref().unwrap()).count()
}

fn hourly(amount: u64) -> Limit {
    let limit =
        json!({ "unit": "requests", "amount": amount, "window": "hour", "scope": "server" });
    serde_json::from_value(limit).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_counts_a_rate_for_all_processes() {
    let _alone = super::ALONE.write().await;
    let limiters = processes(3, &url()).await;
    // Connected first: a hundred calls at once may find the first connection slow.
    for limiter in &limiters {
        ask(limiter, ServerId::generate(), &hourly(1))
            .await
            .unwrap();
    }
    let server = ServerId::generate();
    assert_eq!(let_in(&limiters, server, &hourly(25)).await, 25);
    let error = ask(&limiters[1], server, &hourly(25)).await.unwrap_err();
    let LimitRefusal::Exceeded(exceeded) = error else {
        panic!("{error}");
    };
    assert!((100..=144).contains(&exceeded.seconds()), "{exceeded}");
}

// higress-group/higress#4067: as long as Redis was not reached, nothing was limited.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_each_process_counts_alone() {
    let _beside = super::ALONE.read().await;
    // Held, so that nobody else gets it, and nobody listens there.
    let gone = tokio::net::TcpSocket::new_v4().unwrap();
    gone.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = gone.local_addr().unwrap();
    let limiters = processes(2, &format!("redis://{address}")).await;
    let (server, began) = (ServerId::generate(), Instant::now());
    assert_eq!(let_in(&limiters, server, &hourly(25)).await, 50);
    // Nobody waited for longer than the time Redis has to answer, and most not at all.
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_foreseen_is_owed_by_all_processes() {
    let _beside = super::ALONE.read().await;
    let limiters = processes(2, &url()).await;
    let limit = json!({ "unit": "tokens", "amount": 3_600, "window": "hour", "scope": "server" });
    let limits: Vec<Limit> = vec![serde_json::from_value(limit).unwrap()];
    let caller = Caller::anonymous();
    let server = ServerId::generate();
    let asked = |expected| Asked {
        caller: &caller,
        of: Of::Tool {
            server,
            name: "tool",
        },
        limits: &limits,
        peer: None,
        cost: Cost {
            tokens: expected,
            nanos: 0,
        },
    };
    let mut permit = limiters[0].admit(&asked(600)).await.unwrap();
    let less = Cost {
        tokens: 100,
        nanos: 0,
    };
    limiters[0].settle(&mut permit, less).await;
    // 3,500 are left, whoever looks how often.
    for limiter in &limiters {
        assert!(limiter.has_room(&Claim::of(&asked(3_500))).await);
        assert!(!limiter.has_room(&Claim::of(&asked(3_550))).await);
    }
    let mut permit = limiters[1].admit(&asked(3_500)).await.unwrap();
    let more = Cost {
        tokens: 4_500,
        nanos: 0,
    };
    limiters[1].settle(&mut permit, more).await;
    let Err(LimitRefusal::Exceeded(exceeded)) = limiters[0].admit(&asked(1)).await else {
        panic!("let in");
    };
    // One a second: a thousand beyond the hour, and one.
    assert!((990..=1_002).contains(&exceeded.seconds()), "{exceeded}");
}
