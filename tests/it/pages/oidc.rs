//! Signing in through an identity provider: the right flow passes, each one that is broken in one place
//! does not, and accounts are bound to who the provider says somebody is.

mod provider;

use std::collections::HashMap;

use serde_json::{Value, json};
use url::Url;

use crate::pages::oidc::provider::{CLIENT, Manner, Provider, SECRET, Signs};
use crate::pages::{Served, cookie, csrf, form, serve_with};

const KEY: &str = "an-admin-key-for-tests";
const PASSWORD: &str = "correct horse battery";

/// A process that people sign in to through a provider.
struct Bench {
    served: Served,
    provider: Provider,
    _folder: tempfile::TempDir,
}

/// A browser that was sent to the provider.
struct Gone {
    cookie: String,
    address: Url,
}

fn ann() -> Value {
    json!({
        "sub": "1001", "preferred_username": "Ann", "email": "ann@example.com", "email_verified": true,
    })
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap()
}

/// What a page says, as its reader sees it.
fn unescaped(text: &str) -> String {
    text.replace("&#38;", "&")
        .replace("&amp;", "&")
        .replace("&#x26;", "&")
}

impl Bench {
    async fn start(lines: &str) -> Self {
        Self::with(Provider::start().await, lines)
    }

    fn with(provider: Provider, lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
        let file = folder.path().join("causeway.toml");
        let text = format!(
            "[oidc]\nissuer = \"{}\"\nclient_id = \"{CLIENT}\"\nclient_secret_file = \"{}\"\n\
             label = \"Example <Login>\"\n{lines}",
            provider.origin,
            secret.display()
        );
        std::fs::write(&file, text).unwrap();
        let config = file.to_str().unwrap();
        let served = serve_with(&["--admin-key", KEY, "--no-demo", "--config", config]);
        Self {
            served,
            provider,
            _folder: folder,
        }
    }

    /// Presses the button.
    fn go(&self) -> Gone {
        let answer = self.served.submit("/login/oidc", &[("next", "/keys")]);
        self.sent(&answer)
    }

    fn sent(&self, answer: &str) -> Gone {
        assert_eq!(status(answer), "200", "{answer}");
        let (_, rest) = answer
            .split_once("http-equiv=\"refresh\" content=\"0;url=")
            .expect(answer);
        let address = unescaped(rest.split('"').next().unwrap());
        assert!(address.starts_with(&self.provider.origin), "{address}");
        Gone {
            cookie: cookie(answer, "causeway_oidc").expect(answer),
            address: address.parse().unwrap(),
        }
    }

    /// Comes back with these parameters.
    fn back(&self, cookie: &str, parameters: &HashMap<String, String>) -> String {
        let pairs: Vec<_> = parameters
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        self.served
            .get(&format!("/login/oidc/callback?{}", form(&pairs)), cookie)
    }

    /// Comes back with what the provider gave, changed; an empty text removes a parameter.
    fn changed(&self, gone: &Gone, change: &[(&str, &str)]) -> String {
        let mut parameters = self.provider.approve(&gone.address, &ann());
        for (name, value) in change {
            parameters.remove(*name);
            if !value.is_empty() {
                parameters.insert((*name).to_owned(), (*value).to_owned());
            }
        }
        self.back(&gone.cookie, &parameters)
    }

    /// Signs somebody in: what the browser is answered in the end.
    fn sign_in(&self, person: &Value) -> String {
        let gone = self.go();
        let parameters = self.provider.approve(&gone.address, person);
        self.back(&gone.cookie, &parameters)
    }

    fn session(&self, person: &Value) -> String {
        let answer = self.sign_in(person);
        cookie(&answer, "causeway_session").expect(&answer)
    }

    fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nX-API-Key: {KEY}\r\nContent-Type: application/json"
        );
        let answer = self.served.ask(&head, &body.to_string());
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or(Value::Null)
    }

    /// Name and role of everybody.
    fn people(&self) -> Vec<(String, String)> {
        let listed = self.api("GET", "/api/v1/users", &json!({}));
        let users = listed["users"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        users
            .map(|user| (text(&user["name"]), text(&user["role"])))
            .collect()
    }

    /// Makes somebody with the one password, and signs them in with it.
    fn with_password(&self, name: &str) -> String {
        let new = json!({ "name": name, "role": "member", "password": PASSWORD });
        self.api("POST", "/api/v1/users", &new);
        let answer = self
            .served
            .submit("/login", &[("name", name), ("password", PASSWORD)]);
        cookie(&answer, "causeway_session").expect(&answer)
    }

    /// A session of the admin key.
    fn with_admin(&self) -> String {
        let answer = self.served.submit("/login", &[("key", KEY)]);
        cookie(&answer, "causeway_session").expect(&answer)
    }

    /// Sends a form of the page of one's account.
    fn post(&self, session: &str, path: &str, fields: &[(&str, &str)]) -> String {
        let token = csrf(&self.served.get("/account", session));
        let fields = [fields, &[("csrf", token.as_str())]].concat();
        self.served
            .post(path, &format!("Cookie: {session}\r\n"), &form(&fields))
    }

    /// Links what the provider says of somebody with the account of a session.
    fn link(&self, session: &str, person: &Value) -> String {
        let gone = self.sent(&self.post(session, "/login/oidc", &[("do", "link")]));
        let parameters = self.provider.approve(&gone.address, person);
        self.back(&format!("{session}; {}", gone.cookie), &parameters)
    }
}

