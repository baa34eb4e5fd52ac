//! What the catalog files servers under, and how they are searched.

use axum::extract::State;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::json;

use crate::extract::Who;
use crate::live::Entry;
use crate::market::api::Market;
use crate::market::api::page::{self, Listed, Spot};
use crate::market::api::servers::server_view;
use crate::problem::{Problem, ProblemKind};
use crate::search::shelf::{Sort, Wanted};
use crate::types::ServerId;

/// What a category or a tag may have.
const WORD_CHARS_MAX: usize = 40;
const TAGS_MAX: usize = 12;
/// Tools that are named for each server that was found.
const MATCHES_MAX: usize = 5;

/// What `GET /api/v1/servers` is asked for. Nothing of it: every server, by slug.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    q: String,
    category: String,
    tag: String,
    sort: Option<String>,
}

/// `GET /api/v1/servers`.
pub(super) async fn list(
    State(market): State<Market>,
    who: Who,
    headers: HeaderMap,
    page: page::Asked<Spot, Asked>,
) -> Result<Listed, Problem> {
    let asked = &page.filter;
    let catalog = &market.0.parts.publisher.catalog;
    let sees = |entry: &Entry| entry.is_listed_for(&who.0);
    let sort = asked.sort.as_deref().map(|word| {
        Sort::of_word(word).ok_or_else(|| {
            let words: Vec<&str> = Sort::ALL.iter().map(|(_, word)| *word).collect();
            let detail = format!("`sort` is one of {}", words.join(", "));
            Problem::new(ProblemKind::Invalid, detail)
        })
    });
    let sort = sort.transpose()?;
    let nothing_asked = [&asked.q, &asked.category, &asked.tag]
        .iter()
        .all(|text| text.is_empty());
    if nothing_asked && sort.is_none() {
        let mut visible = catalog.entries();
        visible.retain(|entry| sees(entry));
        let page = page.of_sorted(visible, |entry| entry.slug.as_str());
        return Ok(page.answer("servers", |entry| server_view(&market, entry, &headers)));
    }
    let popularity = catalog.popularity();
    let wanted = Wanted {
        counts: Some(&popularity.counts),
        text: &asked.q,
        category: &asked.category,
        tag: &asked.tag,
        sort: sort.unwrap_or_default(),
    };
    let sees = |id: ServerId| catalog.entry(id).is_some_and(|entry| sees(&entry));
    let shelf = catalog.shelf();
    let found = shelf.seen(sees).find(wanted, (0, usize::MAX));
    let there = found.listings.iter().filter_map(|listing| {
        let entry = catalog.entry(listing.id)?;
        Some((listing, entry))
    });
    let page = page.of_listed(there.collect(), |(listing, _)| listing.slug.as_str());
    Ok(page.answer("servers", |(listing, entry)| {
        let mut view = server_view(&market, entry, &headers);
        let matching = listing.matching(&asked.q, MATCHES_MAX);
        let matching = matching
            .iter()
            .map(|tool| json!({"name": tool.name, "title": tool.title}));
        view["matchingTools"] = matching.collect();
        view
    }))
}

/// A category as it is stored; none where it is empty.
pub(super) fn category(text: &str) -> Result<Option<String>, Problem> {
    Ok(Some(word("category", text)?).filter(|text| !text.is_empty()))
}

/// Tags as they are stored: each once.
pub(super) fn tags(texts: &[String]) -> Result<Vec<String>, Problem> {
    let mut tags: Vec<String> = Vec::new();
    for text in texts {
        let tag = word("tags", text)?;
        if !tag.is_empty() && !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    if tags.len() > TAGS_MAX {
        let detail = format!("`tags` has at most {TAGS_MAX} words");
        return Err(Problem::new(ProblemKind::Invalid, detail));
    }
    Ok(tags)
}

fn word(field: &str, text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.chars().count() > WORD_CHARS_MAX || text.contains(char::is_control) {
        let detail = format!("`{field}`: at most {WORD_CHARS_MAX} characters, in one line");
        return Err(Problem::new(ProblemKind::Invalid, detail));
    }
    Ok(text.to_owned())
}
