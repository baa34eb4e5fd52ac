//! The two messages that pass between a planned call and the network.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

/// A complete HTTP request to an API, before its credential is attached.
#[derive(Clone, Debug)]
pub struct UpstreamRequest {
    pub method: Method,
    /// Absolute, `http` or `https`, without user info or fragment.
    pub url: Url,
    /// Never `Host`, never a hop-by-hop header.
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What an API answered, its body read up to the limit and decompressed.
#[derive(Clone, Debug)]
pub struct UpstreamResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The body was longer than the limit, and was cut there.
    pub truncated: bool,
    /// From sending to the end of the headers.
    pub first_byte: Duration,
    /// From sending to the end of the body.
    pub total: Duration,
}
