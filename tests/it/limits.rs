//! Limits from the outside: set by the API, kept for exactly as many calls, told to models.

#![expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use causeway::access::caller::{Caller, Grants};
use causeway::access::limit::{
    Asked, Claim, Cost, Limit, LimitError, LimitRefusal, Limiter, Of, check,
};
use causeway::types::{Clock, ConsumerId, KeyId, ServerId, UserId};
use futures::FutureExt;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::egress::serve_local;
use crate::serving::{Client, PATIENCE, Process};

fn limits(value: Value) -> Vec<Limit> {
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_limit_that_means_nothing_says_why() {
    let at = |limit: Value| check(&limits(json!([limit]))).map_err(|(_, error)| error);
    let rate = |more: Value| {
        let mut limit = json!({ "unit": "requests", "amount": 5, "scope": "key" });
        let members = limit.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        limit
    };
    for (limit, wanted) in [
        (rate(json!({ "window": "minute" })), Ok(())),
        (rate(json!({ "window": "minute", "burst": 1 })), Ok(())),
        (rate(json!({ "window": "month", "resetDay": 28 })), Ok(())),
        (rate(json!({})), Err(LimitError::NoWindow)),
        (
            rate(json!({ "window": "minute", "amount": 0 })),
            Err(LimitError::Amount),
        ),
        (
            rate(json!({ "window": "day", "burst": 3 })),
            Err(LimitError::Burst),
        ),
        (
            rate(json!({ "window": "minute", "burst": 0 })),
            Err(LimitError::Burst),
        ),
        (
            rate(json!({ "window": "month", "resetDay": 29 })),
            Err(LimitError::ResetDay),
        ),
        (
            rate(json!({ "window": "day", "resetDay": 1 })),
            Err(LimitError::ResetDay),
        ),
        (rate(json!({ "unit": "concurrency" })), Ok(())),
        (
            rate(json!({ "unit": "tokens", "window": "minute" })),
            Ok(()),
        ),
        (
            rate(json!({ "unit": "money", "window": "day", "amount": 2_000_000_000_u64 })),
            Ok(()),
        ),
        (
            rate(json!({ "unit": "tokens", "window": "day", "amount": 2_000_000_000_u64 })),
            Err(LimitError::Amount),
        ),
        (
            rate(json!({ "unit": "money", "window": "hour" })),
            Err(LimitError::Money),
        ),
        (
            rate(json!({ "unit": "concurrency", "window": "day" })),
            Err(LimitError::Concurrency),
        ),
    ] {
        assert_eq!(at(limit.clone()), wanted, "{limit}");
    }
    let twice = json!([
        rate(json!({ "window": "day" })),
        rate(json!({ "window": "day", "amount": 9 }))
    ]);
    assert_eq!(check(&limits(twice)), Err((1, LimitError::Twice)));
    let many = vec![rate(json!({ "window": "minute" })); 17];
    assert_eq!(check(&limits(json!(many))), Err((16, LimitError::TooMany)));
}

#[tokio::test]
async fn each_has_the_count_its_scope_says() {
    let limiter = Limiter::memory(Clock::system());
    let server = ServerId::generate();
    let (anna, ben) = (Caller::anonymous(), Caller::anonymous());
    let ask = async |scope: &str, caller: &Caller, tool: &str, peer: &str| {
        let limits =
            limits(json!([{ "unit": "requests", "amount": 1, "window": "hour", "scope": scope }]));
        let asked = Asked {
            caller,
            of: Of::Tool { server, name: tool },
            limits: &limits,
            peer: Some(peer.parse().unwrap()),
            cost: Cost::default(),
        };
        limiter.admit(&asked).await.is_ok()
    };
    assert!(ask("server", &anna, "a", "192.0.2.1").await);
    assert!(!ask("server", &ben, "b", "192.0.2.2").await);
    assert!(ask("tool", &anna, "a", "192.0.2.1").await);
    assert!(!ask("tool", &ben, "a", "192.0.2.2").await);
    assert!(ask("tool", &ben, "b", "192.0.2.2").await);
    // Strangers have no key: each address is one.
    for scope in ["address", "key"] {
        assert!(ask(scope, &anna, "a", "2001:db8::1").await, "{scope}");
        assert!(!ask(scope, &ben, "b", "2001:db8::2").await, "{scope}");
        assert!(ask(scope, &ben, "b", "2001:db8:0:1::2").await, "{scope}");
    }
}

#[tokio::test]
async fn somebody_has_one_allowance_with_all_their_keys() {
    let limiter = Limiter::memory(Clock::system());
    let server = ServerId::generate();
    let limits = limits(json!([
        { "unit": "requests", "amount": 2, "window": "hour", "scope": "user" },
    ]));
    let key = |consumer, user| Caller {
        key: Some(KeyId::generate()),
        consumer: Some(consumer),
        user,
        grants: Grants::Organization,
        ..Caller::anonymous()
    };
    let passes = async |caller: &Caller| {
        let asked = Asked {
            caller,
            of: Of::Tool { server, name: "a" },
            limits: &limits,
            peer: Some("192.0.2.1".parse().unwrap()),
            cost: Cost::default(),
        };
        match limiter.admit(&asked).await {
            Ok(_) => true,
            Err(refusal) => {
                let said = refusal.to_string();
                assert!(said.contains("2 calls an hour for this person"), "{said}");
                false
            }
        }
    };
    let (laptop, robot) = (ConsumerId::generate(), ConsumerId::generate());
    let (ann, ben) = (Some(UserId::generate()), Some(UserId::generate()));
    assert!(passes(&key(laptop, ann)).await);
    assert!(passes(&key(robot, ann)).await);
    assert!(!passes(&key(ConsumerId::generate(), ann)).await);
    assert!(passes(&key(laptop, ben)).await, "somebody else");
    // A key that is nobody's counts as its consumer.
    assert!(passes(&key(laptop, None)).await);
    assert!(passes(&key(laptop, None)).await);
    assert!(!passes(&key(laptop, None)).await);
    assert!(passes(&key(robot, None)).await);
}

#[tokio::test]
async fn a_call_refused_by_one_limit_leaves_the_running_count_of_another() {
    let limiter = Limiter::memory(Clock::system());
    let limits = limits(json!([
        { "unit": "concurrency", "amount": 1, "scope": "server" },
        { "unit": "requests", "amount": 2, "window": "hour", "scope": "server" },
    ]));
    let (caller, server) = (Caller::anonymous(), ServerId::generate());
    let asked = Asked {
        caller: &caller,
        of: Of::Tool { server, name: "a" },
        limits: &limits,
        peer: None,
        cost: Cost::default(),
    };
    let first = limiter.admit(&asked).await.unwrap();
    assert!(limiter.admit(&asked).await.is_err());
    drop(first);
    drop(limiter.admit(&asked).await.unwrap());
    for _ in 0..3 {
        // Used up: that it never runs is not counted as running.
        let error = limiter.admit(&asked).await.err().unwrap();
        let LimitRefusal::Exceeded(exceeded) = error else {
            panic!("{error}");
        };
        assert_eq!(exceeded.limit.amount, 2);
        assert!((1_700..=1_800).contains(&exceeded.seconds()), "{exceeded}");
    }
}

#[test]
fn a_look_at_a_limit_takes_nothing_from_those_who_ask_meanwhile() {
    let limiter = Limiter::memory(Clock::system());
    let limits =
        limits(json!([{ "unit": "tokens", "amount": 3_600, "window": "hour", "scope": "server" }]));
    let (caller, server) = (Caller::anonymous(), ServerId::generate());
    let asking = |tokens| {
        Claim::of(&Asked {
            caller: &caller,
            of: Of::Tool { server, name: "a" },
            limits: &limits,
            peer: None,
            cost: Cost { tokens, nanos: 0 },
        })
    };
    let (all, asked) = (asking(3_600), AtomicUsize::new(0));
    let looks = |claim: &Claim<'_>| limiter.has_room(claim).now_or_never().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while asked.load(Ordering::Relaxed) < 20_000 {
                looks(&all);
            }
        });
        for _ in 0..20_000 {
            let permit = limiter.attempt(&all).now_or_never().unwrap();
            asked.fetch_add(1, Ordering::Relaxed);
            if let Ok(mut permit) = permit {
                let settled = limiter.settle(&mut permit, Cost::default());
                settled.now_or_never().unwrap();
            } else {
                asked.store(20_000, Ordering::Relaxed);
                panic!("somebody who only looks had taken it");
            }
        }
    });
    let mut half = asking(1_800);
    let _permit = limiter.attempt(&half).now_or_never().unwrap().unwrap();
    assert!(looks(&half));
    half.ask(Cost {
        tokens: 1_900,
        nanos: 0,
    });
    assert!(!looks(&half));
}

