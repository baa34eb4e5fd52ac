//! Any bytes as a document. The corpus is replayed on stable by `tests/it/openapi/anything.rs`.

#![no_main]

#[path = "../read_check.rs"]
mod read_check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| read_check::read_or_refuse(bytes));
