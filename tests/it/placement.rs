//! Whatever an argument holds, it stays in its place: read back from the finished request by a decoder
//! that was written from RFC 6570, RFC 3986, RFC 6265 and RFC 7578 and knows nothing of the encoder.

use causeway::mcp::plan::{Destination, PlanError, base_url, plan};
use causeway::mcp::tool::{Tool, define};
use causeway::openapi::{DocumentLimits, read};
use causeway::types::UpstreamRequest;
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// One operation that takes the parameter `v` beside a witness in every other place.
fn tool(parameter: Value) -> Tool {
    let witness = |name: &str, place: &str| json!({ "name": name, "in": place, "schema": { "type": "string" } });
    let mut parameters = vec![witness("X-Witness", "header"), witness("cw", "cookie")];
    if parameter["in"] != "querystring" {
        parameters.push(witness("w", "query"));
    }
    let path = if parameter["in"] == "path" {
        "/before/{v}/after"
    } else {
        "/before/x/after"
    };
    parameters.push(parameter);
    one(json!({ path: { "get": {
        "operationId": "v", "parameters": parameters,
        "responses": { "200": { "description": "ok" } },
    } } }))
}

fn with_body(media: &str, schema: Value, encoding: Value) -> Tool {
    let content = json!({ media: { "schema": schema, "encoding": encoding } });
    one(json!({ "/before/x/after": { "post": {
        "operationId": "v",
        "parameters": [{ "name": "w", "in": "query", "schema": { "type": "string" } }],
        "requestBody": { "required": true, "content": content },
        "responses": { "200": { "description": "ok" } },
    } } }))
}

fn one(paths: Value) -> Tool {
    let document = json!({
        "openapi": "3.2.0",
        "info": { "title": "T", "version": "1" },
        "servers": [{ "url": "https://api.example/v1?k=1" }],
        "paths": paths,
    });
    let bytes = serde_json::to_vec(&document).unwrap();
    let api = read(&bytes, &DocumentLimits::default()).unwrap();
    let mut defined = define(&api);
    assert_eq!(defined.tools.len(), 1, "{:?}", api.findings);
    Tool::compile(defined.tools.remove(0)).0
}

fn planned(tool: &Tool, arguments: &Value) -> Result<UpstreamRequest, PlanError> {
    let base = base_url(&tool.def, Destination::default()).unwrap();
    let raw = RawValue::from_string(arguments.to_string()).unwrap();
    plan(tool, &base, &Some(raw)).map(|planned| planned.request)
}

/// With `v`, and a witness wherever the tool takes one.
fn arguments(tool: &Tool, v: &Value) -> Value {
    let mut given = Map::new();
    let properties = tool.def.input_schema["properties"].as_object().unwrap();
    for name in properties.keys().filter(|name| *name != "v") {
        given.insert(name.clone(), json!("witness"));
    }
    given.insert("v".to_owned(), v.clone());
    Value::Object(given)
}

/// The parts of a request that no argument but their own may touch.
fn is_untouched(request: &UpstreamRequest, in_path: bool) {
    let url = &request.url;
    assert_eq!(url.origin().ascii_serialization(), "https://api.example");
    assert_eq!((url.fragment(), url.username()), (None, ""));
    let segments: Vec<&str> = url.path_segments().unwrap().collect();
    assert_eq!(segments.len(), 4, "{url}");
    assert_eq!(
        (segments[0], segments[1], segments[3]),
        ("v1", "before", "after")
    );
    assert!(in_path || segments[2] == "x", "{url}");
    for (name, value) in &request.headers {
        let own = ["accept", "content-type", "cookie", "x-witness", "v"];
        assert!(own.contains(&name.as_str()), "{name}: {value:?}");
    }
    if let Some(witness) = request.headers.get("x-witness") {
        assert_eq!(witness, "witness");
        let cookies = request.headers["cookie"].to_str().unwrap();
        let witnesses = cookies.split("; ").filter(|pair| *pair == "cw=witness");
        assert_eq!(witnesses.count(), 1, "{cookies}");
    }
}

