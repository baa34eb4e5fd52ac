//! The page that says what went wrong.

use askama::Template;
use http::StatusCode;

use crate::market::language::{Html, Language};
use crate::market::pages::Frame;
use crate::market::pages::settings::labelled;
use crate::market::pages::wrong::{Refused, Wrong};
use crate::problem::{Problem, ProblemKind};

/// An error for people; `detail` is public text.
#[derive(Debug, Template)]
#[template(path = "failure.html")]
pub struct ErrorPage {
    pub frame: Frame,
    pub status: u16,
    pub title: Html,
    pub detail: Html,
}

/// Why a form did nothing.
#[derive(Debug)]
pub enum Refusal {
    /// In the words of the management API.
    Problem(Problem),
    /// In the words of the page.
    Page(StatusCode, Html),
    /// The same, of a field where it is about one: what was entered cannot be used.
    Field(Refused),
}

impl Refusal {
    /// What was entered cannot be used.
    pub fn entry(text: impl Into<Html>) -> Self {
        Self::Page(StatusCode::UNPROCESSABLE_ENTITY, text.into())
    }

    /// In the page's words where somebody has changed the thing meanwhile.
    #[must_use]
    pub fn or_stale(self, words: &'static str, language: Language) -> Self {
        match self {
            Self::Problem(problem) if problem.kind == ProblemKind::Stale => {
                Self::Page(problem.kind.status(), language.say(words).into())
            }
            other => other,
        }
    }

    pub fn status(&self) -> StatusCode {
        match self {
            Self::Problem(problem) => problem.kind.status(),
            Self::Page(status, _) => *status,
            Self::Field(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// A sentence that speaks of the form's labels.
    pub fn said(&self, language: Language) -> Html {
        match self {
            Self::Problem(problem) => labelled(problem, language),
            Self::Page(_, text) => text.clone(),
            Self::Field(refused) => refused.text.clone(),
        }
    }

    /// The field it is about.
    pub fn wrong(&self) -> Wrong {
        match self {
            Self::Field(refused) => refused.wrong.clone(),
            Self::Problem(_) | Self::Page(..) => Wrong::default(),
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self::Field(refused)
    }
}

impl From<Wrong> for Refusal {
    /// A field that cannot be read.
    fn from(wrong: Wrong) -> Self {
        Self::Field(Refused {
            text: wrong.text(),
            wrong,
        })
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// What an answer's status is called.
pub fn status_title(status: StatusCode, language: Language) -> Html {
    let key = match status.as_u16() {
        400 => "failure-400",
        401 => "failure-401",
        403 => "failure-403",
        404 => "failure-404",
        405 => "failure-405",
        409 => "failure-409",
        412 => "failure-412",
        413 => "failure-413",
        422 => "failure-422",
        429 => "failure-429",
        500 => "failure-500",
        502 => "failure-502",
        503 => "failure-503",
        504 => "failure-504",
        _ => return Html::from(status.canonical_reason().unwrap_or("Error")),
    };
    language.say(key).into()
}
