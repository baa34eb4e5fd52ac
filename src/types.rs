//! The vocabulary every other module shares: ids, validated names, time, and the two upstream
//! messages. Knows nothing of the rest of the crate.

pub mod clock;
pub mod id;
pub mod latency;
pub mod media_type;
pub mod name;
pub mod parent;
pub mod upstream;

pub use clock::{Clock, Moment};
pub use id::{
    AnswerId, ApprovalId, ConsumerId, CredentialId, JobId, KeyId, ModelId, OrganizationId, PlanId,
    ProviderId, ServerId, UserId, VersionId,
};
pub use latency::Latency;
pub use media_type::essence;
pub use name::{NameError, Slug, ToolName};
pub use parent::Parent;
pub use upstream::{UpstreamRequest, UpstreamResponse};
