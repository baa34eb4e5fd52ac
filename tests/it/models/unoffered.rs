//! What is not offered is named, with the status that says so, and no client asks for it a second time.

use serde_json::{Value, json};

use crate::models::Set;

#[tokio::test]
async fn what_is_not_offered_is_named_and_not_asked_for_again() {
    let set = Set::start().await;
    let talker = json!({ "kind": "groq", "allowUpstream": [] });
    set.site.done("PUT", "providers/talker", talker).await;
    let targets = json!([{ "provider": "talker", "model": "m" }]);
    set.model("talks", json!({ "targets": targets })).await;
    for (path, named) in [
        ("v1/images/generations", "`images`"),
        ("v1/rerank", "`rerank`"),
        ("v1/fine_tuning/jobs", "/v1/fine_tuning/jobs"),
        ("v1beta/models/talks:embedContent", "`embedContent`"),
        ("v1beta/cachedContents", "POST /v1beta/cachedContents"),
        ("v1/messages/batches", "POST /v1/messages/batches"),
        ("v1/batches", "no provider keeps batches"),
        ("v1/files", "no provider keeps files"),
    ] {
        let url = format!("{}/{path}", set.site.served.origin);
        let request = set.site.client.post(url).bearer_auth(&set.caller);
        let body = json!({ "model": "talks", "prompt": "a", "query": "a", "documents": ["b"] });
        let answer = request.body(body.to_string()).send().await.unwrap();
        let again = answer.headers().get("x-should-retry").cloned();
        let status = answer.status().as_u16();
        let said: Value = answer.json().await.unwrap();
        assert_eq!(status, 501, "{path}: {said}");
        assert_eq!(again.unwrap(), "false", "{path}");
        let message = said["error"]["message"].as_str().unwrap();
        assert!(message.contains(named), "{path}: {message}");
        // In the form of the protocol whose address it is.
        let form = match path.split_once("messages/") {
            Some(_) => said["type"].clone(),
            None => said["error"]["status"].clone(),
        };
        let expected = match path {
            "v1/messages/batches" => json!("error"),
            path if path.starts_with("v1beta") => json!("UNIMPLEMENTED"),
            _ => json!(null),
        };
        assert_eq!(form, expected, "{path}: {said}");
    }
}

#[tokio::test]
async fn a_method_that_is_not_offered_is_refused_in_the_words_of_the_protocol() {
    let set = Set::start().await;
    for (method, path, version, status, place, word) in [
        (
            "GET",
            "v1/chat/completions",
            false,
            405,
            "/error/type",
            "invalid_request_error",
        ),
        (
            "DELETE",
            "v1/models",
            false,
            405,
            "/error/type",
            "invalid_request_error",
        ),
        (
            "GET",
            "v1/embeddings",
            false,
            405,
            "/error/type",
            "invalid_request_error",
        ),
        ("GET", "v1/messages", false, 405, "/type", "error"),
        ("DELETE", "v1/models", true, 405, "/type", "error"),
        (
            "DELETE",
            "v1beta/models/m",
            false,
            405,
            "/error/status",
            "INVALID_ARGUMENT",
        ),
        ("POST", "v1/complete", true, 501, "/type", "error"),
        ("GET", "v1/skills", true, 501, "/type", "error"),
        (
            "POST",
            "v1/complete",
            false,
            501,
            "/error/code",
            "unsupported",
        ),
    ] {
        let url = format!("{}/{path}", set.site.served.origin);
        let mut request = set.site.client.request(method.parse().unwrap(), url);
        if version {
            request = request.header("anthropic-version", "2023-06-01");
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
        assert_eq!(answer.headers()["content-type"], "application/json");
        let allows = answer.headers().contains_key("allow");
        assert_eq!(allows, status == 405, "{method} {path}");
        let said: Value = answer.json().await.unwrap();
        assert_eq!(said.pointer(place), Some(&json!(word)), "{path}: {said}");
        let message = said["error"]["message"].as_str().unwrap();
        assert!(message.contains(method), "{path}: {message}");
        if path.starts_with("v1beta") {
            assert_eq!(said["error"]["code"], 405, "{said}");
        }
    }
}
