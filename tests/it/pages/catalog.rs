//! The list of servers and the pages of hostile ones.

use crate::pages::{Served, csrf, serve, serve_with};

fn publish(served: &Served, cookie: &str, fields: &serde_json::Value) -> String {
    let token = csrf(&served.get("/publish", cookie));
    let head = format!(
        "POST /api/v1/servers HTTP/1.1\r\nContent-Type: application/json\r\nCookie: {cookie}\r\nX-CSRF-Token: {token}"
    );
    served.ask(&head, &fields.to_string())
}

#[test]
fn a_catalog_without_servers_says_what_to_do() {
    let served = serve_with(&["--no-demo"]);
    let visitor = served.get("/", "");
    assert!(
        visitor.contains("No servers yet") && visitor.contains("/login?next=/publish"),
        "{visitor}"
    );
    let cookie = served.sign_in();
    assert!(served.get("/", &cookie).contains("Publish the first one"));
}

#[test]
fn many_servers_are_searched_and_paged() {
    let served = serve();
    let cookie = served.sign_in();
    for number in 10..60 {
        let document = serde_json::json!({
            "openapi": "3.1.0", "info": {"title": format!("Numbered {number}"), "version": "1"},
            "servers": [{"url": "https://api.example"}], "paths": {"/n": {"get": {}}},
        });
        let made = publish(
            &served,
            &cookie,
            &serde_json::json!({ "slug": format!("n-{number}"), "document": document }),
        );
        assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    }
    let (mut path, mut seen) = ("/?q=numbered".to_owned(), Vec::new());
    loop {
        let page = served.get(&path, &cookie);
        let cards = page.split("<h2><a href=\"/servers/").skip(1);
        let before = seen.len();
        seen.extend(cards.map(|card| card.split('"').next().unwrap().to_owned()));
        assert!(seen.len() - before <= 24, "one page holds everything");
        let Some(more) = page.split("class=\"button quiet\" href=\"").nth(1) else {
            break;
        };
        path = more
            .split('"')
            .next()
            .unwrap()
            .replace("&#38;", "&")
            .replace("&amp;", "&");
    }
    let expected: Vec<String> = (10..60).map(|number| format!("n-{number}")).collect();
    assert_eq!(seen, expected);
    assert!(
        served
            .get("/?q=%3Cscript%3E", &cookie)
            .contains("Nothing matches “&#60;script&#62;”")
    );
    let by_use = served.get("/?q=numbered&sort=used", &cookie);
    assert!(by_use.contains("No calls yet") && by_use.contains("needs a key"));
    assert!(by_use.contains("<option value=\"used\" selected>"));
    // They need a key, so a visitor sees the demo only.
    assert!(!served.get("/?q=numbered", "").contains("n-10"));
}

#[test]
fn a_search_finds_tools_and_the_list_goes_on() {
    let served = serve();
    let cookie = served.sign_in();
    let paths: serde_json::Map<String, serde_json::Value> = (100..350)
        .map(|n| {
            (
                format!("/t{n}"),
                serde_json::json!({"get": {"operationId": format!("tool{n}"), "summary": "One"}}),
            )
        })
        .collect();
    let document = serde_json::json!({
        "openapi": "3.1.0", "info": {"title": "Many", "version": "1"},
        "servers": [{"url": "https://api.example"}], "paths": paths,
    });
    publish(
        &served,
        &cookie,
        &serde_json::json!({ "slug": "many", "document": document }),
    );
    let names = |page: &str| -> Vec<String> {
        let rows = page.split("<a href=\"/servers/many/tools/").skip(1);
        rows.map(|row| row.split('"').next().unwrap().to_owned())
            .collect()
    };
    let first = served.get("/servers/many/tools", &cookie);
    assert_eq!(names(&first).len(), 100);
    assert!(
        first.contains("/servers/many/tools?after=tool199"),
        "{first}"
    );
    let last = served.get("/servers/many/tools?after=tool299", &cookie);
    assert_eq!(names(&last).first().map(String::as_str), Some("tool300"));
    assert_eq!(names(&last).len(), 50);
    assert_eq!(
        names(&served.get("/servers/many/tools?q=TOOL34", &cookie)).len(),
        10
    );
    assert!(
        served
            .get("/servers/many/tools?q=zzz", &cookie)
            .contains("No tool matches")
    );
}

