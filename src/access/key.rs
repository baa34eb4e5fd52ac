//! API keys: made, hashed, recognised.
