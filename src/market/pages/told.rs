//! What a form of a page with several came to: said beside that form, which is where the browser is led.
//! `#told` is what is said.

use crate::market::language::{Html, Language};
use crate::market::pages::routes::{Fields, notice};

/// What a form came to.
#[derive(Clone, Debug)]
pub struct Told {
    /// The part of the page with the form, as the template calls it.
    pub part: String,
    pub is_done: bool,
    pub text: Html,
}

impl Told {
    /// Why a form was refused, in the words of its labels.
    pub fn refused(part: &str, text: Html) -> Self {
        Self {
            part: part.to_owned(),
            is_done: false,
            text,
        }
    }

    /// What the address says was done just now, and where; a part that is not on the page is said nothing of.
    pub(super) fn done(query: &Fields, language: Language) -> Option<Self> {
        Some(Self {
            part: query.get("in")?.clone(),
            is_done: true,
            text: language.say(notice(query)?).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_said_where_it_was_done() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            let query = pairs.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
            let told = Told::done(&query.collect(), Language::English)?;
            Some((told.part, told.is_done, told.text.as_str().to_owned()))
        };
        let saved = Language::English.say("done-saved").to_string();
        let expected = Some(("limits".to_owned(), true, saved));
        assert_eq!(of(&[("done", "saved"), ("in", "limits")]), expected);
        assert_eq!(of(&[("done", "saved")]), None);
        assert_eq!(of(&[("done", "a stranger's text"), ("in", "limits")]), None);
    }
}
