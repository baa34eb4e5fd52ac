//! The catalog's index: which servers somebody means while they type, by their own names and those of
//! their tools.
//!
//! It is made of texts alone, so that the same rows give the same answers whichever database they are
//! in. Words are compared by their beginnings; nothing is stemmed, because half a word has no stem.

mod part;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use crate::search::shelf::part::{Part, asked, terms};
use crate::types::ServerId;

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
        let mut fitting: Vec<(usize, &ListedTool)> = Vec::new();
        let mut whole = 0;
        for tool in looked_at {
            let count = tool.fits(&asked);
            if count > 0 {
                fitting.push((count, tool));
            }
            whole += usize::from(count == asked.len());
            // None that follows fits better.
            if whole >= max {
                break;
            }
        }
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

    /// The shelf as somebody sees it, who is asked once about each server.
    pub fn seen(&self, sees: impl Fn(ServerId) -> bool) -> View<'_> {
        let settled = self.settled.ids.iter();
        let settled = settled.map(|id| !self.replaced.contains(id) && sees(*id));
        let changed = self.changed.part();
        View {
            settled: (&self.settled, settled.collect()),
            changed: (changed, changed.ids.iter().map(|id| sees(*id)).collect()),
        }
    }
}

/// What somebody sees of a shelf: of each server of its parts, in their order, whether it is seen.
pub struct View<'a> {
    settled: (&'a Part, Vec<bool>),
    changed: (&'a Part, Vec<bool>),
}

impl View<'_> {
    /// The servers that fit, from `skip` on, `take` at most. The same rows give the same answer.
    pub fn find(&self, wanted: Wanted<'_>, (skip, take): (usize, usize)) -> Found {
        let asked = asked(wanted.text);
        let nothing = !wanted.text.trim().is_empty() && asked.is_empty();
        let mut hits: Vec<(u32, &Arc<Listing>)> = Vec::new();
        for (part, seen) in [&self.settled, &self.changed]
            .into_iter()
            .filter(|_| !nothing)
        {
            let scores = part.scores(&asked);
            let all = part.listings.iter().zip(scores).zip(seen);
            let fitting = all
                .filter(|((listing, score), seen)| **seen && *score > 0 && wanted.admits(listing));
            hits.extend(fitting.map(|((listing, score), _)| (score, listing)));
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

    /// The categories and the tags of what is seen.
    pub fn facets(&self) -> (Facet, Facet) {
        let facet = |labels: fn(&Part) -> &Labels| {
            let [settled, changed] = [&self.settled, &self.changed].map(|(part, seen)| {
                let labels = labels(part);
                labels
                    .names
                    .iter()
                    .map(|name| &**name)
                    .zip(labels.counts(seen))
            });
            most_frequent(settled.chain(changed))
        };
        (facet(|part| &part.categories), facet(|part| &part.tags))
    }
}

/// The most frequent names of two sorted lists that may share some, each with how often it is there; those that are there
/// equally often by name.
fn most_frequent<'a>(both: impl Iterator<Item = (&'a str, usize)>) -> Facet {
    let mut all: Vec<(&str, usize)> = both.filter(|(_, count)| *count > 0).collect();
    // Two sorted lists are merged, not sorted.
    all.sort_by_key(|(name, _)| *name);
    all.dedup_by(|next, first| {
        let same = next.0 == first.0;
        first.1 += if same { next.1 } else { 0 };
        same
    });
    // The place of a name says as much as the name, and is compared faster.
    let mut places: Vec<(Reverse<usize>, usize)> =
        (0..all.len()).map(|at| (Reverse(all[at].1), at)).collect();
    if places.len() > FACETS_MAX {
        places.select_nth_unstable(FACETS_MAX);
        places.truncate(FACETS_MAX);
    }
    places.sort_unstable();
    let chosen = places.into_iter().map(|(_, at)| all[at]);
    chosen
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}

/// What servers are filed under: each name once.
#[derive(Default)]
struct Labels {
    /// Sorted.
    names: Vec<Box<str>>,
    /// Where in `places` those of each server begin; one more at the end.
    ranges: Vec<u32>,
    /// Places in `names`.
    places: Vec<u32>,
}

impl Labels {
    /// Of servers in their order, each with its names.
    fn new<'a, T: IntoIterator<Item = &'a String>>(all: impl Iterator<Item = T> + Clone) -> Self {
        let mut names: Vec<Box<str>> = all
            .clone()
            .flatten()
            .map(|name| Box::from(&**name))
            .collect();
        names.sort_unstable();
        names.dedup();
        let place = |name: &String| names.binary_search_by(|it| (**it).cmp(name)).ok();
        let (mut ranges, mut places) = (vec![0], Vec::new());
        for of_one in all {
            let found = of_one.into_iter().filter_map(place);
            places.extend(found.filter_map(|at| u32::try_from(at).ok()));
            ranges.push(u32::try_from(places.len()).unwrap_or(u32::MAX));
        }
        Self {
            names,
            ranges,
            places,
        }
    }

    /// How many of the servers that are seen have each name.
    fn counts(&self, seen: &[bool]) -> Vec<usize> {
        let mut counts = vec![0; self.names.len()];
        for (range, _) in self.ranges.windows(2).zip(seen).filter(|(_, seen)| **seen) {
            for place in &self.places[range[0] as usize..range[1] as usize] {
                counts[*place as usize] += 1;
            }
        }
        counts
    }
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
        let found = shelf.seen(|_| true).find(wanted, (0, 10));
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
        let page = shelf.seen(|_| true).find(Wanted::default(), (1, 2));
        assert_eq!(page.total, 4);
        assert_eq!(page.listings[0].slug, "petrol");
        assert_eq!(page.listings.len(), 2);
        let hidden = ServerId(uuid::Uuid::from_u128(1));
        let seen = shelf.seen(|id| id != hidden);
        let pets = Wanted {
            text: "pet",
            ..Wanted::default()
        };
        let found = seen.find(pets, (0, 9));
        assert_eq!((found.total, &*found.listings[0].slug), (1, "petrol"));
        let (categories, tags) = seen.facets();
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
            shelf.seen(|_| true).find(numbered, (0, 1)).total,
            CHANGED_MAX + 20
        );
        assert!(slugs(&shelf, pets).is_empty());
    }

    #[test]
    fn what_is_kept_of_first_letters_is_what_a_look_at_every_word_finds() {
        let words = ["a", "ab", "abc", "abcd", "apple", "客", "客户", "客户单"];
        let many = (0..120_u128).map(|number| {
            let at = |by: u128| words[usize::try_from(number / by % 8).unwrap()];
            let tools = [(at(1), at(3)), (at(5), "a abacus"), ("客人", "客户")];
            Arc::new(listing(number, &format!("s{number}"), at(7), &tools))
        });
        let part = Part::new(many.collect());
        for beginning in ["a", "ab", "客"] {
            assert!(part.beginnings.contains_key(beginning), "{beginning}");
        }
        assert!(!part.beginnings.contains_key("abcd"));
        for (beginning, kept) in &part.beginnings {
            let mut best = vec![0; part.listings.len()];
            for (at, term) in part.terms.iter().enumerate() {
                if term.starts_with(&**beginning) {
                    part.note_best(beginning, at..at + 1, &mut best);
                }
            }
            let all: Vec<(u32, u16)> = (0..).zip(best).filter(|(_, score)| *score > 0).collect();
            assert_eq!(*kept, all, "{beginning}");
        }
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
