//! Providers and models as an admin sets them up, and what callers get of them, over real sockets: a provider that
//! fails in every way there is, and a key that is seen nowhere but there.

#![expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]

mod asking;
mod billed;
mod doors;
mod ending;
mod failing;
mod flowing;
mod google;
mod keeping;
mod mended;
mod others;
mod pictures;
mod routing;
mod splitting;
mod through;
mod unoffered;
mod upstream;
mod watched;

use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::managing::{ADMIN, Site};
use crate::models::upstream::{GOOD, Upstream, WRONG};
use crate::program::PATIENCE;

/// A process whose provider `fake` is at the upstream, with a good key, and an API key for callers.
struct Set {
    site: Site,
    upstream: Upstream,
    caller: String,
}

/// A row of the ledger.
#[derive(Debug, PartialEq)]
struct Row {
    model: String,
    target: Option<String>,
    status: String,
    attempts: i64,
    tokens_input: Option<i64>,
    tokens_output: Option<i64>,
    cost_nanos: Option<i64>,
}

type Columns = (
    String,
    Option<String>,
    String,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

impl From<Columns> for Row {
    fn from(columns: Columns) -> Self {
        let (model, target, status, attempts, tokens_input, tokens_output, cost_nanos) = columns;
        Self {
            model,
            target,
            status,
            attempts,
            tokens_input,
            tokens_output,
            cost_nanos,
        }
    }
}

impl Set {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A process with these settings of the environment.
    async fn start_with(settings: &[(&str, &str)]) -> Self {
        let (site, upstream) = (Site::start(settings).await, Upstream::start().await);
        // Of a kind whose prices are known.
        let provider = json!({
            "kind": "openai",
            "parameters": { "base_url": upstream.base() },
            "allowUpstream": [upstream.address.to_string()],
        });
        let shown = site.done("PUT", "providers/fake", provider).await;
        assert_eq!(shown["keys"], json!([]));
        assert_eq!(shown["origin"], upstream.origin());
        let key = site.done("PUT", "providers/fake/keys/main", json!({ "value": GOOD }));
        let key = key.await;
        assert_eq!(
            (&key["ending"], &key["warning"]),
            (&json!("wxyz"), &Value::Null)
        );
        let made = site.done("POST", "keys", json!({ "name": "app" })).await;
        let caller = made["key"].as_str().unwrap().to_owned();
        Self {
            site,
            upstream,
            caller,
        }
    }

    async fn model(&self, name: &str, settings: Value) {
        let path = format!("models/{}", name.replace('/', "%2F"));
        self.site.done("PUT", &path, settings).await;
    }

    /// A request for an answer; the response as it comes.
    async fn chat(&self, model: &str, stream: bool) -> reqwest::Response {
        let url = format!("{}/v1/chat/completions", self.site.served.origin);
        let body = json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "hi" }] });
        let request = self.site.client.post(url).bearer_auth(&self.caller);
        request.body(body.to_string()).send().await.unwrap()
    }

    /// The status, who answered, and what.
    async fn answer(&self, model: &str, stream: bool) -> (u16, String, String) {
        let response = self.chat(model, stream).await;
        let target = response.headers().get("x-causeway-target");
        let target = target
            .map_or("", |value| value.to_str().unwrap())
            .to_owned();
        (
            response.status().as_u16(),
            target,
            response.text().await.unwrap(),
        )
    }

    /// The process's own database.
    async fn database(&self) -> SqliteConnection {
        let file = self.site.folder.path().join("data/causeway.db");
        let options = SqliteConnectOptions::new().filename(file);
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    /// The calls of models in the ledger, once there are so many, the oldest first.
    async fn rows(&self, count: usize) -> Vec<Row> {
        let mut database = self.database().await;
        let sql = "SELECT model, target, status, attempts, tokens_input, tokens_output, cost_nanos FROM ledger \
                   WHERE kind = 'llm' ORDER BY at, id";
        let began = Instant::now();
        loop {
            let rows: Vec<Columns> = sqlx::query_as(sql).fetch_all(&mut database).await.unwrap();
            if rows.len() >= count {
                return rows.into_iter().map(Row::from).collect();
            }
            assert!(began.elapsed() < PATIENCE, "there are not {count} rows");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}

fn to(models: &[&str]) -> Value {
    let targets = models.iter().enumerate();
    let targets: Vec<Value> = targets
        .map(|(tier, model)| json!({ "provider": "fake", "model": model, "tier": tier }))
        .collect();
    json!({ "targets": targets, "retries": 0 })
}

#[tokio::test]
async fn a_model_answers_is_accounted_for_and_follows_a_change_at_once() {
    let set = Set::start().await;
    let (status, _, said) = set.answer("mine", false).await;
    assert_eq!(status, 404, "{said}");
    set.model("mine", to(&["gpt-4o-mini", "spare"])).await;
    let (status, target, said) = set.answer("mine", false).await;
    assert_eq!(
        (status, target.as_str()),
        (200, "fake/gpt-4o-mini"),
        "{said}"
    );
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["model"], "mine");
    let (status, _, missed) = set.answer("minne", false).await;
    let missed: Value = serde_json::from_str(&missed).unwrap();
    assert_eq!(
        (status, &missed["error"]["code"]),
        (404, &json!("model_not_found"))
    );
    let message = missed["error"]["message"].as_str().unwrap();
    assert!(message.contains("did you mean mine"), "{message}");
    let mut rows = set.rows(3).await;
    assert_eq!(rows.pop().unwrap().status, "refused");
    let priced = &rows[1];
    assert_eq!(rows[0].status, "refused");
    assert_eq!(
        priced,
        &Row {
            model: "mine".into(),
            target: Some("fake/gpt-4o-mini".into()),
            status: "ok".into(),
            attempts: 1,
            tokens_input: Some(1_000),
            tokens_output: Some(500),
            // 1,000 at 0.15 and 500 at 0.60 dollars a million.
            cost_nanos: Some(450_000),
        }
    );
    // The next request sees each change, without a pause between.
    let mut slowest = Duration::ZERO;
    for round in 0..20 {
        let name = format!("other-{round}");
        set.model("mine", to(&[&name])).await;
        let (at, sent) = (Instant::now(), set.answer("mine", false).await);
        slowest = slowest.max(at.elapsed());
        assert_eq!(sent.1, format!("fake/{name}"));
    }
    println!("the slowest answer after a change took {slowest:?}");
    set.site.ask(("DELETE", "models/mine"), &Value::Null).await;
    assert_eq!(set.answer("mine", false).await.0, 404);
    // A provider of its own needs no model to be asked.
    let (status, target, _) = set.answer("fake/anything", false).await;
    assert_eq!((status, target.as_str()), (200, "fake/anything"));
}

#[tokio::test]
async fn a_key_for_some_models_knows_of_no_others() {
    let mut set = Set::start().await;
    for name in ["fast", "slow", "team/a"] {
        set.model(name, to(&["ok"])).await;
    }
    set.model(
        "tired",
        json!({
            "targets": [{ "provider": "fake", "model": "gpt-4o-mini" }],
            "limits": [{ "unit": "tokens", "amount": 1, "window": "day", "scope": "server" }],
            "onExhaust": { "downgrade": "slow" },
        }),
    )
    .await;
    let new = json!({ "name": "narrow", "models": ["fast", "team/*", "fake/ok", "tired"] });
    let made = set.site.done("POST", "keys", new).await;
    assert_eq!(
        made["models"],
        json!(["fast", "team/*", "fake/ok", "tired"])
    );
    let id = made["id"].as_str().unwrap().to_owned();
    set.caller = made["key"].as_str().unwrap().to_owned();
    let names = |listed: &Value| {
        let data = listed["data"].as_array().unwrap().clone();
        let names = data.iter().map(|it| it["id"].as_str().unwrap().to_owned());
        names.collect::<Vec<String>>()
    };
    for key in ["made", "rotated"] {
        for (model, status) in [
            ("fast", 200),
            ("team/a", 200),
            ("fake/ok", 200),
            ("slow", 404),
            ("demo", 404),
            ("fake/other", 404),
            ("fas", 404),
        ] {
            let (given, _, said) = set.answer(model, false).await;
            assert_eq!(given, status, "{key} {model}: {said}");
            // It is told nothing of what it may not ask for.
            assert!(!said.contains("did you mean slow"), "{said}");
        }
        // The model that takes over was chosen by whoever owns the one it may ask for.
        let (status, target, said) = set.answer("tired", false).await;
        assert_eq!((status, target.as_str()), (200, "fake/ok"), "{said}");
        let listed = set
            .site
            .send(
                ("GET", &format!("{}/v1/models", set.site.served.origin)),
                &[("authorization", &format!("Bearer {}", set.caller))],
                String::new(),
            )
            .await;
        assert_eq!(names(&listed.body), ["fast", "team/a", "tired"]);
        if key == "made" {
            let path = format!("keys/{id}/rotate");
            let rotated = set.site.done("POST", &path, json!({ "overlap": "0s" }));
            set.caller = rotated.await["key"].as_str().unwrap().to_owned();
        }
    }
    // A key for a server alone opens no model, and with one it names, that one.
    for (models, status) in [(Value::Null, 403), (json!(["fast"]), 200)] {
        let new = json!({ "name": "one server", "servers": ["petstore"], "models": models });
        let made = set.site.done("POST", "keys", new).await;
        set.caller = made["key"].as_str().unwrap().to_owned();
        assert_eq!(set.answer("fast", false).await.0, status);
    }
    for models in [json!([]), json!(["a b"]), json!(["a*b"]), json!([""])] {
        let new = json!({ "name": "wrong", "models": models });
        let refused = set.site.ask(("POST", "keys"), &new).await;
        assert_eq!(refused.status, 422, "{refused:?}");
        assert!(refused.body.to_string().contains("`models"), "{refused:?}");
    }
}

// NousResearch/hermes-agent#42776: a provider that said nothing at all was not replaced.
// higress-group/higress#2159: a 429 was told to the caller, although another provider had room.
#[tokio::test]
async fn what_fails_before_it_begins_is_asked_elsewhere() {
    let set = Set::start().await;
    for first in ["broken", "limited-60", "stall"] {
        for stream in [false, true] {
            let mut settings = to(&[first, "ok"]);
            settings["times"] = json!({ "firstByteMs": 1_500 });
            set.model("team/m", settings).await;
            let (status, target, said) = set.answer("team/m", stream).await;
            assert_eq!(
                (status, target.as_str()),
                (200, "fake/ok"),
                "{first} {stream}: {said}"
            );
            assert!(!said.contains(GOOD), "{said}");
        }
    }
    for row in set.rows(6).await {
        assert_eq!((row.status.as_str(), row.attempts), ("ok", 2), "{row:?}");
    }
    // Whoever asks for little time is waited for, whatever the text of its refusal says, and however the time is told.
    for limited in ["limited-1", "limited-text", "limited-date"] {
        let mut settings = to(&[limited]);
        settings["retries"] = json!(1);
        set.model("patient", settings).await;
        let began = Instant::now();
        let (status, target, _) = set.answer("patient", false).await;
        assert_eq!((status, target), (200, format!("fake/{limited}")));
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(1), "{limited}: {took:?}");
    }
    // And where nothing else is left, the fault is told, without the key that it repeats.
    set.model("alone", to(&["broken"])).await;
    let (status, _, said) = set.answer("alone", false).await;
    assert!(
        status >= 500 && said.contains("out of order"),
        "{status} {said}"
    );
    assert!(!said.contains(GOOD), "{said}");
}

