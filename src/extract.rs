//! What handlers take as arguments: who is asking, and what they sent. A handler that takes an
//! [`Admin`] cannot forget to ask for one.

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Multipart, Request};
use http::header::{CONTENT_TYPE, COOKIE};
use http::request::Parts;
use http::{HeaderMap, Method};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::access::authenticate::AuthenticationError;
use crate::access::caller::Caller;
use crate::access::key;
use crate::access::session::Session;
use crate::market::api::Market;
use crate::problem::{Problem, ProblemKind};

/// Whoever asks, known or not.
pub struct Who(pub Caller);

/// Someone who may manage: the admin key, or a session that began with it.
pub struct Admin(pub Caller);

/// The cookie a session is kept in.
pub const SESSION_COOKIE: &str = "causeway_session";
/// The same where the public URL is https: the browser holds it to this host.
pub const SECURE_SESSION_COOKIE: &str = "__Host-causeway_session";

impl FromRequestParts<Market> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, market: &Market) -> Result<Self, Problem> {
        let caller = market
            .0
            .parts
            .authenticator
            .authenticate(&parts.headers)
            .await;
        let caller = caller.map_err(|error| match error {
            AuthenticationError::Unavailable => {
                Problem::new(ProblemKind::Unavailable, error.to_string())
            }
            other => Problem::new(ProblemKind::Unauthenticated, other.to_string()),
        })?;
        if caller.is_anonymous() && session_may_act(parts, market) {
            return Ok(Self(key::admin()));
        }
        Ok(Self(caller))
    }
}

impl FromRequestParts<Market> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, market: &Market) -> Result<Self, Problem> {
        let Who(caller) = Who::from_request_parts(parts, market).await?;
        if caller.is_admin() {
            return Ok(Self(caller));
        }
        Err(if caller.is_anonymous() {
            Problem::new(
                ProblemKind::Unauthenticated,
                "this needs the admin key, as Authorization: Bearer or X-API-Key",
            )
        } else {
            Problem::new(
                ProblemKind::Forbidden,
                "this needs the admin key; a consumer's key calls tools only",
            )
        })
    }
}

/// A session reads; to write it needs its CSRF token in a header, which no form of another site has.
fn session_may_act(parts: &Parts, market: &Market) -> bool {
    let Some(session) = session(&parts.headers, market) else {
        return false;
    };
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    let token = parts
        .headers
        .get("x-csrf-token")
        .and_then(|value| value.to_str().ok());
    reads || token.is_some_and(|token| market.0.parts.sessions.is_csrf(&session, token))
}

/// The session of a request's cookie.
pub fn session(headers: &HeaderMap, market: &Market) -> Option<Session> {
    let now = market.0.parts.publisher.clock.now();
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .filter(|(name, _)| *name == SESSION_COOKIE || *name == SECURE_SESSION_COOKIE)
        .find_map(|(_, value)| market.0.parts.sessions.read(value, now))
}

/// A JSON body; what is wrong with one is said as a problem.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json(value) = Json::<T>::from_request(request, state)
            .await
            .map_err(|rejection| {
                let kind = match rejection.status().as_u16() {
                    413 => ProblemKind::TooLarge,
                    415 => ProblemKind::UnsupportedMediaType,
                    _ => ProblemKind::Invalid,
                };
                Problem::new(kind, rejection.body_text())
            })?;
        Ok(Self(value))
    }
}

/// Fields and perhaps a file, as JSON or as multipart/form-data with the same names.
pub struct Upload<T> {
    pub fields: T,
    pub file: Option<Vec<u8>>,
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequest<S> for Upload<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if !kind.starts_with("multipart/form-data") {
            let Body(fields) = Body::from_request(request, state).await?;
            return Ok(Self { fields, file: None });
        }
        let invalid =
            |error: &dyn std::fmt::Display| Problem::new(ProblemKind::Invalid, error.to_string());
        let mut form = Multipart::from_request(request, state)
            .await
            .map_err(|error| invalid(&error))?;
        let mut members = Map::new();
        let mut file = None;
        while let Some(field) = form.next_field().await.map_err(|error| invalid(&error))? {
            let name = field.name().unwrap_or_default().to_owned();
            if name == "file" {
                let bytes = field.bytes().await.map_err(|error| invalid(&error))?;
                file = (!bytes.is_empty()).then(|| bytes.to_vec());
                continue;
            }
            let text = field.text().await.map_err(|error| invalid(&error))?;
            if !text.is_empty() {
                members.insert(name.clone(), member(&name, text));
            }
        }
        let fields =
            serde_json::from_value(Value::Object(members)).map_err(|error| invalid(&error))?;
        Ok(Self { fields, file })
    }
}

/// Text of a form field; the structured ones are JSON, or one entry a line.
fn member(name: &str, text: String) -> Value {
    match name {
        "credentials" => serde_json::from_str(&text).unwrap_or_else(|_| {
            let pairs = text.lines().filter_map(|line| line.split_once('='));
            Value::Object(
                pairs
                    .map(|(k, v)| (k.trim().to_owned(), Value::from(v.trim())))
                    .collect(),
            )
        }),
        "allowUpstream" => {
            let rules = text
                .split([',', '\n'])
                .map(str::trim)
                .filter(|rule| !rule.is_empty());
            Value::Array(rules.map(Value::from).collect())
        }
        _ => Value::String(text),
    }
}
