//! A server whose tools are searched: what is listed, what is found, and for whom.

use causeway::access::ledger::LedgerStatus;
use causeway::mcp::server::{Access, ServerSettings, ToolsMode};
use serde_json::{Value, json};

use crate::endpoint::{KEY_ALL, KEY_BETA, MODERN, Plan, Site, open};

fn searched(settings: ServerSettings) -> Plan {
    Plan {
        settings: ServerSettings {
            tools: ToolsMode::Search,
            ..settings
        },
        ..Plan::default()
    }
}

fn names(tools: &Value) -> Vec<&str> {
    let tools = tools.as_array().unwrap();
    tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect()
}

async fn call(site: &Site, key: &str, name: &str, arguments: Value) -> Value {
    let params = json!({ "name": name, "arguments": arguments });
    let header = [("x-api-key", key)];
    site.ask_with(&header, MODERN, "tools/call", params)
        .result()
        .await
}

#[tokio::test]
async fn three_tools_stand_for_all() {
    let site = Site::with(searched(open())).await;
    for version in ["2024-11-05", "2025-11-25", MODERN] {
        let list = site.ask(version, "tools/list", json!({})).result().await;
        let tools = &list["tools"];
        assert_eq!(names(tools), ["search_tools", "describe_tool", "call_tool"]);
        assert_eq!(tools[0]["annotations"]["readOnlyHint"], true);
        assert_eq!(tools[2]["annotations"]["readOnlyHint"], false);
        assert!(list.get("nextCursor").is_none());
    }
    let found = call(&site, "", "search_tools", json!({ "query": "echoes beta" })).await;
    let found = &found["structuredContent"];
    assert_eq!(names(&found["tools"])[0], "beta", "{found}");
    assert_eq!(found["tools"][0]["arguments"], "q, _fields");
    assert_eq!(found["confident"], true);
    let nothing = json!({ "query": "bake a chocolate cake" });
    let nothing = call(&site, "", "search_tools", nothing).await;
    assert_eq!(
        nothing["structuredContent"]["confident"], false,
        "{nothing}"
    );
    assert!(nothing["structuredContent"]["note"].is_string());
    let described = call(&site, "", "describe_tool", json!({ "names": ["beta"] })).await;
    let schema = &described["structuredContent"]["tools"][0]["inputSchema"];
    assert_eq!(schema["properties"]["q"]["maxLength"], 5);
    let arguments = json!({ "name": "beta", "arguments": { "q": "x" } });
    let answer = call(&site, "", "call_tool", arguments).await;
    assert_eq!(answer["isError"], false, "{answer}");
    assert!(answer["content"].to_string().contains("/beta"), "{answer}");
    // By its own name, too.
    let direct = call(&site, "", "beta", json!({ "q": "x" })).await;
    assert_eq!(direct["isError"], false);
    let wrong = call(&site, "", "call_tool", json!({ "nme": "beta" })).await;
    assert_eq!(wrong["isError"], true);
}

#[tokio::test]
async fn the_ledger_hears_of_searches_and_of_the_tool_that_was_called() {
    let mut site = Site::with(searched(open())).await;
    let one = json!({ "names": ["beta"] });
    let none = json!({ "names": ["nobody"] });
    let beta = json!({ "name": "beta", "arguments": { "q": "x" } });
    let nobody = json!({ "name": "nobody", "arguments": {} });
    for (tool, arguments, entered, status, upstream) in [
        (
            "search_tools",
            json!({ "query": "b" }),
            "search_tools",
            LedgerStatus::Ok,
            None,
        ),
        (
            "search_tools",
            json!({}),
            "search_tools",
            LedgerStatus::ToolError,
            None,
        ),
        (
            "describe_tool",
            one,
            "describe_tool",
            LedgerStatus::Ok,
            None,
        ),
        (
            "describe_tool",
            none,
            "describe_tool",
            LedgerStatus::ToolError,
            None,
        ),
        ("call_tool", beta, "beta", LedgerStatus::Ok, Some(200)),
        (
            "call_tool",
            nobody,
            "call_tool",
            LedgerStatus::ToolError,
            None,
        ),
    ] {
        let sent = arguments.to_string();
        call(&site, KEY_ALL, tool, arguments).await;
        let entry = site.ledger.try_recv().unwrap();
        assert_eq!((entry.called.name(), entry.status), (entered, status));
        assert_eq!(entry.upstream_status, upstream, "{entered}");
        assert_eq!(entry.attempts, u32::from(upstream.is_some()));
        assert!(entry.caller.key.is_some());
        assert!(upstream.is_some() || entry.request_bytes == sent.len() as u64);
        assert!(site.ledger.try_recv().is_err(), "one entry a call");
    }
}

