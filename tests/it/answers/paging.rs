//! The call for the next page, as the APIs of the world say it.

use causeway::mcp::paging::{Exchanged, Next, Shown};
use causeway::mcp::tool::Tool;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use url::Url;

use crate::answers::tool;

/// A tool `GET /items` with these query parameters: name and type, or name and schema.
fn next(parameters: &Value, arguments: &str, headers: &[(&str, &str)], body: &str) -> Option<Next> {
    next_of(
        &Value::Null,
        Shown::All,
        (parameters, arguments, headers, body),
    )
}

/// The same, with arguments that the owner fixed, and of a list that may have been cut.
fn next_of(
    fixed: &Value,
    shown: Shown,
    (parameters, arguments, headers, body): (&Value, &str, &[(&str, &str)], &str),
) -> Option<Next> {
    let parameters: Vec<Value> = parameters
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, schema)| {
            let schema = match schema {
                Value::String(kind) => json!({ "type": kind }),
                schema => schema.clone(),
            };
            let deep = schema["type"] == "object";
            json!({"name": name, "in": "query", "schema": schema,
                "style": if deep { "deepObject" } else { "form" }, "explode": true})
        })
        .collect();
    let made = tool(
        &json!({"/items": {"get": {"operationId": "list", "parameters": parameters,
        "responses": {"200": {"description": "ok"}}}}}),
    );
    let mut def = (*made.def).clone();
    for parameter in &mut def.binding.parameters {
        parameter.fixed = fixed.get(&parameter.name).cloned();
    }
    let tool = Tool::compile(def).0;
    let arguments = Some(RawValue::from_string(arguments.to_owned()).unwrap());
    let base = Url::parse("https://api.example.com/v1").unwrap();
    let planned = causeway::mcp::plan::plan(&tool, &base, &arguments).unwrap();
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    let body = (!body.is_empty()).then_some(body);
    tool.pager.next(
        &tool.def,
        Exchanged {
            arguments: &arguments,
            url: &planned.request.url,
            headers: &map,
            body,
            shown,
        },
    )
}

fn items(count: usize) -> String {
    let items: Vec<Value> = (0..count)
        .map(|n| json!({"id": format!("it_{n}")}))
        .collect();
    json!(items).to_string()
}

const GITHUB: &str = r#"<https://api.example.com/v1/items?page=1>; rel="prev", <https://api.example.com/v1/items?page=3&per_page=2>; rel="next", <https://api.example.com/v1/items?page=9>; rel="last""#;

/// Name, parameters, arguments, headers, body, and the arguments of the next call.
type Row = (
    &'static str,
    Value,
    &'static str,
    Vec<(&'static str, &'static str)>,
    String,
    Value,
);

