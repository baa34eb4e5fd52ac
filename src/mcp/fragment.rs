//! A tool's entry of `tools/list`, serialized once per wire class.

use serde_json::value::RawValue;

/// The classes of protocol versions that see the same JSON for a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireClass {
    /// 2024-11-05 to 2025-03-26.
    Early,
    /// 2025-06-18 and 2025-11-25: titles and output schemas.
    Structured,
    /// 2026-07-28.
    Stateless,
}

/// Prebuilt JSON per [`WireClass`].
#[derive(Clone, Debug)]
pub struct Fragments {
    pub early: Box<RawValue>,
    pub structured: Box<RawValue>,
    pub stateless: Box<RawValue>,
}