#[tokio::test]
async fn what_was_not_foreseen_is_owed_and_what_was_not_used_is_there_again() {
    let limiter = Limiter::memory(Clock::system());
    let limits =
        limits(json!([{ "unit": "tokens", "amount": 3_600, "window": "hour", "scope": "server" }]));
    let caller = Caller::anonymous();
    let ask = async |server: ServerId, expected: u64, used: u64| {
        let tokens = |tokens| Cost { tokens, nanos: 0 };
        let asked = Asked {
            caller: &caller,
            of: Of::Tool { server, name: "a" },
            limits: &limits,
            peer: None,
            cost: tokens(expected),
        };
        match limiter.admit(&asked).await {
            Ok(mut permit) => {
                assert!(permit.counts_tokens());
                limiter.settle(&mut permit, tokens(used)).await;
                Ok(())
            }
            Err(LimitRefusal::Exceeded(exceeded)) => Err(exceeded.seconds()),
            Err(other) => panic!("{other}"),
        }
    };
    // One a second: what was used beyond the hour is waited for.
    let server = ServerId::generate();
    assert_eq!(ask(server, 1, 4_600).await, Ok(()));
    let wait = ask(server, 1, 1).await.unwrap_err();
    assert!((990..=1_002).contains(&wait), "{wait}");
    let server = ServerId::generate();
    assert_eq!(ask(server, 3_600, 600).await, Ok(()));
    assert_eq!(ask(server, 3_000, 3_000).await, Ok(()));
    let wait = ask(server, 60, 60).await.unwrap_err();
    assert!((58..=61).contains(&wait), "{wait}");
}

