//! Any bytes as a document. The corpus is replayed on stable by `tests/it/openapi/anything.rs`.

#![no_main]

use causeway::openapi::{DocumentLimits, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = DocumentLimits {
        document_bytes_max: 1 << 20,
        operations_max: 200,
        nodes_max: 20_000,
        depth_max: 64,
        expansions_max: 10_000,
    };
    if let Ok(api) = read(bytes, &limits) {
        assert!(!api.operations.is_empty());
        assert!(api.operations.len() <= limits.operations_max);
    }
});
