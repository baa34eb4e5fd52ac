//! Any template over any JSON, divided by the byte 1. The corpus is replayed on stable by
//! `tests/it/template.rs`.

#![no_main]

use causeway::mcp::template::data::Data;
use causeway::mcp::template::place::Place;
use causeway::mcp::template::{Moment, OUTPUT_BYTES_MAX, Template};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (source, data) = text.split_once('\u{1}').unwrap_or((text, "{}"));
    let data = Data::parse(data).unwrap_or(Data::Missing);
    let Ok(template) = source.parse::<Template>() else {
        return;
    };
    for place in [Place::Plain, Place::Json, Place::Form, Place::Xml] {
        if let Ok(text) = template.render(&data, place, &Moment::default()) {
            assert!(text.len() <= OUTPUT_BYTES_MAX);
        }
    }
});
