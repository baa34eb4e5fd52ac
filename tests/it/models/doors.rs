//! Every address models are asked at: what is passed on as it is, the ways a key may come, and lists in each protocol.

use serde_json::{Value, json};

use crate::models::{Set, to};

#[tokio::test]
async fn what_is_no_chat_is_passed_on_as_it_came_to_the_same_address() {
    let set = Set::start().await;
    let provider = json!({
        "kind": "openai-compatible",
        "parameters": { "base_url": set.upstream.base() },
        "allowUpstream": [set.upstream.address.to_string()],
    });
    set.site.done("PUT", "providers/other", provider).await;
    let key = json!({ "value": crate::models::GOOD });
    set.site.done("PUT", "providers/other/keys/main", key).await;
    let targets = json!([{ "provider": "other", "model": "m-1" }]);
    set.model("m", json!({ "targets": targets })).await;
    let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b--\r\n";
    let multipart = "multipart/form-data; boundary=b";
    let question = r#"{"model":"m", "odd":  1.50}"#;
    let mut count = 0;
    for (path, of) in [
        ("completions", "application/json"),
        ("rerank", "application/json"),
        ("moderations", "application/json"),
        ("images/generations", "application/json"),
        ("images/edits", multipart),
        ("images/variations", multipart),
        ("audio/speech", "application/json"),
        ("audio/transcriptions", multipart),
        ("audio/translations", multipart),
    ] {
        let url = format!("{}/v1/{path}", set.site.served.origin);
        let request = set.site.client.post(url).bearer_auth(&set.caller);
        let body = if of == multipart { form } else { question };
        let sent = request.header("content-type", of).body(body).send();
        let answer = sent.await.unwrap();
        let status = answer.status().as_u16();
        let target = answer.headers().get("x-causeway-target").cloned();
        let said: Value = answer.json().await.unwrap();
        assert_eq!(status, 200, "{path}: {said}");
        assert_eq!(target.unwrap(), "other/m-1", "{path}");
        assert_eq!(said["path"], format!("/v1/{path}"));
        assert_eq!(said["form"], of, "{path}");
        // The model's name is all that changes.
        let expected = if of == multipart {
            body.replace("\r\nm\r\n", "\r\nm-1\r\n")
        } else {
            body.replace("\"m\"", "\"m-1\"")
        };
        assert_eq!(said["body"], expected, "{path}");
        count += 1;
    }
    let rows = set.rows(count).await;
    // What has no answer in tokens, as rankings have none, counts all of them as read.
    let told = rows.iter().filter(|row| {
        let tokens = row.tokens_input.zip(row.tokens_output);
        row.status == "ok" && tokens.is_some_and(|(read, written)| read + written == 10)
    });
    assert_eq!(told.count(), count, "{rows:?}");
    // A refusal is the provider's own, but for the key that it repeats.
    let url = format!("{}/v1/moderations", set.site.served.origin);
    let request = set.site.client.post(url).bearer_auth(&set.caller);
    let sent = request
        .body(r#"{"model":"m","input":"refuse this"}"#)
        .send();
    let answer = sent.await.unwrap();
    assert_eq!(answer.status(), 422);
    let said = answer.text().await.unwrap();
    assert!(
        said.contains("nothing like that") && !said.contains(crate::models::GOOD),
        "{said}"
    );
}

#[tokio::test]
async fn a_form_names_one_model_only() {
    let set = Set::start().await;
    set.model("m", to(&["m-1"])).await;
    let key = json!({ "name": "narrow", "models": ["m"] });
    let made = set.site.done("POST", "keys", key).await;
    let key = made["key"].as_str().unwrap();
    let part = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name={name}\r\n\r\n{value}\r\n")
    };
    for path in ["images/edits", "audio/transcriptions"] {
        let url = format!("{}/v1/{path}", set.site.served.origin);
        let request = set.site.client.post(url).bearer_auth(key);
        let request = request.header("content-type", "multipart/form-data; boundary=b");
        let form = [part("model", "m"), part("model", "other")].concat() + "--b--\r\n";
        let answer = request.body(form).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{path}");
        let said: Value = answer.json().await.unwrap();
        let message = said["error"]["message"].as_str().unwrap();
        assert_eq!(message, "`model` stands there twice", "{path}");
    }
    assert_eq!(set.upstream.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn a_compressed_body_is_refused_in_each_protocols_words() {
    let set = Set::start().await;
    set.model("m", to(&["m-1"])).await;
    for (path, kind) in [
        ("/v1/chat/completions", "/error/type"),
        ("/v1/responses", "/error/type"),
        ("/v1/messages", "/error/type"),
        ("/v1/messages/count_tokens", "/error/type"),
        ("/v1beta/models/m:generateContent", "/error/status"),
        ("/v1/embeddings", "/error/type"),
    ] {
        for encoding in ["gzip", "br", "identity, ZSTD"] {
            let url = format!("{}{path}", set.site.served.origin);
            let request = set.site.client.post(url).bearer_auth(&set.caller);
            let request = request.header("content-encoding", encoding);
            let answer = request.body(b"\x1f\x8b".as_slice()).send().await.unwrap();
            assert_eq!(answer.status(), 415, "{path} {encoding}");
            let said: Value = answer.json().await.unwrap();
            assert!(said.pointer(kind).is_some(), "{path}: {said}");
            let message = said["error"]["message"].as_str().unwrap();
            let named = encoding.trim_start_matches("identity, ");
            let named = format!("content-encoding: {named}");
            assert!(message.contains(&named), "{path}: {message}");
        }
    }
    let url = format!("{}/v1/chat/completions", set.site.served.origin);
    let request = set.site.client.post(url).bearer_auth(&set.caller);
    let request = request.header("content-encoding", "identity");
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(request.body(body).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn pages_of_origins_that_are_named_may_ask_from_browsers() {
    let named = [("CAUSEWAY__SERVER__CORS_ORIGINS", "https://page.example")];
    for settings in [&named[..], &[]] {
        let set = Set::start_with(settings).await;
        set.model("m", to(&["m-1"])).await;
        let client = &set.site.client;
        for (path, offered) in [
            ("/v1/chat/completions", true),
            ("/v1/models", true),
            ("/v1beta/models/m:generateContent", true),
            ("/v1/embeddings", true),
            ("/v1/files", true),
            ("/api/v1/models", false),
        ] {
            let url = format!("{}{path}", set.site.served.origin);
            for (origin, known) in [
                ("https://page.example", true),
                ("https://evil.example", false),
            ] {
                let asked = client.request(reqwest::Method::OPTIONS, &url);
                let asked = asked.header("origin", origin);
                let asked = asked.header("access-control-request-method", "POST");
                let asked = asked.header("access-control-request-headers", "authorization,x-odd");
                let told = asked.send().await.unwrap();
                let headers = told.headers();
                let allowed = headers.get("access-control-allow-origin");
                let expected = offered && known && !settings.is_empty();
                assert_eq!(allowed.is_some(), expected, "{path} {origin}: {headers:?}");
                assert!(!headers.contains_key("access-control-allow-credentials"));
                let may = headers.get("access-control-allow-headers");
                let may = may.filter(|_| expected).map(|may| may.to_str().unwrap());
                let asked = expected.then_some("authorization,x-odd");
                assert_eq!(may, asked, "{path} {origin}");
                assert!(told.status().is_success() || !expected, "{path}");
            }
        }
        let url = format!("{}/v1/chat/completions", set.site.served.origin);
        let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
        let request = client.post(url).bearer_auth(&set.caller).body(body);
        let answer = request.header("origin", "https://page.example").send();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        let exposed = answer.headers().get("access-control-expose-headers");
        let exposed = exposed.map_or("", |value| value.to_str().unwrap());
        for name in [
            "x-request-id",
            "x-causeway-target",
            "retry-after",
            "ratelimit",
        ] {
            assert_eq!(
                exposed.contains(name),
                !settings.is_empty(),
                "{name}: {exposed}"
            );
        }
    }
}

#[tokio::test]
async fn a_key_may_come_as_each_protocols_clients_send_it() {
    let set = Set::start().await;
    set.model("m", to(&["ok"])).await;
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    let ask = async |query: &str, header: Option<(&str, &str)>| {
        let url = format!("{}/v1/chat/completions{query}", set.site.served.origin);
        let mut request = set.site.client.post(url).body(body.to_string());
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        request.send().await.unwrap().status().as_u16()
    };
    let key = set.caller.as_str();
    for name in ["x-api-key", "x-goog-api-key", "api-key"] {
        assert_eq!(ask("", Some((name, key))).await, 200, "{name}");
        assert_eq!(ask("", Some((name, "cw_not-a-key"))).await, 401, "{name}");
    }
    assert_eq!(ask(&format!("?key={key}"), None).await, 200);
    assert_eq!(ask("?key=cw_not-a-key", None).await, 401);
    assert_eq!(ask("", None).await, 401);
    // The provider sees its own key only.
    assert!(!set.upstream.keys().iter().any(|seen| seen.contains(key)));
}

#[tokio::test]
async fn models_are_listed_in_the_shape_of_whoever_asks() {
    let set = Set::start().await;
    set.model("m", to(&["ok"])).await;
    let ask = async |path: &str, header: Option<(&str, &str)>| -> (u16, Value) {
        let url = format!("{}/{path}", set.site.served.origin);
        let mut request = set.site.client.get(url).bearer_auth(&set.caller);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    };
    let version = ("anthropic-version", "2023-06-01");
    let get = async |path: &str, anthropic: bool| -> Value {
        let (status, said) = ask(path, anthropic.then_some(version)).await;
        assert_eq!(status, 200, "{path}");
        said
    };
    let listed = get("v1/models", false).await;
    assert_eq!(listed["object"], "list");
    let names = listed["data"].as_array().unwrap().iter();
    let names: Vec<&str> = names.map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["demo", "m"]);
    assert_eq!(get("v1/models/m", false).await["object"], "model");
    let listed = get("v1/models", true).await;
    assert_eq!(
        (&listed["first_id"], &listed["last_id"], &listed["has_more"]),
        (&json!("demo"), &json!("m"), &json!(false))
    );
    assert_eq!(listed["data"][1]["type"], "model");
    assert_eq!(get("v1/models/m", true).await["id"], "m");
    let listed = get("v1beta/models", false).await;
    assert_eq!(listed["models"][1]["name"], "models/m");
    let shown = get("v1beta/models/m", false).await;
    assert_eq!(shown["supportedGenerationMethods"][0], "generateContent");
    // Google's client asks at `/v1`, too, where it is told so.
    let google = Some(("x-goog-api-client", "google-genai-sdk/3.6.1"));
    let listed = ask("v1/models", google).await.1;
    assert_eq!(listed["models"][1]["name"], "models/m");
    assert_eq!(ask("v1/models/m", google).await.1["name"], "models/m");
    let (status, said) = ask("v1/models/none", google).await;
    assert_eq!(
        (status, &said["error"]["status"]),
        (404, &json!("NOT_FOUND"))
    );
    // What is kept at OpenAI is nothing that another vendor's client means.
    for path in ["v1/files", "v1/batches", "v1/files/file_1"] {
        let (status, said) = ask(path, google).await;
        let named = &said["error"]["status"];
        assert_eq!((status, named), (501, &json!("UNIMPLEMENTED")), "{path}");
        let (status, said) = ask(path, Some(version)).await;
        assert_eq!((status, &said["type"]), (501, &json!("error")), "{path}");
    }
}
