//! Who asks too often is told to wait.

use serde_json::{Value, json};

use crate::managing::Site;

const SLOW: [(&str, &str); 2] = [
    ("CAUSEWAY__LIMITS__MANAGEMENT_REQUESTS_PER_SECOND", "1"),
    ("CAUSEWAY__LIMITS__MANAGEMENT_BURST", "3"),
];

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let site = Site::start(&SLOW).await;
    let mut over = None;
    for _ in 0..30 {
        let answer = site.ask(("GET", "keys"), &Value::Null).await;
        if answer.status != 200 {
            over = Some(answer);
            break;
        }
    }
    let over = over.expect("a request above the limit");
    assert_eq!(over.status, 429, "{over:?}");
    assert_eq!(over.header("content-type"), "application/problem+json");
    assert_eq!(over.header("retry-after"), "1");
    assert_eq!(over.header("ratelimit-policy"), "\"key\";q=1;w=1");
    assert!(over.header("ratelimit").starts_with("\"key\";r=0;t="));
    assert_eq!(over.body["status"], 429);
    // A stranger has a pace of its own, and so has whoever tries keys.
    let stranger = site.send(("GET", "servers"), &[], String::new()).await;
    assert_eq!(stranger.status, 200, "{stranger:?}");
    let mut tried = Vec::new();
    while tried.len() < 30 && !tried.contains(&429) {
        let wrong = [("x-api-key", "cw_wrong")];
        tried.push(
            site.send(("GET", "keys"), &wrong, String::new())
                .await
                .status,
        );
    }
    assert!(tried.contains(&401) && tried.contains(&429), "{tried:?}");
}

#[tokio::test]
async fn the_command_line_waits_for_its_turn() {
    let site = Site::start(&SLOW).await;
    for number in 0..5 {
        let name = format!("agent-{number}");
        let command = ["keys", "create", &name];
        let made = site.served.command(crate::managing::ADMIN, &command).await;
        assert_eq!(made.code, Some(0), "{made:?}");
    }
}

#[tokio::test]
async fn strangers_have_one_ceiling_whichever_way_they_call() {
    // This machine itself has no ceiling: a proxy on it says who calls.
    let site = Site::start(&[
        ("CAUSEWAY__LIMITS__ADDRESS_REQUESTS_PER_MINUTE", "3"),
        ("CAUSEWAY__SERVER__TRUSTED_PROXIES", "127.0.0.1/32"),
    ])
    .await;
    let call = async |address: &str| {
        let headers = [
            ("x-forwarded-for", address),
            ("content-type", "application/json"),
        ];
        let body = json!({ "arguments": {} }).to_string();
        let path = ("POST", "servers/petstore/tools/listPets/call");
        site.send(path, &headers, body).await
    };
    for _ in 0..3 {
        assert_eq!(call("203.0.113.9").await.status, 200);
    }
    let over = call("203.0.113.9").await;
    assert_eq!(over.status, 429, "{over:?}");
    assert_eq!(over.header("content-type"), "application/problem+json");
    assert!(over.header("retry-after").parse::<u64>().unwrap() >= 1);
    // The same count as that of MCP.
    let headers = [
        ("x-forwarded-for", "203.0.113.9"),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ];
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} });
    let url = format!("{}/mcp/petstore", site.served.origin);
    let listed = site.send(("POST", &url), &headers, list.to_string()).await;
    assert_eq!(listed.status, 429, "{listed:?}");
    assert_eq!(call("203.0.113.10").await.status, 200);
}
