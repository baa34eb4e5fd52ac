//! Books, their reviews and their authors.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};

use crate::demo::bookshop::{Shared, last, no_book, pairs};
use crate::demo::picture::square;
use crate::demo::{ROWS_MAX, problem};

/// One page of books.
fn page(books: Vec<Value>, query: &[(String, String)]) -> Response {
    let number = |name: &str, default: usize| {
        last(query, name).map_or(Some(default), |text| text.parse().ok())
    };
    let (Some(page @ 1..), Some(size @ 1..=50)) = (number("page", 1), number("page_size", 10))
    else {
        return problem(
            StatusCode::BAD_REQUEST,
            "page is 1 or more, and page_size 1 to 50",
        );
    };
    let total = books.len();
    let items: Vec<Value> = books
        .into_iter()
        .skip((page - 1) * size)
        .take(size)
        .collect();
    Json(json!({ "items": items, "page": page, "page_size": size, "total": total })).into_response()
}

pub(super) async fn list(State(shop): Shared, RawQuery(query): RawQuery) -> Response {
    let query = pairs(query);
    let genres: Vec<&str> = last(&query, "genre")
        .map(|text| text.split(',').collect())
        .unwrap_or_default();
    let mut books: Vec<Value> = shop
        .lock()
        .books
        .iter()
        .filter(|book| {
            genres.is_empty()
                || book["genre"]
                    .as_str()
                    .is_some_and(|genre| genres.contains(&genre))
        })
        .cloned()
        .collect();
    let sort = last(&query, "sort").unwrap_or("-published");
    let key = match sort.trim_start_matches('-') {
        "price" => "price_cents",
        key @ ("title" | "published") => key,
        _ => {
            return problem(
                StatusCode::BAD_REQUEST,
                "sort is title, published or price, perhaps after a minus",
            );
        }
    };
    books.sort_by_key(|book| (book[key].as_u64(), book[key].as_str().map(str::to_owned)));
    if sort.starts_with('-') {
        books.reverse();
    }
    page(books, &query)
}

pub(super) async fn search(State(shop): Shared, RawQuery(query): RawQuery) -> Response {
    let query = pairs(query);
    let words = last(&query, "q").unwrap_or_default().to_lowercase();
    if words.chars().count() < 2 {
        return problem(StatusCode::BAD_REQUEST, "q has at least 2 characters");
    }
    let bound = |name: &str, default: u64| {
        last(&query, name).map_or(Some(default), |text| text.parse().ok())
    };
    let (Some(min), Some(max)) = (bound("price[min]", 0), bound("price[max]", u64::MAX)) else {
        return problem(
            StatusCode::BAD_REQUEST,
            "price[min] and price[max] are numbers",
        );
    };
    let fits = |book: &&Value| {
        let text =
            format!("{} {} {}", book["title"], book["subtitle"], book["authors"]).to_lowercase();
        let price = book["price_cents"].as_u64().unwrap_or(0);
        words.split_whitespace().all(|word| text.contains(word)) && (min..=max).contains(&price)
    };
    let books = shop.lock().books.iter().filter(fits).cloned().collect();
    page(books, &query)
}

pub(super) async fn create(
    State(shop): Shared,
    headers: HeaderMap,
    Json(given): Json<Value>,
) -> Response {
    let mut shop = shop.lock();
    let key = headers
        .get("idempotency-key")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    if let Some(isbn) = key.as_ref().and_then(|key| shop.repeated.get(key).cloned())
        && let Some(book) = shop.book(&isbn)
    {
        return (StatusCode::CREATED, Json(book.clone())).into_response();
    }
    let Some(isbn) = given["isbn"].as_str().map(str::to_owned) else {
        return problem(StatusCode::BAD_REQUEST, "isbn is missing");
    };
    if shop.book(&isbn).is_some() {
        return problem(StatusCode::CONFLICT, "there is a book of that ISBN already");
    }
    let ids = given["author_ids"].as_array().cloned().unwrap_or_default();
    let authors: Vec<Value> = shop
        .authors
        .iter()
        .filter(|author| ids.contains(&author["id"]))
        .cloned()
        .collect();
    if authors.len() != ids.len() || ids.is_empty() {
        return problem(
            StatusCode::BAD_REQUEST,
            "author_ids names an author there is not; list the authors first",
        );
    }
    let mut book = given;
    if let Some(book) = book.as_object_mut() {
        book.shift_remove("author_ids");
        book.insert("authors".into(), json!(authors));
        book.insert("stock".into(), json!(0));
    }
    if shop.books.len() >= ROWS_MAX {
        shop.books.remove(0);
    }
    shop.books.push(book.clone());
    if let Some(key) = key.filter(|_| shop.repeated.len() < ROWS_MAX) {
        shop.repeated.insert(key, isbn);
    }
    (StatusCode::CREATED, Json(book)).into_response()
}

