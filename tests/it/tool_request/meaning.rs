//! What a document says, and what is sent: nothing of it lost, and nothing else than it allows.

use causeway::mcp::curation::{Curations, curate};
use causeway::mcp::tool::Tool;
use causeway::openapi::{self, DocumentLimits};
use serde_json::{Value, json};

use super::{document, one, planned, refusal, tools};

fn get(path: &str, parameters: &Value) -> Value {
    json!({path: {"get": {"operationId": "t", "parameters": parameters,
        "responses": {"204": {"description": "ok"}}}}})
}

fn body(content: &Value) -> Value {
    json!({"/b": {"post": {"operationId": "b",
        "requestBody": {"required": true, "content": content},
        "responses": {"204": {"description": "ok"}}}}})
}

fn url(tool: &Tool, arguments: &str) -> String {
    planned(tool, arguments).unwrap().url.to_string()
}

fn sent(tool: &Tool, arguments: &str) -> String {
    String::from_utf8(planned(tool, arguments).unwrap().body.to_vec()).unwrap()
}

fn findings(document: &Value) -> Vec<String> {
    let bytes = serde_json::to_vec(document).unwrap();
    let findings = match openapi::read(&bytes, &DocumentLimits::default()) {
        Ok(api) => api.findings,
        Err(openapi::DocumentError::NoOperations { findings, .. }) => findings,
        Err(_) => Vec::new(),
    };
    findings
        .into_iter()
        .map(|found| found.code.into_owned())
        .collect()
}

#[test]
fn nobody_gives_what_the_owner_or_the_document_fixed() {
    let paths = json!({"/f": {"post": {"operationId": "f", "parameters": [
            {"name": "tenant", "in": "query", "required": true, "schema": {"type": "string"}},
            {"name": "X-Role", "in": "header", "required": true, "schema": {"const": "viewer"}},
            {"name": "bad", "in": "query", "schema": {"type": "string", "pattern": "(?=x)("}}],
        "requestBody": {"content": {"application/json": {"schema": {
            "type": "object", "dependentRequired": {"a": "b"},
            "properties": {"a": {"type": "string"}}}}}},
        "responses": {"204": {"description": "ok"}}}}});
    let curations = json!({"POST /f": {"arguments": {"query:tenant": {"fixed": "acme"}}}});
    let curations: Curations = serde_json::from_value(curations).unwrap();
    let curated = curate(vec![(*one(&paths).def).clone()], &curations);
    let (mut tool, _) = Tool::compile(curated.tools.into_iter().next().unwrap());
    for _ in 0..2 {
        for evil in [
            r#"{"tenant":"evil"}"#,
            r#"{"=X-Role":"admin"}"#,
            r#"{"X-Role":"admin"}"#,
        ] {
            let text = refusal(&tool, evil);
            assert!(text.contains("no argument"), "{evil}: {text}");
        }
        let request = planned(&tool, r#"{"a":"1"}"#).unwrap();
        assert!(
            request.url.as_str().ends_with("tenant=acme"),
            "{}",
            request.url
        );
        assert_eq!(request.headers["x-role"], "viewer");
        // Where nothing could be compiled, no less holds.
        tool.input = None;
    }
}

#[test]
fn the_query_of_a_path_is_sent_as_it_stands() {
    let id = json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}]);
    let kind =
        json!([{"name": "type", "in": "path", "required": true, "schema": {"type": "string"}}]);
    let tag =
        json!([{"name": "tag", "in": "query", "required": true, "schema": {"type": "string"}}]);
    for (path, parameters, arguments, expected) in [
        (
            "/fix?tag=a&tag=b&q=a+b&wsdl",
            json!([]),
            "{}",
            "/fix?k=1&tag=a&tag=b&q=a+b&wsdl",
        ),
        (
            "/pp/{type}?type=dog",
            kind,
            r#"{"type":"x"}"#,
            "/pp/x?k=1&type=dog",
        ),
        ("/qv?id={id}", id, r#"{"id":"a&b"}"#, "/qv?k=1&id=a%26b"),
        (
            "/own?tag={tag}&a=1",
            tag,
            r#"{"tag":"x"}"#,
            "/own?k=1&a=1&tag=x",
        ),
    ] {
        let tool = one(&get(path, &parameters));
        let url = url(&tool, arguments);
        assert_eq!(url, format!("https://api.example/v1{expected}"), "{path}");
    }
}

