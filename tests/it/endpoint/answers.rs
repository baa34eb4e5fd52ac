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

#[tokio::test]
async fn what_is_read_through_the_link_counts_for_its_reader_and_its_tool() {
    let site = Site::with(Plan {
        settings: ServerSettings {
            answer_bytes_max: 64,
            limits: serde_json::from_value(json!([
                { "unit": "tokens", "amount": 400, "window": "hour", "scope": "tool" },
                { "unit": "requests", "amount": 3, "window": "hour", "scope": "key" },
            ]))
            .unwrap(),
            ..open()
        },
        ..Plan::default()
    })
    .await;
    let (uri, _) = linked(&site, &OWN, "2025-11-25").await;
    let read = async || {
        let params = json!({ "uri": uri });
        let sent = site.ask_with(&OWN, "2025-11-25", "resources/read", params);
        sent.reply().await.json()
    };
    let mut times = 0;
    let refused = loop {
        let reply = read().await;
        if reply.get("error").is_some() {
            break reply["error"].clone();
        }
        times += 1;
        assert!(times < 400, "nothing of what is read counts");
    };
    // Limits of calls are not about it.
    assert!(times > 3, "{refused}");
    let said = refused["message"].as_str().unwrap();
    let limit = "The limit of 400 tokens of answers an hour for this tool is used up.";
    assert!(said.starts_with(limit), "{said}");
    assert!(
        refused["data"]["causeway/retryAfter"].as_u64().unwrap() > 0,
        "{refused}"
    );
    let path = format!("/mcp/api/answers/{}", uri.rsplit('/').next().unwrap());
    let over_http = site.http("GET", &path).header("x-api-key", KEY_ALL);
    let over_http = over_http.send().await.unwrap();
    assert_eq!(over_http.status(), 429);
    assert!(over_http.headers().contains_key("retry-after"));
    for (tool, refused) in [("alpha", true), ("beta", false)] {
        let params = json!({ "name": tool, "arguments": { "q": "here" } });
        let result = site.ask_with(&OWN, "2025-11-25", "tools/call", params);
        let result = result.result().await;
        assert_eq!(result["isError"], refused, "{tool}: {result}");
    }
}

#[tokio::test]
async fn an_answer_counts_also_for_whoever_reads_it_over_http() {
    let site = Site::with(Plan {
        settings: ServerSettings {
            answer_bytes_max: 64,
            limits: serde_json::from_value(json!([
                { "unit": "tokens", "amount": 400, "window": "hour", "scope": "key" },
            ]))
            .unwrap(),
            ..open()
        },
        ..Plan::default()
    })
    .await;
    let (uri, _) = linked(&site, &OWN, MODERN).await;
    let path = format!("/mcp/api/answers/{}", uri.rsplit('/').next().unwrap());
    // Whoever asks what it is before they read it is given none of it.
    let ask = async |method: &str| {
        let request = site.http(method, &path).header("x-api-key", KEY_ALL);
        request.send().await.unwrap()
    };
    for _ in 0..400 {
        let head = ask("HEAD").await;
        assert_eq!(head.status(), 200);
        assert!(head.headers()["content-length"].to_str().unwrap() > "0");
    }
    let mut times = 0;
    loop {
        let request = site.http("GET", &path).header("x-api-key", KEY_ALL);
        match request.send().await.unwrap().status().as_u16() {
            200 => times += 1,
            429 => break,
            other => panic!("{other}"),
        }
        assert!(times < 400, "nothing of what is read counts");
    }
    assert!(times >= 1);
    assert_eq!(ask("HEAD").await.status(), 200);
    let refused: Value = ask("GET").await.json().await.unwrap();
    assert_eq!(refused["error"]["code"], -32_600, "{refused}");
    let wait = &refused["error"]["data"]["causeway/retryAfter"];
    assert!(wait.as_u64().unwrap() > 0, "{refused}");
}
