//! An authorization server that does what a test tells it to, beside an API that takes its tokens.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::egress::serve_local;

pub(crate) const CLIENT_SECRET: &str = "cl1ent+s3cret/value";

/// How the token endpoint behaves.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// Issues a token that lasts so many seconds.
    Issues(Value),
    Answers(StatusCode, &'static str, String),
    Redirects(String),
    Stalls,
    Endless,
}

/// What was asked of it: the `Authorization` header and the form.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) authorization: Option<String>,
    pub(crate) form: HashMap<String, String>,
}

pub(crate) struct Inner {
    pub(crate) manner: Manner,
    pub(crate) asked: Vec<Asked>,
    /// Access tokens the API takes.
    pub(crate) good: Vec<String>,
    /// The refresh token it takes next; each is taken once.
    pub(crate) refresh: Option<String>,
    /// Before it answers, so that calls pile up.
    pub(crate) delay: Duration,
    pub(crate) revoked: Vec<HashMap<String, String>>,
}

#[derive(Clone)]
pub(crate) struct Issuer {
    pub(crate) origin: String,
    pub(crate) state: Arc<Mutex<Inner>>,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Mutex::new(Inner {
            manner: Manner::Issues(json!(3600)),
            asked: Vec::new(),
            good: Vec::new(),
            refresh: None,
            delay: Duration::from_millis(50),
            revoked: Vec::new(),
        }));
        let held = state.clone();
        let router = Router::new().fallback(any(async move |request: Request| {
            let path = request.uri().path().to_owned();
            let headers = request.headers().clone();
            let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
            let form = url::form_urlencoded::parse(&body).into_owned().collect();
            match path.as_str() {
                "/token" => token(&held, &headers, form).await,
                "/revoke" => {
                    held.lock().revoked.push(form);
                    StatusCode::OK.into_response()
                }
                _ => api(&held, &headers),
            }
        }));
        let origin = format!("http://{}", serve_local(router).await);
        Self { origin, state }
    }

    pub(crate) fn behave(&self, manner: Manner) {
        self.state.lock().manner = manner;
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().asked.clone()
    }

    /// The API takes no token it took before.
    pub(crate) fn forget(&self) {
        self.state.lock().good.clear();
    }
}

async fn token(
    state: &Mutex<Inner>,
    headers: &HeaderMap,
    form: HashMap<String, String>,
) -> Response {
    let (manner, delay) = {
        let mut state = state.lock();
        let authorization = headers.get("authorization");
        state.asked.push(Asked {
            authorization: authorization.map(|value| value.to_str().unwrap().to_owned()),
            form: form.clone(),
        });
        (state.manner.clone(), state.delay)
    };
    tokio::time::sleep(delay).await;
    match manner {
        Manner::Issues(life) => issue(&mut state.lock(), &life, &form),
        Manner::Answers(status, kind, body) => {
            (status, [("content-type", kind)], body).into_response()
        }
        Manner::Redirects(to) => {
            (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response()
        }
        Manner::Stalls => std::future::pending().await,
        Manner::Endless => "a".repeat(4 << 20).into_response(),
    }
}

fn issue(state: &mut Inner, life: &Value, form: &HashMap<String, String>) -> Response {
    let number = state.asked.len();
    let access = format!("acc3ss-token-number-{number}");
    if form["grant_type"] == "refresh_token" {
        let taken = state.refresh.take();
        if taken.as_ref() != form.get("refresh_token") {
            return (
                StatusCode::BAD_REQUEST,
                axum::Json(json!({"error": "invalid_grant"})),
            )
                .into_response();
        }
        state.refresh = Some(format!("r3fresh-token-number-{number}"));
    }
    state.good.push(access.clone());
    let mut body = json!({"access_token": access, "token_type": "Bearer", "expires_in": life});
    if let Some(refresh) = &state.refresh {
        body["refresh_token"] = json!(refresh);
    }
    axum::Json(body).into_response()
}

/// Gives back what it was sent, to whoever has a token.
fn api(state: &Mutex<Inner>, headers: &HeaderMap) -> Response {
    let authorization = headers
        .get("authorization")
        .map(|value| value.to_str().unwrap());
    let token = authorization.and_then(|text| text.strip_prefix("Bearer "));
    let good = token.is_some_and(|token| state.lock().good.iter().any(|good| good == token));
    let status = if good {
        StatusCode::OK
    } else {
        StatusCode::UNAUTHORIZED
    };
    (status, format!("you sent {authorization:?}")).into_response()
}
