//! The vocabulary every other module shares: ids, validated names, time, and the two upstream
//! messages. Knows nothing of the rest of the crate.

pub mod clock;
pub mod id;
pub mod name;
pub mod upstream;

pub use clock::Clock;
pub use id::{
    AnswerId, ConsumerId, CredentialId, JobId, KeyId, OrganizationId, ServerId, UserId, VersionId,
};
pub use name::{NameError, Slug, ToolName};
pub use upstream::{UpstreamRequest, UpstreamResponse};
