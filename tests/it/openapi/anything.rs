//! Any bytes, and any damage to an example, give an `Api` or an error: never a panic, never more
//! than the limits allow, and every reference of an `Api` leads into its definitions.

use std::fs;

use causeway::openapi::{Api, DocumentLimits, Operation, read};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof, proptest};
use proptest::test_runner::Config;
use serde_json::Value;

use crate::openapi::{documents, examples, repository};

fn small() -> DocumentLimits {
    DocumentLimits {
        document_bytes_max: 1 << 20,
        operations_max: 200,
        nodes_max: 20_000,
        depth_max: 64,
        expansions_max: 10_000,
    }
}

/// Reads, and checks what must hold of every answer.
fn check(bytes: &[u8]) {
    let limits = small();
    let Ok(api) = read(bytes, &limits) else {
        return;
    };
    assert!(api.operations.len() <= limits.operations_max);
    assert!(api.findings.len() <= 10_000 + limits.operations_max + 1);
    let mut keys: Vec<_> = api.operations.iter().map(|o| &o.key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(
        keys.len(),
        api.operations.len(),
        "operation keys are unique"
    );
    for schema in api.operations.iter().flat_map(schemas) {
        references_lead_somewhere(schema, &api);
    }
    for schema in api.definitions.values() {
        references_lead_somewhere(schema, &api);
    }
}

fn schemas(operation: &Operation) -> Vec<&Value> {
    causeway::openapi::api::schemas(operation).collect()
}

fn references_lead_somewhere(schema: &Value, api: &Api) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                let name = reference.strip_prefix("#/$defs/");
                let known = name.is_some_and(|name| api.definitions.contains_key(name));
                assert!(known || is_data(members), "{reference} leads nowhere");
            }
            for (key, value) in members {
                // Values, not schemas: what they hold is data.
                if !matches!(key.as_str(), "default" | "const" | "enum" | "examples") {
                    references_lead_somewhere(value, api);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                references_lead_somewhere(item, api);
            }
        }
        _ => {}
    }
}

/// A property that is itself called `$ref` holds a schema, not a text.
fn is_data(members: &serde_json::Map<String, Value>) -> bool {
    members.get("$ref").is_some_and(|value| !value.is_string())
}

#[derive(Clone, Debug)]
enum Damage {
    Cut(usize),
    Flip(usize, u8),
    Splice(usize, usize, usize),
    Insert(usize, String),
}

fn damage() -> impl Strategy<Value = Damage> {
    let words = prop_oneof![
        proptest::prelude::Just("$ref: '#/components/schemas'".to_owned()),
        proptest::prelude::Just("{\"$ref\": \"#\"}".to_owned()),
        proptest::prelude::Just("null".to_owned()),
        proptest::prelude::Just("[]".to_owned()),
        proptest::prelude::Just("&a *a".to_owned()),
        "[ -~]{0,12}".prop_map(|text| text),
    ];
    prop_oneof![
        any::<usize>().prop_map(Damage::Cut),
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Damage::Flip(at, byte)),
        (any::<usize>(), any::<usize>(), 1..200_usize)
            .prop_map(|(from, to, len)| Damage::Splice(from, to, len)),
        (any::<usize>(), words).prop_map(|(at, text)| Damage::Insert(at, text)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let len = bytes.len().max(1);
        match damage {
            Damage::Cut(at) => bytes.truncate(at % len),
            Damage::Flip(at, byte) => {
                if let Some(hit) = bytes.get_mut(at % len) {
                    *hit = *byte;
                }
            }
            Damage::Splice(from, to, count) => {
                let from = from % len;
                let end = (from + count).min(bytes.len());
                let piece: Vec<u8> = bytes.get(from..end).unwrap_or_default().to_vec();
                let to = (to % len).min(bytes.len());
                bytes.splice(to..to, piece);
            }
            Damage::Insert(at, text) => {
                let at = (at % len).min(bytes.len());
                bytes.splice(at..at, text.bytes());
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(Config { cases: 256, failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..400)) {
        check(&bytes);
    }

    #[test]
    fn any_text_after_a_version_is_read_or_refused(text in "\\PC{0,200}") {
        check(format!("openapi: 3.0.0\npaths:\n  /a:\n    get:\n      {text}").as_bytes());
        check(format!("{{\"openapi\": \"3.1.0\", \"paths\": {{\"/a\": {{\"get\": {text}}}}}}}").as_bytes());
    }

    #[test]
    fn any_damage_to_an_example_is_read_or_refused(
        which in any::<proptest::sample::Index>(),
        damages in vec(damage(), 1..6),
    ) {
        let paths = examples();
        let bytes = fs::read(which.get(&paths)).unwrap();
        check(&damaged(bytes, &damages));
    }
}

#[test]
fn the_examples_satisfy_the_same_rules() {
    for path in examples() {
        check(&fs::read(path).unwrap());
    }
}

#[test]
fn the_fuzz_corpus_is_read_or_refused() {
    let folder = repository().join("fuzz/corpus/read_document");
    let seeds = documents(&folder);
    assert!(seeds.len() >= 10, "the corpus was not found");
    for seed in seeds {
        check(&fs::read(seed).unwrap());
    }
}
