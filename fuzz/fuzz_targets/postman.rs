//! Any bytes within and in place of collections that are converted. The corpus is replayed on stable by
//! `tests/it/foreign.rs`.

#![no_main]

#[path = "../read_check.rs"]
mod read_check;

use libfuzzer_sys::fuzz_target;
use read_check::read_or_refuse;

fuzz_target!(|bytes: &[u8]| {
    let text = format!("{{\"info\":{{\"_postman_id\":\"x\"}},\"item\":[{}]}}", String::from_utf8_lossy(bytes));
    read_or_refuse(text.as_bytes());
    read_or_refuse(bytes);
});
