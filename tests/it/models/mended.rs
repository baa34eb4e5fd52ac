//! What was wrong once with passing through, keeping and comparing, and is not again: whose keys and things are whose, and
//! what counts for what.

use std::time::Duration;

use serde_json::{Value, json};

use crate::models::through::{Scene, Shelf, answered};
use crate::models::upstream::GOOD;
use crate::models::{Set, to};

#[tokio::test]
async fn a_key_goes_to_the_origin_it_was_entered_for_whatever_is_passed_through() {
    let scene = Scene::start(json!({ "passThrough": true, "files": true })).await;
    let file = scene.upload("before it moved").await;
    let (_, told) = scene.own("GET", "/p/p/echo/a").await;
    assert_eq!(told["headers"]["authorization"], "Bearer [masked]");
    // Somebody leads the provider elsewhere, and enters no key for that.
    let elsewhere = Shelf::default();
    let address = elsewhere.start().await;
    let moved = json!({
        "parameters": { "base_url": format!("http://{address}/v1") },
        "allowUpstream": [address.to_string()],
        "passThrough": true,
        "files": true,
    });
    scene.open(moved).await;
    for (method, path) in [
        ("GET", "/p/p/echo/a"),
        ("POST", "/p/p/broken"),
        ("POST", "/v1/files"),
        ("GET", &format!("/v1/files/{file}")),
    ] {
        let (status, said) = scene.own(method, path).await;
        assert_eq!(status, 502, "{method} {path}: {said}");
        assert!(
            said.to_string().contains("no key that may be sent"),
            "{said}"
        );
    }
    assert!(elsewhere.asked().is_empty() && elsewhere.keys().is_empty());
}

