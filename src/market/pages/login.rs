//! Signing in: a name and a password, a code where one is asked for, or the admin key.

use askama::Template;

use crate::market::language::Html;
use crate::market::pages::Frame;

/// `GET /login`.
#[derive(Debug, Template)]
#[template(path = "login.html")]
pub struct Login {
    pub frame: Frame,
    /// For the form of somebody without a session.
    pub token: String,
    /// What was wrong, as a message.
    pub error: Option<Html>,
    /// The path to go to afterwards.
    pub next: String,
    pub name: String,
    /// The password was right, and this says so: a code is asked for.
    pub ticket: Option<String>,
    /// The admin key was tried: its field stands open.
    pub by_key: bool,
    /// Where models are asked.
    pub models: String,
    /// What the identity provider is called through which people may sign in.
    pub provider: Option<String>,
}

/// A path on this site to return to; anything else, `//host` among it, is the start page.
pub fn next_path(asked: Option<&str>) -> &str {
    asked
        .filter(|path| path.starts_with('/') && !path.starts_with("//"))
        .filter(|path| path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\'))
        .unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site_are_returned_to() {
        assert_eq!(next_path(Some("/publish?x=1")), "/publish?x=1");
        for elsewhere in [
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "/a\r\nb",
            "/\t/evil.example",
            "publish",
            "",
        ] {
            assert_eq!(next_path(Some(elsewhere)), "/", "{elsewhere}");
        }
        assert_eq!(next_path(None), "/");
    }
}
