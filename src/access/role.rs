//! What people may do: one function, asked by every route.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What somebody is in an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    Admin,
    /// Publishes, and manages what it published.
    Publisher,
    /// Browses, calls tools, and has keys of its own.
    Member,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make a server of a document.
    Publish,
    /// See how a server is made and change it: settings, tools, versions, credentials.
    ManageServer,
    /// Let a server reach destinations that are private.
    OpenNetwork,
    /// Decide of calls that wait for a person.
    DecideCall,
    /// See how an import goes, and try again what failed of it.
    FollowImport,
    /// See one's keys, and make keys.
    UseKeys,
    /// End a key.
    EndKey,
    /// Ask models, as one's key for everything may.
    AskModels,
    /// One's own password, codes and sessions.
    OwnAccount,
    /// What concerns everybody: people, plans, consumers, the record of acts and calls.
    Administer,
}

/// Whose the thing is that the action is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Whoever asks.
    Oneself,
    /// Somebody else, or nobody.
    Another,
    /// The action is about no thing there is.
    Nothing,
}

/// Whether somebody of that role may do that to a thing of that owner.
pub fn may(role: Role, action: Action, owner: Owner) -> bool {
    match (role, action) {
        (Role::Admin, _) => true,
        (Role::Publisher, Action::ManageServer | Action::DecideCall | Action::FollowImport)
        | (Role::Publisher | Role::Member, Action::EndKey) => owner == Owner::Oneself,
        (Role::Publisher, Action::Publish)
        | (
            Role::Publisher | Role::Member,
            Action::UseKeys | Action::AskModels | Action::OwnAccount,
        ) => owner != Owner::Another,
        (Role::Publisher, Action::OpenNetwork | Action::Administer)
        | (
            Role::Member,
            Action::Publish
            | Action::ManageServer
            | Action::DecideCall
            | Action::OpenNetwork
            | Action::FollowImport
            | Action::Administer,
        ) => false,
    }
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Admin, Self::Publisher, Self::Member];

    /// As it is written and stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Publisher => "publisher",
            Self::Member => "member",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A word that names no role.
#[derive(Debug, thiserror::Error)]
#[error("a role is admin, publisher or member")]
pub struct RoleError;

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        Self::ALL
            .into_iter()
            .find(|role| role.word() == text)
            .ok_or(RoleError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_the_table_says() {
        use Action::*;
        // For each action: what a publisher and a member may do to their own, to another's, to nothing.
        let table = [
            (Publish, "y-y", "---"),
            (ManageServer, "y--", "---"),
            (DecideCall, "y--", "---"),
            (OpenNetwork, "---", "---"),
            (FollowImport, "y--", "---"),
            (UseKeys, "y-y", "y-y"),
            (EndKey, "y--", "y--"),
            (AskModels, "y-y", "y-y"),
            (OwnAccount, "y-y", "y-y"),
            (Administer, "---", "---"),
        ];
        let owners = [Owner::Oneself, Owner::Another, Owner::Nothing];
        for (action, publisher, member) in table {
            for (role, expected) in [
                (Role::Admin, "yyy"),
                (Role::Publisher, publisher),
                (Role::Member, member),
            ] {
                let got: String = owners
                    .iter()
                    .map(|owner| if may(role, action, *owner) { 'y' } else { '-' })
                    .collect();
                assert_eq!(got, expected, "{role} {action:?}");
            }
        }
    }

    #[test]
    fn a_role_is_read_as_it_is_written() {
        for role in Role::ALL {
            assert_eq!(role.word().parse::<Role>().unwrap(), role);
        }
        assert!("Admin".parse::<Role>().is_err());
        assert!("".parse::<Role>().is_err());
    }
}
