//! The tabs of a server: what each shows to whom, a client that connects while somebody looks on, and keys
//! for single tools and private servers over every way in.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::pages::{Served, csrf, form, serve, serve_with};

const TABS: [&str; 7] = [
    "",
    "/tools",
    "/connect",
    "/health",
    "/versions",
    "/report",
    "/settings",
];
/// The tabs that whoever may see a server may read.
const PUBLIC: [&str; 3] = ["", "/tools", "/connect"];

fn api(served: &Served, cookie: &str, (method, path): (&str, &str), body: &Value) -> Value {
    let token = csrf(&served.get("/publish", cookie));
    let head = format!(
        "{method} /api/v1/{path} HTTP/1.1\r\nContent-Type: application/json\r\nCookie: {cookie}\r\nX-CSRF-Token: {token}"
    );
    let answer = served.ask(&head, &body.to_string());
    assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_default()
}

fn access(served: &Served, cookie: &str, slug: &str, settings: &Value) {
    api(
        served,
        cookie,
        ("PATCH", &format!("servers/{slug}")),
        settings,
    );
}

fn key(served: &Served, cookie: &str, grants: &Value) -> String {
    let made = api(
        served,
        cookie,
        ("POST", "keys"),
        &json!({ "name": "agent", "grants": grants }),
    );
    made["key"].as_str().unwrap().to_owned()
}

