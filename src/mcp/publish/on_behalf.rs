//! For whom a server is published, and which are theirs to publish anew.

use crate::live::Entry;
use crate::mcp::publish::PublishError;
use crate::types::UserId;

/// For whom a server is published. By default for nobody, who may publish any anew.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnBehalf {
    /// Whose a new server is.
    pub owner: Option<UserId>,
    /// Only their own servers are theirs to publish anew.
    pub own_only: bool,
}

impl OnBehalf {
    /// Whether the server there is may be published anew. Asked before anything is fetched under its rules.
    pub fn check(self, existing: Option<&Entry>) -> Result<(), PublishError> {
        let anothers =
            existing.is_some_and(|entry| self.owner.is_none() || entry.owner != self.owner);
        if self.own_only && anothers {
            return Err(PublishError::Taken);
        }
        Ok(())
    }
}