#[test]
fn script_in_every_text_of_a_document_stays_text_on_every_page() {
    let served = serve();
    let cookie = served.sign_in();
    let document = std::fs::read_to_string("specs-examples/hostile-text.yaml").unwrap();
    let made = publish(
        &served,
        &cookie,
        &serde_json::json!({ "slug": "hostile", "document": document }),
    );
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    let server = served.get("/servers/hostile", &cookie);
    let tools = served.get("/servers/hostile/tools", &cookie);
    let tool = tools
        .split("<a href=\"/servers/hostile/tools/")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let tool = format!("/servers/hostile/tools/{tool}");
    for path in [
        "/",
        "/servers/hostile",
        "/servers/hostile/tools",
        "/servers/hostile/connect",
        "/servers/hostile/connect/status",
        "/servers/hostile/health",
        "/servers/hostile/versions",
        "/servers/hostile/report",
        "/servers/hostile/settings",
        "/keys",
        &tool,
    ] {
        let page = served.get(path, &cookie);
        assert!(page.starts_with("HTTP/1.1 200"), "{path}: {page}");
        assert!(page.contains("default-src 'none'"), "{path}");
        let body = page.split("\r\n\r\n").nth(1).unwrap();
        for tag in [
            "<script>",
            "<iframe",
            "<img src=x",
            "<svg onload",
            "<marquee",
            " style=",
            "javascript:alert(1)\"></iframe>",
        ] {
            assert!(!body.contains(tag), "{path} has {tag}: {body}");
        }
    }
    assert!(
        server.contains("&#60;script&#62;alert(&#39;title&#39;)"),
        "{server}"
    );
}

