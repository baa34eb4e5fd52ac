//! Everything that can be said of where requests go and of how providers are looked after, by forms alone: what is
//! entered is what the API says afterwards, what is refused is said beside its field, and nothing else is lost.

use serde_json::{Value, json};

use crate::pages::routing::{Admin, admin, revision};

const MODEL: &str = "/admin/models/fast";
const PROVIDER: &str = "/admin/providers/first";

/// A model with two providers.
fn with_model(more: &Value) -> Admin {
    let admin = admin();
    let base = json!({ "base_url": "https://llm.example.com/v1" });
    for name in ["first", "second"] {
        let provider = json!({ "kind": "openai-compatible", "parameters": base });
        admin.put(&format!("providers/{name}"), &provider);
    }
    let mut model = json!({ "targets": [{ "provider": "first", "model": "alpha" }], "retries": 3 });
    let members = model.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    admin.put("models/fast", &model);
    admin
}

fn stored(admin: &Admin) -> Value {
    let mut model = admin.api("models/fast");
    let members = model.as_object_mut().unwrap();
    members.retain(|name, _| name != "name" && name != "updatedAt");
    model
}

/// Sends a form of the model's page as it is now.
fn send(admin: &Admin, done: &str, pairs: &[(&str, &str)]) -> String {
    send_on(admin, (MODEL, done), pairs)
}

/// Sends a form of a page as it is now.
fn send_on(admin: &Admin, (page, done): (&str, &str), pairs: &[(&str, &str)]) -> String {
    let revision = revision(&admin.get(page));
    let own = [("do", done), ("revision", revision.as_str())];
    admin.post(page, &[&own, pairs].concat())
}

fn saved(admin: &Admin, done: &str, pairs: &[(&str, &str)]) {
    let answer = send(admin, done, pairs);
    assert!(
        answer.starts_with("HTTP/1.1 303") && answer.contains(&format!("in={done}#told")),
        "{answer}"
    );
}

/// A form that is refused: said above it, and of a field.
fn refused(answer: &str, said: &str, field: &str) {
    assert!(answer.starts_with("HTTP/1.1 422"), "{answer}");
    assert!(answer.contains(said), "{said}: {answer}");
    assert!(
        answer.contains(&format!(
            "aria-invalid=\"true\" aria-errormessage=\"{field}-fault\""
        )) && answer.contains(&format!(
            "<span class=\"fault\" id=\"{field}-fault\" aria-live=\"polite\">"
        )),
        "{field}: {answer}"
    );
}

#[test]
fn how_requests_are_spread_is_chosen_in_words() {
    let admin = with_model(&json!({}));
    let page = admin.get(MODEL);
    for word in ["weighted", "least-busy", "latency", "prefix-affinity"] {
        assert!(
            page.contains(&format!("name=\"strategy\" value=\"{word}\"")),
            "{word}"
        );
    }
    assert!(page.contains("<summary>By weight</summary>"), "{page}");
    let long = send(&admin, "spread", &[("strategy", "latency"), ("ttl", "9")]);
    refused(&long, "is 10 to 86400", "ttl");
    assert!(long.contains("value=\"latency\" checked"), "{long}");
    saved(
        &admin,
        "spread",
        &[("strategy", "prefix-affinity"), ("ttl", "60")],
    );
    let expected = json!({
        "targets": [{ "provider": "first", "model": "alpha" }], "retries": 3,
        "strategy": "prefix-affinity", "affinityTtlSeconds": 60,
    });
    assert_eq!(stored(&admin), expected);
    let list = admin.get("/admin/models");
    assert!(list.contains("To the one that knows the prompt"), "{list}");
    saved(&admin, "other", &[("logBodies", "on")]);
    assert_eq!(stored(&admin)["logBodies"], true);
}

