//! Every protocol version: handshake, lists, calls, and what only some of them have.

use serde_json::{Value, json};

use crate::endpoint::{HANDSHAKES, MODERN, Site};

#[tokio::test]
async fn every_handshake_version_is_spoken() {
    let site = Site::start().await;
    for version in HANDSHAKES {
        let params = json!({
            "protocolVersion": version,
            "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
        let reply = site.post(&[], body.to_string()).reply().await;
        assert_eq!(
            reply.header("mcp-session-id"),
            "",
            "sessions are off by default"
        );
        let result = &reply.json()["result"];
        assert_eq!(result["protocolVersion"], version);
        assert_eq!(result["serverInfo"]["name"], "api");
        // A client without a stream is not promised notices it would never get.
        assert_eq!(result["capabilities"]["tools"], json!({}));
        assert!(result["capabilities"].get("logging").is_none());
        assert!(result["instructions"].as_str().unwrap().contains("Echo"));

        let list = site.ask(version, "tools/list", json!({})).result().await;
        assert_eq!(list["tools"].as_array().unwrap().len(), 3);
        for modern in ["ttlMs", "cacheScope", "resultType", "_meta"] {
            assert!(list.get(modern).is_none(), "{version}: {modern}");
        }
        let tool = &list["tools"][0];
        let structured = version >= "2025-06-18";
        assert_eq!(tool.get("outputSchema").is_some(), structured, "{version}");
        assert_eq!(tool["inputSchema"]["type"], "object");
        assert_eq!(tool["annotations"]["readOnlyHint"], true);

        let call = json!({ "name": "beta", "arguments": { "q": "x" } });
        let result = site.ask(version, "tools/call", call).result().await;
        let text: Value =
            serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text["uri"], "/beta?q=x");
        assert_eq!(result["isError"], false);
        assert_eq!(
            result.get("structuredContent").is_some(),
            structured,
            "{version}"
        );

        assert_eq!(
            site.ask(version, "ping", json!({})).result().await,
            json!({})
        );
        let discover = site
            .ask(version, "server/discover", json!({}))
            .reply()
            .await;
        assert_eq!(discover.fault(), (200, -32_601), "{version}");
        let watch = site.ask(version, "resources/subscribe", json!({ "uri": "a:b" }));
        assert_eq!(watch.reply().await.fault(), (200, -32_601), "{version}");
    }
}

#[tokio::test]
async fn the_stateless_version_is_spoken() {
    let site = Site::start().await;
    let result = site
        .ask(MODERN, "server/discover", json!({}))
        .result()
        .await;
    assert_eq!(result["supportedVersions"][0], MODERN);
    assert_eq!(result["supportedVersions"].as_array().unwrap().len(), 5);
    assert_eq!(
        result["capabilities"]["tools"],
        json!({ "listChanged": true })
    );
    let info = "/_meta/io.modelcontextprotocol~1serverInfo/name";
    for (method, params) in [
        ("server/discover", json!({})),
        ("tools/list", json!({})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("prompts/list", json!({})),
        (
            "resources/read",
            json!({ "uri": "causeway://api/overview" }),
        ),
    ] {
        let result = site.ask(MODERN, method, params).result().await;
        assert_eq!(result["resultType"], "complete", "{method}");
        assert!(result["ttlMs"].is_u64(), "{method}");
        assert_eq!(result["cacheScope"], "public", "{method}");
        assert_eq!(result.pointer(info), Some(&json!("api")), "{method}");
    }
    let call = json!({ "name": "alpha", "arguments": {} });
    let result = site.ask(MODERN, "tools/call", call).result().await;
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["structuredContent"]["method"], "GET");
    assert_eq!(result.pointer(info), Some(&json!("api")));
    for gone in [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "no/such",
    ] {
        let reply = site.ask(MODERN, gone, json!({})).reply().await;
        assert_eq!(reply.fault(), (404, -32_601), "{gone}");
    }
}

#[tokio::test]
async fn an_unknown_version_is_negotiated_or_refused() {
    let site = Site::start().await;
    for asked in ["2099-01-01", "1.0", MODERN] {
        let params = json!({ "protocolVersion": asked, "capabilities": {} });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
        let reply = site.post(&[], body.to_string()).reply().await.json();
        assert_eq!(reply["result"]["protocolVersion"], "2025-11-25", "{asked}");
    }
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let reply = site
        .post(&[("mcp-protocol-version", "2099-01-01")], list)
        .reply()
        .await;
    assert_eq!(reply.fault(), (400, -32_022));
    assert_eq!(reply.json()["error"]["data"]["requested"], "2099-01-01");
    let supported = &reply.json()["error"]["data"]["supported"];
    assert_eq!(
        supported,
        &json!([
            MODERN,
            "2025-11-25",
            "2025-06-18",
            "2025-03-26",
            "2024-11-05"
        ])
    );
    // The stateless version in the header alone says that the body was left out.
    let reply = site
        .post(&[("mcp-protocol-version", MODERN)], list)
        .reply()
        .await;
    assert_eq!(reply.fault(), (400, -32_602));
}

#[tokio::test]
async fn what_a_tool_is_asked_wrongly_is_told_in_the_right_place() {
    let site = Site::start().await;
    for version in HANDSHAKES.into_iter().chain([MODERN]) {
        let unknown = json!({ "name": "nobody", "arguments": {} });
        let reply = site.ask(version, "tools/call", unknown).reply().await;
        assert_eq!(reply.fault(), (200, -32_602), "{version}");
        assert_eq!(reply.json()["error"]["message"], "Unknown tool: nobody");
        for wrong in [
            json!({ "q": 5 }),
            json!({ "q": "longer" }),
            json!({ "p": 1 }),
        ] {
            let params = json!({ "name": "alpha", "arguments": wrong });
            let result = site.ask(version, "tools/call", params).result().await;
            assert_eq!(result["isError"], true, "{version}: {wrong}");
            assert!(result.get("structuredContent").is_none());
        }
        let missing = json!({ "uri": "causeway://api/nothing" });
        let reply = site.ask(version, "resources/read", missing).reply().await;
        let code = if version == MODERN { -32_602 } else { -32_002 };
        assert_eq!(reply.fault(), (200, code), "{version}");
        let reply = site
            .ask(version, "prompts/get", json!({ "name": "nothing" }))
            .reply()
            .await;
        assert_eq!(reply.fault(), (200, -32_602), "{version}");
        for list in [
            "tools/list",
            "prompts/list",
            "resources/list",
            "resources/templates/list",
        ] {
            let reply = site
                .ask(version, list, json!({ "cursor": "%" }))
                .reply()
                .await;
            assert_eq!(reply.fault(), (200, -32_602), "{version} {list}");
            let first = site
                .ask(version, list, json!({ "cursor": "" }))
                .reply()
                .await;
            assert_eq!(first.status, 200, "an empty cursor is the beginning");
        }
    }
}

#[tokio::test]
async fn the_documentation_is_there_to_read() {
    let site = Site::start().await;
    let list = site
        .ask("2025-11-25", "resources/list", json!({}))
        .result()
        .await;
    let resources = list["resources"].as_array().unwrap();
    assert_eq!(resources.len(), 4, "an overview and a page per tool");
    for resource in resources {
        let params = json!({ "uri": resource["uri"] });
        let read = site
            .ask("2025-11-25", "resources/read", params)
            .result()
            .await;
        assert_eq!(read["contents"][0]["uri"], resource["uri"]);
        assert_eq!(read["contents"][0]["mimeType"], "text/markdown");
        assert!(read["contents"][0]["text"].as_str().unwrap().len() > 10);
    }
    let early = site
        .ask("2025-03-26", "resources/list", json!({}))
        .result()
        .await;
    assert!(early["resources"][0].get("title").is_none());
    let argument = json!({ "name": "task", "value": "a" });
    let reference = json!({ "type": "ref/prompt", "name": "start" });
    let params = json!({ "ref": reference, "argument": argument });
    let result = site
        .ask("2025-11-25", "completion/complete", params)
        .result()
        .await;
    assert_eq!(result["completion"]["values"], json!([]));
}
