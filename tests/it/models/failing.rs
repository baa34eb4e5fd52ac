//! Providers that fail, that are slow, and that are left alone: how long they are waited for, and where requests go instead.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::models::upstream::{GOOD, Upstream, WRONG};
use crate::models::{Set, to};

#[tokio::test]
async fn a_model_says_how_long_its_answers_may_take_to_begin() {
    let set = Set::start_with(&[("CAUSEWAY__EGRESS__FIRST_BYTE_TIMEOUT_MS", "300")]).await;
    let ask = async |path: &str, model: &str| {
        let url = format!("{}{path}", set.site.served.origin);
        let body = json!({
            "model": model, "input": "hi", "messages": [{ "role": "user", "content": "hi" }],
        });
        let request = set.site.client.post(url).bearer_auth(&set.caller);
        let request = request.header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.unwrap();
        answer.status().as_u16()
    };
    let (chat, embeddings) = ("/v1/chat/completions", "/v1/embeddings");
    for (first_byte_ms, expected) in [(10_000, 200), (300, 504)] {
        let mut settings = to(&["slow"]);
        settings["times"] = json!({ "firstByteMs": first_byte_ms });
        set.model("m", settings).await;
        for path in [chat, embeddings] {
            assert_eq!(ask(path, "m").await, expected, "{path} {first_byte_ms}");
        }
    }
}

#[tokio::test]
async fn what_a_provider_is_left_alone_for_decides_where_its_requests_go() {
    let set = Set::start().await;
    let upstream = Upstream::start().await;
    let providers = ["limited", "unpaid"];
    for name in providers {
        set.provider(name, &upstream, json!({})).await;
    }
    let wrong = json!({ "value": WRONG });
    set.site
        .done("PUT", "providers/unpaid/keys/main", wrong)
        .await;
    let settings = |first: Value, on: &str, chain: bool| {
        let mut second = json!({ "provider": "fake", "model": "ok", "tier": 1 });
        let mut settings = json!({ "targets": [first, &second], "retries": 0 });
        if chain {
            second["onlyOn"] = json!([on]);
            settings["targets"][1] = second;
        } else {
            settings["fallbackOn"] = json!([on]);
        }
        settings
    };
    // It is left alone after five refusals, or after the first one.
    for (name, model, class, other) in [
        ("limited", "limited-60", "rate_limit", "credential"),
        ("unpaid", "ok", "credential", "server_error"),
    ] {
        let first = json!({ "provider": name, "model": model });
        for chain in [false, true] {
            set.model("m", settings(first.clone(), class, chain)).await;
            for asked in 0..7 {
                let (status, target, said) = set.answer("m", false).await;
                let answered = (status, target.as_str());
                assert_eq!(answered, (200, "fake/ok"), "{name} {chain} {asked}: {said}");
            }
        }
        let state = set.site.get(&format!("providers/{name}")).await;
        assert_eq!(state["state"]["leftAlone"], true, "{state}");
        set.model("m", settings(first, other, false)).await;
        let (status, _, said) = set.answer("m", false).await;
        assert_eq!(status, 503, "{name}: {said}");
        assert!(said.contains("left alone"), "{said}");
    }
    assert_eq!(upstream.keys().len(), 6);
}

#[tokio::test]
async fn nobody_waits_for_a_provider_that_is_left_alone() {
    let set = Set::start().await;
    let broken = Upstream::start().await;
    set.provider("broken", &broken, json!({})).await;
    let targets = json!([
        { "provider": "broken", "model": "broken" },
        { "provider": "fake", "model": "ok", "tier": 1 },
    ]);
    set.model("m", json!({ "targets": targets, "retries": 1 }))
        .await;
    let alone = json!([{ "provider": "broken", "model": "broken" }]);
    set.model("alone", json!({ "targets": alone, "retries": 1 }))
        .await;
    for _ in 0..3 {
        assert_eq!(set.answer("m", false).await.1, "fake/ok");
    }
    assert_eq!(broken.keys().len(), 5);
    // It is left alone for less time now than a request would wait for an answer.
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    for (model, expected) in [("m", 200), ("alone", 503)] {
        let began = Instant::now();
        let (status, _, said) = set.answer(model, false).await;
        assert_eq!(status, expected, "{model}: {said}");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(2), "{model}: {took:?}");
    }
    assert_eq!(broken.keys().len(), 5);
}

#[tokio::test]
async fn an_error_with_a_good_status_is_no_embedding() {
    let set = Set::start().await;
    let ask = async |targets: &[&str]| {
        set.model("m", to(targets)).await;
        set.embedding().await
    };
    let (status, said) = ask(&["told-429"]).await;
    let code = &said["error"]["code"];
    assert_eq!(
        (status, code),
        (429, &json!("rate_limit_exceeded")),
        "{said}"
    );
    assert!(!said.to_string().contains(GOOD), "{said}");
    let (status, said) = ask(&["told-429", "other"]).await;
    assert_eq!((status, &said["model"]), (200, &json!("other")), "{said}");
    let rows = set.rows(2).await;
    let known: Vec<_> = rows
        .iter()
        .map(|row| (&*row.status, row.tokens_input))
        .collect();
    assert_eq!(known[1], ("ok", Some(7)), "{known:?}");
    assert_eq!(known[0].1, None, "{known:?}");
}