// apache/apisix#13852: a key that had expired was told to the caller, although another one was good.
#[tokio::test]
async fn a_wrong_key_is_left_alone_and_the_other_used() {
    let set = Set::start().await;
    let wrong = json!({ "value": WRONG });
    set.site
        .done("PUT", "providers/fake/keys/another", wrong)
        .await;
    set.model("m", to(&["ok"])).await;
    for _ in 0..6 {
        let (status, _, said) = set.answer("m", false).await;
        assert_eq!(status, 200, "{said}");
    }
    let seen = set.upstream.keys();
    let tried = seen.iter().filter(|key| key.contains(WRONG)).count();
    assert_eq!(tried, 1, "a key that was refused is left alone: {seen:?}");
    // Alone it is no caller's fault, and no 401 to one.
    let removed = set
        .site
        .ask(("DELETE", "providers/fake/keys/main"), &Value::Null)
        .await;
    assert_eq!(removed.status, 204);
    let (status, _, said) = set.answer("m", false).await;
    assert!((500..600).contains(&status), "{status} {said}");
    assert!(!said.contains(WRONG), "{said}");
}

// BerriAI/litellm#17364: the provider went on for a caller that had left.
#[tokio::test]
async fn a_stream_that_is_cut_says_so_and_one_whose_caller_leaves_is_ended() {
    let set = Set::start().await;
    set.model("cut", to(&["cut", "ok"])).await;
    let (status, target, said) = set.answer("cut", true).await;
    assert_eq!((status, target.as_str()), (200, "fake/cut"));
    let data: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect();
    let last: Value = serde_json::from_str(data.last().unwrap()).unwrap();
    assert!(last["error"]["message"].is_string(), "{said}");
    assert!(
        said.contains("piece 0") && !said.contains("[DONE]"),
        "{said}"
    );

    set.model("endless", to(&["endless"])).await;
    let mut stream = set.chat("endless", true).await.bytes_stream();
    stream.next().await.unwrap().unwrap();
    assert_eq!(set.upstream.open(), 1);
    drop(stream);
    let left = Instant::now();
    while set.upstream.open() > 0 {
        assert!(
            left.elapsed() < Duration::from_secs(10),
            "the provider goes on"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let rows = set.rows(2).await;
    assert_eq!(rows[0].status, "tool_error", "{rows:?}");
    assert_eq!(rows[1].status, "cancelled", "{rows:?}");
    assert!(rows[1].tokens_output > Some(0), "{rows:?}");
}

// BerriAI/litellm#36008: what was made for a caller that had left was counted for a fraction.
#[tokio::test]
async fn the_rest_of_an_answer_is_read_whose_caller_left_where_a_model_wants_that() {
    let set = Set::start().await;
    for (name, what, rest) in [
        ("read", "counted", "drain"),
        ("not-read", "counted", "cancel"),
    ] {
        let mut settings = to(&[what]);
        settings["onDisconnect"] = json!(rest);
        set.model(name, settings).await;
        let mut stream = set.chat(name, true).await.bytes_stream();
        stream.next().await.unwrap().unwrap();
        drop(stream);
    }
    // One that never ends is left in the end, at the latest when all of the model's time is over.
    let mut endless = to(&["endless"]);
    endless["onDisconnect"] = json!("drain");
    endless["times"] = json!({ "totalMs": 2_000 });
    set.model("endless", endless).await;
    let mut stream = set.chat("endless", true).await.bytes_stream();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    let rows = set.rows(3).await;
    let of = |model: &str| rows.iter().find(|row| row.model == model).unwrap();
    assert_eq!(
        (of("read").tokens_input, of("read").tokens_output),
        (Some(1_000), Some(500)),
        "{rows:?}"
    );
    assert!(of("not-read").tokens_output < Some(500), "{rows:?}");
    assert!(of("endless").tokens_output > Some(10), "{rows:?}");
    let statuses = ["read", "not-read", "endless"].map(|model| of(model).status.as_str());
    assert_eq!(statuses, ["cancelled", "cancelled", "timeout"]);
    assert_eq!(set.upstream.open(), 0);
    // A third column says which of them were counted here, and not told.
    let mut database = set.database().await;
    let sql = "SELECT model FROM ledger WHERE kind = 'llm' AND estimated = 1 ORDER BY model";
    let estimated: Vec<String> = sqlx::query_scalar(sql)
        .fetch_all(&mut database)
        .await
        .unwrap();
    assert_eq!(estimated, ["endless", "not-read"]);
}

#[tokio::test]
async fn changes_while_streams_run_drop_none_of_them() {
    let set = Set::start().await;
    set.model("hot", to(&["paced"])).await;
    let streams = (0..8).map(|_| async { set.chat("hot", true).await.text().await.unwrap() });
    let edits = async {
        for round in 0..20 {
            set.model("hot", to(&[&format!("next-{round}")])).await;
            let provider = json!({
                "kind": "openai", "parameters": { "base_url": set.upstream.base() },
                "allowUpstream": [set.upstream.address.to_string(), format!("10.0.0.{round}")],
            });
            set.site.done("PUT", "providers/fake", provider).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // All are under way before the first change.
    let begun = async {
        while set.upstream.open() < 8 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        edits.await;
    };
    let (streams, ()) = tokio::join!(futures::future::join_all(streams), begun);
    for said in streams {
        let pieces = said.matches("piece ").count();
        assert_eq!(pieces, upstream::PIECES, "{said}");
        assert!(said.contains("[DONE]"), "{said}");
    }
    assert_eq!(set.answer("hot", false).await.1, "fake/next-19");
}

#[tokio::test]
async fn a_provider_is_tested_and_its_keys_stay_where_they_were_entered_for() {
    let set = Set::start().await;
    let site = &set.site;
    let tested = site.done("POST", "providers/fake/test", json!({})).await;
    assert_eq!(
        (&tested["ok"], &tested["status"]),
        (&json!(true), &json!(200))
    );
    assert_eq!(tested["models"].as_array().unwrap().len(), 500, "of 600");
    let chat = json!({ "model": "ok" });
    let tested = site.done("POST", "providers/fake/test", chat).await;
    assert_eq!(
        (&tested["ok"], &tested["models"]),
        (&json!(true), &Value::Null)
    );
    let broken = json!({ "model": "broken" });
    let tested = site.done("POST", "providers/fake/test", broken).await;
    assert_eq!(
        (&tested["ok"], &tested["status"]),
        (&json!(false), &json!(500))
    );
    assert!(tested["message"].as_str().unwrap().contains("out of order"));
    // At another address.
    let other = Upstream::start().await;
    let moved = json!({
        "kind": "openai", "parameters": { "base_url": other.base() },
        "allowUpstream": [other.address.to_string()],
    });
    let shown = site.done("PUT", "providers/fake", moved.clone()).await;
    let warning = shown["keys"][0]["warning"].as_str().unwrap();
    assert!(warning.contains(&set.upstream.origin()), "{warning}");
    let tested = site.done("POST", "providers/fake/test", json!({})).await;
    assert_eq!(
        (&tested["ok"], &tested["status"]),
        (&json!(false), &Value::Null)
    );
    assert!(set.answer("fake/ok", false).await.0 >= 500);
    assert!(
        other.keys().iter().all(String::is_empty),
        "{:?}",
        other.keys()
    );
    site.done("PUT", "providers/fake/keys/main", json!({ "value": GOOD }))
        .await;
    assert_eq!(set.answer("fake/ok", false).await.0, 200);
    assert_eq!(other.keys().last().unwrap(), &format!("Bearer {GOOD}"));
    // What models lead to stays.
    set.model("m", to(&["ok"])).await;
    let kept = site.ask(("DELETE", "providers/fake"), &Value::Null).await;
    assert_eq!((kept.status, &kept.body["models"]), (409, &json!(["m"])));
    site.ask(("DELETE", "models/m"), &Value::Null).await;
    let gone = site.ask(("DELETE", "providers/fake"), &Value::Null).await;
    assert_eq!(gone.status, 204);
    assert_eq!(set.answer("fake/ok", false).await.0, 404);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn what_cannot_be_is_refused_by_the_name_of_its_field() {
    let set = Set::start().await;
    let openai = |more: Value| {
        let mut provider = json!({ "kind": "openai" });
        let members = more.as_object().unwrap().clone();
        provider.as_object_mut().unwrap().extend(members);
        provider
    };
    let one = json!({ "targets": [{ "provider": "fake" }] });
    for (path, body, said) in [
        ("providers/Open", openai(json!({})), "`name`: a slug"),
        ("providers/a%2Fb", openai(json!({})), "`name`: a slug"),
        ("providers/x", json!({ "kind": "none" }), "`kind`: "),
        (
            "providers/x",
            openai(json!({ "parameters": { "base_url": "nowhere" } })),
            "`parameters.base_url`",
        ),
        (
            "providers/x",
            openai(json!({ "allowUpstream": ["10.0.0.1", "no way"] })),
            "`allowUpstream[1]`",
        ),
        ("providers/fake/keys/k", json!({ "value": " " }), "`value`"),
        (
            "providers/fake/keys/k",
            json!({ "value": "a\nb" }),
            "`value`",
        ),
        (
            "providers/fake/keys/a%20b",
            json!({ "value": "abc" }),
            "a key's name",
        ),
        ("models/m", json!({ "targets": [] }), "`targets`"),
        ("models/a*b", one.clone(), "a model's name"),
        (
            "models/m",
            json!({ "targets": [{ "provider": "fake" }, { "provider": "fake", "weight": 1001 }] }),
            "`targets[1].weight`",
        ),
        (
            "models/m",
            json!({ "targets": [{ "provider": "fake" }, { "provider": "none" }] }),
            "`targets[1].provider`",
        ),
        (
            "models/m",
            json!({ "targets": [{ "provider": "fake" }], "times": { "idleMs": 1 } }),
            "`times.idleMs`",
        ),
    ] {
        let answer = set.site.ask(("PUT", path), &body).await;
        assert_eq!(answer.status, 422, "{path} {body}: {answer:?}");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.starts_with(said), "{path} {body}: {detail}");
    }
    for path in ["providers/none/keys/k", "providers/none/test"] {
        let method = if path.ends_with("test") {
            "POST"
        } else {
            "PUT"
        };
        let body = if method == "PUT" {
            json!({ "value": "abcd" })
        } else {
            json!({})
        };
        let answer = set.site.ask((method, path), &body).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
    // The name in the process itself can be led to as well.
    let demo = json!({ "targets": [{ "provider": "demo", "model": "demo" }] });
    set.model("gpt-*", demo).await;
    let (status, target, _) = set.answer("gpt-9", false).await;
    assert_eq!((status, target.as_str()), (200, "demo/demo"));
}

#[tokio::test]
async fn a_key_is_in_no_answer_no_audit_and_no_log() {
    let set = Set::start().await;
    set.model("m", to(&["broken"])).await;
    set.answer("m", false).await;
    set.answer("m", true).await;
    let mut said = String::new();
    for path in ["providers", "providers/fake", "audit", "models", "ledger"] {
        said.push_str(&set.site.get(path).await.to_string());
    }
    let test = json!({ "model": "broken" });
    let tested = set.site.done("POST", "providers/fake/test", test).await;
    said.push_str(&tested.to_string());
    for action in ["provider.put", "provider_key.put", "model.put"] {
        assert!(said.contains(action), "{action} is not in the audit");
    }
    let Set { site, .. } = set;
    let key = ("x-api-key", ADMIN);
    let page = site
        .send(("GET", &site.served.origin), &[key], String::new())
        .await;
    said.push_str(&page.body.to_string());
    site.served.terminate();
    let (_, log) = site.served.ended().await;
    said.push_str(&log);
    assert!(!said.contains(GOOD), "{said}");
    let file = std::fs::read(site.folder.path().join("data/causeway.db")).unwrap();
    let found = file
        .windows(GOOD.len())
        .any(|bytes| bytes == GOOD.as_bytes());
    assert!(!found, "it is in the database as it was entered");
}
