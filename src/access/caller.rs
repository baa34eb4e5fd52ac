//! The only principal, and the only question asked of it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::access::limit::Allowance;
use crate::mcp::server::Access;
use crate::openapi::OperationKey;
use crate::types::{ConsumerId, KeyId, OrganizationId, ServerId, UserId};

/// Whoever sent a request, after authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub organization: OrganizationId,
    pub consumer: Option<ConsumerId>,
    pub user: Option<UserId>,
    pub key: Option<KeyId>,
    pub grants: Grants,
    /// The limits its consumer was given.
    pub allowance: Option<Arc<Allowance>>,
    /// The only models its key is for, by name, or pattern with a `*` at its end; `None`: what the grants say.
    pub models: Option<Arc<[String]>>,
}

/// Whom a request is made for that never leaves the process. No request from outside has one.
#[derive(Clone, Debug)]
pub struct OnBehalf(pub Caller);

/// What a caller may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grants {
    /// No credential: open servers only.
    Anonymous,
    /// The admin key: every server, and management.
    Admin,
    /// Every server of the organization.
    Organization,
    /// Some servers, or some tools of them, by id.
    Scoped(Vec<Grant>),
}

/// One server a key is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    pub server: ServerId,
    /// `None`: all its tools. Otherwise those of these operations, however they are called: an owner who
    /// renames a tool takes nothing from a key, and gives nothing away with a name that was used before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tools: Option<BTreeSet<OperationKey>>,
}

/// What is asked about: a server as the catalog's index knows it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub organization: OrganizationId,
    pub server: ServerId,
    pub access: Access,
    /// Whose it is; `None`: the admins'.
    pub owner: Option<UserId>,
}

impl Caller {
    pub fn anonymous() -> Self {
        Self {
            organization: OrganizationId::DEFAULT,
            consumer: None,
            user: None,
            key: None,
            grants: Grants::Anonymous,
            allowance: None,
            models: None,
        }
    }

    pub fn is_anonymous(&self) -> bool {
        self.grants == Grants::Anonymous
    }

    pub fn is_admin(&self) -> bool {
        self.grants == Grants::Admin
    }

    /// Whether a model of this name may be asked for. A key for some servers only is for the models it names, and for
    /// no others.
    pub fn may_ask(&self, model: &str) -> bool {
        let fits = |known: &String| match known.strip_suffix('*') {
            Some(beginning) => model.starts_with(beginning),
            None => known == model,
        };
        match &self.models {
            Some(models) => models.iter().any(fits),
            None => self.may_use_models(),
        }
    }

    /// Whether providers may be asked for anything, whichever model that is for.
    pub fn may_ask_everything(&self) -> bool {
        self.models.is_none() && self.may_use_models()
    }

    /// Whether any model may be asked for at all.
    pub fn may_use_models(&self) -> bool {
        self.models.is_some() || matches!(self.grants, Grants::Admin | Grants::Organization)
    }

    /// May this caller use the server at all (`tool` absent), or the tool of this operation?
    pub fn may(&self, target: Target, tool: Option<&OperationKey>) -> bool {
        self.reaches(target, |grant| match (tool, &grant.tools) {
            (None, _) | (_, None) => true,
            (Some(tool), Some(tools)) => tools.contains(tool),
        })
    }

    /// Whether every tool of the server is the caller's to use.
    pub fn sees_all(&self, target: Target) -> bool {
        self.reaches(target, |grant| grant.tools.is_none())
    }

    /// Whether the caller gets as far as the server, and where only its own grants lead there, by one
    /// that is `enough`.
    fn reaches(&self, target: Target, enough: impl Fn(&Grant) -> bool) -> bool {
        if target.access == Access::Open {
            return true;
        }
        target.organization == self.organization
            && match &self.grants {
                Grants::Anonymous => false,
                Grants::Admin => true,
                Grants::Organization => {
                    let own = self.user.is_some() && target.owner == self.user;
                    own || target.access == Access::Key
                }
                // What somebody granted a key of their own ends where their own access does.
                Grants::Scoped(grants) => {
                    let lasts = target.access == Access::Key
                        || self.user.is_none()
                        || target.owner == self.user;
                    let named = |grant: &Grant| grant.server == target.server && enough(grant);
                    lasts && grants.iter().any(named)
                }
            }
    }

