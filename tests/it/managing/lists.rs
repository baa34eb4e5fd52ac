//! Every list comes in pages, as the document of the API says.

use std::time::Duration;

use serde_json::{Value, json};

use crate::managing::{ADMIN, Site};

/// Answers with arrays that are no lists of rows.
const NO_LISTS: [(&str, &str); 19] = [
    (
        "/api/v1/models/{name}/canary",
        "a comparison of at most 20 arms",
    ),
    (
        "/api/v1/users/{name}/export",
        "all of one person, as a file",
    ),
    (
        "/api/v1/consumers/{name}/export",
        "all of one consumer, as a file",
    ),
    ("/api/v1/openapi.json", "a document"),
    ("/api/v1/doctor", "always the same checks"),
    (
        "/api/v1/usage",
        "sums, of at most 1,000 steps and 50 groups",
    ),
    ("/api/v1/usage.json", "a file, bounded like the sums"),
    (
        "/api/v1/model-usage",
        "sums, of at most 1,000 steps and 50 groups",
    ),
    ("/api/v1/model-usage.json", "a file, bounded like the sums"),
    ("/api/v1/ledger.csv", "a file, as the next"),
    (
        "/api/v1/ledger.json",
        "a file of `limit` rows, which goes on after `after`",
    ),
    ("/api/v1/consumers/{name}", "one consumer"),
    ("/api/v1/issuers/{name}", "one issuer"),
    ("/api/v1/plans/{name}", "one plan"),
    ("/api/v1/providers/{name}", "one provider"),
    ("/api/v1/models/{name}", "one model"),
    ("/api/v1/servers/{slug}/document", "a document"),
    (
        "/api/v1/servers/{slug}/versions/{number}/diff",
        "one comparison",
    ),
    ("/api/v1/servers/{slug}/tools/{tool}/curation", "one tool"),
];

/// A document with tools, schemes, and something to find.
fn document(version: &str) -> Value {
    let operation = |name: &str| {
        json!({ "get": {
            "operationId": name,
            "parameters": [{ "name": "nowhere", "in": "path", "required": true, "schema": {} }],
            "responses": { "200": { "description": "ok" } },
        } })
    };
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Many", "version": version },
        "servers": [{ "url": "https://api.example.com" }],
        "components": { "securitySchemes": {
            "one": { "type": "http", "scheme": "bearer" },
            "two": { "type": "http", "scheme": "basic" },
            "three": { "type": "apiKey", "in": "header", "name": "X-Key" },
        } },
        "paths": {
            "/c": operation("readC"), "/a": operation("readA"), "/b": operation("readB"),
        },
    })
}