/// The query's pairs as they are written, without the server's own and the witness, of which each
/// stands there once.
fn pairs(request: &UpstreamRequest) -> Vec<String> {
    let query = request.url.query().unwrap_or_default();
    let pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    for own in ["k=1", "w=witness"] {
        assert_eq!(
            pairs.iter().filter(|pair| **pair == own).count(),
            1,
            "{query}"
        );
    }
    let rest = pairs
        .iter()
        .filter(|pair| !["k=1", "w=witness"].contains(*pair));
    rest.map(|pair| (*pair).to_owned()).collect()
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// What a value is, in the words of RFC 6570.
#[derive(Clone, Debug, PartialEq)]
enum Held {
    Text(String),
    List(Vec<String>),
    Pairs(Vec<(String, String)>),
}

impl Held {
    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::List(list) => json!(list),
            Self::Pairs(pairs) => {
                let members = pairs.iter().map(|(k, v)| (k.clone(), json!(v)));
                Value::Object(members.collect())
            }
        }
    }

    fn schema(&self) -> Value {
        match self {
            Self::Text(_) => json!({ "type": "string" }),
            Self::List(_) => json!({ "type": "array", "items": { "type": "string" } }),
            Self::Pairs(_) => {
                json!({ "type": "object", "additionalProperties": { "type": "string" } })
            }
        }
    }

    /// Read back from text: items between `separator`, and names from values by `equals`.
    fn read(&self, text: &str, separator: &str, equals: &str) -> Self {
        match self {
            Self::Text(_) => Self::Text(decode(text)),
            Self::List(_) => Self::List(text.split(separator).map(decode).collect()),
            Self::Pairs(_) if separator == equals => {
                let items: Vec<String> = text.split(separator).map(decode).collect();
                let pairs = items
                    .chunks(2)
                    .map(|pair| (pair[0].clone(), pair[1].clone()));
                Self::Pairs(pairs.collect())
            }
            Self::Pairs(_) => {
                let pairs = text.split(separator).map(|pair| {
                    let (name, value) = pair.split_once(equals).unwrap_or((pair, ""));
                    (decode(name), decode(value))
                });
                Self::Pairs(pairs.collect())
            }
        }
    }
}

/// Every kind of character that means something to somebody.
const HOSTILE: &str = "[a-b/?#&=%;,.|+:@\\[\\]{}\"'\\\\ \t\r\n\u{e9}\u{1f511}\u{0}-]{0,8}";
/// Text that means nothing to anybody, and is not empty.
const TAME: &str = "[a-z0-9~_]{1,8}";

fn held(text: &'static str) -> impl Strategy<Value = Held> {
    // Names that are no witness's.
    let pairs = proptest::collection::btree_map("n[a-z]{1,4}", text, 1..4);
    prop_oneof![
        text.prop_map(Held::Text),
        proptest::collection::vec(text, 1..4).prop_map(Held::List),
        pairs.prop_map(|pairs| Held::Pairs(pairs.into_iter().collect())),
    ]
}

