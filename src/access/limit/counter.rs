//! What a limit counts for whom: the name of one count, the same in every process.

use std::fmt;
use std::net::IpAddr;

use crate::access::caller::site;
use crate::access::limit::{Asked, Limit, Scope, Unit, Window};
use crate::types::{ConsumerId, KeyId, ModelId, ServerId, UserId};

/// Whose limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    Server(ServerId),
    Model(ModelId),
    Plan(ConsumerId, ServerId),
    Consumer(ConsumerId),
    /// Of the whole site.
    Site,
    /// Of the management API.
    Management,
}

/// One count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Counter {
    pub owner: Owner,
    pub unit: Unit,
    pub window: Option<Window>,
    pub scope: Scope,
    pub holder: Holder,
}

/// Of whom, within what the owner limits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    Everyone,
    Tool(String),
    Key(KeyId),
    Consumer(ConsumerId),
    User(UserId),
    Address(IpAddr),
    /// Callers that are neither consumers nor strangers with an address, by their principal.
    Other(String),
}

impl Counter {
    /// The count that a limit is about when a call is made.
    pub fn of(owner: Owner, limit: &Limit, asked: &Asked<'_>) -> Self {
        Self {
            owner,
            unit: limit.unit,
            window: limit.window,
            scope: limit.scope,
            holder: holder(limit.scope, asked),
        }
    }
}

impl Counter {
    /// The count of what one address asks of the site without a key.
    pub(super) fn of_stranger(limit: &Limit, peer: IpAddr) -> Self {
        Self {
            owner: Owner::Site,
            unit: limit.unit,
            window: limit.window,
            scope: limit.scope,
            holder: Holder::Address(site(peer)),
        }
    }
}

impl Counter {
    /// The count of what one person or key asks of the management API.
    pub(super) fn of_management(limit: &Limit, holder: &str) -> Self {
        Self {
            owner: Owner::Management,
            unit: limit.unit,
            window: limit.window,
            scope: limit.scope,
            holder: Holder::Other(holder.to_owned()),
        }
    }
}

/// Strangers have neither key nor consumer: they are told apart by where they come from.
fn holder(scope: Scope, asked: &Asked<'_>) -> Holder {
    let caller = asked.caller;
    let consumer = || caller.consumer.map(Holder::Consumer);
    let known = match scope {
        Scope::Server => Some(Holder::Everyone),
        Scope::Tool => Some(Holder::Tool(asked.of.name().to_owned())),
        Scope::Key => caller.key.map(Holder::Key),
        Scope::Consumer => consumer(),
        Scope::User => caller.user.map(Holder::User).or_else(consumer),
        Scope::Address => None,
    };
    let by_address = (scope == Scope::Address || caller.is_anonymous())
        .then_some(asked.peer)
        .flatten();
    let elsewhere = || match by_address {
        Some(address) => Holder::Address(site(address)),
        None => Holder::Other(caller.principal()),
    };
    known.unwrap_or_else(elsewhere)
}

/// The text of a count, as it is stored: `plan:<consumer>:<server>/requests/day/key/key:<id>`.
impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.owner {
            Owner::Server(server) => write!(f, "server:{server}")?,
            Owner::Model(model) => write!(f, "model:{model}")?,
            Owner::Plan(consumer, server) => write!(f, "plan:{consumer}:{server}")?,
            Owner::Consumer(consumer) => write!(f, "consumer:{consumer}")?,
            Owner::Site => write!(f, "site")?,
            Owner::Management => write!(f, "management")?,
        }
        let unit = self.unit.as_str();
        let window = self.window.map_or("now", Window::as_str);
        write!(f, "/{unit}/{window}/{}/", self.scope.as_str())?;
        match &self.holder {
            Holder::Everyone => write!(f, "everyone"),
            Holder::Tool(tool) => write!(f, "tool:{tool}"),
            Holder::Key(key) => write!(f, "key:{key}"),
            Holder::Consumer(consumer) => write!(f, "consumer:{consumer}"),
            Holder::User(user) => write!(f, "user:{user}"),
            Holder::Address(address) => write!(f, "address:{address}"),
            Holder::Other(principal) => write!(f, "other:{principal}"),
        }
    }
}