/// Calls a tool with a key: whether it was let in, and after how many seconds it may be.
async fn call(client: &Client, (slug, tool): (&str, &str), key: &str) -> Result<(), u64> {
    let message = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": tool, "arguments": {} },
    });
    let request = client.http.post(format!("{}/mcp/{slug}", client.origin));
    let request = request
        .bearer_auth(key)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-11-25");
    let response = request.body(message.to_string()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let result = &answer["result"];
    if result["isError"] == true {
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("limit"), "{text}");
        return Err(result["_meta"]["causeway/retryAfter"].as_u64().unwrap());
    }
    Ok(())
}

/// An API whose answers wait for permits, and the most that ever waited at once.
async fn slow() -> (std::net::SocketAddr, Arc<Semaphore>, Arc<AtomicUsize>) {
    let gate = Arc::new(Semaphore::new(0));
    let (most, now) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
    let (held, seen, now) = (gate.clone(), most.clone(), Arc::new(now));
    let handler = move || {
        let (gate, most, now) = (held.clone(), seen.clone(), now.clone());
        async move {
            let here = now.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(here, Ordering::SeqCst);
            let _ = gate.acquire().await;
            now.fetch_sub(1, Ordering::SeqCst);
            "done"
        }
    };
    let address = serve_local(Router::new().route("/wait", get(handler))).await;
    (address, gate, most)
}

struct Bench {
    process: Process,
    keys: Vec<String>,
    /// How many of many calls were refused.
    refused: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

/// A process with one server, `slow`, and a key for each of two consumers, `a` and `b`.
async fn bench(address: std::net::SocketAddr) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&folder.path().join("data"), None).await;
    let client = &process.client;
    let document = json!({
        "openapi": "3.1.0", "info": { "title": "Slow", "version": "1" },
        "servers": [{ "url": format!("http://{address}") }],
        "paths": { "/wait": { "get": {
            "operationId": "wait", "responses": { "200": { "description": "Done." } },
        } } },
    });
    let server = json!({
        "slug": "slow", "document": document, "allowUpstream": [address.to_string()],
    });
    let (status, said) = client.api("POST", "servers", &server).await.unwrap();
    assert_eq!(status, 201, "{said}");
    let mut keys = Vec::new();
    for name in ["a", "b"] {
        let made = client.api("POST", "keys", &json!({ "name": name })).await;
        keys.push(made.unwrap().1["key"].as_str().unwrap().to_owned());
    }
    Bench {
        process,
        keys,
        refused: Arc::default(),
        _folder: folder,
    }
}

