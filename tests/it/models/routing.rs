//! Which target a request goes to: by what it failed with before, by how targets are doing, to a canary, and to a shadow.

use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::models::upstream::{GOOD, Upstream};
use crate::models::{Set, to};
use crate::tokens::issuer::{Signer, TokenIssuer};

impl Set {
    /// Who answered, where the request has a header.
    pub(super) async fn with_header(
        &self,
        model: &str,
        (name, value): (&str, &str),
    ) -> (u16, String) {
        let url = format!("{}/v1/chat/completions", self.site.served.origin);
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] });
        let request = self.site.client.post(url).bearer_auth(&self.caller);
        let request = request.header(name, value).body(body.to_string());
        let response = request.send().await.unwrap();
        let target = response.headers().get("x-causeway-target");
        let target = target.map_or("", |value| value.to_str().unwrap());
        (response.status().as_u16(), target.to_owned())
    }

    /// Status, who answered and what it said, of a request of `m` at a path.
    async fn asked_at(&self, path: &str, stream: bool) -> (u16, String, String) {
        let url = format!("{}/{path}", self.site.served.origin);
        let said = json!([{ "role": "user", "content": "hi" }]);
        let body = json!({ "model": "m", "max_tokens": 9, "messages": said, "stream": stream });
        let request = self.site.client.post(url).bearer_auth(&self.caller);
        let response = request.body(body.to_string()).send().await.unwrap();
        let status = response.status().as_u16();
        let target = response.headers().get("x-causeway-target");
        let target = target.map_or("", |value| value.to_str().unwrap());
        let target = target.to_owned();
        (status, target, response.text().await.unwrap())
    }

    /// Another provider of the same kind, with a key.
    pub(super) async fn provider(&self, name: &str, upstream: &Upstream, more: Value) {
        let mut provider = json!({
            "kind": "openai",
            "parameters": { "base_url": upstream.base() },
            "allowUpstream": [upstream.address.to_string()],
        });
        let members = provider.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        let path = format!("providers/{name}");
        self.site.done("PUT", &path, provider).await;
        let path = format!("providers/{name}/keys/main");
        self.site.done("PUT", &path, json!({ "value": GOOD })).await;
    }

    /// What the API says, once it says it.
    pub(super) async fn once(&self, path: &str, is: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let said = self.site.get(path).await;
            if is(&said) {
                return said;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{said}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Arm, whether somebody is named, and status of each call of a model.
    pub(super) async fn arms(&self, count: usize) -> Vec<(Option<String>, bool, String)> {
        self.rows(count).await;
        let file = self.site.folder.path().join("data/causeway.db");
        let options = SqliteConnectOptions::new().filename(file);
        let mut database = SqliteConnection::connect_with(&options).await.unwrap();
        let sql = "SELECT arm, consumer_id IS NOT NULL OR key_id IS NOT NULL, status FROM ledger \
                   WHERE kind = 'llm' ORDER BY at, id";
        sqlx::query_as(sql).fetch_all(&mut database).await.unwrap()
    }
}

// BerriAI/litellm#19077: a stream went to another model although that was switched off.
#[tokio::test]
async fn what_a_request_failed_with_decides_where_it_goes_next() {
    let set = Set::start().await;
    let chain = |first: &str, on: Value| {
        let mut settings = to(&[first]);
        settings["targets"] = json!([
            { "provider": "fake", "model": first },
            { "provider": "fake", "model": "long", "tier": 1, "onlyOn": ["context_length"] },
            { "provider": "fake", "model": "frank", "tier": 1, "onlyOn": ["content_policy"] },
            { "provider": "fake", "model": "quick", "tier": 1, "onlyOn": ["stall"] },
        ]);
        settings["times"] = json!({ "firstByteMs": 1_500 });
        if !on.is_null() {
            settings["fallbackOn"] = on;
        }
        settings
    };
    for (first, stream, on, expected) in [
        ("ok", false, Value::Null, (200, "fake/ok")),
        ("short", false, Value::Null, (200, "fake/long")),
        ("short", true, Value::Null, (200, "fake/long")),
        ("prudish", false, Value::Null, (200, "fake/frank")),
        // Of a stream, the answer begins and no token comes.
        ("stall", true, Value::Null, (200, "fake/quick")),
        // Nothing comes at all: that is no stall, and nobody is there for it.
        ("stall", false, Value::Null, (504, "")),
        ("broken", false, Value::Null, (502, "")),
        ("short", false, json!(["stall"]), (400, "")),
        ("stall", true, json!(["timeout"]), (504, "")),
    ] {
        set.model("m", chain(first, on.clone())).await;
        let (status, target, said) = set.answer("m", stream).await;
        assert_eq!((status, target.as_str()), expected, "{first} {on}: {said}");
    }
}

#[tokio::test]
async fn an_error_with_a_good_status_is_one_in_the_same_protocol_and_in_another() {
    let set = Set::start().await;
    // One that is asked to chat, whoever asks.
    let provider = json!({
        "kind": "openai-compatible",
        "parameters": { "base_url": set.upstream.base() },
        "allowUpstream": [set.upstream.address.to_string()],
    });
    set.site.done("PUT", "providers/plain", provider).await;
    let key = json!({ "value": GOOD });
    set.site.done("PUT", "providers/plain/keys/main", key).await;
    let mut rows = 0;
    for (path, stream) in [
        ("v1/chat/completions", false),
        ("v1/messages", false),
        ("v1/chat/completions", true),
        ("v1/messages", true),
    ] {
        for (first, alone, status, next) in [
            ("told-429", true, 429, ""),
            ("told-429", false, 200, "plain/ok"),
            ("told-400", true, 400, ""),
            ("told-400", false, 200, "plain/long"),
            ("told-null", true, 200, "plain/told-null"),
        ] {
            if stream && first == "told-null" {
                // It answers, though not as it was asked to.
                continue;
            }
            let mut settings = to(&[first]);
            settings["targets"][0]["provider"] = json!("plain");
            if !alone {
                settings["targets"] = json!([
                    { "provider": "plain", "model": first },
                    { "provider": "plain", "model": "long", "tier": 1, "onlyOn": ["context_length"] },
                    { "provider": "plain", "model": "ok", "tier": 2 },
                ]);
            }
            set.model("m", settings).await;
            let (was, target, said) = set.asked_at(path, stream).await;
            assert_eq!(
                (was, target.as_str()),
                (status, next),
                "{path} {first}: {said}"
            );
            assert!(!said.contains(GOOD), "{said}");
            rows += 1;
            let row = set.rows(rows).await.pop().unwrap();
            assert_eq!(row.status == "ok", status == 200, "{path} {first}: {row:?}");
            assert_eq!(
                row.tokens_input.is_some(),
                status == 200,
                "{path} {first}: {row:?}"
            );
        }
    }
    // The key was refused: that is nobody's business, and counts against the key.
    set.model("m", to(&["told-401"])).await;
    let (status, _, said) = set.answer("m", false).await;
    assert!(status >= 500 && !said.contains(GOOD), "{status}: {said}");
    set.model("m", to(&["ok"])).await;
    let (status, _, said) = set.answer("m", false).await;
    assert_eq!(status, 503, "{said}");
}

#[tokio::test]
async fn names_lead_by_patterns_and_a_change_of_rank_counts_at_once() {
    let set = Set::start().await;
    set.model("re:gpt-[45].*", to(&["of-regex"])).await;
    set.model("re:gpt-.*", to(&["of-wide"])).await;
    set.model("gpt-4*", to(&["of-prefix"])).await;
    set.model("gpt-4o", to(&["of-name"])).await;
    for (name, expected) in [
        ("gpt-4o", "fake/of-name"),
        ("gpt-4o-mini", "fake/of-prefix"),
        ("gpt-5", "fake/of-regex"),
        ("gpt-3", "fake/of-wide"),
    ] {
        assert_eq!(set.answer(name, false).await.1, expected, "{name}");
    }
    let mut later = to(&["of-regex"]);
    later["rank"] = json!(5);
    set.model("re:gpt-[45].*", later).await;
    assert_eq!(set.answer("gpt-5", false).await.1, "fake/of-wide");
    for (path, body, said) in [
        ("models/re:(", to(&["ok"]), "the name of the model"),
        (
            "models/m*",
            json!({ "targets": [{ "provider": "fake" }], "canary": { "targets": [{ "provider": "fake" }] } }),
            "`canary`: a model whose name",
        ),
        (
            "models/m",
            json!({ "targets": [{ "provider": "fake" }], "canary": { "targets": [{ "provider": "none" }] } }),
            "`canary.targets[0].provider`",
        ),
        (
            "models/m",
            json!({ "targets": [{ "provider": "fake" }], "shadow": { "target": { "provider": "none" }, "share": 1 } }),
            "`shadow.target.provider`",
        ),
        (
            "models/m",
            json!({
                "targets": [{ "provider": "fake" }],
                "canary": { "targets": [{ "provider": "fake" }], "consumers": ["nobody"] },
            }),
            "`canary.consumers`",
        ),
        (
            "providers/fake",
            json!({ "kind": "openai", "health": { "everySeconds": 0 } }),
            "`health.everySeconds`",
        ),
    ] {
        let answer = set.site.ask(("PUT", path), &body).await;
        assert_eq!(answer.status, 422, "{path} {body}: {answer:?}");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.starts_with(said), "{path} {body}: {detail}");
    }
}

