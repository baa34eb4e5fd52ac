//! Upstream credentials at rest.
