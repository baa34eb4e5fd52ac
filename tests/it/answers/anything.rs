//! Any bytes as an answer, against any output schema. The fuzz target `render_answer` runs the same
//! check; its corpus is replayed here.

use proptest::prelude::*;

use crate::answers::check::check;

#[test]
fn the_fuzz_corpus_is_rendered() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/render_answer");
    let seeds: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert!(seeds.len() >= 10, "the corpus was not found");
    for seed in seeds {
        check(&std::fs::read(seed.unwrap().path()).unwrap());
    }
}

const SCHEMAS: [&str; 6] = [
    r#"{"type":"object","required":["a"],"properties":{"a":{"type":"integer"},"b":{"type":"array","items":{"type":"string"}}}}"#,
    r#"{"type":"array","items":{"type":"object","properties":{"id":{"type":"string"}}}}"#,
    r#"{"type":"string"}"#,
    r#"{"type":"object","additionalProperties":{"type":"number"}}"#,
    r#"{"oneOf":[{"type":"object","properties":{"a":{"const":1}}},{"type":"null"}]}"#,
    "true",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_answer_fits_any_schema(
        schema in prop::sample::select(&SCHEMAS[..]),
        choice in 0_u8..40,
        budget in 0_u8..=255,
        body in prop_oneof![
            "[\\[\\]{}\",:0-9a-z \\\\.-]{0,200}",
            r#"(\[|\{"a":)*(1|"b\\u0041"|null|true)[\]}]*"#,
            r#"\[("[a-z]{0,40}",|\{"id":"[a-z]{0,60}","a":[0-9]{1,30}\},){0,40}1\]"#,
            r#"(data: [\{\}":a-z0-9]{0,20}\n\n){0,20}"#,
        ],
    ) {
        let mut bytes = schema.as_bytes().to_vec();
        bytes.extend([0, choice, budget]);
        bytes.extend(body.as_bytes());
        check(&bytes);
    }
}
