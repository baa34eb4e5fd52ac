//! Errors at the edge: RFC 9457.