fn links_and_cursors() -> Vec<Row> {
    let page = json!({"page": "integer", "per_page": "integer"});
    vec![
        (
            "GitHub",
            page.clone(),
            r#"{"page":2,"per_page":2}"#,
            vec![("link", GITHUB)],
            "[1,2]".into(),
            json!({"page": 3, "per_page": 2}),
        ),
        (
            "GitLab",
            page,
            "{}",
            vec![("x-next-page", "2")],
            "[1]".into(),
            json!({"page": 2}),
        ),
        (
            "cursor in a link",
            json!({"after": "string", "q": "string"}),
            r#"{"q":"é"}"#,
            vec![("link", "</v1/items?q=%C3%A9&after=Y3Vyc29y>; rel=next")],
            String::new(),
            json!({"q": "é", "after": "Y3Vyc29y"}),
        ),
        (
            "Stripe",
            json!({"starting_after": "string", "limit": "integer"}),
            r#"{"limit":3}"#,
            vec![],
            format!(r#"{{"object":"list","has_more":true,"data":{}}}"#, items(3)),
            json!({"limit": 3, "starting_after": "it_2"}),
        ),
        (
            "Google",
            json!({"pageToken": "string", "maxResults": "integer"}),
            "{}",
            vec![],
            r#"{"kind":"x","nextPageToken":"CAUQAA","items":[1]}"#.into(),
            json!({"pageToken": "CAUQAA"}),
        ),
        (
            "AIP-158",
            json!({"page_token": "string", "page_size": "integer"}),
            r#"{"page_token":"a"}"#,
            vec![],
            r#"{"items":[],"next_page_token":"b"}"#.into(),
            json!({"page_token": "b"}),
        ),
        (
            "Slack",
            json!({"cursor": "string"}),
            "{}",
            vec![],
            r#"{"ok":true,"members":[1],"response_metadata":{"next_cursor":"dXNlcg=="}}"#.into(),
            json!({"cursor": "dXNlcg=="}),
        ),
    ]
}

fn nested_cursors() -> Vec<Row> {
    vec![
        (
            "HubSpot",
            json!({"after": "string", "limit": "integer"}),
            "{}",
            vec![],
            r#"{"results":[1],"paging":{"next":{"after":"10","link":"?after=10"}}}"#.into(),
            json!({"after": "10"}),
        ),
        (
            "Relay",
            json!({"after": "string", "first": "integer"}),
            r#"{"first":1}"#,
            vec![],
            r#"{"items":[1],"pageInfo":{"hasNextPage":true,"endCursor":"abc"}}"#.into(),
            json!({"first": 1, "after": "abc"}),
        ),
    ]
}

fn numbers_and_links() -> Vec<Row> {
    let page = json!({"page": "integer", "per_page": "integer"});
    let ten = items(10);
    vec![
        ("AWS", json!({"NextToken": "string"}), "{}", vec![],
            r#"{"Things":[1],"NextToken":"AAA"}"#.into(), json!({"NextToken": "AAA"})),
        ("Airtable", json!({"offset": "string"}), "{}", vec![],
            r#"{"records":[1],"offset":"itr1/rec2"}"#.into(), json!({"offset": "itr1/rec2"})),
        ("offset and limit", json!({"offset": "integer", "limit": "integer"}), r#"{"offset":20,"limit":10}"#, vec![],
            format!(r#"{{"total":95,"items":{ten}}}"#), json!({"offset": 30, "limit": 10})),
        ("a full page", json!({"offset": "integer", "limit": {"type": "integer", "default": 10}}), "{}", vec![],
            ten.clone(), json!({"offset": 10})),
        ("SCIM", json!({"startIndex": "integer", "count": "integer"}), "{}", vec![],
            format!(r#"{{"totalResults":25,"startIndex":1,"itemsPerPage":10,"Resources":{ten}}}"#),
            json!({"startIndex": 11})),
        ("HAL", json!({"page": "integer", "size": "integer"}), r#"{"page":1}"#, vec![],
            r#"{"_embedded":{"x":[1]},"_links":{"self":{"href":"/v1/items?page=1"},"next":{"href":"/v1/items?page=2"}}}"#.into(),
            json!({"page": 2})),
        ("Spring", json!({"page": "integer", "size": "integer"}), "{}", vec![],
            r#"{"content":[1,2],"last":false,"totalPages":4,"number":0}"#.into(), json!({"page": 2})),
        ("JSON:API", json!({"page[number]": "integer"}), "{}", vec![],
            r#"{"data":[1],"links":{"next":"https://api.example.com/v1/items?page%5Bnumber%5D=2"}}"#.into(),
            json!({"page_number": 2})),
        ("JSON:API, one object", json!({"page": {"type": "object", "properties": {"number": {"type": "integer"}}}}),
            r#"{"page":{"number":1,"size":5}}"#, vec![],
            r#"{"data":[1],"links":{"next":"/v1/items?page[number]=2&page[size]=5"}}"#.into(),
            json!({"page": {"number": 2, "size": 5}})),
        ("OData", json!({"$skip": "integer", "$top": "integer"}), r#"{"top":1}"#, vec![],
            r#"{"value":[1],"@odata.nextLink":"https://api.example.com/v1/items?$top=1&$skip=1"}"#.into(),
            json!({"top": 1, "skip": 1})),
        ("Django", page.clone(), r#"{"page":1}"#, vec![],
            r#"{"count":3,"next":"http://api.example.com/v1/items?page=2","previous":null,"results":[1]}"#.into(),
            json!({"page": 2})),
        ("Laravel", page.clone(), "{}", vec![],
            r#"{"data":[1],"links":{"first":"x"},"meta":{"current_page":1,"last_page":3},"next_page_url":"/v1/items?page=2"}"#.into(),
            json!({"page": 2})),
        ("pages counted", page.clone(), r#"{"page":2}"#, vec![],
            r#"{"items":[1],"meta":{"total_pages":3}}"#.into(), json!({"page": 3})),
        ("a next page by number", page, r#"{"page":4}"#, vec![],
            r#"{"items":[1],"next_page":5}"#.into(), json!({"page": 5})),
    ]
}

#[test]
fn each_convention_leads_to_the_next_page() {
    for (name, parameters, arguments, headers, body, expected) in links_and_cursors()
        .into_iter()
        .chain(nested_cursors())
        .chain(numbers_and_links())
    {
        let next = next(&parameters, arguments, &headers, &body)
            .unwrap_or_else(|| panic!("{name}: no next page"));
        let found: Value = serde_json::from_str(&next.arguments).unwrap();
        assert_eq!(found, expected, "{name}");
        assert!(
            next.describe()
                .starts_with("More results: call again with {"),
            "{name}"
        );
    }
}

const ONLY_FIRST: &str = r#"<https://api.example.com/v1/items?page=1>; rel="first""#;
const ELSEWHERE: &str = r#"<https://evil.example.com/v1/items?page=2>; rel="next""#;
const OTHER_PATH: &str = r#"<https://api.example.com/v1/users?page=2>; rel="next""#;

#[test]
fn the_last_page_and_what_is_not_known_offer_nothing() {
    let page = json!({"page": "integer", "per_page": "integer"});
    let cursor = json!({"cursor": "string", "limit": "integer"});
    let full = items(2);
    for (name, parameters, arguments, headers, body) in [
        (
            "GitHub's last page",
            &page,
            r#"{"per_page":2}"#,
            vec![("link", ONLY_FIRST)],
            full.as_str(),
        ),
        ("another origin", &page, "{}", vec![("link", ELSEWHERE)], ""),
        ("another path", &page, "{}", vec![("link", OTHER_PATH)], ""),
        (
            "no more",
            &page,
            r#"{"per_page":2}"#,
            vec![],
            r#"{"data":[1,2],"has_more":false}"#,
        ),
        (
            "null",
            &page,
            r#"{"per_page":1}"#,
            vec![],
            r#"{"next":null,"results":[1]}"#,
        ),
        (
            "an empty token",
            &cursor,
            "{}",
            vec![],
            r#"{"next_cursor":"","items":[1]}"#,
        ),
        (
            "the same cursor",
            &cursor,
            r#"{"cursor":"a"}"#,
            vec![],
            r#"{"cursor":"a","items":[1]}"#,
        ),
        ("a short page", &page, r#"{"per_page":5}"#, vec![], "[1,2]"),
        (
            "all of the total",
            &page,
            r#"{"page":2}"#,
            vec![],
            r#"{"total":4,"items":[1,2]}"#,
        ),
        ("an empty page", &page, r#"{"per_page":1}"#, vec![], "[]"),
        (
            "no argument for it",
            &json!({"q": "string"}),
            "{}",
            vec![],
            r#"{"next_cursor":"x"}"#,
        ),
        (
            "HAL's last page",
            &page,
            r#"{"per_page":1}"#,
            vec![],
            r#"{"items":[1],"_links":{"prev":{"href":"?page=1"}}}"#,
        ),
        ("no JSON", &page, "{}", vec![], ""),
    ] {
        assert_eq!(next(parameters, arguments, &headers, body), None, "{name}");
    }
}

#[test]
fn long_arguments_are_not_repeated_to_the_model() {
    let long = "x".repeat(600);
    let arguments = json!({"q": long, "n": 1}).to_string();
    let parameters = json!({"q": "string", "cursor": "string", "n": "integer"});
    let next = next(&parameters, &arguments, &[], r#"{"next_cursor":"b"}"#).unwrap();
    let whole: Value = serde_json::from_str(&next.arguments).unwrap();
    assert_eq!(whole["q"], long);
    assert_eq!(
        next.describe(),
        r#"More results: call again with {"cursor": "b"} and the other arguments as before"#
    );
}

#[test]
fn a_page_that_was_cut_is_not_passed_over() {
    let offset = json!({"offset": "integer", "limit": "integer"});
    let page = json!({"page": "integer", "per_page": "integer"});
    let body = format!(r#"{{"total":5000,"items":{}}}"#, items(1_000));
    let given = r#"{"offset":1000,"limit":1000}"#;
    let cut = |parameters: &Value, arguments: &str, shown| {
        let next = next_of(&Value::Null, shown, (parameters, arguments, &[], &body));
        next.map(|next| serde_json::from_str::<Value>(&next.arguments).unwrap())
    };
    let rest = json!({"offset": 1_243, "limit": 1_000});
    assert_eq!(cut(&offset, given, Shown::First(243, 1_000)), Some(rest));
    assert_eq!(
        cut(&offset, given, Shown::First(243, 900)),
        None,
        "another list"
    );
    assert_eq!(cut(&offset, given, Shown::First(0, 1_000)), None);
    assert_eq!(cut(&offset, given, Shown::Part), None);
    assert_eq!(
        cut(&page, r#"{"per_page":1000}"#, Shown::First(243, 1_000)),
        None
    );
}

#[test]
fn a_later_page_of_unknown_size_offers_nothing_it_does_not_say() {
    let page = json!({"page": "integer", "per_page": "integer"});
    let body = format!(r#"{{"total":25,"items":{}}}"#, items(5));
    assert_eq!(next(&page, r#"{"page":3}"#, &[], &body), None);
    let first = next(&page, "{}", &[], &body).unwrap();
    assert_eq!(first.arguments, r#"{"page": 2}"#);
    let sized = next(&page, r#"{"page":3,"per_page":5}"#, &[], &body).unwrap();
    assert_eq!(sized.changed, ["page"]);
    for far in [i64::MAX, i64::MIN] {
        let _ = next(
            &page,
            &format!(r#"{{"page":{far},"per_page":5}}"#),
            &[],
            &body,
        );
    }
}

#[test]
fn what_the_owner_fixed_is_no_argument_and_is_known() {
    let page = json!({"page": "integer", "per_page": "integer"});
    let next = |fixed: &Value, headers: &[(&str, &str)], body: &str| {
        let next = next_of(fixed, Shown::All, (&page, "{}", headers, body));
        next.map(|next| next.arguments)
    };
    let size = json!({"per_page": 5});
    assert_eq!(
        next(&size, &[], &items(5)).as_deref(),
        Some(r#"{"page": 2}"#)
    );
    assert_eq!(next(&size, &[], &items(4)), None);
    let link = [("link", r#"</v1/items?page=2&per_page=5>; rel="next""#)];
    assert_eq!(next(&size, &link, "").as_deref(), Some(r#"{"page": 2}"#));
    let pinned = json!({"page": 1});
    assert_eq!(next(&pinned, &link, ""), None);
    assert_eq!(next(&pinned, &[], r#"{"items":[1],"next_page":2}"#), None);
}
