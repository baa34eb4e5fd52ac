//! An issuer over real sockets: it describes itself, shows its keys, and signs what a test wants.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::egress::serve_local;

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key pair of the issuer.
pub(crate) enum Signer {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    pub(crate) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(crate) fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    pub(crate) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                // PKCS #1 in DER: two heads and a zero stand before 256 bytes, 65537 is the end.
                let public = pair.public_key().as_ref();
                let (modulus, exponent) = (b64(&public[9..265]), b64([1, 0, 1]));
                json!({ "kty": "RSA", "kid": kid, "use": "sig", "n": modulus, "e": exponent })
            }
            Self::P256(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "kid": kid,
                    "x": b64(&point[1..33]), "y": b64(&point[33..]) })
            }
            Self::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(pair.public_key()) })
            }
        }
    }

    fn sign(&self, text: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature)
                    .unwrap();
                signature
            }
            Self::P256(pair) => pair
                .sign(&random, text.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
            Self::Ed25519(pair) => pair.sign(text.as_bytes()).as_ref().to_vec(),
        }
    }

    /// A token with exactly this header and these claims.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        format!("{signed}.{}", b64(self.sign(&signed)))
    }
}

pub(crate) struct Shown {
    pub(crate) keys: Vec<Value>,
    /// It answers nothing but errors.
    pub(crate) down: bool,
    /// How often its keys were asked for.
    pub(crate) asked: usize,
    /// What it calls itself, where that is not its address.
    pub(crate) name: Option<String>,
}

/// An issuer that runs until the test ends.
#[derive(Clone)]
pub(crate) struct TokenIssuer {
    pub(crate) origin: String,
    pub(crate) shown: Arc<Mutex<Shown>>,
}

impl TokenIssuer {
    pub(crate) async fn start(keys: Vec<Value>) -> Self {
        let shown = Arc::new(Mutex::new(Shown {
            keys,
            down: false,
            asked: 0,
            name: None,
        }));
        let state = shown.clone();
        let answer = any(async move |request: Request| answer(&state, &request));
        let origin = format!(
            "http://{}",
            serve_local(Router::new().fallback(answer)).await
        );
        Self { origin, shown }
    }

    pub(crate) fn asked(&self) -> usize {
        self.shown.lock().asked
    }
}

fn answer(state: &Mutex<Shown>, request: &Request) -> Response {
    let host = request.headers()["host"].to_str().unwrap();
    let origin = format!("http://{host}");
    let mut shown = state.lock();
    let keys = request.uri().path() == "/keys";
    shown.asked += usize::from(keys);
    if shown.down {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let body = match request.uri().path() {
        "/keys" => json!({ "keys": shown.keys }),
        "/.well-known/openid-configuration" => json!({
            "issuer": shown.name.as_ref().unwrap_or(&origin),
            "jwks_uri": format!("{origin}/keys"),
        }),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    axum::Json(body).into_response()
}
