//! Pages of tools: in order, of the caller, and steady while the server is edited.

use causeway::mcp::server::{Access, ServerSettings};
use serde_json::{Value, json};

use crate::endpoint::{KEY_ALL, KEY_BETA, MODERN, Plan, Site, open};

fn names(list: &Value) -> Vec<&str> {
    let tools = list["tools"].as_array().unwrap();
    tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect()
}

async fn page(site: &Site, cursor: Option<&Value>) -> Value {
    let params = cursor.map_or(json!({}), |cursor| json!({ "cursor": cursor }));
    site.ask("2025-11-25", "tools/list", params).result().await
}

fn pages_of(tools_page_max: usize) -> ServerSettings {
    ServerSettings {
        tools_page_max,
        ..open()
    }
}

#[tokio::test]
async fn pages_hold_every_tool_once_and_in_order() {
    let tools = ["a", "b", "c", "d", "e"];
    for size in 1..=6 {
        let site = Site::with(Plan {
            tools: tools.to_vec(),
            settings: pages_of(size),
            ..Plan::default()
        })
        .await;
        let mut seen = Vec::new();
        let mut list = page(&site, None).await;
        loop {
            let found = names(&list);
            assert!((1..=size).contains(&found.len()), "{found:?}");
            seen.extend(found.into_iter().map(str::to_owned));
            match list.get("nextCursor").cloned() {
                Some(cursor) => list = page(&site, Some(&cursor)).await,
                None => break,
            }
        }
        assert_eq!(seen, tools, "pages of {size}");
    }
}

#[tokio::test]
async fn an_edit_between_two_pages_neither_skips_nor_repeats() {
    let edits: [(&[&str], &[&str]); 7] = [
        (&["a", "b", "c", "d"], &["c", "d"]),
        // The tool the cursor names is gone: its successor has moved into its place.
        (&["a", "c", "d"], &["c", "d"]),
        // One before it is gone, or new.
        (&["b", "c", "d"], &["c", "d"]),
        (&["0", "a", "b", "c", "d"], &["c", "d"]),
        // Both of the page are gone.
        (&["c", "d"], &["c", "d"]),
        // What came after it is gone; or all is, and there is something new.
        (&["a", "b"], &[]),
        (&["z"], &["z"]),
    ];
    for (after, expected) in edits {
        let site = Site::with(Plan {
            tools: vec!["a", "b", "c", "d"],
            settings: pages_of(2),
            ..Plan::default()
        })
        .await;
        let first = page(&site, None).await;
        assert_eq!(names(&first), ["a", "b"]);
        site.edit(after);
        let second = page(&site, Some(&first["nextCursor"])).await;
        assert_eq!(names(&second), expected, "{after:?}");
    }
}

#[tokio::test]
async fn forged_cursors_do_no_harm() {
    let site = Site::start().await;
    // 18446744073709551615:nobody
    let cursor = json!("MTg0NDY3NDQwNzM3MDk1NTE2MTU6bm9ib2R5");
    let list = page(&site, Some(&cursor)).await;
    assert_eq!(names(&list), [""; 0]);
    for cursor in ["x", "!!!!", "MTg0", "LTE6YQ"] {
        let reply = site.ask("2025-11-25", "tools/list", json!({ "cursor": cursor }));
        assert_eq!(reply.reply().await.fault(), (200, -32_602), "{cursor}");
    }
}

#[tokio::test]
async fn a_list_holds_what_its_caller_may_use() {
    let site = Site::with(Plan {
        settings: ServerSettings {
            access: Access::Key,
            tools_page_max: 2,
            ..ServerSettings::default()
        },
        ..Plan::default()
    })
    .await;
    for (key, pages) in [
        (KEY_ALL, vec![vec!["alpha", "beta"], vec!["gamma"]]),
        (KEY_BETA, vec![vec!["beta"]]),
    ] {
        let header = [("x-api-key", key)];
        let mut params = json!({});
        for (at, expected) in pages.iter().enumerate() {
            let list = site
                .ask_with(&header, MODERN, "tools/list", params.clone())
                .result()
                .await;
            assert_eq!(names(&list), *expected, "{key}");
            assert_eq!(list["cacheScope"], "private", "{key}");
            assert_eq!(
                list.get("nextCursor").is_some(),
                at + 1 < pages.len(),
                "{key}"
            );
            params = json!({ "cursor": list["nextCursor"] });
        }
    }
    let header = [("x-api-key", KEY_BETA)];
    let list = site
        .ask_with(&header, MODERN, "resources/list", json!({}))
        .result()
        .await;
    let text = list["resources"].to_string();
    assert!(
        text.contains("tools/beta") && !text.contains("alpha") && !text.contains("gamma"),
        "{text}"
    );
    let overview = async |key| {
        let uri = json!({ "uri": "causeway://api/overview" });
        let read = site.ask_with(&[("x-api-key", key)], MODERN, "resources/read", uri);
        let text = read.result().await["contents"][0]["text"].clone();
        text.as_str().unwrap().to_owned()
    };
    let lines = |text: &str| text.matches("\n- `").count();
    let (all, own) = (overview(KEY_ALL).await, overview(KEY_BETA).await);
    assert_eq!(lines(&all), 3, "{all}");
    assert!(lines(&own) == 1 && own.contains("\n- `beta`"), "{own}");
    assert!(own.contains("get it back"), "what the API is: {own}");
    for (name, code) in [("beta", None), ("alpha", Some(-32_602))] {
        let params = json!({ "name": name, "arguments": {} });
        let call = site
            .ask_with(&header, MODERN, "tools/call", params)
            .reply()
            .await
            .json();
        assert_eq!(call["error"]["code"].as_i64(), code, "{name}: {call}");
        let params = json!({ "uri": format!("causeway://api/tools/{name}") });
        let read = site
            .ask_with(&header, MODERN, "resources/read", params)
            .reply()
            .await
            .json();
        assert_eq!(read["error"]["code"].as_i64(), code, "{name}: {read}");
    }
}
