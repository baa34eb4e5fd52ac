//! Vertex AI with a service account: its key signs an assertion, a token endpoint gives a token for it, and only the
//! token goes to the provider.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use causeway::llm::provider::find;
use serde_json::{Value, json};

use crate::managing::Site;

/// Google: its address of tokens, and Vertex AI.
#[derive(Clone)]
struct Google {
    address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    assertions: Mutex<Vec<String>>,
    /// What came to Vertex AI as a credential.
    credentials: Mutex<Vec<String>>,
    /// Requests for tokens are refused.
    refuses: AtomicUsize,
    /// For how many seconds a token is good; nothing: an hour.
    lives: AtomicUsize,
    /// For how many milliseconds a token takes longer than usual.
    thinks: AtomicUsize,
    /// Tokens that nobody takes any more.
    revoked: Mutex<Vec<String>>,
    /// Tokens do not look like Google's.
    is_plain: AtomicUsize,
}

impl Seen {
    /// What came as a credential; an answer where it is no good any more.
    fn credential(&self, headers: &HeaderMap) -> Result<String, Box<Response>> {
        let credential = headers.get("authorization");
        let credential = credential.map_or("", |it| it.to_str().unwrap()).to_owned();
        self.credentials.lock().unwrap().push(credential.clone());
        if !self.revoked.lock().unwrap().contains(&credential) {
            return Ok(credential);
        }
        let said = json!({ "error": { "code": 401, "status": "UNAUTHENTICATED", "message": format!("not {credential}") } });
        let refused = (StatusCode::UNAUTHORIZED, Json(said));
        Err(Box::new(refused.into_response()))
    }
}

impl Google {
    async fn start() -> Self {
        let seen = Arc::new(Seen::default());
        let router = Router::new()
            .route("/token", post(token))
            .route("/v1/models/{model}", post(generate))
            .route("/v1/repeat", post(repeat))
            .with_state(seen.clone());
        let address = crate::egress::serve_local(router).await;
        Self { address, seen }
    }

    fn token_url(&self) -> String {
        format!("http://{}/token", self.address)
    }

    fn asked(&self) -> usize {
        self.seen.assertions.lock().unwrap().len()
    }