fn parameter(place: &str, style: &str, explode: bool, held: &Held) -> Value {
    json!({
        "name": "v", "in": place, "required": place == "path",
        "style": style, "explode": explode, "schema": held.schema(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_path_value_stays_in_its_segment(
        held in held(HOSTILE), style in 0_usize..3, explode: bool,
    ) {
        let style = ["simple", "label", "matrix"][style];
        let tool = tool(parameter("path", style, explode, &held));
        // What no segment can hold may be refused; what is sent is in its place.
        let Ok(request) = planned(&tool, &arguments(&tool, &held.json())) else {
            return Ok(());
        };
        is_untouched(&request, true);
        prop_assert!(pairs(&request).is_empty());
        let segment = request.url.path_segments().unwrap().nth(2).unwrap();
        let found = match style {
            "simple" => held.read(segment, ",", if explode { "=" } else { "," }),
            "label" => {
                let text = segment.strip_prefix('.').unwrap();
                let separator = if explode { "." } else { "," };
                held.read(text, separator, if explode { "=" } else { "," })
            }
            _ => {
                let text = segment.strip_prefix(';').unwrap();
                let own = |text: &str| {
                    let (name, value) = text.split_once('=').unwrap_or((text, ""));
                    assert_eq!(name, "v", "{segment}");
                    value.to_owned()
                };
                match (&held, explode) {
                    (Held::List(_), true) => {
                        Held::List(text.split(';').map(|item| decode(&own(item))).collect())
                    }
                    (Held::Pairs(_), true) => held.read(text, ";", "="),
                    _ => held.read(&own(text), ",", ","),
                }
            }
        };
        prop_assert_eq!(found, held, "{}", request.url);
    }

    #[test]
    fn tame_values_are_never_refused(held in held(TAME), style in 0_usize..3, explode: bool) {
        let style = ["simple", "label", "matrix"][style];
        let tool = tool(parameter("path", style, explode, &held));
        prop_assert!(planned(&tool, &arguments(&tool, &held.json())).is_ok());
    }

    #[test]
    fn a_query_value_stays_in_its_parameter(held in held(HOSTILE), explode: bool) {
        let tool = tool(parameter("query", "form", explode, &held));
        let request = planned(&tool, &arguments(&tool, &held.json())).unwrap();
        is_untouched(&request, false);
        let pairs = pairs(&request);
        let own = |pair: &String| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            assert_eq!(name, "v", "{pairs:?}");
            value.replace('+', " ")
        };
        let found = match (&held, explode) {
            (Held::List(_), true) => Held::List(pairs.iter().map(|pair| decode(&own(pair))).collect()),
            (Held::Pairs(_), true) => held.read(&pairs.join("&").replace('+', " "), "&", "="),
            _ => {
                prop_assert_eq!(pairs.len(), 1);
                held.read(&own(&pairs[0]), ",", ",")
            }
        };
        prop_assert_eq!(found, held, "{}", request.url);
    }

    #[test]
    fn a_deep_object_adds_only_its_own_members(
        members in proptest::collection::btree_map("[a-z&=\\[\\]#% ]{1,5}", HOSTILE, 1..4),
    ) {
        let held = Held::Pairs(members.into_iter().collect());
        let tool = tool(parameter("query", "deepObject", true, &held));
        let Ok(request) = planned(&tool, &arguments(&tool, &held.json())) else {
            return Ok(());
        };
        is_untouched(&request, false);
        let read = |pair: &String| {
            let (name, value) = pair.split_once('=').unwrap();
            let name = decode(name);
            let name = name.strip_prefix("v[").and_then(|name| name.strip_suffix(']'));
            (name.unwrap().to_owned(), decode(&value.replace('+', " ")))
        };
        let found = pairs(&request).iter().map(read).collect();
        prop_assert_eq!(Held::Pairs(found), held, "{}", request.url);
    }

    #[test]
    fn spaces_and_pipes_separate_and_nothing_else_does(
        list in proptest::collection::vec(HOSTILE, 1..4), pipes: bool,
    ) {
        let (style, separators) = if pipes {
            ("pipeDelimited", ["|", "%7C"])
        } else {
            ("spaceDelimited", ["%20", "+"])
        };
        let held = Held::List(list.clone());
        let tool = tool(parameter("query", style, false, &held));
        let Ok(request) = planned(&tool, &arguments(&tool, &held.json())) else {
            return Ok(());
        };
        is_untouched(&request, false);
        let pairs = pairs(&request);
        prop_assert_eq!(pairs.len(), 1);
        let text = pairs[0].strip_prefix("v=").unwrap();
        // The styles cannot write their own separator (OAS 3.1.1 appendix E); everything else is kept.
        let mark = if pipes { '|' } else { ' ' };
        let text = text.replace(separators[0], "\u{1}").replace(separators[1], "\u{1}");
        let expected: Vec<&str> = list.iter().flat_map(|item| item.split(mark)).collect();
        let found: Vec<String> = text.split('\u{1}').map(decode).collect();
        prop_assert_eq!(found, expected, "{}", request.url);
    }

    #[test]
    fn a_header_is_one_line_of_its_own(held in held(HOSTILE), explode: bool) {
        let tool = tool(parameter("header", "simple", explode, &held));
        let Ok(request) = planned(&tool, &arguments(&tool, &held.json())) else {
            return Ok(());
        };
        is_untouched(&request, false);
        prop_assert!(pairs(&request).is_empty());
        for value in request.headers.get_all("v") {
            prop_assert!(!value.as_bytes().iter().any(|b| matches!(b, b'\r' | b'\n' | 0)));
        }
        prop_assert!(request.headers.get_all("v").iter().count() <= 1);
    }

    #[test]
    fn a_list_in_a_header_keeps_its_items(list in proptest::collection::vec(TAME, 1..4)) {
        let held = Held::List(list.clone());
        let tool = tool(parameter("header", "simple", false, &held));
        let request = planned(&tool, &arguments(&tool, &held.json())).unwrap();
        let value = request.headers["v"].to_str().unwrap();
        let found: Vec<&str> = value.split(',').map(str::trim).collect();
        prop_assert_eq!(found, list);
    }

    #[test]
    fn a_cookie_adds_no_cookie(held in held(HOSTILE), explode: bool) {
        let tool = tool(parameter("cookie", "form", explode, &held));
        let Ok(request) = planned(&tool, &arguments(&tool, &held.json())) else {
            return Ok(());
        };
        is_untouched(&request, false);
        prop_assert!(pairs(&request).is_empty());
        let cookies = request.headers["cookie"].to_str().unwrap();
        for pair in cookies.split(';').map(str::trim) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let own = match &held {
                Held::Pairs(pairs) => explode && pairs.iter().any(|(own, _)| own == name),
                _ => false,
            };
            prop_assert!(own || name == "v" || name == "cw", "{}", cookies);
            prop_assert!(!value.contains([' ', '"', '\\', '\r', '\n', '\t', '\0']), "{}", cookies);
            if let (Held::Text(text), "v") = (&held, name) {
                prop_assert_eq!(&decode(value), text, "{}", cookies);
            }
        }
    }

    #[test]
    fn a_querystring_is_the_query_and_no_more(
        members in proptest::collection::btree_map("n[a-z&= #%+]{1,5}", HOSTILE, 1..4),
    ) {
        let held = Held::Pairs(members.into_iter().collect());
        let content = json!({ "application/x-www-form-urlencoded": { "schema": held.schema() } });
        let tool = tool(json!({ "name": "v", "in": "querystring", "required": true, "content": content }));
        let request = planned(&tool, &arguments(&tool, &held.json())).unwrap();
        is_untouched(&request, false);
        let query = request.url.query().unwrap_or_default().as_bytes();
        let found = url::form_urlencoded::parse(query).into_owned().filter(|(name, _)| name != "k");
        prop_assert_eq!(Held::Pairs(found.collect()), held, "{}", request.url);
    }

    #[test]
    fn lifted_json_is_what_was_given(
        a in HOSTILE, b in proptest::collection::vec(HOSTILE, 0..3),
        c in proptest::collection::btree_map(HOSTILE, HOSTILE, 0..3),
    ) {
        let text = json!({ "type": "string" });
        let schema = json!({
            "type": "object", "additionalProperties": false, "required": ["a"],
            "properties": {
                "a": text, "b": { "type": "array", "items": text },
                "c": { "type": "object", "additionalProperties": text },
            },
        });
        let tool = with_body("application/json", schema, json!({}));
        let given = json!({ "a": a, "b": b, "c": c, "w": "witness" });
        let request = planned(&tool, &given).unwrap();
        is_untouched(&request, false);
        prop_assert!(pairs(&request).is_empty());
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        prop_assert_eq!(body, json!({ "a": a, "b": b, "c": c }));
    }

    #[test]
    fn a_part_is_a_part_whatever_is_in_it(
        members in proptest::collection::btree_map(HOSTILE, HOSTILE, 1..4),
    ) {
        let held = Held::Pairs(members.into_iter().collect());
        let tool = with_body("multipart/form-data", held.schema(), json!({}));
        let given = json!({ "body": held.json(), "w": "witness" });
        let request = planned(&tool, &given).unwrap();
        is_untouched(&request, false);
        let found = parts(&request).into_iter().map(|part| {
            assert_eq!(part.file_name, None);
            (part.name, String::from_utf8(part.bytes).unwrap())
        });
        // Names as RFC 7578 section 2 and the WHATWG form encoding write them.
        let Held::Pairs(pairs) = held else { unreachable!("pairs were made") };
        let expected = pairs.into_iter().map(|(name, value)| {
            (name.replace('\r', "%0D").replace('\n', "%0A").replace('"', "%22"), value)
        });
        prop_assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_file_brings_its_bytes_and_no_header(
        bytes in proptest::collection::vec(any::<u8>(), 0..40), kind in HOSTILE, plain: bool,
    ) {
        use base64::Engine;
        let schema = json!({
            "type": "object", "required": ["f\"\r\nX-Evil: 1"], "additionalProperties": false,
            "properties": { "f\"\r\nX-Evil: 1": { "type": "string", "contentMediaType": "application/octet-stream" } },
        });
        let encoding = json!({ "f\"\r\nX-Evil: 1": { "contentType": "application/octet-stream" } });
        let tool = with_body("multipart/form-data", schema, encoding);
        let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let text = if plain { text } else { format!("data:{kind};base64,{text}") };
        // The name in the tool is a name clients accept; there is one.
        let properties = tool.def.input_schema["properties"].as_object().unwrap();
        let name = properties.keys().find(|name| *name != "w").unwrap().clone();
        let given = if properties[&name]["type"] == "object" {
            json!({ name: { "f\"\r\nX-Evil: 1": text } })
        } else {
            json!({ name: text })
        };
        let Ok(request) = planned(&tool, &given) else {
            // A comma in the kind ends it.
            prop_assert!(!plain, "{}", given);
            return Ok(());
        };
        let parts = parts(&request);
        prop_assert_eq!(parts.len(), 1);
        prop_assert_eq!(&parts[0].name, "f%22%0D%0AX-Evil: 1");
        prop_assert!(parts[0].file_name.is_some());
        if plain {
            prop_assert_eq!(&parts[0].bytes, &bytes);
        }
    }
}

#[derive(Debug)]
struct Part {
    name: String,
    file_name: Option<String>,
    bytes: Vec<u8>,
}

/// The parts of a multipart body (RFC 2046 section 5.1, RFC 7578).
fn parts(request: &UpstreamRequest) -> Vec<Part> {
    let kind = request.headers["content-type"].to_str().unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let mut body = [b"\r\n", &request.body[..]].concat();
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    let find =
        |hay: &[u8], needle: &[u8]| hay.windows(needle.len()).position(|part| part == needle);
    let mut parts = Vec::new();
    assert_eq!(find(&body, &delimiter), Some(0));
    loop {
        body.drain(..delimiter.len());
        if body.starts_with(b"--") {
            assert_eq!(body, b"--\r\n");
            return parts;
        }
        let end = find(&body, &delimiter).expect("an end of the part");
        let head_end = find(&body, b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&body[2..head_end]).unwrap().to_owned();
        let bytes = body[head_end + 4..end].to_vec();
        parts.push(part(&head, bytes));
        body.drain(..end);
    }
}

fn part(head: &str, bytes: Vec<u8>) -> Part {
    let lines: Vec<&str> = head.split("\r\n").collect();
    let names = lines.iter().map(|line| line.split(':').next().unwrap());
    let names: Vec<&str> = names.collect();
    assert!(
        names == ["Content-Disposition"] || names == ["Content-Disposition", "Content-Type"],
        "{head}"
    );
    assert!(!head.contains(['\n', '\0']) || head.split("\r\n").all(|line| !line.contains('\n')));
    let rest = lines[0]
        .strip_prefix("Content-Disposition: form-data; name=\"")
        .unwrap();
    let (name, rest) = rest.split_once('"').unwrap();
    let file_name = rest.strip_prefix("; filename=\"").map(|rest| {
        let (file_name, rest) = rest.split_once('"').unwrap();
        assert_eq!(rest, "", "{head}");
        file_name.to_owned()
    });
    assert!(file_name.is_some() || rest.is_empty(), "{head}");
    Part {
        name: name.to_owned(),
        file_name,
        bytes,
    }
}
