//! Lists in pages: one way to ask for one, and one way to say that there is more, for every list of
//! the API.
//!
//! A page is asked for with `limit` and `cursor`. A cursor names the last row that was shown, never a
//! number of rows to skip: what is added or removed meanwhile moves no row from one page to another.

use axum::Json;
use axum::extract::{FromRequestParts, Query};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::LINK;
use http::request::Parts;
use http::{HeaderValue, Uri};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::form_urlencoded::{self, Serializer};

use crate::access::authenticate::digest;
use crate::market::api::Market;
use crate::problem::{Problem, ProblemKind};

/// Rows of a page where nothing is said, and at most.
const ROWS_DEFAULT: usize = 100;
pub(crate) const ROWS_MAX: usize = 1_000;
const CURSOR_BYTES_MAX: usize = 2_048;

/// A page that is asked for: the rows after the one of the key `K`, of those that the filter `F` wants.
pub(super) struct Asked<K, F = Everything> {
    pub(super) filter: F,
    pub(super) after: Option<K>,
    limit: usize,
    place: Place,
}

/// The list has no filters.
#[derive(Deserialize)]
pub(super) struct Everything {}

/// A row of a list that is in memory: its name, and how many rows stood before and with it.
pub(super) type Spot = (String, usize);

/// Where the list is.
struct Place {
    /// Its URL, without what is asked.
    url: String,
    path: String,
    /// What is asked beside `limit` and `cursor`.
    filters: Vec<(String, String)>,
}

/// The rows of a page, and where the next one is.
pub(super) struct Page<R> {
    pub(super) rows: Vec<R>,
    cursor: Option<String>,
    link: Option<HeaderValue>,
}

/// The answer with a page: a JSON object with `nextCursor`, and the header `Link`.
pub(super) struct Listed {
    body: Map<String, Value>,
    link: Option<HeaderValue>,
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Invalid, detail)
}

impl<K: DeserializeOwned, F: DeserializeOwned> FromRequestParts<Market> for Asked<K, F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, market: &Market) -> Result<Self, Problem> {
        let base = market.0.parts.address.asked_by(&parts.headers);
        let path = parts.uri.path().to_owned();
        let mut place = Place {
            url: format!("{base}{path}"),
            path,
            filters: Vec::new(),
        };
        let (mut limit, mut after) = (ROWS_DEFAULT, None);
        let query = parts.uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "limit" => limit = limit_of(&value)?,
                "cursor" => after = Some(place.key(&value)?),
                _ => place.filters.push((name.into_owned(), value.into_owned())),
            }
        }
        Ok(Self {
            filter: place.filter()?,
            after,
            limit,
            place,
        })
    }
}

fn limit_of(text: &str) -> Result<usize, Problem> {
    let limit = text.parse().ok();
    limit
        .filter(|limit| (1..=ROWS_MAX).contains(limit))
        .ok_or_else(|| invalid(format!("`limit` is 1 to {ROWS_MAX}")))
}

impl Place {
    /// Tells the cursors of one list from those of another.
    fn mark(&self) -> u32 {
        let [a, b, c, d, ..] = digest(&self.path);
        u32::from_be_bytes([a, b, c, d])
    }

    fn cursor<K: Serialize>(&self, key: &K) -> String {
        URL_SAFE_NO_PAD.encode(json!([self.mark(), key]).to_string())
    }

    fn key<K: DeserializeOwned>(&self, cursor: &str) -> Result<K, Problem> {
        let text = (cursor.len() <= CURSOR_BYTES_MAX)
            .then(|| URL_SAFE_NO_PAD.decode(cursor).ok())
            .flatten();
        let read = text.and_then(|text| serde_json::from_slice::<(u32, K)>(&text).ok());
        read.filter(|(mark, _)| *mark == self.mark())
            .map(|(_, key)| key)
            .ok_or_else(|| {
                invalid("`cursor` is none of this list; begin without one, and send each as it was given")
            })
    }

    fn filter<F: DeserializeOwned>(&self) -> Result<F, Problem> {
        let query = Serializer::new(String::new())
            .extend_pairs(&self.filters)
            .finish();
        let uri: Uri = format!("/?{query}")
            .parse()
            .map_err(|_| invalid("what is asked for is too long"))?;
        let Query(filter) =
            Query::try_from_uri(&uri).map_err(|error| invalid(error.body_text()))?;
        Ok(filter)
    }

    /// The header that names the next page (RFC 8288).
    fn link(&self, limit: usize, cursor: &str) -> Option<HeaderValue> {
        let query = Serializer::new(String::new())
            .extend_pairs(&self.filters)
            .append_pair("limit", &limit.to_string())
            .append_pair("cursor", cursor)
            .finish();
        HeaderValue::from_str(&format!("<{}?{query}>; rel=\"next\"", self.url)).ok()
    }
}

impl<K: Serialize, F> Asked<K, F> {
    /// How many rows to read: one more than are shown tells whether there are more.
    pub(super) fn read_max(&self) -> i64 {
        i64::try_from(self.limit + 1).unwrap_or(i64::MAX)
    }

    /// The page of rows that were read, of which `key` is what the next page follows.
    pub(super) fn page<R>(&self, mut rows: Vec<R>, key: impl FnOnce(&R) -> K) -> Page<R> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let last = rows.last().filter(|_| more);
        let cursor = last.map(|row| self.place.cursor(&key(row)));
        let link = cursor.as_deref();
        let link = link.and_then(|cursor| self.place.link(self.limit, cursor));
        Page { rows, cursor, link }
    }
}

