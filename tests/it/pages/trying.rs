//! The page of a tool: its form, and what trying it shows.

use crate::pages::{Served, csrf, echo, form, serve, serve_with};

const DOCUMENT: &str = r#"{
  "openapi": "3.1.0",
  "info": {"title": "Everything <script>alert(1)</script>", "version": "1"},
  "servers": [{"url": "UPSTREAM"}],
  "paths": {"/things/{id}": {"post": {
    "operationId": "change",
    "summary": "Change </h1><script>alert(2)</script>",
    "description": "It </p><script>alert(3)</script>",
    "security": [{"key": []}],
    "parameters": [
      {"name": "id", "in": "path", "required": true, "schema": {"type": "integer"},
       "description": "Which </p><script>alert(4)</script>"},
      {"name": "strict", "in": "query", "schema": {"type": "boolean"}},
      {"name": "day", "in": "query", "schema": {"type": "string", "format": "date"}},
      {"name": "note", "in": "query", "schema": {"type": "string", "example": "\"><script>alert(5)</script>"}}],
    "requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object", "required": ["tier"],
      "properties": {
        "tier": {"enum": ["basic", "\"><script>alert(6)</script>"]},
        "ratio": {"type": "number"},
        "text": {"type": "string"},
        "labels": {"type": "object"},
        "list": {"type": "array", "items": {"type": "string"}}}}}}},
    "responses": {"200": {"description": "ok"}}}}},
  "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Secret"}}}
}"#;
const SECRET: &str = "s3cret-value-of-the-key";
const PAGE: &str = "/servers/things/tools/change";

/// A server with one tool that has an argument of every kind, whose API answers with what it got.
fn things() -> (Served, String) {
    let upstream = echo();
    let served = serve_with(&["--allow-upstream", "127.0.0.1"]);
    let cookie = served.sign_in();
    let document = DOCUMENT.replace("UPSTREAM", &format!("http://{upstream}"));
    let body = serde_json::json!({ "slug": "things", "document": document, "credentials": {"key": SECRET} });
    let head = format!(
        "POST /api/v1/servers HTTP/1.1\r\nContent-Type: application/json\r\nCookie: {cookie}\r\nX-CSRF-Token: {}",
        csrf(&served.get("/publish", &cookie))
    );
    let made = served.ask(&head, &body.to_string());
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    (served, cookie)
}

#[test]
fn each_argument_has_a_labelled_control_of_its_kind() {
    let (served, cookie) = things();
    let page = served.get(PAGE, &cookie);
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    for (name, control) in [
        ("id", "inputmode=\"decimal\""),
        (
            "strict",
            "<option value=\"true\">true</option><option value=\"false\">",
        ),
        ("day", "type=\"date\""),
        ("note", "<input"),
        ("tier", "<option value=\"&#34;basic&#34;\">basic</option>"),
        ("ratio", "inputmode=\"decimal\""),
        ("text", "<textarea class=\"plain\""),
        ("labels", "placeholder=\"{}\""),
        ("list", "&#34;text&#34;\n]\""),
    ] {
        let begin = page
            .find(&format!("<code>{name}</code></label>"))
            .expect(name);
        let argument = &page[begin..];
        let argument = &argument[..argument.find("</div>").unwrap()];
        assert!(argument.contains(control), "{name}: {argument}");
        assert!(
            argument.contains(&format!("name=\"a.{name}\"")),
            "{argument}"
        );
        let required =
            argument.contains("class=\"required\"") && argument.contains("aria-required");
        assert_eq!(required, ["id", "tier"].contains(&name), "{argument}");
        let id = argument
            .split(" id=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        assert!(
            page.contains(&format!("<label for=\"{id}\">")),
            "{name} has no label"
        );
    }
    assert!(!page.contains("<script>"), "{page}");
}

