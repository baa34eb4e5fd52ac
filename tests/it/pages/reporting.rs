//! What is found in a document is told where its owner looks: by the API and on the page.

use serde_json::{Value, json};

use crate::pages::{csrf, serve_with};

#[test]
fn a_pattern_that_nobody_checks_and_a_server_that_nobody_finds_are_told() {
    let served = serve_with(&["--no-demo"]);
    let cookie = served.sign_in();
    let token = csrf(&served.get("/publish", &cookie));
    let ask = |method: &str, path: &str, body: &Value| {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nContent-Type: application/json\r\nCookie: {cookie}\r\nX-CSRF-Token: {token}"
        );
        let answer = served.ask(&head, &body.to_string());
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str::<Value>(body).unwrap_or(json!(answer))
    };
    let name = json!({
        "name": "name", "in": "path", "required": true,
        "schema": { "type": "string", "pattern": "^(?!x)a+$" },
    });
    let document = json!({
        "openapi": "3.1.0", "info": { "title": "Odd", "version": "1" },
        "servers": [{ "url": "/v1" }],
        "paths": { "/names/{name}": { "get": { "operationId": "named", "parameters": [name] } } },
    });
    let made = ask(
        "POST",
        "/api/v1/servers",
        &json!({ "slug": "odd", "document": document }),
    );
    assert_eq!(made["report"]["warnings"], 2, "{made}");
    let codes = || -> Vec<(String, String)> {
        let report = ask("GET", "/api/v1/servers/odd/report", &Value::Null);
        let findings = report["findings"].as_array().unwrap().clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let pair = |finding: &Value| (text(&finding["code"]), text(&finding["pointer"]));
        findings.iter().map(pair).collect()
    };
    let place = "/paths/~1names~1{name}/get".to_owned();
    let unchecked = ("schema-not-checked".to_owned(), place.clone());
    let nowhere = ("server-unresolvable".to_owned(), place);
    assert_eq!(codes(), [unchecked.clone(), nowhere]);
    let page = served.get("/servers/odd/report", &cookie);
    for words in ["schema-not-checked", "^(?!x)a+$", "server-unresolvable"] {
        assert!(page.contains(words), "{words} is not in {page}");
    }
    // The owner did what was asked for.
    let upstream = json!({ "upstream": "https://api.example.com" });
    ask("PATCH", "/api/v1/servers/odd", &upstream);
    assert_eq!(codes(), [unchecked]);
    assert!(
        !served
            .get("/servers/odd/report", &cookie)
            .contains("server-unresolvable")
    );
}