impl<F> Asked<Spot, F> {
    /// The page of a list in memory, in the order of its names.
    pub(super) fn of_sorted<R>(&self, all: Vec<R>, name: impl Fn(&R) -> &str) -> Page<R> {
        let from = match &self.after {
            None => 0,
            Some((last, _)) => all.partition_point(|row| name(row) <= last.as_str()),
        };
        self.from(from, all, name)
    }

    /// The page of a list in memory that has an order of its own. Where the last row that was shown is
    /// gone, the page begins where it would stand.
    pub(super) fn of_listed<R>(&self, all: Vec<R>, name: impl Fn(&R) -> &str) -> Page<R> {
        let from = match &self.after {
            None => 0,
            Some((last, passed)) => all
                .iter()
                .position(|row| name(row) == last)
                .map_or(passed.saturating_sub(1), |last| last + 1),
        };
        self.from(from, all, name)
    }

    fn from<R>(&self, from: usize, all: Vec<R>, name: impl Fn(&R) -> &str) -> Page<R> {
        let rows = all.into_iter().skip(from).take(self.limit + 1).collect();
        let passed = from.saturating_add(self.limit);
        self.page(rows, |last| (name(last).to_owned(), passed))
    }
}

impl<R> Page<R> {
    /// The page as an answer, its rows as the member `name`.
    pub(super) fn answer(self, name: &str, view: impl FnMut(&R) -> Value) -> Listed {
        let rows = self.rows.iter().map(view).collect();
        Listed::new(name, rows, (self.cursor, self.link))
    }

    /// The same where rows are the members of an object.
    pub(super) fn answer_named(
        self,
        name: &str,
        view: impl FnMut(&R) -> (String, Value),
    ) -> Listed {
        let rows = self.rows.iter().map(view).collect::<Map<_, _>>();
        Listed::new(name, rows.into(), (self.cursor, self.link))
    }
}

impl Listed {
    fn new(name: &str, rows: Value, (cursor, link): (Option<String>, Option<HeaderValue>)) -> Self {
        let mut body = Map::new();
        body.insert(name.to_owned(), rows);
        body.insert("nextCursor".to_owned(), cursor.into());
        Self { body, link }
    }

    /// With more members.
    pub(super) fn with(mut self, more: Value) -> Self {
        if let Value::Object(more) = more {
            self.body.extend(more);
        }
        self
    }
}

impl IntoResponse for Listed {
    fn into_response(self) -> Response {
        let mut response = Json(Value::Object(self.body)).into_response();
        if let Some(link) = self.link {
            response.headers_mut().insert(LINK, link);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(after: Option<Spot>, limit: usize) -> Asked<Spot> {
        Asked {
            filter: Everything {},
            after,
            limit,
            place: Place {
                url: "https://mcp.example/api/v1/keys".to_owned(),
                path: "/api/v1/keys".to_owned(),
                filters: vec![("q".to_owned(), "a b".to_owned())],
            },
        }
    }

    /// Rows of each page, where the list is changed between them.
    fn pages(lists: &[&str], sorted: bool) -> Vec<String> {
        let (mut after, mut pages) = (None, Vec::new());
        for list in lists {
            let all: Vec<String> = list.chars().map(String::from).collect();
            let one = asked(after.take(), 2);
            let page = if sorted {
                one.of_sorted(all, |row| row)
            } else {
                one.of_listed(all, |row| row)
            };
            pages.push(page.rows.concat());
            let Some(cursor) = page.cursor else { break };
            after = Some(one.place.key(&cursor).unwrap());
        }
        pages
    }

    #[test]
    fn what_is_added_or_removed_meanwhile_moves_no_row_to_another_page() {
        assert_eq!(pages(&["abcde"; 4], true), ["ab", "cd", "e"]);
        assert_eq!(pages(&["abcd"; 4], false), ["ab", "cd"]);
        assert_eq!(pages(&[""; 2], false), [""]);
        // Before the last row shown, and the row itself.
        assert_eq!(pages(&["bdfh", "abdfh"], true), ["bd", "fh"]);
        assert_eq!(pages(&["bdfh", "bfh"], true), ["bd", "fh"]);
        assert_eq!(pages(&["bdfh", "fh"], true), ["bd", "fh"]);
        assert_eq!(pages(&["zcab", "yzcab"], false), ["zc", "ab"]);
        assert_eq!(pages(&["zcab", "zab"], false), ["zc", "ab"]);
    }

    #[test]
    fn a_cursor_is_of_one_list() {
        let one = asked(None, 1);
        let cursor = one.place.cursor(&("a".to_owned(), 1));
        assert_eq!(one.place.key::<Spot>(&cursor).unwrap().0, "a");
        assert!(one.place.key::<(i64, uuid::Uuid)>(&cursor).is_err());
        let mut other = asked(None, 1);
        other.place.path = "/api/v1/users".to_owned();
        assert!(other.place.key::<Spot>(&cursor).is_err());
        for text in ["", "x", "!!", &"A".repeat(CURSOR_BYTES_MAX + 1)] {
            assert!(one.place.key::<Spot>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_next_page_is_linked_with_all_that_was_asked() {
        let page = asked(None, 1).of_listed(vec!["a", "b"], |row| row);
        let link = page.link.unwrap();
        let link = link.to_str().unwrap();
        let begins = "<https://mcp.example/api/v1/keys?q=a+b&limit=1&cursor=";
        assert!(link.starts_with(begins), "{link}");
        assert!(link.ends_with(">; rel=\"next\""), "{link}");
        for text in ["0", "-1", "1001", "x", ""] {
            assert!(limit_of(text).is_err(), "{text}");
        }
    }
}