#[test]
fn a_target_is_asked_only_after_what_it_is_for() {
    let admin = with_model(&json!({}));
    let mut rows = vec![
        ("at-0", "0"),
        ("provider-0", "first"),
        ("model-0", "alpha"),
        ("only-0", "context_length"),
        ("at-1", ""),
        ("provider-1", "second"),
        ("model-1", "long"),
        ("only-1", "context_length"),
        ("only-1", "stall"),
    ];
    let none = send(&admin, "targets", &rows);
    assert!(
        none.contains("at least has to be there for any request"),
        "{none}"
    );
    rows.remove(3);
    saved(&admin, "targets", &rows);
    let expected = json!([
        { "provider": "first", "model": "alpha" },
        { "provider": "second", "model": "long", "onlyOn": ["context_length", "stall"] },
    ]);
    assert_eq!(stored(&admin)["targets"], expected);
    let page = admin.get(MODEL);
    assert!(
        page.contains("<summary>only after: stall, too long</summary>"),
        "{page}"
    );
    let box_of_it = "name=\"only-1\" value=\"context_length\" checked";
    assert!(page.contains(box_of_it), "{page}");
    let picture = page
        .split_once("<svg")
        .unwrap()
        .1
        .split_once("</svg>")
        .unwrap()
        .0;
    assert!(picture.contains("only after: stall, too long"), "{picture}");
}

const CANARY: [(&str, &str); 14] = [
    ("canary-at-0", ""),
    ("canary-provider-0", "second"),
    ("canary-model-0", "beta"),
    ("canary-share", "12.5 %"),
    ("canary-sticky", "key"),
    ("canary-header", "x-try"),
    ("canary-value", "beta"),
    ("canary-consumers", " anna \n"),
    ("canary-errors", "5"),
    ("canary-calls", "20"),
    ("canary-seconds", "300"),
    ("canary-name", "beta-1"),
    ("canary-weight-0", ""),
    ("canary-tier-0", ""),
];

fn with(name: &str, text: &'static str) -> Vec<(&'static str, &'static str)> {
    let pairs = CANARY.iter();
    pairs
        .map(|(known, value)| (*known, if *known == name { text } else { value }))
        .collect()
}

#[test]
fn what_a_canary_cannot_be_is_said_beside_its_field() {
    let admin = with_model(&json!({}));
    let page = admin.get(MODEL);
    assert!(page.contains("<summary>No canary</summary>"), "{page}");
    assert!(!page.contains("value=\"canary-accept\""), "{page}");
    for (name, text, said) in [
        ("canary-share", "half", "up to two decimals"),
        ("canary-share", "101", "is 0 to 100."),
        ("canary-name", "stable", "neither <code>stable</code> nor"),
        ("canary-header", "a b", "is the name of a header"),
        ("canary-errors", "100", "is 0 to 99.99."),
        ("canary-calls", "0", "is 1 to 1000000."),
        ("canary-seconds", "9", "is 10 to 604800."),
        ("canary-consumers", "anna", "there is no consumer anna"),
        ("canary-weight-0", "1001", "Row 1: “Weight” is 0 to 1000."),
    ] {
        let answer = send(&admin, "canary", &with(name, text));
        refused(&answer, said, name);
        // What was entered is still there, and unfolded.
        assert!(
            answer.contains("value=\"beta-1\"") || name == "canary-name",
            "{answer}"
        );
        let form = answer.split_once("<h2 id=\"canary\">").unwrap().1;
        assert!(
            form.split_once("</form>")
                .unwrap()
                .0
                .contains("<details open>"),
            "{name}"
        );
    }
    assert_eq!(stored(&admin).get("canary"), None);
}