#[test]
fn a_query_string_without_a_media_type_is_a_form() {
    let mut document = document(&get(
        "/q",
        &json!([{"name": "all", "in": "querystring",
        "required": true, "schema": {"type": "object", "properties": {
            "a": {"type": "string"}, "b": {"type": "integer"}}}}]),
    ));
    document["openapi"] = json!("3.2.0");
    assert!(findings(&document).contains(&"parameter-content".to_owned()));
    let tool = tools(&document).remove(0);
    assert!(url(&tool, r#"{"all":{"a":"x y","b":2}}"#).ends_with("?k=1&a=x+y&b=2"));
}

#[test]
fn connect_is_no_operation() {
    let mut document = document(&json!({"/c": {"additionalOperations": {"CONNECT": {
        "responses": {"204": {"description": "ok"}}}}}}));
    document["openapi"] = json!("3.2.0");
    assert!(findings(&document).contains(&"method-invalid".to_owned()));
}

#[test]
fn a_body_is_written_as_what_it_can_be() {
    let tool = one(&body(&json!({
        "application/json": {"schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
        "text/plain": {"schema": {"type": "string"}}})));
    let text = planned(&tool, r#"{"body":"hello"}"#).unwrap();
    assert_eq!(text.headers["content-type"], "text/plain");
    assert_eq!(text.body, "hello");
    assert_eq!(sent(&tool, r#"{"body":{"a":"x"}}"#), r#"{"a":"x"}"#);
    let wrong = refusal(
        &tool,
        r#"{"body":"hello","content_type":"application/json"}"#,
    );
    assert!(wrong.contains("media type"), "{wrong}");
}

#[test]
fn a_body_with_a_file_can_be_sent_in_parts() {
    let schema = json!({"type": "object", "properties": {
        "name": {"type": "string"}, "file": {"type": "string", "format": "binary"}}});
    let tool = one(&body(&json!({"application/json": {"schema": schema},
        "multipart/form-data": {"schema": schema}})));
    let choice = &tool.def.input_schema["properties"]["content_type"]["enum"];
    assert_eq!(choice, &json!(["application/json", "multipart/form-data"]));
    let request = planned(
        &tool,
        r#"{"body":{"file":{"data":"aGk=","filename":"h.txt"}},"content_type":"multipart/form-data"}"#,
    );
    let body = String::from_utf8(request.unwrap().body.to_vec()).unwrap();
    assert!(
        body.contains("filename=\"h.txt\"") && body.contains("\r\n\r\nhi\r\n"),
        "{body}"
    );
}

#[test]
fn what_depends_on_a_renamed_property_is_renamed_too() {
    let tool = one(&body(&json!({"application/json": {"schema": {
        "type": "object", "dependentRequired": {"a": ["c d"]},
        "dependentSchemas": {"c d": {"required": ["e"]}},
        "properties": {"a": {"type": "string"}, "c d": {"type": "string"},
            "e": {"type": "string"}}}}})));
    let full = sent(&tool, r#"{"body":{"a":"1","c_d":"2","e":"3"}}"#);
    assert_eq!(full, r#"{"a":"1","c d":"2","e":"3"}"#);
    assert!(refusal(&tool, r#"{"body":{"a":"1"}}"#).contains("c_d"));
    assert!(refusal(&tool, r#"{"body":{"c_d":"1"}}"#).contains("\"e\""));
}

#[test]
fn properties_named_as_keywords_are_properties() {
    let named = json!({"type": "object", "additionalProperties": false,
        "required": ["if", "not", "title", "pattern"], "properties": {
            "if": {"type": "string"}, "not": {"type": "string"}, "title": {"type": "string"},
            "description": {"type": "string"}, "pattern": {"type": "string"},
            "looked": {"type": "string", "pattern": "^(?=x)x$"}}});
    let tool = one(&body(&json!({"application/json": {"schema": {
        "type": "object", "properties": {"inner": named}}}})));
    let arguments = r#"{"inner":{"if":"a","not":"b","title":"c","description":"d","pattern":"e"}}"#;
    assert!(sent(&tool, arguments).contains(r#""if":"a""#));
    assert!(refusal(&tool, r#"{"inner":{"if":"a"}}"#).contains("not"));
}

#[test]
fn a_schema_that_was_cut_refuses_nothing_it_allowed() {
    let long = "word ".repeat(60);
    let many: serde_json::Map<String, Value> = (0..150)
        .map(|n| {
            (
                format!("p{n}"),
                json!({"type": "object", "properties": {
            "title": {"type": "object", "properties": {"a": {"type": "string"},
                "b": {"type": "string", "pattern": format!("^{n}{long}$")}}}}}),
            )
        })
        .collect();
    let tool = one(&body(
        &json!({"application/json": {"schema": {"type": "object",
        "properties": {
            "map": {"type": "object", "additionalProperties": false, "properties": {},
                "patternProperties": {"^x-": {"type": "string"}}},
            "pair": {"type": "array", "prefixItems": [{"type": "string"}], "items": false},
            "many": {"type": "object", "properties": many}}}}}),
    ));
    assert!(tool.def.input_schema.to_string().len() <= 24 << 10);
    sent(
        &tool,
        r#"{"map":{"x-a":"1"},"pair":["a"],"many":{"p1":{"title":{"a":"x"}}}}"#,
    );
}

#[test]
fn a_number_that_lost_its_digits_is_given_by_the_caller() {
    for only in ["\"const\"", "\"enum\""] {
        let number = "12345678901234567890123";
        let value = if only == "\"enum\"" {
            format!("[{number}]")
        } else {
            number.to_owned()
        };
        let text = document(&get(
            "/n",
            &json!([{"name": "n", "in": "query", "required": true,
            "schema": "HERE"}]),
        ))
        .to_string();
        let text = text.replace("\"HERE\"", &format!("{{{only}:{value}}}"));
        let tool = tools(&serde_json::from_str(&text).unwrap()).remove(0);
        let url = url(&tool, &format!("{{\"n\":{number}}}"));
        assert!(url.ends_with(&format!("n={number}")), "{url}");
    }
}

#[test]
fn lists_within_lists_are_written_as_swagger_says() {
    let inner = json!({"type": "array", "collectionFormat": "pipes", "items": {"type": "integer"}});
    let tool = tools(&json!({"swagger": "2.0", "info": {"title": "T", "version": "1"},
        "host": "api.example", "schemes": ["https"],
        "paths": {"/l": {"get": {"operationId": "l", "parameters": [
            {"name": "a", "in": "query", "type": "array", "collectionFormat": "csv", "items": inner},
            {"name": "b", "in": "query", "type": "array", "collectionFormat": "multi", "items": inner}],
            "responses": {"204": {"description": "ok"}}}}}}))
    .remove(0);
    let url = url(&tool, r#"{"a":[[1,2],[3]],"b":[[4,5],[6]]}"#);
    assert!(url.ends_with("?a=1%7C2,3&b=4%7C5&b=6"), "{url}");
}

#[test]
fn headers_that_differ_in_case_are_one() {
    let document = document(&get(
        "/h",
        &json!([
        {"name": "X-A", "in": "header", "schema": {"type": "string"}},
        {"name": "X-a", "in": "header", "schema": {"type": "string"}}]),
    ));
    assert!(findings(&document).contains(&"parameter-duplicate".to_owned()));
    let tool = tools(&document).remove(0);
    let properties = tool.def.input_schema["properties"].as_object().unwrap();
    assert_eq!(properties.keys().collect::<Vec<_>>(), ["X-a"]);
}

#[test]
fn links_are_found_in_arguments_that_came_as_text() {
    let tool = one(&body(
        &json!({"multipart/form-data": {"schema": {"type": "object",
        "properties": {"meta": {"type": "object", "properties": {"a": {"type": "string"}}},
            "files": {"type": "array", "items": {"type": "string", "format": "binary"}}}}}}),
    ));
    let arguments = r#"{"files":"[\"causeway://answers/1\"]"}"#;
    let arguments = Some(serde_json::value::RawValue::from_string(arguments.to_owned()).unwrap());
    let accepted = causeway::mcp::plan::accept(&tool, &arguments).unwrap();
    assert_eq!(accepted.links(), ["causeway://answers/1"]);
}
