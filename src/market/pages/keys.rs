//! API keys of consumers.

use askama::Template;

use crate::market::language::Html;
use crate::market::pages::Frame;

/// More servers than this are named in a field and not listed with a box each.
pub const SERVERS_LISTED_MAX: usize = 200;

/// `GET /keys`.
#[derive(Debug, Template)]
#[template(path = "keys.html")]
pub struct Keys {
    pub frame: Frame,
    pub error: Option<Html>,
    pub keys: Vec<KeyRow>,
    /// The key just made, shown this once.
    pub created: Option<NewKey>,
    /// Keys that are not shown.
    pub hidden: usize,
    /// How many servers there are.
    pub servers: usize,
    /// The servers a key may be limited to, where they are few: chosen or not, and which.
    pub choices: Vec<(bool, String)>,
    /// What was entered, when it was refused.
    pub name: String,
    pub entered_servers: String,
}

/// A key in the list; the key itself is known to nobody.
#[derive(Clone, Debug)]
pub struct KeyRow {
    pub id: String,
    pub name: String,
    /// The beginning of the key, to recognise it by.
    pub prefix: String,
    /// It is for every server.
    pub everywhere: bool,
    /// Otherwise, the servers it is for that still exist.
    pub servers: Vec<String>,
    pub created: String,
    pub last_used: Option<String>,
    pub revoked: bool,
}

/// A key in full.
#[derive(Clone)]
pub struct NewKey {
    pub name: String,
    pub key: String,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
