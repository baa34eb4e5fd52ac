//! API keys of consumers.

use askama::Template;

use crate::market::pages::Frame;

/// `GET /keys`.
#[derive(Debug, Template)]
#[template(path = "keys.html")]
pub struct Keys {
    pub frame: Frame,
    pub error: Option<String>,
    pub keys: Vec<KeyRow>,
    /// The key just made, shown this once.
    pub created: Option<NewKey>,
    /// The servers a key may be limited to.
    pub servers: Vec<String>,
    /// What was entered, when it was refused.
    pub name: String,
}

/// A key in the list; the key itself is known to nobody.
#[derive(Clone, Debug)]
pub struct KeyRow {
    pub id: String,
    pub name: String,
    /// The beginning of the key, to recognise it by.
    pub prefix: String,
    /// The servers it is for; empty means every server.
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