    fn credentials(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.credentials.lock().unwrap())
    }

    /// Waits until a credential came that nobody took.
    async fn reached(&self, what: &str) {
        let began = Instant::now();
        while self.seen.credentials.lock().unwrap().is_empty() {
            assert!(began.elapsed() < Duration::from_secs(10), "{what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn token(State(seen): State<Arc<Seen>>, body: Bytes) -> (StatusCode, Json<Value>) {
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    assert_eq!(form[0].1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let count = {
        let mut assertions = seen.assertions.lock().unwrap();
        assertions.push(form[1].1.clone());
        assertions.len()
    };
    // Long enough for others to come meanwhile.
    let more = seen.thinks.load(Ordering::SeqCst) as u64;
    tokio::time::sleep(Duration::from_millis(200 + more)).await;
    if seen.refuses.load(Ordering::SeqCst) > 0 {
        let refused = json!({ "error": "invalid_grant", "error_description": "Account deleted." });
        return (StatusCode::BAD_REQUEST, Json(refused));
    }
    let lives = match seen.lives.load(Ordering::SeqCst) {
        0 => 3_600,
        seconds => seconds,
    };
    let name = match seen.is_plain.load(Ordering::SeqCst) {
        0 => "ya29.token",
        _ => "opaque",
    };
    let given = json!({ "access_token": format!("{name}-{count}"), "expires_in": lives, "token_type": "Bearer" });
    (StatusCode::OK, Json(given))
}

async fn generate(
    State(seen): State<Arc<Seen>>,
    Path(model): Path<String>,
    headers: HeaderMap,
) -> Response {
    let credential = match seen.credential(&headers) {
        Ok(credential) => credential,
        Err(refused) => {
            if model.starts_with("slow") {
                // Long enough for another request to be refused, and one more to get another token.
                tokio::time::sleep(Duration::from_secs(4)).await;
            }
            return *refused;
        }
    };
    let mut said = "Hello".to_owned();
    if model.starts_with("echo") {
        // Long enough for another token to take the place of this one.
        tokio::time::sleep(Duration::from_secs(5)).await;
        said.push_str(credential.trim_start_matches("Bearer"));
    }
    Json(json!({
        "candidates": [{ "content": { "role": "model", "parts": [{ "text": said }] }, "finishReason": "STOP" }],
        "usageMetadata": { "promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4 },
    }))
    .into_response()
}

/// A provider that says what it should not.
async fn repeat(State(seen): State<Arc<Seen>>, headers: HeaderMap) -> Response {
    match seen.credential(&headers) {
        Ok(credential) => Json(json!({ "said": credential })).into_response(),
        Err(refused) => *refused,
    }
}

/// A key file, and the key whose signatures are good.
fn key_file(token_uri: &str) -> (String, Vec<u8>) {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der = key.as_der().unwrap();
    let file = json!({
        "type": "service_account",
        "project_id": "my-project",
        "private_key_id": "0123abcd",
        "private_key": format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref())),
        "client_email": "gateway@my-project.iam.gserviceaccount.com",
        "token_uri": token_uri,
    });
    (file.to_string(), key.public_key().as_ref().to_vec())
}

/// A process with Vertex AI as `google`, and a key for callers.
async fn start(google: &Google, token_url: Option<&str>) -> (Site, String) {
    let site = Site::start(&[]).await;
    let mut parameters =
        json!({ "project": "my-project", "base_url": format!("http://{}/v1", google.address) });
    if let Some(url) = token_url {
        parameters["token_url"] = url.into();
    }
    let provider = json!({
        "kind": "vertex",
        "parameters": parameters,
        "allowUpstream": [google.address.to_string()],
    });
    site.done("PUT", "providers/google", provider).await;
    let made = site.done("POST", "keys", json!({ "name": "app" })).await;
    let caller = made["key"].as_str().unwrap().to_owned();
    (site, caller)
}

async fn chat(site: &Site, caller: &str) -> (u16, String) {
    let url = format!("{}/v1/chat/completions", site.served.origin);
    let body = json!({ "model": "google/gemini-2.5-flash", "messages": [{ "role": "user", "content": "hi" }] });
    let request = site.client.post(url).bearer_auth(caller);
    let answer = request.body(body.to_string()).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn a_service_account_is_exchanged_for_a_token_once() {
    let google = Google::start().await;
    let (site, caller) = start(&google, Some(&google.token_url())).await;
    let (file, public) = key_file(&google.token_url());
    let key = json!({ "value": file });
    let shown = site.done("PUT", "providers/google/keys/main", key).await;
    assert_eq!(shown["ending"], "", "nothing of a key file is shown");

    let all = (0..5).map(|_| chat(&site, &caller));
    for (status, said) in futures::future::join_all(all).await {
        assert_eq!(status, 200, "{said}");
        assert!(said.contains("Hello"), "{said}");
    }
    assert_eq!(google.asked(), 1, "one request for a token for all");
    assert_eq!(google.credentials(), ["Bearer ya29.token-1"; 5]);
    // The assertion is the account's, and for that address.
    let assertion = google.seen.assertions.lock().unwrap()[0].clone();
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
    public.verify(signed.as_bytes(), &signature).unwrap();
    let claims = URL_SAFE_NO_PAD
        .decode(signed.split_once('.').unwrap().1)
        .unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["aud"], google.token_url());
    assert_eq!(
        claims["scope"],
        "https://www.googleapis.com/auth/cloud-platform"
    );

    // A change of something else keeps the token; another key file gets its own.
    site.done(
        "PUT",
        "models/m",
        json!({ "targets": [{ "provider": "google" }] }),
    )
    .await;
    assert_eq!(chat(&site, &caller).await.0, 200);
    assert_eq!(google.asked(), 1);
    let (other, _) = key_file(&google.token_url());
    site.done(
        "PUT",
        "providers/google/keys/main",
        json!({ "value": other }),
    )
    .await;
    assert_eq!(chat(&site, &caller).await.0, 200);
    assert_eq!(google.asked(), 2);
    assert_eq!(
        google.credentials(),
        ["Bearer ya29.token-1", "Bearer ya29.token-2"]
    );

    // What Google refuses is told without any of the key, and not asked again at once.
    google.seen.refuses.store(1, Ordering::SeqCst);
    let (third, _) = key_file(&google.token_url());
    site.done(
        "PUT",
        "providers/google/keys/main",
        json!({ "value": third }),
    )
    .await;
    for _ in 0..2 {
        let (status, said) = chat(&site, &caller).await;
        assert!((500..600).contains(&status), "{status} {said}");
        assert!(
            !said.contains("PRIVATE KEY") && !said.contains("ya29"),
            "{said}"
        );
    }
    assert_eq!(google.asked(), 3);
    assert_eq!(
        google.credentials(),
        [""; 0],
        "nothing goes without a token"
    );
    let tested = site
        .done(
            "POST",
            "providers/google/test",
            json!({ "model": "gemini-2.5-flash" }),
        )
        .await;
    assert_eq!(tested["ok"], false);
}

/// The same, with a key, open to requests that are passed through, and with embeddings, which Vertex AI has in no form of
/// OpenAI's.
async fn open(google: &Google) -> (Site, String) {
    let (site, caller) = start(google, Some(&google.token_url())).await;
    let mut definition = serde_json::to_value(find("vertex").unwrap()).unwrap();
    definition["id"] = json!("vertex-and-more");
    definition["paths"] = json!({ "embeddings": "/models/{model}:predict" });
    let mut provider = json!({
        "kind": "vertex-and-more",
        "definition": definition,
        "parameters": {
            "project": "my-project",
            "base_url": format!("http://{}/v1", google.address),
            "token_url": google.token_url(),
        },
        "allowUpstream": [google.address.to_string()],
    });
    provider["passThrough"] = json!(true);
    site.done("PUT", "providers/google", provider).await;
    let (file, _) = key_file(&google.token_url());
    let key = json!({ "value": file });
    site.done("PUT", "providers/google/keys/main", key).await;
    (site, caller)
}

async fn ask(site: &Site, caller: &str, (path, body): (&str, &Value)) -> (u16, String) {
    let url = format!("{}{path}", site.served.origin);
    let request = site.client.post(url).bearer_auth(caller);
    let request = request.header("content-type", "application/json");
    let answer = request.body(body.to_string()).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_token_is_in_nothing_that_is_passed_back() {
    let google = Google::start().await;
    let (site, caller) = open(&google).await;
    // The first of them fetches the token.
    for _ in 0..2 {
        let url = format!("{}/p/google/repeat", site.served.origin);
        let request = site.client.post(url).bearer_auth(&caller);
        let answer = request.body("{}").send().await.unwrap();
        let (status, said) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{said}");
        assert_eq!(said, r#"{"said":"Bearer [masked]"}"#);
    }
    assert_eq!(google.asked(), 1);
}

#[tokio::test]
async fn an_assertion_goes_nowhere_an_admin_did_not_name() {
    let google = Google::start().await;
    // The key file names this address, and the admin did not.
    let (site, caller) = start(&google, None).await;
    let (file, _) = key_file(&google.token_url());
    let key = json!({ "value": file });
    let refused = site.ask(("PUT", "providers/google/keys/main"), &key).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    let said = refused.body.to_string();
    assert!(
        said.contains("token_uri") && !said.contains("PRIVATE"),
        "{said}"
    );
    // A key that was entered while it was allowed is of no use afterwards.
    let with = |token_url: &str| {
        json!({
            "kind": "vertex",
            "parameters": { "project": "my-project", "base_url": format!("http://{}/v1", google.address), "token_url": token_url },
            "allowUpstream": [google.address.to_string()],
        })
    };
    site.done("PUT", "providers/google", with(&google.token_url()))
        .await;
    site.done("PUT", "providers/google/keys/main", key).await;
    site.done(
        "PUT",
        "providers/google",
        with("https://oauth2.googleapis.com/token"),
    )
    .await;
    let (status, said) = chat(&site, &caller).await;
    assert!((500..600).contains(&status), "{status} {said}");
    // Nor where the provider moved away from where its key was entered for.
    site.done("PUT", "providers/google", json!({
        "kind": "vertex",
        "parameters": { "project": "my-project", "base_url": format!("http://localhost:{}/v1", google.address.port()), "token_url": google.token_url() },
        "allowUpstream": [google.address.to_string(), format!("localhost:{}", google.address.port())],
    })).await;
    let (status, said) = chat(&site, &caller).await;
    assert!((500..600).contains(&status), "{status} {said}");
    assert_eq!(google.asked(), 0);
    assert_eq!(google.credentials(), [""; 0]);
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_for_the_next_request() {
    let google = Google::start().await;
    // One is as good as new in the first tenth of that.
    google.seen.lives.store(10, Ordering::SeqCst);
    let (site, caller) = open(&google).await;
    let words = json!([{ "role": "user", "content": "hi" }]);
    let wishes = [
        (
            "/v1/chat/completions",
            json!({ "model": "google/gemini-2.5-flash", "messages": words }),
        ),
        (
            "/v1/embeddings",
            json!({ "model": "google/text-embedding", "input": "hi" }),
        ),
        ("/p/google/repeat", json!({})),
    ];
    for (path, body) in &wishes {
        let wish = (*path, body);
        let (status, said) = ask(&site, &caller, wish).await;
        assert_eq!(status, 200, "{path}: {said}");
        let asked = google.asked();
        let token = google.credentials().pop().unwrap();
        google.seen.revoked.lock().unwrap().push(token);
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        let (status, said) = ask(&site, &caller, wish).await;
        assert!(status >= 400 && !said.contains("token-"), "{path}: {said}");
        assert_eq!(google.asked(), asked, "{path}");
        // Nor is the key left alone for it.
        let (status, said) = ask(&site, &caller, wish).await;
        assert_eq!(status, 200, "{path}: {said}");
        assert_eq!(google.asked(), asked + 1, "{path}");
    }
}

#[tokio::test]
async fn a_late_refusal_of_a_token_that_was_replaced_says_nothing_of_its_key() {
    let google = Google::start().await;
    google.seen.lives.store(20, Ordering::SeqCst);
    let (site, caller) = open(&google).await;
    let words = json!([{ "role": "user", "content": "hi" }]);
    let chat_with = |model: &str| json!({ "model": format!("google/{model}"), "messages": words });
    for (path, body) in [
        ("/v1/chat/completions", chat_with("slow")),
        (
            "/v1/embeddings",
            json!({ "model": "google/slow", "input": "hi" }),
        ),
    ] {
        let (status, said) = chat(&site, &caller).await;
        assert_eq!(status, 200, "{said}");
        let token = google.credentials().pop().unwrap();
        google.seen.revoked.lock().unwrap().push(token);
        tokio::time::sleep(Duration::from_millis(2_200)).await;
        let asked = google.asked();
        let others = async {
            google.reached(path).await;
            let refused = chat(&site, &caller).await;
            (refused.0, chat(&site, &caller).await.0)
        };
        let (late, (refused, renewed)) = tokio::join!(ask(&site, &caller, (path, &body)), others);
        assert!(late.0 >= 400 && refused >= 400, "{path}: {late:?}");
        assert!(!late.1.contains("token-"), "{path}: {late:?}");
        assert_eq!((renewed, google.asked()), (200, asked + 1), "{path}");
        let (status, said) = chat(&site, &caller).await;
        assert_eq!(status, 200, "{path}: the key is left alone: {said}");
    }
}

#[tokio::test]
async fn an_account_that_was_revoked_is_left_alone() {
    let google = Google::start().await;
    google.seen.lives.store(10, Ordering::SeqCst);
    let (site, caller) = open(&google).await;
    assert_eq!(chat(&site, &caller).await.0, 200);
    let token = google.credentials().pop().unwrap();
    google.seen.revoked.lock().unwrap().push(token);
    google.seen.refuses.store(1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    // The token is refused, and then the account.
    for _ in 0..2 {
        let (status, said) = chat(&site, &caller).await;
        assert!(status >= 400 && !said.contains("left alone"), "{said}");
    }
    assert_eq!(google.asked(), 2);
    let (status, said) = chat(&site, &caller).await;
    assert!(status >= 500 && said.contains("left alone"), "{said}");
}

#[tokio::test]
async fn a_token_that_does_not_come_in_time_ends_every_kind_of_request() {
    let google = Google::start().await;
    google.seen.thinks.store(60_000, Ordering::SeqCst);
    let (site, caller) = open(&google).await;
    let model = json!({
        "targets": [{ "provider": "google", "model": "gemini-2.5-flash" }], "retries": 0,
        "times": { "firstByteMs": 500, "idleMs": 500, "totalMs": 700 },
    });
    site.done("PUT", "models/hasty", model).await;
    let words = json!([{ "role": "user", "content": "hi" }]);
    let chat = json!({ "model": "hasty", "messages": words });
    let embed = json!({ "model": "hasty", "input": "hi" });
    for wish in [("/v1/chat/completions", &chat), ("/v1/embeddings", &embed)] {
        let began = Instant::now();
        let (status, said) = ask(&site, &caller, wish).await;
        assert_eq!(status, 504, "{wish:?}: {said}");
        assert!(said.contains("gave no token in time"), "{wish:?}: {said}");
        assert!(began.elapsed() < Duration::from_secs(5), "{wish:?}");
    }
    // What is passed through has time, and a token has a quarter of a minute.
    let began = Instant::now();
    let (status, said) = ask(&site, &caller, ("/p/google/repeat", &json!({}))).await;
    assert_eq!(status, 504, "{said}");
    assert!(said.contains("there is no token"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(25));
    assert_eq!(
        google.credentials(),
        [""; 0],
        "nothing goes without a token"
    );
}

#[tokio::test]
async fn no_token_stands_in_the_log_of_bodies_though_another_took_its_place() {
    let google = Google::start().await;
    google.seen.lives.store(1, Ordering::SeqCst);
    google.seen.is_plain.store(1, Ordering::SeqCst);
    let (site, caller) = open(&google).await;
    let model =
        json!({ "targets": [{ "provider": "google", "model": "echo" }], "logBodies": true });
    site.done("PUT", "models/loud", model).await;
    let words = json!([{ "role": "user", "content": "hi" }]);
    let loud = json!({ "model": "loud", "messages": words });
    let other = async {
        google.reached("the first").await;
        // Longer than its token lives.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        chat(&site, &caller).await
    };
    let (said, other) = tokio::join!(ask(&site, &caller, ("/v1/chat/completions", &loud)), other);
    assert_eq!((said.0, other.0), (200, 200), "{said:?} {other:?}");
    assert!(said.1.contains("Hello opaque-1"), "{said:?}");
    assert_eq!(google.asked(), 2);
    site.served.terminate();
    let (_, log) = site.served.ended().await;
    let line = log
        .lines()
        .find(|line| line.contains("bodies of a request for"));
    assert!(line.is_some_and(|line| line.contains("Hello")), "{log}");
    assert!(!log.contains("opaque-"), "{log}");
}
