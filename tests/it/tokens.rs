//! Callers with tokens: which are let in as whom, which are not and why, and how often an issuer is
//! asked for its keys.

pub(crate) mod issuer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use causeway::access::authenticate::{AuthenticationError, Authenticator};
use causeway::access::caller::{Caller, Grants};
use causeway::access::issuer::Issuers;
use causeway::access::key::Keys;
use causeway::access::token::{TokenFault, TokenFault as Fault};
use causeway::access::vault::kept::HashKey;
use causeway::store::audit::NewAudit;
use causeway::store::issuers::NewIssuer;
use causeway::store::{Location, Store};
use causeway::types::{Clock, OrganizationId, ServerId};
use http::HeaderMap;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::egress::egress;
use crate::tokens::issuer::{Signer, TokenIssuer, b64};

const NOW: i64 = 1_800_000_000;

/// A process's way of recognising callers, with a clock that a test moves.
struct Bench {
    authenticator: Authenticator,
    keys: Keys,
    store: Store,
    issuer: TokenIssuer,
    hand: Arc<AtomicI64>,
    _folder: tempfile::TempDir,
}

fn date(second: i64) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(second, 0).unwrap()
}

impl Bench {
    async fn start(keys: Vec<Value>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = Location::File(folder.path().join("causeway.db"));
        let store = Store::open(&file, 4).await.unwrap();
        store.migrate().await.unwrap();
        let hand = Arc::new(AtomicI64::new(NOW));
        let seconds = hand.clone();
        let clock = Clock::from_fn(move || date(seconds.load(Ordering::SeqCst)));
        let hash_key = HashKey(vec![7; 32].into());
        let admin = SecretString::from("admin");
        let keys_of = Keys::new(store.clone(), &hash_key, &admin, clock.clone());
        let reached = (store.clone(), egress(&["127.0.0.0/8"]));
        let issuers = Issuers::new(keys_of.clone(), reached, clock);
        Self {
            authenticator: Authenticator::keys_and_tokens(keys_of.clone(), issuers),
            keys: keys_of,
            store,
            issuer: TokenIssuer::start(keys).await,
            hand,
            _folder: folder,
        }
    }

    /// Configures the issuer, with more than what it has to say of itself.
    async fn trust(&self, more: &Value) {
        let mut settings = json!({ "issuer": self.issuer.origin, "audience": "causeway" });
        let members = settings.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        let new = NewIssuer {
            name: "login",
            issuer: &self.issuer.origin,
            settings: &settings.to_string(),
        };
        let act = NewAudit::of(
            (OrganizationId::DEFAULT, "test".into()),
            "put",
            ("issuer", "login".into()),
        );
        let mut changes = self.store.changes();
        self.store.put_issuer(new, &act, date(NOW)).await.unwrap();
        // As another process hears of it.
        self.keys.apply(changes.recv().await.unwrap()).await;
    }

    fn at(&self, second: i64) {
        self.hand.store(NOW + second, Ordering::SeqCst);
    }

    /// Good claims, but for some.
    fn claims(&self, more: &Value) -> Value {
        let mut claims = json!({ "iss": self.issuer.origin, "aud": "causeway", "sub": "anna",
            "exp": NOW + 3_600 });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            }
        }
        claims
    }

    async fn ask(&self, token: &str) -> Result<Caller, AuthenticationError> {
        let mut headers = HeaderMap::new();
        let value = format!("Bearer {token}").parse().unwrap();
        headers.insert("authorization", value);
        self.authenticator.authenticate(&headers).await
    }

    async fn fault(&self, token: &str) -> Option<TokenFault> {
        match self.ask(token).await {
            Ok(_) => None,
            Err(AuthenticationError::Token(fault)) => Some(fault),
            Err(other) => unreachable!("{other}"),
        }
    }
}

fn header(signer: &Signer, kid: &str) -> Value {
    json!({ "alg": signer.algorithm(), "kid": kid })
}

