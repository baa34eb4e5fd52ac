//! Text that shows nothing never reaches a model: one hostile document, and every place of the
//! protocol a document's words come out of.

use causeway::mcp::tool::text::is_clean;
use serde_json::{Value, json};

use crate::endpoint::{MODERN, Plan, Site};

/// Bidirectional override, zero width, tag, terminal escape, private use, variation selector.
const HIDDEN: &str = "\u{202e}\u{200b}\u{e0041}\u{1b}[31m\u{e000}\u{fe0f}\u{e0101}\u{2066}";

/// `text` with hidden characters at its start, in its middle and at its end.
fn h(text: &str) -> String {
    let (head, tail) = text.split_at(text.len() / 2);
    format!("{HIDDEN}{head}{HIDDEN}{tail}{HIDDEN}")
}

fn document() -> Value {
    let schema = json!({
        "type": "object",
        "title": h("Order"),
        "description": h("An order of things."),
        "required": [h("kind"), "plain"],
        "properties": {
            h("kind"): { "type": "string", "enum": [h("small"), "large"], "default": h("small") },
            "plain": { "type": "string", "description": h("Plain words."), "const": h("fixed") },
            "matched": { "type": "string", "pattern": h("^[a-z]+$"), "format": h("slug") },
            "inner": { "$ref": format!("#/components/schemas/{}", h("Inner")) },
            "map": { "type": "object", "additionalProperties": { "description": h("Any.") } },
        },
        h("unknown"): h("value"),
    });
    let inner = json!({
        "type": "object",
        "properties": {
            "again": { "$ref": format!("#/components/schemas/{}", h("Inner")) },
            h("deep"): { "enum": [h("a"), h("b")], "description": h("Deep inside.") },
        },
    });
    json!({
        "openapi": "3.1.0",
        "info": { "title": h("Shop"), "version": h("1"), "description": h("Sells things.") },
        "servers": [{ "url": "https://shop.example", "description": h("Live") }],
        "tags": [{ "name": h("orders"), "description": h("All orders.") }],
        "paths": {
            (format!("/orders/{{{}}}", h("id"))): {
                "post": {
                    "operationId": h("placeOrder"),
                    "summary": h("Place an order"),
                    "description": format!("{}. {} must be set.", h("Places it"), h("The amount")),
                    "tags": [h("orders")],
                    "parameters": [
                        { "name": h("id"), "in": "path", "required": true,
                          "description": h("Which order."), "schema": { "type": "string" } },
                        { "name": h("mode"), "in": "query",
                          "schema": { "enum": [h("fast"), "slow"], "default": h("fast") } },
                    ],
                    "requestBody": { "description": h("What is ordered."), "content": {
                        "application/json": { "schema": schema } } },
                    "responses": { "200": { "description": h("Done."), "content": {
                        "application/json": { "schema": schema } } } },
                },
            },
        },
        "components": { "schemas": { h("Inner"): inner } },
    })
}

/// Where in an answer something shows other than it is written.
fn hidden(value: &Value, at: &str, found: &mut Vec<String>) {
    let fault = |text: &str| {
        let hides = !is_clean(text) || text.contains("[31m");
        hides.then(|| format!("{at}: {text:?}"))
    };
    match value {
        Value::String(text) => found.extend(fault(text)),
        Value::Array(members) => {
            for (index, member) in members.iter().enumerate() {
                hidden(member, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                found.extend(fault(key));
                hidden(member, &format!("{at}/{key}"), found);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn no_answer_holds_hidden_text() {
    let site = Site::with(Plan {
        document: Some(document()),
        ..Plan::default()
    })
    .await;
    let list = site.ask(MODERN, "tools/list", json!({})).result().await;
    let name = list["tools"][0]["name"].as_str().unwrap().to_owned();
    let call = json!({ "name": name, "arguments": { "mode": 1, "plain": HIDDEN } });
    let asked = [
        ("tools/list", json!({})),
        ("resources/list", json!({})),
        (
            "resources/read",
            json!({ "uri": "causeway://api/overview" }),
        ),
        (
            "resources/read",
            json!({ "uri": format!("causeway://api/tools/{name}") }),
        ),
        ("prompts/list", json!({})),
        ("prompts/get", json!({ "name": "start" })),
        ("tools/call", call),
    ];
    let mut found = Vec::new();
    for version in ["2024-11-05", "2025-06-18", "2025-11-25", MODERN] {
        for (method, params) in &asked {
            let reply = site.ask(version, method, params.clone()).result().await;
            hidden(&reply, &format!("{version} {method}"), &mut found);
        }
    }
    let discovered = site
        .ask(MODERN, "server/discover", json!({}))
        .result()
        .await;
    hidden(&discovered, "server/discover", &mut found);
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "t", "version": "1" } });
    let hello = site.ask("2025-11-25", "initialize", hello).result().await;
    hidden(&hello, "initialize", &mut found);
    assert!(found.is_empty(), "{}", found.join("\n"));

    // What shows is still there, and what cannot be repeated is not offered.
    let schema = &list["tools"][0]["inputSchema"];
    assert_eq!(hello["serverInfo"]["title"], "Shop");
    assert_eq!(schema["properties"]["mode"]["enum"], json!(["slow"]));
    assert!(schema["properties"]["mode"].get("default").is_none());
}
