//! One's own account, and the pages where a password is chosen with a link.

use askama::Template;

use crate::market::language::Html;
use crate::market::pages::Frame;

/// `GET /setup`, `/invite`, `/reset`.
#[derive(Debug, Template)]
#[template(path = "choose_password.html")]
pub struct ChoosePassword {
    pub frame: Frame,
    /// For the form of somebody without a session.
    pub form_token: String,
    pub error: Option<Html>,
    pub purpose: Purpose,
    /// The link's own, or nothing where it is not good.
    pub link: Option<String>,
    /// Whose the password is; of the first admin, what was entered.
    pub name: String,
}

/// Why a password is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Setup,
    Invite,
    Reset,
}

impl Purpose {
    pub fn is_of_first_admin(&self) -> bool {
        *self == Self::Setup
    }

    /// Where its form goes.
    pub fn path(&self) -> &'static str {
        match self {
            Self::Setup => "/setup",
            Self::Invite => "/invite",
            Self::Reset => "/reset",
        }
    }
}

/// `GET /account`.
#[derive(Template)]
#[template(path = "account.html")]
pub struct Account {
    pub frame: Frame,
    pub error: Option<Html>,
    pub role: String,
    /// Without one, they sign in through a provider.
    pub has_password: bool,
    pub codes: Codes,
    /// What the account is linked with, and whether one of it is of the provider there is.
    pub identities: Vec<IdentityRow>,
    pub linked: bool,
    /// What the provider is called.
    pub provider: Option<String>,
    pub sessions: Vec<SessionRow>,
}

/// An identity the account is linked with.
#[derive(Debug)]
pub struct IdentityRow {
    pub id: String,
    pub shown: String,
    pub issuer: String,
    pub since: String,
}

/// How it stands with one-time codes.
pub enum Codes {
    Off,
    /// Shown to a device, which has not answered.
    Offered {
        secret: String,
        uri: String,
        /// The same as a picture, in SVG.
        picture: String,
    },
    On {
        recovery_left: i64,
        /// Made just now, and shown this once.
        fresh: Vec<String>,
    },
}

/// A session in the list.
#[derive(Debug)]
pub struct SessionRow {
    pub id: String,
    pub browser: String,
    pub since: String,
    pub seen: String,
    /// It is the one that looks.
    pub this: bool,
}
