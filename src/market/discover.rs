//! From what an owner has at hand (a document's URL, a base URL, a page of Swagger UI, Redoc, Scalar
//! or Stoplight) to the OpenAPI document behind it.
//!
//! One queue of candidates, best first: what was given, what its page refers to, then the places
//! where frameworks put documents. Bounded in requests and in time.

mod page;

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use url::Url;

use crate::egress::{AllowRule, Egress, EgressError};
use page::{Content, Reference};

const REQUESTS_MAX: usize = 40;
const SEARCH_TIMEOUT: Duration = Duration::from_mins(1);

/// Where frameworks serve their documents: relative to the URL that was given, then to its root.
const USUAL_PLACES: [&str; 14] = [
    "openapi.json",
    "openapi.yaml",
    "swagger.json",
    "swagger.yaml",
    "v3/api-docs",
    "v2/api-docs",
    "swagger/v1/swagger.json",
    "api-docs",
    "api-json",
    "docs-json",
    "api/openapi.json",
    "docs/openapi.json",
    "openapi",
    "q/openapi",
];

/// Why no document was found.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// The URL itself could not be read, and nothing was found beside it.
    #[error("{0}")]
    Fetch(#[from] EgressError),
    #[error(
        "no OpenAPI document was found at {url}, nor at {others} other places where one is usually \
         served; give the URL of the document itself"
    )]
    Missing { url: Url, others: usize },
    #[error("the search for a document at {url} took longer than {} s; give the URL of the document itself", SEARCH_TIMEOUT.as_secs())]
    TimedOut { url: Url },
}

/// A document and where it was found.
#[derive(Clone, Debug)]
pub struct Discovered {
    /// What its relative references and servers are relative to.
    pub url: Url,
    pub body: Bytes,
}

/// Finds the document at or behind `url`. Every request goes through the egress policy; none of
/// them carries a credential.
///
/// # Errors
/// When `url` is refused or unreachable, or when nothing it leads to is a document.
pub async fn discover(
    egress: &Egress,
    url: &Url,
    allow: &[AllowRule],
    bytes_max: usize,
) -> Result<Discovered, DiscoverError> {
    let search = Search {
        egress,
        allow,
        bytes_max,
        seen: HashSet::new(),
        queue: VecDeque::new(),
    };
    tokio::time::timeout(SEARCH_TIMEOUT, search.run(url))
        .await
        .unwrap_or_else(|_| Err(DiscoverError::TimedOut { url: url.clone() }))
}

struct Search<'a> {
    egress: &'a Egress,
    allow: &'a [AllowRule],
    bytes_max: usize,
    seen: HashSet<Url>,
    /// A candidate, and what relative URLs found in it are relative to. A browser resolves them
    /// against the page, also those in its scripts.
    queue: VecDeque<(Url, Option<Url>)>,
}

impl Search<'_> {
    async fn run(mut self, url: &Url) -> Result<Discovered, DiscoverError> {
        self.seen.insert(url.clone());
        let first = match self.look(url, None).await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => None,
            // An API's root often answers 404 or 401; its document may be public all the same.
            Err(error @ EgressError::Status { .. }) => Some(error),
            Err(error) => return Err(error.into()),
        };
        self.add_query(url);
        let mut others = 0;
        for usual in [false, true] {
            if usual {
                self.add_usual_places(url);
            }
            while let Some((candidate, base)) = self.queue.pop_front()
                && others < REQUESTS_MAX
            {
                others += 1;
                if let Ok(Some(found)) = self.look(&candidate, base.as_ref()).await {
                    return Ok(found);
                }
            }
        }
        Err(match first {
            Some(error) if !url.path().ends_with('/') && url.path() != "" => error.into(),
            _ => DiscoverError::Missing {
                url: url.clone(),
                others,
            },
        })
    }

    /// Reads one place: the document, or more places to look at.
    async fn look(
        &mut self,
        url: &Url,
        base: Option<&Url>,
    ) -> Result<Option<Discovered>, EgressError> {
        let fetched = self.egress.fetch(url, self.allow, self.bytes_max).await?;
        let base = base.unwrap_or(&fetched.url).clone();
        match page::read(&fetched.body) {
            Content::Document => Ok(Some(Discovered {
                url: fetched.url,
                body: fetched.body,
            })),
            Content::Embedded(document) => Ok(Some(Discovered {
                url: base,
                body: document.into(),
            })),
            Content::References(references) => {
                for reference in references {
                    self.add(&base, &reference);
                }
                Ok(None)
            }
        }
    }

    fn add(&mut self, base: &Url, reference: &Reference) {
        let Ok(url) = base.join(reference.text()) else {
            return;
        };
        let same_site = url.origin() == base.origin();
        let wanted = match reference {
            Reference::Document(_) => true,
            // A script or configuration of the page itself, never one of a content network.
            Reference::Script(_) => same_site,
        };
        if !wanted || !matches!(url.scheme(), "http" | "https") || self.seen.len() >= REQUESTS_MAX {
            return;
        }
        if self.seen.insert(url.clone()) {
            self.queue.push_back((url, Some(base.clone())));
        }
    }

    /// Swagger UI takes its document from the query too (`?url=`, `?configUrl=`), and shows it first.
    fn add_query(&mut self, page: &Url) {
        let named: Vec<String> = page
            .query_pairs()
            .filter(|(name, _)| matches!(&**name, "url" | "configUrl"))
            .map(|(_, value)| value.into_owned())
            .collect();
        for text in named.into_iter().rev() {
            if let Ok(url) = page.join(&text)
                && self.seen.insert(url.clone())
            {
                self.queue.push_front((url, Some(page.clone())));
            }
        }
    }

    fn add_usual_places(&mut self, url: &Url) {
        let mut directory = url.clone();
        directory.set_query(None);
        directory.set_fragment(None);
        let last = url.path().rsplit('/').next().unwrap_or_default();
        if !last.is_empty() && !last.contains('.') {
            directory.set_path(&format!("{}/", url.path()));
        }
        let root = directory.join("/");
        for base in [Some(directory), root.ok()].into_iter().flatten() {
            for place in USUAL_PLACES {
                if let Ok(candidate) = base.join(place)
                    && self.seen.insert(candidate.clone())
                {
                    self.queue.push_back((candidate, None));
                }
            }
        }
    }
}