#[tokio::test]
async fn a_pattern_leads_to_what_follows_the_first_slash_of_a_name() {
    let set = Set::start().await;
    set.model("*", to(&["of-all"])).await;
    set.model("team/*", to(&["*"])).await;
    for (name, expected) in [
        ("team/ok", "fake/ok"),
        ("team/a/b", "fake/a/b"),
        ("ok", "fake/of-all"),
        // A pattern comes before the provider by its name.
        ("fake/ok", "fake/of-all"),
    ] {
        assert_eq!(set.answer(name, false).await.1, expected, "{name}");
    }
}

// LeenHawk/gproxy#161: each turn of a talk went to whoever was next, who had to read all of it anew.
#[tokio::test]
async fn streams_go_to_whoever_has_fewest_and_talks_to_who_knows_them() {
    let set = Set::start().await;
    let two = json!([
        { "provider": "fake", "model": "endless" },
        { "provider": "other", "model": "endless" },
    ]);
    let other = Upstream::start().await;
    set.provider("other", &other, json!({})).await;
    set.model("m", json!({ "targets": two, "strategy": "least-busy" }))
        .await;
    let mut open = Vec::new();
    for _ in 0..8 {
        let mut stream = set.chat("m", true).await.bytes_stream();
        stream.next().await.unwrap().unwrap();
        open.push(stream);
    }
    assert_eq!((set.upstream.open(), other.open()), (4, 4));
    // What one of them has is over: the next three are its.
    let state = set.site.get("providers/other").await;
    assert_eq!(state["state"]["running"], 4, "{state}");
    drop(open);
    set.once("providers/other", |said| said["state"]["running"] == 0)
        .await;
    // A long prompt goes where it was before, by chance only the first time.
    let three = json!([
        { "provider": "fake", "model": "a" },
        { "provider": "fake", "model": "b" },
        { "provider": "other", "model": "c" },
    ]);
    let near = json!({ "targets": three, "strategy": "prefix-affinity" });
    set.model("near", near).await;
    let mut targets = std::collections::BTreeSet::new();
    for talk in 0..12 {
        let mut last = None;
        for turn in 0..4 {
            let url = format!("{}/v1/chat/completions", set.site.served.origin);
            let said = format!("talk {talk} {}", "words ".repeat(400));
            let mut messages = vec![json!({ "role": "user", "content": said })];
            messages.extend((0..turn).map(|n| json!({ "role": "user", "content": n.to_string() })));
            let body = json!({ "model": "near", "messages": messages });
            let request = set.site.client.post(url).bearer_auth(&set.caller);
            let response = request.body(body.to_string()).send().await.unwrap();
            let target = response.headers()["x-causeway-target"].clone();
            assert!(last.is_none_or(|last| last == target), "{talk} {turn}");
            targets.insert(target.to_str().unwrap().to_owned());
            last = Some(target);
        }
    }
    assert!(targets.len() > 1, "{targets:?}");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn a_canary_is_compared_promoted_and_ends_by_itself_when_it_fails() {
    let set = Set::start().await;
    let with = |share: u32, model: &str| {
        let mut settings = to(&["gpt-4o-mini"]);
        settings["canary"] = json!({
            "targets": [{ "provider": "fake", "model": model }],
            "share": share,
            "header": { "name": "x-try", "value": "new" },
        });
        settings
    };
    set.model("m", with(0, "gpt-4o")).await;
    let new = ("x-try", "new");
    assert_eq!(set.answer("m", false).await.1, "fake/gpt-4o-mini");
    assert_eq!(set.with_header("m", new).await.1, "fake/gpt-4o");
    assert_eq!(
        set.with_header("m", ("x-try", "old")).await.1,
        "fake/gpt-4o-mini"
    );
    // A caller stays where its share put it, over every change of other things.
    set.model("m", with(10_000, "gpt-4o")).await;
    assert_eq!(set.answer("m", false).await.1, "fake/gpt-4o");
    let arm = |arm: &str| (Some(arm.to_owned()), true, "ok".to_owned());
    let arms = set.arms(4).await;
    let expected = ["stable", "canary", "stable", "canary"].map(arm);
    assert_eq!(arms, expected);
    let told = set.once("models/m/canary", |said| {
        said["arms"][1]["totals"]["calls"] == 2
    });
    let told = told.await;
    assert_eq!(told["canary"]["share"], 10_000);
    assert_eq!(told["arms"][0]["arm"], "stable");
    assert_eq!(told["arms"][1]["arm"], "canary");
    let totals = &told["arms"][1]["totals"];
    assert_eq!(
        (&totals["errors"], &totals["tokensInput"]),
        (&json!(0), &json!(2_000))
    );
    // Twice 1,000 at 2.50 and 500 at 10 dollars a million.
    assert_eq!(totals["costNanos"], 15_000_000);
    assert!(totals["p95Micros"].is_u64(), "{totals}");
    // By hand, back and for good.
    let back = set.site.done("POST", "models/m/canary/rollback", json!({}));
    assert_eq!(back.await["canary"]["paused"], true);
    assert_eq!(set.with_header("m", new).await.1, "fake/gpt-4o-mini");
    let good = set.site.done("POST", "models/m/canary/promote", json!({}));
    let good = good.await;
    assert_eq!(good["canary"], Value::Null);
    assert_eq!(good["targets"][0]["model"], "gpt-4o");
    assert_eq!(set.answer("m", false).await.1, "fake/gpt-4o");
    let none = set
        .site
        .ask(("POST", "models/m/canary/promote"), &json!({}))
        .await;
    assert_eq!(none.status, 409);
    // By itself: five calls that fail are enough, four are not.
    let other = Upstream::start().await;
    set.provider("other", &other, json!({})).await;
    let mut failing = with(0, "broken");
    failing["canary"]["targets"][0]["provider"] = json!("other");
    failing["canary"]["name"] = json!("v2");
    failing["canary"]["rollback"] = json!({ "errors": 1_000, "calls": 5, "seconds": 60 });
    set.model("m", failing).await;
    for _ in 0..4 {
        assert!(set.with_header("m", new).await.0 >= 500);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(
        set.site.get("models/m").await["canary"]["paused"],
        Value::Null
    );
    assert!(set.with_header("m", new).await.0 >= 500);
    set.once("models/m", |said| said["canary"]["paused"] == true)
        .await;
    // It is stored first, and counts at once.
    let began = Instant::now();
    let mut answered = set.with_header("m", new).await;
    while answered.0 != 200 && began.elapsed() < Duration::from_secs(10) {
        answered = set.with_header("m", new).await;
    }
    assert_eq!(answered, (200, "fake/gpt-4o-mini".to_owned()));
    let audit = set.site.get("audit?limit=100").await.to_string();
    let ends = audit.matches("model.canary.rollback").count();
    assert_eq!(ends, 2, "once by hand and once by itself: {audit}");
    assert!(audit.contains("model.canary.promote") && audit.contains("\"system\""));
}

#[tokio::test]
async fn whom_a_canary_names_is_who_has_that_name_now() {
    let mut set = Set::start().await;
    let key = async |set: &Set| {
        let made = set.site.done("POST", "keys", json!({ "name": "tester" }));
        made.await["key"].as_str().unwrap().to_owned()
    };
    let (first, other) = (key(&set).await, set.caller.clone());
    let mut settings = to(&["gpt-4o-mini"]);
    settings["canary"] = json!({
        "targets": [{ "provider": "fake", "model": "gpt-4o" }],
        "consumers": ["tester"],
    });
    set.model("m", settings).await;
    set.caller = first;
    assert_eq!(set.answer("m", false).await.1, "fake/gpt-4o");
    // Whoever has the name after it was erased is somebody else, and it is theirs.
    let confirm = json!({ "confirm": "tester" });
    set.site
        .done("POST", "consumers/tester/erase", confirm)
        .await;
    set.caller = key(&set).await;
    let began = Instant::now();
    while set.answer("m", false).await.1 != "fake/gpt-4o" {
        assert!(began.elapsed() < Duration::from_secs(10), "it is not known");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    set.caller = other;
    assert_eq!(set.answer("m", false).await.1, "fake/gpt-4o-mini");
}

#[tokio::test]
async fn a_canary_takes_consumers_that_come_with_an_issuers_tokens() {
    let signer = Signer::ed25519();
    let issuer = TokenIssuer::start(vec![signer.jwk("one")]).await;
    let mut set = Set::start_with(&[("CAUSEWAY__EGRESS__ALLOW_UPSTREAM", "127.0.0.0/8")]).await;
    let trusted = json!({ "issuer": issuer.origin, "audience": "causeway", "everyServer": true });
    set.site.done("PUT", "issuers/login", trusted).await;
    let token = |subject: &str| {
        let header = json!({ "alg": signer.algorithm(), "kid": "one" });
        let ends = chrono::Utc::now().timestamp() + 3_600;
        let claims =
            json!({ "iss": issuer.origin, "aud": "causeway", "sub": subject, "exp": ends });
        signer.token(&header, &claims)
    };
    let (tester, other) = (token("Doe, Jane"), token("other"));
    let mut settings = to(&["gpt-4o-mini"]);
    set.model("m", settings.clone()).await;
    // Each is a consumer from the first request on.
    for caller in [&tester, &other] {
        set.caller.clone_from(caller);
        assert_eq!(set.answer("m", false).await.1, "fake/gpt-4o-mini");
    }
    settings["canary"] = json!({
        "targets": [{ "provider": "fake", "model": "gpt-4o" }],
        "consumers": ["login/Doe, Jane"],
    });
    set.model("m", settings).await;
    assert_eq!(set.answer("m", false).await.1, "fake/gpt-4o-mini");
    set.caller = tester;
    assert_eq!(set.answer("m", false).await.1, "fake/gpt-4o");
    // Whoever comes again after they were erased is somebody else of the same name.
    let erase = "consumers/login%2FDoe%2C%20Jane/erase";
    let confirm = json!({ "confirm": "login/Doe, Jane" });
    set.site.done("POST", erase, confirm).await;
    let began = Instant::now();
    while set.answer("m", false).await.1 != "fake/gpt-4o" {
        assert!(began.elapsed() < Duration::from_secs(5), "it is not known");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_provider_that_is_down_is_passed_over_until_it_is_up_again() {
    let (set, other) = (Set::start().await, Upstream::start().await);
    let rules = json!({
        "health": { "everySeconds": 1, "downAfter": 1 },
        "load": { "everySeconds": 1 },
    });
    set.provider("checked", &other, rules.clone()).await;
    let targets = json!([
        { "provider": "checked", "model": "ok" },
        { "provider": "fake", "model": "ok", "tier": 1 },
    ]);
    set.model("m", json!({ "targets": targets })).await;
    let up = |said: &Value| {
        said["state"]["check"]["ok"] == true && said["state"]["load"]["running"] == 7
    };
    let state = set.once("providers/checked", up).await;
    assert_eq!(
        state["health"],
        json!({ "everySeconds": 1, "downAfter": 1, "upAfter": 1 })
    );
    assert_eq!(state["state"]["load"]["waiting"], 2, "{state}");
    assert_eq!(set.answer("m", false).await.1, "checked/ok");
    other.is_ill(true);
    let down = |said: &Value| said["state"]["down"] == true;
    set.once("providers/checked", down).await;
    let asked = other.keys().len();
    assert_eq!(set.answer("m", false).await.1, "fake/ok");
    // Where nothing else is left, it is asked all the same.
    set.model(
        "alone",
        json!({ "targets": [{ "provider": "checked", "model": "ok" }] }),
    )
    .await;
    assert_eq!(set.answer("alone", false).await.1, "checked/ok");
    assert!(other.keys().len() > asked);
    let text = set
        .site
        .client
        .get(format!("{}/metrics", set.site.served.origin));
    let text = text.send().await.unwrap().text().await.unwrap();
    assert!(
        text.contains("causeway_provider_down{provider=\"checked\"} 1"),
        "{text}"
    );
    assert!(text.contains("causeway_provider_reported_running{provider=\"checked\"} 7"));
    other.is_ill(false);
    set.once("providers/checked", |said| said["state"]["down"] == false)
        .await;
    assert_eq!(set.answer("m", false).await.1, "checked/ok");
    // Nobody checks it any more: it is not down either.
    other.is_ill(true);
    set.once("providers/checked", down).await;
    set.provider("checked", &other, json!({})).await;
    assert_eq!(set.answer("m", false).await.1, "checked/ok");
}

#[tokio::test]
async fn a_shadow_is_asked_as_well_and_costs_its_caller_nothing() {
    let set = Set::start().await;
    let mut settings = to(&["gpt-4o-mini"]);
    settings["shadow"] =
        json!({ "target": { "provider": "fake", "model": "gpt-4o" }, "share": 10_000 });
    set.model("m", settings.clone()).await;
    for stream in [false, true] {
        let (status, target, said) = set.answer("m", stream).await;
        assert_eq!((status, target.as_str()), (200, "fake/gpt-4o-mini"));
        assert!(!said.contains("gpt-4o"), "{said}");
    }
    let mut arms = set.arms(4).await;
    arms.sort();
    let ok = |arm: Option<&str>, named| (arm.map(str::to_owned), named, "ok".to_owned());
    let expected = [
        ok(None, true),
        ok(None, true),
        ok(Some("shadow"), false),
        ok(Some("shadow"), false),
    ];
    assert_eq!(arms, expected);
    // What the model came to is without it, and that is told apart.
    let usage = |query: &str| format!("model-usage?model=m{query}");
    let own = set
        .once(&usage(""), |said| said["totals"]["calls"] == 2)
        .await;
    // One answer that tells its usage, and one that is counted.
    let cost = own["totals"]["costNanos"].as_i64().unwrap();
    assert!(cost < 1_000_000, "{own}");
    let apart = set.site.get(&usage("&arm=shadow&by=arm")).await;
    assert_eq!(apart["totals"]["calls"], 2);
    assert_eq!(apart["groups"][0]["of"]["arm"], "shadow");
    // One that fails, or has too much to do, is nothing to anybody; without a share nothing is sent.
    settings["shadow"] =
        json!({ "target": { "provider": "fake", "model": "broken" }, "share": 10_000 });
    set.model("m", settings.clone()).await;
    assert_eq!(set.answer("m", false).await.0, 200);
    settings["shadow"] = json!({
        "target": { "provider": "fake", "model": "endless" }, "share": 10_000, "concurrency": 1,
    });
    settings["times"] = json!({ "totalMs": 60_000 });
    set.model("m", settings).await;
    for _ in 0..3 {
        assert_eq!(set.answer("m", true).await.0, 200);
    }
    // It is asked beside the answer, and lasts longer than this.
    let began = Instant::now();
    while set.upstream.open() != 1 {
        let open = set.upstream.open();
        assert!(began.elapsed() < Duration::from_secs(10), "{open} are open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
