//! Chat with models: one neutral form in the middle, one codec per wire protocol around it.
//!
//! ```text
//! Question -> Caller -> LiveModel -> (reserve) -> Target* -> Written -> UpstreamRequest -> (sign) -> Relay | Answer -> Usage -> (settle) -> LedgerEntry
//! ```
//!
//! A request in any dialect becomes a [`chat::ChatRequest`], and any dialect writes one; an answer is an
//! [`answer::Answer`], or the [`answer::ChatEvent`]s that build one. N dialects are N codecs, not N x N
//! translations. Where both sides speak the same dialect nothing is translated: the bytes pass through.

// Pure: what is said, and how each dialect says it.
pub mod answer;
pub mod arm;
pub mod canary;
pub mod chat;
pub mod codec;
pub mod count;
pub mod dialect;
pub mod fault;
pub(crate) mod fields;
pub mod frame;
pub mod load;
pub mod multipart;
pub mod names;
pub mod prefix;
pub mod price;
pub mod provider;
pub mod question;
pub mod relay;
pub mod route;
pub mod sign;
pub mod splice;
pub mod standing;
pub mod strategy;
pub mod usage;
pub mod veil;
pub mod vocabulary;

// What there is now, and the flow.
pub(crate) mod access_token;
pub(crate) mod account;
pub mod bodies;
pub(crate) mod choice;
pub mod elsewhere;
pub mod exact;
pub(crate) mod exchange;
pub mod forward;
pub mod health;
pub mod kept;
pub mod live;
pub mod meter;
pub mod pieces;
pub mod probe;
pub mod proxy;
pub(crate) mod reserve;
pub mod rollback;
pub mod settings;
pub(crate) mod shadow;
pub(crate) mod signed;
pub(crate) mod stream;
pub mod through;
pub(crate) mod watch;

// The edge.
pub mod endpoint;
