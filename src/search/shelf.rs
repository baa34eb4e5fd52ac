//! The catalog's index: which servers somebody means while they type, by their own names and those of
//! their tools.
//!
//! It is made of texts alone, so that the same rows give the same answers whichever database they are
//! in. Words are compared by their beginnings; nothing is stemmed, because half a word has no stem.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::search::words::{Word, pairs, words};
use crate::types::ServerId;

/// How much of what was typed is read.
const QUERY_CHARS_MAX: usize = 200;
const QUERY_WORDS_MAX: usize = 8;
const WORD_CHARS_MAX: usize = 48;
/// Tools of one server that are looked at to say which fit.
const TOOLS_LOOKED_AT_MAX: usize = 2_000;
/// Servers that changed since the large part was made.
const CHANGED_MAX: usize = 256;
/// Choices of a filter.
const FACETS_MAX: usize = 24;

/// A server as the catalog lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    pub id: ServerId,
    pub slug: String,
    pub title: String,
    pub summary: String,
    pub category: Option<String>,
    pub tags: Vec<String>,
    pub tools: Vec<ListedTool>,
    /// When it was made, in microseconds.
    pub created_at: i64,
}

/// A tool in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTool {
    pub name: Box<str>,
    pub title: Box<str>,
    /// Of its entry in the list of tools.
    pub tokens: u32,
}

impl ListedTool {
    /// How many of these words it has.
    fn fits(&self, asked: &[String]) -> usize {
        let texts = [&*self.name, &*self.title];
        // Most tools have none, which is seen without taking them apart.
        let joined = texts.map(|text| {
            let letters = text.chars().filter(|c| c.is_alphanumeric());
            letters.flat_map(char::to_lowercase).collect::<String>()
        });
        let plain = joined.iter().all(|text| text.is_ascii());
        let may_fit = |word: &String| !plain || joined.iter().any(|text| text.contains(&**word));
        if !asked.iter().any(may_fit) {
            return 0;
        }
        let own: Vec<String> = texts.into_iter().flat_map(terms).collect();
        let fits = |word: &&String| own.iter().any(|term| term.starts_with(word.as_str()));
        asked.iter().filter(fits).count()
    }
}

impl Listing {
    /// What listing all of its tools costs a model.
    pub fn tokens(&self) -> usize {
        let tokens = self.tools.iter().map(|tool| tool.tokens as usize);
        tokens.sum()
    }

    /// The tools that fit best what was typed, so many at most.
    pub fn matching(&self, text: &str, max: usize) -> Vec<&ListedTool> {
        let asked = asked(text);
        if asked.is_empty() {
            return Vec::new();
        }
        let looked_at = self.tools.iter().take(TOOLS_LOOKED_AT_MAX);
        let mut fitting: Vec<(usize, &ListedTool)> = looked_at
            .map(|tool| (tool.fits(&asked), tool))
            .filter(|(count, _)| *count > 0)
            .collect();
        // Stable: among equals, the order of the list.
        fitting.sort_by_key(|(count, _)| Reverse(*count));
        fitting.truncate(max);
        fitting.into_iter().map(|(_, tool)| tool).collect()
    }
}

/// How often a server was called of late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    pub all: u64,
    /// Those that went well.
    pub well: u64,
}

/// The calls of servers that had any.
pub type Counts = HashMap<ServerId, Calls>;

/// In which order servers are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// What fits best first; by name where nothing was typed.
    #[default]
    Relevance,
    Name,
    Newest,
    /// What is called most first.
    Used,
}

impl Sort {
    /// Every order and its word.
    pub const ALL: [(Sort, &'static str); 4] = [
        (Sort::Relevance, "relevance"),
        (Sort::Name, "name"),
        (Sort::Newest, "newest"),
        (Sort::Used, "used"),
    ];

    pub fn of_word(word: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, name)| *name == word).map(|(sort, _)| sort)
    }
}

/// What is looked for. Empty fields ask for nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    pub text: &'a str,
    pub category: &'a str,
    pub tag: &'a str,
    pub sort: Sort,
    /// What [`Sort::Used`] goes by.
    pub counts: Option<&'a Counts>,
}

/// The servers of one page, and how many there are.
#[derive(Clone, Debug)]
pub struct Found {
    pub listings: Vec<Arc<Listing>>,
    pub total: usize,
}

/// The choices of a filter with how many servers have them, the most frequent first.
pub type Facet = Vec<(String, usize)>;

