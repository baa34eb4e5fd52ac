//! `specs-examples/bookshop.yaml`, served.

mod books;
mod orders;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post, put};
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::demo::problem;
use crate::types::Clock;

struct Shop {
    clock: Clock,
    authors: Vec<Value>,
    /// As they are shown, newest last.
    books: Vec<Value>,
    reviews: Vec<(String, Value)>,
    orders: Vec<Value>,
    /// Idempotency-Key to ISBN.
    repeated: HashMap<String, String>,
    next: u64,
}

type Shared = axum::extract::State<Arc<Mutex<Shop>>>;

pub(super) fn router() -> Router {
    Router::new()
        .route("/books", get(books::list).post(books::create))
        .route("/books/export", get(books::export))
        .route(
            "/books/{isbn}",
            get(books::show).patch(books::update).delete(books::remove),
        )
        .route("/books/{isbn}/cover", get(books::cover))
        .route(
            "/books/{isbn}/reviews",
            get(books::reviews).post(books::review),
        )
        .route("/search", get(books::search))
        .route("/authors", get(books::authors))
        .route("/authors/{id}", get(books::author))
        .route("/orders", get(orders::list).post(orders::place))
        .route("/orders/{id}", get(orders::show))
        .route("/orders/{id}/cancel", post(orders::cancel))
        .route("/inventory/low", get(orders::low))
        .route("/inventory/{isbn}", put(orders::set_stock))
        .route("/login", post(orders::login))
        .with_state(Arc::new(Mutex::new(Shop::new())))
}

impl Shop {
    fn new() -> Self {
        let author = |number: u8, name: &str, born: i32| json!({ "id": format!("00000000-0000-7000-8000-0000000000{number:02}"), "name": name, "born": born });
        let authors = vec![
            author(1, "Virginia Woolf", 1882),
            author(2, "Italo Calvino", 1923),
            author(3, "Ursula K. Le Guin", 1929),
        ];
        let book = |(isbn, title, by, genre, price, published): (
            &str,
            &str,
            usize,
            &str,
            u32,
            &str,
        )| {
            json!({
                "isbn": isbn, "title": title, "subtitle": null, "authors": [authors[by]], "genre": genre,
                "price_cents": price, "published": published, "pages": 240, "stock": by + 2,
            })
        };
        let books = [
            (
                "9780141182803",
                "Mrs Dalloway",
                0,
                "novel",
                999,
                "1925-05-14",
            ),
            (
                "9780156453806",
                "Invisible Cities",
                1,
                "novel",
                1250,
                "1972-11-01",
            ),
            (
                "9780441478125",
                "The Left Hand of Darkness",
                2,
                "science",
                1099,
                "1969-03-01",
            ),
            (
                "9780156030359",
                "To the Lighthouse",
                0,
                "novel",
                1050,
                "1927-05-05",
            ),
        ];
        Self {
            clock: Clock::system(),
            books: books.into_iter().map(book).collect(),
            authors,
            reviews: Vec::new(),
            orders: Vec::new(),
            repeated: HashMap::new(),
            next: 1,
        }
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    fn now(&self) -> String {
        self.clock
            .now()
            .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    }

    fn book(&mut self, isbn: &str) -> Option<&mut Value> {
        self.books.iter_mut().find(|book| book["isbn"] == isbn)
    }
}

fn no_book() -> Response {
    problem(StatusCode::NOT_FOUND, "there is no book of that ISBN")
}

/// Name and value of each query parameter, decoded.
fn pairs(query: Option<String>) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .into_owned()
        .collect()
}

/// The last value of a query parameter.
fn last<'q>(query: &'q [(String, String)], name: &str) -> Option<&'q str> {
    query
        .iter()
        .rfind(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}