#[tokio::test]
async fn a_search_has_pages() {
    let site = Site::with(searched(open())).await;
    let mut seen = Vec::new();
    let mut page = json!(1);
    while page.is_u64() {
        let query = json!({ "query": "echoes", "limit": 1, "page": page });
        let found = call(&site, "", "search_tools", query).await;
        let found = &found["structuredContent"];
        assert_eq!(found["tools"].as_array().unwrap().len(), 1, "{found}");
        seen.extend(names(&found["tools"]).into_iter().map(str::to_owned));
        page = found["nextPage"].clone();
    }
    seen.sort();
    assert_eq!(seen, ["alpha", "beta", "gamma"]);
}

#[tokio::test]
async fn what_a_caller_may_not_use_is_not_there() {
    let site = Site::with(searched(ServerSettings {
        access: Access::Key,
        ..ServerSettings::default()
    }))
    .await;
    let found = call(
        &site,
        KEY_BETA,
        "search_tools",
        json!({ "query": "echoes" }),
    )
    .await;
    assert_eq!(names(&found["structuredContent"]["tools"]), ["beta"]);
    let all = call(&site, KEY_ALL, "search_tools", json!({ "query": "echoes" })).await;
    assert_eq!(
        all["structuredContent"]["tools"].as_array().unwrap().len(),
        3
    );
    for (tool, arguments) in [
        ("describe_tool", json!({ "names": ["NAME"] })),
        ("call_tool", json!({ "name": "NAME", "arguments": {} })),
    ] {
        let ask = async |name: &str| {
            let text = arguments.to_string().replace("NAME", name);
            let answer = call(&site, KEY_BETA, tool, serde_json::from_str(&text).unwrap()).await;
            answer.to_string().replace(name, "NAME")
        };
        let (denied, unknown) = (ask("alpha").await, ask("nobody").await);
        assert_eq!(denied, unknown, "{tool}");
        assert!(denied.contains("\"isError\":true"), "{denied}");
    }
}

#[tokio::test]
async fn many_tools_are_searched_and_few_are_listed() {
    let auto = |list_tokens_max| ServerSettings {
        tools: ToolsMode::Auto,
        list_tokens_max,
        ..open()
    };
    let many: Vec<&'static str> = (0..129)
        .map(|n| &*Box::leak(format!("tool{n}").into_boxed_str()))
        .collect();
    for (tools, settings, listed) in [
        (vec!["a", "b"], auto(25_000), 2),
        (vec!["a", "b"], auto(50), 3),
        (many[..128].to_vec(), auto(1_000_000), 128),
        (many.clone(), auto(1_000_000), 3),
        (many.clone(), open(), 129),
    ] {
        let site = Site::with(Plan {
            tools,
            settings,
            ..Plan::default()
        })
        .await;
        let list = site.ask(MODERN, "tools/list", json!({})).result().await;
        assert_eq!(list["tools"].as_array().unwrap().len(), listed);
    }
}

#[tokio::test]
async fn a_name_an_operation_has_is_left_to_it() {
    let site = Site::with(Plan {
        tools: vec!["search_tools", "Call_Tool"],
        ..searched(open())
    })
    .await;
    let list = site.ask(MODERN, "tools/list", json!({})).result().await;
    let expected = ["search_tools_2", "describe_tool", "call_tool_2"];
    assert_eq!(names(&list["tools"]), expected);
    let own = call(&site, "", "search_tools", json!({ "q": "x" })).await;
    assert_eq!(own["isError"], false, "{own}");
}

#[test]
fn servers_stored_before_there_was_a_choice_list_everything() {
    let stored: ServerSettings = serde_json::from_str(r#"{"access":"key"}"#).unwrap();
    assert_eq!(stored.tools, ToolsMode::All);
}

#[tokio::test]
async fn lists_are_written_for_the_client_that_asks() {
    let required = |list: &Value| list["tools"][0]["inputSchema"]["required"].clone();
    let site = Site::start().await;
    for (client, strict) in [
        ("openai-mcp", true),
        ("ChatGPT", true),
        ("claude-code", false),
        ("some-editor", false),
    ] {
        let info =
            json!({ "io.modelcontextprotocol/clientInfo": { "name": client, "version": "1" } });
        let list = site
            .ask(MODERN, "tools/list", json!({ "_meta": info }))
            .result()
            .await;
        let expected = if strict {
            json!(["q", "_fields"])
        } else {
            Value::Null
        };
        assert_eq!(required(&list), expected, "{client}");
    }
    let site = Site::with(Plan {
        settings: serde_json::from_value(json!({ "access": "open", "profile": "openai-strict" }))
            .unwrap(),
        ..Plan::default()
    })
    .await;
    let list = site
        .ask("2025-11-25", "tools/list", json!({}))
        .result()
        .await;
    assert_eq!(required(&list), json!(["q", "_fields"]));
    // `null` for what is left out is what the strict shape sends.
    let absent = call(&site, "", "alpha", json!({ "q": null, "_fields": null })).await;
    assert_eq!(absent["isError"], false, "{absent}");
}
