//! The API behind `fixture.yaml`.

use std::net::SocketAddr;

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A PNG of one red pixel.
pub(crate) const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8/5+hHgAHggJ/PchI7wAAAABJRU5ErkJggg==";

/// Listens on a free port until the process ends.
pub(crate) async fn start() -> std::io::Result<SocketAddr> {
    let router = Router::new()
        .route(
            "/text",
            get(async || "This is a simple text response for testing."),
        )
        .route(
            "/image",
            get(async || {
                let bytes = STANDARD.decode(PIXEL).unwrap();
                ([(CONTENT_TYPE, "image/png")], bytes)
            }),
        )
        .route(
            "/audio",
            get(async || ([(CONTENT_TYPE, "audio/wav")], silence())),
        )
        .route(
            "/error",
            get(async || {
                let text = "This tool intentionally returns an error for testing";
                (StatusCode::INTERNAL_SERVER_ERROR, text)
            }),
        )
        .route("/weather/{city}", get(weather))
        .route(
            "/notes",
            post(async |Json(note): Json<Value>| (StatusCode::CREATED, Json(note))),
        );
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn weather(Path(city): Path<String>, Query(query): Query<Value>) -> Json<Value> {
    let temperature = if query["units"] == "imperial" {
        68.0
    } else {
        20.0
    };
    Json(json!({ "city": city, "temperature": temperature }))
}

/// A WAV file of eight silent samples: 8 kHz, one channel, 8 bits.
fn silence() -> Vec<u8> {
    let mut wav = Vec::new();
    wav.extend(b"RIFF\x2c\0\0\0WAVE");
    wav.extend(b"fmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0");
    wav.extend(b"data\x08\0\0\0");
    wav.extend([0x80; 8]);
    wav
}