/// All servers: a large part that is made seldom, and those that changed since.
#[derive(Clone, Default)]
pub struct Shelf {
    settled: Arc<Part>,
    changed: Arc<Changed>,
    /// Servers of the large part that are gone or in the small one.
    replaced: Arc<HashSet<ServerId>>,
}

/// Servers that changed. Their words are taken when somebody searches: many imports in a row cost nothing
/// here.
#[derive(Default)]
struct Changed {
    listings: Vec<Arc<Listing>>,
    part: OnceLock<Part>,
}

impl Changed {
    fn part(&self) -> &Part {
        self.part.get_or_init(|| Part::new(self.listings.clone()))
    }
}

impl Shelf {
    pub fn new(listings: Vec<Arc<Listing>>) -> Self {
        Self {
            settled: Arc::new(Part::new(listings)),
            ..Self::default()
        }
    }

    /// With a server as it is now; `None`: it is gone.
    #[must_use]
    pub fn with(&self, id: ServerId, now: Option<Arc<Listing>>) -> Self {
        let others = self.changed.listings.iter();
        let mut changed: Vec<_> = others.filter(|it| it.id != id).cloned().collect();
        changed.extend(now);
        let mut replaced = HashSet::clone(&self.replaced);
        replaced.insert(id);
        if replaced.len() > CHANGED_MAX {
            let kept = self.settled.listings.iter();
            changed.extend(kept.filter(|it| !replaced.contains(&it.id)).cloned());
            return Self::new(changed);
        }
        Self {
            settled: self.settled.clone(),
            changed: Arc::new(Changed {
                listings: changed,
                part: OnceLock::new(),
            }),
            replaced: Arc::new(replaced),
        }
    }

    pub fn get(&self, id: ServerId) -> Option<&Arc<Listing>> {
        let settled = || {
            self.settled
                .get(id)
                .filter(|_| !self.replaced.contains(&id))
        };
        let changed = self.changed.listings.iter().find(|it| it.id == id);
        changed.or_else(settled)
    }

    /// The servers that fit and may be seen, from `skip` on, `take` at most. The same rows give the same
    /// answer.
    pub fn find(
        &self,
        wanted: Wanted<'_>,
        (skip, take): (usize, usize),
        sees: impl Fn(ServerId) -> bool,
    ) -> Found {
        let asked = asked(wanted.text);
        let nothing = !wanted.text.trim().is_empty() && asked.is_empty();
        let mut hits: Vec<(u32, &Arc<Listing>)> = Vec::new();
        let parts = [(&*self.settled, true), (self.changed.part(), false)];
        for (part, large) in parts.into_iter().filter(|_| !nothing) {
            let scores = part.scores(&asked);
            let fitting = part
                .listings
                .iter()
                .zip(scores)
                .filter(|(_, score)| *score > 0);
            let fitting = fitting.filter(|(listing, _)| {
                !(large && self.replaced.contains(&listing.id))
                    && wanted.admits(listing)
                    && sees(listing.id)
            });
            hits.extend(fitting.map(|(listing, score)| (score, listing)));
        }
        let total = hits.len();
        let by = |a: &(u32, &Arc<Listing>), b: &(u32, &Arc<Listing>)| {
            let first = match wanted.sort {
                Sort::Relevance => b.0.cmp(&a.0),
                Sort::Name => std::cmp::Ordering::Equal,
                Sort::Newest => b.1.created_at.cmp(&a.1.created_at),
                Sort::Used => wanted.calls(b.1.id).cmp(&wanted.calls(a.1.id)),
            };
            first.then_with(|| a.1.slug.cmp(&b.1.slug))
        };
        let end = skip.saturating_add(take);
        if end < hits.len() {
            hits.select_nth_unstable_by(end, by);
            hits.truncate(end);
        }
        hits.sort_unstable_by(by);
        let page = hits.into_iter().skip(skip);
        Found {
            listings: page.map(|(_, listing)| listing.clone()).collect(),
            total,
        }
    }

    /// The categories and the tags of what may be seen.
    pub fn facets(&self, sees: impl Fn(ServerId) -> bool) -> (Facet, Facet) {
        let (mut categories, mut tags) = (HashMap::new(), HashMap::new());
        let settled = self.settled.listings.iter();
        let settled = settled.filter(|it| !self.replaced.contains(&it.id));
        for listing in settled
            .chain(&self.changed.listings)
            .filter(|it| sees(it.id))
        {
            if let Some(category) = &listing.category {
                *categories.entry(category.as_str()).or_insert(0) += 1;
            }
            for tag in &listing.tags {
                *tags.entry(tag.as_str()).or_insert(0) += 1;
            }
        }
        (facet(categories), facet(tags))
    }
}