    /// Whether what a tool answered to its consumer is within what this very caller may use: other keys
    /// of the same consumer may be good for other tools.
    pub fn may_read_of(&self, server: ServerId, tool: &OperationKey) -> bool {
        let Grants::Scoped(grants) = &self.grants else {
            return true;
        };
        let named = |grant: &Grant| match &grant.tools {
            None => true,
            Some(tools) => tools.contains(tool),
        };
        grants
            .iter()
            .any(|grant| grant.server == server && named(grant))
    }

    /// Whether the caller's own grants name the server.
    pub fn is_granted(&self, server: ServerId) -> bool {
        let Grants::Scoped(grants) = &self.grants else {
            return false;
        };
        grants.iter().any(|grant| grant.server == server)
    }

    /// Who a session belongs to: the same through a renewed key of the same consumer.
    pub fn principal(&self) -> String {
        match (self.consumer, self.user, self.key, &self.grants) {
            (Some(consumer), ..) => format!("consumer:{consumer}"),
            (_, Some(user), ..) => format!("user:{user}"),
            (_, _, Some(key), _) => format!("key:{key}"),
            (.., Grants::Admin) => "admin".to_owned(),
            (.., Grants::Anonymous) => "anonymous".to_owned(),
            (.., Grants::Organization | Grants::Scoped(_)) => {
                format!("organization:{}", self.organization)
            }
        }
    }

    /// Whose share of a limit the caller takes: its own, and strangers are told apart by the address
    /// they come from.
    pub fn holder(&self, peer: Option<IpAddr>) -> String {
        match peer.filter(|_| self.is_anonymous()) {
            Some(address) => format!("anonymous@{}", site(address)),
            None => self.principal(),
        }
    }

    /// Whether what the caller sees of the server may differ from what others see.
    pub fn is_restricted(&self, target: Target) -> bool {
        target.access != Access::Open
    }
}

/// The address of one site: a host with IPv6 has all addresses of a /64 to choose from.
pub(crate) fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        IpAddr::V4(address) => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_ones_own_opens_no_more_than_its_owner() {
        let (server, anna) = (ServerId::generate(), UserId::generate());
        let target = |access, owner| Target {
            organization: OrganizationId::DEFAULT,
            server,
            access,
            owner,
        };
        let key = |user| Caller {
            user,
            grants: Grants::Scoped(vec![Grant {
                server,
                tools: None,
            }]),
            ..Caller::anonymous()
        };
        for (user, access, owner, may) in [
            (None, Access::Private, None, true),
            (Some(anna), Access::Key, None, true),
            (Some(anna), Access::Private, Some(anna), true),
            (Some(anna), Access::Private, None, false),
            (Some(anna), Access::Private, Some(UserId::generate()), false),
        ] {
            let may_it = key(user).may(target(access, owner), None);
            assert_eq!(may_it, may, "{user:?} {access:?} {owner:?}");
        }
    }

    #[test]
    fn strangers_are_told_apart_by_where_they_come_from() {
        let stranger = Caller::anonymous();
        let from = |address: &str| stranger.holder(Some(address.parse().unwrap()));
        assert_eq!(from("192.0.2.7"), "anonymous@192.0.2.7");
        assert_eq!(from("::ffff:192.0.2.7"), from("192.0.2.7"));
        assert_eq!(from("2001:db8::1"), from("2001:db8::ffff:1"));
        assert_ne!(from("2001:db8::1"), from("2001:db8:0:1::1"));
        assert_eq!(stranger.holder(None), "anonymous");
        let known = Caller {
            grants: Grants::Organization,
            ..Caller::anonymous()
        };
        let peer = Some("192.0.2.7".parse().unwrap());
        assert_eq!(known.holder(peer), known.principal());
    }
}
