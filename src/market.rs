//! The catalog: pages and the management API.

pub mod api;
pub mod discover;
pub mod pages;
