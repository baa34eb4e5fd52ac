//! Any bytes within and in place of servers that are converted. The corpus is replayed on stable by
//! `tests/it/foreign.rs`.

#![no_main]

use causeway::mcp::tool::define;
use causeway::openapi::{DocumentLimits, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = format!("server: {{name: a}}\ntools:\n{}", String::from_utf8_lossy(bytes));
    read_or_refuse(text.as_bytes());
    read_or_refuse(bytes);
});

fn read_or_refuse(bytes: &[u8]) {
    let limits = DocumentLimits {
        document_bytes_max: 1 << 20,
        operations_max: 200,
        nodes_max: 20_000,
        depth_max: 64,
        expansions_max: 10_000,
    };
    if let Ok(api) = read(bytes, &limits) {
        assert!(!api.operations.is_empty());
        define(&api);
    }
}