#[tokio::test]
async fn a_good_token_is_a_consumer_of_its_own() {
    let signers = [Signer::rsa(), Signer::p256(), Signer::ed25519()];
    let jwks = signers
        .iter()
        .map(|signer| signer.jwk(signer.algorithm()))
        .collect();
    let bench = Bench::start(jwks).await;
    bench.trust(&json!({ "everyServer": true })).await;
    let mut consumers = BTreeMap::new();
    for signer in &signers {
        for typ in [
            Value::Null,
            json!("JWT"),
            json!("at+jwt"),
            json!("application/at+JWT"),
        ] {
            let mut header = header(signer, signer.algorithm());
            if !typ.is_null() {
                header["typ"] = typ;
            }
            let subject = signer.algorithm();
            let token = signer.token(&header, &bench.claims(&json!({ "sub": subject })));
            let caller = bench.ask(&token).await.unwrap();
            assert_eq!(caller.grants, Grants::Organization);
            assert_eq!((caller.user, caller.key), (None, None));
            let consumer = caller.consumer.unwrap();
            assert_eq!(*consumers.entry(subject).or_insert(consumer), consumer);
            assert_eq!(caller.principal(), format!("consumer:{consumer}"));
        }
    }
    let rows = bench
        .store
        .consumers(OrganizationId::DEFAULT)
        .await
        .unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["login/ES256", "login/EdDSA", "login/RS256"]);
    assert_eq!(bench.issuer.asked(), 1);
    // Beside the key that is a key, and the key that is none.
    assert!(bench.ask("admin").await.unwrap().is_admin());
    assert!(matches!(
        bench.ask("cw_1").await,
        Err(AuthenticationError::Unknown)
    ));
    // What lets somebody in is passed on to no API.
    let token = signers[0].token(&header(&signers[0], "RS256"), &bench.claims(&json!({})));
    assert!(bench.authenticator.is_key(&token).await);
    assert!(!bench.authenticator.is_key("ey.a.b").await);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn a_token_with_anything_wrong_is_refused_and_says_what() {
    let (rsa, p256, ed) = (Signer::rsa(), Signer::p256(), Signer::ed25519());
    let other = Signer::rsa();
    let mut for_encryption = other.jwk("enc");
    for_encryption["use"] = json!("enc");
    let mut pinned = rsa.jwk("pinned");
    pinned["alg"] = json!("RS512");
    let jwks = vec![
        rsa.jwk("rsa"),
        p256.jwk("p256"),
        ed.jwk("ed"),
        for_encryption,
        pinned,
        json!({ "kty": "oct", "kid": "oct", "k": b64("secret") }),
    ];
    let bench = Bench::start(jwks).await;
    bench
        .trust(&json!({ "everyServer": true, "clockSkewSeconds": 0 }))
        .await;
    let good = bench.claims(&json!({}));
    let of = |header: Value| rsa.token(&header, &good);
    let with = |claims: Value| rsa.token(&header(&rsa, "rsa"), &bench.claims(&claims));
    let whole = of(header(&rsa, "rsa"));
    let (signed, signature) = whole.rsplit_once('.').unwrap();
    let claimed = signed.split_once('.').unwrap().1;
    // Signed with the text of the public key as if that were a secret.
    let confused = format!(
        "{}.{claimed}",
        b64(json!({ "alg": "HS256", "kid": "rsa" }).to_string())
    );
    let secret = rsa.jwk("rsa")["n"].as_str().unwrap().to_owned();
    let hmac = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
    let tag = aws_lc_rs::hmac::sign(&hmac, confused.as_bytes());
    let unsigned = |alg: &str| format!("{}.{claimed}.", b64(json!({ "alg": alg }).to_string()));
    let padded = with(json!({ "pad": "x".repeat(16 << 10) }));
    let cases = [
        ("good", whole.clone(), None),
        ("alg none", unsigned("none"), Some(Fault::Algorithm)),
        ("alg None", unsigned("None"), Some(Fault::Algorithm)),
        ("no signature", unsigned("RS256"), Some(Fault::Signature)),
        (
            "hmac with the public key",
            format!("{confused}.{}", b64(tag)),
            Some(Fault::Algorithm),
        ),
        (
            "a secret in the set",
            of(json!({ "alg": "HS256", "kid": "oct" })),
            Some(Fault::Algorithm),
        ),
        (
            "not accepted",
            of(json!({ "alg": "RS512", "kid": "rsa" })),
            Some(Fault::Algorithm),
        ),
        (
            "type of another key",
            of(json!({ "alg": "ES256", "kid": "rsa" })),
            Some(Fault::Key),
        ),
        (
            "key of another type",
            of(json!({ "alg": "RS256", "kid": "p256" })),
            Some(Fault::Key),
        ),
        (
            "key for another algorithm",
            of(json!({ "alg": "RS256", "kid": "pinned" })),
            Some(Fault::Key),
        ),
        (
            "key for encryption",
            other.token(&json!({ "alg": "RS256", "kid": "enc" }), &good),
            Some(Fault::Key),
        ),
        (
            "unknown key",
            of(json!({ "alg": "RS256", "kid": "none" })),
            Some(Fault::Key),
        ),
        (
            "no kid, one fits",
            ed.token(&json!({ "alg": "EdDSA" }), &good),
            None,
        ),
        (
            "critical",
            of(json!({ "alg": "RS256", "kid": "rsa", "crit": ["exp"] })),
            Some(Fault::Malformed),
        ),
        (
            "critical null",
            of(json!({ "alg": "RS256", "kid": "rsa", "crit": null })),
            Some(Fault::Malformed),
        ),
        (
            "id token",
            of(json!({ "alg": "RS256", "kid": "rsa", "typ": "logout+jwt" })),
            Some(Fault::Malformed),
        ),
        (
            "own key",
            other.token(
                &json!({ "alg": "RS256", "kid": "rsa", "jwk": other.jwk("rsa") }),
                &good,
            ),
            Some(Fault::Signature),
        ),
        (
            "signed by another",
            other.token(&header(&rsa, "rsa"), &good),
            Some(Fault::Signature),
        ),
        (
            "cut signature",
            format!("{signed}.{}", b64([0; 64])),
            Some(Fault::Signature),
        ),
        (
            "other claims",
            format!(
                "{}.{}.{signature}",
                signed.split_once('.').unwrap().0,
                b64(bench.claims(&json!({ "sub": "ben" })).to_string())
            ),
            Some(Fault::Signature),
        ),
        ("too long", padded, Some(Fault::Malformed)),
        (
            "no JSON",
            format!("{}.{}.", b64("{\"alg\":1}x"), b64("{}")),
            Some(Fault::Malformed),
        ),
        (
            "two headers",
            format!(
                "{}.{claimed}.{signature}",
                b64("{\"alg\":\"RS256\",\"alg\":\"none\"}")
            ),
            Some(Fault::Malformed),
        ),
        (
            "another issuer",
            with(json!({ "iss": "https://other.example" })),
            Some(Fault::Issuer),
        ),
        (
            "no issuer",
            with(json!({ "iss": null })),
            Some(Fault::Issuer),
        ),
        (
            "another audience",
            with(json!({ "aud": "elsewhere" })),
            Some(Fault::Audience),
        ),
        (
            "no audience",
            with(json!({ "aud": null })),
            Some(Fault::Audience),
        ),
        (
            "one of two audiences",
            with(json!({ "aud": ["elsewhere", "causeway"] })),
            None,
        ),
        ("expired", with(json!({ "exp": NOW })), Some(Fault::Expired)),
        ("no end", with(json!({ "exp": null })), Some(Fault::Claims)),
        (
            "end as text",
            with(json!({ "exp": "4000000000" })),
            Some(Fault::Claims),
        ),
        (
            "end as fraction",
            with(json!({ "exp": 1_800_000_000.5 + 60.0 })),
            None,
        ),
        (
            "endless",
            with(json!({ "exp": 1e300 })),
            Some(Fault::Claims),
        ),
        ("early", with(json!({ "nbf": NOW + 1 })), Some(Fault::Early)),
        ("just begun", with(json!({ "nbf": NOW })), None),
        (
            "no subject",
            with(json!({ "sub": null })),
            Some(Fault::Claims),
        ),
        (
            "empty subject",
            with(json!({ "sub": "" })),
            Some(Fault::Claims),
        ),
        (
            "subject too long",
            with(json!({ "sub": "x".repeat(256) })),
            Some(Fault::Claims),
        ),
        (
            "subject is no text",
            with(json!({ "sub": 5 })),
            Some(Fault::Claims),
        ),
    ];
    for (name, token, wanted) in &cases {
        assert_eq!(bench.fault(token).await, *wanted, "{name}");
    }
    // The same again: what is remembered of the good ones lets nothing else in.
    for (name, token, wanted) in &cases {
        assert_eq!(bench.fault(token).await, *wanted, "again: {name}");
    }
    assert!(bench.issuer.asked() <= 2, "{}", bench.issuer.asked());
    // Each says what is wrong, and repeats nothing of the token.
    let error = bench.ask(&cases[28].1).await.unwrap_err();
    assert_eq!(
        error.challenge(),
        "Bearer error=\"invalid_token\", error_description=\"the token has expired\""
    );
}

