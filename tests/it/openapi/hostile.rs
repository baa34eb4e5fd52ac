//! Documents that ask for too much, and documents made to break whoever reads them: refused with
//! the limit named, or contained.

use std::fmt::Write;
use std::time::{Duration, Instant};

use causeway::openapi::{Api, DocumentError, DocumentLimits, Severity};
use serde_json::{Value, json};

use crate::openapi::read;

/// Generous for a loaded machine and an unoptimized build; what is guarded against takes hours.
const SOON: Duration = Duration::from_secs(20);

fn refusal(document: &str) -> String {
    let started = Instant::now();
    let error = read(document).expect_err("refused");
    assert!(started.elapsed() < SOON, "{error} took too long");
    error.to_string()
}

fn accepted(document: &str) -> Api {
    let started = Instant::now();
    let api = read(document).expect("accepted");
    assert!(started.elapsed() < SOON, "took too long");
    api
}

/// A 3.1 document with one operation whose body is `#/components/schemas/Root`.
fn with_schemas(schemas: &Value) -> String {
    json!({
        "openapi": "3.1.0",
        "info": {"title": "T", "version": "1"},
        "servers": [{"url": "https://t.example"}],
        "paths": {"/a": {"post": {
            "requestBody": {"content": {"application/json": {
                "schema": {"$ref": "#/components/schemas/Root"}
            }}},
            "responses": {},
        }}},
        "components": {"schemas": schemas},
    })
    .to_string()
}

#[test]
fn billion_laughs_are_refused() {
    let mut document = String::from("openapi: 3.0.0\na: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (next, last) in ('b'..='k').zip('a'..) {
        let aliases = vec![format!("*{last}"); 10].join(", ");
        writeln!(document, "{next}: &{next} [{aliases}]").unwrap();
    }
    assert_eq!(
        refusal(&document),
        "the document exceeds the limit of 500000 values repeated by YAML aliases"
    );
}

#[test]
fn deep_nesting_is_refused() {
    let json = format!(
        "{{\"openapi\": \"3.0.0\", \"x\": {}1{}}}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    assert_eq!(
        refusal(&json),
        "the document exceeds the limit of 127 levels of nesting"
    );
    let flow = format!(
        "openapi: 3.0.0\nx: {}1{}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    assert_eq!(
        refusal(&flow),
        "the document exceeds the limit of 128 levels of nesting"
    );
    let mut block = String::from("openapi: 3.0.0\n");
    for depth in 0..10_000 {
        writeln!(block, "{}a:", " ".repeat(depth)).unwrap();
    }
    assert_eq!(
        refusal(&block),
        "the document exceeds the limit of 128 levels of nesting"
    );
}

#[test]
fn nesting_within_the_limit_fits_a_small_stack() {
    let schema = (0..55).fold(
        json!({"type": "string"}),
        |inner, _| json!({"allOf": [{"type": "object"}, {"properties": {"a": inner}}]}),
    );
    let document = with_schemas(&json!({"Root": (0..20).fold(
        json!({"type": "integer"}),
        |inner, _| json!({"properties": {"a": inner}})
    )}));
    let deep = with_schemas(&json!({ "Root": schema }));
    let small = std::thread::Builder::new().stack_size(2 << 20);
    let read = small.spawn(move || (read(&document).is_ok(), read(&deep).map(drop)));
    let (shallow, deep) = read.unwrap().join().unwrap();
    assert!(shallow);
    // 55 levels of allOf are more than 127 levels of JSON.
    assert!(matches!(deep, Err(DocumentError::Budget { .. })));
}

#[test]
fn schemas_that_are_only_themselves_end() {
    for root in [
        json!({"$ref": "#"}),
        json!({"$ref": "#/components/schemas/Root"}),
        json!({"allOf": [{"$ref": "#/components/schemas/Root"}]}),
        json!({"anyOf": [{"$ref": "#/components/schemas/Root"}, {"not": {"$ref": "#/components/schemas/Root"}}]}),
        json!({"$ref": "#/components/schemas/Root", "properties": {"a": {"$ref": "#/components/schemas/Root"}}}),
        json!({"$dynamicRef": "#node", "$dynamicAnchor": "node"}),
        json!({"properties": {"a": {"$ref": "#/components/schemas/Root/properties/a"}}}),
    ] {
        let api = accepted(&with_schemas(&json!({ "Root": root })));
        assert_eq!(api.operations.len(), 1);
        assert!(
            api.findings.iter().any(|f| f.code.starts_with("ref-")),
            "{root}: {:?}",
            api.findings
        );
        assert!(compiles(&api), "{root}");
    }
}

