//! An answer that was kept, sent on as a file of another call.

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use causeway::credential::Credentials;
use causeway::mcp::provider::Content;
use causeway::mcp::server::{Access, ServerSettings};
use serde_json::json;

use crate::answers::texts;
use crate::call::Bench;
use crate::egress::serve_local;

/// More than fits into a result.
const SIZE: usize = 1 << 20;

#[tokio::test]
async fn a_link_to_an_answer_is_sent_as_the_file_it_is() {
    let photo = async || ([("content-type", "image/png")], vec![7_u8; SIZE]);
    let count = async |body: Bytes| {
        let sent = body
            .windows(SIZE)
            .any(|window| window.iter().all(|byte| *byte == 7));
        axum::Json(json!({ "whole": sent, "bytes": body.len() }))
    };
    let router = Router::new()
        .route("/photo", get(photo))
        .route("/photos", post(count));
    let origin = format!("http://{}", serve_local(router).await);
    let document = json!({
        "openapi": "3.1.0",
        "info": {"title": "Photos", "version": "1"},
        "servers": [{"url": origin}],
        "paths": {
            "/photo": {"get": {"operationId": "photo", "responses": {"200": {"description": "ok",
                "content": {"image/png": {}}}}}},
            "/photos": {"post": {"operationId": "add", "requestBody": {"required": true, "content":
                {"multipart/form-data": {"schema": {"type": "object", "required": ["file"], "properties":
                    {"file": {"type": "string", "contentMediaType": "application/octet-stream"}}}}}},
                "responses": {"200": {"description": "ok"}}}},
        },
    });
    let bench = Bench::local();
    let settings = ServerSettings {
        access: Access::Open,
        ..ServerSettings::default()
    };
    let server = bench.server_with(&document, Credentials::default(), settings);
    let photo = bench.call(&server, "photo", json!({})).await.unwrap();
    let link = photo.content.iter().find_map(|content| match content {
        Content::Link { uri, .. } => Some(uri.clone()),
        _ => None,
    });
    let link = link.expect("a link to what does not fit");
    let sent = bench.call(&server, "add", json!({ "file": link })).await;
    let sent = sent.unwrap();
    assert!(
        !sent.is_error && texts(&sent)[0].contains("\"whole\":true"),
        "{sent:?}"
    );
    let gone = format!("{link}0");
    let refused = bench.call(&server, "add", json!({ "file": gone })).await;
    let refused = refused.unwrap();
    assert!(
        refused.is_error && texts(&refused)[0].contains("`file`"),
        "{refused:?}"
    );
}