#[tokio::test]
async fn clocks_may_differ_as_far_as_is_said() {
    let signer = Signer::ed25519();
    let bench = Bench::start(vec![signer.jwk("a")]).await;
    bench.trust(&json!({ "clockSkewSeconds": 20 })).await;
    let claims = bench.claims(&json!({ "exp": NOW + 100, "nbf": NOW }));
    let token = signer.token(&header(&signer, "a"), &claims);
    for (second, wanted) in [
        (-21, Some(TokenFault::Early)),
        (-20, None),
        (99, None),
        (119, None),
        (120, Some(TokenFault::Expired)),
    ] {
        bench.at(second);
        assert_eq!(bench.fault(&token).await, wanted, "{second}");
    }
}

#[tokio::test]
async fn forged_tokens_never_make_an_issuer_work() {
    let signer = Signer::ed25519();
    let bench = Bench::start(vec![signer.jwk("a")]).await;
    bench.trust(&json!({ "everyServer": true })).await;
    let good = signer.token(&header(&signer, "a"), &bench.claims(&json!({})));
    let forger = Signer::ed25519();
    for number in 0..10_000 {
        if number % 100 == 0 {
            // A second passes with every hundred.
            bench.at(number / 100);
        }
        let header = json!({ "alg": "EdDSA", "kid": number.to_string() });
        let forged = forger.token(&header, &bench.claims(&json!({})));
        assert_eq!(bench.fault(&forged).await, Some(TokenFault::Key));
    }
    let asked = bench.issuer.asked();
    assert!((2..=5).contains(&asked), "{asked}");
    assert_eq!(bench.fault(&good).await, None);
    assert!(
        bench
            .store
            .consumers(OrganizationId::DEFAULT)
            .await
            .unwrap()
            .len()
            == 1
    );
    // Many at once, of an issuer nobody asked yet.
    let bench = Bench::start(vec![signer.jwk("a")]).await;
    bench.trust(&json!({ "everyServer": true })).await;
    let token = signer.token(&header(&signer, "a"), &bench.claims(&json!({})));
    let asks = (0..200).map(|_| bench.ask(&token));
    let callers = futures::future::join_all(asks).await;
    assert!(callers.iter().all(Result::is_ok));
    assert_eq!(bench.issuer.asked(), 1);
}