fn facet(counts: HashMap<&str, usize>) -> Facet {
    let mut all: Vec<(&str, usize)> = counts.into_iter().collect();
    all.sort_unstable_by_key(|(name, count)| (Reverse(*count), *name));
    all.truncate(FACETS_MAX);
    let owned = all
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count));
    owned.collect()
}

impl Wanted<'_> {
    fn calls(&self, id: ServerId) -> u64 {
        let counts = self.counts.and_then(|counts| counts.get(&id));
        counts.map_or(0, |calls| calls.all)
    }

    fn admits(&self, listing: &Listing) -> bool {
        let same = |text: &str, wanted: &str| text.eq_ignore_ascii_case(wanted);
        let category = listing.category.as_deref().unwrap_or_default();
        (self.category.is_empty() || same(category, self.category))
            && (self.tag.is_empty() || listing.tags.iter().any(|tag| same(tag, self.tag)))
    }
}

/// Some servers and the words they are found by.
#[derive(Default)]
struct Part {
    /// By slug.
    listings: Vec<Arc<Listing>>,
    places: HashMap<ServerId, u32>,
    /// Sorted; what a term leads to is at the same place of `ranges`.
    terms: Vec<Box<str>>,
    /// Where in `postings` each term's begin; one more at the end.
    ranges: Vec<u32>,
    /// A server, and the weight of the best field of it that has the term.
    postings: Vec<(u32, u8)>,
}

/// What a whole word counts by where it is found; the beginning of one counts three quarters.
const NAME: u8 = 64;
const TITLE: u8 = 32;
const TAG: u8 = 16;
const TOOL: u8 = 8;
const SUMMARY: u8 = 4;

impl Part {
    fn new(mut listings: Vec<Arc<Listing>>) -> Self {
        listings.sort_by(|a, b| a.slug.cmp(&b.slug));
        let mut ids: HashMap<Box<str>, u32> = HashMap::new();
        let mut found: Vec<(u32, u32, u8)> = Vec::new();
        let mut own: HashMap<u32, u8> = HashMap::new();
        for (server, listing) in (0_u32..).zip(&listings) {
            let mut note = |text: &str, weight: u8| {
                for term in terms(text) {
                    let next = u32::try_from(ids.len()).unwrap_or(u32::MAX);
                    let id = *ids.entry(term.into_boxed_str()).or_insert(next);
                    let best = own.entry(id).or_insert(weight);
                    *best = weight.max(*best);
                }
            };
            note(&listing.slug, NAME);
            note(&listing.title, TITLE);
            for tag in listing.category.iter().chain(&listing.tags) {
                note(tag, TAG);
            }
            for tool in &listing.tools {
                note(&tool.name, TOOL);
                note(&tool.title, TOOL);
            }
            note(&listing.summary, SUMMARY);
            found.extend(own.drain().map(|(id, weight)| (id, server, weight)));
        }
        let mut terms: Vec<(Box<str>, u32)> = ids.into_iter().collect();
        terms.sort_unstable();
        let mut order = vec![0_u32; terms.len()];
        for (at, (_, id)) in (0_u32..).zip(&terms) {
            order[*id as usize] = at;
        }
        for posting in &mut found {
            posting.0 = order[posting.0 as usize];
        }
        found.sort_unstable();
        let mut ranges = vec![0_u32; terms.len() + 1];
        for (id, ..) in &found {
            ranges[*id as usize + 1] += 1;
        }
        for at in 1..ranges.len() {
            ranges[at] += ranges[at - 1];
        }
        let places = (0_u32..).zip(&listings).map(|(at, it)| (it.id, at));
        Self {
            places: places.collect(),
            terms: terms.into_iter().map(|(term, _)| term).collect(),
            ranges,
            postings: found
                .into_iter()
                .map(|(_, at, weight)| (at, weight))
                .collect(),
            listings,
        }
    }

    fn get(&self, id: ServerId) -> Option<&Arc<Listing>> {
        self.listings.get(*self.places.get(&id)? as usize)
    }

