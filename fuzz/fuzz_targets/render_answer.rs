//! Any bytes as an answer, against any output schema. The corpus is replayed on stable by
//! `tests/it/answers/anything.rs`, with the same check.

#![no_main]

#[path = "../../tests/it/answers/check.rs"]
mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| check::check(bytes));
