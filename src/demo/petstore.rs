//! `specs-examples/petstore.yaml`, served.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use http::header::{CONTENT_TYPE, LOCATION};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::demo::picture::square;
use crate::demo::{ROWS_MAX, problem};

struct Shop {
    pets: Vec<Value>,
    next: u64,
}

type Shared = State<Arc<Mutex<Shop>>>;

pub(super) fn router() -> Router {
    let pets = [
        ("Mia", "cat", "available"),
        ("Rex", "dog", "available"),
        ("Tweety", "bird", "sold"),
        ("Nemo", "fish", "reserved"),
    ];
    let pets = pets.iter().zip(1..).map(|((name, tag, status), id)| {
        json!({ "id": id, "name": name, "tags": [tag, "friendly"], "status": status, "birthday": null })
    });
    let shop = Shop {
        pets: pets.collect(),
        next: 5,
    };
    Router::new()
        .route("/pets", get(list).post(create))
        .route("/pets/{id}", get(show).put(replace).delete(remove))
        .route("/pets/{id}/photo", get(photo))
        .with_state(Arc::new(Mutex::new(shop)))
}

async fn list(State(shop): Shared, RawQuery(query): RawQuery) -> Response {
    let mut limit = 20;
    let (mut tags, mut status) = (Vec::new(), None);
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "limit" => match value.parse::<usize>() {
                Ok(n @ 1..=100) => limit = n,
                _ => return problem(StatusCode::BAD_REQUEST, "limit is 1 to 100"),
            },
            "tags" => tags.push(value.into_owned()),
            "status" => status = Some(value.into_owned()),
            _ => {}
        }
    }
    let fits = |pet: &&Value| {
        let tagged = tags.is_empty() || tags.iter().any(|tag| has_tag(pet, tag));
        tagged
            && status
                .as_deref()
                .is_none_or(|status| pet["status"] == status)
    };
    let pets: Vec<Value> = shop
        .lock()
        .pets
        .iter()
        .filter(fits)
        .take(limit)
        .cloned()
        .collect();
    Json(pets).into_response()
}

fn has_tag(pet: &Value, tag: &str) -> bool {
    pet["tags"]
        .as_array()
        .is_some_and(|tags| tags.iter().any(|t| t == tag))
}

/// A pet as it is stored, or why it cannot be.
fn pet(given: &Value, id: u64) -> Result<Value, Box<Response>> {
    let name = given["name"]
        .as_str()
        .filter(|name| (1..=80).contains(&name.chars().count()));
    let Some(name) = name else {
        return Err(Box::new(problem(
            StatusCode::BAD_REQUEST,
            "name is 1 to 80 characters",
        )));
    };
    let text = |key: &str, default: Value| given.get(key).cloned().unwrap_or(default);
    Ok(json!({
        "id": id,
        "name": name,
        "tags": text("tags", json!([])),
        "status": text("status", json!("available")),
        "birthday": text("birthday", Value::Null),
    }))
}

async fn create(State(shop): Shared, Json(given): Json<Value>) -> Response {
    let mut shop = shop.lock();
    let id = shop.next;
    let pet = match pet(&given, id) {
        Ok(pet) => pet,
        Err(response) => return *response,
    };
    shop.next += 1;
    if shop.pets.len() >= ROWS_MAX {
        shop.pets.remove(0);
    }
    shop.pets.push(pet.clone());
    (
        StatusCode::CREATED,
        [(LOCATION, format!("/petstore/pets/{id}"))],
        Json(pet),
    )
        .into_response()
}

fn no_pet() -> Response {
    problem(StatusCode::NOT_FOUND, "there is no pet of that id")
}

async fn show(State(shop): Shared, Path(id): Path<u64>) -> Response {
    let found = shop.lock().pets.iter().find(|pet| pet["id"] == id).cloned();
    found.map_or_else(no_pet, |pet| Json(pet).into_response())
}

async fn replace(State(shop): Shared, Path(id): Path<u64>, Json(given): Json<Value>) -> Response {
    let mut shop = shop.lock();
    let Some(stored) = shop.pets.iter_mut().find(|pet| pet["id"] == id) else {
        return no_pet();
    };
    match pet(&given, id) {
        Ok(pet) => {
            stored.clone_from(&pet);
            Json(pet).into_response()
        }
        Err(response) => *response,
    }
}

async fn remove(State(shop): Shared, Path(id): Path<u64>) -> Response {
    let mut shop = shop.lock();
    let before = shop.pets.len();
    shop.pets.retain(|pet| pet["id"] != id);
    if shop.pets.len() < before {
        StatusCode::NO_CONTENT.into_response()
    } else {
        no_pet()
    }
}

async fn photo(State(shop): Shared, Path(id): Path<u64>) -> Response {
    if !shop.lock().pets.iter().any(|pet| pet["id"] == id) {
        return no_pet();
    }
    let shade = u8::try_from(id * 40 % 256).unwrap_or(0);
    ([(CONTENT_TYPE, "image/png")], square([shade, 120, 200])).into_response()
}