/// A message to a server over MCP: the status, and the answer.
fn send(
    served: &Served,
    (slug, key): (&str, &str),
    is_modern: bool,
    (method, params): (&str, Value),
) -> (u16, Value) {
    let mut params = params;
    let mut head = format!(
        "POST /mcp/{slug} HTTP/1.1\r\nContent-Type: application/json\r\nAccept: application/json"
    );
    if !key.is_empty() {
        write!(head, "\r\nX-API-Key: {key}").unwrap();
    }
    if is_modern {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "tester", "version": "3" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        write!(
            head,
            "\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}"
        )
        .unwrap();
        let name = params.get("name").or(params.get("uri"));
        if let Some(name) = name.and_then(Value::as_str) {
            write!(head, "\r\nMcp-Name: {name}").unwrap();
        }
    } else {
        head.push_str("\r\nMCP-Protocol-Version: 2025-11-25");
    }
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let answer = served.ask(&head, &message.to_string());
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn each_tab_has_an_address_and_says_what_it_is_for() {
    let served = serve();
    let cookie = served.sign_in();
    for (tab, words) in [
        ("", "/mcp/petstore"),
        ("/tools", "href=\"/servers/petstore/tools/listPets\""),
        ("/connect", "claude mcp add"),
        ("/health", "no data"),
        ("/versions", "Version 1"),
        ("/report", "Conversion report"),
        ("/settings", "Access and calls"),
    ] {
        let path = format!("/servers/petstore{tab}");
        let page = served.get(&path, &cookie);
        assert!(page.starts_with("HTTP/1.1 200"), "{path}: {page}");
        assert!(page.contains(words), "{path}: {page}");
        let open = format!("href=\"{path}\" aria-current=\"page\"");
        assert!(page.contains(&open), "{path}: {page}");
        for other in TABS {
            assert!(page.contains(&format!("href=\"/servers/petstore{other}\"")));
        }
        let visitor = served.get(&path, "");
        let status = if PUBLIC.contains(&tab) { "200" } else { "303" };
        assert!(
            visitor.starts_with(&format!("HTTP/1.1 {status}")),
            "{visitor}"
        );
        let nothing = served.get(&format!("/servers/nothing{tab}"), &cookie);
        assert!(nothing.starts_with("HTTP/1.1 404"), "{path}: {nothing}");
    }
}

#[test]
fn an_example_whose_api_is_nowhere_says_so() {
    let served = serve_with(&["--no-demo"]);
    let cookie = served.sign_in();
    let document = include_str!("../../../specs-examples/petstore.yaml");
    for (slug, upstream, cut_off) in [
        ("pets", None, true),
        ("other-pets", Some("https://pets.example"), false),
    ] {
        let fields = json!({ "slug": slug, "document": document, "upstream": upstream });
        api(&served, &cookie, ("POST", "servers"), &fields);
        let page = served.get(&format!("/servers/{slug}"), &cookie);
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        assert_eq!(page.contains("no address on a network"), cut_off, "{page}");
    }
    let demo = serve();
    let page = demo.get("/servers/petstore", "");
    assert!(!page.contains("no address on a network"), "{page}");
}

#[test]
fn a_page_of_a_large_server_is_small_when_compressed() {
    let served = serve();
    let cookie = served.sign_in();
    let paths: serde_json::Map<String, Value> = (0..1_500)
        .map(|n| {
            let operation = json!({"get": {"operationId": format!("tool{n}"), "tags": [format!("tag{}", n / 9)],
                "summary": format!("Does the thing of number {n}")}});
            (format!("/t{n}"), operation)
        })
        .collect();
    let document = json!({
        "openapi": "3.1.0", "info": {"title": "Many", "version": "1"},
        "servers": [{"url": "https://api.example"}], "paths": paths,
    });
    let fields = json!({ "slug": "many", "document": document });
    api(&served, &cookie, ("POST", "servers"), &fields);
    for tab in TABS {
        let page = served.get(&format!("/servers/many{tab}"), &cookie);
        assert!(page.starts_with("HTTP/1.1 200"), "{tab}: {page}");
        let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut zip, page.as_bytes()).unwrap();
        let size = zip.finish().unwrap().len();
        assert!(size < 100_000, "{tab}: {size} bytes");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
fn a_client_is_seen_while_it_connects() {
    let served = serve();
    let cookie = served.sign_in();
    access(&served, &cookie, "petstore", &json!({ "access": "key" }));
    let path = "/servers/petstore/connect";
    let page = served.get(path, &cookie);
    assert!(
        page.contains("YOUR_KEY") && page.contains("Waiting for the first message"),
        "{page}"
    );
    assert!(page.contains("This client signs in with OAuth"), "{page}");
    let once = page.split("name=\"once\" value=\"").nth(1).unwrap();
    let fields = [
        ("csrf", csrf(&page)),
        ("once", once.split('"').next().unwrap().to_owned()),
        ("name", "Claude </code><script>".to_owned()),
        ("expires", "7".to_owned()),
        ("tool", "listPets".to_owned()),
        ("tool", "createPet".to_owned()),
    ];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let post = || served.post(path, &format!("Cookie: {cookie}\r\n"), &form(&fields));
    let made = post();
    assert!(made.starts_with("HTTP/1.1 200"), "{made}");
    let key = made
        .split("--header &#34;Authorization: Bearer ")
        .nth(1)
        .unwrap();
    let key = key.split('&').next().unwrap().to_owned();
    assert!(key.starts_with("cw_"), "{key}");
    for link in made.split("href=\"").skip(1) {
        assert!(!link.split('"').next().unwrap().contains(&key), "{link}");
    }
    let status = made.split("hx-get=\"").nth(1).unwrap();
    let status = status.split('"').next().unwrap().to_owned();
    assert!(
        status.starts_with("/servers/petstore/connect/status?key="),
        "{status}"
    );
    // A reload sends the form again: the placeholder, and no second key.
    let again = post();
    assert!(
        again.contains("location: /servers/petstore/connect?key="),
        "{again}"
    );
    assert!(!served.get(path, &cookie).contains(&key));
    let keys = served.get("/keys", &cookie);
    assert_eq!(keys.matches("<h3>Claude").count(), 1, "{keys}");
    assert!(keys.contains("<code>petstore/listPets</code>"), "{keys}");

    let seen = || served.get(&status, &cookie);
    assert!(seen().contains("Waiting for the first message"));
    assert!(served.get(&status, "").starts_with("HTTP/1.1 303"));
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "Claude <b>Code", "version": "2.1.330" } });
    let (refused, _) = send(
        &served,
        ("petstore", "cw_wrong"),
        false,
        ("initialize", hello.clone()),
    );
    assert_eq!(refused, 401);
    assert!(
        seen().contains("Refused with status 401") && seen().contains("Waiting for the first"),
        "{}",
        seen()
    );
    let own = ("petstore", key.as_str());
    assert_eq!(send(&served, own, false, ("initialize", hello)).0, 200);
    assert!(
        seen().contains("Claude &#60;b&#62;Code 2.1.330 connected"),
        "{}",
        seen()
    );
    let (_, listed) = send(&served, own, false, ("tools/list", json!({})));
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 2);
    assert!(seen().contains("2 tools listed"), "{}", seen());
    let call = json!({ "name": "createPet", "arguments": {} });
    send(&served, own, false, ("tools/call", call));
    assert!(
        seen().contains("First call createPet failed: "),
        "{}",
        seen()
    );
    let call = json!({ "name": "listPets", "arguments": {} });
    let (_, called) = send(&served, own, false, ("tools/call", call));
    assert_ne!(called["result"]["isError"], true, "{called}");
    assert!(seen().contains("A later call listPets OK"), "{}", seen());
    // What others do is not told of this key.
    let admin = key_of_all(&served, &cookie);
    send(
        &served,
        ("petstore", &admin),
        true,
        ("tools/list", json!({})),
    );
    assert!(!seen().contains("tester 3"), "{}", seen());
    let all = served.get("/servers/petstore/connect/status", &cookie);
    assert!(all.contains("tester 3"), "{all}");
    assert!(
        all.contains("http-equiv=\"refresh\"") && !all.contains("<b>Code"),
        "{all}"
    );
}