impl Bench {
    async fn api(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, said) = self.process.client.api(method, path, &body).await.unwrap();
        assert!((200..300).contains(&status), "{status} {said}");
        said
    }

    /// 200 calls at once, by both keys in turn: how many each got through.
    async fn many(&self) -> [usize; 2] {
        let calls = (0..200).map(|number| {
            let (client, key) = (self.process.client.clone(), self.keys[number % 2].clone());
            let refused = self.refused.clone();
            tokio::spawn(async move {
                let is_in = call(&client, ("slow", "wait"), &key).await.is_ok();
                refused.fetch_add(usize::from(!is_in), Ordering::SeqCst);
                is_in
            })
        });
        let ended: Vec<_> = futures::future::join_all(calls).await;
        let of = |which: usize| {
            let own = ended.iter().skip(which).step_by(2);
            own.filter(|ok| *ok.as_ref().unwrap()).count()
        };
        [of(0), of(1)]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_get_exactly_what_limits_admit() {
    let (address, gate, _) = slow().await;
    gate.add_permits(Semaphore::MAX_PERMITS / 2);
    let bench = bench(address).await;
    let hourly = |amount: u64, scope: &str| json!([{ "unit": "requests", "amount": amount, "window": "hour", "scope": scope }]);
    bench
        .api(
            "PATCH",
            "servers/slow",
            json!({ "limits": hourly(30, "consumer") }),
        )
        .await;
    assert_eq!(bench.many().await, [30, 30]);
    bench
        .api(
            "PATCH",
            "servers/slow",
            json!({ "limits": hourly(37, "server") }),
        )
        .await;
    let [a, b] = bench.many().await;
    assert_eq!(a + b, 37);
    // A plan of one consumer, and a quota of all that the other does.
    bench
        .api("PATCH", "servers/slow", json!({ "limits": [] }))
        .await;
    bench
        .api("PUT", "plans/small", json!({ "limits": hourly(11, "key") }))
        .await;
    bench
        .api("PUT", "consumers/a/plans/slow", json!({ "plan": "small" }))
        .await;
    let quota =
        json!([{ "unit": "requests", "amount": 23, "window": "month", "scope": "consumer" }]);
    bench
        .api("PATCH", "consumers/b", json!({ "limits": quota }))
        .await;
    assert_eq!(bench.many().await, [11, 23]);
    let seen = bench.api("GET", "consumers/b", Value::Null).await;
    assert_eq!(seen["quotas"][0]["taken"], 23, "{seen}");
    // Greater at once, also for keys that are known already.
    bench
        .api("PUT", "plans/small", json!({ "limits": hourly(13, "key") }))
        .await;
    assert_eq!(bench.many().await[0], 13);
    bench
        .api("DELETE", "consumers/a/plans/slow", Value::Null)
        .await;
    assert_eq!(bench.many().await, [100, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_holds_among_many_and_the_ledger_says_the_same() {
    let (address, gate, _) = slow().await;
    gate.add_permits(Semaphore::MAX_PERMITS / 2);
    let bench = bench(address).await;
    let budget =
        json!([{ "unit": "money", "amount": 23_500, "window": "month", "scope": "consumer" }]);
    bench
        .api("PATCH", "servers/slow", json!({ "callPriceMicros": 1_000 }))
        .await;
    bench
        .api("PATCH", "consumers/a", json!({ "limits": budget }))
        .await;
    assert_eq!(bench.many().await, [23, 100]);
    let seen = bench.api("GET", "consumers/a", Value::Null).await;
    assert_eq!(seen["quotas"][0]["taken"], 23_500, "{seen}");
    let added_up = async {
        loop {
            let usage = bench.api("GET", "usage", Value::Null).await;
            if usage["totals"]["calls"] == 200 {
                return usage;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let usage = tokio::time::timeout(PATIENCE, added_up).await.unwrap();
    assert_eq!(usage["totals"]["costNanos"], 123_000_000, "{usage}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_read_until_their_tokens_are_used_up() {
    let (address, gate, _) = slow().await;
    gate.add_permits(Semaphore::MAX_PERMITS / 2);
    let bench = bench(address).await;
    let limit = json!([{ "unit": "tokens", "amount": 5, "window": "day", "scope": "server" }]);
    bench
        .api("PATCH", "servers/slow", json!({ "limits": limit }))
        .await;
    let mut read = 0;
    while call(&bench.process.client, ("slow", "wait"), &bench.keys[0])
        .await
        .is_ok()
    {
        read += 1;
        assert!(read <= 5, "nothing is counted");
    }
    assert!(read >= 1);
}

/// Calls until the process is gone or a limit refuses; how many were answered.
async fn call_on(client: Client, key: String) -> (usize, bool) {
    let mut answered = 0;
    loop {
        let message = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": "wait", "arguments": {} },
        });
        let request = client.http.post(format!("{}/mcp/slow", client.origin));
        let request = request
            .bearer_auth(&key)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25");
        let Ok(response) = request.body(message.to_string()).send().await else {
            return (answered, false);
        };
        let Ok(text) = response.text().await else {
            return (answered, false);
        };
        let answer: Value = serde_json::from_str(&text).unwrap();
        if answer["result"]["isError"] == true {
            return (answered, true);
        }
        answered += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_processes_never_let_a_quota_be_exceeded() {
    const CALLERS: usize = 8;
    const QUOTA: usize = 1_500;
    let served = Arc::new(AtomicUsize::new(0));
    let count = served.clone();
    let handler = move || {
        count.fetch_add(1, Ordering::SeqCst);
        async { "done" }
    };
    let address = serve_local(Router::new().route("/wait", get(handler))).await;
    let bench = bench(address).await;
    let quota =
        json!([{ "unit": "requests", "amount": QUOTA, "window": "month", "scope": "server" }]);
    bench
        .api("PATCH", "servers/slow", json!({ "limits": quota }))
        .await;
    let Bench {
        mut process,
        keys,
        _folder: folder,
        ..
    } = bench;
    let mut answered = 0;
    let kills = 3;
    for round in 1..=kills {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| tokio::spawn(call_on(process.client.clone(), keys[0].clone())))
            .collect();
        let enough = 150 * round;
        let called = async {
            while served.load(Ordering::SeqCst) < enough {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, called).await.unwrap();
        process.kill().await;
        for caller in callers {
            let (here, refused) = caller.await.unwrap();
            assert!(
                !refused,
                "refused after {} calls",
                served.load(Ordering::SeqCst)
            );
            answered += here;
        }
        process = Process::start(&folder.path().join("data"), None).await;
    }
    let last = (0..CALLERS).map(|_| tokio::spawn(call_on(process.client.clone(), keys[0].clone())));
    for ended in futures::future::join_all(last).await {
        let (here, refused) = ended.unwrap();
        assert!(refused);
        answered += here;
    }
    let served = served.load(Ordering::SeqCst);
    // Slices are of a hundredth: a crash costs one at most, and lets nothing through twice.
    let least = QUOTA - kills * (QUOTA / 100 + CALLERS);
    assert!(
        (least..=QUOTA).contains(&served),
        "{served} calls of {QUOTA}"
    );
    assert!(
        answered <= served && answered + kills * CALLERS >= served,
        "{answered} of {served}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_calls_run_at_once_than_admitted() {
    let (address, gate, most) = slow().await;
    let bench = bench(address).await;
    let limit = json!([{ "unit": "concurrency", "amount": 7, "scope": "server" }]);
    bench
        .api("PATCH", "servers/slow", json!({ "limits": limit }))
        .await;
    let waiting = bench.many();
    let release = async {
        // All are either there or refused.
        let arrived = async {
            while most.load(Ordering::SeqCst) + bench.refused.load(Ordering::SeqCst) < 200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, arrived).await.unwrap();
        gate.add_permits(Semaphore::MAX_PERMITS / 2);
    };
    let ([a, b], ()) = tokio::join!(waiting, release);
    assert_eq!((a + b, most.load(Ordering::SeqCst)), (7, 7));
    // All of them ended: there is room again.
    assert_eq!(
        call(&bench.process.client, ("slow", "wait"), &bench.keys[0]).await,
        Ok(())
    );
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_by_name() {
    let (address, ..) = slow().await;
    let bench = bench(address).await;
    let client = &bench.process.client;
    let bad = json!([{ "unit": "requests", "amount": 5, "scope": "key" }]);
    for (method, path, body, word) in [
        (
            "PATCH",
            "servers/slow",
            json!({ "limits": bad }),
            "limits[0]",
        ),
        ("PUT", "plans/p", json!({ "limits": bad }), "limits[0]"),
        (
            "PATCH",
            "consumers/a",
            json!({ "limits": bad }),
            "limits[0]",
        ),
        (
            "PUT",
            "plans/not a name",
            json!({ "limits": [] }),
            "letters",
        ),
        (
            "PUT",
            "consumers/a/plans/slow",
            json!({ "plan": "none" }),
            "`plan`",
        ),
    ] {
        let (status, said) = client.api(method, path, &body).await.unwrap();
        assert_eq!(status, 422, "{path}: {said}");
        assert!(said["detail"].as_str().unwrap().contains(word), "{said}");
    }
    for path in ["consumers/nobody", "plans/none"] {
        assert_eq!(client.api("GET", path, &Value::Null).await.unwrap().0, 404);
    }
    bench.api("PUT", "plans/p", json!({ "limits": [] })).await;
    bench
        .api("PUT", "consumers/a/plans/slow", json!({ "plan": "p" }))
        .await;
    let (status, _) = client.api("DELETE", "plans/p", &Value::Null).await.unwrap();
    assert_eq!(status, 409);
}
