//! What holds of any bytes that are read as a document: they are refused, or become tools within limits.

use causeway::mcp::tool::define;
use causeway::openapi::{DocumentLimits, read};

/// Small enough that a run makes many inputs.
const LIMITS: DocumentLimits = DocumentLimits {
    document_bytes_max: 1 << 20,
    operations_max: 200,
    nodes_max: 20_000,
    depth_max: 64,
    expansions_max: 10_000,
};

pub fn read_or_refuse(bytes: &[u8]) {
    if let Ok(api) = read(bytes, &LIMITS) {
        assert!(!api.operations.is_empty());
        assert!(api.operations.len() <= LIMITS.operations_max);
        define(&api);
    }
}