#[tokio::test]
async fn a_batch_needs_a_file_and_what_is_kept_is_stored_by_nobody_on_the_way() {
    let scene = Scene::start(json!({ "files": true })).await;
    for body in [
        json!({}),
        json!({ "input_file_id": 7 }),
        json!({ "input_file_id": "../x" }),
    ] {
        let request = scene.ask("POST", "/v1/batches", &scene.set.caller);
        let (status, said) = answered(request.body(body.to_string())).await;
        assert!(matches!(status, 400 | 404), "{body}: {status} {said}");
    }
    assert!(scene.shelf.0.lock().unwrap().batches.is_empty());
    let file = scene.upload("some text").await;
    let path = format!("/v1/files/{file}/content");
    let shown = scene.ask("GET", &path, &scene.set.caller).send();
    assert_eq!(shown.await.unwrap().headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn what_another_accounts_key_does_not_find_stays_its_owners() {
    let scene = Scene::start(json!({ "files": true })).await;
    let file = scene.upload("of the first account").await;
    let site = &scene.set.site;
    let gone = site.ask(("DELETE", "providers/p/keys/main"), &Value::Null);
    assert!(gone.await.status < 300);
    let other = json!({ "value": "sk-other-0123456789-abcd" });
    site.done("PUT", "providers/p/keys/other", other).await;
    // The other account says that there is no such file.
    scene.shelf.0.lock().unwrap().files.clear();
    let path = format!("/v1/files/{file}");
    for _ in 0..2 {
        let (_, page) = scene.own("GET", "/v1/files").await;
        assert_eq!(page["data"], json!([]), "{page}");
        assert_eq!(scene.own("GET", &path).await.0, 404);
        assert_eq!(scene.known("file").await, 1);
    }
    // Only its owner says that it is nobody's.
    assert_eq!(scene.others("DELETE", &path).await.0, 404);
    assert_eq!(scene.known("file").await, 1);
    assert_eq!(scene.own("DELETE", &path).await.0, 200);
    assert_eq!(scene.known("file").await, 0);
}

#[tokio::test]
async fn what_was_kept_at_a_provider_is_nobodys_at_the_next_of_its_name() {
    let scene = Scene::start(json!({ "files": true })).await;
    let file = scene.upload("at the first").await;
    let gone = scene
        .set
        .site
        .ask(("DELETE", "providers/p"), &Value::Null)
        .await;
    assert!(gone.status < 300, "{gone:?}");
    scene.open(json!({ "files": true })).await;
    let key = json!({ "value": GOOD });
    scene
        .set
        .site
        .done("PUT", "providers/p/keys/main", key)
        .await;
    // The same id may be somebody else's there.
    let path = format!("/v1/files/{file}");
    assert_eq!(scene.own("GET", &path).await.0, 404);
    assert_eq!(scene.own("GET", "/v1/files").await.1["data"], json!([]));
}

#[tokio::test]
async fn a_key_for_some_models_passes_nothing_through_and_keeps_nothing() {
    let scene = Scene::start(json!({ "passThrough": true, "files": true })).await;
    let site = &scene.set.site;
    let mut keys = Vec::new();
    for new in [
        json!({ "name": "narrow", "models": ["p/*"] }),
        json!({ "name": "one server", "servers": ["petstore"] }),
    ] {
        let made = site.done("POST", "keys", new).await;
        keys.push(made["key"].as_str().unwrap().to_owned());
    }
    for key in &keys {
        for (method, path) in [
            ("GET", "/p/p/echo/a"),
            ("POST", "/p/p/chat/completions"),
            ("GET", "/v1/files"),
            ("POST", "/v1/files"),
            ("GET", "/v1/batches"),
            ("DELETE", "/v1/batches/b"),
        ] {
            let (status, said) = answered(scene.ask(method, path, key)).await;
            assert_eq!(status, 403, "{method} {path}: {said}");
        }
    }
    assert!(scene.shelf.asked().is_empty());
    assert!(scene.shelf.keys().is_empty());
}

#[tokio::test]
async fn what_takes_the_place_of_another_model_is_no_part_of_its_comparison() {
    let set = Set::start().await;
    let mut spare = to(&["usual"]);
    spare["canary"] = json!({
        "targets": [{ "provider": "fake", "model": "new" }],
        "share": 10_000,
    });
    set.model("spare", spare).await;
    let mut tired = to(&["gpt-4o-mini"]);
    tired["limits"] =
        json!([{ "unit": "tokens", "amount": 1, "window": "day", "scope": "server" }]);
    tired["onExhaust"] = json!({ "downgrade": "spare" });
    set.model("tired", tired).await;
    assert_eq!(set.answer("spare", false).await.1, "fake/new");
    assert_eq!(set.answer("tired", false).await.1, "fake/usual");
    // What is passed on as it is goes by the same.
    let embed = async |model: &str| {
        let url = format!("{}/v1/embeddings", set.site.served.origin);
        let request = set.site.client.post(url).bearer_auth(&set.caller);
        let body = json!({ "model": model, "input": "some text" });
        let answer = request.body(body.to_string()).send().await.unwrap();
        let target = answer.headers()["x-causeway-target"].clone();
        target.to_str().unwrap().to_owned()
    };
    assert_eq!(embed("spare").await, "fake/new");
    assert_eq!(embed("tired").await, "fake/usual");
    let arms = set.arms(4).await.into_iter().map(|(arm, ..)| arm);
    let canary = Some("canary".to_owned());
    let expected = [canary.clone(), None, canary, None];
    assert_eq!(arms.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn what_a_shadow_is_refused_takes_no_key_from_callers() {
    let set = Set::start().await;
    let mut settings = to(&["gpt-4o-mini"]);
    settings["shadow"] =
        json!({ "target": { "provider": "fake", "model": "limited-60" }, "share": 10_000 });
    set.model("m", settings).await;
    for asked in 1..=8 {
        assert_eq!(set.answer("m", false).await.0, 200, "{asked}");
        // Its shadow is over, too.
        set.rows(2 * asked).await;
    }
    let shadows = set.arms(16).await.into_iter();
    let refused =
        shadows.filter(|(arm, _, status)| arm.as_deref() == Some("shadow") && status != "ok");
    assert_eq!(refused.count(), 8);
}

#[tokio::test]
async fn what_callers_did_wrong_ends_no_canary() {
    let set = Set::start().await;
    let mut settings = to(&["gpt-4o-mini"]);
    settings["canary"] = json!({
        "targets": [{ "provider": "fake", "model": "short" }],
        "share": 10_000,
        "rollback": { "errors": 0, "calls": 1, "seconds": 60 },
    });
    set.model("m", settings.clone()).await;
    for _ in 0..5 {
        assert_eq!(set.answer("m", false).await.0, 400);
    }
    let arms = set.arms(5).await;
    assert!(
        arms.iter()
            .all(|(arm, _, status)| arm.as_deref() == Some("canary") && status != "ok"),
        "{arms:?}"
    );
    // What is refused here, because its canary's dialect has no word for it, is asked of nobody.
    let provider = json!({
        "kind": "anthropic",
        "parameters": { "base_url": set.upstream.base() },
        "allowUpstream": [set.upstream.address.to_string()],
    });
    set.site.done("PUT", "providers/other", provider).await;
    settings["canary"]["targets"] = json!([{ "provider": "other", "model": "claude" }]);
    settings["onLoss"] = json!("refuse");
    set.model("n", settings).await;
    let url = format!("{}/v1/chat/completions", set.site.served.origin);
    let body =
        json!({ "model": "n", "seed": 1, "messages": [{ "role": "user", "content": "hi" }] });
    let request = set.site.client.post(url).bearer_auth(&set.caller);
    let response = request.body(body.to_string()).send().await.unwrap();
    assert_eq!(response.status(), 400);
    let refused = set.arms(6).await.pop();
    assert_eq!(refused, Some((None, true, "refused".to_owned())));
    // Longer than it takes to look once.
    tokio::time::sleep(Duration::from_secs(5)).await;
    for model in ["models/m", "models/n"] {
        let kept = set.site.get(model).await;
        assert_eq!(kept["canary"]["paused"], Value::Null, "{kept}");
    }
}

#[tokio::test]
async fn what_takes_the_place_of_another_model_is_there_and_stays() {
    let set = Set::start().await;
    let put = async |name: &str, other: Option<&str>| {
        let mut settings = to(&["gpt-4o-mini"]);
        settings["onExhaust"] = json!(other.map(|name| json!({ "downgrade": name })));
        let path = format!("models/{name}");
        set.site.ask(("PUT", &path), &settings).await
    };
    for (name, other, status) in [
        ("tired", Some("spare"), 422),
        ("spare", None, 200),
        ("tired", Some("spare"), 200),
        ("tired", Some("nobody/spare"), 422),
        ("tired", Some("fake/spare"), 200),
        ("cheap-*", Some("cheap-one"), 422),
        ("cheap-*", Some("tired"), 200),
        ("tired", Some("cheap-one"), 200),
    ] {
        let answer = put(name, other).await;
        assert_eq!(answer.status, status, "{name} {other:?}: {}", answer.body);
        if status == 422 {
            let said = answer.body["detail"].as_str().unwrap();
            assert!(said.contains("`onExhaust.downgrade`"), "{said}");
            assert!(said.contains(other.unwrap()), "{said}");
        }
    }
    let remove = async |name: &str| {
        let path = format!("models/{name}");
        set.site.ask(("DELETE", &path), &Value::Null).await
    };
    let kept = remove("cheap-*").await;
    assert_eq!(kept.status, 409, "{}", kept.body);
    assert_eq!(kept.body["models"], json!(["tired"]));
    assert_eq!(remove("spare").await.status, 204);
    assert_eq!(put("cheap-*", None).await.status, 200);
    assert_eq!(remove("tired").await.status, 204);
    assert_eq!(remove("cheap-*").await.status, 204);
}
