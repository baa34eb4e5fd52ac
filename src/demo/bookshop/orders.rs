//! Orders, stock, and the login.

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::{Form, Json};
use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::demo::bookshop::{Shared, no_book, pairs};
use crate::demo::{ROWS_MAX, problem};

pub(super) async fn list(State(shop): Shared, RawQuery(query): RawQuery) -> Response {
    let query = pairs(query);
    let wanted: Vec<&str> = query
        .iter()
        .filter(|(key, _)| key == "status")
        .map(|(_, value)| value.as_str())
        .collect();
    let after = query
        .iter()
        .find(|(key, _)| key == "placed_after")
        .map(|(_, value)| value);
    let after = after
        .and_then(|text| DateTime::parse_from_rfc3339(text).ok())
        .map(DateTime::<Utc>::from);
    let fits = |order: &&Value| {
        let placed = order["placed_at"]
            .as_str()
            .and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        (wanted.is_empty()
            || order["status"]
                .as_str()
                .is_some_and(|status| wanted.contains(&status)))
            && after.is_none_or(|after| placed.is_some_and(|placed| placed > after))
    };
    let orders: Vec<Value> = shop
        .lock()
        .orders
        .iter()
        .rev()
        .filter(fits)
        .cloned()
        .collect();
    Json(orders).into_response()
}

pub(super) async fn place(State(shop): Shared, Json(given): Json<Value>) -> Response {
    let mut shop = shop.lock();
    let lines: Vec<(String, u64)> = given["lines"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|line| {
            Some((
                line["isbn"].as_str()?.to_owned(),
                line["quantity"].as_u64()?,
            ))
        })
        .collect();
    if lines.is_empty() {
        return problem(StatusCode::BAD_REQUEST, "lines is empty");
    }
    let mut total = 0;
    for (isbn, quantity) in &lines {
        let Some(book) = shop.book(isbn) else {
            return problem(StatusCode::CONFLICT, &format!("there is no book {isbn}"));
        };
        if book["stock"].as_u64().unwrap_or(0) < *quantity {
            return problem(
                StatusCode::CONFLICT,
                &format!("there are only {} copies of {isbn}", book["stock"]),
            );
        }
        total += book["price_cents"].as_u64().unwrap_or(0) * quantity;
    }
    for (isbn, quantity) in &lines {
        if let Some(book) = shop.book(isbn) {
            book["stock"] = json!(book["stock"].as_u64().unwrap_or(0) - quantity);
        }
    }
    let mut order = given;
    order["id"] = json!(shop.number());
    order["status"] = json!("placed");
    order["total_cents"] = json!(total);
    order["placed_at"] = json!(shop.now());
    if shop.orders.len() >= ROWS_MAX {
        shop.orders.remove(0);
    }
    shop.orders.push(order.clone());
    (StatusCode::CREATED, Json(order)).into_response()
}

fn no_order() -> Response {
    problem(StatusCode::NOT_FOUND, "there is no order of that id")
}

pub(super) async fn show(State(shop): Shared, Path(id): Path<u64>) -> Response {
    let found = shop
        .lock()
        .orders
        .iter()
        .find(|order| order["id"] == id)
        .cloned();
    found.map_or_else(no_order, |order| Json(order).into_response())
}

pub(super) async fn cancel(State(shop): Shared, Path(id): Path<u64>) -> Response {
    let mut shop = shop.lock();
    let Some(order) = shop.orders.iter_mut().find(|order| order["id"] == id) else {
        return no_order();
    };
    if order["status"] != "placed" {
        return problem(
            StatusCode::CONFLICT,
            "the order was sent or cancelled already",
        );
    }
    order["status"] = json!("cancelled");
    Json(order.clone()).into_response()
}

pub(super) async fn set_stock(
    State(shop): Shared,
    Path(isbn): Path<String>,
    Json(copies): Json<u64>,
) -> Response {
    let mut shop = shop.lock();
    let Some(book) = shop.book(&isbn) else {
        return no_book();
    };
    book["stock"] = json!(copies);
    Json(stock(book)).into_response()
}

fn stock(book: &Value) -> Value {
    json!({ "isbn": book["isbn"], "copies": book["stock"] })
}

pub(super) async fn low(State(shop): Shared, RawQuery(query): RawQuery) -> Response {
    let threshold = pairs(query)
        .into_iter()
        .find(|(key, _)| key == "threshold")
        .and_then(|(_, value)| value.parse::<u64>().ok());
    let threshold = threshold.unwrap_or(3);
    let shop = shop.lock();
    let few = shop
        .books
        .iter()
        .filter(|book| book["stock"].as_u64() < Some(threshold));
    Json(few.map(stock).collect::<Vec<_>>()).into_response()
}

#[derive(Deserialize)]
pub(super) struct Login {
    email: String,
    password: String,
}

pub(super) async fn login(State(shop): Shared, Form(login): Form<Login>) -> Response {
    if login.password != "reader" || !login.email.contains('@') {
        return problem(
            StatusCode::UNAUTHORIZED,
            "the demo takes any email address with the password \"reader\"",
        );
    }
    let expires = shop.lock().clock.now() + chrono::Duration::hours(1);
    let expires = expires.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    Json(json!({ "token": "demo-session", "expires_at": expires })).into_response()
}
