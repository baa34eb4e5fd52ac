//! Protocol versions, and what differs between them.

use crate::mcp::fragment::WireClass;

/// The versions that are spoken, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
    V2026_07_28,
}

impl Version {
    pub(super) const ALL: [Self; 5] = [
        Self::V2026_07_28,
        Self::V2025_11_25,
        Self::V2025_06_18,
        Self::V2025_03_26,
        Self::V2024_11_05,
    ];
    /// What `initialize` offers a client that asks for something else.
    pub(super) const LATEST_WITH_HANDSHAKE: Self = Self::V2025_11_25;
    /// What a request without `MCP-Protocol-Version` speaks (2025-06-18, transports).
    pub(super) const UNSTATED: Self = Self::V2025_03_26;

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|version| version.as_str() == text)
    }

    /// 2026-07-28: no handshake, every request stands alone.
    pub(super) fn is_stateless(self) -> bool {
        self == Self::V2026_07_28
    }

    pub(super) fn wire_class(self) -> WireClass {
        match self {
            Self::V2024_11_05 | Self::V2025_03_26 => WireClass::Early,
            Self::V2025_06_18 | Self::V2025_11_25 => WireClass::Structured,
            Self::V2026_07_28 => WireClass::Stateless,
        }
    }
}
