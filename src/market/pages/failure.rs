//! The page that says what went wrong.

use askama::Template;

use crate::market::pages::Frame;

/// An error for people; `detail` is public text.
#[derive(Debug, Template)]
#[template(path = "failure.html")]
pub struct ErrorPage {
    pub frame: Frame,
    pub status: u16,
    pub title: String,
    pub detail: String,
}