#[test]
fn a_canary_is_made_compared_stopped_and_accepted() {
    let admin = with_model(&json!({}));
    let made = admin.post("/keys", &[("name", "anna"), ("expires", "7")]);
    assert!(made.starts_with("HTTP/1.1 200"), "{made}");
    saved(&admin, "canary", &CANARY);
    let canary = json!({
        "name": "beta-1", "targets": [{ "provider": "second", "model": "beta" }], "share": 1_250, "sticky": "key",
        "header": { "name": "x-try", "value": "beta" }, "consumers": ["anna"],
        "rollback": { "errors": 500, "calls": 20, "seconds": 300 },
    });
    assert_eq!(stored(&admin)["canary"], canary);
    assert_eq!(stored(&admin)["retries"], 3);
    let page = admin.get(MODEL);
    let words = "To second/beta: 12.5 % of callers, requests with x-try, 1 consumer";
    assert!(page.contains(words), "{page}");
    assert!(page.contains("/usage/models?model=fast"), "{page}");
    let picture = page
        .split_once("<svg")
        .unwrap()
        .1
        .split_once("</svg>")
        .unwrap()
        .0;
    assert!(
        picture.contains("way aside") && picture.contains(">beta<"),
        "{picture}"
    );

    let stopped = send(&admin, "canary-stop", &[]);
    assert!(
        stopped.contains("?done=canary-stopped&in=canary#told"),
        "{stopped}"
    );
    assert_eq!(stored(&admin)["canary"]["paused"], true);
    let page = admin.get(MODEL);
    assert!(
        page.contains("Paused: nobody is sent to second/beta"),
        "{page}"
    );
    assert!(page.contains("value=\"canary-resume\""), "{page}");
    // A page that somebody else has overtaken does nothing, and can be sent again once it was looked at.
    let stale = admin.post(MODEL, &[("do", "canary-accept"), ("revision", "1")]);
    assert!(stale.starts_with("HTTP/1.1 412"), "{stale}");
    let again = [("do", "canary-resume"), ("revision", &*revision(&stale))];
    assert!(admin.post(MODEL, &again).contains("?done=canary-resumed"));
    assert_eq!(stored(&admin)["canary"], canary);
    let accepted = send(&admin, "canary-accept", &[]);
    assert!(
        accepted.contains("?done=canary-accepted&in=canary#told"),
        "{accepted}"
    );
    let expected = json!({ "targets": [{ "provider": "second", "model": "beta" }], "retries": 3 });
    assert_eq!(stored(&admin), expected);
    saved(&admin, "canary", &with("canary-consumers", ""));
    let removed = send(&admin, "canary-remove", &[]);
    assert!(removed.contains("?done=canary-removed"), "{removed}");
    assert_eq!(stored(&admin), expected);
}

#[test]
fn a_shadow_is_a_form_and_a_limit_in_dollars_wants_a_price() {
    let admin = with_model(&json!({}));
    let mut shadow = vec![
        ("shadow-provider-0", "second"),
        ("shadow-model-0", "beta"),
        ("shadow-output-0", ""),
        ("shadow-weight-0", ""),
        ("shadow-tier-0", ""),
        ("shadow-share", "0"),
        ("shadow-concurrency", "4"),
    ];
    let none = send(&admin, "shadow", &shadow);
    refused(&none, "is 0.01 to 100.", "shadow-share");
    shadow[5].1 = "2.5";
    shadow[1].1 = "two words";
    let words = send(&admin, "shadow", &shadow);
    refused(
        &words,
        "1 to 200 characters without spaces",
        "shadow-model-0",
    );
    shadow[1].1 = "beta";
    saved(&admin, "shadow", &shadow);
    let target = json!({ "provider": "second", "model": "beta" });
    let expected = json!({ "target": target, "share": 250, "concurrency": 4 });
    assert_eq!(stored(&admin)["shadow"], expected);
    let page = admin.get(MODEL);
    assert!(
        page.contains("2.5 % of requests also to second/beta"),
        "{page}"
    );
    shadow[0].1 = "";
    saved(&admin, "shadow", &shadow);
    assert_eq!(stored(&admin).get("shadow"), None);

    assert!(!page.contains("Nobody knows what"), "{page}");
    let limit = [
        ("unit-0", "money"),
        ("amount-0", "20"),
        ("window-0", "month"),
        ("scope-0", "server"),
        ("exhaust", ""),
    ];
    saved(&admin, "limits", &limit);
    let page = admin.get(MODEL);
    assert!(
        page.contains("Nobody knows what <code>first/alpha</code> costs"),
        "{page}"
    );
    let known = [
        ("at-0", "0"),
        ("provider-0", "first"),
        ("model-0", "gpt-4o-mini"),
    ];
    saved(&admin, "targets", &known);
    let provider = json!({ "kind": "openai" });
    admin.put("providers/first", &provider);
    let page = admin.get(MODEL);
    assert!(!page.contains("Nobody knows what"), "{page}");
}