pub(super) async fn export(State(shop): Shared) -> Response {
    let mut text = String::from("isbn,title,price_cents,stock\n");
    for book in &shop.lock().books {
        let title = book["title"]
            .as_str()
            .unwrap_or_default()
            .replace('"', "\"\"");
        let line = format!(
            "{},\"{title}\",{},{}\n",
            book["isbn"].as_str().unwrap_or_default(),
            book["price_cents"],
            book["stock"]
        );
        text.push_str(&line);
    }
    ([(CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response()
}

pub(super) async fn show(State(shop): Shared, Path(isbn): Path<String>) -> Response {
    shop.lock()
        .book(&isbn)
        .map_or_else(no_book, |book| Json(book.clone()).into_response())
}

pub(super) async fn update(
    State(shop): Shared,
    Path(isbn): Path<String>,
    body: bytes::Bytes,
) -> Response {
    let Ok(Value::Object(patch)) = serde_json::from_slice(&body) else {
        return problem(StatusCode::BAD_REQUEST, "a merge patch is a JSON object");
    };
    let mut shop = shop.lock();
    let Some(book) = shop.book(&isbn) else {
        return no_book();
    };
    for (field, value) in patch {
        if !matches!(
            field.as_str(),
            "title" | "subtitle" | "genre" | "price_cents"
        ) {
            return problem(
                StatusCode::BAD_REQUEST,
                &format!("{field} cannot be changed"),
            );
        }
        book[&field] = value;
    }
    Json(book.clone()).into_response()
}

pub(super) async fn remove(State(shop): Shared, Path(isbn): Path<String>) -> Response {
    let mut shop = shop.lock();
    let before = shop.books.len();
    shop.books.retain(|book| book["isbn"] != isbn.as_str());
    if shop.books.len() < before {
        StatusCode::NO_CONTENT.into_response()
    } else {
        no_book()
    }
}

pub(super) async fn cover(State(shop): Shared, Path(isbn): Path<String>) -> Response {
    if shop.lock().book(&isbn).is_none() {
        return no_book();
    }
    let shade = isbn.bytes().fold(0_u8, u8::wrapping_add);
    ([(CONTENT_TYPE, "image/png")], square([200, shade, 90])).into_response()
}

pub(super) async fn reviews(
    State(shop): Shared,
    Path(isbn): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let mut shop = shop.lock();
    if shop.book(&isbn).is_none() {
        return no_book();
    }
    let least = last(&pairs(query), "min_stars")
        .and_then(|text| text.parse::<u64>().ok())
        .unwrap_or(1);
    let of_book = shop
        .reviews
        .iter()
        .rev()
        .filter(|(of, review)| *of == isbn && review["stars"].as_u64() >= Some(least));
    Json(
        of_book
            .map(|(_, review)| review.clone())
            .collect::<Vec<_>>(),
    )
    .into_response()
}

pub(super) async fn review(
    State(shop): Shared,
    Path(isbn): Path<String>,
    Json(given): Json<Value>,
) -> Response {
    let mut shop = shop.lock();
    if shop.book(&isbn).is_none() {
        return no_book();
    }
    if !matches!(given["stars"].as_u64(), Some(1..=5)) {
        return problem(StatusCode::BAD_REQUEST, "stars is 1 to 5");
    }
    let mut review =
        json!({ "id": shop.number(), "stars": given["stars"], "written_at": shop.now() });
    for field in ["text", "reviewer"] {
        if let Some(text) = given[field].as_str() {
            review[field] = json!(text);
        }
    }
    if shop.reviews.len() >= ROWS_MAX {
        shop.reviews.remove(0);
    }
    shop.reviews.push((isbn, review.clone()));
    (StatusCode::CREATED, Json(review)).into_response()
}

pub(super) async fn authors(State(shop): Shared) -> Response {
    let mut authors = shop.lock().authors.clone();
    authors.sort_by_key(|author| author["name"].as_str().map(str::to_owned));
    Json(authors).into_response()
}

pub(super) async fn author(State(shop): Shared, Path(id): Path<String>) -> Response {
    let shop = shop.lock();
    let Some(author) = shop
        .authors
        .iter()
        .find(|author| author["id"] == id.as_str())
    else {
        return problem(StatusCode::NOT_FOUND, "there is no author of that id");
    };
    let wrote = |book: &&Value| {
        book["authors"]
            .as_array()
            .is_some_and(|by| by.iter().any(|a| a["id"] == author["id"]))
    };
    let books: Vec<Value> = shop.books.iter().filter(wrote).cloned().collect();
    let mut author = author.clone();
    author["books"] = json!(books);
    Json(author).into_response()
}
