//! How everything is wired.