#[tokio::test]
async fn an_embedding_that_breaks_off_stays_spent_and_one_that_is_refused_does_not() {
    let set = Set::start().await;
    for (target, status, last) in [("cut", 502, 429), ("told-400", 400, 400)] {
        let mut settings = to(&[target]);
        settings["limits"] =
            json!([{ "unit": "tokens", "amount": 30, "window": "day", "scope": "server" }]);
        set.model("m", settings).await;
        assert_eq!(set.embedding().await.0, status, "{target}");
        for _ in 0..2 {
            set.embedding().await;
        }
        let (status, said) = set.embedding().await;
        assert_eq!(status, last, "{target}: {said}");
        set.site.done("DELETE", "models/m", Value::Null).await;
    }
}

#[tokio::test]
async fn a_key_that_may_not_ask_for_one_model_goes_on_asking_for_others() {
    let set = Set::start().await;
    set.model("m", to(&["forbidden"])).await;
    for _ in 0..6 {
        let (status, _, said) = set.answer("m", false).await;
        assert_eq!(status, 502, "{said}");
        let named = "fake does not let its key do this: no access to this model";
        assert!(said.contains(named) && !said.contains(GOOD), "{said}");
        let (status, _, said) = set.answer("fake/ok", false).await;
        assert_eq!(status, 200, "{said}");
    }
    set.model("m", to(&["forbidden", "ok"])).await;
    assert_eq!(set.answer("m", false).await.1, "fake/ok");
}

#[tokio::test]
async fn a_provider_says_how_long_connecting_to_it_may_take() {
    let set = Set::start_with(&[("CAUSEWAY__EGRESS__CONNECT_TIMEOUT_MS", "60000")]).await;
    let (listener, _waiting) = unanswered().await;
    let address = listener.local_addr().unwrap().to_string();
    let mut far = json!({
        "kind": "openai-compatible",
        "parameters": { "base_url": format!("http://{address}/v1") },
        "allowUpstream": [address],
        "connectTimeoutMs": 99,
    });
    let answer = set.site.ask(("PUT", "providers/far"), &far).await;
    assert_eq!(answer.status, 422, "{answer:?}");
    let said = answer.body.to_string();
    assert!(said.contains("`connectTimeoutMs`"), "{said}");
    far["connectTimeoutMs"] = 300.into();
    let shown = set.site.done("PUT", "providers/far", far).await;
    assert_eq!(shown["connectTimeoutMs"], 300);
    let key = json!({ "value": GOOD });
    set.site.done("PUT", "providers/far/keys/main", key).await;
    let targets = json!([
        { "provider": "far", "model": "m" },
        { "provider": "fake", "model": "ok", "tier": 1 },
    ]);
    set.model("m", json!({ "targets": targets, "retries": 0 }))
        .await;
    let began = Instant::now();
    let (status, target, said) = set.answer("m", false).await;
    assert_eq!((status, target.as_str()), (200, "fake/ok"), "{said}");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
}

/// Nobody takes its connections, and there is no room for more: another one is begun, and never made.
async fn unanswered() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let (address, mut waiting) = (listener.local_addr().unwrap(), Vec::new());
    let patience = Duration::from_secs(1);
    while let Ok(made) = tokio::time::timeout(patience, TcpStream::connect(address)).await {
        waiting.push(made.unwrap());
        assert!(waiting.len() < 64, "there is room for any number");
    }
    (listener, waiting)
}

impl Set {
    /// What comes of an embedding of `m`.
    async fn embedding(&self) -> (u16, Value) {
        let url = format!("{}/v1/embeddings", self.site.served.origin);
        let request = self.site.client.post(url).bearer_auth(&self.caller);
        let request = request.header("content-type", "application/json");
        let request = request.body(json!({ "model": "m", "input": "hi" }).to_string());
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (
            status,
            serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
        )
    }
}

#[tokio::test]
async fn a_key_stands_in_no_error_in_the_middle_of_a_stream() {
    let set = Set::start().await;
    set.model("m", to(&["betray"])).await;
    let hi = json!([{ "role": "user", "content": "hi" }]);
    // Words to stop at are said in chats only, so that the others are written anew.
    let gemini = json!({
        "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }],
        "generationConfig": { "stopSequences": ["zzz"] },
    });
    for (path, body) in [
        (
            "/v1/chat/completions",
            json!({ "model": "m", "stream": true, "messages": hi }),
        ),
        (
            "/v1/messages",
            json!({ "model": "m", "stream": true, "messages": hi, "max_tokens": 9, "stop_sequences": ["zzz"] }),
        ),
        ("/v1beta/models/m:streamGenerateContent?alt=sse", gemini),
    ] {
        let url = format!("{}{path}", set.site.served.origin);
        let request = set.site.client.post(url).bearer_auth(&set.caller);
        let answer = request.body(body.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let said = answer.text().await.unwrap();
        assert!(said.contains("piece 0"), "{path}: {said}");
        assert!(said.contains("key=[masked] is bad"), "{path}: {said}");
        assert!(!said.contains(GOOD), "{path}: {said}");
    }
    for row in set.rows(3).await {
        assert_eq!(row.status, "tool_error", "{row:?}");
    }
}