#[test]
fn a_provider_is_looked_after_and_no_form_loses_what_another_set() {
    let admin = with_model(&json!({}));
    let page = admin.get(PROVIDER);
    assert!(page.contains("<summary>Not checked</summary>"), "{page}");
    assert!(
        page.contains("<summary>Only its models</summary>"),
        "{page}"
    );
    let shown = revision(&page);
    let mut care = vec![
        ("health", "on"),
        ("every", "0"),
        ("down", "2"),
        ("up", "1"),
        ("load", "on"),
        ("loadEvery", "5"),
    ];
    let send = |done: &str, pairs: &[(&str, &str)]| send_on(&admin, (PROVIDER, done), pairs);
    refused(&send("care", &care), "is 1 to 3600.", "every");
    care[1].1 = "3600";
    let answer = send("care", &care);
    assert!(answer.contains("?done=saved&in=care#told"), "{answer}");
    let open = [("passThrough", "on"), ("files", "on")];
    // What was shown before somebody else's change is not saved over it, and can be sent again.
    let own = [("do", "open"), ("revision", shown.as_str())];
    let stale = admin.post(PROVIDER, &[&own[..], &open].concat());
    assert!(stale.starts_with("HTTP/1.1 412"), "{stale}");
    assert!(stale.contains("Somebody changed this provider"), "{stale}");
    assert_eq!(admin.api("providers/first")["files"], false);
    let own = [("do", "open"), ("revision", &*revision(&stale))];
    let answer = admin.post(PROVIDER, &[&own[..], &open].concat());
    assert!(answer.contains("?done=saved&in=open#told"), "{answer}");
    let moved = [
        ("p.base_url", "https://other.example.com/v1"),
        ("allow", ""),
    ];
    let answer = send("settings", &moved);
    assert!(answer.contains("?done=saved&in=settings#told"), "{answer}");
    let provider = admin.api("providers/first");
    assert_eq!(
        provider["health"],
        json!({ "everySeconds": 3600, "downAfter": 2, "upAfter": 1 })
    );
    assert_eq!(provider["load"], json!({ "everySeconds": 5 }));
    assert_eq!(
        (&provider["passThrough"], &provider["files"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        provider["parameters"]["base_url"],
        "https://other.example.com/v1"
    );
    let page = admin.get(PROVIDER);
    for said in [
        "Checked every 3,600 seconds; its load is read every 5 seconds",
        "Its models, files and batches, and anything else it has",
        "<code>/p/first/…</code>",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let key = [("do", "key"), ("key", "two words"), ("value", "sk-1")];
    refused(&admin.post(PROVIDER, &key), "is 1 to 64 letters", "key");
    send("care", &[("loadEvery", "5")]);
    let provider = admin.api("providers/first");
    assert_eq!((provider.get("health"), provider.get("load")), (None, None));
    assert_eq!(provider["files"], true);
}

#[test]
fn of_those_who_save_at_once_one_is_heard_and_the_others_are_told() {
    let admin = with_model(&json!({}));
    let forms = [
        (
            MODEL,
            "targets",
            vec![("at-0", "0"), ("provider-0", "first")],
        ),
        (
            PROVIDER,
            "care",
            vec![
                ("health", "on"),
                ("every", "60"),
                ("down", "2"),
                ("up", "1"),
            ],
        ),
    ];
    for (page, done, pairs) in forms {
        let revision = revision(&admin.get(page));
        let own = [("do", done), ("revision", revision.as_str())];
        let pairs = [&own[..], &pairs].concat();
        let answers: Vec<String> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| admin.post(page, &pairs)))
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let with = |status: &str| {
            let answers = answers.iter();
            answers.filter(|answer| answer.starts_with(status)).count()
        };
        let counts = (with("HTTP/1.1 303"), with("HTTP/1.1 412"));
        assert_eq!(counts, (1, 7), "{page}: {answers:?}");
    }
}

#[test]
fn a_refused_address_opens_the_field_that_would_allow_it() {
    let admin = admin();
    let base = json!({ "base_url": "http://127.0.0.1:9/v1" });
    let provider = json!({ "kind": "openai-compatible", "parameters": base });
    admin.put("providers/first", &provider);
    let page = admin.get(PROVIDER);
    let folded = |page: &str| {
        let (_, form) = page.split_once("<h2 id=\"settings\">").unwrap();
        !form
            .split_once("<summary>")
            .unwrap()
            .0
            .contains("<details open>")
    };
    assert!(folded(&page), "{page}");
    let tested = admin.post(PROVIDER, &[("do", "test"), ("model", "")]);
    assert!(
        tested.contains("enter <code>127.0.0.1:9</code> in “"),
        "{tested}"
    );
    assert!(
        tested.contains("aria-errormessage=\"allow-fault\""),
        "{tested}"
    );
    assert!(
        !folded(&tested) && !tested.contains("--allow-upstream"),
        "{tested}"
    );
    let allowed = [
        ("p.base_url", "http://127.0.0.1:9/v1"),
        ("allow", "127.0.0.1:9"),
    ];
    let saved = send_on(&admin, (PROVIDER, "settings"), &allowed);
    assert!(saved.contains("?done=saved"), "{saved}");
    let tested = admin.post(PROVIDER, &[("do", "test"), ("model", "")]);
    assert!(
        tested.contains("nothing answers at its address"),
        "{tested}"
    );
}

#[test]
fn a_reader_of_chinese_is_told_everything_in_chinese() {
    let admin = with_model(&json!({
        "strategy": "least-busy",
        "canary": { "targets": [{ "provider": "second", "onlyOn": null }], "share": 100 },
        "shadow": { "target": { "provider": "second" }, "share": 100 },
    }));
    let health = json!({
        "kind": "azure", "parameters": { "resource": "ours" }, "health": {}, "load": {}, "passThrough": true,
    });
    admin.put("providers/first", &health);
    let cookie = format!("{}; causeway-language=zh-CN", admin.cookie);
    let english = [
        "Only requests",
        "By weight",
        "least busy",
        "percent",
        "Nobody",
        "nobody",
        "Checked",
        "anything",
        "The name of",
        "deployment",
        "asked",
    ];
    for path in [
        MODEL,
        PROVIDER,
        "/admin/models",
        "/admin/provider-kinds/bedrock",
        "/keys",
        "/",
    ] {
        let page = admin.served.get(path, &cookie);
        assert!(page.contains("<html lang=\"zh-CN\">"), "{path}");
        let (_, main) = page.split_once("<main").unwrap();
        let main = main.split_once("</main>").unwrap().0;
        for words in english {
            assert!(!main.contains(words), "{path}: {words}: {main}");
        }
    }
    let page = admin.served.get(MODEL, &cookie);
    assert!(
        page.contains("1% 的调用方") && page.contains("给最空闲的"),
        "{page}"
    );
}

#[test]
fn a_newcomer_is_shown_the_first_question() {
    let admin = admin();
    let base = format!("http://{}/v1", admin.served.address);
    for path in ["/", "/login"] {
        let page = admin.served.get(path, "");
        assert!(page.contains(&format!("<code>{base}</code>")), "{page}");
    }
    let keys = admin.get("/keys");
    assert!(
        keys.contains(&format!("curl {base}/chat/completions")),
        "{keys}"
    );
    assert!(keys.contains("YOUR_KEY"), "{keys}");
    let made = admin.post("/keys", &[("name", "mine"), ("expires", "7")]);
    let (_, shown) = made.split_once("class=\"panel created\"").unwrap();
    let (_, key) = shown.split_once("<p class=\"endpoint\">").unwrap();
    let key = key
        .split_once("<code>")
        .unwrap()
        .1
        .split_once('<')
        .unwrap()
        .0;
    assert!(
        shown.contains(&format!("Authorization: Bearer {key}")),
        "{shown}"
    );
    // Pasted as it is, it is answered.
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json"
    );
    let question = json!({ "model": "demo", "messages": [{ "role": "user", "content": "Hello" }] });
    let answer = admin.served.ask(&head, &question.to_string());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // A key for one server alone is not shown what it may not do.
    let bound = [("name", "bound"), ("expires", "7"), ("server", "petstore")];
    let made = admin.post("/keys", &bound);
    let (_, shown) = made.split_once("class=\"panel created\"").unwrap();
    assert!(
        !shown
            .split_once("</section>")
            .unwrap()
            .0
            .contains("chat/completions")
    );
}
