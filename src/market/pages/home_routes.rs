//! The catalog's page, and the part of it that changes while somebody types.

use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;

use crate::access::person::Person;
use crate::extract::Visitor;
use crate::live::popularity::Health;
use crate::llm::live::DEMO;
use crate::market::api::Market;
use crate::market::pages::home::{Choice, Home, ServerCard};
use crate::market::pages::page;
use crate::market::pages::routes::{Fields, frame, lists, notice};
use crate::market::pages::server::{closed_badge, health_badge};
use crate::search::shelf::{Sort, Wanted};
use crate::types::OrganizationId;

/// Servers on one page.
const CARDS_MAX: usize = 24;
const PAGES_MAX: usize = 10_000;

pub(super) async fn show(
    State(market): State<Market>,
    headers: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    let home = home(&market, &headers, &query);
    // Going back asks for the whole page again.
    let is_set = |name: &str| headers.get(name).is_some_and(|value| value == "true");
    if is_set("hx-request") && !is_set("hx-history-restore-request") {
        return page(StatusCode::OK, &home.as_results());
    }
    page(StatusCode::OK, &home)
}

fn home(market: &Market, headers: &Visitor, query: &Fields) -> Home {
    let mut frame = frame(market, headers, "servers");
    frame.notice = notice(query);
    let asked = |name: &str| query.get(name).map(|text| text.trim()).unwrap_or_default();
    let number = asked("page").parse::<usize>().unwrap_or(1);
    let number = number.clamp(1, PAGES_MAX);
    let catalog = &market.0.parts.publisher.catalog;
    let popularity = catalog.popularity();
    let now = market.0.parts.publisher.clock.now();
    let wanted = Wanted {
        counts: Some(&popularity.counts),
        text: asked("q"),
        category: asked("category"),
        tag: asked("tag"),
        sort: Sort::of_word(asked("sort")).unwrap_or_default(),
    };
    let shelf = catalog.shelf();
    let visible = shelf.seen(catalog.seeing(|entry| lists(headers, entry)));
    let skip = (number - 1) * CARDS_MAX;
    let found = visible.find(wanted, (skip, CARDS_MAX));
    let (categories, tags) = visible.facets();
    let cards = found.listings.iter().map(|listing| {
        let entry = catalog.entry(listing.id);
        let access = entry.as_ref().map(|entry| entry.settings.access);
        let mut card = ServerCard::new(listing, access.unwrap_or_default(), wanted.text);
        let probe = entry
            .as_ref()
            .and_then(|entry| entry.settings.probe.as_ref());
        card.health = probe.map(|probe| {
            let last = popularity.probed.get(&listing.id).copied();
            health_badge(Health::of(last, probe.every_minutes, now))
        });
        card.calls = popularity.calls(listing.id);
        // Names people sign in with are for those who did.
        card.owner = headers
            .person()
            .and(popularity.owners.get(&listing.id).cloned());
        card.closed = entry.and_then(|entry| closed_badge(&entry));
        card
    });
    let sort = Sort::ALL.iter().find(|(sort, _)| *sort == wanted.sort);
    let more = (found.total > skip + CARDS_MAX).then(|| next(query, number + 1));
    Home {
        servers: cards.collect(),
        filtered: [wanted.text, wanted.category, wanted.tag]
            .iter()
            .any(|text| !text.is_empty()),
        sort: sort.map_or("", |(_, word)| word).to_owned(),
        categories: Choice::all(categories, wanted.category),
        tags: Choice::all(tags, wanted.tag),
        total: found.total,
        more: more.map(|more| format!("{}?{more}", frame.at("/"))),
        query: wanted.text.to_owned(),
        models: format!("{}/v1", market.0.parts.address.asked_by(headers)),
        has_demo: has_demo(market, headers),
        frame,
    }
}

/// Whether there is the model that needs no provider.
fn has_demo(market: &Market, headers: &Visitor) -> bool {
    let person = headers.person();
    let organization = person.map_or(OrganizationId::DEFAULT, Person::organization);
    let models = &market.0.parts.llm.models;
    models.provider_of(organization, DEMO).is_some()
}

/// The query of the list's next page.
fn next(query: &Fields, number: usize) -> String {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    for name in ["q", "category", "tag", "sort"] {
        if let Some(value) = query.get(name).filter(|value| !value.trim().is_empty()) {
            pairs.append_pair(name, value);
        }
    }
    pairs.append_pair("page", &number.to_string()).finish()
}
