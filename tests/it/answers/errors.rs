//! Errors in words that name the arguments.

use causeway::mcp::content::ANSWER_BYTES_MAX;
use serde_json::{Value, json};

use crate::answers::{rendered, response, texts, tool};

/// `POST /users/{user-id}` with lifted properties, one of them renamed.
fn lifted() -> causeway::mcp::tool::Tool {
    tool(&json!({"/users/{user id}": {"post": {"operationId": "t",
        "parameters": [{"name": "user id", "in": "path", "required": true, "schema": {"type": "string"}}],
        "requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object", "properties": {
            "email": {"type": "string"}, "first name": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}}}}}},
        "responses": {"200": {"description": "ok"}}}}}))
}

fn whole() -> causeway::mcp::tool::Tool {
    tool(&json!({"/users": {"post": {"operationId": "t",
        "requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "array", "items": {}}}}},
        "responses": {"200": {"description": "ok"}}}}}))
}

/// Name, media type, body, and what has to be said.
type Shape = (&'static str, &'static str, Value, &'static [&'static str]);

fn lists_of_objects() -> Vec<Shape> {
    vec![
        (
            "RFC 9457",
            "application/problem+json",
            json!({"type": "https://e.com/p", "title": "Not valid", "detail": "Two fields are wrong", "status": 422,
                "invalid-params": [{"name": "email", "reason": "no @"}, {"name": "first name", "reason": "too long"}], "balance": 12}),
            &[
                "Not valid: Two fields are wrong",
                "- `email`: no @",
                "- `first_name`: too long",
                r#"{"balance":12}"#,
            ],
        ),
        (
            "RFC 9457 errors",
            "application/problem+json",
            json!({"title": "Bad", "errors": [{"detail": "must be positive", "pointer": "#/tags/0"}]}),
            &["Bad", "- `tags.0`: must be positive"],
        ),
        (
            "Stripe",
            "application/json",
            json!({"error": {"message": "No such customer", "param": "email", "code": "resource_missing", "type": "invalid_request_error"}}),
            &["- `email`: No such customer (resource_missing)"],
        ),
        (
            "GitHub",
            "application/json",
            json!({"message": "Validation Failed", "errors": [{"resource": "User", "field": "email", "code": "already_exists"}], "documentation_url": "https://d"}),
            &["Validation Failed", "- `email`: already_exists"],
        ),
        (
            "FastAPI",
            "application/json",
            json!({"detail": [{"loc": ["body", "tags", 1], "msg": "str type expected", "type": "type_error.str"},
                {"loc": ["path", "user id"], "msg": "not a uuid", "type": "uuid"}]}),
            &[
                "- `tags.1`: str type expected (type_error.str)",
                "- `user_id`: not a uuid",
            ],
        ),
    ]
}

fn other_shapes() -> Vec<Shape> {
    vec![
        (
            "JSON:API",
            "application/vnd.api+json",
            json!({"errors": [{"status": "422", "title": "Invalid", "detail": "is blank", "source": {"pointer": "/data/attributes/email"}}]}),
            &["- `email`: is blank"],
        ),
        (
            "Rails",
            "application/json",
            json!({"errors": {"email": ["is taken", "is ugly"], "unknown": ["x"]}}),
            &[
                "- `email`: is taken",
                "- `email`: is ugly",
                "- `unknown`: x",
            ],
        ),
        (
            "ASP.NET",
            "application/problem+json",
            json!({"title": "One or more validation errors occurred.", "errors": {"Email": ["required"], "$.tags[0]": ["bad"]}, "traceId": "00-1"}),
            &[
                "One or more validation errors",
                "- `email`: required",
                "- `tags.0`: bad",
                "traceId",
            ],
        ),
        (
            "Google",
            "application/json",
            json!({"error": {"code": 400, "message": "Request contains an invalid argument.", "status": "INVALID_ARGUMENT",
                "details": [{"@type": "x", "fieldViolations": [{"field": "email", "description": "must be set"}]}]}}),
            &[
                "Request contains an invalid argument. (400)",
                "- `email`: must be set",
            ],
        ),
        (
            "OAuth",
            "application/json",
            json!({"error": "invalid_scope", "error_description": "unknown scope"}),
            &["invalid_scope: unknown scope"],
        ),
        (
            "a list",
            "application/json",
            json!(["email is bad"]),
            &["- email is bad"],
        ),
        (
            "nothing known",
            "application/json",
            json!({"why": "so"}),
            &[r#"{"why":"so"}"#],
        ),
    ]
}

#[test]
fn every_shape_of_error_names_the_argument() {
    let lifted = lifted();
    for (name, kind, body, lines) in lists_of_objects().into_iter().chain(other_shapes()) {
        let body = body.to_string();
        let answered = response(422, &[("content-type", kind)], body.as_bytes());
        let outcome = rendered(&lifted, &answered, ANSWER_BYTES_MAX).outcome;
        assert!(outcome.is_error);
        let text = texts(&outcome)[0];
        assert!(text.starts_with("The API answered 422"), "{name}: {text}");
        for line in lines {
            assert!(text.contains(line), "{name}: {line} in\n{text}");
        }
        assert!(!text.contains("user id"), "{name}: {text}");
    }
    let body = json!({"errors": [{"field": "/body/0/id", "message": "gone"}]}).to_string();
    let answered = response(
        400,
        &[("content-type", "application/json")],
        body.as_bytes(),
    );
    let outcome = rendered(&whole(), &answered, ANSWER_BYTES_MAX).outcome;
    assert!(
        texts(&outcome)[0].contains("- `body.0.id`: gone"),
        "{}",
        texts(&outcome)[0]
    );
}

#[test]
fn a_page_becomes_its_text_and_waiting_is_told() {
    let page = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title><style>b{color:red}</style></head>\
        <body><!-- x --><script>var a = '<b>';</script><h1>502&nbsp;Bad &amp; Gone</h1>\n\n<p>nginx</p></body></html>";
    let answered = response(502, &[("content-type", "text/html")], page.as_bytes());
    let outcome = rendered(&lifted(), &answered, ANSWER_BYTES_MAX).outcome;
    let text = texts(&outcome)[0];
    assert!(
        text.ends_with("502 Bad Gateway 502 Bad & Gone nginx"),
        "{text}"
    );
    for (value, part) in [
        ("30", "Retry after: 30 seconds."),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "Retry after: Wed, 21 Oct"),
    ] {
        let headers = [("content-type", "text/plain"), ("retry-after", value)];
        let outcome = rendered(
            &lifted(),
            &response(429, &headers, b"slow down"),
            ANSWER_BYTES_MAX,
        )
        .outcome;
        let text = texts(&outcome)[0];
        assert!(
            text.contains(part) && text.contains("Wait before") && text.ends_with("slow down"),
            "{text}"
        );
    }
    for status in [404, 409] {
        let outcome = rendered(
            &lifted(),
            &response(status, &[("content-type", "text/plain")], b""),
            ANSWER_BYTES_MAX,
        )
        .outcome;
        assert!(
            outcome.is_error && texts(&outcome)[0].contains("it"),
            "{status}"
        );
    }
}
