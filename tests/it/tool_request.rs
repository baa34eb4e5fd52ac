//! From document to request: what tools are made, and what their arguments become on the wire.

mod anything;
mod bodies;
mod bounds;
mod meaning;
mod owner;
mod styles;

use causeway::mcp::plan::{Destination, PlanError, base_url, plan};
use causeway::mcp::tool::{Tool, define};
use causeway::openapi::{DocumentLimits, read};
use causeway::types::UpstreamRequest;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use url::Url;

/// The tools of a document given as JSON paths and components.
fn tools(document: &Value) -> Vec<Tool> {
    let bytes = serde_json::to_vec(document).unwrap();
    let api = read(&bytes, &DocumentLimits::default()).unwrap();
    let defined = define(&api);
    let compiled = defined.tools.into_iter().map(Tool::compile);
    compiled.map(|(tool, _)| tool).collect()
}

fn document(paths: &Value) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {"title": "T", "version": "1"},
        "servers": [{"url": "https://api.example/v1?k=1"}],
        "paths": paths,
    })
}

fn planned(tool: &Tool, arguments: &str) -> Result<UpstreamRequest, PlanError> {
    let base = base_url(&tool.def, Destination::default()).unwrap();
    let raw = RawValue::from_string(arguments.to_owned()).unwrap();
    plan(tool, &base, &Some(raw)).map(|planned| planned.request)
}

fn refusal(tool: &Tool, arguments: &str) -> String {
    planned(tool, arguments).unwrap_err().to_string()
}

fn one(paths: &Value) -> Tool {
    let mut tools = tools(&document(paths));
    assert_eq!(tools.len(), 1);
    tools.remove(0)
}

