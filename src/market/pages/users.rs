//! The people of an organization, for its admins.

use askama::Template;

use crate::market::language::Html;
use crate::market::pages::Frame;

/// `GET /admin/users`.
#[derive(Template)]
#[template(path = "users.html")]
pub struct Users {
    pub frame: Frame,
    pub error: Option<Html>,
    pub users: Vec<UserRow>,
    /// A link made just now, shown this once, and whose it is.
    pub link: Option<(String, String)>,
    /// What was entered, when it was refused.
    pub name: String,
}

/// Somebody in the list.
#[derive(Debug)]
pub struct UserRow {
    pub name: String,
    pub role: String,
    pub disabled: bool,
    /// They chose no password yet, and nobody else vouches for them.
    pub invited: bool,
    /// What the account is linked with: the id, and what it is called.
    pub identities: Vec<(String, String)>,
    pub codes: bool,
    pub last_sign_in: Option<String>,
    /// It is the one who looks.
    pub oneself: bool,
}