fn key_of_all(served: &Served, cookie: &str) -> String {
    let made = api(served, cookie, ("POST", "keys"), &json!({ "name": "all" }));
    made["key"].as_str().unwrap().to_owned()
}

#[test]
fn a_private_server_is_nowhere_for_whoever_it_is_not_for() {
    let served = serve();
    let cookie = served.sign_in();
    access(
        &served,
        &cookie,
        "bookshop",
        &json!({ "access": "private" }),
    );
    assert!(served.get("/", &cookie).contains("Bookshop"));
    assert!(
        served
            .get("/servers/bookshop", &cookie)
            .contains(">private<")
    );
    let named = key(&served, &cookie, &json!([{ "server": "bookshop" }]));
    let other = key(&served, &cookie, &json!([{ "server": "petstore" }]));
    let all = key_of_all(&served, &cookie);
    assert!(!served.get("/", "").contains("Bookshop"));
    assert!(!served.get("/?q=bookshop", "").contains("/servers/bookshop"));
    for tab in TABS {
        let hidden = served.get(&format!("/servers/bookshop{tab}"), "");
        let nothing = served.get(&format!("/servers/nothing{tab}"), "");
        let told = |answer: &str| -> Vec<String> {
            let answer = answer.replace("bookshop", "nothing");
            let lines = answer.lines().map(str::to_owned);
            let own = ["date:", "x-request-id:"];
            lines
                .filter(|line| !own.iter().any(|name| line.starts_with(name)))
                .collect()
        };
        assert_eq!(told(&hidden), told(&nothing), "{tab}");
        assert!(!hidden.contains("Bookshop"), "{tab}: {hidden}");
    }
    for who in ["", other.as_str(), all.as_str()] {
        let read = |path: &str| {
            let key = if who.is_empty() {
                String::new()
            } else {
                format!("\r\nX-API-Key: {who}")
            };
            served.ask(
                &format!("GET /api/v1/{path} HTTP/1.1\r\nAccept: */*{key}"),
                "",
            )
        };
        assert!(!read("servers").contains("bookshop"), "{who}");
        for path in ["servers/bookshop", "servers/bookshop/tools"] {
            assert!(
                read(path).starts_with("HTTP/1.1 404"),
                "{who}: {}",
                read(path)
            );
        }
        for is_modern in [false, true] {
            let (status, answer) = send(
                &served,
                ("bookshop", who),
                is_modern,
                ("tools/list", json!({})),
            );
            assert_eq!(status, 404, "{who}: {answer}");
        }
    }
    for is_modern in [false, true] {
        let (status, answer) = send(
            &served,
            ("bookshop", &named),
            is_modern,
            ("tools/list", json!({})),
        );
        assert_eq!(status, 200, "{answer}");
    }
}

