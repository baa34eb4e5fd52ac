//! Any arguments to any operation. The corpus is replayed on stable by
//! `tests/it/tool_request/anything.rs`.

#![no_main]

#[path = "../plan_check.rs"]
mod plan_check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| plan_check::check(bytes));