#[test]
fn the_form_to_publish_does_not_replace_a_server() {
    let served = serve();
    let cookie = served.sign_in();
    let token = csrf(&served.get("/publish", &cookie));
    let part = |name: &str, text: &str| {
        format!("--e\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
    };
    let send = |slug: &str, document: &str| {
        let parts = [
            part("csrf", &token),
            part("slug", slug),
            part("document", document),
        ]
        .concat();
        let head = format!(
            "POST /publish HTTP/1.1\r\nCookie: {cookie}\r\nContent-Type: multipart/form-data; boundary=e"
        );
        served.ask(&head, &format!("{parts}--e--\r\n"))
    };
    let taken = send("petstore", "openapi: 3.1.0");
    assert!(taken.starts_with("HTTP/1.1 409"), "{taken}");
    assert!(
        taken.contains("“Short name”: there is a server petstore already"),
        "{taken}"
    );
    assert!(
        taken.contains("openapi: 3.1.0</textarea>"),
        "what was entered is gone: {taken}"
    );
    let wrong = send("No Slug", "x");
    assert!(
        wrong.starts_with("HTTP/1.1 400") && wrong.contains("“Short name”: a slug is"),
        "{wrong}"
    );
    let wrong = send("new", "</textarea><script>");
    assert!(
        wrong.starts_with("HTTP/1.1 422") && !wrong.contains("<script>"),
        "{wrong}"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
fn what_is_typed_finds_servers_and_their_tools_in_any_writing() {
    let served = serve();
    let cookie = served.sign_in();
    let document = serde_json::json!({
        "openapi": "3.1.0", "info": {"title": "仓库管理", "version": "1", "description": "# 关于\n\n管理 `库存`。"},
        "servers": [{"url": "https://api.example"}],
        "paths": {"/stock": {"get": {"operationId": "listStockLevels", "summary": "查询库存", "tags": ["warehouse"]}}},
    });
    let fields = serde_json::json!({ "slug": "stock", "document": document, "category": "Trade" });
    let made = publish(&served, &cookie, &fields);
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    let find = |query: &str, headers: &str| {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let head = format!("GET /?q={query} HTTP/1.1\r\nCookie: {cookie}{headers}");
        served.ask(&head, "")
    };
    for query in [
        "仓",
        "库存",
        "stockl",
        "LISTSTOCK",
        "warehouse",
        "trade",
        "list stock",
    ] {
        let page = find(query, "");
        assert!(page.contains("href=\"/servers/stock\""), "{query}: {page}");
        assert!(!page.contains("href=\"/servers/petstore\""), "{query}");
    }
    let page = find("库存", "");
    assert!(
        page.contains("href=\"/servers/stock/tools/listStockLevels\""),
        "{page}"
    );
    assert!(
        page.contains("管理 库存。") && page.contains("?category=Trade"),
        "{page}"
    );
    // While somebody types, the list alone is asked for; going back asks for the page.
    let part = find("stock", "\r\nHX-Request: true");
    assert!(
        part.contains("/servers/stock") && !part.contains("<html"),
        "{part}"
    );
    let back = find(
        "stock",
        "\r\nHX-Request: true\r\nHX-History-Restore-Request: true",
    );
    assert!(back.contains("<html"), "{back}");
    let filtered = served.get("/?category=trade&sort=newest", &cookie);
    assert!(filtered.contains("/servers/stock\"") && !filtered.contains("/servers/petstore\""));
    assert!(
        served
            .get("/?tag=nowhere", &cookie)
            .contains("Nothing here")
    );
    // It needs a key: a visitor neither finds it nor learns of its category.
    let visitor = served.get("/?q=stock", "");
    assert!(
        !visitor.contains("/servers/stock") && !visitor.contains("Trade"),
        "{visitor}"
    );
    let listed = served.get("/api/v1/servers?q=liststock", &cookie);
    assert!(
        listed.contains("\"matchingTools\":[{\"name\":\"listStockLevels\""),
        "{listed}"
    );
    assert!(!listed.contains("petstore"), "{listed}");
    let wrong = served.get("/api/v1/servers?sort=luck", &cookie);
    assert!(
        wrong.starts_with("HTTP/1.1 400") && wrong.contains("relevance, name, newest"),
        "{wrong}"
    );
    let unseen = served.get("/api/v1/servers?q=stock", "");
    assert!(!unseen.contains("\"slug\":\"stock\""), "{unseen}");
}

#[test]
fn what_listing_a_server_costs_is_the_same_on_its_card_and_its_page() {
    let served = serve();
    let cost = |page: &str| {
        let (_, after) = page.split_once("about ").expect("a number of tokens");
        let (number, _) = after.split_once(" tokens").expect("a number of tokens");
        number.replace(',', "").parse::<usize>().unwrap()
    };
    let home = served.get("/", "");
    for slug in ["bookshop", "petstore"] {
        let (_, card) = home.split_once(&format!("/servers/{slug}\"")).expect(slug);
        let page = served.get(&format!("/servers/{slug}"), "");
        assert_eq!(cost(card), cost(&page), "{slug}");
    }
}

#[test]
fn scripts_are_our_own_files_and_evaluate_nothing() {
    let served = serve();
    let home = served.get("/", "");
    assert!(home.contains("script-src 'self';") && home.contains("connect-src 'self';"));
    assert!(home.contains(r#""allowEval":false,"allowScriptTags":false,"selfRequestsOnly":true"#));
    for script in home.split("<script src=\"").skip(1) {
        let path = script.split('"').next().unwrap();
        assert!(script.contains(" defer></script>"), "{script}");
        let answer = served.get(path, "");
        assert!(answer.contains("content-type: text/javascript"), "{path}");
        assert!(answer.contains("immutable"), "{path}");
    }
    assert_eq!(home.matches("<script").count(), 2);
}
