//! Arguments become an HTTP request. Pure.
