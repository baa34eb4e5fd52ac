//! Who is calling, what they may do, with which secret, and what it cost.

pub mod account;
pub mod afterlife;
pub mod approval;
pub mod authenticate;
pub mod caller;
pub mod confirmation;
pub mod issuer;
pub mod key;
pub mod ledger;
pub mod limit;
pub mod meter;
pub mod model_usage;
pub mod oidc;
pub mod password;
pub mod person;
pub mod private_file;
pub mod role;
pub mod session;
pub mod throttle;
pub mod token;
pub mod totp;
pub mod upstream_auth;
pub mod usage;
pub mod vault;
pub mod webhook;