    /// One score a server; 0 where a word fits nothing of it. All are 1 where nothing was asked.
    fn scores(&self, asked: &[String]) -> Vec<u32> {
        let mut sums = vec![u32::from(asked.is_empty()); self.listings.len()];
        let mut best = vec![0_u32; self.listings.len()];
        for (round, word) in asked.iter().enumerate() {
            best.fill(0);
            let begin = self.terms.partition_point(|term| **term < **word);
            let rest = self.terms[begin..]
                .iter()
                .take_while(|term| term.starts_with(&**word));
            for (at, term) in (begin..).zip(rest) {
                let counts = if **term == **word { 4 } else { 3 };
                let range = self.ranges[at] as usize..self.ranges[at + 1] as usize;
                for (server, weight) in &self.postings[range] {
                    let best = &mut best[*server as usize];
                    *best = (*best).max(u32::from(*weight) * counts);
                }
            }
            for (sum, best) in sums.iter_mut().zip(&best) {
                let so_far = round == 0 || *sum > 0;
                *sum = if so_far && *best > 0 { *sum + best } else { 0 };
            }
        }
        sums
    }
}

/// The words somebody typed, each of which a server has to have.
fn asked(text: &str) -> Vec<String> {
    let text: String = text.chars().take(QUERY_CHARS_MAX).collect();
    let mut asked = Vec::new();
    for word in words(&folded(&text)) {
        match word {
            Word::Letters(word) => asked.push(word),
            Word::East(run) => asked.extend(pairs(&run)),
        }
    }
    for word in &mut asked {
        *word = word.chars().take(WORD_CHARS_MAX).collect();
    }
    let mut seen = HashSet::new();
    asked.retain(|word| seen.insert(word.clone()));
    asked.truncate(QUERY_WORDS_MAX);
    asked
}

/// The words a text is found by: its words, each two neighbours of a name in one piece, and Chinese by each character and
/// each two neighbours.
fn terms(text: &str) -> Vec<String> {
    let text = folded(text);
    let mut terms = Vec::new();
    for piece in text.split_whitespace() {
        let before = terms.len();
        for word in words(piece) {
            match word {
                Word::Letters(word) => terms.push(word),
                Word::East(run) => {
                    terms.extend(run.chars().map(String::from));
                    if run.chars().nth(1).is_some() {
                        terms.extend(pairs(&run));
                    }
                }
            }
        }
        if piece.is_ascii() {
            // Somebody types on over the end of a word: `stockl` in `listStockLevels`.
            let own = terms[before..].to_vec();
            terms.extend(own.windows(2).map(<[String]>::concat));
        }
    }
    for term in &mut terms {
        if term.len() > WORD_CHARS_MAX {
            *term = term.chars().take(WORD_CHARS_MAX).collect();
        }
    }
    terms
}