#[test]
fn a_key_for_one_tool_finds_no_other_in_either_era() {
    let served = serve();
    let cookie = served.sign_in();
    access(&served, &cookie, "petstore", &json!({ "access": "key" }));
    let grants = json!([{ "server": "petstore", "tools": ["listPets"] }]);
    let key = key(&served, &cookie, &grants);
    let own = ("petstore", key.as_str());
    for is_modern in [false, true] {
        access(&served, &cookie, "petstore", &json!({ "tools": "all" }));
        let (_, listed) = send(&served, own, is_modern, ("tools/list", json!({})));
        let tools = listed["result"]["tools"].as_array().unwrap();
        let names: Vec<_> = tools
            .iter()
            .map(|tool| tool["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["listPets"]);
        let call = |name: &str| json!({ "name": name, "arguments": { "petId": 1 } });
        let (_, denied) = send(&served, own, is_modern, ("tools/call", call("getPet")));
        let (_, unknown) = send(&served, own, is_modern, ("tools/call", call("noTool")));
        let told = |answer: &Value| answer.to_string().replace("noTool", "getPet");
        assert_eq!(told(&denied), told(&unknown));
        let call = json!({ "name": "listPets", "arguments": {} });
        let (_, called) = send(&served, own, is_modern, ("tools/call", call));
        assert_ne!(called["result"]["isError"], true, "{called}");
        let (_, resources) = send(&served, own, is_modern, ("resources/list", json!({})));
        let mut texts = resources.to_string();
        for resource in resources["result"]["resources"].as_array().unwrap() {
            let read = json!({ "uri": resource["uri"] });
            texts += &send(&served, own, is_modern, ("resources/read", read))
                .1
                .to_string();
        }
        for (_, prompt) in [("ref/resource", "uri"), ("ref/prompt", "name")] {
            let params = json!({ "ref": { "type": "ref/prompt", "name": "tool" },
                "argument": { "name": prompt, "value": "" } });
            texts += &send(&served, own, is_modern, ("completion/complete", params))
                .1
                .to_string();
        }
        access(&served, &cookie, "petstore", &json!({ "tools": "search" }));
        let (_, listed) = send(&served, own, is_modern, ("tools/list", json!({})));
        texts += &listed.to_string();
        let finder = listed["result"]["tools"].as_array().unwrap().clone();
        for tool in &finder {
            for query in ["delete a pet", "photo", "create"] {
                let call = json!({ "name": tool["name"], "arguments":
                    { "query": query, "name": "deletePet", "arguments": {} } });
                let (_, found) = send(&served, own, is_modern, ("tools/call", call));
                // What was asked for may be said back.
                texts += &found
                    .to_string()
                    .replace("\\\"deletePet\\\"", "")
                    .replace("deletePet", "");
                assert!(!found.to_string().contains("/pets/{petId}"), "{found}");
            }
        }
        for hidden in ["getPetPhoto", "createPet", "replacePet"] {
            assert!(!texts.contains(hidden), "{hidden}: {texts}");
        }
    }
}

#[test]
fn versions_are_compared_served_and_rolled_back() {
    let served = serve();
    let cookie = served.sign_in();
    let document = |paths: Value| {
        json!({ "openapi": "3.1.0", "info": {"title": "Shop <script>", "version": "1"},
            "servers": [{"url": "https://api.example"}], "paths": paths })
    };
    let one = json!({ "/a": { "get": { "operationId": "first", "summary": "One" } } });
    let two = json!({ "/a": { "get": { "operationId": "first", "summary": "<script>Two" } },
        "/b": { "get": { "operationId": "second" } } });
    let fields = json!({ "slug": "shop", "document": document(one) });
    api(&served, &cookie, ("POST", "servers"), &fields);
    let staged = json!({ "slug": "shop", "stage": true, "document": document(two) });
    api(&served, &cookie, ("POST", "servers"), &staged);
    let path = "/servers/shop/versions";
    let page = served.get(path, &cookie);
    for words in [
        "waits to be looked at",
        "1 added, 0 removed, 1 changed",
        "second",
        "Version 2",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("<script>Two"), "{page}");
    let act = |page: &str, pairs: &[(&str, &str)]| {
        let token = csrf(page);
        let pairs = [pairs, &[("csrf", token.as_str())]].concat();
        served.post(path, &format!("Cookie: {cookie}\r\n"), &form(&pairs))
    };
    let stale = act(
        &page,
        &[("do", "promote"), ("version", "2"), ("revision", "0")],
    );
    assert!(!stale.starts_with("HTTP/1.1 303"), "{stale}");
    let promoted = act(&page, &[("do", "promote"), ("version", "2")]);
    assert!(
        promoted.contains("location: /servers/shop/versions?done=promoted"),
        "{promoted}"
    );
    let page = served.get(path, &cookie);
    assert!(
        page.contains("Roll back to version") && page.contains("version.promote"),
        "{page}"
    );
    assert!(
        served
            .get("/servers/shop/tools", &cookie)
            .contains("second")
    );
    let tried = act(
        &page,
        &[("do", "canary"), ("version", "1"), ("percent", "25")],
    );
    assert!(tried.contains("done=canary-started"), "{tried}");
    let page = served.get(path, &cookie);
    assert!(page.contains("tried on 25 %"), "{page}");
    assert!(act(&page, &[("do", "end-canary")]).contains("done=rollout-ended"));
    assert!(act(&page, &[("do", "end-canary")]).starts_with("HTTP/1.1 404"));
    assert!(act(&page, &[("do", "promote"), ("version", "1")]).contains("done=promoted"));
    assert!(
        !served
            .get("/servers/shop/tools", &cookie)
            .contains("second")
    );
    assert!(act(&page, &[("do", "promote"), ("version", "9")]).starts_with("HTTP/1.1 404"));
    let compared = served.get("/servers/shop/versions?compare=2", &cookie);
    assert!(compared.contains("From version 1 to 2"), "{compared}");
}