/// At least three rows in every list.
async fn fill(site: &Site) {
    for number in 1..=3 {
        let name = format!("row-{number}");
        let sent = json!({ "slug": "many", "document": document(&format!("{number}")) });
        site.done("POST", "servers", sent).await;
        site.done("POST", "keys", json!({ "name": name })).await;
        site.done("PUT", &format!("plans/{name}"), json!({ "limits": [] }))
            .await;
        let openai = json!({ "kind": "openai" });
        site.done("PUT", &format!("providers/{name}"), openai).await;
        let model = json!({ "targets": [{ "provider": name }] });
        site.done("PUT", &format!("models/{name}"), model).await;
        let issuer = json!({ "issuer": format!("https://{name}.example"), "audience": "us" });
        site.done("PUT", &format!("issuers/{name}"), issuer).await;
        site.done("POST", "users", json!({ "name": name, "role": "member" }))
            .await;
        let items = json!({ "items": [{ "name": name, "document": document("1") }] });
        site.done("POST", "imports", items).await;
        let gone = json!({ "slug": format!("gone-{number}"), "document": document("1") });
        site.done("POST", "servers", gone).await;
        let path = format!("servers/gone-{number}");
        site.ask(("DELETE", &path), &Value::Null).await;
    }
    for tool in ["readA", "readB", "readC"] {
        let path = format!("servers/many/tools/{tool}/curation");
        site.done("PUT", &path, json!({ "title": tool, "confirm": "human" }))
            .await;
        // Waits for a person, whom nobody asked yet.
        let call = json!({ "name": tool, "arguments": {} });
        site.served
            .ask("/mcp/many", ADMIN, ("tools/call", call))
            .await;
    }
    for _ in 0..600 {
        let calls = site.get("ledger").await["calls"].as_array().unwrap().len();
        let imports = site.get("imports").await.to_string();
        if calls >= 3 && !imports.contains("running") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    unreachable!("calls and imports do not end");
}

fn resolved<'d>(document: &'d Value, at: &'d Value) -> &'d Value {
    match at["$ref"].as_str() {
        Some(pointer) => document.pointer(pointer.trim_start_matches('#')).unwrap(),
        None => at,
    }
}

/// The parameters of a GET, those of its path included.
fn parameters(document: &Value, item: &Value) -> Vec<String> {
    let lists = [&item["parameters"], &item["get"]["parameters"]];
    let all = lists.into_iter().filter_map(Value::as_array).flatten();
    all.map(|at| resolved(document, at)["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Which member of an answer has the rows.
fn member(path: &str) -> &str {
    let last = path.rsplit('/').next().unwrap();
    match last {
        "audit" => "rows",
        "ledger" => "calls",
        "deleted-servers" => "servers",
        "report" => "findings",
        "provider-kinds" => "kinds",
        "review" => "tools",
        other => other,
    }
}

/// The rows of a page, each as a text.
fn rows(answer: &Value, member: &str) -> Vec<String> {
    match &answer[member] {
        Value::Array(rows) => rows.iter().map(Value::to_string).collect(),
        Value::Object(rows) => rows
            .iter()
            .map(|(key, row)| format!("{key}: {row}"))
            .collect(),
        _ => unreachable!("{member} is no list in {answer}"),
    }
}

/// Follows a list from page to page, one row each, by the cursor and by the link.
async fn followed(site: &Site, path: &str, member: &str) -> Vec<String> {
    let (mut all, mut next) = (Vec::new(), format!("{path}?limit=1"));
    for _ in 0..100 {
        let answer = site.ask(("GET", &next), &Value::Null).await;
        assert_eq!(answer.status, 200, "{next}: {answer:?}");
        let page = rows(&answer.body, member);
        assert!(page.len() <= 1, "{next}: {page:?}");
        all.extend(page);
        let Some(cursor) = answer.body["nextCursor"].as_str() else {
            assert!(answer.body["nextCursor"].is_null(), "{answer:?}");
            assert_eq!(answer.header("link"), "", "{next}");
            return all;
        };
        let link = answer.header("link").to_owned();
        let url = link
            .strip_prefix('<')
            .unwrap()
            .strip_suffix(">; rel=\"next\"");
        let url = url.unwrap_or_else(|| unreachable!("{link}")).to_owned();
        assert!(
            url.starts_with(&format!("{}/api/v1/{path}?", site.served.origin)),
            "{url}"
        );
        assert!(url.contains(cursor), "{url}");
        next = url;
    }
    unreachable!("{path} has no end");
}

#[tokio::test]
async fn every_list_of_the_document_comes_in_pages() {
    let site = Site::start(&[]).await;
    fill(&site).await;
    let document = site.get("openapi.json").await;
    let import = site.get("imports").await["imports"][0]["id"].clone();
    let mut lists = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        if item["get"].is_null() {
            continue;
        }
        let filled = path
            .replace("{slug}", "many")
            .replace("{tool}", "readA")
            .replace("{number}", "1")
            .replace("{id}", import.as_str().unwrap())
            .replace("{name}", "row-1");
        let filled = filled.strip_prefix("/api/v1/").unwrap();
        if path.ends_with("/source") || path.starts_with("/api/v1/account/") {
            // Nobody in particular asks, and there is no source.
            continue;
        }
        let whole = site.ask(("GET", filled), &Value::Null).await;
        assert_eq!(whole.status, 200, "{path}: {whole:?}");
        let parameters = parameters(&document, item);
        let paged = ["limit", "cursor"].map(|name| parameters.iter().any(|it| it == name));
        if NO_LISTS.iter().any(|(other, _)| other == path) {
            assert!(!paged[1], "{path} is a list now");
            continue;
        }
        let has_rows = match &whole.body {
            Value::Array(_) => true,
            Value::Object(members) => members.values().any(Value::is_array),
            _ => false,
        };
        assert_eq!(paged, [has_rows; 2], "{path}: {}", whole.body);
        if !has_rows {
            continue;
        }
        lists += 1;
        let member = member(path);
        let whole = rows(&whole.body, member);
        // Accounts of users are connected by signing in elsewhere.
        let is_filled = whole.len() >= 3 || path.ends_with("/accounts");
        assert!(is_filled, "{path} is not filled: {whole:?}");
        assert_eq!(followed(&site, filled, member).await, whole, "{path}");
        for wrong in [
            "limit=0",
            "limit=1001",
            "limit=x",
            "cursor=",
            "cursor=AAAA",
            "cursor=%00",
        ] {
            let answer = site
                .ask(("GET", &format!("{filled}?{wrong}")), &Value::Null)
                .await;
            assert_eq!(answer.status, 400, "{path}?{wrong}: {answer:?}");
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
    }
    assert_eq!(lists, 21, "a list was added or lost");
    // With a search, whose order is its own.
    let newest = site.get("servers?sort=newest&limit=2").await;
    let cursor = newest["nextCursor"].as_str().unwrap();
    let rest = site
        .get(&format!("servers?sort=newest&cursor={cursor}"))
        .await;
    let both = [rows(&newest, "servers"), rows(&rest, "servers")].concat();
    assert_eq!(
        both,
        rows(&site.get("servers?sort=newest").await, "servers")
    );
}

#[tokio::test]
async fn pages_are_stable_while_rows_are_added_and_the_command_line_follows_them() {
    let site = Site::start(&[]).await;
    for number in 0..120 {
        let name = format!("key-{number:03}");
        site.done("POST", "keys", json!({ "name": name })).await;
    }
    let first = site.get("keys").await;
    assert_eq!(rows(&first, "keys").len(), 100);
    site.done("POST", "keys", json!({ "name": "new" })).await;
    let cursor = first["nextCursor"].as_str().unwrap();
    let rest = site.get(&format!("keys?cursor={cursor}")).await;
    let name = |row: &Value| row["name"].as_str().unwrap().to_owned();
    let both = [&first, &rest].map(|page| page["keys"].as_array().unwrap().clone());
    let names: Vec<String> = both.concat().iter().map(name).collect();
    let expected: Vec<String> = (0..120)
        .rev()
        .map(|number| format!("key-{number:03}"))
        .collect();
    assert_eq!(names, expected);
    // A key on one page tells of the one that took its place, on another.
    let oldest = rest["keys"].as_array().unwrap().last().unwrap()["id"].clone();
    let path = format!("keys/{}/rotate", oldest.as_str().unwrap());
    let newer = site.done("POST", &path, json!({})).await;
    let rest = site.get(&format!("keys?cursor={cursor}")).await;
    let last = rest["keys"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["replacedBy"], newer["id"]);
    let listed = site
        .served
        .command(ADMIN, &["keys", "list", "--json"])
        .await;
    assert_eq!(listed.json()["keys"].as_array().unwrap().len(), 122);
    assert!(listed.json()["nextCursor"].is_null());
}