fn item() -> Tool {
    one(&json!({"/items/{id}": {"parameters": [
        {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
        "put": {"operationId": "putItem", "parameters": [
            {"name": "ids[]", "in": "query", "schema": {"type": "array", "items": {"type": "number"}}},
            {"name": "X-Note", "in": "header", "schema": {"type": "string"}},
            {"name": "token", "in": "cookie", "schema": {"type": "string"}},
            {"name": "Host", "in": "header", "schema": {"type": "string"}}],
        "requestBody": {"content": {"application/json": {"schema": {
            "type": "object", "properties": {
                "price": {"type": "number"}, "note": {"type": ["string", "null"]},
                "secret": {"type": "string", "readOnly": true},
                "tags": {"type": "array", "items": {"type": "string"}}}}}}},
        "responses": {"200": {"description": "ok"}}}}}))
}

#[test]
fn arguments_go_where_their_binding_says() {
    let request = planned(
        &item(),
        r#"{"id":"a/b ?#%2e","ids":[1.10,12345678901234567890123,1.2345678e+07],
            "X-Note":"hi","token":"a;b","price":9007199254740993,"note":null,"tags":"[\"x\"]"}"#,
    )
    .unwrap();
    assert_eq!(request.method, "PUT");
    assert_eq!(
        request.url.as_str(),
        "https://api.example/v1/items/a%2Fb%20%3F%23%252e?k=1&ids%5B%5D=1.10\
         &ids%5B%5D=12345678901234567890123&ids%5B%5D=1.2345678e%2B07"
    );
    assert_eq!(request.headers["x-note"], "hi");
    assert_eq!(request.headers["cookie"], "token=a%3Bb");
    assert!(!request.headers.contains_key("host"));
    assert_eq!(request.headers["content-type"], "application/json");
    let body = std::str::from_utf8(&request.body).unwrap();
    assert_eq!(
        body,
        r#"{"price":9007199254740993,"note":null,"tags":["x"]}"#
    );
}

#[test]
fn a_fault_names_the_argument_and_the_rule() {
    let tool = item();
    let text = refusal(&tool, r#"{"price":"x","colour":1}"#);
    for part in ["id", "`price`", "colour"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert!(refusal(&tool, "[]").contains("not a JSON object"));
}

#[test]
fn each_stringified_argument_is_read_for_itself() {
    let tool = item();
    let unpacked = planned(&tool, r#"{"id":"{\"a\":1}","note":"[1]","tags":"[\"x\"]"}"#).unwrap();
    let body = std::str::from_utf8(&unpacked.body).unwrap();
    assert_eq!(body, r#"{"note":"[1]","tags":["x"]}"#, "a text stays one");
    assert!(unpacked.url.path().ends_with("/%7B%22a%22%3A1%7D"));
    let text = refusal(&tool, r#"{"id":"1","tags":"[1]"}"#);
    assert!(text.contains("`tags.0`"), "{text}");
}

#[test]
fn a_cookie_value_adds_no_cookie() {
    let tool = one(&json!({"/c": {"get": {"operationId": "c", "parameters": [
        {"name": "token", "in": "cookie", "allowReserved": true, "schema": {"type": "string"}},
        {"name": "deep", "in": "cookie", "allowReserved": true, "schema": {"type": "array",
            "items": {"type": "string"}}}],
        "responses": {"204": {"description": "ok"}}}}}));
    let request = planned(&tool, r#"{"token":"a; admin=1","deep":["b;c=d"]}"#).unwrap();
    assert_eq!(
        request.headers["cookie"],
        "token=a%3B%20admin%3D1; deep=b%3Bc%3Dd"
    );
}

#[test]
fn renamed_properties_find_back_to_their_names() {
    let filters = json!({"type": "object", "properties": {
        "$filter": {"type": "string"}, "filter": {"type": "string"},
        "any": {"type": "object"}}});
    let plain = json!({"type": "object", "properties": {"filter": {"type": "integer"}}});
    let tool = one(&json!({"/q": {"post": {"operationId": "q", "parameters": [
        {"name": "where", "in": "query", "content": {"application/json": {"schema": filters}}}],
        "requestBody": {"required": true, "content": {"application/json": {"schema": {
            "type": "object", "properties": {
                "one": filters, "two": plain,
                "list": {"type": "array", "items": {"anyOf": [filters, {"type": "string"}]}},
                "map": {"type": "object", "additionalProperties": filters}}}}}},
        "responses": {"204": {"description": "ok"}}}}}));
    let properties = &tool.def.input_schema["properties"];
    let names: Vec<&String> = properties["one"]["properties"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    let renamed = names
        .iter()
        .find(|name| !["filter", "any"].contains(&name.as_str()));
    let renamed = renamed.unwrap().as_str();
    let given = json!({renamed: "a", "filter": "b", "any": {renamed: 1, "filter": 2}});
    let sent = json!({"$filter": "a", "filter": "b", "any": {renamed: 1, "filter": 2}});
    let two = json!({"filter": 3});
    let arguments = json!({"where": given, "one": given, "two": two, "list": [given, "x"],
        "map": {renamed: given}});
    let request = planned(&tool, &arguments.to_string()).unwrap();
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let expected = json!({"one": sent, "two": two, "list": [sent, "x"], "map": {renamed: sent}});
    assert_eq!(body, expected);
    let (_, place) = request
        .url
        .query_pairs()
        .find(|(k, _)| k == "where")
        .unwrap();
    assert_eq!(serde_json::from_str::<Value>(&place).unwrap(), sent);
}

#[test]
fn a_text_part_stays_text_and_a_file_part_is_decoded() {
    let tool = one(
        &json!({"/u": {"post": {"operationId": "u", "requestBody": {"content": {
        "multipart/form-data": {"schema": {"type": "object", "properties": {
            "note": {"type": "string"}, "file": {"type": "string", "format": "binary"}}}}}},
        "responses": {"204": {"description": "ok"}}}}}),
    );
    let body = |arguments: Value| {
        let request = planned(&tool, &arguments.to_string()).unwrap();
        String::from_utf8_lossy(&request.body).into_owned()
    };
    let text = body(json!({"note": "data: see below"}));
    assert!(
        text.contains("name=\"note\"\r\n\r\ndata: see below\r\n"),
        "{text}"
    );
    let text = body(json!({"file": "aGk="}));
    assert!(
        text.contains("application/octet-stream\r\n\r\nhi\r\n"),
        "{text}"
    );
    let text = body(json!({"file": "data:text/plain;base64,aGk="}));
    assert!(
        text.contains("Content-Type: text/plain\r\n\r\nhi\r\n"),
        "{text}"
    );
    let text = body(json!({"file": "data:,h%69"}));
    assert!(
        text.contains("application/octet-stream\r\n\r\nhi\r\n"),
        "{text}"
    );
    for bad in ["data:image/png;base64", "data:;base64,!!", "not base64!"] {
        let text = refusal(&tool, &json!({"file": bad}).to_string());
        assert!(text.contains("`file`"), "{text}");
    }
}

#[test]
fn forms_of_swagger_2_join_arrays_as_collection_format_says() {
    let parameters: Vec<Value> = ["csv", "ssv", "tsv", "pipes", "multi"]
        .iter()
        .map(|format| {
            json!({"name": format, "in": "formData", "type": "array", "collectionFormat": format,
                "items": {"type": "string"}})
        })
        .collect();
    let document = json!({"swagger": "2.0", "info": {"title": "T", "version": "1"},
        "host": "api.example", "schemes": ["https"], "paths": {"/f": {"post": {
            "operationId": "f", "consumes": ["application/x-www-form-urlencoded"],
            "parameters": parameters, "responses": {"204": {"description": "ok"}}}}}});
    let tool = tools(&document).remove(0);
    let two = json!(["a b", "c,|"]);
    let arguments = json!({"csv": two, "ssv": two, "tsv": two, "pipes": two, "multi": two});
    let request = planned(&tool, &arguments.to_string()).unwrap();
    assert_eq!(
        std::str::from_utf8(&request.body).unwrap(),
        "csv=a%20b,c%2C%7C&ssv=a%20b%20c%2C%7C&tsv=a%20b%09c%2C%7C&pipes=a%20b%7Cc%2C%7C\
         &multi=a%20b&multi=c%2C%7C"
    );
}

#[test]
fn a_path_value_never_climbs() {
    let tool = item();
    for bad in ["", ".", ".."] {
        let text = refusal(&tool, &json!({ "id": bad }).to_string());
        assert!(text.contains("`id`"), "{text}");
    }
    let pair = one(
        &json!({"/f/{a}{b}/x": {"get": {"operationId": "f", "parameters": [
        {"name": "a", "in": "path", "required": true, "schema": {"type": "string"}},
        {"name": "b", "in": "path", "required": true, "schema": {"type": "string"}}],
        "responses": {"204": {"description": "ok"}}}}}),
    );
    assert!(refusal(&pair, r#"{"a":".","b":"."}"#).contains("`b`"));
}

#[test]
fn a_header_value_never_ends_its_line() {
    for bad in ["a\r\nHost: evil", "a\u{0}", "é", "a\tb"] {
        let text = refusal(&item(), &json!({"id": "1", "X-Note": bad}).to_string());
        assert!(text.contains("`X-Note`"), "{text}");
    }
}

#[test]
fn an_optional_null_means_absent() {
    let request = planned(&item(), r#"{"id":"1","ids":null,"X-Note":null}"#).unwrap();
    assert_eq!(request.url.as_str(), "https://api.example/v1/items/1?k=1");
    assert!(request.body.is_empty());
}

#[test]
fn the_same_name_in_several_places_is_told_apart() {
    let tool = one(
        &json!({"/a/{id}": {"post": {"operationId": "a", "parameters": [
        {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
        {"name": "id", "in": "query", "schema": {"type": "string"}}],
        "requestBody": {"required": true, "content": {"application/json": {"schema": {
            "type": "object", "properties": {"id_path": {"type": "string"}}}}}},
        "responses": {"204": {"description": "ok"}}}}}),
    );
    let names: Vec<_> = tool.def.input_schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(names, ["id_path", "id_query", "body"]);
    let request = planned(
        &tool,
        r#"{"id_path":"p","id_query":"q","body":{"id_path":"b"}}"#,
    );
    let request = request.unwrap();
    assert_eq!(request.url.as_str(), "https://api.example/v1/a/p?k=1&id=q");
    assert_eq!(&request.body[..], br#"{"id_path":"b"}"#);
}

#[test]
fn bodies_of_every_kind_are_written() {
    let with = |content: Value| {
        one(&json!({"/b": {"post": {"operationId": "b",
            "requestBody": {"required": true, "content": content},
            "responses": {"204": {"description": "ok"}}}}}))
    };
    let array = with(json!({"application/json": {"schema": {"type": "array"}}}));
    let request = planned(&array, r#"{"body":[1,null,1e2]}"#).unwrap();
    assert_eq!(&request.body[..], b"[1,null,1e2]");

    let merge = with(json!({"application/merge-patch+json": {"schema": {"type": "object"}}}));
    let request = planned(&merge, r#"{"body":{"a":null}}"#).unwrap();
    assert_eq!(&request.body[..], br#"{"a":null}"#);
    assert_eq!(
        request.headers["content-type"],
        "application/merge-patch+json"
    );

    let form = with(json!({"application/x-www-form-urlencoded": {"schema": {
        "type": "object", "properties": {
            "a": {"type": "string"}, "b": {"type": "array"}, "c": {"type": "object"}}}}}));
    let request = planned(&form, r#"{"a":"x&y=z","b":[1,2],"c":{"k":1}}"#).unwrap();
    let body = String::from_utf8(request.body.to_vec()).unwrap();
    let parsed: Vec<_> = url::form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect();
    let expected = [("a", "x&y=z"), ("b", "1"), ("b", "2"), ("c", r#"{"k":1}"#)];
    let expected = expected.map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(parsed, expected);

    let bytes = with(json!({"application/octet-stream": {}}));
    let request = planned(&bytes, r#"{"body":"/+8"}"#).unwrap();
    assert_eq!(&request.body[..], [0xff, 0xef]);
    assert!(refusal(&bytes, r#"{"body":"not base64!"}"#).contains("base64"));

    let parts = with(
        json!({"multipart/form-data": {"schema": {"type": "object", "properties": {
        "name": {"type": "string"},
        "file": {"type": "string", "contentMediaType": "image/png"}}}}}),
    );
    let request = planned(&parts, r#"{"name":"n","file":"AAEC"}"#).unwrap();
    let kind = request.headers["content-type"].to_str().unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let expected = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nn\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"file\"\r\n\
         Content-Type: image/png\r\n\r\n\0\u{1}\u{2}\r\n--{boundary}--\r\n"
    );
    assert_eq!(String::from_utf8(request.body.to_vec()).unwrap(), expected);
}

#[test]
fn the_upstream_setting_wins_over_the_document() {
    let tool = item();
    let to = Destination {
        upstream: Some("http://127.0.0.1:9/x"),
        ..Destination::default()
    };
    let base = base_url(&tool.def, to).unwrap();
    let raw = RawValue::from_string(r#"{"id":"1"}"#.into()).unwrap();
    let request = plan(&tool, &base, &Some(raw)).unwrap().request;
    assert_eq!(
        request.url,
        Url::parse("http://127.0.0.1:9/x/items/1").unwrap()
    );
}

/// Every style, read back by an independent parser: the value is where it belongs and nothing else
/// is in the request.
mod places {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    /// Compiled once: it is the same for every case.
    static EVERYWHERE: LazyLock<Tool> = LazyLock::new(everywhere);

    fn everywhere() -> Tool {
        let text = json!({"type": "string"});
        one(
            &json!({"/items/{id}/parts": {"post": {"operationId": "everywhere", "parameters": [
            {"name": "id", "in": "path", "required": true, "schema": text},
            {"name": "q", "in": "query", "schema": text},
            {"name": "r", "in": "query", "allowReserved": true, "schema": text},
            {"name": "list", "in": "query", "schema": {"type": "array", "items": text}},
            {"name": "flat", "in": "query", "explode": false,
             "schema": {"type": "array", "items": text}},
            {"name": "deep", "in": "query", "style": "deepObject", "schema": {"type": "object"}},
            {"name": "c", "in": "cookie", "schema": text},
            {"name": "X-H", "in": "header", "schema": text}],
            "requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": {
                "type": "object", "properties": {"f": text, "g": {"type": "array"}}}}}},
            "responses": {"204": {"description": "ok"}}}}}),
        )
    }

    fn decoded(text: &str) -> String {
        percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .unwrap()
            .into_owned()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(192))]

        #[test]
        fn no_value_escapes_its_place(
            id in any::<String>(), q in any::<String>(), r in "[^%\\n]{0,20}",
            list in prop::collection::vec(any::<String>(), 1..4),
            key in "[^\\x00]{1,8}", c in any::<String>(), f in any::<String>(),
        ) {
            let tool = &*EVERYWHERE;
            let arguments = json!({"id": id, "q": q, "r": r, "list": list, "flat": list,
                "deep": {key.clone(): q}, "c": c, "f": f, "g": list});
            let Ok(request) = planned(tool, &arguments.to_string()) else {
                prop_assert!(["", ".", ".."].contains(&id.as_str()), "refused: {id:?}");
                return Ok(());
            };
            let url = &request.url;
            prop_assert_eq!(url.origin().ascii_serialization(), "https://api.example");
            prop_assert!(url.fragment().is_none());
            let segments: Vec<_> = url.path_segments().unwrap().map(decoded).collect();
            prop_assert_eq!(segments, ["v1", "items", id.as_str(), "parts"]);

            let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            let deep = format!("deep[{key}]");
            let mut expected = vec![("k", "1"), ("q", &q), ("r", &r)];
            expected.extend(list.iter().map(|item| ("list", item.as_str())));
            let head = pairs.iter().map(|(k, v)| (k.as_str(), v.as_str()));
            prop_assert_eq!(head.take(expected.len()).collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(pairs.len(), expected.len() + 2);
            prop_assert_eq!(&pairs[pairs.len() - 1], &(deep, q.clone()));
            let flat = url.query().unwrap().split('&').find_map(|p| p.strip_prefix("flat="));
            let flat: Vec<_> = flat.unwrap().split(',').map(decoded).collect();
            prop_assert_eq!(&flat, &list);

            let cookie = request.headers["cookie"].to_str().unwrap();
            prop_assert!(!cookie.contains(';'));
            prop_assert_eq!(decoded(cookie.strip_prefix("c=").unwrap()), c);

            let body: Vec<(String, String)> =
                url::form_urlencoded::parse(&request.body).into_owned().collect();
            let mut expected = vec![("f", f.as_str())];
            expected.extend(list.iter().map(|item| ("g", item.as_str())));
            let body: Vec<_> = body.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            prop_assert_eq!(body, expected);
        }

        #[test]
        fn a_header_holds_its_value_or_the_call_is_refused(value in any::<String>()) {
            let tool = &*EVERYWHERE;
            let arguments = json!({"id": "1", "X-H": value});
            if let Ok(request) = planned(tool, &arguments.to_string()) {
                prop_assert_eq!(request.headers["x-h"].to_str().unwrap(), value);
                prop_assert_eq!(request.headers.len(), 2);
            } else {
                // Blanks around a value are not part of it (RFC 9110 section 5.5).
                let trimmed = value.trim_matches([' ', '\t']) != value;
                let unprintable = value.chars().any(|c| !(' '..='~').contains(&c));
                prop_assert!(trimmed || unprintable, "{value:?}");
            }
        }

        #[test]
        fn any_json_is_planned_or_refused(text in json_text(4)) {
            let tool = &*EVERYWHERE;
            let _ = planned(tool, &text);
            let object = format!("{{\"id\":{text},\"list\":{text},\"deep\":{text},\"g\":{text}}}");
            let _ = planned(tool, &object);
        }

        #[test]
        fn a_json_body_arrives_as_it_was_written(text in json_text(4)) {
            let tool = one(&json!({"/b": {"post": {"operationId": "b",
                "requestBody": {"required": true, "content": {"application/json": {}}},
                "responses": {"204": {"description": "ok"}}}}}));
            let request = planned(&tool, &format!("{{\"body\":{text}}}")).unwrap();
            prop_assert_eq!(std::str::from_utf8(&request.body).unwrap(), text);
        }
    }

    /// JSON texts with numbers no double holds.
    fn json_text(depth: u32) -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|b| b.to_string()),
            "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,5})?(e[+-]?[0-9]{1,2})?",
            any::<String>().prop_map(|s| Value::from(s).to_string()),
        ];
        leaf.prop_recursive(depth, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|items| format!("[{}]", items.join(","))),
                prop::collection::vec(("[a-z]{1,4}", inner), 0..4).prop_map(|members| {
                    let members: Vec<_> = members
                        .iter()
                        .map(|(k, v)| format!("\"{k}\":{v}"))
                        .collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        })
    }
}

mod answers {
    use std::time::Duration;

    use causeway::mcp::content::{ANSWER_BYTES_MAX, render};
    use causeway::mcp::provider::{Content, ResourceBody, ToolOutcome};
    use causeway::types::UpstreamResponse;
    use http::{HeaderMap, HeaderValue, StatusCode, header};

    use super::*;

    fn tool(schema: &Value) -> Tool {
        one(
            &json!({"/a": {"get": {"operationId": "a", "responses": {"200": {
            "description": "ok", "content": {"application/json": {"schema": schema}}}}}}}),
        )
    }

    fn object() -> Tool {
        tool(
            &json!({"type": "object", "required": ["id"], "properties": {
            "id": {"type": "integer"}, "name": {"type": "string", "enum": ["a"]}}}),
        )
    }

    fn answer(tool: &Tool, status: u16, kind: &str, body: &[u8]) -> ToolOutcome {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
        let response = UpstreamResponse {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: body.to_vec().into(),
            truncated: false,
            first_byte: Duration::ZERO,
            total: Duration::ZERO,
        };
        render(tool, &response)
    }

    fn text(outcome: &ToolOutcome) -> &str {
        match &outcome.content[0] {
            Content::Text(text) => text,
            _ => "not a text",
        }
    }

    fn structured(outcome: &ToolOutcome) -> &str {
        outcome.structured.as_ref().unwrap().get()
    }

    #[test]
    fn json_is_given_as_it_was_written() {
        let body = r#"{"id": 12345678901234567890123, "name":"other", "more":1.10}"#;
        let outcome = answer(&object(), 200, "application/hal+json", body.as_bytes());
        assert_eq!((text(&outcome), structured(&outcome)), (body, body));
        let outcome = answer(&object(), 200, "text/plain", br#"{"id":1}"#);
        assert_eq!(structured(&outcome), r#"{"id":1}"#);
        let list = tool(&json!({"type": "array", "items": {"type": "integer"}}));
        let outcome = answer(&list, 200, "application/json", b"[1, 2]");
        assert_eq!(
            (text(&outcome), structured(&outcome)),
            ("[1, 2]", r#"{"result":[1, 2]}"#)
        );
    }

    #[test]
    fn a_success_always_fits_the_output_schema() {
        let tool = object();
        for (kind, body, expected) in [
            (
                "application/json",
                r#"{"id":"x","name":"n"}"#,
                r#"{"name":"n"}"#,
            ),
            ("application/json", r#"{"id":null}"#, r#"{"id":null}"#),
            ("application/json", "[1]", "{}"),
            ("application/json", "not json", "{}"),
            ("text/html", "<p>hi</p>", "{}"),
            ("application/json", "", "{}"),
        ] {
            let outcome = answer(&tool, 200, kind, body.as_bytes());
            assert!(!outcome.is_error);
            assert_eq!(structured(&outcome), expected, "{body}");
            let value: Value = serde_json::from_str(structured(&outcome)).unwrap();
            assert!(tool.output.as_ref().unwrap().is_valid(&value));
            assert!(text(&outcome).contains(body));
        }
    }

    #[test]
    fn errors_tell_the_model_what_to_change() {
        for (status, part) in [
            (302, "not followed"),
            (401, "owner"),
            (404, "does not exist"),
            (422, "Correct the arguments"),
            (429, "Retry after: 30"),
            (503, "may work later"),
        ] {
            let outcome = answer(&object(), status, "application/json", br#"{"why":"so"}"#);
            assert!(outcome.is_error && outcome.structured.is_none(), "{status}");
            let text = text(&outcome);
            assert!(
                text.contains(part) && text.contains(&status.to_string()),
                "{text}"
            );
            assert!(text.contains("why"), "{text}");
        }
    }

    #[test]
    fn bytes_come_in_the_block_they_belong_to() {
        let plain = one(&json!({"/a": {"get": {"operationId": "a", "responses": {}}}}));
        let outcome = answer(&plain, 200, "image/png", &[1, 2, 3]);
        assert!(
            matches!(&outcome.content[0], Content::Image { data, media_type }
            if data == "AQID" && media_type == "image/png")
        );
        let outcome = answer(&plain, 200, "audio/mpeg", &[1, 2, 3]);
        assert!(matches!(&outcome.content[0], Content::Audio { .. }));
        for (kind, body) in [
            ("application/pdf", &b"%PDF"[..]),
            ("text/plain", &[0, 1, 2]),
        ] {
            let outcome = answer(&plain, 200, kind, body);
            assert!(
                matches!(&outcome.content[0], Content::Resource(resource)
                if matches!(&resource.body, ResourceBody::Blob(_))),
                "{kind}"
            );
        }
        let wide = b"c\0a\0f\0\xe9\0";
        let outcome = answer(&plain, 200, "text/plain; charset=utf-16le", wide);
        assert_eq!(text(&outcome), "caf\u{e9}");
        let outcome = answer(&plain, 200, "text/plain; charset=latin1", b"caf\xe9");
        assert_eq!(text(&outcome), "caf\u{e9}");
        let outcome = answer(&plain, 200, "text/plain", b"\xff\xfeh\0i\0");
        assert_eq!(text(&outcome), "hi");
    }

    #[test]
    fn an_answer_beyond_the_budget_says_what_was_cut() {
        let plain = one(&json!({"/a": {"get": {"operationId": "a", "responses": {}}}}));
        let long = "ä".repeat(ANSWER_BYTES_MAX);
        let outcome = answer(&plain, 200, "text/plain; charset=utf-8", long.as_bytes());
        assert!(text(&outcome).len() <= ANSWER_BYTES_MAX);
        assert!(matches!(&outcome.content[1], Content::Text(note) if note.contains("cut")));
    }
}
