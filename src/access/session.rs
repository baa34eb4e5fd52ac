//! The browser session of a key login.
