//! The catalog: every server the visitor may see.

use askama::Template;

use crate::market::pages::Frame;
use crate::market::pages::server::access_badge;
use crate::mcp::server::Access;
use crate::search::shelf::{Calls, Facet, Listing};

/// Tags on a card; a server may have more.
const TAGS_SHOWN_MAX: usize = 4;
/// Tools that are named where they fit what was typed.
const MATCHES_MAX: usize = 3;
/// Colours of tiles the stylesheet has.
const TONES: u32 = 8;

/// The orders of the list, each with the key of its message.
pub const SORTS: [(&str, &str); 4] = [
    ("relevance", "home-sort-relevance"),
    ("name", "home-sort-name"),
    ("newest", "home-sort-newest"),
    ("used", "home-sort-used"),
];

/// `GET /?q=&category=&tag=&sort=&page=`. What is swapped while somebody types is `as_results`.
#[derive(Debug, Template)]
#[template(path = "home.html", blocks = ["results"])]
pub struct Home {
    pub frame: Frame,
    /// What was searched for; empty shows everything.
    pub query: String,
    /// Something was searched or filtered for.
    pub filtered: bool,
    pub sort: String,
    pub categories: Vec<Choice>,
    pub tags: Vec<Choice>,
    pub total: usize,
    pub servers: Vec<ServerCard>,
    /// The next page of the list.
    pub more: Option<String>,
    /// Where models are asked.
    pub models: String,
    /// There is the model that needs no provider.
    pub has_demo: bool,
}

/// A choice of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub value: String,
    pub count: usize,
    pub chosen: bool,
}

impl Choice {
    /// The choices of a filter; what is chosen is among them, also where nothing has it.
    pub fn all(facet: Facet, chosen: &str) -> Vec<Self> {
        let is_chosen = |value: &str| !chosen.is_empty() && value.eq_ignore_ascii_case(chosen);
        let mut all: Vec<Self> = facet
            .into_iter()
            .map(|(value, count)| Self {
                chosen: is_chosen(&value),
                value,
                count,
            })
            .collect();
        if !chosen.is_empty() && !all.iter().any(|choice| choice.chosen) {
            all.push(Self {
                value: chosen.to_owned(),
                count: 0,
                chosen: true,
            });
        }
        all
    }
}

/// A server in the list.
#[derive(Clone, Debug)]
pub struct ServerCard {
    pub slug: String,
    pub title: String,
    /// Two letters for its tile, and the number of the tile's colour.
    pub initials: String,
    pub tone: u32,
    /// Whose it is, where that is known.
    pub owner: Option<String>,
    pub description: String,
    /// The message that says what callers need, and a class of the stylesheet.
    pub access: (&'static str, &'static str),
    /// Whether its API is well, where it is asked: the message, and a class of the stylesheet.
    pub health: Option<(&'static str, &'static str)>,
    /// Those of the last seven days.
    pub calls: Calls,
    /// The message that says why it is not served, and a class of the stylesheet.
    pub closed: Option<(&'static str, &'static str)>,
    pub category: Option<String>,
    pub tags: Vec<String>,
    pub tools: usize,
    /// Estimated tokens of its whole tools/list.
    pub tokens: usize,
    /// The tools that fit what was typed.
    pub matches: Vec<MatchingTool>,
}

/// A tool that fits what was typed.
#[derive(Clone, Debug)]
pub struct MatchingTool {
    pub name: String,
    pub title: String,
}

impl ServerCard {
    /// Whether it waits to be published.
    pub fn is_draft(&self) -> bool {
        self.closed
            .is_some_and(|(said, _)| said == "badge-unpublished")
    }

    pub fn new(listing: &Listing, access: Access, query: &str) -> Self {
        let matches = listing.matching(query, MATCHES_MAX).into_iter();
        Self {
            slug: listing.slug.clone(),
            title: listing.title.clone(),
            initials: initials(&listing.title),
            tone: tone(&listing.slug),
            owner: None,
            description: listing.summary.clone(),
            access: access_badge(access),
            health: None,
            calls: Calls::default(),
            closed: None,
            category: listing.category.clone(),
            tags: listing.tags.iter().take(TAGS_SHOWN_MAX).cloned().collect(),
            tools: listing.tools.len(),
            tokens: listing.tokens(),
            matches: matches
                .map(|tool| MatchingTool {
                    name: tool.name.to_string(),
                    title: tool.title.to_string(),
                })
                .collect(),
        }
    }
}

/// The first letters of the first two words; of a name in Chinese, its first character.
fn initials(title: &str) -> String {
    let words = title.split(|c: char| !c.is_alphanumeric());
    let mut firsts = words.filter_map(|word| word.chars().next());
    let first = firsts.next();
    let wide = first.is_some_and(|c| !c.is_ascii());
    let second = firsts.next().filter(|_| !wide);
    let letters: String = first.into_iter().chain(second).collect();
    letters.to_uppercase()
}

/// The same colour for a name always (FNV-1a).
fn tone(slug: &str) -> u32 {
    let hash = slug.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash % TONES
}

/// A pair of an address's query.
pub fn pair(name: &str, value: &str) -> String {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    pairs.append_pair(name, value).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_show_the_first_letters() {
        for (title, letters) in [
            ("Pet Store", "PS"),
            ("github", "G"),
            ("宠物商店 API", "宠"),
            ("— (beta) fuel", "BF"),
            ("", ""),
        ] {
            assert_eq!(initials(title), letters, "{title}");
        }
        assert!(tone("petstore") < TONES);
        assert_eq!(pair("tag", "a b&c"), "tag=a+b%26c");
    }

    #[test]
    fn a_choice_that_nothing_has_any_more_is_still_the_one_that_is_made() {
        let facet = vec![("Commerce".to_owned(), 2)];
        assert!(Choice::all(facet.clone(), "commerce")[0].chosen);
        let gone = Choice::all(facet, "Maps");
        assert_eq!((gone.len(), gone[1].count, gone[1].chosen), (2, 0, true));
    }
}
