//! Any arguments to any operation: the request stays in its place, or there is none. The corpus of the
//! fuzz target `plan_arguments`, and operations made at random.

#[path = "../../../fuzz/plan_check.rs"]
mod plan_check;

use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn the_fuzz_corpus_is_planned_or_refused() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/plan_arguments");
    let seeds: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert!(seeds.len() >= 20, "the corpus was not found");
    for seed in seeds {
        let bytes = std::fs::read(seed.unwrap().path()).unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        let (operation, arguments) = text.split_once("\n---\n").unwrap();
        assert!(
            serde_json::from_str::<Value>(operation).is_ok(),
            "{operation}"
        );
        assert!(
            serde_json::from_str::<&serde_json::value::RawValue>(arguments).is_ok(),
            "{arguments}"
        );
        plan_check::check(&bytes);
    }
}

fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop::sample::select(vec![
        json!({}),
        json!({"type": "string"}),
        json!({"type": "integer"}),
        json!({"type": ["string", "null"]}),
        json!({"type": "boolean"}),
        json!({"type": "string", "format": "binary"}),
        json!({"const": "/.."}),
    ]);
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(|items| json!({"type": "array", "items": items})),
            prop::collection::btree_map("[a-z$\\[\\]]{1,4}", inner.clone(), 0..3)
                .prop_map(|members| json!({"type": "object", "properties": members})),
            (inner.clone(), inner).prop_map(|(a, b)| json!({"anyOf": [a, b]})),
        ]
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec![
            "", ".", "..", "/", "a,b", "%2e", "a\r\nb", "&=#?;+", "AA==", "data:,x", "é"
        ])
        .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z$\\[\\]]{1,4}|\\PC{0,3}", inner, 0..3)
                .prop_map(|members| json!(members)),
        ]
    })
}

fn parameter(name: &'static str, place: &'static str) -> impl Strategy<Value = Value> {
    let style = prop::sample::select(vec![
        "simple",
        "label",
        "matrix",
        "form",
        "spaceDelimited",
        "pipeDelimited",
        "deepObject",
        "cookie",
    ]);
    (
        style,
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        schema(),
        0..6_u8,
    )
        .prop_map(move |(style, explode, reserved, required, schema, how)| {
            let mut parameter =
                json!({"name": name, "in": place, "required": required || place == "path"});
            match how {
                0 => parameter["content"] = json!({"application/json": {"schema": schema}}),
                1 => parameter["content"] = json!({"text/plain": {"schema": schema}}),
                _ => {
                    parameter["style"] = json!(style);
                    parameter["explode"] = json!(explode);
                    parameter["allowReserved"] = json!(reserved);
                    parameter["schema"] = schema;
                }
            }
            parameter
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_operations_are_called_with_random_arguments(
        modern in any::<bool>(),
        parameters in (
            parameter("p", "path"), parameter("q", "query"), parameter("X-H", "header"),
            parameter("c", "cookie"),
        ),
        body in schema(),
        kind in prop::sample::select(vec![
            "application/json", "application/x-www-form-urlencoded", "multipart/form-data",
            "application/merge-patch+json", "application/xml", "image/*", "text/plain", "*/*",
            "application/jsonl", "application/json-seq", "text/event-stream", "multipart/related",
        ]),
        says in prop::sample::select(vec!["schema", "itemSchema"]),
        values in prop::collection::vec(value(), 6),
    ) {
        let (p, q, h, c) = parameters;
        let mut root = body.clone();
        root["xml"] = json!({"name": "r"});
        let version = if modern { "3.2.0" } else { "3.0.4" };
        let operation = json!({"x-version": version, "parameters": [p, q, h, c],
            "requestBody": {"content": {kind: {says: root}}}, "responses": {}});
        let mut arguments = json!({"p": values[0], "q": values[1], "X-H": values[2], "c": values[3],
            "body": values[4]});
        if let Some(members) = values[5].as_object() {
            arguments.as_object_mut().unwrap().extend(members.clone());
        }
        plan_check::check(format!("{operation}\n---\n{arguments}").as_bytes());
    }
}