#[test]
fn schemas_that_contain_themselves_stay() {
    let all_of = |name: &str, property: &str| {
        json!({"allOf": [
            {"$ref": format!("#/components/schemas/{name}")},
            {"type": "object", "properties": {property: {"$ref": "#/components/schemas/Root"}}},
        ]})
    };
    let api = accepted(&with_schemas(&json!({
        "Root": {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/A"}}},
        "A": all_of("B", "x"),
        "B": all_of("A", "y"),
    })));
    assert!(compiles(&api));
    assert!(api.definitions.contains_key("Root") && api.definitions.contains_key("A"));
}

/// Each definition extends the one before: merged in full, they would be a quadratic answer; nested
/// in each other, an exponential one.
#[test]
fn chains_of_all_of_are_contained() {
    let chain = |link: fn(usize) -> Value| {
        let mut schemas: serde_json::Map<String, Value> =
            (1..2_000).map(|n| (format!("S{n}"), link(n))).collect();
        schemas.insert(
            "S0".to_owned(),
            json!({"type": "object", "properties": {"p": {}}}),
        );
        schemas.insert(
            "Root".to_owned(),
            json!({"$ref": "#/components/schemas/S1999"}),
        );
        with_schemas(&Value::Object(schemas))
    };
    let extending = chain(|n| {
        json!({"allOf": [
            {"$ref": format!("#/components/schemas/S{}", n - 1)},
            {"type": "object", "properties": {format!("p{n}"): {"type": "string"}}},
        ]})
    });
    assert!(compiles(&accepted(&extending)));
    let doubling = chain(|n| {
        let before = format!("#/components/schemas/S{}", n - 1);
        let part = json!({"allOf": [{"$ref": before}, {"description": "d", "type": "object", "minProperties": 1}]});
        json!({"type": "object", "properties": {"l": part, "r": part}})
    });
    assert!(accepted(&doubling).operations.len() == 1);
}

/// Each finding has a pointer: a long key would be written out for every one of them.
#[test]
fn long_keys_are_refused() {
    let key = "k".repeat(9_000);
    let one = json!({"openapi": "3.1.0", "paths": {format!("/{key}"): {"get": {}}}}).to_string();
    let nested = (0..9).fold(json!(1), |below, _| json!({"k".repeat(1_000): below}));
    let nested = json!({"openapi": "3.1.0", "paths": {"/a": {"x-a": nested}}}).to_string();
    // A key of YAML is no longer than 1024 characters.
    let yaml = format!("# YAML\n{nested}");
    for text in [one, nested, yaml] {
        assert_eq!(
            refusal(&text),
            "the document exceeds the limit of 8192 bytes in the keys on the way to one value"
        );
    }
    let siblings = json!({"k".repeat(5_000): 1, "l".repeat(5_000): 1});
    let text = json!({"openapi": "3.1.0", "paths": {"/a": {"get": {"x-a": siblings}}}});
    assert_eq!(accepted(&text.to_string()).operations.len(), 1);
}

/// Servers and texts that operations inherit are copied for each of them.
#[test]
fn what_operations_inherit_is_bounded() {
    let paths = |item: &Value| -> Value {
        let paths = (0..9_000).map(|n| (format!("/p{n}"), item.clone()));
        Value::Object(paths.collect())
    };
    let servers: Vec<Value> = (0..2_000)
        .map(|n| json!({"url": format!("https://s{n}.example")}))
        .collect();
    let many = json!({"openapi": "3.1.0", "servers": servers, "paths": paths(&json!({"get": {}}))});
    let long = "d".repeat(1 << 20);
    let shared = json!({"$ref": "#/components/pathItems/P"});
    let described = json!({
        "openapi": "3.1.0",
        "paths": paths(&shared),
        "components": {"pathItems": {"P": {"get": {}, "description": long}}},
    });
    for document in [many, described] {
        let message = refusal(&document.to_string());
        assert!(
            message.ends_with("values after references are followed"),
            "{message}"
        );
    }
}

#[test]
fn many_required_names_are_read_once() {
    let names: Vec<String> = (0..200_000).map(|n| format!("p{n}")).collect();
    let api = accepted(&with_schemas(&json!({"Root": {"required": names}})));
    let required = &api.definitions["Root"]["required"];
    assert_eq!(required.as_array().unwrap().len(), 200_000);
}

/// What a part costs does not depend on how many parts there were before it.
#[test]
fn many_parts_of_one_all_of_are_contained() {
    let parts: [fn(usize) -> Value; 4] = [
        |n| json!({"properties": {format!("p{n}"): {}}}),
        |n| json!({"required": [format!("p{n}")]}),
        |n| json!({"properties": {"p": {"pattern": format!("^{n}")}}}),
        |n| json!({"properties": {format!("p{n}"): {}}, "additionalProperties": {"type": "string"}}),
    ];
    for part in parts {
        let parts: Vec<Value> = (0..20_000).map(part).collect();
        let api = accepted(&with_schemas(&json!({"Root": {"allOf": parts}})));
        assert!(api.definitions.contains_key("Root"));
        let findings: Vec<&str> = api.findings.iter().map(|f| f.code.as_ref()).collect();
        assert!(
            findings.iter().all(|code| *code == "allof-kept"),
            "{findings:?}"
        );
    }
}

#[test]
fn a_long_chain_of_references_is_followed_in_a_loop() {
    let mut schemas = serde_json::Map::new();
    for n in 0..10_000 {
        let next = json!({"$ref": format!("#/components/schemas/S{}", n + 1)});
        schemas.insert(format!("S{n}"), next);
    }
    schemas.insert(
        "Root".to_owned(),
        json!({"$ref": "#/components/schemas/S0"}),
    );
    let api = accepted(&with_schemas(&Value::Object(schemas)));
    assert!(api.findings.iter().any(|f| f.code == "ref-cycle"));
}

/// Whoever compiles or applies the schemas follows references, perhaps on the stack.
#[test]
fn a_long_way_through_definitions_can_be_walked() {
    let through: [fn(Value) -> Value; 2] = [
        |next| json!({"type": "object", "properties": {"next": next, "other": next}}),
        |next| json!({"anyOf": [next, {"type": "integer"}]}),
    ];
    for link in through {
        let mut schemas = serde_json::Map::new();
        for n in 0..10_000 {
            let next = json!({"$ref": format!("#/components/schemas/S{}", n + 1)});
            schemas.insert(format!("S{n}"), link(next));
        }
        schemas.insert("S10000".to_owned(), json!({"type": "string"}));
        schemas.insert(
            "Root".to_owned(),
            json!({"$ref": "#/components/schemas/S0"}),
        );
        let api = accepted(&with_schemas(&Value::Object(schemas)));
        assert!(compiles(&api));
        let cut = api.findings.iter().any(|f| f.code == "ref-chain-long");
        assert_eq!(cut, api.definitions["S0"].get("anyOf").is_some());
    }
}

#[test]
fn too_many_operations_are_refused() {
    let mut document = String::from("{\"openapi\": \"3.0.0\", \"paths\": {");
    for n in 0..100_000 {
        let comma = if n == 0 { "" } else { "," };
        write!(document, "{comma}\"/p{n}\":{{\"get\":{{}}}}").unwrap();
    }
    document.push_str("}}");
    assert_eq!(
        refusal(&document),
        "the document exceeds the limit of 30000 operations"
    );
}

#[test]
fn too_many_operations_behind_references_are_refused() {
    let mut document = String::from(
        "openapi: 3.1.0\ncomponents: {pathItems: {P: {get: {}, put: {}, post: {}, delete: {}}}}\npaths:\n",
    );
    for n in 0..8_000 {
        writeln!(document, "  /p{n}: {{$ref: '#/components/pathItems/P'}}").unwrap();
    }
    assert_eq!(
        refusal(&document),
        "the document exceeds the limit of 30000 operations"
    );
}

#[test]
fn what_references_add_up_to_is_bounded() {
    let parameters: Vec<Value> = (0..50)
        .map(|n| json!({"name": format!("p{n}"), "in": "query", "schema": {"type": "string"}}))
        .collect();
    let mut paths = serde_json::Map::new();
    for n in 0..1_000 {
        paths.insert(
            format!("/p{n}"),
            json!({"$ref": "#/components/pathItems/Wide"}),
        );
    }
    let document = json!({
        "openapi": "3.1.0",
        "paths": paths,
        "components": {"pathItems": {"Wide": {"parameters": parameters, "get": {}}}},
    });
    let limits = |nodes_max| DocumentLimits {
        nodes_max,
        ..DocumentLimits::default()
    };
    let read = |nodes_max| {
        causeway::openapi::read(document.to_string().as_bytes(), &limits(nodes_max)).map(drop)
    };
    assert!(read(100_000).is_ok());
    assert_eq!(
        read(40_000).unwrap_err().to_string(),
        "the document exceeds the limit of 40000 values after references are followed"
    );
}

/// Large shared schemas become definitions, so that they cost their size once.
#[test]
fn a_large_schema_used_by_many_operations_is_shared() {
    let wide: serde_json::Map<String, Value> = (0..500)
        .map(|n| (format!("p{n}"), json!({"type": "string"})))
        .collect();
    let schema = json!({"type": "object", "properties": wide});
    let content = json!({"application/json": {"schema": schema}});
    let mut paths = serde_json::Map::new();
    for n in 0..5_000 {
        let operation = json!({
            "parameters": [{"$ref": "#/components/parameters/Wide"}],
            "requestBody": {"$ref": "#/components/requestBodies/Wide"},
            "responses": {"200": {"$ref": "#/components/responses/Wide"}},
        });
        paths.insert(format!("/p{n}"), json!({ "post": operation }));
    }
    let document = json!({
        "openapi": "3.1.0",
        "paths": paths,
        "components": {
            "parameters": {"Wide": {"name": "w", "in": "query", "schema": schema}},
            "requestBodies": {"Wide": {"content": content}},
            "responses": {"Wide": {"content": content}},
        },
    });
    let api = accepted(&document.to_string());
    assert_eq!(api.definitions.len(), 3);
}

#[test]
fn each_limit_has_its_message() {
    let document = with_schemas(&json!({"Root": {"type": "object"}}));
    let with = |change: fn(&mut DocumentLimits)| {
        let mut limits = DocumentLimits::default();
        change(&mut limits);
        let error = causeway::openapi::read(document.as_bytes(), &limits).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        with(|limits| limits.document_bytes_max = 100),
        format!(
            "the document is {} bytes; at most 100 are read",
            document.len()
        )
    );
    let limit = |what: &str| format!("the document exceeds the limit of {what}");
    assert_eq!(with(|limits| limits.nodes_max = 10), limit("10 values"));
    assert_eq!(
        with(|limits| limits.depth_max = 5),
        limit("5 levels of nesting")
    );
    assert_eq!(
        with(|limits| limits.operations_max = 0),
        limit("0 operations")
    );
}

#[test]
fn many_findings_are_bounded() {
    let properties: serde_json::Map<String, Value> = (0..20_000)
        .map(|n| (format!("p{n}"), json!({"type": "nonsense"})))
        .collect();
    let api = accepted(&with_schemas(
        &json!({"Root": {"type": "object", "properties": properties}}),
    ));
    assert_eq!(api.findings.len(), 10_001);
    assert_eq!(api.findings[10_000].code, "findings-truncated");
}

#[test]
fn strict_complaints_are_bounded() {
    let mut document = String::from("openapi: 3.0.0\npaths: {/a: {get: {responses: {}}}}\n");
    document.push_str("components:\n  schemas:\n");
    for n in 0..3_000 {
        writeln!(document, "    S{n}: {{type: string, minLength: two}}").unwrap();
    }
    let api = accepted(&document);
    let strict = api.findings.iter().filter(|f| f.code == "strict-3-0");
    assert_eq!(strict.count(), 1_000);
    let last = api.findings.last().unwrap();
    assert_eq!(last.code, "strict-3-0-truncated");
    assert_eq!(last.severity, Severity::Note);
}

/// Every schema of the `Api`, with its definitions, is one a validator takes.
fn compiles(api: &Api) -> bool {
    let operation = &api.operations[0];
    let mut schema = operation.body.as_ref().unwrap().content[0].schema.clone();
    if let Some(members) = schema.as_object_mut() {
        members.insert("$defs".to_owned(), json!(api.definitions));
    }
    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
    // It must also come to an end.
    let _ = validator.is_valid(&json!({"a": {"a": {"a": 1}}, "x": {}, "y": []}));
    true
}

#[test]
fn the_strict_check_reads_a_deep_schema_with_a_bad_leaf_once() {
    let deep = |inner: Value| {
        (0..50).fold(
            inner,
            |inner, _| json!({"type": "object", "properties": {"x": inner}}),
        )
    };
    let mut document: Value = serde_json::from_str(&with_schemas(&json!({
        "Root": deep(json!({"type": "object", "minProperties": -1})),
        "Outer": {"type": "object", "minProperties": -1,
            "properties": {"x": {"type": "string", "maxLength": -1}}},
    })))
    .unwrap();
    document["openapi"] = json!("3.0.3");
    let callback = json!({"post": {"requestBody": {"content": {"application/json": {
        "schema": deep(json!({"type": "string", "maxLength": -1}))}}}, "responses": {}}});
    document["paths"]["/a"]["post"]["callbacks"] = json!({"done": {"{$url}": callback}});
    let api = accepted(&document.to_string());
    let told: Vec<&str> = api
        .findings
        .iter()
        .filter(|finding| finding.code == "strict-3-0")
        .map(|finding| finding.pointer.as_str())
        .collect();
    let leaf = "/properties/x".repeat(50);
    let callback =
        "/paths/~1a/post/callbacks/done/{$url}/post/requestBody/content/application~1json/schema";
    assert_eq!(
        told,
        [
            format!("{callback}{leaf}"),
            format!("/components/schemas/Root{leaf}"),
            "/components/schemas/Outer".to_owned(),
            "/components/schemas/Outer/properties/x".to_owned(),
        ]
    );
}