/// Without accents and with wide letters as narrow ones; letters keep their case, which parts words.
fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let folded = text.nfkd().filter(|it| !is_combining_mark(*it));
    folded.nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(number: u128, slug: &str, title: &str, tools: &[(&str, &str)]) -> Listing {
        Listing {
            id: ServerId(uuid::Uuid::from_u128(number)),
            slug: slug.into(),
            title: title.into(),
            summary: format!("Everything about {slug}"),
            category: number.is_multiple_of(2).then(|| "Commerce".to_owned()),
            tags: vec![format!("tag{number}"), "shared".to_owned()],
            tools: tools
                .iter()
                .map(|(name, title)| ListedTool {
                    name: (*name).into(),
                    title: (*title).into(),
                    tokens: 10,
                })
                .collect(),
            created_at: i64::try_from(number).unwrap(),
        }
    }

    fn all() -> Vec<Arc<Listing>> {
        [
            listing(
                1,
                "petstore",
                "Pet Store",
                &[("listPets", "List pets"), ("addPet", "Add")],
            ),
            listing(
                2,
                "shop",
                "宠物商店",
                &[("create_order", "创建订单"), ("getHTTPStatus", "")],
            ),
            listing(3, "github", "GitHub", &[("repos_list", "Répertoires")]),
            listing(4, "petrol", "Fuel prices", &[("prices", "Prices of a pet")]),
        ]
        .map(Arc::new)
        .into()
    }

    fn slugs(shelf: &Shelf, wanted: Wanted<'_>) -> Vec<String> {
        let found = shelf.find(wanted, (0, 10), |_| true);
        found.listings.iter().map(|it| it.slug.clone()).collect()
    }

    #[test]
    fn words_are_found_by_their_beginnings_and_the_best_field_wins() {
        let shelf = Shelf::new(all());
        for (text, expected) in [
            ("", &["github", "petrol", "petstore", "shop"][..]),
            ("pet", &["petrol", "petstore"]),
            ("PETS", &["petstore"]),
            ("listp", &["petstore"]),
            ("list pe", &["petstore"]),
            ("http", &["shop"]),
            ("git", &["github"]),
            ("GitHub", &["github"]),
            ("repertoires", &["github"]),
            ("宠", &["shop"]),
            ("宠物商", &["shop"]),
            ("创建订单", &["shop"]),
            ("订创", &[]),
            ("order 创建", &["shop"]),
            ("pet nothing", &[]),
            ("commerce", &["petrol", "shop"]),
            ("!!!", &[]),
        ] {
            let wanted = Wanted {
                text,
                ..Wanted::default()
            };
            assert_eq!(slugs(&shelf, wanted), expected, "{text}");
        }
    }

    #[test]
    fn filters_orders_and_pages_are_exact() {
        let shelf = Shelf::new(all());
        let wanted = |category, tag, sort| Wanted {
            text: "",
            category,
            tag,
            sort,
            counts: None,
        };
        assert_eq!(
            slugs(&shelf, wanted("commerce", "", Sort::Newest)),
            ["petrol", "shop"]
        );
        let calls = |number, all| {
            let calls = Calls { all, well: 0 };
            (ServerId(uuid::Uuid::from_u128(number)), calls)
        };
        let used = Wanted {
            counts: Some(&Counts::from([calls(1, 3), calls(2, 40)])),
            ..wanted("", "", Sort::Used)
        };
        assert_eq!(
            slugs(&shelf, used),
            ["shop", "petstore", "github", "petrol"]
        );
        assert_eq!(slugs(&shelf, wanted("", "TAG3", Sort::Name)), ["github"]);
        assert!(slugs(&shelf, wanted("commerce", "tag3", Sort::Name)).is_empty());
        let page = shelf.find(Wanted::default(), (1, 2), |_| true);
        assert_eq!(page.total, 4);
        assert_eq!(page.listings[0].slug, "petrol");
        assert_eq!(page.listings.len(), 2);
        let hidden = ServerId(uuid::Uuid::from_u128(1));
        let seen = shelf.find(
            Wanted {
                text: "pet",
                ..Wanted::default()
            },
            (0, 9),
            |id| id != hidden,
        );
        assert_eq!((seen.total, &*seen.listings[0].slug), (1, "petrol"));
        let (categories, tags) = shelf.facets(|id| id != hidden);
        assert_eq!(categories, [("Commerce".to_owned(), 2)]);
        assert_eq!(tags[0], ("shared".to_owned(), 3));
    }

    #[test]
    fn a_change_is_found_at_once_and_the_order_of_changes_does_not_matter() {
        let mut shelf = Shelf::default();
        for listing in all() {
            shelf = shelf.with(listing.id, Some(listing));
        }
        let fresh = Shelf::new(all());
        for text in ["", "pet", "宠物", "list", "prices", "e", "s"] {
            let wanted = Wanted {
                text,
                ..Wanted::default()
            };
            assert_eq!(slugs(&shelf, wanted), slugs(&fresh, wanted), "{text}");
        }
        let renamed = Arc::new(Listing {
            slug: "zoo".into(),
            ..Listing::clone(&all()[0])
        });
        let shelf = fresh.with(renamed.id, Some(renamed.clone()));
        let pets = Wanted {
            text: "listpets",
            ..Wanted::default()
        };
        assert_eq!(slugs(&shelf, pets), ["zoo"]);
        assert_eq!(shelf.get(renamed.id).unwrap().slug, "zoo");
        let mut shelf = shelf.with(renamed.id, None);
        assert!(slugs(&shelf, pets).is_empty());
        for number in 100..100 + CHANGED_MAX as u128 + 20 {
            let new = listing(number, &format!("n{number}"), "Numbered", &[]);
            shelf = shelf.with(new.id, Some(Arc::new(new)));
        }
        assert!(shelf.changed.listings.len() <= CHANGED_MAX);
        let numbered = Wanted {
            text: "numbered",
            ..Wanted::default()
        };
        assert_eq!(
            shelf.find(numbered, (0, 1), |_| true).total,
            CHANGED_MAX + 20
        );
        assert!(slugs(&shelf, pets).is_empty());
    }

    #[test]
    fn the_tools_that_fit_are_told() {
        let store = &all()[0];
        let names = |text| -> Vec<&str> {
            store
                .matching(text, 3)
                .iter()
                .map(|tool| &*tool.name)
                .collect()
        };
        assert_eq!(names("list pets"), ["listPets"]);
        assert_eq!(names("pet"), ["listPets", "addPet"]);
        assert!(names("store").is_empty());
        assert_eq!(store.tokens(), 20);
    }
}
