//! The one integration binary. A new test goes into the module named after the thing it tries:
//! `tidy` keeps the layers and sizes.

#![expect(
    clippy::unwrap_used,
    reason = "in a test, a failed unwrap is a failed test"
)]

mod accounting;
mod answers;
mod call;
mod cli;
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]
mod confirming;
mod crash;
mod curating;
mod curation;
mod demo;
mod discover;
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]
mod edge;
mod egress;
mod endpoint;
mod foreign;
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]
mod hot_change;
mod lifecycle;
mod limits;
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]
#[path = "../process/listening.rs"]
mod listening;
mod live;
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]
mod managing;
mod migrations;
mod model_limits;
mod models;
mod openapi;
mod operations;
mod pages;
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]
mod passing;
mod placement;
mod profile;
mod program;
mod publishing;
mod readme;
mod search;
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]
#[path = "../process/serving.rs"]
mod serving;
mod store;
mod template;
mod tidy;
mod tokens;
mod tool;
mod tool_request;
mod upstream_tls;
mod watching;
