//! The flow of one tool call.
