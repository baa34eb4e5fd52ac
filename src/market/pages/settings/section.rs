//! The parts of the page of settings, and what the form of one came to. It is said beside that form, which is
//! where the browser is led: `#told` is what is said.

use crate::market::language::{Html, Language};
use crate::market::pages::routes::{Fields, notice};

/// A part of the page with a form of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    Credentials,
    Calls,
    Price,
    Probe,
    Approvals,
    Limits,
    Document,
    Name,
    State,
    Transfer,
    Delete,
}

/// What addresses and forms call each of them.
const WORDS: [(Section, &str); 11] = [
    (Section::Credentials, "credentials"),
    (Section::Calls, "settings"),
    (Section::Price, "price"),
    (Section::Probe, "probe"),
    (Section::Approvals, "approvals"),
    (Section::Limits, "limits"),
    (Section::Document, "import"),
    (Section::Name, "name"),
    (Section::State, "state"),
    (Section::Transfer, "transfer"),
    (Section::Delete, "delete"),
];

impl Section {
    pub fn word(self) -> &'static str {
        let found = WORDS.iter().find(|(section, _)| *section == self);
        found.map_or("", |(_, word)| word)
    }

    pub fn of_word(word: &str) -> Option<Self> {
        let found = WORDS.iter().find(|(_, known)| *known == word);
        found.map(|(section, _)| *section)
    }
}

/// What a form came to.
#[derive(Clone, Debug)]
pub struct Told {
    pub section: Section,
    /// The credential it is about; empty: none in particular, or one that is gone.
    pub scheme: String,
    pub is_done: bool,
    pub text: Html,
}

impl Told {
    /// Why a form was refused, in the words of its labels.
    pub fn refused(section: Section, text: Html) -> Self {
        Self {
            section,
            scheme: String::new(),
            is_done: false,
            text,
        }
    }

    /// What the address says was done just now, and where.
    pub(in crate::market::pages) fn done(query: &Fields, language: Language) -> Option<Self> {
        let section = query.get("in").and_then(|word| Section::of_word(word))?;
        Some(Self {
            section,
            scheme: query.get("scheme").cloned().unwrap_or_default(),
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
            let told = Told::done(&query.collect(), Language::English);
            told.map(|told| (told.section, told.scheme, told.is_done))
        };
        let expected = Some((Section::Limits, String::new(), true));
        assert_eq!(of(&[("done", "saved"), ("in", "limits")]), expected);
        let pairs = [
            ("done", "credential-set"),
            ("in", "credentials"),
            ("scheme", "key"),
        ];
        let expected = Some((Section::Credentials, "key".to_owned(), true));
        assert_eq!(of(&pairs), expected);
        for pairs in [
            [("done", "saved"), ("in", "elsewhere")],
            [("done", "a text of a stranger"), ("in", "limits")],
        ] {
            assert_eq!(of(&pairs), None);
        }
        for (section, word) in WORDS {
            assert_eq!(
                (section.word(), Section::of_word(word)),
                (word, Some(section))
            );
        }
    }
}
