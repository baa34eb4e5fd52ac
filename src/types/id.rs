//! Ids of stored things: UUIDv7 (RFC 9562 section 5.7), one type per thing, so that a consumer's id
//! can never be passed where a server's is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! decl_id {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A fresh id, ordered by the time of its making.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )*};
}

decl_id! {
    /// A tenant. Every tenant-owned row carries one.
    OrganizationId
    /// A person who signs in.
    UserId
    /// An application or agent that calls with its own keys.
    ConsumerId
    /// An API key (its row, never its secret).
    KeyId
    /// A published MCP server.
    ServerId
    /// One immutable version of a server.
    VersionId
    /// A vaulted upstream credential.
    CredentialId
    /// A piece of background work.
    JobId
    /// A named set of limits.
    PlanId
    /// An answer that is kept for whoever got it.
    AnswerId
    /// A provider of models, or one of its keys.
    ProviderId
    /// A name that leads to models.
    ModelId
    /// A call that waits, or waited, for somebody to approve it.
    ApprovalId
}

impl AnswerId {
    /// One that nobody guesses, made of nothing but chance: on an open server it is all that is asked
    /// for.
    #[expect(clippy::disallowed_methods, reason = "most of a UUIDv7 is the time")]
    pub fn unguessable() -> Self {
        Self(Uuid::new_v4())
    }
}

impl OrganizationId {
    /// The organization that exists from the first migration on.
    pub const DEFAULT: Self = Self(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
}
