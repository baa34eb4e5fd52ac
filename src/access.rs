//! Who is calling, what they may do, with which secret, and what it cost.

pub mod authenticate;
pub mod caller;
pub mod issuer;
pub mod key;
pub mod ledger;
pub mod limit;
pub mod private_file;
pub mod session;
pub mod token;
pub mod upstream_auth;
pub mod usage;
pub mod vault;
