//! The catalog: pages and the management API.
