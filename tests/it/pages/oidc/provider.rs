//! An identity provider over real sockets that does what a test tells it to, and breaks one thing at a
//! time.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::{digest, hmac};
use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use url::Url;

use crate::egress::serve_local;
use crate::tokens::issuer::{Signer, b64};

pub(super) const CLIENT: &str = "causeway";
pub(super) const SECRET: &str = "cl1ent s3cret/+%";

/// Who makes the signature of an ID token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Signs {
    #[default]
    Rightly,
    /// Another key under the name of the right one.
    Wrongly,
    /// A key nobody was shown.
    Unknown,
    /// Nobody (`alg: none`).
    Nobody,
    /// HMAC, with what everybody knows of the right key.
    Hmac,
}

/// What it does otherwise than it should: members take the place of others, `null` removes one.
#[derive(Clone, Debug, Default)]
pub(super) struct Manner {
    pub(super) claims: Value,
    pub(super) header: Value,
    pub(super) description: Value,
    pub(super) signs: Signs,
    /// Whether it looks at the verifier of a code.
    pub(super) forgets_pkce: bool,
}

/// A code it gave, and what it was asked for with.
#[derive(Clone)]
struct Given {
    nonce: String,
    challenge: String,
    redirect_uri: String,
    person: Value,
}

struct Inner {
    manner: Manner,
    right: Signer,
    other: Signer,
    codes: HashMap<String, Given>,
    given: usize,
    /// The path of everything it was asked.
    asked: Vec<String>,
}

#[derive(Clone)]
pub(super) struct Provider {
    pub(super) origin: String,
    state: Arc<Mutex<Inner>>,
}

impl Provider {
    pub(super) async fn start() -> Self {
        let state = Arc::new(Mutex::new(Inner {
            manner: Manner::default(),
            right: Signer::rsa(),
            other: Signer::rsa(),
            codes: HashMap::new(),
            given: 0,
            asked: Vec::new(),
        }));
        let held = state.clone();
        let router = Router::new().fallback(any(async move |request: Request| {
            let (head, body) = request.into_parts();
            let origin = format!("http://{}", head.headers["host"].to_str().unwrap());
            let path = head.uri.path().to_owned();
            let authorization = head.headers.get("authorization");
            let authorization = authorization.map(|it| it.to_str().unwrap().to_owned());
            let body = to_bytes(body, 1 << 20).await.unwrap();
            let form = url::form_urlencoded::parse(&body).into_owned().collect();
            let mut state = held.lock();
            state.asked.push(path.clone());
            match path.as_str() {
                "/.well-known/openid-configuration" => state.description(&origin),
                "/keys" => axum::Json(json!({ "keys": [state.right.jwk("k1")] })).into_response(),
                "/token" => state.token(&origin, authorization, &form),
                _ => StatusCode::NOT_FOUND.into_response(),
            }
        }));
        let origin = format!("http://{}", serve_local(router).await);
        Self { origin, state }
    }

    pub(super) fn behave(&self, manner: Manner) {
        self.state.lock().manner = manner;
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.state.lock().asked.clone()
    }

    /// Somebody signs in at the address their browser was sent to: what it comes back with.
    pub(super) fn approve(&self, address: &Url, person: &Value) -> HashMap<String, String> {
        let asked: HashMap<String, String> = address.query_pairs().into_owned().collect();
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["client_id"], CLIENT);
        assert_eq!(asked["code_challenge_method"], "S256");
        assert!(asked["scope"].split(' ').any(|word| word == "openid"));
        assert!(asked["state"].len() >= 32 && asked["nonce"].len() >= 32);
        let mut state = self.state.lock();
        state.given += 1;
        let code = format!("c0de-number-{}", state.given);
        let given = Given {
            nonce: asked["nonce"].clone(),
            challenge: asked["code_challenge"].clone(),
            redirect_uri: asked["redirect_uri"].clone(),
            person: person.clone(),
        };
        state.codes.insert(code.clone(), given);
        HashMap::from([
            ("code".to_owned(), code),
            ("state".to_owned(), asked["state"].clone()),
            ("iss".to_owned(), self.origin.clone()),
        ])
    }
}

/// One object with the members of another.
fn changed(mut object: Value, change: &Value) -> Value {
    let members = object.as_object_mut().unwrap();
    for (name, value) in change.as_object().unwrap_or(&Map::new()) {
        match value {
            Value::Null => members.shift_remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    object
}

impl Inner {
    fn description(&self, origin: &str) -> Response {
        let said = json!({
            "issuer": origin,
            "authorization_endpoint": format!("{origin}/authorize"),
            "token_endpoint": format!("{origin}/token"),
            "userinfo_endpoint": format!("{origin}/userinfo"),
            "jwks_uri": format!("{origin}/keys"),
            "end_session_endpoint": format!("{origin}/out"),
            "code_challenge_methods_supported": ["S256"],
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            "authorization_response_iss_parameter_supported": true,
        });
        axum::Json(changed(said, &self.manner.description)).into_response()
    }

    fn token(
        &mut self,
        origin: &str,
        authorization: Option<String>,
        form: &HashMap<String, String>,
    ) -> Response {
        let refuse = |error: &str| {
            let body = axum::Json(json!({ "error": error, "error_description": "<script>" }));
            (StatusCode::BAD_REQUEST, body).into_response()
        };
        let part = |text: &str| -> String {
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
        };
        let pair = format!("{}:{}", part(CLIENT), part(SECRET));
        let pair = base64::engine::general_purpose::STANDARD.encode(pair);
        if authorization != Some(format!("Basic {pair}")) {
            return refuse("invalid_client");
        }
        // Each code is good once, whatever comes of it.
        let Some(given) = self.codes.remove(&form["code"]) else {
            return refuse("invalid_grant");
        };
        let verifier = form.get("code_verifier").map_or("", String::as_str);
        let hash = b64(digest::digest(&digest::SHA256, verifier.as_bytes()));
        if hash != given.challenge && !self.manner.forgets_pkce {
            return refuse("invalid_grant");
        }
        if form["redirect_uri"] != given.redirect_uri {
            return refuse("invalid_grant");
        }
        let id_token = self.id_token(origin, &given);
        let answer =
            json!({ "access_token": "acc3ss", "token_type": "Bearer", "id_token": id_token });
        axum::Json(answer).into_response()
    }

    fn id_token(&self, origin: &str, given: &Given) -> String {
        let now = causeway::types::Clock::system().now().timestamp();
        let hash = digest::digest(&digest::SHA256, b"acc3ss");
        let at_hash = b64(&hash.as_ref()[..16]);
        let claims = json!({
            "iss": origin, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": given.nonce,
            "at_hash": at_hash,
        });
        let claims = changed(changed(claims, &given.person), &self.manner.claims);
        let algorithm = match self.manner.signs {
            Signs::Nobody => "none",
            Signs::Hmac => "HS256",
            _ => "RS256",
        };
        let kid = match self.manner.signs {
            Signs::Unknown => "k2",
            _ => "k1",
        };
        let header = json!({ "alg": algorithm, "kid": kid });
        let header = changed(header, &self.manner.header);
        let signed = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        match self.manner.signs {
            Signs::Rightly => self.right.token(&header, &claims),
            Signs::Wrongly | Signs::Unknown => self.other.token(&header, &claims),
            Signs::Nobody => format!("{signed}."),
            Signs::Hmac => {
                let shown = self.right.jwk("k1").to_string();
                let key = hmac::Key::new(hmac::HMAC_SHA256, shown.as_bytes());
                format!("{signed}.{}", b64(hmac::sign(&key, signed.as_bytes())))
            }
        }
    }
}
