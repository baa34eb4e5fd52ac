//! Causeway: an OpenAPI document in, a remote MCP server out.
//!
//! One flow makes a server, one flow answers a call:
//!
//! ```text
//! SpecSource -> Document -> Api{operations, findings} -> ToolDef{schema, binding} -> Server
//! ToolCall -> Caller -> Permit -> UpstreamRequest -> UpstreamResponse -> ToolOutcome -> LedgerEntry
//! ```
//!
//! The modules below stand in reading order; each may use only those of a lower rank
//! (`tests/it/tidy.rs` holds the table).

// The futures of a call, from a transport down to a socket, are deeper than the usual limit of queries.
#![recursion_limit = "256"]

pub mod types;

pub mod events;
pub mod openapi;
pub mod search;
pub mod tokens;

pub mod llm;
pub mod mcp;

pub mod credential;
pub mod policy;

pub mod config;
pub mod egress;
pub mod jq;
pub mod store;
pub mod telemetry;

pub mod access;
pub mod answers;
pub mod live;

pub mod market;

pub mod extract;
pub mod problem;

pub mod app;
pub mod cli;
pub mod demo;
pub mod router;
