//! What a page says of the one after it.

use std::borrow::Cow;

use http::HeaderMap;

use crate::mcp::content::json::{at, elements, members, string, unquoted};
use crate::mcp::paging::{count, name};

/// A page: its members, taken apart once.
pub(crate) struct Page<'a> {
    root: &'a str,
    members: Vec<(String, &'a str)>,
}

/// Objects that say something about pages. A place of one name is looked up in the root.
const PLACES: [&[&str]; 14] = [
    &[],
    &["meta"],
    &["_meta"],
    &["paging"],
    &["pagination"],
    &["pageinfo"],
    &["page"],
    &["info"],
    &["cursors"],
    &["paging", "cursors"],
    &["paging", "next"],
    &["meta", "pagination"],
    &["meta", "page"],
    &["responsemetadata"],
];
/// Objects of links.
const LINK_PLACES: [&[&str]; 10] = [
    &[],
    &["links"],
    &["_links"],
    &["paging"],
    &["pagination"],
    &["pagination", "links"],
    &["meta"],
    &["meta", "links"],
    &["meta", "pagination", "links"],
    &["info"],
];
const LINKS: [&str; 10] = [
    "next",
    "nextlink",
    "odatanextlink",
    "nextpageurl",
    "nexturl",
    "nexturi",
    "nextpageuri",
    "nextpagelink",
    "nextpage",
    "nexthref",
];
const TOKENS: [&str; 21] = [
    "nextcursor",
    "nextpagetoken",
    "nexttoken",
    "nextpagecursor",
    "nextcontinuationtoken",
    "continuationtoken",
    "continuation",
    "nextmarker",
    "endcursor",
    "nextpage",
    "nextoffset",
    "nextpagenumber",
    "nextskip",
    "nextstart",
    "next",
    "after",
    "scrollid",
    "bookmark",
    "continue",
    "cursor",
    "offset",
];
/// Tokens that are only one where they are a text: a number says where this page is.
const TEXT_ONLY: [&str; 3] = ["cursor", "offset", "after"];
const MORE: [&str; 8] = [
    "hasmore",
    "more",
    "hasnext",
    "hasnextpage",
    "moreresults",
    "istruncated",
    "hasmoreitems",
    "moreavailable",
];
const LAST: [&str; 3] = ["last", "islast", "islastpage"];
const TOTALS: [&str; 7] = [
    "total",
    "totalcount",
    "totalresults",
    "totalitems",
    "totalelements",
    "totalrecords",
    "totalhits",
];
const PAGES: [&str; 6] = [
    "totalpages",
    "pagecount",
    "lastpage",
    "numpages",
    "pages",
    "totalpage",
];
const LISTS: [&str; 12] = [
    "data", "items", "results", "values", "records", "entries", "value", "list", "content", "rows",
    "objects", "hits",
];

impl<'a> Page<'a> {
    pub(crate) fn read(root: &'a str) -> Self {
        let members = members(root)
            .map(|(key, value)| (name::plain_or_kept(&unquoted(key)), value))
            .collect();
        Self { root, members }
    }

