//! Answers that were too large: read by whoever got the link, as a resource and over HTTP.

use causeway::mcp::server::ServerSettings;
use serde_json::{Value, json};

use crate::endpoint::{KEY_ALL, KEY_BETA, MODERN, Plan, Site, open};

const OWN: [(&str, &str); 1] = [("x-api-key", KEY_ALL)];

async fn site() -> Site {
    Site::with(Plan {
        settings: ServerSettings {
            answer_bytes_max: 64,
            ..open()
        },
        ..Plan::default()
    })
    .await
}

/// The URI of the link in the result of a call whose answer is longer than its budget.
async fn linked(site: &Site, headers: &[(&str, &str)], version: &str) -> (String, Value) {
    let params = json!({"name": "alpha", "arguments": {"q": "here"}});
    let result = site
        .ask_with(headers, version, "tools/call", params)
        .result()
        .await;
    let link = result["content"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["type"] == "resource_link");
    let link = link.unwrap_or_else(|| unreachable!("no link in {result}"));
    assert!(link["size"].as_u64().unwrap() > 64, "{link}");
    (link["uri"].as_str().unwrap().to_owned(), result)
}

#[tokio::test]
async fn the_whole_answer_is_read_by_whoever_got_the_link() {
    let site = site().await;
    for version in ["2025-06-18", MODERN] {
        let (uri, result) = linked(&site, &OWN, version).await;
        assert!(uri.starts_with("causeway://api/answers/"), "{uri}");
        let cut = result["content"][0]["text"].as_str().unwrap();
        assert!(cut.len() <= 64, "{cut}");
        let read = json!({ "uri": uri });
        let whole = site
            .ask_with(&OWN, version, "resources/read", read.clone())
            .result()
            .await;
        assert_eq!(whole["contents"][0]["uri"], uri);
        let text = whole["contents"][0]["text"].as_str().unwrap();
        assert!(text.contains("/alpha?q=here"), "{text}");
        if version == MODERN {
            assert_eq!(whole["cacheScope"], "private");
        }
        for headers in [&[("x-api-key", KEY_BETA)][..], &[]] {
            let reply = site
                .ask_with(headers, version, "resources/read", read.clone())
                .reply()
                .await;
            assert!(
                reply.json()["error"]["message"] == "resource not found",
                "{}",
                reply.text
            );
        }
    }
}

#[tokio::test]
async fn over_http_it_is_a_file_and_nothing_else() {
    let site = site().await;
    let (uri, _) = linked(&site, &OWN, "2025-06-18").await;
    let id = uri.rsplit('/').next().unwrap();
    let path = format!("/mcp/api/answers/{id}");
    let response = site
        .http("GET", &path)
        .header("x-api-key", KEY_ALL)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    for (name, value) in [
        ("content-disposition", "attachment; filename=\"answer\""),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(response.headers()[name], value);
    }
    assert!(response.text().await.unwrap().contains("/alpha?q=here"));
    for (path, key, status) in [
        (path.as_str(), KEY_BETA, 404),
        (path.as_str(), "wrong", 401),
        ("/mcp/api/answers/nothing", KEY_ALL, 404),
        (
            "/mcp/api/answers/01900000-0000-7000-8000-000000000001",
            KEY_ALL,
            404,
        ),
        (&format!("/mcp/other/answers/{id}"), KEY_ALL, 404),
    ] {
        let response = site
            .http("GET", path)
            .header("x-api-key", key)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), status, "{path} {key}");
    }
    let anonymous = site.http("GET", &path).send().await.unwrap();
    assert_eq!(
        anonymous.status(),
        404,
        "open to all, but nobody else's answers"
    );
}
