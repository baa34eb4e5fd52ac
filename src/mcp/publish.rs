//! The flow that makes a server of a document.
