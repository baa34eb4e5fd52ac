//! A document's bytes become compiled tools: a small, a medium, a 1,000-operation and a 20,000-operation
//! document of 40 MB. The last must take no more than twenty times as long as the one before.

use std::fmt::Write as _;
use std::hint::black_box;

use causeway::mcp::tool::{Tool, define};
use causeway::openapi::{DocumentLimits, read};
use criterion::{Criterion, criterion_group, criterion_main};

/// Operations with a shared body schema, two parameters and a JSON answer.
fn generated(operations: usize, description: &str) -> String {
    let mut text = String::from(
        r##"{"openapi":"3.1.0","info":{"title":"G","version":"1"},"servers":[{"url":"https://h"}],
        "components":{"schemas":{"Thing":{"type":"object","required":["name"],"properties":{
        "name":{"type":"string"},"tags":{"type":"array","items":{"type":"string"}},
        "parent":{"$ref":"#/components/schemas/Thing"}}}}},"paths":{"##,
    );
    for index in 0..operations {
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(
            text,
            r##"{comma}"/things{index}/{{id}}":{{"put":{{"operationId":"putThing{index}","description":"{description}",
            "parameters":[{{"name":"id","in":"path","required":true,"schema":{{"type":"string"}}}},
            {{"name":"limit","in":"query","schema":{{"type":"integer"}}}}],
            "requestBody":{{"required":true,"content":{{"application/json":{{"schema":
            {{"$ref":"#/components/schemas/Thing"}}}}}}}},
            "responses":{{"200":{{"description":"ok","content":{{"application/json":{{"schema":
            {{"$ref":"#/components/schemas/Thing"}}}}}}}}}}}}}}"##
        );
    }
    text.push_str("}}");
    text
}

fn tools(bytes: &[u8]) -> usize {
    let api = read(bytes, &DocumentLimits::default()).expect("the document is valid");
    let compiled = define(&api).tools.into_iter().map(Tool::compile);
    let compiled: Vec<_> = compiled.map(|(tool, _)| tool).collect();
    black_box(&compiled).len()
}

fn parse_to_tools(criterion: &mut Criterion) {
    let small = include_bytes!("../specs-examples/petstore.yaml");
    let medium = include_bytes!("../specs-examples/bookshop.yaml");
    let words = "What it does, and when, and for whom. ".repeat(38);
    let large = generated(1_000, &words);
    assert_eq!(tools(large.as_bytes()), 1_000);
    let huge = generated(20_000, &words);
    assert!(huge.len() > 38 << 20);
    assert_eq!(tools(huge.as_bytes()), 20_000);
    let mut group = criterion.benchmark_group("parse_to_tools");
    group.sample_size(10);
    group.bench_function("small", |b| b.iter(|| tools(small)));
    group.bench_function("medium", |b| b.iter(|| tools(medium)));
    group.bench_function("1000_operations", |b| b.iter(|| tools(large.as_bytes())));
    group.bench_function("20000_operations", |b| b.iter(|| tools(huge.as_bytes())));
    group.finish();
}

criterion_group!(benches, parse_to_tools);
criterion_main!(benches);