/// That nobody was let in, that the page says why, and nothing of what is secret.
#[track_caller]
fn refused(answer: &str, says: &str, about: &str) {
    assert!(matches!(status(answer), "403" | "502"), "{about}: {answer}");
    assert!(
        !answer.contains("set-cookie: causeway_session"),
        "{about}: {answer}"
    );
    assert!(answer.contains("role=\"alert\""), "{about}: {answer}");
    assert!(answer.contains(says), "{about}: {answer}");
    for secret in ["c0de-number", "acc3ss", "eyJ", "<script>", SECRET] {
        assert!(!answer.contains(secret), "{about} shows {secret}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_flow_signs_somebody_in_as_a_password_does() {
    let bench = Bench::start("create_accounts = true").await;
    let login = bench.served.get("/login", "");
    assert!(
        login.contains("Sign in with Example &#60;Login&#62;"),
        "{login}"
    );
    let answer = bench.sign_in(&ann());
    assert_eq!(status(&answer), "303", "{answer}");
    assert!(answer.contains("location: /keys"), "{answer}");
    let session = cookie(&answer, "causeway_session").unwrap();
    let account = bench.served.get("/account", &session);
    assert!(
        account.contains("<b>ann</b>") && account.contains("ann@example.com"),
        "{account}"
    );
    assert!(
        account.contains("name=\"session\""),
        "it is in the list of sessions: {account}"
    );
    assert!(
        !account.contains("name=\"old\""),
        "there is no password to change: {account}"
    );
    assert_eq!(bench.people(), [("ann".to_owned(), "member".to_owned())]);
    let again = bench.session(&ann());
    assert_eq!(
        bench.people().len(),
        1,
        "the same person is the same account"
    );
    let asked = bench.provider.asked();
    assert!(
        !asked.iter().any(|path| path.contains("userinfo")),
        "{asked:?}"
    );
    assert_eq!(
        asked.iter().filter(|path| *path == "/keys").count(),
        1,
        "{asked:?}"
    );
    let audit = bench.api("GET", "/api/v1/audit", &json!({})).to_string();
    assert!(
        audit.contains("\"actor\":\"oidc\"") && audit.contains("1001"),
        "{audit}"
    );
    // It ends as every session does.
    let left = bench.post(&session, "/logout", &[]);
    assert!(
        left.contains("location: /login/oidc?done=signed-out"),
        "{left}"
    );
    assert_eq!(status(&bench.served.get("/account", &session)), "303");
    let out = bench.served.get("/login/oidc?done=signed-out", "");
    assert!(unescaped(&out).contains(&format!("{}/out?client_id={CLIENT}", bench.provider.origin)));
    bench.post(&again, "/account", &[("do", "everywhere")]);
    assert_eq!(status(&bench.served.get("/account", &again)), "303");
}

/// What is wrong with a token, how the provider makes it, and what the page says of it.
fn wrong_tokens() -> Vec<(&'static str, Manner, &'static str)> {
    let now = causeway::types::Clock::system().now().timestamp();
    let claims = |change: Value| Manner {
        claims: change,
        ..Manner::default()
    };
    let signs = |signs| Manner {
        signs,
        ..Manner::default()
    };
    let (issuer, client, clocks) = (
        "another issuer than",
        "for another client",
        "Compare the clocks",
    );
    let (keys, form, flow) = (
        "is not signed with a key",
        "lacks what it needs",
        "another sign-in",
    );
    let header = |header| Manner {
        header,
        ..Manner::default()
    };
    vec![
        (
            "iss",
            claims(json!({ "iss": "http://127.0.0.1:1" })),
            issuer,
        ),
        ("no iss", claims(json!({ "iss": null })), issuer),
        ("aud", claims(json!({ "aud": "another" })), client),
        ("no aud", claims(json!({ "aud": null })), client),
        (
            "several aud, no azp",
            claims(json!({ "aud": [CLIENT, "another"] })),
            client,
        ),
        (
            "azp",
            claims(json!({ "aud": [CLIENT, "another"], "azp": "another" })),
            client,
        ),
        ("exp", claims(json!({ "exp": now - 200 })), clocks),
        ("no exp", claims(json!({ "exp": null })), form),
        ("iat", claims(json!({ "iat": now + 900 })), clocks),
        ("no iat", claims(json!({ "iat": null })), clocks),
        ("nbf", claims(json!({ "nbf": now + 900 })), clocks),
        ("nonce", claims(json!({ "nonce": "another" })), flow),
        ("no nonce", claims(json!({ "nonce": null })), flow),
        (
            "at_hash of another access token",
            claims(json!({ "at_hash": "77QmUPtjPfzWtF2AnpK9RQ" })),
            "<code>at_hash</code>",
        ),
        ("no sub", claims(json!({ "sub": null })), form),
        ("a number as sub", claims(json!({ "sub": 1001 })), form),
        ("signature", signs(Signs::Wrongly), keys),
        ("unknown key", signs(Signs::Unknown), keys),
        ("alg none", signs(Signs::Nobody), keys),
        ("HS256 with the public key", signs(Signs::Hmac), keys),
        ("an access token", header(json!({ "typ": "at+jwt" })), form),
        (
            "an algorithm that is not what it is signed with",
            header(json!({ "alg": "none" })),
            keys,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_wrong_in_one_place_lets_nobody_in() {
    let bench = Bench::start("create_accounts = true").await;
    for (about, manner, says) in wrong_tokens() {
        bench.provider.behave(manner);
        refused(&bench.sign_in(&ann()), says, about);
    }
    assert!(bench.people().is_empty(), "{:?}", bench.people());
    bench.provider.behave(Manner::default());
    assert_eq!(
        status(&bench.sign_in(&ann())),
        "303",
        "what is right passes in between"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_for_one_sign_in_of_one_browser() {
    let bench = Bench::start("create_accounts = true").await;
    let state = "used already, took longer";
    let (mine, other) = (bench.go(), bench.go());
    let parameters = bench.provider.approve(&mine.address, &ann());
    for stranger in [
        "",
        other.cookie.as_str(),
        "causeway_oidc=00000000000000000000000000000000",
    ] {
        refused(&bench.back(stranger, &parameters), state, "another browser");
    }
    let first = bench.back(&mine.cookie, &parameters);
    assert_eq!(status(&first), "303", "a stranger used it up: {first}");
    refused(
        &bench.back(&mine.cookie, &parameters),
        state,
        "the state again",
    );
    for (about, change, says) in [
        ("no state", ("state", ""), state),
        (
            "a state of nobody",
            ("state", "0123456789abcdef0123456789abcdef"),
            state,
        ),
        (
            "a code that was used",
            ("code", parameters["code"].as_str()),
            "invalid_grant",
        ),
        ("no code", ("code", ""), "No answer came back"),
        (
            "another issuer",
            ("iss", "https://evil.example"),
            "is not from Example",
        ),
        ("no issuer", ("iss", ""), "is not from Example"),
        (
            "the provider says no",
            ("error", "access_denied"),
            "access_denied",
        ),
        (
            "something else",
            ("error", "<script>alert(1)"),
            "an unknown error",
        ),
    ] {
        refused(&bench.changed(&bench.go(), &[change]), says, about);
    }
    // An error is believed of the provider only, too.
    let forged = [("error", "access_denied"), ("iss", "https://evil.example")];
    refused(
        &bench.changed(&bench.go(), &forged),
        "is not from Example",
        "an error of another",
    );
    let unasked = bench.served.post("/login/oidc", "", "next=%2F");
    assert_eq!(status(&unasked), "403", "begun without a form: {unasked}");
    let chinese = bench.served.ask(
        "GET /login/oidc/callback?state=x HTTP/1.1\r\nAccept-Language: zh-CN",
        "",
    );
    refused(&chinese, "这次登录已经用过", "in another language");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_good_for_the_sign_in_it_was_asked_for() {
    let bench = Bench::start("create_accounts = true").await;
    // A code of another flow is good for nothing in this one: the provider sees that it was asked for with
    // another verifier, and where it does not look, the token is for another sign-in.
    for (forgets_pkce, says) in [(false, "invalid_grant"), (true, "another sign-in")] {
        bench.provider.behave(Manner {
            forgets_pkce,
            ..Manner::default()
        });
        let (attacker, victim) = (bench.go(), bench.go());
        let injected = bench.provider.approve(&attacker.address, &ann())["code"].clone();
        let answer = bench.changed(&victim, &[("code", &injected)]);
        refused(&answer, says, "a code of another flow");
    }
    assert!(bench.people().is_empty(), "{:?}", bench.people());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_describes_itself_wrongly_is_not_gone_to() {
    for (change, says) in [
        (
            json!({ "issuer": "https://evil.example" }),
            "is of another issuer than",
        ),
        (
            json!({ "code_challenge_methods_supported": ["plain"] }),
            "PKCE with S256",
        ),
        (
            json!({ "token_endpoint": "http://evil.example/token" }),
            "token_endpoint",
        ),
    ] {
        let provider = Provider::start().await;
        provider.behave(Manner {
            description: change.clone(),
            ..Manner::default()
        });
        let bench = Bench::with(provider, "");
        let answer = bench.served.submit("/login/oidc", &[]);
        refused(&answer, says, &change.to_string());
        assert!(!answer.contains("http-equiv"), "{answer}");
        let checks = bench.api("GET", "/api/v1/doctor", &json!({}));
        let checks = checks["checks"].as_array().unwrap().clone();
        let check = checks
            .iter()
            .find(|check| check["id"] == "sign-in")
            .unwrap();
        assert_eq!(check["state"], "fail", "{check}");
    }
    // One that says nothing of naming itself need not, and one that names another is not believed.
    let provider = Provider::start().await;
    provider.behave(Manner {
        description: json!({ "authorization_response_iss_parameter_supported": null }),
        ..Manner::default()
    });
    let bench = Bench::with(provider, "create_accounts = true");
    let gone = bench.go();
    let mut parameters = bench.provider.approve(&gone.address, &ann());
    parameters.insert("iss".to_owned(), "https://evil.example".to_owned());
    refused(
        &bench.back(&gone.cookie, &parameters),
        "is not from",
        "mixed up",
    );
    let gone = bench.go();
    let mut parameters = bench.provider.approve(&gone.address, &ann());
    parameters.remove("iss");
    assert_eq!(status(&bench.back(&gone.cookie, &parameters)), "303");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_says_of_somebody_is_what_they_may() {
    let lines = "create_accounts = true\nrole_claim = \"groups\"\nadmin_values = [\"ops\"]\n\
                 publisher_values = [\"dev\"]\nmember_values = [\"staff\"]\ndefault_role = \"none\"\n\
                 email_domains = [\"example.com\"]\n";
    let bench = Bench::start(lines).await;
    let with = |change: Value| {
        let mut person = ann();
        person
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        person
    };
    for (person, says) in [
        (ann(), "lets you in here"),
        (with(json!({ "groups": ["cooks"] })), "lets you in here"),
        (
            with(json!({ "groups": ["ops"], "email_verified": false })),
            "no address of e-mail",
        ),
        (
            with(json!({ "groups": ["ops"], "email": "a@evil.example" })),
            "no address of e-mail",
        ),
    ] {
        refused(&bench.sign_in(&person), says, &person.to_string());
    }
    assert!(bench.people().is_empty());
    let role = || {
        bench
            .people()
            .into_iter()
            .map(|(_, role)| role)
            .collect::<Vec<_>>()
    };
    let dev = with(json!({ "groups": ["staff", "dev"] }));
    let session = bench.session(&dev);
    assert_eq!(role(), ["publisher"]);
    assert_eq!(status(&bench.served.get("/publish", &session)), "200");
    bench.session(&with(json!({ "groups": ["ops"] })));
    assert_eq!(role(), ["admin"]);
    bench.session(&with(json!({ "groups": "staff" })));
    assert_eq!(role(), ["member"], "it is read at each sign-in");
    assert_eq!(
        status(&bench.served.get("/publish", &session)),
        "403",
        "at once, everywhere"
    );
    bench.api("PATCH", "/api/v1/users/ann", &json!({ "disabled": true }));
    refused(&bench.sign_in(&dev), "may not sign in", "disabled");
    assert_eq!(status(&bench.served.get("/account", &session)), "303");
    // Somebody else of that name is somebody else.
    let twin = with(json!({ "sub": "1002", "groups": ["staff"] }));
    bench.session(&twin);
    let names: Vec<String> = bench.people().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["ann", "ann-2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_linked_by_its_owner_and_by_nothing_else() {
    let bench = Bench::start("").await;
    let session = bench.with_password("ann@example.com");
    let mut same = ann();
    same["preferred_username"] = "ann@example.com".into();
    refused(
        &bench.sign_in(&same),
        "no account here that is linked",
        "bound by an address",
    );
    let page = bench.served.get("/account", &session);
    assert!(page.contains("name=\"do\" value=\"link\""), "{page}");
    let linked = bench.link(&session, &ann());
    assert!(
        linked.contains("location: /account?done=linked"),
        "{linked}"
    );
    assert!(!linked.contains("set-cookie: causeway_session"), "{linked}");
    let through = bench.session(&ann());
    assert!(
        bench
            .served
            .get("/account", &through)
            .contains("<b>ann@example.com</b>")
    );
    // The role of an account that was there before is the admins' to say.
    assert_eq!(bench.people()[0].1, "member");
    let bob = bench.with_password("bob");
    refused(
        &bench.link(&bob, &ann()),
        "linked with another account",
        "taken over",
    );
    let mut another = ann();
    another["sub"] = "2002".into();
    refused(
        &bench.link(&session, &another),
        "with somebody else",
        "a second identity",
    );
    assert!(
        bench.link(&session, &ann()).contains("done=linked"),
        "linked twice"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_to_link_is_for_who_began_it() {
    let bench = Bench::start("create_accounts = true").await;
    let (session, bob) = (bench.with_password("ann"), bench.with_password("bob"));
    let gone = bench.sent(&bench.post(&bob, "/login/oidc", &[("do", "link")]));
    let parameters = bench.provider.approve(&gone.address, &ann());
    let stolen = bench.back(&format!("{session}; {}", gone.cookie), &parameters);
    refused(&stolen, "used already", "linked with another account");
    let gone = bench.sent(&bench.post(&bob, "/login/oidc", &[("do", "link")]));
    let parameters = bench.provider.approve(&gone.address, &ann());
    refused(
        &bench.back(&gone.cookie, &parameters),
        "used already",
        "signed in by linking",
    );
    assert_eq!(bench.people().len(), 2, "{:?}", bench.people());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_ended_by_an_admin_and_by_its_owner() {
    let bench = Bench::start("").await;
    let session = bench.with_password("ann@example.com");
    bench.link(&session, &ann());
    let through = bench.session(&ann());
    // An admin ends it, and with it the session that began with it; the password still works.
    let users = bench.with_admin();
    let page = bench.served.get("/admin/users", &users);
    assert!(page.contains("linked with ann@example.com"), "{page}");
    let id = page.split("name=\"identity\" value=\"").nth(1).unwrap();
    let id = id.split('"').next().unwrap();
    let token = csrf(&page);
    let fields = form(&[
        ("do", "unlink"),
        ("name", "ann@example.com"),
        ("identity", id),
        ("csrf", &token),
    ]);
    let ended = bench
        .served
        .post("/admin/users", &format!("Cookie: {users}\r\n"), &fields);
    assert_eq!(status(&ended), "303", "{ended}");
    assert_eq!(status(&bench.served.get("/account", &through)), "303");
    assert_eq!(status(&bench.served.get("/account", &session)), "200");
    refused(
        &bench.sign_in(&ann()),
        "no account here",
        "after it was ended",
    );
    // Its owner ends it, too.
    bench.link(&session, &ann());
    let page = bench.served.get("/account", &session);
    let id = page.split("name=\"identity\" value=\"").nth(1).unwrap();
    let id = id.split('"').next().unwrap();
    let ended = bench.post(&session, "/account", &[("do", "unlink"), ("identity", id)]);
    assert!(ended.contains("done=unlinked"), "{ended}");
    refused(
        &bench.sign_in(&ann()),
        "no account here",
        "after its owner ended it",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_password_keeps_the_way_in() {
    let bench = Bench::start("create_accounts = true").await;
    let session = bench.session(&ann());
    let page = bench.served.get("/account", &session);
    assert!(
        !page.contains("value=\"unlink\"") || !page.contains("End the link"),
        "{page}"
    );
    let id = page.split("name=\"identity\" value=\"").nth(1).unwrap();
    let id = id.split('"').next().unwrap();
    let ended = bench.post(&session, "/account", &[("do", "unlink"), ("identity", id)]);
    assert_eq!(status(&ended), "422", "{ended}");
    assert_eq!(status(&bench.sign_in(&ann())), "303");
}

#[test]
fn without_a_provider_there_is_nothing_to_go_to() {
    let served = serve_with(&["--admin-key", KEY, "--no-demo"]);
    assert!(!served.get("/login", "").contains("/login/oidc"));
    for path in ["/login/oidc", "/login/oidc/callback?code=x&state=y"] {
        assert_eq!(status(&served.get(path, "")), "404", "{path}");
    }
}
