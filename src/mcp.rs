//! The MCP half: tools made from operations, and calls made from tools.
//!
//! Pure: `tool`, `curation`, `confirm`, `diff`, `lint`, `plan`, `content`, `paging`, `fragment`, `template`.
//! Shared state: `server`, `provider`, `watch`. Flows:
//! `publish`, `call`. Edge: `endpoint`.

pub mod call;
pub mod confirm;
pub mod content;
pub mod curation;
pub mod diff;
pub mod endpoint;
pub mod fragment;
pub mod lint;
pub mod paging;
pub mod plan;
pub mod probes;
pub mod provider;
pub mod publish;
pub mod server;
pub mod sync;
pub mod template;
pub mod tool;
pub mod versions;
pub mod watch;
