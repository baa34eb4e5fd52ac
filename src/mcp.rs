//! The MCP half: tools made from operations, and calls made from tools.
//!
//! Pure: `tool`, `plan`, `content`, `fragment`. Shared state: `server`, `provider`. Flows:
//! `publish`, `call`. Edge: `endpoint`.

pub mod call;
pub mod content;
pub mod endpoint;
pub mod fragment;
pub mod plan;
pub mod provider;
pub mod publish;
pub mod server;
pub mod tool;
