//! Extractors: the caller, and JSON with our errors.