#[tokio::test]
async fn keys_change_and_issuers_fail() {
    let (old, new) = (Signer::rsa(), Signer::p256());
    let bench = Bench::start(vec![old.jwk("old")]).await;
    bench.trust(&json!({ "everyServer": true })).await;
    let claims = bench.claims(&json!({ "exp": NOW + 1_000_000 }));
    let (by_old, by_new) = (
        old.token(&header(&old, "old"), &claims),
        new.token(&header(&new, "new"), &claims),
    );
    assert_eq!(bench.fault(&by_old).await, None);
    assert_eq!(bench.fault(&by_new).await, Some(TokenFault::Key));
    bench.issuer.shown.lock().keys = vec![old.jwk("old"), new.jwk("new")];
    // It was asked just now: the new key is known when the pause is over.
    assert_eq!(bench.fault(&by_new).await, Some(TokenFault::Key));
    bench.at(40);
    assert_eq!(bench.fault(&by_new).await, None);
    assert_eq!(bench.fault(&by_old).await, None);
    // A key that was taken back is refused once the keys are read again, also for known tokens.
    bench.issuer.shown.lock().keys = vec![new.jwk("new")];
    bench.at(600);
    assert_eq!(bench.fault(&by_old).await, None);
    bench.at(641);
    assert_eq!(bench.fault(&by_old).await, Some(TokenFault::Key));
    assert_eq!(bench.fault(&by_new).await, None);
    // Without an answer, what is known is good for a day and no longer.
    bench.issuer.shown.lock().down = true;
    let hours = |hours: i64| 641 + hours * 3_600;
    for hour in [1, 12, 23] {
        bench.at(hours(hour));
        assert_eq!(bench.fault(&by_new).await, None, "{hour}");
    }
    bench.at(hours(25));
    let error = bench.ask(&by_new).await.unwrap_err();
    assert!(matches!(error, AuthenticationError::Unavailable), "{error}");
    bench.issuer.shown.lock().down = false;
    bench.at(hours(25) + 11);
    assert_eq!(bench.fault(&by_new).await, None);
    // One that says it is another is not believed.
    bench.issuer.shown.lock().name = Some("https://other.example".into());
    bench.trust(&json!({ "everyServer": true })).await;
    let error = bench.ask(&by_new).await.unwrap_err();
    assert!(matches!(error, AuthenticationError::Unavailable), "{error}");
    // Unless the address of its keys was given.
    let keys = format!("{}/keys", bench.issuer.origin);
    bench
        .trust(&json!({ "everyServer": true, "jwksUrl": keys }))
        .await;
    assert_eq!(bench.fault(&by_new).await, None);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn claims_become_grants_and_changes_count_at_once() {
    let signer = Signer::ed25519();
    let bench = Bench::start(vec![signer.jwk("a")]).await;
    let (one, two) = (ServerId::generate(), ServerId::generate());
    let fixed = json!([{ "server": one }]);
    let reader = json!([{ "server": two, "tools": ["GET /items"] }]);
    let mapped = |claim: &str| {
        json!({ "grants": fixed, "consumerClaim": "azp",
            "grantsFrom": { "claim": claim, "values": { "reader": reader } } })
    };
    let granted = async |claims: Value| {
        let token = signer.token(&header(&signer, "a"), &bench.claims(&claims));
        let caller = bench.ask(&token).await.unwrap();
        let Grants::Scoped(grants) = caller.grants else {
            panic!("{:?}", caller.grants);
        };
        json!(grants)
    };
    let both = json!([fixed[0], reader[0]]);
    for (claim, claims, wanted) in [
        ("roles", json!({ "roles": ["reader"] }), &both),
        ("roles", json!({ "roles": ["writer"] }), &fixed),
        ("roles", json!({ "roles": "reader" }), &both),
        ("roles", json!({ "roles": "reader writer" }), &fixed),
        ("scope", json!({ "scope": "reader writer" }), &both),
        ("scp", json!({ "scp": "a reader" }), &both),
        (
            "realm_access.roles",
            json!({ "realm_access": { "roles": ["reader"] } }),
            &both,
        ),
        (
            "https://x.example/roles",
            json!({ "https://x.example/roles": ["reader"] }),
            &both,
        ),
        ("roles", json!({}), &fixed),
    ] {
        bench.trust(&mapped(claim)).await;
        let mut claims = claims;
        claims["azp"] = json!("app");
        assert_eq!(granted(claims).await, *wanted, "{claim}");
    }
    // A claim is not another with the same value.
    let token = signer.token(
        &header(&signer, "a"),
        &bench.claims(&json!({ "azp": "anna" })),
    );
    let app = bench.ask(&token).await.unwrap().consumer;
    bench.trust(&json!({ "everyServer": true })).await;
    let user = bench.ask(&token).await.unwrap();
    assert_ne!(user.consumer, app);
    assert_eq!(user.grants, Grants::Organization);
    // Nothing granted: nothing but what is open.
    bench.trust(&json!({})).await;
    assert_eq!(
        bench.ask(&token).await.unwrap().grants,
        Grants::Scoped(Vec::new())
    );
    // Limits of the consumer count for the next request.
    let consumer = user.consumer.unwrap();
    let act = NewAudit::of(
        (OrganizationId::DEFAULT, "test".into()),
        "edit",
        ("consumer", consumer.to_string()),
    );
    let limits = "[{\"unit\":\"concurrency\",\"amount\":1,\"scope\":\"consumer\"}]";
    bench
        .store
        .set_consumer_limits(consumer, limits, &act, date(NOW))
        .await
        .unwrap();
    bench.keys.forget();
    assert!(bench.ask(&token).await.unwrap().allowance.is_some());
    // Nobody's any more.
    let act = NewAudit::of(
        (OrganizationId::DEFAULT, "test".into()),
        "delete",
        ("issuer", "login".into()),
    );
    bench
        .store
        .delete_issuer("login", &act, date(NOW))
        .await
        .unwrap();
    bench.keys.forget();
    assert_eq!(bench.fault(&token).await, Some(TokenFault::Issuer));
}