#[test]
fn a_call_shows_what_was_sent_without_its_secret() {
    let (served, cookie) = things();
    let token = csrf(&served.get(PAGE, &cookie));
    let entered = [
        ("csrf", token.as_str()),
        ("a.id", "12345678901234567"),
        ("a.strict", "false"),
        ("a.note", "a&b <script>alert(7)</script>"),
        ("a.tier", "\"basic\""),
        ("a.ratio", "1.50"),
        ("a.text", "one\r\ntwo"),
        ("a.labels", "{\"k\": \"v\"}"),
    ];
    let post = |more: &[(&str, &str)]| {
        let session = format!("Cookie: {cookie}\r\n");
        served.post(PAGE, &session, &form(&[&entered, more].concat()))
    };

    let rehearsed = post(&[("do", "dry-run")]);
    assert!(
        rehearsed.contains("nothing was sent") && rehearsed.contains("This would be sent"),
        "{rehearsed}"
    );
    assert!(
        rehearsed.contains("/things/12345678901234567?strict=false"),
        "{rehearsed}"
    );
    // Without a word about it, nothing is sent either.
    assert!(post(&[]).contains("nothing was sent"));

    let called = post(&[("do", "call")]);
    assert!(called.starts_with("HTTP/1.1 200"), "{called}");
    assert!(
        called.contains("The call succeeded") && called.contains("200 OK"),
        "{called}"
    );
    assert!(
        called.contains(" ms in all") && called.contains("to the first byte"),
        "{called}"
    );
    // The echo saw the request with its body and its key; the page shows the body alone.
    assert!(
        called.contains("POST /things/12345678901234567?strict=false"),
        "{called}"
    );
    assert!(called.contains("<dt>x-secret</dt>"), "{called}");
    assert!(called.contains("&#34;ratio&#34;: 1.50"), "{called}");
    assert!(called.contains("one\\ntwo"), "{called}");
    for page in [&rehearsed, &called] {
        assert!(!page.contains(SECRET), "a page shows the secret");
        assert!(!page.contains("<script>"), "{page}");
        assert!(
            page.contains("value=\"1.50\""),
            "what was entered is gone: {page}"
        );
    }
}

#[test]
fn errors_name_the_field_and_send_nothing() {
    let (served, cookie) = things();
    let token = csrf(&served.get(PAGE, &cookie));
    let session = format!("Cookie: {cookie}\r\n");
    let post = |pairs: &[(&str, &str)]| {
        let all = [&[("csrf", token.as_str()), ("do", "call")], pairs].concat();
        served.post(PAGE, &session, &form(&all))
    };
    let wrong = post(&[
        ("a.id", "twelve"),
        ("a.labels", "{'k'}"),
        ("a.note", "\"><script>"),
    ]);
    assert!(wrong.starts_with("HTTP/1.1 422"), "{wrong}");
    assert!(
        wrong.contains("Please correct: id, tier, labels."),
        "{wrong}"
    );
    assert_eq!(wrong.matches("aria-invalid=\"true\"").count(), 3, "{wrong}");
    assert!(wrong.contains(">labels</a>: This is not JSON"), "{wrong}");
    assert!(!wrong.contains("<script>"), "{wrong}");
    // What only the schema knows is said by the call itself.
    let whole = post(&[("json", "{\"id\": 1, \"tier\": \"gold\"}")]);
    assert!(
        whole.contains("The call failed") && whole.contains("tier"),
        "{whole}"
    );
    assert!(whole.contains("nothing was sent"), "{whole}");
    let list = post(&[("json", "[1]")]);
    assert!(
        list.starts_with("HTTP/1.1 422") && list.contains("write one object"),
        "{list}"
    );
}

#[test]
fn only_a_form_of_the_session_may_try_and_only_so_much() {
    let (served, cookie) = things();
    let session = format!("Cookie: {cookie}\r\n");
    let fields = "a.id=1&a.tier=%22basic%22&do=call";
    for form in [fields.to_owned(), format!("{fields}&csrf=00")] {
        let answer = served.post(PAGE, &session, &form);
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    }
    let visitor = served.post(PAGE, "", fields);
    assert!(
        visitor.starts_with("HTTP/1.1 303") && visitor.contains("location: /login"),
        "{visitor}"
    );
    assert!(
        served.get(PAGE, "").starts_with("HTTP/1.1 404"),
        "a visitor sees a server that needs a key"
    );
    assert!(
        served
            .get("/servers/things/tools/none", &cookie)
            .starts_with("HTTP/1.1 404")
    );
    let token = csrf(&served.get(PAGE, &cookie));
    let large = format!("csrf={token}&do=call&a.text={}", "x".repeat(1 << 20));
    let refused = served.post(PAGE, &session, &large);
    assert!(refused.starts_with("HTTP/1.1 413"), "{}", &refused[..200]);
}

#[test]
fn visitors_read_the_tools_of_open_servers() {
    let served = serve();
    let page = served.get("/servers/petstore/tools/listPets", "");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(
        page.contains("Sign in to try it") && !page.contains("method=\"post\""),
        "{page}"
    );
    let list = served.get("/servers/petstore/tools", "");
    assert!(
        list.contains("href=\"/servers/petstore/tools/listPets\""),
        "{list}"
    );
}

#[test]
fn an_image_is_shown() {
    let served = serve();
    let cookie = served.sign_in();
    let path = "/servers/petstore/tools/getPetPhoto";
    let token = csrf(&served.get(path, &cookie));
    let form = form(&[("csrf", &token), ("do", "call"), ("a.petId", "1")]);
    let page = served.post(path, &format!("Cookie: {cookie}\r\n"), &form);
    assert!(
        page.contains("<img class=\"part\" src=\"data:image/png;base64,"),
        "{page}"
    );
}
