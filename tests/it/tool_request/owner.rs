//! What no argument can reach, and what only the owner chooses.

use std::collections::BTreeMap;

use causeway::mcp::plan::{Destination, base_url, check_destination};
use causeway::mcp::tool::{BodyArguments, Tool};
use serde_json::json;
use url::Url;

use super::{document, one, planned, tools};

#[test]
fn headers_of_the_connection_are_no_arguments() {
    let reserved = [
        "Accept",
        "authorization",
        "Content-Type",
        "HOST",
        "Cookie",
        "Content-Length",
        "Connection",
        "Transfer-Encoding",
        "TE",
        "Trailer",
        "Upgrade",
        "Keep-Alive",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Expect",
        "Accept-Encoding",
        "Content-Encoding",
        "Max-Forwards",
    ];
    let parameters: Vec<_> = reserved
        .iter()
        .chain(&["X-Mine", "If-Match"])
        .map(|name| json!({"name": name, "in": "header", "required": true, "schema": {"type": "string"}}))
        .collect();
    let document = document(
        &json!({"/": {"get": {"operationId": "t", "parameters": parameters,
        "responses": {"204": {"description": "ok"}}}}}),
    );
    let bytes = serde_json::to_vec(&document).unwrap();
    let api =
        causeway::openapi::read(&bytes, &causeway::openapi::DocumentLimits::default()).unwrap();
    let told = api
        .findings
        .iter()
        .filter(|f| f.code == "header-parameter-ignored");
    assert_eq!(told.count(), reserved.len());
    let tool = tools(&document).remove(0);
    assert_eq!(
        tool.def.input_schema["required"],
        json!(["X-Mine", "If-Match"])
    );
    let properties = tool.def.input_schema["properties"].as_object().unwrap();
    assert_eq!(properties.len(), 2);
}

#[test]
fn a_required_parameter_of_one_value_stays_visible_and_is_sent_without_being_given() {
    let tool = one(&json!({"/{v}": {"get": {"operationId": "t", "parameters": [
        {"name": "v", "in": "path", "required": true, "schema": {"const": "v1"}},
        {"name": "Notion-Version", "in": "header", "required": true, "schema": {"enum": ["2022-06-28"]}},
        {"name": "optional", "in": "query", "schema": {"enum": ["x"]}}],
        "responses": {"204": {"description": "ok"}}}}}));
    assert!(tool.def.input_schema.get("required").is_none());
    assert_eq!(tool.def.input_schema["properties"]["v"]["const"], "v1");
    let request = planned(&tool, "{}").unwrap();
    assert_eq!(request.url.as_str(), "https://api.example/v1/v1?k=1");
    assert_eq!(request.headers["notion-version"], "2022-06-28");
    assert!(planned(&tool, r#"{"v":"v2"}"#).is_err());
}

#[test]
fn the_owner_chooses_the_server_and_its_variables() {
    let mut document = document(&json!({
        "/a": {"get": {"operationId": "a", "responses": {}}},
        "/b": {"get": {"operationId": "b", "responses": {}, "servers": [{"url": "https://own.example"}]}}}));
    document["servers"] = json!([
        {"url": "https://{region}.example/{base}", "variables": {
            "region": {"default": "eu", "enum": ["eu", "us"]}, "base": {"default": "v1"}}},
        {"url": "https://sandbox.example/v1"}]);
    let tools = tools(&document);
    let variables = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        let pairs = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        pairs.collect()
    };
    let chosen = variables(&[("region", "us"), ("base", "v2")]);
    for (server, variables, a) in [
        (None, None, "https://eu.example/v1"),
        (None, Some(&chosen), "https://us.example/v2"),
        (Some("1"), Some(&chosen), "https://sandbox.example/v1"),
        (
            Some("https://sandbox.example/v1"),
            None,
            "https://sandbox.example/v1",
        ),
        (
            Some("https://{region}.example/{base}"),
            Some(&chosen),
            "https://us.example/v2",
        ),
    ] {
        let to = Destination {
            server,
            variables,
            ..Destination::default()
        };
        let url = |index: usize| base_url(&tools[index].def, to).unwrap();
        assert_eq!(url(0), Url::parse(a).unwrap());
        assert_eq!(
            url(1).as_str(),
            "https://own.example/",
            "an operation's own server stays"
        );
    }
    let defs: Vec<_> = tools.iter().map(|tool| &*tool.def).collect();
    let check =
        |server, pairs: &[(&str, &str)]| check_destination(&defs, server, &variables(pairs));
    assert!(check(Some("1"), &[("region", "us"), ("base", "any")]).is_ok());
    for (server, pairs, part) in [
        (Some("2"), &[][..], "`2`"),
        (Some("https://evil.example"), &[], "sandbox.example"),
        (None, &[("region", "mars")], "eu, us"),
        (None, &[("other", "x")], "base, region"),
        (None, &[("base", "a\nb")], "`base`"),
    ] {
        let text = check(server, pairs).unwrap_err();
        assert!(text.contains(part), "{text}");
    }
    // A value cannot make another host of the URL than the owner is told.
    let odd = variables(&[("region", "user@evil"), ("base", "x")]);
    let to = Destination {
        variables: Some(&odd),
        ..Destination::default()
    };
    assert_eq!(
        base_url(&tools[0].def, to).unwrap().host_str(),
        Some("eu.example")
    );
}

#[test]
fn a_pattern_that_is_not_checked_refuses_nothing() {
    let tool = one(
        &json!({"/": {"post": {"operationId": "t", "requestBody": {"required": true,
        "content": {"application/json": {"schema": {"type": "object", "properties": {
            "file": {"oneOf": [{"type": "string", "pattern": "<"},
                {"type": "string", "pattern": "^(?!https://).+\\.html$"}]},
            "other": {"type": "string", "not": {"pattern": "^(?=a)"}}}}}}},
        "responses": {"204": {"description": "ok"}}}}}),
    );
    assert!(planned(&tool, r#"{"file":"<p>","other":"b"}"#).is_ok());
    assert!(planned(&tool, r#"{"file":1}"#).is_err());
}

#[test]
fn what_the_owner_fixed_wins_over_what_is_given() {
    let tool = one(&json!({"/x": {"post": {"operationId": "t",
        "parameters": [{"name": "tenant", "in": "query", "schema": {"type": "string"}}],
        "requestBody": {"content": {"application/json": {"schema": {"type": "object",
            "properties": {"role": {"type": "string"}, "name": {"type": "string"}}}}}},
        "responses": {"204": {"description": "ok"}}}}}));
    let mut def = (*tool.def).clone();
    def.binding.parameters[0].fixed = Some(json!("ours"));
    let body = &mut def.binding.body.as_mut().unwrap().arguments;
    let BodyArguments::Lifted(properties) = body else {
        panic!("properties of the body are arguments");
    };
    properties[0].fixed = Some(json!("reader"));
    let tool = Tool::compile(def).0;
    let given = r#"{"tenant":"theirs","role":"admin","name":"n"}"#;
    let request = planned(&tool, given).unwrap();
    assert_eq!(request.url.query(), Some("k=1&tenant=ours"));
    assert_eq!(request.body, r#"{"role":"reader","name":"n"}"#);
}
