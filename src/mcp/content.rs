//! An upstream's answer becomes a tool's result.
