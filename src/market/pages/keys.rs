//! API keys of consumers, and the issuers whose tokens are taken in place of keys.

use askama::Template;

use crate::market::language::Html;
use crate::market::pages::Frame;
use crate::market::pages::scope::ScopeView;

/// More servers than this are named in a field and not listed with a box each.
pub const SERVERS_LISTED_MAX: usize = 200;

/// How long a new key lasts: what the form sends, the message that names it, and in days.
pub const LIFETIMES: [(&str, &str, Option<i64>); 5] = [
    ("7", "keys-7d", Some(7)),
    ("30", "keys-30d", Some(30)),
    ("90", "keys-90d", Some(90)),
    ("365", "keys-365d", Some(365)),
    ("never", "keys-no-end", None),
];

/// How long a key that was replaced goes on: what the form sends, and the message that names it.
pub const OVERLAPS: [(&str, &str); 4] = [
    ("0s", "keys-overlap-none"),
    ("1h", "keys-overlap-1h"),
    ("24h", "keys-overlap-24h"),
    ("7d", "keys-overlap-7d"),
];

/// `GET /keys`.
#[derive(Debug, Template)]
#[template(path = "keys.html")]
pub struct Keys {
    pub frame: Frame,
    pub error: Option<Html>,
    pub keys: Vec<KeyRow>,
    /// The key just made, shown this once.
    pub created: Option<NewKey>,
    /// A first question for a model, where there is one that needs nothing else.
    pub first: Option<String>,
    /// Keys that are not shown.
    pub hidden: usize,
    /// How many servers there are.
    pub servers: usize,
    /// The servers a key may be limited to, where they are few: chosen or not, and which.
    pub choices: Vec<(bool, String)>,
    /// What was entered, when it was refused.
    pub name: String,
    pub entered_scopes: String,
    pub entered_models: String,
    pub lifetime: String,
    pub issuers: Vec<IssuerView>,
    pub issuer: IssuerForm,
}

/// A key in the list; the key itself is known to nobody.
#[derive(Clone, Debug)]
pub struct KeyRow {
    pub id: String,
    pub name: String,
    /// The beginning of the key, to recognise it by.
    pub prefix: String,
    pub scope: ScopeView,
    /// The only models it is for, if there are such.
    pub models: Option<Vec<String>>,
    pub created: String,
    pub last_used: Option<String>,
    pub state: KeyState,
    /// When it ends by itself, or did.
    pub ends: Option<String>,
    /// The beginning of the key it took the place of, and of the one that took its own.
    pub replaces: Option<String>,
    pub replaced_by: Option<String>,
}

/// Whether a key opens anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    Good,
    /// Another took its place, and it still goes on.
    Ending,
    Expired,
    Revoked,
}

impl KeyState {
    pub fn is_over(self) -> bool {
        matches!(self, Self::Expired | Self::Revoked)
    }

    /// A message's key.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "keys-good",
            Self::Ending => "keys-ending",
            Self::Expired => "keys-expired",
            Self::Revoked => "keys-revoked",
        }
    }

    /// A class of the stylesheet.
    pub fn tone(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Ending => "fair",
            Self::Expired | Self::Revoked => "plain",
        }
    }
}

/// A key in full.
#[derive(Clone)]
pub struct NewKey {
    pub name: String,
    pub key: String,
    /// When the key it took the place of ends.
    pub old_ends: Option<String>,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// An issuer of tokens in the list.
#[derive(Clone, Debug)]
pub struct IssuerView {
    pub name: String,
    pub issuer: String,
    pub audience: String,
    /// What all of its tokens are good for.
    pub scope: ScopeView,
    /// What those with a value of a claim are good for beside that.
    pub by_claim: Vec<(String, ScopeView)>,
    pub consumer_claim: String,
}

/// The form of an issuer, as it was entered.
#[derive(Clone, Debug, Default)]
pub struct IssuerForm {
    pub error: Option<Html>,
    pub name: String,
    pub issuer: String,
    pub audience: String,
    pub keys_url: String,
    pub consumer_claim: String,
    pub everywhere: bool,
    pub scopes: String,
    pub claim: String,
    pub values: String,
}