    /// The first value of one of these names in one of these places.
    fn find<T>(
        &self,
        places: &[&[&str]],
        names: &[&str],
        read: impl Fn(&str, &'a str) -> Option<T>,
    ) -> Option<T> {
        let objects: Vec<Cow<'_, [(String, &'a str)]>> =
            places.iter().filter_map(|path| self.place(path)).collect();
        names.iter().find_map(|wanted| {
            let members = objects.iter().flat_map(|object| object.iter());
            let mut named = members.filter(|(name, _)| name == wanted);
            named.find_map(|(name, value)| read(name, value))
        })
    }

    fn place(&self, path: &[&str]) -> Option<Cow<'_, [(String, &'a str)]>> {
        let Some((first, rest)) = path.split_first() else {
            return Some(Cow::Borrowed(&self.members));
        };
        let value = self.member(first)?;
        let named = |value: &'a str| -> Vec<(String, &'a str)> {
            let members = members(value);
            members
                .map(|(key, value)| (name::plain_or_kept(&unquoted(key)), value))
                .collect()
        };
        let found = rest.iter().try_fold(named(value), |members, name| {
            let found = members.iter().find(|(key, _)| key == name)?;
            Some(named(found.1))
        });
        found.map(Cow::Owned)
    }

    fn member(&self, name: &str) -> Option<&'a str> {
        let mut members = self.members.iter();
        members
            .find(|(key, value)| key == name && value.starts_with('{'))
            .map(|(_, value)| *value)
    }

    /// A URL of the next page.
    pub(crate) fn link(&self) -> Option<String> {
        self.find(&LINK_PLACES, &LINKS, |_, value| {
            let href = at(value, &["href"]).or_else(|| at(value, &["url"]));
            let text = string(href.unwrap_or(value))?;
            let url = text.contains("://") || text.starts_with(['/', '?']);
            url.then(|| text.into_owned())
        })
    }

    /// A token of the next page, with the name of its field.
    pub(crate) fn token(&self, headers: &HeaderMap) -> Option<(String, String)> {
        let found = self.find(&PLACES, &TOKENS, |name, value| {
            let text = match string(value) {
                Some(text) => text.into_owned(),
                None if TEXT_ONLY.contains(&name) => return None,
                None if value.bytes().all(|b| b.is_ascii_digit()) => value.to_owned(),
                None => return None,
            };
            let url = text.contains("://") || text.starts_with(['/', '?']);
            (!text.is_empty() && !url).then(|| (name.to_owned(), text))
        });
        found.or_else(|| {
            let page = headers.get("x-next-page")?.to_str().ok()?.trim();
            (!page.is_empty()).then(|| ("nextpage".to_owned(), page.to_owned()))
        })
    }

    /// It says that it is the last one.
    pub(crate) fn ends(&self) -> bool {
        let empty = |name: &str, value: &str| {
            let next = name.starts_with("next") && matches!(value, "null" | "\"\"");
            next.then_some(())
        };
        self.flag(&MORE, "false")
            || self.flag(&LAST, "true")
            || self.find(&PLACES, &TOKENS, empty).is_some()
            || self.find(&LINK_PLACES, &LINKS, empty).is_some()
            || self.links_elsewhere_only()
    }

    /// It has links, but none to a next page.
    fn links_elsewhere_only(&self) -> bool {
        let links = self.member("_links").or_else(|| self.member("links"));
        links.is_some_and(|links| {
            let names: Vec<_> = members(links).map(|(key, _)| unquoted(key)).collect();
            let has = |wanted: &str| names.iter().any(|name| name == wanted);
            !has("next") && (has("first") || has("last") || has("prev"))
        })
    }

    /// It says that there are more.
    pub(crate) fn says_more(&self) -> bool {
        self.flag(&MORE, "true") || self.flag(&LAST, "false")
    }

    fn flag(&self, names: &[&str], text: &str) -> bool {
        let equal = |_: &str, value: &str| (value == text).then_some(());
        self.find(&PLACES, names, equal).is_some()
    }

    pub(crate) fn total(&self) -> Option<i64> {
        let number = |_: &str, value: &str| value.parse::<i64>().ok();
        // A `count` is as often that of this page.
        let here = self.elements().and_then(|n| i64::try_from(n).ok());
        let counted = || self.find(&PLACES, &["count"], number);
        self.find(&PLACES, &TOTALS, number)
            .or_else(|| counted().filter(|total| here.is_some_and(|here| *total > here)))
    }

    pub(crate) fn pages(&self) -> Option<i64> {
        self.find(&PLACES, &PAGES, |_, value| value.parse().ok())
    }

    /// The list of the page: the answer itself, the member of a usual name, or the only array.
    fn list(&self) -> Option<&'a str> {
        if self.root.starts_with('[') {
            return Some(self.root);
        }
        let arrays = || {
            let members = self.members.iter();
            members.filter(|(_, value)| value.starts_with('['))
        };
        let usual = LISTS
            .iter()
            .find_map(|name| arrays().find(|(key, _)| key == name));
        let found = usual.or_else(|| arrays().max_by_key(|(_, value)| value.len()));
        found.map(|(_, value)| *value).or_else(|| {
            let embedded = self.member("_embedded")?;
            members(embedded)
                .map(|(_, value)| value)
                .find(|value| value.starts_with('['))
        })
    }

    /// How many elements the page has.
    pub(crate) fn elements(&self) -> Option<usize> {
        self.list().map(count)
    }

    /// The id of the last element.
    pub(crate) fn last_id(&self) -> Option<String> {
        let last = elements(self.list()?).last()?;
        let id = at(last, &["id"])?;
        let number = id.bytes().all(|b| b.is_ascii_digit());
        let number = number.then(|| id.to_owned());
        string(id).map(Cow::into_owned).or(number)
    }
}
