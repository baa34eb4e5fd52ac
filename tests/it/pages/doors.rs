//! The doors of the management side: what comes from another site, and what cannot be read.

use serde_json::Value;

use crate::pages::{Served, csrf, form, serve, serve_with};

type Routes = &'static [(&'static str, &'static [&'static str])];

/// Every route, its parameters filled in.
fn routes(table: Routes, slug: &str) -> Vec<(&'static str, String)> {
    let filled = |path: &str| {
        path.replace("{slug}", slug)
            .replace("{tool}", "listPets")
            .replace("{scheme}", "key")
            .replace("{number}", "1")
            .replace("{id}", "01900000-0000-7000-8000-000000000001")
            .replace("{name}", "causeway.css")
            .replace("{key}", "main")
    };
    table
        .iter()
        .flat_map(|(path, methods)| methods.iter().map(move |method| (*method, filled(path))))
        .collect()
}

const API: Routes = causeway::market::api::ROUTES;
const PAGES: Routes = causeway::market::pages::routes::ROUTES;

/// What a write could have changed: servers and their revisions, keys, and the session itself.
fn state(served: &Served, cookie: &str) -> Vec<String> {
    let read = |path: &str| {
        let answer = served.get(path, cookie);
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    [
        "/api/v1/servers",
        "/api/v1/keys",
        "/api/v1/servers/petstore/credentials",
    ]
    .map(read)
    .into()
}

#[test]
fn no_write_from_another_site_has_an_effect() {
    let served = serve();
    let cookie = served.sign_in();
    let token = csrf(&served.get("/keys", &cookie));
    // Enough for each of the forms to do what it is for.
    let fields = form(&[
        ("csrf", &token),
        ("name", "evil"),
        ("slug", "evil"),
        ("confirm", "petstore"),
        ("document", "openapi: 3.1.0"),
        ("id", "01900000-0000-7000-8000-000000000001"),
        ("access", "open"),
        ("do", "call"),
    ]);
    let before = state(&served, &cookie);
    let elsewhere = [
        "Origin: http://evil.example",
        "Origin: null",
        "Origin: http://evil.example\r\nSec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Host: evil.example",
        "Host: evil.example\r\nOrigin: http://evil.example\r\nSec-Fetch-Site: same-origin",
    ];
    let mut tried = 0;
    for (method, path) in [routes(API, "petstore"), routes(PAGES, "petstore")].concat() {
        if method == "GET" {
            continue;
        }
        for from in elsewhere {
            // With everything a session of this very browser has, also the header that no form has.
            let head = format!(
                "{method} {path} HTTP/1.1\r\nCookie: {cookie}\r\nX-CSRF-Token: {token}\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\n{from}"
            );
            let answer = served.ask(&head, &fields);
            assert!(
                answer.starts_with("HTTP/1.1 403"),
                "{method} {path} with {from}: {answer}"
            );
            assert!(!answer.contains("set-cookie"), "{method} {path}: {answer}");
            tried += 1;
        }
    }
    assert_eq!(tried, 7 * 92, "a write was added: it is tried too");
    assert_eq!(state(&served, &cookie), before);
    // From its own pages the same forms do something.
    let own = format!("Cookie: {cookie}\r\nSec-Fetch-Site: same-origin\r\n");
    assert!(
        served
            .post("/keys", &own, &fields)
            .starts_with("HTTP/1.1 200")
    );
    assert_ne!(state(&served, &cookie), before);
}

/// The status of an answer, which has to be a problem document.
#[track_caller]
fn problem(answer: &str, about: &str) -> u16 {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    assert!(
        head.contains("content-type: application/problem+json"),
        "{about}: {answer}"
    );
    let document: Value = serde_json::from_str(body).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    assert_eq!(document["status"], status, "{about}: {answer}");
    status
}

#[test]
fn whatever_cannot_be_read_is_answered_with_a_problem() {
    let served = serve_with(&["--admin-key", "an-admin-key-for-tests"]);
    let ask = |method: &str, path: &str, kind: &str, body: &str| {
        let key = "X-API-Key: an-admin-key-for-tests";
        let kind = format!("Content-Type: {kind}");
        served.ask(
            &format!("{method} {path} HTTP/1.1\r\n{key}\r\n{kind}"),
            body,
        )
    };
    for (method, path) in routes(API, "petstore") {
        let about = format!("{method} {path}");
        if path.contains("petstore") {
            let broken = ask(
                method,
                &path.replace("petstore", "%ff"),
                "application/json",
                "{}",
            );
            assert!([400, 404].contains(&problem(&broken, &about)), "{broken}");
        }
        if path.contains("01900000") {
            let broken = path.replace("01900000-0000-7000-8000-000000000001", "x");
            let answer = ask(method, &broken, "application/json", "{}");
            assert_eq!(problem(&answer, &about), 400, "{answer}");
            assert!(answer.contains("UUID"), "{answer}");
        }
        // These take no body, or none they need.
        let bodyless = [
            "/approve",
            "/approval-webhook",
            "/connect",
            "/promote",
            "/reset",
            "/restore",
            "/retry",
            "/rollback",
            "/sync",
        ];
        let reads_a_body = !bodyless.iter().any(|end| path.ends_with(end));
        if ["POST", "PATCH", "PUT"].contains(&method) && reads_a_body {
            for (kind, body) in [
                ("application/json", "{"),
                ("application/json", "7"),
                ("multipart/form-data", "x"),
                ("multipart/form-data; boundary=e", "--e\r\nx"),
                ("application/x-www-form-urlencoded", "a=%ff"),
            ] {
                let status = problem(&ask(method, &path, kind, body), &format!("{about} {kind}"));
                assert!(
                    [400, 415, 422].contains(&status),
                    "{about} {kind}: {status}"
                );
            }
        }
        let other = ask("OPTIONS", &path, "application/json", "");
        assert_eq!(problem(&other, &about), 405, "{other}");
        let allowed = other.lines().find_map(|line| line.strip_prefix("allow: "));
        let allowed: Vec<&str> = allowed.expect("an Allow header").split(',').collect();
        assert!(allowed.contains(&method), "{about}: {other}");
    }
    for path in ["/nothing", "/api/v1/nothing", "/servers/petstore/nothing"] {
        assert_eq!(problem(&served.get(path, ""), path), 404);
    }
    let typed = ask("POST", "/login", "application/json", "{}");
    assert_eq!(problem(&typed, "POST /login"), 415);
}

#[test]
fn what_is_too_large_is_answered_with_a_problem() {
    // One mebibyte is what a form may add to its document.
    let served = serve_with(&["--admin-key", "an-admin-key-for-tests", "--config", &{
        let file = std::env::temp_dir().join(format!("causeway-small-{}.toml", std::process::id()));
        std::fs::write(&file, "[limits]\ndocument_bytes_max = 100000").unwrap();
        file.display().to_string()
    }]);
    let large = "x".repeat((1 << 20) + 200_000);
    let part = "--e\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
    for (method, path, kind, body) in [
        (
            "PUT",
            "/api/v1/servers/petstore/document",
            "text/plain",
            large.clone(),
        ),
        (
            "POST",
            "/api/v1/servers",
            "application/json",
            format!("{{\"document\": \"{large}\"}}"),
        ),
        (
            "POST",
            "/api/v1/servers",
            "multipart/form-data; boundary=e",
            format!("{part}{large}\r\n--e--\r\n"),
        ),
        (
            "POST",
            "/login",
            "application/x-www-form-urlencoded",
            format!("key={large}"),
        ),
    ] {
        let key = "X-API-Key: an-admin-key-for-tests";
        let head = format!("{method} {path} HTTP/1.1\r\n{key}\r\nContent-Type: {kind}");
        let answer = served.ask(&head, &body);
        assert_eq!(problem(&answer, path), 413, "{kind}: {answer}");
    }
}

#[test]
fn a_form_publishes_as_json_does_and_says_which_field_is_wrong() {
    let served = serve_with(&["--no-demo", "--admin-key", "an-admin-key-for-tests"]);
    let send = |parts: &[(&str, &str)]| {
        let parts = parts.iter().map(|(name, value)| {
            format!("--e\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        });
        let body = format!("{}--e--\r\n", parts.collect::<String>());
        let head = "POST /api/v1/servers HTTP/1.1\r\nX-API-Key: an-admin-key-for-tests\r\n\
                    Content-Type: multipart/form-data; boundary=e";
        served.ask(head, &body)
    };
    let document = r#"{"openapi": "3.1.0", "info": {"title": "Sent", "version": "1"},
        "servers": [{"url": "https://api.example.com"}],
        "components": {"securitySchemes": {"Key": {"type": "apiKey", "in": "header", "name": "X-Key"}}},
        "paths": {"/a": {"get": {"operationId": "a", "security": [{"Key": []}]}}}}"#;
    let json = r#"{"Key": "a secret=with signs"}"#;
    for (slug, file, credentials) in [
        ("first", "file", json),
        ("second", "document", "Key=a secret=with signs\n"),
    ] {
        let made = send(&[
            (file, document),
            ("slug", slug),
            ("access", "open"),
            ("upstream", "https://other.example.com"),
            ("allowUpstream", "10.0.0.0/8:443\n192.168.1.5"),
            ("credentials", credentials),
        ]);
        assert!(made.starts_with("HTTP/1.1 201"), "{made}");
        let key = "X-API-Key: an-admin-key-for-tests";
        let read = |path: &str| served.ask(&format!("GET {path} HTTP/1.1\r\n{key}"), "");
        let shown = read(&format!("/api/v1/servers/{slug}"));
        for words in [
            r#""access":"open""#,
            r#""upstream":"https://other.example.com/""#,
            r#""allowUpstream":["10.0.0.0/8:443","192.168.1.5"]"#,
        ] {
            assert!(shown.contains(words), "{words} is not in {shown}");
        }
        let stored = read(&format!("/api/v1/servers/{slug}/credentials"));
        assert!(stored.contains(r#""set":true"#), "{stored}");
    }
    for (field, value) in [
        ("credentials", "{\"Key\": \"s3cret\""),
        ("credentials", "{\"Key\": 7}"),
        ("credentials", "s3cret"),
        ("credentials", "Key=a\ns3cret"),
        ("allowUpstream", "10.0.0.0/99"),
        ("upstream", "nowhere"),
        ("acces", "open"),
    ] {
        let refused = send(&[("file", document), (field, value)]);
        assert_eq!(problem(&refused, field), 400, "{refused}");
        assert!(refused.contains(&format!("`{field}`")), "{refused}");
        assert!(
            !refused.contains("s3cret"),
            "a secret is repeated: {refused}"
        );
    }
}

#[test]
fn imports_of_one_title_at_once_take_names_of_their_own() {
    let served = serve_with(&["--no-demo", "--admin-key", "an-admin-key-for-tests"]);
    let publish = |number: usize| {
        let document = serde_json::json!({
            "openapi": "3.1.0", "info": { "title": "Same Title", "version": number.to_string() },
            "servers": [{ "url": "https://api.example.com" }], "paths": { "/a": { "get": {} } },
        });
        let head = "POST /api/v1/servers HTTP/1.1\r\nX-API-Key: an-admin-key-for-tests\r\n\
                    Content-Type: application/json";
        served.ask(
            head,
            &serde_json::json!({ "document": document }).to_string(),
        )
    };
    let publish = &publish;
    let answers: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|number| scope.spawn(move || publish(number)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let mut slugs: Vec<String> = answers
        .iter()
        .map(|answer| {
            assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            let made: Value = serde_json::from_str(body).unwrap();
            made["server"]["slug"].as_str().unwrap().to_owned()
        })
        .collect();
    slugs.sort();
    let mut expected: Vec<String> = (2..7).map(|n| format!("same-title-{n}")).collect();
    expected.insert(0, "same-title".to_owned());
    assert_eq!(slugs, expected);
}

#[test]
fn links_say_what_the_request_went_to() {
    let served = serve_with(&["--listen", "0.0.0.0:0", "--demo"]);
    let at =
        |path: &str, host: &str| served.ask(&format!("GET {path} HTTP/1.1\r\nHost: {host}"), "");
    let page = at("/servers/petstore", "box.example:8080");
    assert!(
        page.contains("http://box.example:8080/mcp/petstore"),
        "{page}"
    );
    assert!(!page.contains("0.0.0.0"), "{page}");
    let listed = at("/api/v1/servers", "box.example:8080");
    assert!(
        listed.contains("\"mcpUrl\":\"http://box.example:8080/mcp/"),
        "{listed}"
    );
}
