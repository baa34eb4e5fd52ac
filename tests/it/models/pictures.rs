//! Forms with pictures are passed on: where to, with which model, and every other byte as it was.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::models::Set;

/// What a provider was sent: where, as what, and the body.
type Sent = Arc<Mutex<Vec<(String, String, Bytes)>>>;

async fn paint(
    State(sent): State<Sent>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Json<Value> {
    let kind = headers["content-type"].to_str().unwrap().to_owned();
    let mut sent = sent.lock().unwrap();
    sent.push((uri.path().to_owned(), kind, body));
    let usage = json!({ "input_tokens": 40, "output_tokens": 100, "total_tokens": 140 });
    Json(json!({ "created": 1, "data": [{ "b64_json": "AAAA" }], "usage": usage }))
}

/// A form with a picture, whose bytes are no text, and the name of a model.
fn form(model: &str) -> Vec<u8> {
    let picture = [
        0x89, b'P', b'N', b'G', 0, 0xff, 0xfe, b'\r', b'\n', b'-', b'-',
    ];
    let image = "Content-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\nContent-Type: image/png";
    let named = "Content-Disposition: form-data; name=\"model\"";
    let count = "Content-Disposition: form-data; name=\"n\"";
    [
        format!("--cut\r\n{image}\r\n\r\n").as_bytes(),
        &picture,
        format!("\r\n--cut\r\n{named}\r\n\r\n{model}\r\n--cut\r\n{count}\r\n\r\n2\r\n--cut--\r\n")
            .as_bytes(),
    ]
    .concat()
}

#[tokio::test]
async fn edits_and_variations_are_forms_that_only_change_the_models_name() {
    let set = Set::start().await;
    let sent = Sent::default();
    let router = Router::new()
        .route("/v1/images/edits", post(paint))
        .route("/v1/images/variations", post(paint))
        .with_state(sent.clone());
    let address = crate::egress::serve_local(router).await;
    for (name, kind) in [("painter", "openai-compatible"), ("talker", "groq")] {
        let provider = json!({
            "kind": kind,
            "parameters": { "base_url": format!("http://{address}/v1") },
            "allowUpstream": [address.to_string()],
        });
        let path = format!("providers/{name}");
        set.site.done("PUT", &path, provider).await;
    }
    let targets = json!([{ "provider": "painter", "model": "dall-e-2" }]);
    set.model("again", json!({ "targets": targets })).await;
    let targets = json!([{ "provider": "talker", "model": "dall-e-2" }]);
    set.model("no-painter", json!({ "targets": targets })).await;
    let ask = async |what: &str, model: &str| {
        let url = format!("{}/v1/images/{what}", set.site.served.origin);
        let request = set.site.client.post(url).bearer_auth(&set.caller);
        let request = request.header("content-type", "multipart/form-data; boundary=cut");
        let answer = request.body(form(model)).send().await.unwrap();
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.unwrap(),
        )
    };
    for what in ["edits", "variations"] {
        let (status, answer) = ask(what, "again").await;
        assert_eq!(
            (status, &answer["data"][0]["b64_json"]),
            (200, &json!("AAAA")),
            "{answer}"
        );
        let (path, kind, body) = sent.lock().unwrap().pop().unwrap();
        assert_eq!(path, format!("/v1/images/{what}"));
        assert_eq!(kind, "multipart/form-data; boundary=cut");
        assert_eq!(body, form("dall-e-2"));
    }
    // What it told that it used is in the ledger.
    let rows = set.rows(2).await;
    let used = rows.iter().map(|row| (row.tokens_input, row.tokens_output));
    assert_eq!(used.collect::<Vec<_>>(), [(Some(40), Some(100)); 2]);
    // A provider that has no such address is not asked, and that is said.
    let (status, answer) = ask("variations", "no-painter").await;
    let said = answer["error"]["message"].as_str().unwrap();
    assert_eq!(
        (status, &answer["error"]["code"]),
        (501, &json!("unsupported")),
        "{answer}"
    );
    assert!(
        said.contains("`no-painter`") && said.contains("`image-variations`"),
        "{said}"
    );
    assert!(sent.lock().unwrap().is_empty());
    // A form that names no model is not guessed about.
    let (status, answer) = ask("variations", "").await;
    assert_eq!(
        (status, &answer["error"]["param"]),
        (400, &json!("model")),
        "{answer}"
    );
}
