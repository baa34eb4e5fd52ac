//! Who acts on the management side: somebody who signed in, or whoever has the admin key.

use crate::access::caller::{Caller, Grants};
use crate::access::key;
use crate::access::role::{Action, Owner, Role, may};
use crate::types::{OrganizationId, UserId};

/// Somebody with a role. The caller is what they are when they call tools.
#[derive(Clone, Debug)]
pub struct Person {
    pub caller: Caller,
    pub role: Role,
    /// `None`: the admin key, which is nobody in particular.
    pub name: Option<String>,
}

impl Person {
    /// Whoever has the admin key.
    pub fn of_admin_key() -> Self {
        Self {
            caller: key::admin(),
            role: Role::Admin,
            name: None,
        }
    }

    /// Somebody who signed in. People of an organization call all its servers.
    pub fn of_user(organization: OrganizationId, (id, name): (UserId, String), role: Role) -> Self {
        let grants = match role {
            Role::Admin => Grants::Admin,
            Role::Publisher | Role::Member => Grants::Organization,
        };
        Self {
            caller: Caller {
                organization,
                user: Some(id),
                grants,
                ..Caller::anonymous()
            },
            role,
            name: Some(name),
        }
    }

    pub fn organization(&self) -> OrganizationId {
        self.caller.organization
    }

    pub fn user(&self) -> Option<UserId> {
        self.caller.user
    }

    /// As the audit names them.
    pub fn actor(&self) -> String {
        match &self.name {
            Some(name) => format!("user:{name}"),
            None => self.caller.principal(),
        }
    }

    /// Who somebody's thing belongs to, seen from here. What belongs to nobody is the admins'.
    pub fn owner(&self, owner: Option<UserId>) -> Owner {
        match owner {
            Some(owner) if Some(owner) == self.user() => Owner::Oneself,
            _ => Owner::Another,
        }
    }

    /// Whether they may do that to a thing of that owner.
    pub fn may(&self, action: Action, owner: Option<UserId>) -> bool {
        may(self.role, action, self.owner(owner))
    }

    /// Whether they may do that at all, to no thing in particular.
    pub fn may_at_all(&self, action: Action) -> bool {
        may(self.role, action, Owner::Nothing)
    }
}
