//! Providers that fail, that are slow, and that are left alone: how long they are waited for, and where requests go instead.

use serde_json::json;

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
