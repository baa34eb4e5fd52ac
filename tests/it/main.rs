//! The one integration binary. A new test goes into the module named after the thing it tries:
//! `tidy` keeps the layers and sizes.

#![expect(
    clippy::unwrap_used,
    reason = "in a test, a failed unwrap is a failed test"
)]

mod call;
mod cli;
mod crash;
mod demo;
mod egress;
mod endpoint;
mod openapi;
mod pages;
mod program;
mod readme;
mod store;
mod tidy;
mod tool;
mod tool_request;
